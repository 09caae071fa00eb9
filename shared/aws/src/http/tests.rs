//! Tests certificates, proxies, timeouts and broken connections.
//!
//! Certificates and proxies come from the environment, so each such case runs in a process of its own: this test binary
//! again, with the environment of the case.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::*;

const CASE: &str = "TIDEMARK_HTTP_CASE";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
/// A limit that nothing on this machine exceeds.
const PATIENT: Duration = Duration::from_secs(20);
const IMPATIENT: Duration = Duration::from_millis(200);

/// Reads the head of a request. It is empty when there is no request.
fn head(stream: &mut impl Read) -> Vec<String> {
    let mut lines = BufReader::with_capacity(1, stream).lines();
    let lines = std::iter::from_fn(|| lines.next()?.ok().filter(|line| !line.is_empty()));
    lines.collect()
}

/// Handles every connection with `serve` in a thread of its own. Returns the port.
fn listen(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let serve = Arc::new(serve);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let serve = serve.clone();
            thread::spawn(move || serve(stream.unwrap()));
        }
    });
    port
}

/// Starts a server for `127.0.0.1` and `sink.test`, whose certificate comes from a CA of its own. Returns the port and
/// the CA's certificate.
fn start_with_tls() -> (u16, String) {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.distinguished_name.push(DnType::CommonName, "HTTP CA");
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_certificate = ca.self_signed(&ca_key).unwrap().pem();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned(), "sink.test".to_owned()])
        .unwrap()
        .signed_by(&key, &Issuer::new(ca, ca_key))
        .unwrap();
    let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let port = listen(move |stream| {
        let tls = ServerConnection::new(config.clone()).unwrap();
        let mut stream = StreamOwned::new(tls, stream);
        // A client that does not trust the certificate sends no request.
        if !head(&mut stream).is_empty() {
            stream.write_all(ANSWER).unwrap();
        }
    });
    (port, ca_certificate)
}

/// Starts a proxy that connects every host to `port` of this machine, and accepts clients with the credentials
/// `user:word`.
fn start_proxy(port: u16) -> u16 {
    listen(move |mut stream| {
        let asked = head(&mut stream);
        let is_known = asked.iter().any(|line| line.ends_with("Basic dXNlcjp3b3Jk"));
        if !asked[0].starts_with("CONNECT sink.test:") || !is_known {
            stream.write_all(b"HTTP/1.1 407 no\r\n\r\n").unwrap();
            return;
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        let host = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let (mut from, mut to) = (stream.try_clone().unwrap(), host.try_clone().unwrap());
        thread::spawn(move || std::io::copy(&mut from, &mut to));
        let _ = std::io::copy(&mut { host }, &mut stream);
    })
}

async fn get(connector: &Connector, url: &str) -> Result<(), ConnectorError> {
    let answer = connector.call(HttpRequest::get(url).unwrap()).await?;
    // The body is read to its end, so that the connection is free again.
    let body = ByteStream::new(answer.into_body());
    assert_eq!(body.collect().await.unwrap().into_bytes(), "ok");
    Ok(())
}

fn patient() -> Connector {
    Connector::new(Limits {
        connect: Some(PATIENT),
        read: Some(PATIENT),
    })
}

#[test]
fn a_certificate_must_be_of_a_trusted_ca_and_for_the_host_through_a_proxy_too() {
    let (port, ca) = start_with_tls();
    let proxy = start_proxy(port);
    let directory = tempfile::tempdir().unwrap();
    let (bundle, none) = (directory.path().join("ca.pem"), directory.path().join("none.pem"));
    std::fs::write(&bundle, ca).unwrap();
    std::fs::write(&none, "").unwrap();
    let (direct, named) = (
        format!("https://127.0.0.1:{port}/"),
        format!("https://sink.test:{port}/"),
    );
    let ways = [
        format!("http://user:word@127.0.0.1:{proxy}"),
        format!("http://127.0.0.1:{proxy}"),
        format!("https://user:word@127.0.0.1:{proxy}"),
    ];

    for (ca_file, way, except, url, expected) in [
        (Some(&bundle), None, "", &direct, "Ok"),
        (
            Some(&bundle),
            None,
            "",
            &format!("https://localhost:{port}/"),
            "NotValidForName",
        ),
        (None, None, "", &direct, "UnknownIssuer"),
        (Some(&none), None, "", &direct, "trusted certificates"),
        (Some(&bundle), Some(&ways[0]), "", &named, "Ok"),
        (None, Some(&ways[0]), "", &named, "UnknownIssuer"),
        (Some(&bundle), Some(&ways[0]), "sink.test", &named, "dns error"),
        (Some(&bundle), Some(&ways[1]), "", &named, "ProxyAuthRequired"),
        (Some(&bundle), Some(&ways[2]), "", &named, "scheme is not http"),
    ] {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "http::tests::one_case", "--ignored", "--nocapture"])
            .env(CASE, url)
            .env("NO_PROXY", except);
        for name in [
            "SSL_CERT_FILE",
            "SSL_CERT_DIR",
            "HTTPS_PROXY",
            "https_proxy",
            "no_proxy",
            "ALL_PROXY",
            "all_proxy",
        ] {
            command.env_remove(name);
        }
        command.envs(ca_file.map(|file| ("SSL_CERT_FILE", file)));
        command.envs(way.map(|way| ("HTTPS_PROXY", way)));
        let outcome = String::from_utf8(command.output().unwrap().stdout).unwrap();
        let outcome = outcome.split_once("outcome ").unwrap().1;
        assert!(
            outcome.contains(expected),
            "{ca_file:?} {way:?} {except} {url}: {outcome}"
        );
    }
}

