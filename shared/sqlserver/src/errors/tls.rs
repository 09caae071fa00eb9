//! Explains why there is no TLS connection: each cause has its own message and its own advice.
//!
//! Both drivers use rustls and pass on its errors as text, so causes are recognised by rustls's words. A test compares
//! this list with rustls's own errors. Every cause here is permanent, so a text decides about a retry in one place only: an
//! error of the stream that is of a handshake by its text is not tried again, because the drivers give both the same
//! kind.

use tidemark::error::{Failure, Fault};

/// A cause of a failed handshake.
struct Cause {
    /// The words of rustls, any of which tells this cause.
    said: &'static [&'static str],
    means: &'static str,
}

/// The causes, with the more specific ones first.
const CAUSES: [Cause; 21] = [
    Cause {
        // The texts of tiberius, and of the stand-in for native-tls.
        said: &[
            "no usable CA certificates found",
            "could not load platform certificates",
            "no certificate authority was found",
        ],
        means: "no certificate authority is known on this machine: name a file with their certificates in SSL_CERT_FILE",
    },
    Cause {
        said: &["UnknownIssuer"],
        means: "the server's certificate is of no authority that is known here: if it is of a private one, name a file with its \
                certificate and the public ones in SSL_CERT_FILE; the setting tls=trust takes any certificate, for private test \
                servers only",
    },
    Cause {
        said: &["is not valid for any names"],
        means: "the server's certificate has no subject alternative name, and its common name does not count: issue one that has \
                the name of the host as a subject alternative name",
    },
    Cause {
        said: &["certificate not valid for name", "NotValidForName"],
        means: "the server's certificate is for another name than that of the host: connect by a name in the certificate, or \
                give one of them as host_name_in_certificate in the secret",
    },
    Cause {
        said: &["certificate expired", "Expired"],
        means: "the server's certificate has expired: renew it on the server",
    },
    Cause {
        said: &["certificate not valid yet", "NotValidYet"],
        means: "the server's certificate is not valid yet: check the clocks of the server and of its authority",
    },
    Cause {
        said: &["Revoked"],
        means: "the server's certificate was revoked: renew it on the server",
    },
    Cause {
        said: &["CaUsedAsEndEntity"],
        means: "the server's certificate is one of an authority, as some that are signed by themselves are: issue the server one of \
                its own from it, and name the authority's in SSL_CERT_FILE",
    },
    Cause {
        said: &["UnsupportedSignatureAlgorithm"],
        means: "the server's certificate, or one that it depends on, is signed in a way that is not accepted, such as with SHA-1: \
                issue it with SHA-256 or better",
    },
    Cause {
        said: &["BadSignature"],
        means: "a signature of the server's certificate does not hold: its key is too short (RSA keys need 2,048 bits), or the \
                certificate is damaged",
    },
    Cause {
        said: &["does not allow extended key usage", "InvalidPurpose"],
        means: "the server's certificate is not one for servers: issue it with the extended key usage of server authentication",
    },
    Cause {
        said: &["NameConstraintViolation"],
        means: "the server's certificate has a name that its authority may not give: issue it from another one",
    },
    Cause {
        said: &["UnhandledCriticalExtension", "UnsupportedCriticalExtension"],
        means: "the server's certificate has a critical extension that is not known here: issue it without that",
    },
    Cause {
        said: &["invalid peer certificate"],
        means: "the server's certificate is of a kind that is not accepted, as the one is that SQL Server makes for itself when it \
                is given none: give the server a certificate of an authority (X.509 version 3)",
    },
    Cause {
        said: &["NoApplicationProtocol", "peer doesn't support any known protocol"],
        means: "the server does not speak TDS 8.0, which tls=strict asks for and SQL Server 2022 was the first to know: use \
                tls=verify",
    },
    Cause {
        said: &[
            "alert: ProtocolVersion",
            "ServerDoesNotSupportTls12Or13",
            "ServerTlsVersionIsDisabledByOurConfig",
            "UnknownProtocolVersion",
        ],
        means: "the server speaks no version of TLS that is accepted here: enable TLS 1.2 or 1.3 on the server",
    },
    Cause {
        said: &[
            "alert: HandshakeFailure",
            "alert: InsufficientSecurity",
            "alert: IllegalParameter",
            "ExtendedMasterSecretExtensionRequired",
            "NoCipherSuitesInCommon",
            "NoKxGroupsInCommon",
            "NoSignatureSchemesInCommon",
            "NoEcPointFormatsInCommon",
            "SelectedUnofferedCipherSuite",
        ],
        means: "the server and this program have no cipher in common: enable a suite with ECDHE and AES-GCM on the server",
    },
    Cause {
        said: &["alert: UnrecognisedName"],
        means: "the server, or the gateway before it, knows no server of the name of the host: connect by the name that it is known by \
                there",
    },
    Cause {
        said: &["alert: CertificateRequired"],
        means: "the server, or the gateway before it, wants a certificate of its clients, and this program has none: let it take \
                connections without one",
    },
    Cause {
        said: &["alert: AccessDenied"],
        means: "the server, or the gateway before it, allows this client no connection: check its rules for clients and addresses",
    },
    Cause {
        said: &["corrupt message", "unexpected message", "excess record size"],
        means: "what answers does not speak TLS: check that the port is SQL Server's; tls=strict needs SQL Server 2022 or \
                later",
    },
];

/// Returns the failure for rustls's text about a handshake, or `None` when the text is not known to be about one.
pub(super) fn of_text(text: &str) -> Option<Failure> {
    let is_said = |cause: &&Cause| cause.said.iter().any(|said| text.contains(said));
    let cause = CAUSES.iter().find(is_said)?;
    Some(Failure::new(Fault::Refused, cause.means).caused_by(text))
}

