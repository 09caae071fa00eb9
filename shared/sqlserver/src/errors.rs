//! Maps the errors of each driver, and the error numbers of the server, to failures.
//!
//! Faults follow numbers and kinds, never message texts, but for one: tiberius reports a failed handshake as an error of
//! the stream, and only its text tells that it is permanent (`tls`). A number is transient where Microsoft's text for it says to
//! retry, rerun or wait, or where the state that it reports ends without help. Every other number, and every unknown
//! one, needs a person to change something. The texts are on
//! <https://learn.microsoft.com/en-us/sql/relational-databases/errors-events/database-engine-events-and-errors> and
//! <https://learn.microsoft.com/en-us/azure/azure-sql/database/troubleshoot-common-errors-issues>.
//!
//! Lists of transient numbers for clients also contain numbers of the client's own libraries (-2, 20, 121, 233, 258,
//! 11001). A server never sends them with that meaning: as a server's error 121 is a syntax error, 233 a NULL, and 258
//! a wrong type. The drivers report what those numbers stand for, a connection that broke or was silent, as kinds of
//! their own.
//!
//! The caller adds what the server is used for.

mod lost;
mod tls;

use std::error::Error as StdError;
use std::io::ErrorKind;

use mssql_tds::error::{Error as MssqlError, SqlErrorInfo};
use tiberius::error::Error as TiberiusError;
use tidemark::error::{Failure, Fault};

/// The text with which tiberius says that a server does not encrypt.
const NOT_ENCRYPTED: &str = "Server does not allow the requested encryption level.";
/// The number of the error for a database that does not exist, that the login may not open, or, in Azure, that moves.
pub(crate) const CANNOT_OPEN_DATABASE: u32 = 4060;
/// The texts with which mssql-tds says that a server does not encrypt, or encrypts only the login.
const NOT_ENCRYPTED_TO_MSSQL: [&str; 2] = ["Server does not support encryption", "Server disallowed encryption"];

/// Maps an error of tiberius.
pub(crate) fn of_tiberius(error: TiberiusError) -> Failure {
    match error {
        // The driver's text of a server's error may quote row values, so it is not kept as the cause.
        TiberiusError::Server(token) => of_number(token.code(), token.message(), token.procedure()),
        // Errors of TLS arrive as errors of the stream, with this kind or one of the next two.
        TiberiusError::Io {
            kind: ErrorKind::InvalidData,
            message,
        } => tls::unknown(&message),
        TiberiusError::Io {
            kind: ErrorKind::NotFound,
            ref message,
        } => tls::of_text(message).unwrap_or_else(|| unreachable(&error)),
        TiberiusError::Io { kind, message } if kind == ErrorKind::UnexpectedEof && message.contains("handshake") => {
            tls::ended()
        }
        TiberiusError::Io { .. } => unreachable(&error),
        // After the first sentence the driver gives advice about its own interface.
        TiberiusError::Tls(text) => {
            let said = text.split(". ").next().unwrap_or_default();
            match said.split_once("rejected during the TLS handshake: ") {
                Some((_, why)) => tls::unknown(&format!("invalid peer certificate: {why}")),
                None => tls::unknown(said),
            }
        }
        TiberiusError::Protocol(text) if text == NOT_ENCRYPTED => tls::not_encrypted(),
        TiberiusError::Routing { .. } => {
            Failure::new(Fault::Unreachable, "the server redirected too often").caused_by(error)
        }
        // The text may quote row values.
        TiberiusError::Conversion(_) => Failure::new(Fault::Refused, "the server's answer was not understood"),
        other => Failure::new(Fault::Refused, "the server's answer was not understood").caused_by(other),
    }
}

/// Maps an error of tiberius in a login. A connection that is cut then was mostly cut in the TLS handshake, with which a login
/// begins, and the driver does not say where.
pub(crate) fn of_tiberius_login(error: TiberiusError) -> Failure {
    match error {
        TiberiusError::Io { kind, .. } if is_cut(kind) => tls::ended(),
        other => of_tiberius(other),
    }
}

