//! The HTTP client below the AWS clients and the issuers of tokens. It speaks HTTP/1.1 over hyper, and uses rustls with
//! the certificates of the system or of `SSL_CERT_FILE`.
//!
//! The SDK's own client always links HTTP/2, which S3 does not speak, and reads the certificates several times before
//! the first event. This one also applies the timeouts of the configuration and the proxy of `HTTPS_PROXY`, unless
//! `NO_PROXY` names the host, and it does not use a connection again over which an attempt failed.

#[cfg(test)]
mod tests;

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use aws_smithy_runtime_api::client::connection::{CaptureSmithyConnection, ConnectionMetadata};
use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use aws_smithy_types::retry::ErrorKind;
use bytes::Bytes;
use http::Uri;
use http::uri::Scheme;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{CaptureConnection, capture_connection};
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
use tokio::net::TcpStream;
use tower_service::Service;

pub(crate) type BoxError = Box<dyn StdError + Send + Sync>;
type BoxFuture<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;
type Tcp = legacy::connect::HttpConnector;

/// The HTTP client of all AWS clients of a function, which share its connections. It opens and reads nothing before the
/// first request.
#[derive(Debug, Clone, Default)]
pub struct Http {
    connectors: Arc<Mutex<Vec<(Limits, SharedHttpConnector)>>>,
}

/// The answer of a service.
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) body: Bytes,
}

/// The limit for a whole answer to [`Http::send`], including its body.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);

impl Http {
    /// Sends a request once, outside the AWS clients.
    pub(crate) async fn send(&self, request: http::Request<SdkBody>) -> Result<Answered, BoxError> {
        let connector = self.connector(Limits {
            connect: Some(Duration::from_secs(5)),
            read: Some(Duration::from_secs(15)),
        });
        let request = HttpRequest::try_from(request)?;
        within(Some(ANSWER_LIMIT), "an answer", async {
            let answer = connector.call(request).await.map_err(BoxError::from)?;
            let status = answer.status().as_u16();
            let body = ByteStream::new(answer.into_body())
                .collect()
                .await
                .map_err(BoxError::from)?;
            Ok::<_, BoxError>(Answered {
                status,
                body: body.into_bytes(),
            })
        })
        .await
    }

    fn connector(&self, limits: Limits) -> SharedHttpConnector {
        let mut connectors = self.connectors.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, connector)) = connectors.iter().find(|(of, _)| *of == limits) {
            return connector.clone();
        }
        let connector = SharedHttpConnector::new(Connector::new(limits));
        connectors.push((limits, connector.clone()));
        connector
    }
}

impl HttpClient for Http {
    fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        self.connector(Limits {
            connect: settings.connect_timeout(),
            read: settings.read_timeout(),
        })
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        Some(ConnectorMetadata::new("hyper", Some("1.x".into())))
    }
}

/// The limits for waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Limits {
    /// The limit for a connection, including its TLS handshake.
    connect: Option<Duration>,
    /// The limit for the head of the answer.
    read: Option<Duration>,
}

/// A client with its own limits, which sends requests over connections that are kept.
#[derive(Debug)]
struct Connector {
    client: legacy::Client<Dial, SdkBody>,
    read: Option<Duration>,
}

