//! Signs the statement with which an application that has a certificate proves itself to Entra.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PSS_SHA256, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use tidemark::error::{Error, ErrorCode, Result};
use tidemark::ports::secrets::Secret;
use uuid::Uuid;

/// The lifetime of the statement, which is used at once.
const SECONDS: u64 = 600;

/// Signs the statement of `client` for the issuer of tokens at `address`.
///
/// # Errors
///
/// `InvalidConfig`, which never quotes the text, when it does not contain a certificate and an RSA key.
pub(super) fn signed(pem: &Secret, client: &str, address: &str) -> Result<Secret> {
    let wrong = |what: &str| {
        let message =
            format!("the secret's client_certificate {what}: it is the certificate and its RSA key, both as PEM");
        Error::new(ErrorCode::InvalidConfig, message)
    };
    let pem = pem.reveal().as_bytes();
    let certificate = CertificateDer::from_pem_slice(pem).map_err(|_| wrong("has no certificate in it"))?;
    let key = match PrivateKeyDer::from_pem_slice(pem).map_err(|_| wrong("has no key in it"))? {
        PrivateKeyDer::Pkcs8(key) => RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).ok(),
        PrivateKeyDer::Pkcs1(key) => RsaKeyPair::from_der(key.secret_pkcs1_der()).ok(),
        _ => None,
    };
    let key = key.ok_or_else(|| wrong("has a key of another kind in it"))?;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let thumbprint = URL_SAFE_NO_PAD.encode(digest(&SHA256, &certificate));
    let head = json!({ "alg": "PS256", "typ": "JWT", "x5t#S256": thumbprint });
    let claims = json!({
        "aud": address, "iss": client, "sub": client, "jti": Uuid::new_v4().to_string(),
        "iat": now, "nbf": now, "exp": now + SECONDS,
    });
    let [head, claims] = [head, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
    let statement = format!("{head}.{claims}");
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(
        &RSA_PSS_SHA256,
        &SystemRandom::new(),
        statement.as_bytes(),
        &mut signature,
    )
    .map_err(|_| wrong("has a key that cannot sign in it"))?;
    Ok(Secret::new(format!(
        "{statement}.{}",
        URL_SAFE_NO_PAD.encode(signature)
    )))
}
