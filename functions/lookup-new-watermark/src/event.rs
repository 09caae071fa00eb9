//! The events of `lookup-new-watermark`: the tables of a run, or a slice to split.

use serde::Serialize;
use serde_json::Value;
use tidemark::error::Result;
use tidemark::ledger::Place;
use tidemark::model::lookup::Split;
use tidemark::model::metric::Measurement;
use tidemark::ports::changes::ProbeChanges;
use tidemark::ports::objects::{CreateObjects, ReadObjects, ReplaceObjects};
use tidemark::ports::rows::ExplainRows;
use tidemark::ports::source::{CutSource, ProbeSource};
use tidemark::steps::context::{Measured, RunContext};
use tidemark::steps::lookup_new::{LookupNewRequest, NewWatermarks, lookup_new};
use tidemark::steps::split::{SplitRequest, split};
use tidemark_lambda::runner;
use tracing::Instrument;

/// An event of the function.
#[derive(Debug)]
pub(crate) enum Event {
    /// The windows of all tables are to be planned.
    Plan(LookupNewRequest),
    /// A slice is to be split.
    Split(Box<SplitRequest>),
}

/// The answer to an event.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Outcome {
    /// The windows of the tables.
    Planned(NewWatermarks),
    /// The sub-slices of the slice.
    Split(Split),
}

impl Measured for Outcome {
    fn metrics(&self) -> Vec<Measurement> {
        match self {
            Self::Planned(answer) => answer.metrics(),
            Self::Split(answer) => answer.metrics(),
        }
    }
}

impl Event {
    /// Reads an event. One with the field `split` is about a slice. `InvalidInput` names the field that is wrong.
    pub(crate) fn decode(event: Value) -> Result<Self> {
        if event.get("split").is_some() {
            runner::decode(event).map(Box::new).map(Self::Split)
        } else {
            runner::decode(event).map(Self::Plan)
        }
    }

    /// Runs the step for the event.
    pub(crate) async fn run<P, S>(self, source: &P, place: Place<'_, S>, context: RunContext) -> Result<Outcome>
    where
        P: ProbeSource + CutSource + ProbeChanges + ExplainRows,
        S: ReadObjects + CreateObjects + ReplaceObjects,
    {
        // The futures are boxed, because otherwise this one would be as large as the larger of them.
        match self {
            Self::Plan(request) => {
                let planned = Box::pin(lookup_new(source, place, request, context));
                planned.await.map(Outcome::Planned)
            }
            Self::Split(request) => {
                let span = request.span();
                let sub_slices = Box::pin(split(source, place, *request, context));
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
