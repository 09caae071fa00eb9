//! Certificates, with the interface of `native-tls`.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::{Error, Result};

/// An X.509 certificate.
#[derive(Debug, Clone)]
pub struct Certificate(CertificateDer<'static>);

impl Certificate {
    /// Reads the first certificate of a PEM text.
    ///
    /// # Errors
    ///
    /// An error when there is none.
    pub fn from_pem(pem: &[u8]) -> Result<Self> {
        CertificateDer::from_pem_slice(pem)
            .map(Self)
            .map_err(|error| Error::input(format!("no certificate in PEM: {error}")))
    }

    /// Reads a certificate in DER.
    ///
    /// # Errors
    ///
    /// An error when the bytes are not a certificate.
    pub fn from_der(der: &[u8]) -> Result<Self> {
        let certificate = CertificateDer::from(der.to_vec());
        rustls::server::ParsedCertificate::try_from(&certificate)?;
        Ok(Self(certificate))
    }

    /// Returns the certificate in DER.
    ///
    /// # Errors
    ///
    /// None. The interface of `native-tls` has a result.
    pub fn to_der(&self) -> Result<Vec<u8>> {
        Ok(self.0.to_vec())
    }

    pub(crate) const fn new(certificate: CertificateDer<'static>) -> Self {
        Self(certificate)
    }
}
