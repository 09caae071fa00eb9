//! What went wrong at a SQL Server: one mapping for each driver, and what the server's error numbers mean.
//!
//! Faults follow numbers and kinds, never message texts. A number is transient where Microsoft's text of it says to retry,
//! rerun or wait, or where the state it reports ends by itself; somebody has to change something everywhere else, also
//! where nothing is known of it. The texts:
//! <https://learn.microsoft.com/en-us/sql/relational-databases/errors-events/database-engine-events-and-errors> and
//! <https://learn.microsoft.com/en-us/azure/azure-sql/database/troubleshoot-common-errors-issues>.
//!
//! Lists of transient numbers for clients also hold numbers of the client's own libraries (-2, 20, 121, 233, 258, 11001).
//! They never come from a server with that meaning: as a server's error 121 is a syntax error, 233 a NULL, 258 a wrong
//! type. What they stand for, a connection that broke or was silent, the drivers report as kinds of their own.
//!
//! What the server is used for, the caller says.

mod tls;

use std::error::Error as StdError;
use std::io::ErrorKind;

use mssql_tds::error::{Error as MssqlError, SqlErrorInfo};
use tiberius::error::Error as TiberiusError;
use tidemark::error::{Failure, Fault};

/// This says how tiberius says that a server does not encrypt.
const NOT_ENCRYPTED: &str = "Server does not allow the requested encryption level.";
/// It encrypts as mssql-tds does: without encryption, or with that of the login only.
const NOT_ENCRYPTED_TO_MSSQL: [&str; 2] = ["Server does not support encryption", "Server disallowed encryption"];

/// Returns what an error of tiberius means.
pub(crate) fn of_tiberius(error: TiberiusError) -> Failure {
    match error {
        // The driver's text of a server's error may quote row values, so it is not kept as the cause.
        TiberiusError::Server(token) => of_number(token.code(), token.message(), token.procedure()),
        // Errors of TLS arrive as those of the stream, with this kind or their own end.
        TiberiusError::Io {
            kind: ErrorKind::InvalidData,
            message,
        } => tls::unknown(&message),
        TiberiusError::Io {
            kind: ErrorKind::NotFound,
            ref message,
        } => tls::of_text(message).unwrap_or_else(|| unreachable(error)),
        TiberiusError::Io { kind, message } if kind == ErrorKind::UnexpectedEof && message.contains("handshake") => {
            tls::ended()
        }
        TiberiusError::Io { .. } => unreachable(error),
        // After its first sentence the driver gives advice about its own interface.
        TiberiusError::Tls(text) => {
            let said = text.split(". ").next().unwrap_or_default();
            match said.split_once("rejected during the TLS handshake: ") {
                Some((_, why)) => tls::unknown(&format!("invalid peer certificate: {why}")),
                None => tls::unknown(said),
            }
        }
        TiberiusError::Protocol(text) if text == NOT_ENCRYPTED => tls::not_encrypted(),
        TiberiusError::Routing { .. } => {
            Failure::new(Fault::Unreachable, "the server redirected twice").caused_by(error)
        }
        // Its text may quote row values.
        TiberiusError::Conversion(_) => Failure::new(Fault::Refused, "the server's answer was not understood"),
        other => Failure::new(Fault::Refused, "the server's answer was not understood").caused_by(other),
    }
}

fn unreachable(error: TiberiusError) -> Failure {
    let failure = Failure::new(Fault::Unreachable, "the connection failed");
    match error {
        // The driver's own words before it say nothing.
        TiberiusError::Io { message, .. } => failure.caused_by(message),
        other => failure.caused_by(other),
    }
}

