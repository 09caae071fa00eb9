//! An S3 server on a folder of its own, for the real S3 adapter: `s3s-fs` behind real HTTP.

use std::io;
use std::path::Path;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tidemark::adapters::s3::S3Store;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The bucket that is there from the start.
pub const BUCKET: &str = "lake";

/// A running server. Dropping it stops it and removes its folder.
#[derive(Debug)]
pub struct S3Server {
    folder: TempDir,
    client: Client,
    accepting: JoinHandle<()>,
}

impl S3Server {
    /// Starts a server with one empty bucket, [`BUCKET`].
    pub async fn start() -> io::Result<Self> {
        let folder = TempDir::new()?;
        std::fs::create_dir(folder.path().join(BUCKET))?;
        let files = FileSystem::new(folder.path()).map_err(|error| io::Error::other(format!("{error:?}")))?;
        let (key, secret) = ("tidemark", "tidemark-secret");
        let mut service = S3ServiceBuilder::new(files);
        service.set_auth(SimpleAuth::from_single(key, secret));
        let service = service.build();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let service = service.clone();
                tokio::spawn(async move {
                    // A client that hangs up is no error of the server.
                    let _ = Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .credentials_provider(Credentials::new(key, secret, None, None, "test"))
            .region(Region::new("us-east-1"))
            .endpoint_url(endpoint)
            .force_path_style(true)
            .build();
        Ok(Self {
            folder,
            client: Client::from_conf(config),
            accepting,
        })
    }

    /// The adapter over [`BUCKET`].
    #[must_use]
    pub fn store(&self) -> S3Store {
        self.store_of(BUCKET)
    }

    /// The adapter over a bucket of this name, which may not be there.
    #[must_use]
    pub fn store_of(&self, bucket: &str) -> S3Store {
        S3Store::new(self.client.clone(), bucket)
    }

    /// Where the bucket's objects are files.
    #[must_use]
    pub fn files(&self) -> std::path::PathBuf {
        Path::new(self.folder.path()).join(BUCKET)
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}
