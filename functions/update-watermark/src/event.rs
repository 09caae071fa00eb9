//! The events of `update-watermark`: one window, all windows of a run in which nothing changed, or the tables that
//! failed.

use serde::Serialize;
use serde_json::Value;
use tidemark::error::Result;
use tidemark::model::metric::Measurement;
use tidemark::ports::objects::{CompleteObjects, CreateObjects, ReadObjects, ReplaceObjects};
use tidemark::ports::source::CountRows;
use tidemark::ports::watermarks::MoveWatermarks;
use tidemark::steps::context::{Measured, RunContext};
use tidemark::steps::report_failed::{ReportFailedRequest, ReportedFailed, report_failed};
use tidemark::steps::update::{UpdateAnswer, UpdatePorts, UpdateRequest, update};
use tidemark::steps::update_all::{UpdateAllRequest, UpdatedAll, update_all};
use tidemark_lambda::runner;

/// An event of the function.
#[derive(Debug)]
pub(crate) enum Event {
    /// One window is to be committed.
    One(Box<UpdateRequest>),
    /// Many windows in which nothing changed are to be committed.
    All(UpdateAllRequest),
    /// The tables that failed are to be counted.
    Failed(ReportFailedRequest),
}

/// The answer to an event.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Outcome {
    /// The answer about one window.
    One(UpdateAnswer),
    /// The answer about many windows.
    All(UpdatedAll),
    /// The answer about the tables that failed.
    Failed(ReportedFailed),
}

impl Measured for Outcome {
    fn metrics(&self) -> Vec<Measurement> {
        match self {
            Self::One(answer) => answer.metrics(),
            Self::All(answer) => answer.metrics(),
            Self::Failed(answer) => answer.metrics(),
        }
    }
}

impl Event {
    /// Reads an event. One with the field `windows` is about all of these, and one with `failed` about these tables.
    /// `InvalidInput` names the field that is wrong.
    pub(crate) fn decode(event: Value) -> Result<Self> {
        if event.get("windows").is_some() {
            runner::decode(event).map(Self::All)
        } else if event.get("failed").is_some() {
            runner::decode(event).map(Self::Failed)
        } else {
            runner::decode(event).map(Box::new).map(Self::One)
        }
    }

    /// Returns the span of everything that is logged for the event.
    pub(crate) fn span(&self) -> tracing::Span {
        match self {
            Self::One(request) => request.span(),
            Self::All(request) => request.span(),
            Self::Failed(request) => request.span(),
        }
    }

    /// Runs the step for the event.
    pub(crate) async fn run<C, W, S>(self, ports: UpdatePorts<'_, C, W, S>, context: RunContext) -> Result<Outcome>
    where
        C: CountRows,
        W: MoveWatermarks,
        S: ReadObjects + CreateObjects + ReplaceObjects + CompleteObjects,
    {
        // The futures are boxed, because otherwise this one would be as large as the largest of them.
        match self {
            Self::One(request) => Box::pin(update(ports, *request, context)).await.map(Outcome::One),
            Self::All(request) => Box::pin(update_all(ports, request, context)).await.map(Outcome::All),
            Self::Failed(request) => {
                let reported = Box::pin(report_failed(ports.place, request, context));
                Ok(Outcome::Failed(reported.await))
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
        let mut one: Value = serde_json::from_str(include_str!("../../../infra/events/update-watermark.json")).unwrap();
        assert!(matches!(Event::decode(one.clone()).unwrap(), Event::One(_)));
        one["settings"] = json!({"wher": null});
        let error = Event::decode(one).unwrap_err();
        assert!(error.to_string().contains("settings.wher"), "{error}");

        let mut all: Value =
            serde_json::from_str(include_str!("../../../infra/events/update-watermark-empty.json")).unwrap();
        assert!(matches!(Event::decode(all.clone()).unwrap(), Event::All(_)));
        all["windows"][0]["settings"] = json!({});
        let error = Event::decode(all).unwrap_err();
        assert!(error.to_string().contains("windows[0].settings"), "{error}");

        let failed = include_str!("../../../infra/events/update-watermark-failed.json");
        let mut failed: Value = serde_json::from_str(failed).unwrap();
        let Event::Failed(request) = Event::decode(failed.clone()).unwrap() else {
            panic!("{failed}")
        };
        assert_eq!(request.failed.len(), 2);
        failed["tables"] = json!([]);
        assert!(Event::decode(failed).unwrap_err().to_string().contains("tables"));
    }
}
