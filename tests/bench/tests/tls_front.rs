//! TLS in front of a server that has none: whoever trusts the file that it writes reaches the server.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use tidemark_bench::tls_front::TlsFront;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

#[tokio::test(flavor = "multi_thread")]
async fn who_trusts_its_file_reaches_the_server_behind_it() {
    let behind = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let front = TlsFront::start(behind.local_addr().unwrap()).await.unwrap();
    let answering = tokio::spawn(async move {
        let (mut stream, _) = behind.accept().await.unwrap();
        let mut question = [0; 4];
        stream.read_exact(&mut question).await.unwrap();
        stream.write_all(b"pong").await.unwrap();
        question
    });
    let folder = tempfile::tempdir().unwrap();
    let authority = folder.path().join("authority.pem");
    std::fs::write(&authority, "of the source\n").unwrap();
    let [(endpoint, url), (trusted, bundle)] = front.environment(folder.path(), Some(&authority)).unwrap();
    assert_eq!((endpoint, trusted), ("AWS_ENDPOINT_URL", "SSL_CERT_FILE"));
    assert_eq!(url, format!("https://{}", front.address));
    assert!(std::fs::read_to_string(&bundle).unwrap().contains("of the source"));

    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(&bundle).unwrap() {
        roots.add(certificate.unwrap()).unwrap();
    }
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(front.address).await.unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let mut stream = connector
        .connect("127.0.0.1".try_into().unwrap(), stream)
        .await
        .unwrap();
    stream.write_all(b"ping").await.unwrap();
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!((&answer, &answering.await.unwrap()), (b"pong", b"ping"));
}
