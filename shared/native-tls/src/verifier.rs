//! Decides which certificates are accepted, and verifies that the server has the key.
//!
//! The server must always sign the handshake with the certificate's key, because a certificate is public, and a copy of
//! it proves nothing.

use std::sync::Arc;

use aws_lc_rs::signature::{
    RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY, UnparsedPublicKey,
};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, PeerMisbehaved, RootCertStore, SignatureScheme};
use webpki::RawPublicKeyEntity;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Returns the authorities that the environment or the system names.
///
/// # Errors
///
/// An error when no authority is found.
pub fn authorities() -> crate::Result<Arc<RootCertStore>> {
    tidemark_trust::authorities().map_err(|reasons| {
        crate::Error::input(format!(
            "no certificate authority was found ({reasons}): name a file of them in SSL_CERT_FILE"
        ))
    })
}

/// The verifier that accepts every certificate of a server that has its key.
#[derive(Debug)]
pub struct AnyCertificate(pub WebPkiSupportedAlgorithms);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify(&self.0, certificate, signed.scheme, message, signed.signature())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = key_of(certificate)?;
        rustls::crypto::verify_tls13_signature_with_raw_key(message, &key, signed, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

/// Reads only the key of a certificate. A certificate that SQL Server makes for itself may be of a kind that `webpki`
/// cannot read as a whole, for example of X.509 version 1 or with a negative serial number.
fn key_of(certificate: &CertificateDer<'_>) -> Result<SubjectPublicKeyInfoDer<'static>, Error> {
    let (_, certificate) =
        X509Certificate::from_der(certificate).map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))?;
    Ok(SubjectPublicKeyInfoDer::from(certificate.public_key().raw.to_vec()))
}

/// Verifies a signature of TLS 1.2, whose scheme does not name the curve or the size of the key.
pub fn verify(
    supported: &WebPkiSupportedAlgorithms,
    certificate: &CertificateDer<'_>,
    scheme: SignatureScheme,
    message: &[u8],
    signature: &[u8],
) -> Result<HandshakeSignatureValid, Error> {
    let algorithms = supported.mapping.iter().find(|(named, _)| *named == scheme);
    let (_, algorithms) = algorithms.ok_or(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme)?;
    let der = key_of(certificate)?;
    let key = RawPublicKeyEntity::try_from(&der).map_err(|_| CertificateError::BadEncoding)?;
    let is_valid = algorithms
        .iter()
        .any(|algorithm| key.verify_signature(*algorithm, message, signature).is_ok());
    if is_valid || is_signed_by_a_short_key(certificate, scheme, message, signature) {
        Ok(HandshakeSignatureValid::assertion())
    } else {
        Err(CertificateError::BadSignature.into())
    }
}

/// Verifies a signature with an RSA key of 1,024 bits, which the certificate has that a server up to SQL Server 2016
/// makes for itself. Forging such a signature is expensive, whereas one that is not verified costs nothing to forge.
fn is_signed_by_a_short_key(
    certificate: &CertificateDer<'_>,
    scheme: SignatureScheme,
    message: &[u8],
    signature: &[u8],
) -> bool {
    let algorithm = match scheme {
        SignatureScheme::RSA_PKCS1_SHA256 => &RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
        SignatureScheme::RSA_PKCS1_SHA512 => &RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
        _ => return false,
    };
    X509Certificate::from_der(certificate).is_ok_and(|(_, certificate)| {
        let key = &certificate.public_key().subject_public_key.data;
        UnparsedPublicKey::new(algorithm, key)
            .verify(message, signature)
            .is_ok()
    })
}