/// Returns whether the other side ended a connection, with or without a word.
const fn is_cut(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe
    )
}

fn unreachable(error: &TiberiusError) -> Failure {
    match error {
        // The driver's words before the message add nothing.
        TiberiusError::Io { message, .. } => lost::of_text(message),
        other => lost::of_text(&other.to_string()),
    }
}

/// Maps an error of mssql-tds.
///
/// The driver's text of a server's error is not kept as the cause, because it may quote row values.
pub(crate) fn of_mssql(error: MssqlError) -> Failure {
    let (fault, message) = match &error {
        MssqlError::SqlServerError { diagnostics } => return of_server(&diagnostics.errors),
        MssqlError::Io(_)
        | MssqlError::ConnectionError(_)
        | MssqlError::ConnectionClosed(_)
        | MssqlError::SessionRecoveryFailed { .. }
        | MssqlError::SessionNotRecoverable(_)
        | MssqlError::ReconnectionValidationFailed(_)
        | MssqlError::ConnectionResetNotAcknowledged => return lost::of_text(&error.to_string()),
        // A server that is silent may be gone.
        MssqlError::TimeoutError(_) => (Fault::Unreachable, "the server did not answer in time".to_owned()),
        MssqlError::TlsError(source) | MssqlError::TlsHandshakeError { source, .. } => {
            return match io_of(&error) {
                Some(kind) if is_cut(kind) => tls::ended(),
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
        // These two have lengths and times in their texts, and no value.
        | MssqlError::EncodedValueTooLong { .. }
        | MssqlError::BulkCopyError(_)
        | MssqlError::UnsupportedEncoding { .. }
        | MssqlError::Security(_)
        | MssqlError::ColumnEncryptionError(_) => (Fault::Refused, "the driver cannot go on".to_owned()),
        // The driver's text may quote row values.
        MssqlError::TypeConversionError(_) => {
            let message = "a value is none of its column's type (the driver's text may quote row values and is not repeated)";
            return Failure::new(Fault::Refused, message);
        }
    };
    Failure::new(fault, message).caused_by(error)
}

/// Maps the errors of one answer of the server: a transient one decides, else the first.
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

/// Returns the failure to report instead of `failure` for a statement in which triggers and procedures of others run.
/// It repeats no text of the server that quotes anything, because they may execute a value of a row as a statement, as
/// the name of an object or as that of a database, and the server does not name the procedure that does so. `None` when
/// `failure` can be reported as it is.
pub(crate) fn withheld(failure: &Failure) -> Option<Failure> {
    let number = failure.number().filter(|&number| !quotes_nothing(number))?;
    Some(of_number(number, "", SOMEBODY_ELSE))
}

/// The name that is given in place of a procedure that the server does not name.
const SOMEBODY_ELSE: &str = "a trigger or procedure";

/// Returns the kind of network error that is among the causes, or `None` when there is none and so the certificate
/// failed.
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

/// Returns the fault that a server's error number stands for.
#[must_use]
pub const fn fault_of(number: u32) -> Fault {
    match number {
        // Locks: none left (1203, 1204, 1232, 22335), a deadlock, a release out of turn (1221), a lock timeout (1222), and
        // metadata that may have met a deadlock (3635).
        1203..=1205 | 1221 | 1222 | 1232 | 3635 | 22335
        // A snapshot that conflicted with an update, with a change of the table or with the switching on of snapshots
        // (3941, 3957, 3960, 3961) or was begun before the database had recovered (3953); a version store that is full or
        // busy, until the transactions that need it end (3950, 3958, 3959, 3966, 3967,
        // <https://learn.microsoft.com/en-us/azure/azure-sql/database/read-scale-out>). Snapshots not allowed (3952)
        // counts too, because a snapshot is begun only where they have just been found allowed.
        | 3941 | 3950 | 3952 | 3953 | 3957..=3961 | 3966 | 3967
        // The same on a read replica, which ends a transaction that it can no longer give the rows of its beginning.
        | 3947 | 3948
        // Conflicts of in-memory tables, and a row of a temporal table that a later transaction has changed first (13535).
        | 13535 | 41301 | 41302 | 41305 | 41325 | 41339 | 41839
        // A statement whose data, worktable or schema changed while it ran, and which must be run again. A sort met a page
        // of another one (1532 to 1535), or the server could not make the next rowversion (42029).
        | 539 | 601 | 617 | 669 | 1532..=1535 | 2816 | 4117 | 4184 | 9515 | 10922 | 20041 | 41383 | 42029 => Fault::Conflict,
        // Too little memory, workers or time: to run a query, to compile it (8628), to read a page (845, 846), to begin with
        // a stream of a file (3935), to let the log grow while it shrinks (9020), or to log in.
        701 | 802 | 845 | 846 | 3935 | 8628 | 8645 | 8651 | 9020 | 14355 | 17189 | 17197 | 17809
        // A database that starts, recovers, is restored, moves or fails over, or is absent or suspect for a moment (615,
        // 913, 926). Not one that cannot be opened (CANNOT_OPEN_DATABASE), which mostly has a wrong name.
        | 615 | 913 | 921 | 922 | 926 | 927 | 929 | 941 | 952 | 955 | 956 | 992 | 997
        // The same in an availability group: this replica does not allow reads now (976), no replica does (982), there
        // is no role (983) or no quorum (988), or versions are still missing (4221). A wrong intent (978, 979) is a
        // matter of settings.
        | 976 | 982 | 983 | 988 | 4221
        // A server that stops, starts, is paused or is upgraded, and a session that was ended (596), as by a change of a
        // table that a reader on a replica blocks (1219, to be retried by the page on reading from replicas above).
        | 596 | 1219 | 6005 | 17142 | 17187 | 17188 | 18401
        // Network errors, as gateways report them.
        | 64 | 10051 | 10053 | 10054 | 10060 | 10061
        // Azure: temporary limits (10928 to 10930, 10936, 40189, 40501, 40642, 40648, 40675, 40903, 49918 to 49920, and
        // those of in-memory tables, 41823 and 41840, of which the texts say so), reconfiguration (40143, 40166, 40197,
        // 40540, 40613, 42109, 49802), operations in progress (40627, 40671, 40825, 40890, 49977, 49983). A login that is
        // to be repeated (40623) is refused by another number if it is gone.
        | 10928..=10930 | 10936 | 40143 | 40166 | 40189 | 40197 | 40501 | 40540 | 40613 | 40623 | 40627 | 40642 | 40648
        | 40671 | 40675 | 40825 | 40890 | 40903 | 41823 | 41840 | 42109 | 49802 | 49918 | 49919 | 49920 | 49977 | 49983
        // Azure's warehouses, by whose texts the operation is to be retried.
        | 16554 | 16555 | 22225 | 22226 | 22355 | 22358 | 22427 | 22430 | 22493 | 22498 => Fault::Unreachable,
        // Values: a NULL where none is allowed (515), a conversion that fails or overflows, a duplicate key, a
        // constraint, a text that would be cut, a bulk load's value that its column cannot hold (4815 to 4819, 4863 to
        // 4867), invalid XML.
        220 | 232 | 241 | 242 | 244 | 245 | 248 | 295 | 296 | 298 | 515 | 517 | 547 | 2601 | 2627 | 2628 | 4815..=4819
        | 4863..=4867 | 6522 | 8114 | 8115 | 8134 | 8152 | 8169 | 9400..=9457 => Fault::Data,
        _ => Fault::Refused,
    }
}

/// Returns whether an error with this number goes away without help.
const fn is_transient(number: u32) -> bool {
    matches!(fault_of(number), Fault::Unreachable | Fault::Conflict)
}

/// Describes a server's error: its number, and its message if this cannot quote a row's values.
///
/// Errors of conversion, duplicate keys and truncation (245, 248, 2601, 2627, 2628, …) and everything that procedures
/// raise quote values, so only messages that are known to consist of names are repeated. For some numbers a hint says
/// what to change. If the error names a trigger or procedure, nothing is repeated, because these build statements of
/// their own, and an "invalid" name, or the syntax "near" which a statement fails, may then be a value.
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

/// The procedures that only carry a statement of Tidemark.
const OF_THE_PROTOCOL: [&str; 3] = ["sp_executesql", "sp_prepexec", "sp_execute"];

/// Returns whether a message has no names and no values in it: that locks ran out, of a deadlock, and that a lock was
/// waited for too long.
const fn quotes_nothing(number: u32) -> bool {
    matches!(number, 1204 | 1205 | 1222)
}

/// Returns whether a message consists only of names of objects, logins and servers.
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
            | CANNOT_OPEN_DATABASE | 18452 | 18456 | 18470 | 18486..=18488 | 40531 | 40532 | 40607 | 40615 | 40914 | 42101
            | 47072 | 47073
            // The server's settings, and what it allows a session.
            | 954 | 978 | 979 | 3906 | 3951 | 10794 | 22105 | 22117 | 40549..=40553 | 41332 | 41368 | 42108
        )
}

