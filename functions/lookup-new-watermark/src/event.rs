//! The two forms of this function's event: the tables of a run, or a slice to split.

use serde::Serialize;
use serde_json::Value;
use tidemark::error::Result;
use tidemark::ports::changes::ProbeChanges;
use tidemark::ports::objects::{CreateObjects, ReadObjects};
use tidemark::ports::source::{ProbeSource, SliceSource};
use tidemark::runner::{Answer, RunContext, decode};
use tidemark::steps::Split;
use tracing::Instrument;

use crate::{Request, Response, SplitRequest, handle, handle_split};

/// What this function is asked for.
#[derive(Debug)]
pub enum Event {
    /// To plan the windows of all tables.
    Plan(Request),
    /// To split a slice.
    Split(SplitRequest),
}

/// What became of it.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Outcome {
    /// The windows.
    Planned(Response),
    /// The sub-slices.
    Split(Split),
}

impl Answer for Outcome {}

impl Event {
    /// Reads an event: with `split` it is for that slice. `InvalidInput` names the field that is wrong.
    pub fn decode(event: Value) -> Result<Self> {
        if event.get("split").is_some() {
            decode(event).map(Self::Split)
        } else {
            decode(event).map(Self::Plan)
        }
    }

    /// Does what is asked for.
    pub async fn handle<P, S>(self, source: &P, store: &S, prefix: &str, context: RunContext) -> Result<Outcome>
    where
        P: ProbeSource + SliceSource + ProbeChanges,
        S: ReadObjects + CreateObjects,
    {
        match self {
            Self::Plan(request) => {
                let answer = handle(source, store, prefix, request, context);
                answer.await.map(Outcome::Planned)
            }
            Self::Split(request) => {
                let span = request.span();
                // Boxed, as it is as large as the other.
                let answer = Box::pin(handle_split(source, store, prefix, request, context));
                answer.instrument(span).await.map(Outcome::Split)
            }
        }
    }
}
