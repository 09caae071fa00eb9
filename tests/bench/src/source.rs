//! Where the rows come from: a replaying server for each kind of connection.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
use tidemark_replay::rows::Rows;
use tidemark_replay::server::{Answer, Replay};
use tidemark_sqlserver::login::Login;

use crate::Failure;

/// A certificate for the replaying servers, and the authority that signed it in a file.
#[derive(Debug)]
pub struct Certificate {
    folder: TempDir,
    certificate: String,
    key: String,
}

impl Certificate {
    /// A new one for 127.0.0.1.
    pub fn new() -> Result<Self, Failure> {
        let ca_key = KeyPair::generate()?;
        let mut ca = CertificateParams::new(Vec::new())?;
        ca.distinguished_name.push(DnType::CommonName, "Replay CA");
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_certificate = ca.self_signed(&ca_key)?;
        let key = KeyPair::generate()?;
        let certificate =
            CertificateParams::new(vec!["127.0.0.1".to_owned()])?.signed_by(&key, &Issuer::new(ca, ca_key))?;
        let folder = TempDir::new()?;
        std::fs::write(folder.path().join("ca.pem"), ca_certificate.pem())?;
        Ok(Self {
            folder,
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        })
    }

    /// The authority's certificate.
    pub fn authority(&self) -> PathBuf {
        Path::new(self.folder.path()).join("ca.pem")
    }

    /// A server of these rows that encrypts.
    pub fn serve(&self, rows: Rows) -> Replay {
        Replay::start_with_tls(Answer::Rows(rows), &self.certificate, &self.key)
    }
}

/// How to log in to a replaying server.
pub fn login(server: &Replay) -> Login {
    Login::new("127.0.0.1", server.port(), "reader", "replay", "db")
}