/// Returns what an error of mssql-tds means.
///
/// The driver's text of a server's error is not kept as the cause: it may quote row values.
pub(crate) fn of_mssql(error: MssqlError) -> Failure {
    let (fault, message) = match &error {
        MssqlError::SqlServerError { diagnostics } => return of_server(&diagnostics.errors),
        MssqlError::Io(_)
        | MssqlError::ConnectionError(_)
        | MssqlError::ConnectionClosed(_)
        | MssqlError::SessionRecoveryFailed { .. }
        | MssqlError::SessionNotRecoverable(_)
        | MssqlError::ReconnectionValidationFailed(_)
        | MssqlError::ConnectionResetNotAcknowledged => (Fault::Unreachable, "the connection failed".to_owned()),
        // What is silent may as well be gone.
        MssqlError::TimeoutError(_) => (Fault::Unreachable, "the server did not answer in time".to_owned()),
        MssqlError::TlsError(source) | MssqlError::TlsHandshakeError { source, .. } => {
            return match io_of(&error) {
                Some(ErrorKind::UnexpectedEof) => tls::ended(),
                Some(_) => {
                    Failure::new(Fault::Unreachable, "the connection failed in the TLS handshake").caused_by(error)
                }
                None => tls::unknown(&source.to_string()),
            };
        }
        MssqlError::ProtocolError(text) if NOT_ENCRYPTED_TO_MSSQL.iter().any(|said| text.starts_with(said)) => {
            return tls::not_encrypted();
        }
        MssqlError::CertificateNotFound { .. }
        | MssqlError::InvalidCertificateFormat { .. }
        | MssqlError::CertificateExpired
        | MssqlError::CertificateMismatch
        | MssqlError::CertificateFileIoError { .. }
        | MssqlError::NoServerCertificate => (Fault::Refused, "the server's certificate is not accepted".to_owned()),
        MssqlError::Redirection { .. }
        | MssqlError::ProtocolError(_)
        | MssqlError::OperationCancelledError(_)
        | MssqlError::UsageError(_)
        | MssqlError::ImplementationError(_)
        | MssqlError::UnimplementedFeature { .. }
        | MssqlError::TypeConversionError(_)
        | MssqlError::EncodedValueTooLong { .. }
        | MssqlError::UnsupportedEncoding { .. }
        | MssqlError::BulkCopyError(_)
        | MssqlError::Security(_)
        | MssqlError::ColumnEncryptionError(_) => (Fault::Refused, "the driver cannot go on".to_owned()),
    };
    Failure::new(fault, message).caused_by(error)
}

/// One failure can carry several errors: a transient one decides, else the first.
fn of_server(errors: &[SqlErrorInfo]) -> Failure {
    let decisive = errors
        .iter()
        .find(|error| is_transient(error.number))
        .or(errors.first());
    match decisive {
        Some(error) => {
            let procedure = error.proc_name.as_deref().unwrap_or_default();
            of_number(error.number, &error.message, procedure)
        }
        None => Failure::new(Fault::Refused, "the server refused without saying why"),
    }
}

fn of_number(number: u32, message: &str, procedure: &str) -> Failure {
    Failure::new(fault_of(number), describe(number, message, procedure)).numbered(number)
}

/// Returns what is to be said in place of the failure of a statement in which triggers and procedures of somebody else
/// run: nothing of what they may have put into a name or a statement of their own. Where they execute one as text the
/// server does not name them.
pub(crate) fn withheld(failure: &Failure) -> Option<Failure> {
    match failure.number()? {
        number @ (102 | 105 | 137 | 156 | 170 | 207..=209 | 911 | 1088) => Some(of_number(number, "", SOMEBODY_ELSE)),
        _ => None,
    }
}

/// In place of the name of a procedure that the server does not give.
const SOMEBODY_ELSE: &str = "a trigger or procedure";

/// Returns how the network failed, if it did and not the certificate.
fn io_of(error: &MssqlError) -> Option<ErrorKind> {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            return Some(error.kind());
        }
        cause = error.source();
    }
    None
}

/// Returns what a server's error of this number means.
#[must_use]
pub const fn fault_of(number: u32) -> Fault {
    match number {
        // Locks: none left, a deadlock, a lock timeout, a release out of turn.
        1203..=1205 | 1221 | 1222
        // A snapshot that met an update, a change of the table, the switching on of snapshots, or a full version store;
        // in-memory tables' conflicts (41301, 41302, 41305, 41325, 41839).
        // 3952, snapshots not allowed: one is begun only where they were just seen to be.
        | 3952 | 3957 | 3960 | 3961 | 3966 | 41301 | 41302 | 41305 | 41325 | 41839
        // A statement that lost the ground under it and is to be run again: data moved, a worktable or schema went.
        | 601 | 617 | 669 | 9515 | 10922 | 20041 => Fault::Conflict,
        // Memory, workers and time: to run a query, to compile it (8628), to read a page (845), to log in.
        701 | 802 | 845 | 8628 | 8645 | 8651 | 14355 | 17189 | 17197 | 17809
        // A database that starts, recovers, is restored, moves or fails over. 4060: it cannot be opened, which a failover
        // causes as well as a wrong name; 615, 913, 926: it is not there or looks suspect for a moment.
        | 615 | 913 | 921 | 922 | 926 | 927 | 929 | 941 | 952 | 955 | 956 | 992 | 997 | 4060
        // The same in an availability group: no reads on this replica now (976), none that reads (982), no role (983), no
        // quorum (988), versions still missing (4221). 978 and 979, the wrong intent, are settings.
        | 976 | 982 | 983 | 988 | 4221
        // A server that stops, starts, is paused or upgrades; a session that was ended (596).
        | 596 | 6005 | 17142 | 17187 | 18401
        // The network, as gateways report it.
        | 64 | 10051 | 10053 | 10054 | 10060 | 10061
        // Azure: limits for the moment (10928, 10929, 10936, 40501, 40642, 40648, 40675, 49918 to 49920), reconfiguration
        // (40143, 40166, 40197, 40540, 40613, 42109), operations under way (40627, 40671, 40825, 49977, 49983).
        | 10928 | 10929 | 10936 | 40143 | 40166 | 40197 | 40501 | 40540 | 40613 | 40627 | 40642 | 40648 | 40671 | 40675
        | 40825 | 42109 | 49918 | 49919 | 49920 | 49977 | 49983 => Fault::Unreachable,
        // Values: NULL where none may be (515), a conversion that fails or overflows, a duplicate key, a constraint, a text
        // that is cut, a bulk load's value that its column cannot hold (4815 to 4819, 4863 to 4867), XML that is none.
        220 | 232 | 241 | 242 | 244 | 245 | 248 | 295 | 296 | 298 | 515 | 517 | 547 | 2601 | 2627 | 2628 | 4815..=4819
        | 4863..=4867 | 6522 | 8114 | 8115 | 8134 | 8152 | 8169 | 9400..=9457 => Fault::Data,
        _ => Fault::Refused,
    }
}