/// Returns the failure for a handshake whose cause may be unknown.
pub(super) fn unknown(text: &str) -> Failure {
    of_text(text).unwrap_or_else(|| Failure::new(Fault::Refused, "there is no TLS connection").caused_by(text))
}

/// Builds the failure for a connection that the server ended in the middle of a handshake. A broken network looks the
/// same.
pub(super) fn ended() -> Failure {
    Failure::new(
        Fault::Unreachable,
        "the server ended the connection in the TLS handshake: if it does so every time, it has no TLS version (1.2 or 1.3) or no \
         cipher in common with this program, or it and this program differ about tls=strict",
    )
}

/// Builds the failure for a server that does not encrypt.
pub(super) fn not_encrypted() -> Failure {
    Failure::new(
        Fault::Refused,
        "the server does not encrypt connections, and nothing is sent in the clear: enable encryption on the server",
    )
}

#[cfg(test)]
mod tests {
    use std::fmt;
    use std::sync::Arc;

    use rustls::{
        AlertDescription, CertificateError, Error, ExtendedKeyPurpose, InvalidMessage, OtherError, PeerIncompatible,
    };

    use super::*;

    /// The errors of rustls's own library of certificates that it passes on as they are.
    #[derive(Debug)]
    enum OfWebpki {
        CaUsedAsEndEntity,
        UnsupportedCertVersion,
        NameConstraintViolation,
    }

    impl fmt::Display for OfWebpki {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{self:?}")
        }
    }

    impl std::error::Error for OfWebpki {}

    fn said_of(error: &Error) -> String {
        let failure = unknown(&error.to_string());
        assert_eq!(failure.fault(), Fault::Refused, "{error}");
        failure.to_string()
    }

    #[test]
    fn each_cause_has_its_own_words_and_only_an_unknown_authority_is_advised_about() {
        let certificate = Error::InvalidCertificate;
        let purpose = CertificateError::InvalidPurposeContext {
            required: ExtendedKeyPurpose::ServerAuth,
            presented: vec![ExtendedKeyPurpose::ClientAuth],
        };
        let algorithm = CertificateError::UnsupportedSignatureAlgorithmContext {
            signature_algorithm_id: Vec::new(),
            supported_algorithms: Vec::new(),
        };
        let for_names = |names: &[&str]| CertificateError::NotValidForNameContext {
            expected: "host".try_into().unwrap(),
            presented: names.iter().map(|&name| name.to_owned()).collect(),
        };
        let other = |error| CertificateError::Other(OtherError(Arc::new(error)));
        for (error, said) in [
            (certificate(CertificateError::UnknownIssuer), "SSL_CERT_FILE"),
            (
                certificate(CertificateError::NotValidForName),
                "host_name_in_certificate",
            ),
            (certificate(CertificateError::Expired), "has expired"),
            (certificate(CertificateError::NotValidYet), "clocks"),
            (certificate(CertificateError::Revoked), "revoked"),
            (certificate(CertificateError::BadEncoding), "of a kind"),
            (certificate(CertificateError::InvalidPurpose), "not one for servers"),
            (certificate(purpose), "not one for servers"),
            (certificate(for_names(&[])), "no subject alternative name"),
            (certificate(for_names(&["db"])), "host_name_in_certificate"),
            (certificate(CertificateError::BadSignature), "2,048 bits"),
            (certificate(algorithm), "SHA-1"),
            (certificate(other(OfWebpki::CaUsedAsEndEntity)), "one of an authority"),
            (certificate(other(OfWebpki::UnsupportedCertVersion)), "version 3"),
            (certificate(other(OfWebpki::NameConstraintViolation)), "may not give"),
            (
                certificate(CertificateError::UnhandledCriticalExtension),
                "critical extension",
            ),
            (Error::NoApplicationProtocol, "TDS 8.0"),
            (Error::AlertReceived(AlertDescription::NoApplicationProtocol), "TDS 8.0"),
            (
                Error::AlertReceived(AlertDescription::ProtocolVersion),
                "TLS 1.2 or 1.3",
            ),
            (PeerIncompatible::ServerDoesNotSupportTls12Or13.into(), "TLS 1.2 or 1.3"),
            (
                Error::AlertReceived(AlertDescription::HandshakeFailure),
                "cipher in common",
            ),
            (PeerIncompatible::NoCipherSuitesInCommon.into(), "cipher in common"),
            (PeerIncompatible::NoKxGroupsInCommon.into(), "cipher in common"),
            (
                Error::InvalidMessage(InvalidMessage::InvalidContentType),
                "does not speak TLS",
            ),
            (
                Error::AlertReceived(AlertDescription::InternalError),
                "no TLS connection",
            ),
        ] {
            let text = said_of(&error);
            assert!(text.contains(said), "{error}: {text}");
            let is_advised =
                error.to_string().contains("UnknownIssuer") || error.to_string().contains("CaUsedAsEndEntity");
            assert_eq!(text.contains("SSL_CERT_FILE"), is_advised, "{text}");
        }
    }

    #[test]
    fn a_server_that_refuses_a_name_or_a_client_is_told_as_one() {
        for (alert, said) in [
            (AlertDescription::UnrecognisedName, "knows no server of the name"),
            (AlertDescription::CertificateRequired, "a certificate of its clients"),
            (AlertDescription::AccessDenied, "allows this client no connection"),
        ] {
            let text = said_of(&Error::AlertReceived(alert));
            assert!(text.contains(said), "{alert:?}: {text}");
        }
    }
}
