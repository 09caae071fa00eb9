//! A certificate for servers on this machine.

use std::error::Error;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use crate::server::{Answer, Replay};

/// A certificate for the replaying servers, and the authority that signed it in a file.
#[derive(Debug)]
pub struct Certificate {
    folder: TempDir,
    certificate: String,
    key: String,
}

impl Certificate {
    /// Makes a new one for 127.0.0.1.
    pub fn new() -> Result<Self, Box<dyn Error + Send + Sync>> {
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

    /// Returns the file with the authority's certificate.
    pub fn authority(&self) -> PathBuf {
        Path::new(self.folder.path()).join("ca.pem")
    }

    /// Starts a server that encrypts.
    pub fn serve(&self, answer: Answer) -> Replay {
        Replay::start_with_tls(answer, &self.certificate, &self.key)
    }
}
