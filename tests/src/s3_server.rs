//! An S3 server on a folder of its own, for the real S3 adapter: `s3s-fs` behind real HTTP.
//!
//! Two things that S3 does and `s3s-fs` does not are added in front of it: a conditional write is one step, for which
//! such writes go one at a time here; and a write to a bucket that does not exist is refused. It also answers for
//! Secrets Manager, with the one secret it is given, so that a function's binary can be run against it as it is.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError};

use aws_sdk_s3::config::{Credentials, Region, SharedCredentialsProvider};
use aws_types::sdk_config;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tidemark_aws::bucket::S3Store;
use tidemark_aws::clients::Aws;
use tokio::net::TcpListener;
use tokio::sync::RwLock;
use tokio::task::JoinHandle;

use crate::s3_faults::{S3Fault, S3Faults};

/// The bucket that exists from the start.
pub const BUCKET: &str = "lake";
/// The access key that it takes.
pub const ACCESS_KEY: &str = "tidemark";
/// The secret of that key.
pub const SECRET_KEY: &str = "tidemark-secret";

/// A running server. Dropping it stops it and removes its folder.
#[derive(Debug)]
pub struct S3Server {
    folder: TempDir,
    aws: Aws,
    address: SocketAddr,
    faults: Arc<S3Faults>,
    secret: Arc<Secret>,
    accepting: JoinHandle<()>,
}

impl S3Server {
    /// Starts a server with one empty bucket, [`BUCKET`].
    pub async fn start() -> io::Result<Self> {
        Self::start_with(|config| config).await
    }

    /// Starts such a server for other clients than those deployed.
    pub async fn start_with(clients: impl FnOnce(sdk_config::Builder) -> sdk_config::Builder) -> io::Result<Self> {
        let folder = TempDir::new()?;
        std::fs::create_dir(folder.path().join(BUCKET))?;
        let files = FileSystem::new(folder.path()).map_err(|error| io::Error::other(format!("{error:?}")))?;
        let secret: Arc<Secret> = Arc::default();
        let faults: Arc<S3Faults> = Arc::default();
        let mut service = S3ServiceBuilder::new(files);
        service.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let service = Front {
            service: service.build(),
            folder: folder.path().to_owned(),
            one_at_a_time: Arc::default(),
            secret: Arc::clone(&secret),
            faults: Arc::clone(&faults),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // The head and the body of an answer are two writes: without this option, the second waits 40 ms for
                // the client's ACK.
                let _ = stream.set_nodelay(true);
                let front = service.clone();
                tokio::spawn(async move {
                    let answer = service_fn(move |request| front.clone().answer(request));
                    let server = Builder::new(TokioExecutor::new());
                    // A client that hangs up is no error of the server.
                    let _ = server.serve_connection(TokioIo::new(stream), answer).await;
                });
            }
        });
        Ok(Self {
            folder,
            aws: Aws::load(clients(config_at(address))),
            address,
            faults,
            secret,
            accepting,
        })
    }

    /// Returns the address at which it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the faults of its requests. Nothing goes wrong unless it is ordered there.
    #[must_use]
    pub fn faults(&self) -> &S3Faults {
        &self.faults
    }

    /// Returns the adapter over [`BUCKET`].
    #[must_use]
    pub fn store(&self) -> S3Store {
        self.store_of(BUCKET)
    }

    /// Returns the adapter over a bucket of this name, which may not be there.
    #[must_use]
    pub fn store_of(&self, bucket: &str) -> S3Store {
        self.aws.store(bucket)
    }

    /// Answers every request for a secret with `content` from now on.
    pub fn keep_secret(&self, content: String) {
        self.secret.content().0 = Some(content);
    }

    /// Returns how often a secret was read.
    #[must_use]
    pub fn secrets_read(&self) -> usize {
        self.secret.content().1
    }

    /// Returns the clients of a process that uses this server as its AWS.
    #[must_use]
    pub const fn aws(&self) -> &Aws {
        &self.aws
    }

    /// Returns what a process needs in its environment to use this server as its AWS.
    #[must_use]
    pub fn environment(&self) -> [(&'static str, String); 4] {
        [
            ("AWS_ENDPOINT_URL", format!("http://{}", self.address)),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY.to_owned()),
        ]
    }

    /// Returns the folder in which the bucket's objects are files.
    #[must_use]
    pub fn files(&self) -> PathBuf {
        Path::new(self.folder.path()).join(BUCKET)
    }
}