/// Returns whether an error goes away by itself.
const fn is_transient(number: u32) -> bool {
    matches!(fault_of(number), Fault::Unreachable | Fault::Conflict)
}

/// Returns what may be said of a server error: its number, and its message where that message cannot quote a row's values.
///
/// Conversion, duplicate-key and truncation errors (245, 248, 2601, 2627, 2628, …) and everything raised by
/// procedures quote values, so only messages known to be built of names are repeated. For some numbers a hint says
/// what to change. A trigger or procedure (one that the error names) builds statements of what it likes, and a name that is
/// "invalid" there, or the syntax "near" which it fails, may be a value.
fn describe(number: u32, message: &str, procedure: &str) -> String {
    let is_ours = procedure.is_empty() || OF_THE_PROTOCOL.contains(&procedure.to_ascii_lowercase().as_str());
    let said = if quotes_names_only(number) && is_ours {
        format!("SQL Server error {number}: {}", message.trim_end())
    } else {
        format!("SQL Server error {number} (its text may quote row values and is not repeated)")
    };
    match hint(number) {
        Some(hint) => format!("{said} ({hint})"),
        None => said,
    }
}

/// Procedures that only carry a statement of ours.
const OF_THE_PROTOCOL: [&str; 3] = ["sp_executesql", "sp_prepexec", "sp_execute"];

/// Returns whether a message is built of the names of objects, logins and servers alone.
const fn quotes_names_only(number: u32) -> bool {
    is_transient(number)
        || matches!(
            number,
            // Syntax and names.
            102 | 105 | 137 | 156 | 170 | 207..=209 | 911 | 1088 | 2812 | 8144 | 8178 | 8672
            // Permissions.
            | 229 | 230 | 262 | 297 | 300 | 916
            // Constraints.
            | 515 | 544 | 547
            // Logins and addresses.
            | 18452 | 18456 | 18470 | 18486..=18488 | 40532 | 40615
            // What the server is set to, or allows a session.
            | 978 | 979 | 3951 | 22105 | 22117 | 40549..=40553 | 42108
        )
}