const fn hint(number: u32) -> Option<&'static str> {
    match number {
        207 | 208 | 1088 => Some("check the table and column names, and that the login may see them"),
        229 | 230 | 262 | 297 | 300 | 916 => Some("grant the login the permission"),
        CANNOT_OPEN_DATABASE => {
            Some("check the name of the database in the address or the secret, and that the login has a user in it")
        }
        2812 => Some("check the name of the procedure, and those of the procedures that it calls"),
        8144 | 8178 => Some("check the parameters of the procedure"),
        976 => Some("connect to the availability group's listener, or to a replica that may be read"),
        978 => Some(
            "this replica takes only connections that say that they only read: set `read_intent`, or connect to the availability group's listener",
        ),
        979 => Some(
            "this replica takes no connection that says that it only reads: connect to the availability group's listener, or remove `read_intent`",
        ),
        954 => Some(
            "this server holds the mirror of the database: connect to the principal, which is another server after a failover",
        ),
        3906 => Some(
            "the database is only read here, as a replica's is after a failover: connect to the availability group's listener, or \
             let the database be written to",
        ),
        18452 | 40607 => Some(
            "the server takes Windows logins only, or was asked for one: switch on SQL Server and Windows authentication on it, and \
             give a login of SQL Server, or give one of Microsoft Entra (authentication)",
        ),
        40531 | 40532 => Some(
            "give the server's own name (….database.windows.net) as the host, also behind a private endpoint: it tells Azure which \
             server is meant",
        ),
        18456 => Some(
            "check the user name and the password, or the application of Microsoft Entra; a server that takes only Microsoft Entra \
             refuses every password: give a login of Microsoft Entra (authentication). The server's own log has the reason",
        ),
        18470 => Some("the login is disabled: enable it on the server (ALTER LOGIN … ENABLE)"),
        18486 => Some(
            "the login is locked, as after too many wrong passwords: unlock it on the server (ALTER LOGIN … UNLOCK)",
        ),
        18487 => Some("the password has expired: set a new one on the server, and give that one"),
        18488 => Some("the password must be changed before the first login: set it on the server without MUST_CHANGE"),
        40549..=40553 => {
            Some("the slice needs more than the database's limits allow: copy fewer columns, or raise them")
        }
        8672 => Some("name the keys of the sink, so that the procedure is handed one row for each"),
        40615 => Some("allow this client's address in the server's firewall"),
        40914 => Some("allow this client's address in the server's firewall, or its subnet in a virtual network rule"),
        42101 | 47073 => {
            Some("the server takes no connection from the public network: connect through a private endpoint")
        }
        47072 => Some(
            "the server wants a newer version of TLS than it was offered: let it take TLS 1.2 (the server's minimal TLS version)",
        ),
        42108 => Some("resume the SQL pool"),
        10794 | 41332 | 41368 => Some(
            "the table is memory-optimized, and the statement is none that such a table takes: merge into a disk-based table",
        ),
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
            (
                Fault::Conflict,
                &[
                    1205, 1222, 3947, 3948, 3950, 3952, 3953, 3958, 3959, 3960, 3967, 601, 13535,
                ][..],
            ),
            (
                Fault::Unreachable,
                &[
                    846, 913, 1219, 17188, 10928, 10929, 10930, 10053, 10054, 10060, 40197, 40501, 40613, 49918, 49919,
                    49920,
                ],
            ),
            (Fault::Data, &[245, 515, 547, 2601, 2627, 2628, 4815, 8114, 8115]),
            (Fault::Refused, &[0, 102, 207, 208, 229, 4060, 18456, 50000, u32::MAX]),
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

    /// What EF Core's `SqlServerTransientExceptionDetector` and SqlClient's list of transient errors retry.
    const OF_MICROSOFT_CLIENTS: [u32; 157] = [
        20, 64, 121, 203, 233, 539, 601, 615, 617, 669, 921, 926, 927, 941, 952, 982, 988, 997, 1203, 1204, 1205, 1215,
        1216, 1221, 1222, 1232, 1404, 1413, 1421, 1438, 1532, 1533, 1534, 1535, 1807, 2021, 2816, 3429, 3635, 3935,
        3941, 3947, 3948, 3950, 3953, 3957, 3960, 3966, 3980, 4060, 4117, 4184, 4221, 5280, 5529, 6292, 7951, 8628,
        8645, 8651, 9020, 9515, 9985, 10053, 10054, 10060, 10922, 10928, 10929, 10930, 10936, 11001, 11539, 14355,
        14817, 14868, 14906, 16528, 16554, 16555, 17065, 17066, 17067, 17197, 17889, 18401, 18456, 18858, 19413, 19416,
        19494, 20041, 21503, 22225, 22226, 22335, 22353, 22355, 22358, 22427, 22430, 22491, 22493, 22498, 22754, 22758,
        22759, 22760, 22984, 25003, 25738, 25740, 30080, 30085, 33123, 35216, 35218, 35256, 35293, 37202, 37327, 39025,
        39108, 39110, 39151, 39152, 40106, 40143, 40189, 40197, 40501, 40540, 40613, 40623, 40642, 40648, 40671, 40675,
        40890, 40903, 40918, 40938, 41301, 41302, 41305, 41325, 41339, 41383, 41614, 41619, 41640, 41700, 41701, 41823,
        41839, 41840, 42029,
    ];
    /// The rest of them.
    const OF_AZURE: [u32; 18] = [
        42108, 42109, 45153, 45156, 45157, 45161, 45179, 45182, 45319, 45547, 47132, 47137, 47139, 49510, 49802, 49918,
        49919, 49920,
    ];

    #[test]
    fn what_the_clients_of_microsoft_try_again_is_tried_again_or_known_to_be_none_of_ours() {
        let elsewhere: &[&[u32]] = &[
            // A server does not send them with this meaning: see the head of this file.
            &[20, 121, 203, 233, 11001],
            // Wrong names, wrong passwords and a paused pool are more frequent. 4060 is tried once more at a login.
            &[4060, 18456, 42108],
            // Commands of administrators, replication, full text, stretched databases, external scripts, streams, DBCC,
            // several statements at once on a connection, and CLR.
            &[
                1215, 1216, 1404, 1413, 1421, 1438, 1807, 2021, 3429, 3980, 5280, 5529, 6292, 7951, 9985, 11539, 14817,
            ],
            &[
                14868, 14906, 16528, 17889, 18858, 19413, 19416, 19494, 21503, 22353, 22491, 22754, 22758, 22759, 22760,
            ],
            &[
                22984, 25003, 25738, 25740, 30080, 30085, 33123, 35216, 35218, 35256, 35293, 37202, 37327, 39025, 39108,
            ],
            &[
                39110, 39151, 39152, 40106, 40918, 40938, 41614, 41619, 41640, 41700, 41701, 45153, 45156, 45157, 45161,
            ],
            &[45179, 45182, 45319, 45547, 47132, 47137, 47139, 49510],
            // Assertions, which a bug or damaged data causes.
            &[17065, 17066, 17067],
        ];
        let elsewhere = elsewhere.concat();
        for number in OF_MICROSOFT_CLIENTS.into_iter().chain(OF_AZURE) {
            assert_ne!(is_transient(number), elsewhere.contains(&number), "{number}");
        }
    }

    #[test]
    fn each_refusal_of_a_login_has_its_own_advice() {
        for (number, said) in [
            (18456, "only Microsoft Entra"),
            (18470, "disabled"),
            (18486, "locked"),
            (18487, "expired"),
            (18488, "MUST_CHANGE"),
            (954, "mirror"),
            (3906, "listener"),
        ] {
            let shown = describe(number, "Refused.", "");
            assert!(shown.contains(": Refused. (") && shown.contains(said), "{shown}");
            let is_of_passwords = shown.contains("check the user name");
            assert_eq!(
                (fault_of(number), is_of_passwords),
                (Fault::Refused, number == 18456),
                "{number}"
            );
        }
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
    fn a_refusal_that_a_setting_ends_names_the_setting() {
        for (number, said) in [
            (978, "set `read_intent`"),
            (979, "remove `read_intent`"),
            (40615, "firewall"),
            (40914, "virtual network rule"),
            (42101, "private endpoint"),
            (47073, "private endpoint"),
            (47072, "TLS 1.2"),
            (40531, "….database.windows.net"),
            (40532, "….database.windows.net"),
            (18452, "SQL Server and Windows authentication"),
            (40607, "SQL Server and Windows authentication"),
            (10794, "disk-based"),
            (41332, "disk-based"),
            (41368, "disk-based"),
        ] {
            let shown = describe(number, "Refused.", "");
            assert!(shown.contains(": Refused. (") && shown.contains(said), "{shown}");
        }
    }

    /// Others may have put a value of a row where the server expects a name.
    #[test]
    fn what_statements_of_others_meet_is_repeated_only_where_nothing_is_quoted() {
        let repeated: Vec<u32> = (0..70_000)
            .filter(|&number| {
                withheld(&of_number(number, "m4rk3d", "")).is_none_or(|it| it.to_string().contains("m4rk3d"))
            })
            .collect();
        assert_eq!(repeated, [1204, 1205, 1222]);
        let failure = withheld(&of_number(2812, "Could not find stored procedure 'm4rk3d'.", "")).unwrap();
        assert_eq!((failure.fault(), failure.number()), (Fault::Refused, Some(2812)));
        assert!(
            failure.to_string().contains("check the name of the procedure"),
            "{failure}"
        );
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

    #[test]
    fn a_row_value_in_a_text_of_the_driver_is_not_repeated() {
        let failure = of_mssql(MssqlError::TypeConversionError("cannot convert 'secret'".into()));
        assert!(!failure.to_string().contains("secret"), "{failure}");
        assert!(StdError::source(&failure).is_none(), "{failure}");
    }

    #[test]
    fn a_connection_that_is_cut_in_a_handshake_is_told_from_one_that_is_lost_later() {
        for kind in [
            ErrorKind::ConnectionReset,
            ErrorKind::ConnectionAborted,
            ErrorKind::BrokenPipe,
        ] {
            let io = || std::io::Error::from(kind);
            let failure = of_tiberius_login(io().into());
            let said = failure.to_string();
            assert!(
                said.contains("cipher") && failure.fault() == Fault::Unreachable,
                "{said}"
            );
            assert!(!of_tiberius(io().into()).to_string().contains("cipher"));
        }
    }
}
