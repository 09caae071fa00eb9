//! The event of `lookup-old-watermark`: the input of the state machine, with the name of the run.

use serde_json::Value;
use tidemark::error::Result;
use tidemark::steps::lookup_old::LookupOldRequest;
use tidemark_lambda::runner;

/// Reads an event. `InvalidInput` names the field that is wrong.
pub(crate) fn decode(event: Value) -> Result<LookupOldRequest> {
    runner::decode(event)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_example_decodes_and_other_fields_do_not() {
        let mut event: Value =
            serde_json::from_str(include_str!("../../../infra/events/lookup-old-watermark.json")).unwrap();
        assert_eq!(decode(event.clone()).unwrap().tables.len(), 1);
        event["tables"][0]["colums"] = json!(["id"]);
        let error = decode(event).unwrap_err();
        assert!(error.to_string().contains("tables[0].colums"), "{error}");
    }
}