impl Connector {
    fn new(limits: Limits) -> Self {
        let client = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .build(Dial::new(limits.connect));
        Self {
            client,
            read: limits.read,
        }
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let mut request = match request.try_into_http1x() {
            Ok(request) => request,
            Err(error) => return HttpConnectorFuture::ready(Err(ConnectorError::user(error.into()))),
        };
        let used = capture_connection(&mut request);
        if let Some(capture) = request.extensions().get::<CaptureSmithyConnection>() {
            capture.set_connection_retriever(move || connection(&used));
        }
        let (sending, limit) = (self.client.request(request), self.read);
        HttpConnectorFuture::new(async move {
            let response = within(limit, "an answer", sending).await.map_err(error_of)?;
            HttpResponse::try_from(response.map(SdkBody::from_body_1_x))
                .map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

/// Returns the handle by which the SDK discards the connection of a failed request.
fn connection(used: &CaptureConnection) -> Option<ConnectionMetadata> {
    used.connection_metadata().as_ref()?;
    let used = used.clone();
    let poison = move || {
        if let Some(connected) = used.connection_metadata().as_ref() {
            connected.poison();
        }
    };
    Some(ConnectionMetadata::builder().proxied(false).poison_fn(poison).build())
}

/// The opener of connections within a limit: with TLS for `https`, and through the proxy of the environment.
#[derive(Clone)]
struct Dial {
    route: Route,
    tls: Arc<OnceLock<Result<HttpsConnector<Route>, String>>>,
    limit: Option<Duration>,
}

impl fmt::Debug for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dial")
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

impl Dial {
    fn new(limit: Option<Duration>) -> Self {
        let mut tcp = Tcp::new();
        tcp.set_nodelay(true);
        tcp.enforce_http(false);
        let route = Route {
            tcp,
            proxies: Arc::new(Matcher::from_env()),
        };
        Self {
            route,
            tls: Arc::default(),
            limit,
        }
    }

    /// Returns the connector for TLS. The first call reads the trusted certificates, unless they are read already.
    fn tls(&self) -> Result<HttpsConnector<Route>, BoxError> {
        let connector = self.tls.get_or_init(|| {
            let authorities = tidemark_trust::authorities().map_err(|reasons| {
                format!("this machine has no list of trusted certificates ({reasons}): name one in SSL_CERT_FILE")
            })?;
            let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()
                .map_err(|error| error.to_string())?
                .with_root_certificates(authorities)
                .with_no_client_auth();
            let builder = HttpsConnectorBuilder::new().with_tls_config(config);
            Ok(builder.https_only().enable_http1().wrap_connector(self.route.clone()))
        });
        connector.clone().map_err(BoxError::from)
    }
}

impl Service<Uri> for Dial {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = BoxError;
    type Future = BoxFuture<Self::Response>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.route.poll_ready(context)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (mut dial, limit) = (self.clone(), self.limit);
        Box::pin(within(limit, "a connection", async move {
            if uri.scheme() == Some(&Scheme::HTTPS) {
                dial.tls()?.call(uri).await
            } else {
                dial.route.call(uri).await.map(MaybeHttpsStream::Http)
            }
        }))
    }
}

/// The opener of TCP connections to a host or, for `https`, through the proxy in front of it.
#[derive(Debug, Clone)]
struct Route {
    tcp: Tcp,
    proxies: Arc<Matcher>,
}

impl Service<Uri> for Route {
    type Response = TokioIo<TcpStream>;
    type Error = BoxError;
    type Future = BoxFuture<Self::Response>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.tcp.poll_ready(context).map_err(BoxError::from)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let proxy = self.proxies.intercept(&uri);
        let Some(proxy) = proxy.filter(|_| uri.scheme() == Some(&Scheme::HTTPS)) else {
            let connecting = self.tcp.call(uri);
            return Box::pin(async move { Ok(connecting.await?) });
        };
        let mut tcp = self.tcp.clone();
        // A proxy that expects TLS for itself is refused, because otherwise it would be sent plain text.
        tcp.enforce_http(true);
        let mut tunnel = Tunnel::new(proxy.uri().clone(), tcp);
        if let Some(authorization) = proxy.basic_auth() {
            tunnel = tunnel.with_auth(authorization.clone());
        }
        let connecting = tunnel.call(uri);
        Box::pin(async move { Ok(connecting.await?) })
    }
}

/// The error for something that did not come in time.
#[derive(Debug, thiserror::Error)]
#[error("{what} did not come within {limit:?}")]
struct TimedOut {
    what: &'static str,
    limit: Duration,
}

async fn within<T, E: Into<BoxError>>(
    limit: Option<Duration>,
    what: &'static str,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, BoxError> {
    match limit {
        None => work.await.map_err(Into::into),
        Some(limit) => match tokio::time::timeout(limit, work).await {
            Ok(outcome) => outcome.map_err(Into::into),
            Err(_) => Err(TimedOut { what, limit }.into()),
        },
    }
}

/// Classifies an error of the connection. The class decides whether the SDK tries again.
fn error_of(error: BoxError) -> ConnectorError {
    if source::<TimedOut>(&*error).is_some() {
        return ConnectorError::timeout(error);
    }
    let is_io = source::<std::io::Error>(&*error).is_some();
    if let Some(cause) = source::<hyper::Error>(&*error) {
        if cause.is_user() {
            return ConnectorError::user(error);
        }
        if cause.is_incomplete_message() {
            // S3 sometimes closes a connection in this way.
            return ConnectorError::other(error, Some(ErrorKind::TransientError));
        }
        if is_io || cause.is_closed() || cause.is_canceled() {
            return ConnectorError::io(error);
        }
    }
    if is_io || source::<legacy::Error>(&*error).is_some_and(legacy::Error::is_connect) {
        return ConnectorError::io(error);
    }
    ConnectorError::other(error, None)
}

/// Returns the first cause of this type.
fn source<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        cause = error.source();
    }
    None
}
