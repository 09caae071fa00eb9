//! Tests with servers of rustls, over sockets that block at every byte.

use std::error::Error as _;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    HandshakeKind, RootCertStore, ServerConfig, ServerConnection, SignatureScheme, StreamOwned,
    SupportedProtocolVersion, version,
};

use crate::verifier::verify;
use crate::{Certificate, HandshakeError, TlsConnector, TlsStream};

const HOST: &str = "127.0.0.1";
/// The byte with which a client asks the server to close the connection without the closing message of TLS.
const HANG_UP: u8 = 0xFF;

/// A stream that would block before each read and write, and that then handles one byte.
#[derive(Debug)]
struct Hesitant {
    stream: TcpStream,
    is_ready: bool,
}

impl Hesitant {
    const fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            is_ready: false,
        }
    }

    fn hesitate(&mut self) -> io::Result<()> {
        self.is_ready = !self.is_ready;
        if self.is_ready {
            Err(ErrorKind::WouldBlock.into())
        } else {
            Ok(())
        }
    }
}

impl Read for Hesitant {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.hesitate()?;
        let one = bytes.len().min(1);
        self.stream.read(&mut bytes[..one])
    }
}

impl Write for Hesitant {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hesitate()?;
        self.stream.write(&bytes[..bytes.len().min(1)])
    }

    fn flush(&mut self) -> io::Result<()> {
        self.hesitate()?;
        self.stream.flush()
    }
}

/// A stream that counts the bytes that are written.
#[derive(Debug)]
struct Counted(TcpStream, usize);

impl Read for Counted {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.0.read(bytes)
    }
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.1 += 1;
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

struct Identity {
    authority: CertificateDer<'static>,
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

fn identity() -> Identity {
    identity_of(KeyPair::generate().unwrap())
}

fn identity_of(key: KeyPair) -> Identity {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = ca.self_signed(&ca_key).unwrap();
    let params = CertificateParams::new(vec![HOST.to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &Issuer::new(ca, ca_key)).unwrap();
    Identity {
        authority: authority.der().clone(),
        certificate: certificate.der().clone(),
        key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
    }
}

/// Starts a server that sends back what it receives, and returns its port. It hangs up during the handshake of the
/// connections with these numbers.
fn echo(version: &'static SupportedProtocolVersion, hangs_up_on: &'static [usize]) -> u16 {
    let Identity { certificate, key, .. } = identity();
    serve(version, hangs_up_on, &certificate, &key)
}

/// Starts the server of [`echo`] with this certificate and this key, which need not belong together.
fn serve(
    version: &'static SupportedProtocolVersion,
    hangs_up_on: &'static [usize],
    certificate: &CertificateDer<'static>,
    key: &PrivateKeyDer<'static>,
) -> u16 {
    let key = aws_lc_rs::sign::any_supported_type(key).unwrap();
    let presented = CertifiedKey::new(vec![certificate.clone()], key);
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(presented)));
    config.alpn_protocols = vec![b"tds/8.0".to_vec()];
    let config = Arc::new(config);
    let listener = TcpListener::bind((HOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for (index, stream) in listener.incoming().enumerate() {
            let mut stream = stream.unwrap();
            let tls = ServerConnection::new(config.clone()).unwrap();
            thread::spawn(move || {
                if hangs_up_on.contains(&index) {
                    let mut some = [0; 16];
                    return drop(stream.read(&mut some));
                }
                stream.set_nodelay(true).unwrap();
                let mut stream = StreamOwned::new(tls, stream);
                let mut bytes = [0; 50_000];
                while let Ok(read @ 1..) = stream.read(&mut bytes) {
                    if bytes[read - 1] == HANG_UP {
                        return;
                    }
                    // TLS 1.3 changes its keys before every answer, and asks for those of the client. TLS 1.2 cannot.
                    drop(stream.conn.refresh_traffic_keys());
                    stream.write_all(&bytes[..read]).unwrap();
                }
                stream.conn.send_close_notify();
                // The client may have closed the connection.
                drop(stream.flush());
            });
        }
    });
    port
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// Makes a connector that accepts what this authority has signed.
fn knowing(authority: &CertificateDer<'static>) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(authority.clone()).unwrap();
    TlsConnector::with_authorities(provider(), Arc::new(roots), &[]).unwrap()
}

fn trusting() -> TlsConnector {
    let mut builder = TlsConnector::builder();
    builder.danger_accept_invalid_certs(true).request_alpns(&["tds/8.0"]);
    builder.build().unwrap()
}

/// Connects, and continues whenever the stream would block.
fn connect<S: Read + Write + std::fmt::Debug>(connector: &TlsConnector, stream: S) -> crate::Result<TlsStream<S>> {
    let mut answer = connector.connect(HOST, stream);
    loop {
        match answer {
            Ok(stream) => return Ok(stream),
            Err(HandshakeError::WouldBlock(middle)) => answer = middle.handshake(),
            Err(HandshakeError::Failure(error)) => return Err(error),
        }
    }
}

fn patiently<T>(mut work: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match work() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            answer => return answer,
        }
    }
}