#[tokio::test]
#[ignore = "one case of the test above, in a process of its own"]
async fn one_case() {
    let Ok(url) = std::env::var(CASE) else { return };
    match get(&patient(), &url).await {
        Ok(()) => println!("outcome Ok"),
        Err(error) => println!("outcome {error:?}"),
    }
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up() {
    let silent = listen(|mut stream| drop(stream.read_to_end(&mut Vec::new())));
    for (scheme, connect, read) in [("https", IMPATIENT, PATIENT), ("http", PATIENT, IMPATIENT)] {
        let connector = Connector::new(Limits {
            connect: Some(connect),
            read: Some(read),
        });
        let error = get(&connector, &format!("{scheme}://127.0.0.1:{silent}/")).await;
        let error = error.unwrap_err();
        assert!(error.is_timeout(), "{scheme}: {error:?}");
    }
}

#[tokio::test]
async fn what_another_try_may_mend_is_told_from_what_it_cannot() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = get(&patient(), &format!("http://127.0.0.1:{closed}/"))
        .await
        .unwrap_err();
    assert!(error.is_io(), "{error:?}");

    let hangs_up = listen(|mut stream| drop(head(&mut stream)));
    let error = get(&patient(), &format!("http://127.0.0.1:{hangs_up}/"))
        .await
        .unwrap_err();
    assert_eq!(error.as_other(), Some(ErrorKind::TransientError), "{error:?}");

    let no_http = listen(|mut stream| {
        head(&mut stream);
        stream.write_all(b"220 mail\r\n\r\n").unwrap();
    });
    let error = get(&patient(), &format!("http://127.0.0.1:{no_http}/"))
        .await
        .unwrap_err();
    assert!(error.is_other() && error.as_other().is_none(), "{error:?}");
}

#[tokio::test]
async fn a_connection_is_kept_until_a_request_failed_on_it() {
    let opened = Arc::new(AtomicUsize::new(0));
    let counted = opened.clone();
    let port = listen(move |mut stream| {
        counted.fetch_add(1, Ordering::SeqCst);
        while !head(&mut stream).is_empty() {
            stream.write_all(ANSWER).unwrap();
        }
    });
    let (connector, url) = (patient(), format!("http://127.0.0.1:{port}/"));
    for _ in 0..3 {
        get(&connector, &url).await.unwrap();
    }
    assert_eq!(opened.load(Ordering::SeqCst), 1);

    let capture = CaptureSmithyConnection::new();
    let mut request = HttpRequest::get(&url).unwrap();
    request.add_extension(capture.clone());
    let answer = connector.call(request).await.unwrap();
    capture.get().unwrap().poison();
    drop(answer);
    get(&connector, &url).await.unwrap();
    assert_eq!(opened.load(Ordering::SeqCst), 2);
}
