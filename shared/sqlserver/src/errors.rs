//! What SQL Server's error numbers mean to a caller, for every driver alike.
//!
//! Classes follow numbers, never message texts. A number is transient where Microsoft's text of it says to retry, rerun
//! or wait, or where the state it reports ends by itself; it is permanent where somebody has to change something, and
//! where nothing is known of it. The texts:
//! <https://learn.microsoft.com/en-us/sql/relational-databases/errors-events/database-engine-events-and-errors> and
//! <https://learn.microsoft.com/en-us/azure/azure-sql/database/troubleshoot-common-errors-issues>.
//!
//! Lists of transient numbers for clients also hold numbers of the client's own libraries (-2, 20, 121, 233, 258, 11001).
//! They never come from a server with that meaning: as a server's error 121 is a syntax error, 233 a NULL, 258 a wrong
//! type. What they stand for, a connection that broke or was silent, the drivers report as kinds of their own.

use crate::error::ErrorCode;

/// The class of a server error: `SourceUnavailable` for the numbers that go away by themselves, else `SourceRejected`.
#[must_use]
pub const fn code_of(number: u32) -> ErrorCode {
    match number {
        // Locks: none left, a deadlock, a lock timeout, a release out of turn.
        1203..=1205 | 1221 | 1222
        // A snapshot that met an update, a change of the table, the switching on of snapshots, or a full version store;
        // in-memory tables' conflicts (41301, 41302, 41305, 41325, 41839).
        // 3952, snapshots not allowed: one is begun only where they were just seen to be.
        | 3952 | 3957 | 3960 | 3961 | 3966 | 41301 | 41302 | 41305 | 41325 | 41839
        // A statement that lost the ground under it and is to be run again: data moved, a worktable or schema went.
        | 601 | 617 | 669 | 9515 | 10922 | 20041
        // Memory, workers and time: to run a query, to compile it (8628), to read a page (845), to log in.
        | 701 | 802 | 845 | 8628 | 8645 | 8651 | 14355 | 17189 | 17197 | 17809
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
        | 40825 | 42109 | 49918 | 49919 | 49920 | 49977 | 49983 => ErrorCode::SourceUnavailable,
        _ => ErrorCode::SourceRejected,
    }
}

/// What may be said of a server error: its number, and its message where that message cannot quote a row's values.
///
/// Conversion, duplicate-key and truncation errors (245, 248, 2601, 2627, 2628, …) and everything raised by
/// procedures quote values, so only messages known to be built of names are repeated. For some numbers a hint says
/// what to change.
#[must_use]
pub fn describe(number: u32, message: &str) -> String {
    let said = if quotes_names_only(number) {
        format!("SQL Server error {number}: {}", message.trim_end())
    } else {
        format!("SQL Server error {number} (its text may quote row values and is not repeated)")
    };
    match hint(number) {
        Some(hint) => format!("{said} ({hint})"),
        None => said,
    }
}

/// Whether a message is built of the names of objects, logins and servers alone.
const fn quotes_names_only(number: u32) -> bool {
    matches!(code_of(number), ErrorCode::SourceUnavailable)
        || matches!(
            number,
            102 | 105
                | 137
                | 156
                | 170
                | 207
                | 208
                | 209
                | 229
                | 230
                | 262
                | 297
                | 300
                | 515
                | 544
                | 547
                | 911
                | 916
                | 978
                | 979
                | 1088
                | 2812
                | 3951
                | 8144
                | 8178
                | 8672
                | 18452
                | 18456
                | 18470
                | 18486
                | 18487
                | 18488
                | 22105
                | 22117
                | 40532
                | 40549..=40553 | 40615 | 42108
        )
}

const fn hint(number: u32) -> Option<&'static str> {
    match number {
        207 | 208 | 1088 => Some("check the table and column names, and that the login may see them"),
        229 | 230 | 262 | 297 | 300 | 916 => Some("grant the login the permission"),
        4060 => Some("check the secret's dbname if it does not pass"),
        976 | 978 | 979 => Some("connect to the availability group's listener, or to a replica that may be read"),
        18452 | 18456 | 18470 | 18486 | 18487 | 18488 | 40532 => Some("check the username and password in the secret"),
        40549..=40553 => {
            Some("the slice needs more than the database's limits allow: copy fewer columns, or raise them")
        }
        8672 => Some("name the keys of the sink, so that the procedure is handed one row for each"),
        40615 => Some("allow the function's address in the server's firewall"),
        42108 => Some("resume the SQL pool"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_away_by_itself_is_retryable_and_nothing_else() {
        for number in [
            1205, 1222, 3952, 4060, 10928, 10929, 10053, 10054, 10060, 40197, 40501, 40613, 49918, 49919, 49920,
        ] {
            assert_eq!(code_of(number), ErrorCode::SourceUnavailable, "{number}");
        }
        for number in [0, 102, 207, 208, 229, 245, 2627, 8114, 18456, 50000, u32::MAX] {
            assert_eq!(code_of(number), ErrorCode::SourceRejected, "{number}");
        }
    }

    #[test]
    fn a_message_that_may_quote_values_is_withheld() {
        let text = "Conversion failed when converting the varchar value 'secret' to data type int.";
        for number in [242, 245, 248, 2601, 2627, 2628, 8115, 50000] {
            let said = describe(number, text);
            assert!(said.contains(&number.to_string()) && !said.contains("secret"), "{said}");
        }
        assert_eq!(
            describe(208, "Invalid object name 'dbo.x'."),
            "SQL Server error 208: Invalid object name 'dbo.x'. (check the table and column names, and that the login may see them)"
        );
        assert_eq!(
            describe(1205, "Transaction was deadlocked."),
            "SQL Server error 1205: Transaction was deadlocked."
        );
    }
}
