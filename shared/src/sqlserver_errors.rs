//! What SQL Server's error numbers mean to a caller, for every driver alike.
//!
//! Classes follow numbers, never message texts. The transient numbers are those of Microsoft's own clients and of
//! <https://learn.microsoft.com/en-us/azure/azure-sql/database/troubleshoot-common-errors-issues>.

use crate::error::ErrorCode;

/// The class of a server error: `SourceUnavailable` for the numbers that go away by themselves, else `SourceRejected`.
#[must_use]
pub const fn code_of(number: u32) -> ErrorCode {
    match number {
        // 64, 233, 10053, 10054, 10060: the connection broke. 1204, 1205, 1222: locks. 921, 976, 983, 4221: a
        // database that recovers or fails over. 4060: cannot open the database, which a failover causes as well.
        // 6005, 17142, 17187, 18401: the server starts, stops or upgrades. 701, 8645, 8651: memory. The others:
        // Azure's throttling and reconfiguration.
        64 | 233 | 596 | 601 | 701 | 921 | 922 | 927 | 952 | 3960 | 17197 | 976 | 983 | 1204 | 1205 | 1222 | 4060
        | 4221 | 6005 | 8645 | 8651 | 10053 | 10054 | 10060 | 10928 | 10929 | 10936 | 17142 | 17187 | 18401 | 40143
        | 40166 | 40197 | 40501 | 40540 | 40613 | 42108 | 42109 | 49918 | 49919 | 49920 => ErrorCode::SourceUnavailable,
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
                | 911
                | 916
                | 2812
                | 3951
                | 3952
                | 8144
                | 8178
                | 18452
                | 18456
                | 18470
                | 18486
                | 18487
                | 18488
                | 22105
                | 22117
                | 40532
                | 40615
        )
}

const fn hint(number: u32) -> Option<&'static str> {
    match number {
        207 | 208 => Some("check the table and column names, and that the login may see them"),
        229 | 230 | 262 | 297 | 300 | 916 => Some("grant the login the permission"),
        4060 => Some("check the secret's dbname if it does not pass"),
        18452 | 18456 | 18470 | 18486 | 18487 | 18488 | 40532 => Some("check the username and password in the secret"),
        40615 => Some("allow the function's address in the server's firewall"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_away_by_itself_is_retryable_and_nothing_else() {
        for number in [
            1205, 1222, 4060, 10928, 10929, 10053, 10054, 10060, 40197, 40501, 40613, 49918, 49919, 49920,
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
