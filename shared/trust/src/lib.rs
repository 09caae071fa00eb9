//! The certificate authorities that this machine trusts, read once in a process.
//!
//! Reading and decoding some 150 certificates takes 3 ms of a whole processor, and a Lambda function with 512 MB has less
//! than a third of one. So the connections to AWS and those of the driver that reads rows share one list.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::RootCertStore;

/// The list, once a call found an authority.
static FOUND: Mutex<Option<Arc<RootCertStore>>> = Mutex::new(None);

/// Returns the authorities of `SSL_CERT_FILE` and `SSL_CERT_DIR`, or else those of the system. The first call reads them,
/// and other calls wait for it.
///
/// # Errors
///
/// The reasons, when no authority is found. Then the next call looks again.
pub fn authorities() -> Result<Arc<RootCertStore>, String> {
    once(&FOUND, read)
}

fn read() -> Result<RootCertStore, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut authorities = RootCertStore::empty();
    let (added, _) = authorities.add_parsable_certificates(found.certs);
    if added > 0 {
        return Ok(authorities);
    }
    let reasons: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
    Err(reasons.join("; "))
}

fn once<T>(found: &Mutex<Option<Arc<T>>>, read: impl FnOnce() -> Result<T, String>) -> Result<Arc<T>, String> {
    let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(found) = &*found {
        return Ok(found.clone());
    }
    let read = Arc::new(read()?);
    *found = Some(read.clone());
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities_are_read_once_and_a_failure_is_not_kept() {
        let found = Mutex::new(None);
        assert_eq!(
            once::<u8>(&found, || Err("no file".to_owned())),
            Err("no file".to_owned())
        );
        let first = once(&found, || Ok(7)).unwrap();
        let second = once(&found, || panic!("they are read again")).unwrap();
        assert!(Arc::ptr_eq(&first, &second));
    }
}
