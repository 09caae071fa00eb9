//! The two forms of this function's event: one window, or all those of a run that are empty.

use serde::Serialize;
use serde_json::Value;
use tidemark::error::Result;
use tidemark::ports::objects::{CompleteObjects, CreateObjects, ReadObjects};
use tidemark::ports::source::CountSource;
use tidemark::ports::watermarks::MoveWatermarks;
use tidemark::runner::{Answer, RunContext, decode};
use tidemark::telemetry::Metric;

use crate::{Advanced, AllRequest, Request, Response, handle, handle_all};

/// What this function is asked for.
#[derive(Debug)]
pub enum Event {
    /// To commit one window.
    One(Request),
    /// To commit many in which nothing changed.
    All(AllRequest),
}

/// What became of it.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Outcome {
    /// Of the one window.
    One(Response),
    /// Of all.
    All(Advanced),
}

impl Answer for Outcome {
    fn metrics(&self) -> Vec<(String, Vec<Metric>)> {
        match self {
            Self::One(answer) => answer.metrics(),
            Self::All(answer) => answer.metrics(),
        }
    }
}

impl Event {
    /// Reads an event: with `windows` it is for all of those. `InvalidInput` names the field that is wrong.
    pub fn decode(event: Value) -> Result<Self> {
        if event.get("windows").is_some() {
            decode(event).map(Self::All)
        } else {
            decode(event).map(Self::One)
        }
    }

    /// What every line logged for this event says.
    #[must_use]
    pub fn span(&self) -> tracing::Span {
        match self {
            Self::One(request) => request.span(),
            Self::All(request) => request.span(),
        }
    }

    /// Does what is asked for.
    pub async fn handle<C, W, S>(
        self,
        source: &C,
        watermarks: &W,
        store: &S,
        prefix: &str,
        context: RunContext,
    ) -> Result<Outcome>
    where
        C: CountSource,
        W: MoveWatermarks,
        S: ReadObjects + CreateObjects + CompleteObjects,
    {
        match self {
            Self::One(request) => {
                let answer = handle(source, watermarks, store, prefix, request, context);
                answer.await.map(Outcome::One)
            }
            Self::All(request) => {
                let answer = handle_all(source, watermarks, store, prefix, request, context);
                answer.await.map(Outcome::All)
            }
        }
    }
}
