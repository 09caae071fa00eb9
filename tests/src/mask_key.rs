//! A key for hashes in tests.

use std::pin::Pin;
use std::sync::Arc;

use tidemark::error::Answer;
use tidemark::ports::secrets::{ReadSecrets, Secret};
use tidemark_sqlserver::masks::MaskSecret;

#[derive(Debug)]
struct Fixed(&'static str);

impl ReadSecrets for Fixed {
    fn secret<'a>(&'a self, _name: &'a str) -> Pin<Box<dyn Future<Output = Answer<Secret>> + Send + 'a>> {
        Box::pin(async { Ok(Secret::new(self.0.to_owned())) })
    }
}

/// Makes a secret with this text.
#[must_use]
pub fn secret_of(text: &'static str) -> MaskSecret {
    MaskSecret::new(Arc::new(Fixed(text)), "masks")
}

/// Makes a secret that is long enough for a key.
#[must_use]
pub fn mask_secret() -> MaskSecret {
    secret_of("a key of hashes that is long enough to be one")
}