/// Returns the configuration of the deployed clients, for a server at this address that takes [`ACCESS_KEY`].
pub fn config_at(address: SocketAddr) -> sdk_config::Builder {
    Aws::defaults()
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
            ACCESS_KEY, SECRET_KEY, None, None, "test",
        )))
        .region(Region::new("us-east-1"))
        .endpoint_url(format!("http://{address}"))
}

/// The one secret, and how often it was read.
#[derive(Debug, Default)]
struct Secret(StdMutex<(Option<String>, usize)>);

impl Secret {
    fn content(&self) -> MutexGuard<'_, (Option<String>, usize)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What stands in front of `s3s-fs`.
#[derive(Clone)]
struct Front {
    service: S3Service,
    folder: PathBuf,
    one_at_a_time: Arc<RwLock<()>>,
    secret: Arc<Secret>,
    faults: Arc<S3Faults>,
}

impl Front {
    /// Answers `GetSecretValue`, whatever the secret's name is.
    fn secret_value(&self) -> Response<s3s::Body> {
        let mut secret = self.secret.content();
        secret.1 += 1;
        let (status, answer) = match &secret.0 {
            Some(secret) => (
                StatusCode::OK,
                serde_json::json!({ "Name": "source", "SecretString": secret }),
            ),
            None => (
                StatusCode::BAD_REQUEST,
                serde_json::json!({ "__type": "ResourceNotFoundException" }),
            ),
        };
        let mut response = Response::new(s3s::Body::from(answer.to_string()));
        *response.status_mut() = status;
        response
    }

    /// Answers a request. An error cuts the connection.
    async fn answer(self, request: Request<Incoming>) -> Result<Response<s3s::Body>, Box<dyn Error + Send + Sync>> {
        let fault = self.faults.meet(format!("{} {}", request.method(), request.uri()));
        match fault {
            Some(S3Fault::SlowDown) => return Ok(refusal(StatusCode::SERVICE_UNAVAILABLE, "SlowDown")),
            Some(S3Fault::InternalError) => return Ok(refusal(StatusCode::INTERNAL_SERVER_ERROR, "InternalError")),
            Some(S3Fault::CutBefore) => return Err("cut before the request was through".into()),
            Some(S3Fault::Silence) => std::future::pending().await,
            Some(S3Fault::CutAfter) | None => {}
        }
        if request.headers().contains_key("x-amz-target") {
            return Ok(self.secret_value());
        }
        let bucket = request.uri().path().split('/').nth(1).unwrap_or_default();
        if !self.folder.join(bucket).is_dir() {
            return Ok(refusal(StatusCode::NOT_FOUND, "NoSuchBucket"));
        }
        let conditional = request.headers().contains_key("if-none-match") || request.headers().contains_key("if-match");
        // An object and its checksum are two files, and whoever reads an object while it is replaced must not see the
        // old one of these and the new one of the other.
        let (writing, reading) = if conditional {
            (Some(self.one_at_a_time.write().await), None)
        } else {
            (None, Some(self.one_at_a_time.read().await))
        };
        let response = self.service.call(request.map(s3s::Body::from)).await;
        drop((writing, reading));
        if fault == Some(S3Fault::CutAfter) {
            return Err("cut before the answer".into());
        }
        Ok(response?)
    }
}

/// Makes an error as S3 reports it.
fn refusal(status: StatusCode, code: &str) -> Response<s3s::Body> {
    let body = format!("<Error><Code>{code}</Code><Message>{code}</Message></Error>");
    let mut response = Response::new(s3s::Body::from(body));
    *response.status_mut() = status;
    response
}

impl Drop for S3Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}
