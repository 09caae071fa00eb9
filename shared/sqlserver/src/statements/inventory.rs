//! Statements that ask a server what it is and what it has.

use super::Statement;

/// One row: the server's version and edition.
pub(crate) fn version() -> Statement {
    Statement::new(
        "SELECT CAST(SERVERPROPERTY('ProductVersion') AS nvarchar(128)) AS [version], \
         CAST(SERVERPROPERTY('Edition') AS nvarchar(128)) AS [edition]",
    )
}
