//! The event of this function has two forms: the tables of a run, or a slice to split.

use serde::Serialize;
use serde_json::Value;
use tidemark::error::Result;
use tidemark::model::lookup::Split;
use tidemark::ports::changes::ProbeChanges;
use tidemark::ports::objects::{CreateObjects, ReadObjects, ReplaceObjects};
use tidemark::ports::rows::ExplainRows;
use tidemark::ports::source::{CutSource, ProbeSource};
use tidemark::steps::context::{Measured, RunContext};
use tidemark::steps::lookup_new::{LookupNewRequest, NewWatermarks, lookup_new};
use tidemark::steps::split::{SplitRequest, split};
use tidemark_lambda::runner;
use tracing::Instrument;

/// This is what the function is asked for.
#[derive(Debug)]
pub(crate) enum Event {
    /// It has to plan the windows of all tables.
    Plan(LookupNewRequest),
    /// It has to split a slice.
    Split(Box<SplitRequest>),
}

/// This is what became of it.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Outcome {
    /// These are the windows.
    Planned(NewWatermarks),
    /// These are the sub-slices.
    Split(Split),
}

impl Measured for Outcome {}

impl Event {
    /// Reads an event. An event with `split` is for that slice. `InvalidInput` names the field that is wrong.
    pub(crate) fn decode(event: Value) -> Result<Self> {
        if event.get("split").is_some() {
            runner::decode(event).map(Box::new).map(Self::Split)
        } else {
            runner::decode(event).map(Self::Plan)
        }
    }

    /// Does what is asked for.
    pub(crate) async fn run<P, S>(self, source: &P, store: &S, prefix: &str, context: RunContext) -> Result<Outcome>
    where
        P: ProbeSource + CutSource + ProbeChanges + ExplainRows,
        S: ReadObjects + CreateObjects + ReplaceObjects,
    {
        // Boxed, or either would be as large as the other.
        match self {
            Self::Plan(request) => {
                let planned = Box::pin(lookup_new(source, store, prefix, request, context));
                planned.await.map(Outcome::Planned)
            }
            Self::Split(request) => {
                let span = request.span();
                let sub_slices = Box::pin(split(source, store, prefix, *request, context));
                sub_slices.instrument(span).await.map(Outcome::Split)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_examples_decode_and_other_fields_do_not() {
        let mut plan: Value =
            serde_json::from_str(include_str!("../../../infra/events/lookup-new-watermark.json")).unwrap();
        assert!(matches!(Event::decode(plan.clone()).unwrap(), Event::Plan(_)));
        plan["tables"][0]["stord"] = json!({});
        let error = Event::decode(plan).unwrap_err();
        assert!(error.to_string().contains("tables[0].stord"), "{error}");

        let mut split: Value =
            serde_json::from_str(include_str!("../../../infra/events/lookup-new-watermark-split.json")).unwrap();
        split["settings"] = json!({"where": {"column": "id"}});
        let error = Event::decode(split.clone()).unwrap_err();
        assert!(error.to_string().contains("settings.where"), "{error}");
        split["settings"] = json!({});
        assert!(matches!(Event::decode(split).unwrap(), Event::Split(_)));
    }
}
