//! Tests which servers each driver connects to, and the messages about those that it refuses.
//!
//! The certificate authorities are read once in a process, so each case runs in a process of its own: this test binary
//! again, with the environment of the case.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::thread;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use tidemark_replay::server::{Answer, Replay};
use tidemark_replay::tokens::{columns, end};
use tidemark_sandbox::{Options, Sandbox};

use super::{Driver, Mssql, Session, Tiberius};
use crate::login::{Login, Tls};

const CASE: &str = "TIDEMARK_TLS_CASE";
/// Messages that a server sends in the middle of the handshake: fatal alerts, and something that is not TLS.
const NO_CIPHER: &[u8] = &[21, 3, 3, 0, 2, 2, 40];
const NO_VERSION: &[u8] = &[21, 3, 3, 0, 2, 2, 70];
const NO_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\r\n";

/// Servers whose certificates come from one authority. The authority's certificate is in the CA file.
struct Servers {
    good: Replay,
    expired: Replay,
    unencrypted: Replay,
    strict: Sandbox,
}

fn servers(ca_file: &Path) -> Servers {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.distinguished_name.push(DnType::CommonName, "Replay CA");
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_certificate = ca.self_signed(&ca_key).unwrap();
    let issuer = Issuer::new(ca, ca_key);
    let serve = |last_year: i32| {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        params.not_after = date_time_ymd(last_year, 1, 1);
        let certificate = params.signed_by(&key, &issuer).unwrap();
        Replay::start_with_tls(answer(), &certificate.pem(), &key.serialize_pem())
    };
    let strict = Sandbox::start(Options::default()).unwrap();
    std::fs::write(ca_file, format!("{}{}", ca_certificate.pem(), strict.ca_pem())).unwrap();
    Servers {
        good: serve(2100),
        expired: serve(2020),
        unencrypted: Replay::start(answer()),
        strict,
    }
}

fn answer() -> Answer {
    Answer::Tokens {
        tokens: [columns(&[("a", vec![0x26, 4])]), end(0)].concat(),
        hangs_up: false,
    }
}

/// Starts a server that does this with every connection, and hangs up.
fn serving(serve: impl Fn(TcpStream) + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            serve(stream.unwrap());
        }
    });
    port
}

/// Starts a server that answers the beginning of the handshake with these bytes, in a packet like that of PRELOGIN, and
/// hangs up.
fn breaks_off(with: &'static [u8]) -> u16 {
    serving(move |stream| drop(break_off(stream, Some(with))))
}

/// Starts a server that resets the connection at the beginning of the handshake.
fn resets() -> u16 {
    serving(|stream| drop(break_off(stream, None)))
}

/// Starts a server that hangs up after the first request.
fn hangs_up() -> u16 {
    // The request must be read completely, or the connection would end with a reset.
    serving(|mut stream| drop(stream.read(&mut [0; 16_384])))
}

/// Starts a server that resets the connection at the first request, of which it reads nothing.
fn resets_at_once() -> u16 {
    serving(|stream| drop(stream.peek(&mut [0])))
}

fn read_packet(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut header = [0; 8];
    stream.read_exact(&mut header)?;
    let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
    stream.read_exact(&mut vec![0; length.saturating_sub(8)])
}

fn break_off(mut stream: TcpStream, with: Option<&[u8]>) -> std::io::Result<()> {
    read_packet(&mut stream)?;
    // VERSION is at 11, and ENCRYPTION at 17 is on.
    let options = [0, 0, 11, 0, 6, 1, 0, 17, 0, 1, 0xFF, 16, 0, 0x10, 0, 0, 0, 1];
    let send = |stream: &mut TcpStream, kind: u8, payload: &[u8]| {
        let length = u16::try_from(payload.len() + 8).unwrap().to_be_bytes();
        stream.write_all(&[kind, 1, length[0], length[1], 0, 0, 1, 0])?;
        stream.write_all(payload)
    };
    send(&mut stream, 4, &options)?;
    let Some(with) = with else {
        // What is not read when the connection is closed resets it.
        return stream.peek(&mut [0]).map(drop);
    };
    read_packet(&mut stream)?;
    if !with.is_empty() {
        send(&mut stream, 0x12, with)?;
    }
    Ok(())
}

