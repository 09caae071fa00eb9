//! Which certificates are accepted.
//!
//! The driver reads the CA files once in a process, so each case runs in a process of its own: this test binary again,
//! with the environment of the case.

use std::path::Path;
use std::process::Command;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tidemark_replay::server::{Answer, Replay};
use tidemark_replay::tokens::{columns, end};

use tidemark::model::types::Form;

use super::RowReader;
use super::tests::{Collected, column, options, read};
use crate::login::{Login, Tls};

const CASE: &str = "TIDEMARK_TLS_CASE";

#[test]
fn a_certificate_must_be_of_a_trusted_ca_and_for_the_host() {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.distinguished_name.push(DnType::CommonName, "Replay CA");
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_certificate = ca.self_signed(&ca_key).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned()])
        .unwrap()
        .signed_by(&key, &Issuer::new(ca, ca_key))
        .unwrap();
    let directory = tempfile::tempdir().unwrap();
    let bundle = directory.path().join("ca.pem");
    std::fs::write(&bundle, ca_certificate.pem()).unwrap();
    let tokens = Answer::Tokens {
        tokens: [columns(&[("a", vec![0x26, 4])]), end(0)].concat(),
        hangs_up: false,
    };
    let server = Replay::start_with_tls(tokens, &certificate.pem(), &key.serialize_pem());

    for (ca_file, tls, host, expected) in [
        (Some(bundle.as_path()), "verify", "127.0.0.1", "Ok"),
        (Some(bundle.as_path()), "verify", "localhost", "Refused"),
        (None, "verify", "127.0.0.1", "Refused"),
        (None, "trust", "127.0.0.1", "Ok"),
    ] {
        let outcome = in_a_process(ca_file, &format!("{tls} {host} {}", server.port()));
        assert!(
            outcome.contains(&format!("outcome {expected}")),
            "{tls} {host} {ca_file:?}: {outcome}"
        );
        assert!(expected == "Ok" || outcome.contains("SSL_CERT_FILE"), "{outcome}");
    }
}

fn in_a_process(ca_file: Option<&Path>, case: &str) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "rows::tls_tests::one_case", "--ignored", "--nocapture"])
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
    let [tls, host, port] = case.split(' ').collect::<Vec<_>>().try_into().unwrap();
    let options = Login {
        host: host.to_owned(),
        tls: if tls == "trust" { Tls::Trust } else { Tls::Verify },
        ..options(port.parse().unwrap())
    };
    let mut reader = RowReader::new(options);
    let int = column("a", "int", Form::Int32);
    match read(&mut reader, &int, &mut Collected::default()).await {
        Ok(_) => println!("outcome Ok"),
        Err(failure) => println!("outcome {:?}: {failure}", failure.fault()),
    }
}