fn tcp(port: u16) -> TcpStream {
    let stream = TcpStream::connect((HOST, port)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Sends these bytes and returns those that come back.
fn echoed(stream: &mut TlsStream<impl Read + Write>, sent: &[u8]) -> io::Result<Vec<u8>> {
    let mut rest = sent;
    let mut back = Vec::new();
    let mut bytes = [0; 7_000];
    while back.len() < sent.len() {
        // Writing and reading alternate, because a client that only writes would wait for a server that only writes
        // too.
        if let Some(some) = rest.get(..rest.len().min(20_000)).filter(|some| !some.is_empty()) {
            let taken = patiently(|| stream.write(some))?;
            rest = &rest[taken..];
            patiently(|| stream.flush())?;
        }
        let read = patiently(|| stream.read(&mut bytes))?;
        assert!(read > 0, "the server said goodbye");
        back.extend_from_slice(&bytes[..read]);
    }
    Ok(back)
}

#[test]
fn every_byte_comes_through_sockets_that_block_at_every_byte() {
    let sent: Vec<u8> = (0..100_000_u32)
        .map(|index| u8::try_from(index % 251).unwrap())
        .collect();
    for version in [&version::TLS12, &version::TLS13] {
        let port = echo(version, &[]);
        let mut plain = connect(&trusting(), tcp(port)).unwrap();
        assert_eq!(echoed(&mut plain, &sent).unwrap(), sent);
        let mut hesitant = connect(&trusting(), Hesitant::new(tcp(port))).unwrap();
        assert_eq!(echoed(&mut hesitant, &sent).unwrap(), sent);
        assert_eq!(hesitant.negotiated_alpn().unwrap(), Some(b"tds/8.0".to_vec()));
        patiently(|| hesitant.shutdown()).unwrap();
        assert_eq!(
            patiently(|| hesitant.read(&mut [0; 1])).unwrap(),
            0,
            "both said goodbye"
        );
    }
}

#[test]
fn every_handshake_is_a_full_one_and_each_flight_of_it_one_write() {
    let port = echo(&version::TLS12, &[]);
    let connector = trusting();
    for _ in 0..2 {
        let stream = connect(&connector, Counted(tcp(port), 0)).unwrap();
        assert_eq!(stream.tls().handshake_kind(), Some(HandshakeKind::Full));
        assert_eq!(
            stream.get_ref().1,
            2,
            "the hello, and all that follows the server's answer"
        );
    }
}

#[test]
fn a_connection_that_ends_is_an_error_of_the_network() {
    let port = echo(&version::TLS12, &[0]);
    let error = connect(&trusting(), tcp(port)).unwrap_err();
    let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
    assert!(cause.is_some(), "{error:?}");

    let mut stream = connect(&trusting(), tcp(port)).unwrap();
    stream.write_all(&[HANG_UP]).unwrap();
    stream.flush().unwrap();
    let error = stream.read(&mut [0; 10]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
}

#[test]
fn a_certificate_of_no_known_authority_is_refused_by_name() {
    let port = echo(&version::TLS12, &[]);
    let connector = TlsConnector::builder().build().unwrap();
    let error = connect(&connector, tcp(port)).unwrap_err();
    assert!(error.source().is_none(), "the network is well: {error:?}");
    assert!(error.to_string().contains("UnknownIssuer"), "{error}");
}

#[test]
fn a_replayed_certificate_without_its_key_is_refused_in_every_mode() {
    let other = identity();
    let public_ones = [
        identity(),
        identity_of(KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap()),
    ];
    for public in public_ones {
        for version in [&version::TLS12, &version::TLS13] {
            let honest = serve(version, &[], &public.certificate, &public.key);
            let replaying = serve(version, &[], &public.certificate, &other.key);
            for connector in [trusting(), knowing(&public.authority)] {
                let mut stream = connect(&connector, tcp(honest)).unwrap();
                assert_eq!(echoed(&mut stream, b"well met").unwrap(), b"well met");
                let error = connect(&connector, tcp(replaying)).unwrap_err();
                assert!(error.source().is_none(), "the network is well: {error:?}");
            }
        }
    }
}

/// A certificate like that which SQL Server 2016 makes for itself: X.509 version 1, with a negative serial number and
/// an RSA key of 1,024 bits.
const SELF_MADE: &str = include_str!("self_made.pem");
const SIGNATURE_OF_A_HANDSHAKE: &str = concat!(
    "0d2ba68838fba1fcf2f08aa4cf5fdfd86822ec627d26769924a7d82a8fff3248d586053b90c9436b02c1fed0c3fb09d3ebd0",
    "9e5f272c4c20b45c8e01345d286aa4fac9f0e6816285eda36261e789ce1245ba83b90b0a3940db1fff013feb67097306712e",
    "85225391fdb6a92658a32650774c26df76268da029067ebee9ef03bf"
);

#[test]
fn the_signature_by_a_certificate_that_sql_server_made_for_itself_is_verified() {
    let supported = provider().signature_verification_algorithms;
    let certificate = CertificateDer::from_pem_slice(SELF_MADE.as_bytes()).unwrap();
    let signature: Vec<u8> = (0..SIGNATURE_OF_A_HANDSHAKE.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&SIGNATURE_OF_A_HANDSHAKE[at..at + 2], 16).unwrap())
        .collect();
    let is_valid = |scheme, message: &[u8]| verify(&supported, &certificate, scheme, message, &signature).is_ok();
    assert!(is_valid(SignatureScheme::RSA_PKCS1_SHA256, b"a handshake"));
    assert!(!is_valid(SignatureScheme::RSA_PKCS1_SHA256, b"another handshake"));
    assert!(!is_valid(SignatureScheme::RSA_PKCS1_SHA512, b"a handshake"));
    assert!(!is_valid(SignatureScheme::ECDSA_NISTP256_SHA256, b"a handshake"));
}

#[test]
fn a_certificate_is_for_the_host_that_presents_it() {
    let known = identity();
    let port = serve(&version::TLS13, &[], &known.certificate, &known.key);
    let answer = knowing(&known.authority).connect("other.test", tcp(port));
    let Err(HandshakeError::Failure(error)) = answer else {
        panic!("{answer:?}");
    };
    assert!(error.to_string().contains("other.test"), "{error}");
    let mut builder = TlsConnector::builder();
    assert!(builder.danger_accept_invalid_hostnames(true).build().is_err());
}

#[test]
fn an_answer_that_is_not_tls_is_no_error_of_the_network() {
    let listener = TcpListener::bind((HOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        drop(stream.read(&mut [0; 1_000]));
    });
    let error = connect(&trusting(), tcp(port)).unwrap_err();
    assert!(error.source().is_none(), "{error:?}");
}

#[test]
fn a_host_that_is_no_name_is_refused_before_anything_is_sent() {
    let answer = trusting().connect("no host", io::Cursor::new(Vec::new()));
    let Err(HandshakeError::Failure(error)) = answer else {
        panic!("{answer:?}");
    };
    assert!(error.to_string().contains("'no host'"), "{error}");
}

#[test]
fn a_certificate_is_read_from_pem_and_from_der() {
    let params = CertificateParams::new(vec![HOST.to_owned()]).unwrap();
    let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
    let der = certificate.der().to_vec();
    let from_pem = Certificate::from_pem(certificate.pem().as_bytes()).unwrap();
    assert_eq!(from_pem.to_der().unwrap(), der);
    assert_eq!(Certificate::from_der(&der).unwrap().to_der().unwrap(), der);
    assert!(Certificate::from_pem(&der).is_err());
    assert!(Certificate::from_der(b"no certificate").is_err());

    let port = echo(&version::TLS12, &[]);
    let stream = connect(&trusting(), tcp(port)).unwrap();
    assert!(stream.peer_certificate().unwrap().is_some());
}

/// Cargo drops a stand-in without an error if its version is below the required one.
#[test]
fn the_stand_ins_are_the_only_ones_of_their_names_in_the_tree() {
    let lock = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.lock")).unwrap();
    assert!(!lock.contains("[[patch.unused]]"), "a patch is not used");
    let packages: Vec<&str> = lock.split("[[package]]").collect();
    let named = |name: &str| -> Vec<&str> {
        let line = format!("\nname = \"{name}\"\n");
        packages
            .iter()
            .copied()
            .filter(|package| package.contains(&line))
            .collect()
    };
    for (name, version) in [
        ("native-tls", "+tidemark-rustls\""),
        ("openssl", "+tidemark-empty\""),
        ("crc-fast", "+tidemark-three\""),
    ] {
        let found = named(name);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].contains(version) && !found[0].contains("source ="),
            "{found:?}"
        );
    }
    assert!(named("openssl-sys").is_empty(), "OpenSSL is in the tree");
}
