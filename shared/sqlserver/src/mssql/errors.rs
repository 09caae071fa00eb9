//! The driver's errors as ours.

use std::error::Error as StdError;

use mssql_tds::error::{Error as DriverError, SqlErrorInfo};

use crate::error::{Error, ErrorCode};
use crate::sqlserver_errors::{code_of, describe};

/// What to change when a certificate is not trusted.
const TLS_HINT: &str = "if the certificate is of a private CA, name a file with its certificate and the public ones in SSL_CERT_FILE; SOURCE_TLS=trust takes any certificate, for private test servers only";

/// The class and text of a driver error, by its kind and the server's error number, never by its text.
///
/// The driver's text of a server error is not kept as the cause: it may quote row values.
pub fn error_of(error: DriverError) -> Error {
    match error {
        DriverError::SqlServerError { diagnostics } => of_server(&diagnostics.errors),
        DriverError::Io(_)
        | DriverError::ConnectionError(_)
        | DriverError::ConnectionClosed(_)
        | DriverError::SessionRecoveryFailed { .. }
        | DriverError::SessionNotRecoverable(_)
        | DriverError::ReconnectionValidationFailed(_)
        | DriverError::ConnectionResetNotAcknowledged => {
            Error::with_source(ErrorCode::SourceUnavailable, "the connection failed", error)
        }
        DriverError::TimeoutError(_) => {
            Error::with_source(ErrorCode::SourceUnavailable, "the server did not answer in time", error)
        }
        DriverError::TlsError(_) | DriverError::TlsHandshakeError { .. } if is_io(&error) => Error::with_source(
            ErrorCode::SourceUnavailable,
            "the connection failed in the TLS handshake",
            error,
        ),
        DriverError::TlsError(_)
        | DriverError::TlsHandshakeError { .. }
        | DriverError::CertificateNotFound { .. }
        | DriverError::InvalidCertificateFormat { .. }
        | DriverError::CertificateExpired
        | DriverError::CertificateMismatch
        | DriverError::CertificateFileIoError { .. }
        | DriverError::NoServerCertificate => Error::with_source(
            ErrorCode::SourceRejected,
            format!("the server's TLS certificate is not accepted ({TLS_HINT})"),
            error,
        ),
        DriverError::Redirection { .. }
        | DriverError::ProtocolError(_)
        | DriverError::OperationCancelledError(_)
        | DriverError::UsageError(_)
        | DriverError::ImplementationError(_)
        | DriverError::UnimplementedFeature { .. }
        | DriverError::TypeConversionError(_)
        | DriverError::EncodedValueTooLong { .. }
        | DriverError::UnsupportedEncoding { .. }
        | DriverError::BulkCopyError(_)
        | DriverError::Security(_)
        | DriverError::ColumnEncryptionError(_) => {
            Error::with_source(ErrorCode::SourceRejected, "the driver cannot go on", error)
        }
    }
}

/// One failure can carry several errors: a transient one decides, else the first.
fn of_server(errors: &[SqlErrorInfo]) -> Error {
    let decisive = errors
        .iter()
        .find(|error| code_of(error.number) == ErrorCode::SourceUnavailable)
        .or(errors.first());
    match decisive {
        Some(error) => Error::new(code_of(error.number), describe(error.number, &error.message)),
        None => Error::new(ErrorCode::SourceRejected, "the server refused without saying why"),
    }
}

/// Whether the network failed rather than the certificate.
fn is_io(error: &DriverError) -> bool {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<std::io::Error>() {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use mssql_tds::error::TimeoutErrorType;

    use super::*;

    fn server_error(numbers: &[u32]) -> DriverError {
        let errors = numbers
            .iter()
            .map(|number| SqlErrorInfo {
                message: "the value 'secret'".to_owned(),
                state: 1,
                class: 16,
                number: *number,
                server_name: None,
                proc_name: None,
                line_number: None,
            })
            .collect();
        DriverError::from_sql_errors(errors)
    }

    #[test]
    fn kinds_and_numbers_decide_the_class() {
        let reset = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        let late = TimeoutErrorType::String("late".to_owned());
        for (error, code) in [
            (server_error(&[18456]), ErrorCode::SourceRejected),
            (server_error(&[208]), ErrorCode::SourceRejected),
            (server_error(&[1205]), ErrorCode::SourceUnavailable),
            (server_error(&[18456, 40613]), ErrorCode::SourceUnavailable),
            (server_error(&[]), ErrorCode::SourceRejected),
            (DriverError::Io(reset), ErrorCode::SourceUnavailable),
            (DriverError::TimeoutError(late), ErrorCode::SourceUnavailable),
            (
                DriverError::ConnectionClosed(String::new()),
                ErrorCode::SourceUnavailable,
            ),
            (DriverError::CertificateExpired, ErrorCode::SourceRejected),
            (DriverError::ProtocolError(String::new()), ErrorCode::SourceRejected),
        ] {
            let said = error.to_string();
            assert_eq!(error_of(error).code(), code, "{said}");
        }
    }

    #[test]
    fn a_row_value_in_a_server_message_is_not_repeated() {
        let report = error_of(server_error(&[245])).report();
        assert!(report.contains("245") && !report.contains("secret"), "{report}");
    }
}