const fn hint(number: u32) -> Option<&'static str> {
    match number {
        207 | 208 | 1088 => Some("check the table and column names, and that the login may see them"),
        229 | 230 | 262 | 297 | 300 | 916 => Some("grant the login the permission"),
        4060 => Some("check the name of the database, if it does not pass"),
        976 | 978 | 979 => Some("connect to the availability group's listener, or to a replica that may be read"),
        18452 | 18456 | 18470 | 18486 | 18487 | 18488 | 40532 => Some("check the user name and the password"),
        40549..=40553 => {
            Some("the slice needs more than the database's limits allow: copy fewer columns, or raise them")
        }
        8672 => Some("name the keys of the sink, so that the procedure is handed one row for each"),
        40615 => Some("allow this client's address in the server's firewall"),
        42108 => Some("resume the SQL pool"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use mssql_tds::error::TimeoutErrorType;

    use super::*;

    #[test]
    fn numbers_say_what_happened() {
        for (fault, numbers) in [
            (Fault::Conflict, &[1205, 1222, 3952, 3960, 601][..]),
            (
                Fault::Unreachable,
                &[
                    4060, 10928, 10929, 10053, 10054, 10060, 40197, 40501, 40613, 49918, 49919, 49920,
                ],
            ),
            (Fault::Data, &[245, 515, 547, 2601, 2627, 2628, 4815, 8114, 8115]),
            (Fault::Refused, &[0, 102, 207, 208, 229, 18456, 50000, u32::MAX]),
        ] {
            for &number in numbers {
                assert_eq!(fault_of(number), fault, "{number}");
            }
        }
    }

    #[test]
    fn the_numbers_in_the_docs_are_those_that_pass_by_themselves() {
        let docs = include_str!("../../../docs/reference/errors.md");
        let section = docs.split("## What is tried again").nth(1).unwrap();
        let section = section.split("\n#").next().unwrap();
        let rows = section.lines().filter(|line| line.starts_with("| ")).skip(1);
        let mut documented = Vec::new();
        for numbers in rows.map(|row| row.split('|').nth(1).unwrap()) {
            for range in numbers.split(',') {
                let (first, last) = range.trim().split_once(" to ").unwrap_or((range.trim(), range.trim()));
                documented.extend(first.parse::<u32>().unwrap()..=last.parse().unwrap());
            }
        }
        documented.sort_unstable();
        let transient: Vec<u32> = (0..70_000).filter(|&number| is_transient(number)).collect();
        assert_eq!(documented, transient);
    }

    #[test]
    fn a_message_that_may_quote_values_is_withheld() {
        let text = "Conversion failed when converting the varchar value 'secret' to data type int.";
        for number in [242, 245, 248, 2601, 2627, 2628, 8115, 50000] {
            let said = describe(number, text, "");
            assert!(said.contains(&number.to_string()) && !said.contains("secret"), "{said}");
        }
        for number in [102, 105, 137, 156, 207, 208] {
            let said = describe(number, "Invalid object name 'secret'.", "trigger");
            assert!(said.contains(&number.to_string()) && !said.contains("secret"), "{said}");
        }
        assert_eq!(
            describe(208, "Invalid object name 'dbo.x'.", "sp_executesql"),
            "SQL Server error 208: Invalid object name 'dbo.x'. (check the table and column names, and that the login may see them)"
        );
        assert_eq!(
            describe(1205, "Transaction was deadlocked.", ""),
            "SQL Server error 1205: Transaction was deadlocked."
        );
    }

    fn server_error(numbers: &[u32]) -> MssqlError {
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
        MssqlError::from_sql_errors(errors)
    }

    #[test]
    fn kinds_and_numbers_decide_the_fault() {
        let reset = || std::io::Error::from(ErrorKind::ConnectionReset);
        let late = TimeoutErrorType::String("late".to_owned());
        for (error, fault, number) in [
            (server_error(&[18456]), Fault::Refused, Some(18456)),
            (server_error(&[208]), Fault::Refused, Some(208)),
            (server_error(&[1205]), Fault::Conflict, Some(1205)),
            (server_error(&[18456, 40613]), Fault::Unreachable, Some(40613)),
            (server_error(&[2627, 3621]), Fault::Data, Some(2627)),
            (server_error(&[]), Fault::Refused, None),
            (MssqlError::Io(reset()), Fault::Unreachable, None),
            (MssqlError::TimeoutError(late), Fault::Unreachable, None),
            (MssqlError::ConnectionClosed(String::new()), Fault::Unreachable, None),
            (MssqlError::CertificateExpired, Fault::Refused, None),
            (MssqlError::ProtocolError(String::new()), Fault::Refused, None),
        ] {
            let said = error.to_string();
            let failure = of_mssql(error);
            assert_eq!((failure.fault(), failure.number()), (fault, number), "{said}");
        }
        assert_eq!(of_tiberius(TiberiusError::from(reset())).fault(), Fault::Unreachable);
        let text = "the server's certificate was rejected during the TLS handshake: UnknownIssuer. Set trust_cert";
        let untrusted = of_tiberius(TiberiusError::Tls(text.to_owned()));
        assert_eq!(untrusted.fault(), Fault::Refused);
        let cause = StdError::source(&untrusted).unwrap().to_string();
        assert_eq!(cause, "invalid peer certificate: UnknownIssuer");
    }

    #[test]
    fn a_row_value_in_a_server_message_is_not_repeated() {
        let failure = of_mssql(server_error(&[245]));
        let said = failure.to_string();
        assert!(said.contains("245") && !said.contains("secret"), "{said}");
        assert!(StdError::source(&failure).is_none());
        let conversion = of_tiberius(TiberiusError::Conversion("the value 'secret'".into()));
        assert!(StdError::source(&conversion).is_none());
    }
}
