//! The Lambda service as a function's process sees it: started with the environment of the service, and given one event
//! at a time through the Runtime API (<https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>).

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::HeaderValue;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

use crate::Failure;

const ARN: &str = "arn:aws:lambda:us-east-1:123456789012:function:bench";
const INVOCATION: &str = "/2018-06-01/runtime/invocation/";
/// The longest time that a Lambda function may run.
const LIMIT: Duration = Duration::from_secs(900);
/// A time that is longer than any step takes on this machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A call of the process, and when it came.
enum Call {
    /// It asks for the next event.
    Next(Instant, oneshot::Sender<Value>),
    /// It answers, or fails with the error it reports.
    Done(Instant, Result<Value, String>),
}

/// A function's process that waits for events.
pub struct Function {
    /// The process. It is the first field, so that it is dropped, and so ended, before the channels that answer it.
    process: Process,
    calls: mpsc::UnboundedReceiver<Call>,
    next: oneshot::Sender<Value>,
    /// The time from its start until it asked for the first event.
    pub first_poll: Duration,
}

/// A process that ends with its owner.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Function {
    /// Starts `binary` with this environment and that of the service and no other variables, and waits until it is
    /// ready.
    pub async fn start(binary: &Path, environment: &BTreeMap<String, String>) -> Result<Self, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let api = listener.local_addr()?;
        let (heard, mut calls) = mpsc::unbounded_channel();
        tokio::spawn(serve(listener, heard));
        let mut command = Command::new(binary);
        command
            .env_clear()
            .envs(environment)
            .env("AWS_LAMBDA_RUNTIME_API", api.to_string())
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1024")
            .env("AWS_LAMBDA_LOG_FORMAT", "JSON")
            .env("AWS_LAMBDA_LOG_LEVEL", "WARN")
            .env("_HANDLER", "bootstrap")
            .env("TZ", ":UTC")
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        if let Some(name) = binary.file_name() {
            command.env("AWS_LAMBDA_FUNCTION_NAME", name);
        }
        let started = Instant::now();
        let process = Process(command.spawn()?);
        let (at, next) = ready(&mut calls).await?;
        Ok(Self {
            calls,
            next,
            process,
            first_poll: at - started,
        })
    }

    /// Invokes the function once. Returns its answer, and the time from the event to the answer, after the process
    /// waits again.
    pub async fn invoke(&mut self, event: Value) -> Result<(Value, Duration), Failure> {
        let (unused, _) = oneshot::channel();
        let started = Instant::now();
        if std::mem::replace(&mut self.next, unused).send(event).is_err() {
            return Err(format!("process {} no longer waits", self.process.0.id()).into());
        }
        let Call::Done(at, outcome) = call(&mut self.calls).await? else {
            return Err("the process asks for an event before it answered one".into());
        };
        (_, self.next) = ready(&mut self.calls).await?;
        Ok((outcome?, at - started))
    }
}

/// Waits for the next request for an event.
async fn ready(calls: &mut mpsc::UnboundedReceiver<Call>) -> Result<(Instant, oneshot::Sender<Value>), Failure> {
    match call(calls).await? {
        Call::Next(at, next) => Ok((at, next)),
        Call::Done(_, outcome) => Err(format!("an answer without an event: {outcome:?}").into()),
    }
}

async fn call(calls: &mut mpsc::UnboundedReceiver<Call>) -> Result<Call, Failure> {
    let heard = tokio::time::timeout(PATIENCE, calls.recv()).await;
    Ok(heard
        .map_err(|_| "the function does not answer")?
        .ok_or("the Runtime API ended")?)
}

/// Answers until the process is gone.
async fn serve(listener: TcpListener, heard: mpsc::UnboundedSender<Call>) {
    while let Ok((stream, _)) = listener.accept().await {
        if heard.is_closed() || stream.set_nodelay(true).is_err() {
            return;
        }
        let heard = heard.clone();
        tokio::spawn(async move {
            let answer = service_fn(move |request| answer(request, heard.clone()));
            let server = hyper::server::conn::http1::Builder::new();
            // The end of the process is the end of its connection.
            let _ = server.serve_connection(TokioIo::new(stream), answer).await;
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    heard: mpsc::UnboundedSender<Call>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let at = Instant::now();
    let path = request.uri().path().to_owned();
    let mut response = Response::new(Full::default());
    if request.method() == Method::GET && path.strip_prefix(INVOCATION) == Some("next") {
        let (next, event) = oneshot::channel();
        let is_heard = heard.send(Call::Next(at, next)).is_ok();
        match event.await {
            Ok(event) if is_heard => {
                let deadline = SystemTime::now()
                    .duration_since(SystemTime::UNIX_EPOCH)
                    .unwrap_or_default()
                    + LIMIT;
                let milliseconds = u64::try_from(deadline.as_millis()).unwrap_or_default();
                for (name, value) in [
                    ("lambda-runtime-aws-request-id", HeaderValue::from_static("bench")),
                    ("lambda-runtime-deadline-ms", milliseconds.into()),
                    ("lambda-runtime-invoked-function-arn", HeaderValue::from_static(ARN)),
                ] {
                    response.headers_mut().insert(name, value);
                }
                *response.body_mut() = Full::from(event.to_string());
            }
            _ => *response.status_mut() = StatusCode::GONE,
        }
        return Ok(response);
    }
    let body = request
        .into_body()
        .collect()
        .await
        .map(http_body_util::Collected::to_bytes)
        .unwrap_or_default();
    let text = String::from_utf8_lossy(&body);
    let outcome = if path.ends_with("/response") {
        serde_json::from_slice(&body).map_err(|error| format!("{error}: {text}"))
    } else {
        Err(format!("{path}: {text}"))
    };
    // Nobody listens any more when the measurement has failed.
    let _ = heard.send(Call::Done(at, outcome));
    *response.status_mut() = StatusCode::ACCEPTED;
    Ok(response)
}
