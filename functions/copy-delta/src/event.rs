//! The event of `copy-delta`: one slice of a window.

use serde_json::Value;
use tidemark::error::Result;
use tidemark::steps::copy::CopyRequest;
use tidemark_lambda::runner;

/// Reads an event. `InvalidInput` names the field that is wrong.
pub(crate) fn decode(event: Value) -> Result<CopyRequest> {
    runner::decode(event)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_example_decodes_and_other_fields_do_not() {
        let mut event: Value = serde_json::from_str(include_str!("../../../infra/events/copy-delta.json")).unwrap();
        assert!(!decode(event.clone()).unwrap().dry_run);
        event["settings"] = json!({"sink": {"sqlserver": {"secret_arn": "arn", "tabel": "dbo.t"}}});
        let error = decode(event.clone()).unwrap_err();
        assert!(error.to_string().contains("tabel"), "{error}");
        event["settings"] = json!({"sink": {"sqlserver": {"secret_arn": "arn"}}});
        assert!(decode(event).unwrap().settings.sink.is_some());
    }
}
