//! Running one step: in Lambda, or by hand from a file or standard input.

use std::future::Future;
use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::io::AsyncReadExt;
use tokio::time::Instant;

use crate::error::{Error, ErrorCode, Result};
use crate::logs;
use crate::telemetry::{self, Metric};

/// Set by the Lambda service for every function, and by nothing else.
const RUNTIME_API: &str = "AWS_LAMBDA_RUNTIME_API";

/// What a step knows of the invocation it runs in.
#[derive(Debug, Clone, Copy)]
pub struct RunContext {
    /// When the invocation began.
    pub now: OffsetDateTime,
    /// When the invocation will be ended by force; never, by hand.
    pub deadline: Option<Instant>,
}

impl RunContext {
    /// An invocation that begins now and may take as long as it needs.
    #[must_use]
    pub fn unbounded() -> Self {
        Self {
            now: OffsetDateTime::now_utc(),
            deadline: None,
        }
    }

    /// `now` as the ledger's documents carry it, RFC 3339.
    pub fn timestamp(&self) -> Result<String> {
        self.now
            .replace_nanosecond(0)
            .ok()
            .and_then(|now| now.format(&Rfc3339).ok())
            .ok_or_else(|| Error::new(ErrorCode::Internal, "the clock cannot be written as RFC 3339"))
    }
}

/// The answer of a step.
pub trait Answer: Serialize {
    /// What the step measured, by table.
    fn metrics(&self) -> Vec<(String, Vec<Metric>)> {
        Vec::new()
    }
}

/// Shows how far a step is on the terminal of whoever runs it by hand, and nowhere else.
#[expect(clippy::print_stderr, reason = "by hand the terminal is the caller")]
pub fn progress(text: &str) {
    if std::env::var_os(RUNTIME_API).is_none() && std::io::stderr().is_terminal() {
        // Over the line before, and the rest of it erased.
        eprint!("\r{text}\x1b[K");
    }
}

/// Reads an event; `InvalidInput` names the field that is wrong.
pub fn decode<T: DeserializeOwned>(event: Value) -> Result<T> {
    serde_path_to_error::deserialize(event).map_err(|error| {
        let path = error.path().to_string();
        let place = if path == "." {
            String::new()
        } else {
            format!("{path}: ")
        };
        Error::new(
            ErrorCode::InvalidInput,
            format!("the event is not what this function takes: {place}{}", error.inner()),
        )
    })
}

/// Runs `step` for every event of the Lambda service or, outside it, once for the event in the file named by the only
/// argument or on standard input.
///
/// By hand the result goes to standard output as JSON; an error goes to standard error as
/// `{"errorType", "errorMessage"}` with exit code 1; logs go to standard error.
pub async fn run<F, Fut, T>(step: F) -> ExitCode
where
    F: Fn(Value, RunContext) -> Fut,
    Fut: Future<Output = Result<T>>,
    T: Answer,
{
    if std::env::var_os(RUNTIME_API).is_some() {
        in_lambda(step).await
    } else {
        by_hand(step).await
    }
}

#[expect(clippy::print_stdout, reason = "CloudWatch reads metrics from standard output")]
async fn in_lambda<F, Fut, T>(step: F) -> ExitCode
where
    F: Fn(Value, RunContext) -> Fut,
    Fut: Future<Output = Result<T>>,
    T: Answer,
{
    logs::start(std::io::stdout);
    let step = &step;
    let handler = service_fn(move |event: LambdaEvent<Value>| async move {
        let context = RunContext {
            now: OffsetDateTime::now_utc(),
            deadline: Some(deadline(event.context.deadline())),
        };
        // Boxed: the compiler follows the types of nested futures only so deep.
        let answer = Box::pin(step(event.payload, context)).await;
        let answer = answer.and_then(|answer| {
            for (table, metrics) in answer.metrics() {
                println!("{}", telemetry::embedded(&table, &metrics, context.now));
            }
            to_json(answer)
        });
        answer.map_err(|error| {
            let diagnostic = Diagnostic {
                error_type: error.code().to_string(),
                error_message: error.report(),
            };
            if error.code().is_retryable() {
                tracing::warn!(error_type = %error.code(), "{}", diagnostic.error_message);
            } else {
                tracing::error!(error_type = %error.code(), "{}", diagnostic.error_message);
            }
            diagnostic
        })
    });
    match lambda_runtime::run(handler).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("The Lambda runtime API failed: {error}.");
            ExitCode::FAILURE
        }
    }
}

/// The wall-clock deadline of an invocation on the monotonic clock.
fn deadline(at: SystemTime) -> Instant {
    Instant::now() + at.duration_since(SystemTime::now()).unwrap_or(Duration::ZERO)
}

fn to_json<T: Serialize>(answer: T) -> Result<Value> {
    serde_json::to_value(answer)
        .map_err(|error| Error::with_source(ErrorCode::Internal, "cannot write the answer", error))
}

#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "by hand the terminal is the caller"
)]
async fn by_hand<F, Fut, T>(step: F) -> ExitCode
where
    F: Fn(Value, RunContext) -> Fut,
    Fut: Future<Output = Result<T>>,
    T: Answer,
{
    logs::start(std::io::stderr);
    let answer = async {
        let event = read_event().await?;
        let answer = to_json(Box::pin(step(event, RunContext::unbounded())).await?)?;
        serde_json::to_string_pretty(&answer)
            .map_err(|error| Error::with_source(ErrorCode::Internal, "cannot write the answer", error))
    };
    let answer = answer.await;
    progress("");
    match answer {
        Ok(answer) => {
            println!("{answer}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!(
                "{}",
                serde_json::json!({ "errorType": error.code().name(), "errorMessage": error.report() })
            );
            ExitCode::FAILURE
        }
    }
}

/// The event in the file named by the only argument, or on standard input.
async fn read_event() -> Result<Value> {
    let mut arguments = std::env::args_os().skip(1);
    let (name, text) = match (arguments.next(), arguments.next()) {
        (None, _) => {
            let mut text = String::new();
            (
                String::from("standard input"),
                tokio::io::stdin().read_to_string(&mut text).await.map(|_| text),
            )
        }
        (Some(path), None) => (
            path.to_string_lossy().into_owned(),
            tokio::fs::read_to_string(&path).await,
        ),
        (Some(_), Some(_)) => {
            let message = "too many arguments: name one file with the event, or give it on standard input";
            return Err(Error::new(ErrorCode::InvalidInput, message));
        }
    };
    let text = text.map_err(|error| {
        Error::with_source(
            ErrorCode::InvalidInput,
            format!("cannot read the event from {name}"),
            error,
        )
    })?;
    serde_json::from_str(&text).map_err(|error| {
        Error::with_source(
            ErrorCode::InvalidInput,
            format!("the event from {name} is not JSON"),
            error,
        )
    })
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Request {
        #[expect(dead_code, reason = "only decoded")]
        tables: Vec<crate::table::TableSpec>,
    }

    #[test]
    fn a_wrong_event_names_the_field() {
        for (event, named) in [
            (json!({}), "missing field `tables`"),
            (json!({"tables": [], "tabels": 1}), "tabels"),
            (json!({"tables": [{"table": 7, "tracking": {}}]}), "tables[0].table"),
            (json!([]), "invalid length"),
        ] {
            let error = decode::<Request>(event).unwrap_err();
            assert_eq!(error.code(), ErrorCode::InvalidInput);
            assert!(error.to_string().contains(named), "{error}");
        }
    }
}