#[test]
fn each_reason_for_no_connection_has_its_own_words_in_both_drivers() {
    let directory = tempfile::tempdir().unwrap();
    let bundle = directory.path().join("ca.pem");
    let servers = servers(&bundle);
    let (good, expired) = (servers.good.port(), servers.expired.port());
    let (unencrypted, strict) = (servers.unencrypted.port(), servers.strict.port());
    let known = Some(bundle.as_path());
    let here = "127.0.0.1";
    for (ca_file, tls, host, port, name, expected) in [
        (known, "verify", here, good, "", "Ok"),
        (
            known,
            "verify",
            "localhost",
            good,
            "",
            "Refused host_name_in_certificate",
        ),
        (known, "verify", "localhost", good, here, "Ok"),
        (known, "verify", here, expired, "", "Refused expired"),
        (None, "verify", here, good, "", "Refused SSL_CERT_FILE"),
        (None, "trust", here, good, "", "Ok"),
        (
            Some(Path::new("/nowhere/ca.pem")),
            "verify",
            here,
            good,
            "",
            "Refused SSL_CERT_FILE",
        ),
        (known, "strict", here, strict, "", "Ok"),
        (None, "strict", here, strict, "", "Refused SSL_CERT_FILE"),
        (known, "verify", here, unencrypted, "", "Refused encrypt"),
        (known, "verify", here, breaks_off(NO_CIPHER), "", "Refused cipher"),
        (known, "verify", here, breaks_off(NO_VERSION), "", "Refused 1.2"),
        (known, "verify", here, breaks_off(NO_TLS), "", "Refused TLS"),
        (known, "verify", here, breaks_off(b""), "", "Unreachable handshake"),
        (known, "strict", here, hangs_up(), "", "Unreachable handshake"),
        (known, "verify", here, resets(), "", "Unreachable cipher"),
        (known, "strict", here, resets_at_once(), "", "Unreachable cipher"),
    ] {
        for driver in ["mssql", "tiberius"] {
            let outcome = in_a_process(ca_file, &format!("{driver} {tls} {host} {port} {name}"));
            let mut expected = expected.split(' ');
            let (fault, said) = (expected.next().unwrap(), expected.next());
            let is_expected =
                outcome.contains(&format!("outcome {fault}")) && said.is_none_or(|said| outcome.contains(said));
            assert!(is_expected, "{driver} {tls} {host} {name} {said:?}: {outcome}");
            let is_advised = said == Some("SSL_CERT_FILE");
            assert_eq!(outcome.contains("SSL_CERT_FILE"), is_advised, "{outcome}");
        }
    }
}

fn in_a_process(ca_file: Option<&Path>, case: &str) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "session::tls_tests::one_case", "--ignored", "--nocapture"])
        .env(CASE, case)
        .env_remove("SSL_CERT_FILE")
        .env_remove("SSL_CERT_DIR");
    if let Some(file) = ca_file {
        command.env("SSL_CERT_FILE", file);
    }
    String::from_utf8(command.output().unwrap().stdout).unwrap()
}

#[tokio::test]
#[ignore = "one case of the test above, in a process of its own"]
async fn one_case() {
    let Ok(case) = std::env::var(CASE) else { return };
    let [driver, tls, host, port, name] = case.split(' ').collect::<Vec<_>>().try_into().unwrap();
    let (_, tls) = Tls::ALL.into_iter().find(|(known, _)| *known == tls).unwrap();
    // The stand-in requires this login; the other servers accept any.
    let login = Login {
        host_name_in_certificate: Some(name.to_owned()).filter(|name| !name.is_empty()),
        ..Login::new(host, port.parse().unwrap(), "sa", "Tidemark-1", "tidemark").with_tls(tls)
    };
    match driver {
        "mssql" => connect::<Mssql>(login).await,
        _ => connect::<Tiberius>(login).await,
    }
}

async fn connect<D: Driver>(login: Login) {
    match Session::<D>::new(login).connect().await {
        Ok(_) => println!("outcome Ok"),
        Err(failure) => println!("outcome {:?}: {failure}", failure.fault()),
    }
}
