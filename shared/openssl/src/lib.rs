//! The part of the crate `openssl` that `mssql-tds` uses, without OpenSSL.
//!
//! `[patch.crates-io]` puts this crate in the place of `openssl`, which `mssql-tds` uses only to compute for Always
//! Encrypted (its module `security::crypto`; TLS uses `native-tls`). Tidemark never enables column encryption, so such
//! columns arrive as the ciphertext that is stored, and OpenSSL would be built for nothing.
//!
//! Every function that makes a value returns [`ErrorStack`](error::ErrorStack). The other types have no values, so the
//! compiler sees that their methods are never called. If `mssql-tds` needs more, it does not compile.

#![allow(
    missing_docs,
    clippy::missing_errors_doc,
    reason = "the documentation is that of openssl 0.10"
)]

use std::convert::Infallible;

pub mod error {
    use std::fmt;

    /// The error that there is no OpenSSL.
    #[derive(Debug, Clone)]
    pub struct ErrorStack(pub(crate) ());

    impl fmt::Display for ErrorStack {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("Always Encrypted is not supported by this program")
        }
    }

    impl std::error::Error for ErrorStack {}
}

type Answer<T> = Result<T, error::ErrorStack>;

const fn never<T>() -> Answer<T> {
    Err(error::ErrorStack(()))
}

pub mod rand {
    pub const fn rand_bytes(_: &mut [u8]) -> super::Answer<()> {
        super::never()
    }
}

pub mod hash {
    #[derive(Debug, Clone, Copy)]
    pub struct MessageDigest(());

    impl MessageDigest {
        #[must_use]
        pub const fn sha1() -> Self {
            Self(())
        }

        #[must_use]
        pub const fn sha256() -> Self {
            Self(())
        }
    }
}

pub mod pkey {
    use std::marker::PhantomData;

    use super::{Answer, Infallible, never, rsa::Rsa};

    /// The type parameter of a key that is not only public.
    #[derive(Debug)]
    pub enum Private {}

    #[derive(Debug)]
    pub struct PKey<T>(pub(crate) Infallible, PhantomData<T>);

    impl PKey<Private> {
        pub const fn hmac(_: &[u8]) -> Answer<Self> {
            never()
        }

        pub const fn private_key_from_pem(_: &[u8]) -> Answer<Self> {
            never()
        }

        pub const fn from_rsa(rsa: Rsa<Private>) -> Answer<Self> {
            match rsa.0 {}
        }
    }
}

pub mod rsa {
    use std::marker::PhantomData;

    use super::pkey::Private;
    use super::{Answer, Infallible, never};

    #[derive(Debug, Clone, Copy)]
    pub struct Padding(());

    impl Padding {
        pub const PKCS1: Self = Self(());
        pub const PKCS1_OAEP: Self = Self(());
    }

    #[derive(Debug)]
    pub struct Rsa<T>(pub(crate) Infallible, PhantomData<T>);

    impl Rsa<Private> {
        pub const fn private_key_from_pem(_: &[u8]) -> Answer<Self> {
            never()
        }
    }
}

pub mod symm {
    use super::{Answer, never};

    #[derive(Debug, Clone, Copy)]
    pub struct Cipher(());

    impl Cipher {
        #[must_use]
        pub const fn aes_256_cbc() -> Self {
            Self(())
        }
    }

    pub const fn encrypt(_: Cipher, _: &[u8], _: Option<&[u8]>, _: &[u8]) -> Answer<Vec<u8>> {
        never()
    }

    pub const fn decrypt(_: Cipher, _: &[u8], _: Option<&[u8]>, _: &[u8]) -> Answer<Vec<u8>> {
        never()
    }
}

/// Defines a type that works with a key. It has no values, because there are no keys.
macro_rules! with_a_key {
    ($name:ident) => {
        #[derive(Debug)]
        pub struct $name<'a>(Infallible, std::marker::PhantomData<&'a ()>);

        impl $name<'_> {
            pub fn set_rsa_padding(&mut self, _: Padding) -> Answer<()> {
                match self.0 {}
            }
        }
    };
}

pub mod encrypt {
    use super::hash::MessageDigest;
    use super::pkey::PKey;
    use super::rsa::Padding;
    use super::{Answer, Infallible};

    with_a_key!(Encrypter);
    with_a_key!(Decrypter);

    impl<'a> Encrypter<'a> {
        pub fn new<T>(key: &'a PKey<T>) -> Answer<Self> {
            match key.0 {}
        }

        pub fn set_rsa_oaep_md(&mut self, _: MessageDigest) -> Answer<()> {
            match self.0 {}
        }

        pub fn set_rsa_mgf1_md(&mut self, _: MessageDigest) -> Answer<()> {
            match self.0 {}
        }

        pub fn encrypt_len(&self, _: &[u8]) -> Answer<usize> {
            match self.0 {}
        }

        pub fn encrypt(&self, _: &[u8], _: &mut [u8]) -> Answer<usize> {
            match self.0 {}
        }
    }

    impl<'a> Decrypter<'a> {
        pub fn new<T>(key: &'a PKey<T>) -> Answer<Self> {
            match key.0 {}
        }

        pub fn set_rsa_oaep_md(&mut self, _: MessageDigest) -> Answer<()> {
            match self.0 {}
        }

        pub fn set_rsa_mgf1_md(&mut self, _: MessageDigest) -> Answer<()> {
            match self.0 {}
        }

        pub fn decrypt_len(&self, _: &[u8]) -> Answer<usize> {
            match self.0 {}
        }

        pub fn decrypt(&self, _: &[u8], _: &mut [u8]) -> Answer<usize> {
            match self.0 {}
        }
    }
}

pub mod sign {
    use super::hash::MessageDigest;
    use super::pkey::PKey;
    use super::rsa::Padding;
    use super::{Answer, Infallible};

    with_a_key!(Signer);
    with_a_key!(Verifier);

    impl<'a> Signer<'a> {
        pub fn new<T>(_: MessageDigest, key: &'a PKey<T>) -> Answer<Self> {
            match key.0 {}
        }

        pub fn update(&mut self, _: &[u8]) -> Answer<()> {
            match self.0 {}
        }

        pub fn sign_to_vec(&self) -> Answer<Vec<u8>> {
            match self.0 {}
        }
    }

    impl<'a> Verifier<'a> {
        pub fn new<T>(_: MessageDigest, key: &'a PKey<T>) -> Answer<Self> {
            match key.0 {}
        }

        pub fn update(&mut self, _: &[u8]) -> Answer<()> {
            match self.0 {}
        }

        pub fn verify(&self, _: &[u8]) -> Answer<bool> {
            match self.0 {}
        }
    }
}
