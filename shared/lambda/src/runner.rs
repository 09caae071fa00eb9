//! Runs one step, in Lambda or by hand with an event from a file or from standard input.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tidemark::error::{Error, ErrorCode, Result};
use tidemark::steps::context::{Measured, Progress, RunContext};
use time::OffsetDateTime;
use tokio::io::AsyncReadExt;
use tokio::time::Instant;

use crate::config::{Environment, MetricsConfig};
use crate::{logs, telemetry};

/// The variable that only the Lambda service sets, for every function.
const RUNTIME_API: &str = "AWS_LAMBDA_RUNTIME_API";

/// The most bytes of an answer. A state carries 256 KiB, which includes more than the answer
/// (<https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html>).
const MAX_ANSWER_BYTES: usize = 250_000;

/// Reads an event.
///
/// # Errors
///
/// `InvalidInput`, which names the field that is wrong.
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

/// Runs `step` for every event of the Lambda service. Outside Lambda it runs `step` once, for the event in the file
/// that the only argument names, or on standard input. If the wiring failed, its error is the answer to every event.
///
/// By hand the result goes to standard output as JSON. An error goes to standard error as `{"errorType",
/// "errorMessage"}`, and the exit code is 1. Logs go to standard error.
pub async fn run<F, T>(wired: Result<F>, step: impl AsyncFn(&F, Value, RunContext) -> Result<T>) -> ExitCode
where
    T: Measured,
{
    let step = async |event, context| match &wired {
        // The future is boxed, because the compiler follows the types of nested futures only to a limited depth.
        Ok(function) => Box::pin(step(function, checked(event)?, context)).await,
        Err(error) => Err(error.clone()),
    };
    if std::env::var_os(RUNTIME_API).is_some() {
        in_lambda(step).await
    } else {
        by_hand(step).await
    }
}

/// Returns the event if it is an object. serde would accept a list of a structure's values for the structure.
fn checked(event: Value) -> Result<Value> {
    if event.is_object() {
        return Ok(event);
    }
    let message = "the event is not what this function takes: it is not a JSON object";
    Err(Error::new(ErrorCode::InvalidInput, message))
}

