//! The port by which secrets are read, and the content of a secret.

use std::fmt;
use std::hash::{Hash, Hasher};

use futures::future::BoxFuture;
use zeroize::Zeroizing;

use crate::error::Answer;

/// The content of a secret. Its memory is overwritten when it is dropped. It has neither `Debug` nor `Display`, so that
/// a type that holds it cannot print it by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the content of a secret.
    #[must_use]
    pub fn new(content: String) -> Self {
        Self(Zeroizing::new(content))
    }

    /// Returns the content, for whoever logs in with it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl Hash for Secret {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

/// A store of secrets. Its users keep it for as long as the process lives, behind a pointer.
pub trait ReadSecrets: fmt::Debug + Send + Sync {
    /// Returns the secret of this name as it is now.
    ///
    /// Fails as `InvalidConfig` when the secret cannot be read and a retry will not help, and as `Unreachable` when the
    /// store throttles or fails, because a database cannot be reached without the secret. Who asks knows what the
    /// database is used for.
    fn secret<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Answer<Secret>>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::tokens::{ClientProof, Identity, Token};

    /// Tells whether a type has `Debug`: where it has, the inherent method goes before that of the trait.
    struct Shown<T>(std::marker::PhantomData<T>);

    trait Hidden {
        fn is_shown() -> bool {
            false
        }
    }

    impl<T> Hidden for Shown<T> {}

    impl<T: fmt::Debug> Shown<T> {
        const fn is_shown() -> bool {
            true
        }
    }

    #[test]
    fn nothing_that_is_secret_can_be_printed() {
        assert!(Shown::<String>::is_shown(), "the test can tell");
        assert!(!Shown::<Secret>::is_shown());
        assert!(!Shown::<Identity>::is_shown());
        assert!(!Shown::<ClientProof>::is_shown());
        assert!(!Shown::<Token>::is_shown());
    }
}
