//! Masks: what remains of a value that nobody is to read, and the key that hashes values.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::hmac::{self, HMAC_SHA256};
use tidemark::error::{Answer, Error, ErrorCode, Result};
use tidemark::model::types::Column;
use tidemark::model::values::{Mask, Values};
use tidemark::ports::secrets::{ReadSecrets, Secret};

/// The smallest number of bytes of a key, as many as a hash has.
const KEY_BYTES: usize = 32;
/// The number of characters of a text that the mask `last4` keeps.
const LAST: usize = 4;
/// The number of hexadecimal digits in the name of a key.
const NAME_DIGITS: usize = 16;
const HEX: &[u8; 16] = b"0123456789abcdef";

/// The secret with the key for hashes. It is not read before a column is hashed.
#[derive(Clone)]
pub struct MaskSecret {
    secrets: Arc<dyn ReadSecrets>,
    name: String,
}

impl fmt::Debug for MaskSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MaskSecret")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl MaskSecret {
    /// Makes the secret with this name or ARN.
    #[must_use]
    pub fn new(secrets: Arc<dyn ReadSecrets>, name: impl Into<String>) -> Self {
        Self {
            secrets,
            name: name.into(),
        }
    }

    /// Reads the key.
    ///
    /// # Errors
    ///
    /// Those of [`ReadSecrets::secret`], and `InvalidConfig` when the secret is too short for a key.
    pub async fn key(&self) -> Answer<MaskKey> {
        let secret = self.secrets.secret(&self.name).await?;
        Ok(MaskKey::of(&secret)?)
    }
}

/// The key for hashes, in memory that is overwritten when it is dropped. There is no `Debug`.
pub struct MaskKey(hmac::Key);

impl MaskKey {
    /// Makes the key from the whole text of a secret, without line breaks at its end, which editors add.
    ///
    /// # Errors
    ///
    /// `InvalidConfig` when the text has fewer than 32 bytes.
    pub fn of(secret: &Secret) -> Result<Self> {
        let text = secret.reveal().trim_end_matches(['\r', '\n']);
        if text.len() < KEY_BYTES {
            let message = format!(
                "the key of hashes (MASK_SECRET_ARN, --mask-secret or TIDEMARK_MASK_KEY) has fewer than {KEY_BYTES} bytes, which is too short: put a random text of at \
                 least {KEY_BYTES} bytes there, and keep it, because another key makes other hashes"
            );
            return Err(Error::new(ErrorCode::InvalidConfig, message));
        }
        Ok(Self(hmac::Key::new(HMAC_SHA256, text.as_bytes())))
    }

    /// Returns a name for the key, which does not reveal the key: the beginning of its hash of a fixed text.
    #[must_use]
    pub fn name(&self) -> String {
        let mut name = String::new();
        self.append(b"tidemark: the name of this key", &mut name);
        name.truncate(NAME_DIGITS);
        name
    }

    fn append(&self, text: &[u8], out: &mut String) {
        for byte in hmac::sign(&self.0, text).as_ref() {
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
}

/// Returns the first column that is hashed.
pub(crate) fn hashed(columns: &[Column]) -> Option<&Column> {
    columns
        .iter()
        .find(|column| column.values == Values::Masked(Mask::Hash))
}

/// Appends what a mask keeps of a text. Returns `false` when the mask makes it NULL.
///
/// # Errors
///
/// `InvalidConfig` when there is no key for a hash.
pub(crate) fn append(mask: Mask, key: Option<&MaskKey>, text: &str, out: &mut String) -> Result<bool> {
    match (mask, key) {
        (Mask::Null, _) => return Ok(false),
        (Mask::Hash, Some(key)) => key.append(text.as_bytes(), out),
        (Mask::Hash, None) => return Err(no_key()),
        (Mask::Last4, _) => out.push_str(last4(text)),
    }
    Ok(true)
}

/// Returns the last four characters of a text, without the blanks at its end. A text of at most four characters becomes
/// empty.
fn last4(text: &str) -> &str {
    let text = text.trim_end_matches(' ');
    let mut characters = text.char_indices().rev();
    let start = characters.nth(LAST - 1).filter(|_| characters.next().is_some());
    start.and_then(|(start, _)| text.get(start..)).unwrap_or_default()
}

/// Builds the error for a hash without a key.
pub(crate) fn no_key() -> Error {
    let message = "a column is to be hashed, and there is no key for it: give the ARN of its secret to a deployment as the parameter \
                   MaskSecretArn, which becomes the variable MASK_SECRET_ARN, and to the command as --mask-secret, or give the command \
                   the key itself in the variable TIDEMARK_MASK_KEY";
    Error::new(ErrorCode::InvalidConfig, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_a_name_that_is_its_own_and_tells_nothing_of_it() {
        let key = |text: &str| MaskKey::of(&Secret::new(text.to_owned())).unwrap();
        let (text, other) = ("k".repeat(32), "l".repeat(32));
        let name = key(&text).name();
        assert_eq!((name.len(), &name), (NAME_DIGITS, &key(&text).name()));
        assert_ne!(name, key(&other).name());
        assert!(name.bytes().all(|byte| byte.is_ascii_hexdigit()), "{name}");
    }

    fn masked(mask: Mask, text: &str) -> Option<String> {
        let key = MaskKey::of(&Secret::new("k".repeat(32))).unwrap();
        let mut out = String::new();
        let is_there = append(mask, Some(&key), text, &mut out).unwrap();
        is_there.then_some(out)
    }

    #[test]
    fn a_hash_is_the_hmac_of_the_text_and_a_line_break_at_the_end_of_the_key_does_not_matter() {
        // RFC 4231 has no key of exactly this length, so the hash was made with `openssl dgst -sha256 -hmac`.
        let hash = masked(Mask::Hash, "ann@example.com").unwrap();
        assert_eq!(hash, "52ecd7806231652c1f13fc2162dcb8072bac0d630d23baee3a157c19603af237");
        let key = MaskKey::of(&Secret::new(format!("{}\r\n", "k".repeat(32)))).unwrap();
        let mut out = String::new();
        append(Mask::Hash, Some(&key), "ann@example.com", &mut out).unwrap();
        assert_eq!(out, hash);
        assert_ne!(masked(Mask::Hash, "ann@example.com "), Some(hash));
    }

    #[test]
    fn last4_never_leaves_a_whole_text() {
        for (text, left) in [
            ("123-45-6789", "6789"),
            ("12345", "2345"),
            ("1234", ""),
            ("1234    ", ""),
            ("12345   ", "2345"),
            ("", ""),
            ("Größe😀é", "ße😀é"),
        ] {
            assert_eq!(masked(Mask::Last4, text).as_deref(), Some(left), "{text}");
        }
        assert_eq!(masked(Mask::Null, "x"), None);
    }

    #[test]
    fn a_key_must_be_there_and_long_enough() {
        let error = MaskKey::of(&Secret::new("k".repeat(31))).map(drop).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidConfig);
        assert!(!error.to_string().contains("kkk"), "{error}");
        let error = append(Mask::Hash, None, "x", &mut String::new()).unwrap_err();
        assert!(error.to_string().contains("MASK_SECRET_ARN"), "{error}");
    }
}
