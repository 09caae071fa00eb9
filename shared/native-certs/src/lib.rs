//! The certificates that this machine trusts, read once in a process.
//!
//! `[patch.crates-io]` puts this crate in the place of `rustls-native-certs`, which reads and decodes some 150 certificates
//! at each call. The drivers of SQL Server and the HTTP client below the AWS clients each call it by themselves, so a
//! function would do so three times before its first answer, and again for each connection.

use std::sync::{Mutex, PoisonError};

pub use original::CertificateResult;

/// The certificates, as the first call that found some did.
static FOUND: Mutex<Option<CertificateResult>> = Mutex::new(None);

/// Returns the certificates of `SSL_CERT_FILE` and `SSL_CERT_DIR`, or else those of the system, as
/// `rustls_native_certs` does.
///
/// The first call reads them, and other calls wait for it. What cannot be read is an error in the result. A result
/// with an error or without a certificate is not kept, so the next call reads again.
#[must_use]
pub fn load_native_certs() -> CertificateResult {
    once(&FOUND, original::load_native_certs)
}

fn once(kept: &Mutex<Option<CertificateResult>>, read: impl FnOnce() -> CertificateResult) -> CertificateResult {
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    let found = kept.take().unwrap_or_else(read);
    if !found.errors.is_empty() || found.certs.is_empty() {
        return found;
    }
    let mut copy = CertificateResult::default();
    copy.certs.clone_from(&found.certs);
    *kept = Some(found);
    copy
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(certificates: &[&'static [u8]]) -> CertificateResult {
        let mut result = CertificateResult::default();
        result.certs.extend(certificates.iter().map(|der| (*der).into()));
        result
    }

    #[test]
    fn certificates_are_read_once_and_nothing_is_kept_of_a_failure() {
        let kept = Mutex::new(None);
        assert!(once(&kept, || of(&[])).certs.is_empty());
        let first = once(&kept, || of(&[b"one", b"two"]));
        assert_eq!(first.certs.len(), 2);
        let second = once(&kept, || panic!("they are read again"));
        assert_eq!(second.certs, first.certs);
    }

    #[test]
    fn the_certificates_of_this_machine_are_those_that_the_crate_itself_finds() {
        let (ours, own) = (load_native_certs(), original::load_native_certs());
        assert_eq!(ours.certs, own.certs);
        assert_eq!(ours.errors.len(), own.errors.len());
    }
}