#[expect(clippy::print_stdout, reason = "CloudWatch reads metrics from standard output")]
async fn in_lambda<T: Measured>(step: impl AsyncFn(Value, RunContext) -> Result<T>) -> ExitCode {
    // The first event needs the authorities that are trusted. They are read while the runtime asks for it, and if there is no
    // thread for that, they are read then.
    drop(std::thread::Builder::new().spawn(tidemark_trust::authorities));
    logs::start(std::io::stdout);
    let step = &step;
    let metrics = &MetricsConfig::read(Environment::from_process());
    let handler = service_fn(move |event: LambdaEvent<Value>| async move {
        let context = RunContext {
            now: OffsetDateTime::now_utc(),
            deadline: Some(deadline(event.context.deadline())),
            ..RunContext::unbounded()
        };
        let tables = ["tables", "windows"]
            .iter()
            .find_map(|field| Some(event.payload.get(field)?.as_array()?.len()));
        let answer = match metrics {
            Ok(metrics) => step(event.payload, context).await.and_then(|answer| {
                for measured in answer.metrics() {
                    println!("{}", telemetry::embedded(&measured, metrics, context.now));
                }
                carried(to_json(answer)?, tables)
            }),
            Err(error) => Err(error.clone()),
        };
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

/// Returns the answer if the state machine can carry it.
///
/// # Errors
///
/// `InvalidInput`, which says how many tables would fit. Nothing could catch the failure of a payload that is too
/// large.
fn carried(answer: Value, tables: Option<usize>) -> Result<Value> {
    let bytes = answer.to_string().len();
    if bytes <= MAX_ANSWER_BYTES {
        return Ok(answer);
    }
    // An event of the steps that commit has windows in place of tables, and a slice's has neither.
    let Some(tables) = tables else {
        let message = format!(
            "the answer of this step has {bytes} bytes, and a state of Step Functions carries {MAX_ANSWER_BYTES}. Give a run fewer tables, \
             or keep them in a list (TableListKey)"
        );
        return Err(Error::new(ErrorCode::InvalidInput, message));
    };
    let fit = tables * MAX_ANSWER_BYTES / bytes;
    let message = format!(
        "the run is too large: what this step answers for its {tables} tables has {bytes} bytes, and a state of Step Functions carries \
         {MAX_ANSWER_BYTES}. Give a run {fit} of these tables at most, or keep them in a list (TableListKey), which is copied in runs of \
         TablesPerRun tables"
    );
    Err(Error::new(ErrorCode::InvalidInput, message))
}

/// Converts the wall-clock deadline of an invocation to the monotonic clock.
fn deadline(at: SystemTime) -> Instant {
    Instant::now() + at.duration_since(SystemTime::now()).unwrap_or(Duration::ZERO)
}

fn to_json<T: Serialize>(answer: T) -> Result<Value> {
    serde_json::to_value(answer)
        .map_err(|error| Error::with_source(ErrorCode::Internal, "the answer cannot be written as JSON", error))
}

#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "by hand the terminal is the caller"
)]
async fn by_hand<T: Measured>(step: impl AsyncFn(Value, RunContext) -> Result<T>) -> ExitCode {
    logs::start(std::io::stderr);
    let answer = async {
        let event = read_event().await?;
        let context = RunContext {
            progress: if std::io::stderr().is_terminal() { show } else { |_| {} },
            ..RunContext::unbounded()
        };
        let answer = to_json(step(event, context).await?)?;
        serde_json::to_string_pretty(&answer)
            .map_err(|error| Error::with_source(ErrorCode::Internal, "the answer cannot be written as JSON", error))
    };
    let answer = answer.await;
    erase_progress();
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

/// Shows the progress of a step on the terminal: it overwrites the line and erases what remains of it.
#[expect(clippy::print_stderr, reason = "by hand the terminal is the caller")]
fn show(progress: Progress) {
    eprint!("\r{}\x1b[K", progress_text(progress));
}

#[expect(clippy::print_stderr, reason = "by hand the terminal is the caller")]
fn erase_progress() {
    if std::io::stderr().is_terminal() {
        eprint!("\r\x1b[K");
    }
}

fn progress_text(progress: Progress) -> String {
    match progress {
        Progress::BytesUploaded(bytes) => format!("{} MB uploaded", bytes / 1_000_000),
        Progress::RowsLoaded(rows) => format!("{rows} rows loaded"),
        Progress::TablesLookedUp(tables) => format!("{tables} tables done"),
    }
}

/// Reads the event in the file that the only argument names, or on standard input.
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
            format!("the event in {name} cannot be read: name a file with an event in UTF-8"),
            error,
        )
    })?;
    serde_json::from_str(&text).map_err(|error| {
        Error::with_source(
            ErrorCode::InvalidInput,
            format!("the event in {name} is not JSON: infra/events has one for each step"),
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
        tables: Vec<tidemark::model::table::TableSpec>,
    }

    #[test]
    fn a_wrong_event_names_the_field() {
        for (event, named) in [
            (json!({}), "missing field `tables`"),
            (json!({"tables": [], "tabels": 1}), "tabels"),
            (json!({"tables": [{"table": 7, "tracking": {}}]}), "tables[0].table"),
            (json!([[]]), "not a JSON object"),
            (json!("tables"), "not a JSON object"),
        ] {
            let error = checked(event).and_then(decode::<Request>).unwrap_err();
            assert_eq!(error.code(), ErrorCode::InvalidInput);
            assert!(error.to_string().contains(named), "{error}");
        }
    }

    #[test]
    fn an_answer_that_no_state_can_carry_is_refused_with_how_many_tables_fit() {
        let answer = |tables: usize| json!({ "tables": vec!["x".repeat(997); tables] });
        assert_eq!(carried(answer(100), Some(100)).unwrap(), answer(100));
        let error = carried(answer(500), Some(500)).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidInput);
        let text = error.to_string();
        assert!(text.contains("its 500 tables has 500012 bytes"), "{text}");
        assert!(
            text.contains("249 of these tables at most") && text.contains("TableListKey"),
            "{text}"
        );
        let text = carried(answer(500), None).unwrap_err().to_string();
        assert!(
            text.contains("has 500012 bytes") && text.contains("TableListKey"),
            "{text}"
        );
    }
}
