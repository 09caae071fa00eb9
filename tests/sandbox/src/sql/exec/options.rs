//! The execution of `SET` for the options of a session.

use super::Session;
use crate::error::{SqlError, SqlResult};

/// The options that change what statements do.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `NOCOUNT`
    pub nocount: bool,
    /// `XACT_ABORT`
    pub xact_abort: bool,
    /// `IMPLICIT_TRANSACTIONS`
    pub implicit_transactions: bool,
    /// `FMTONLY`
    pub fmtonly: bool,
    /// `LOCK_TIMEOUT` in milliseconds, `None` for ever
    pub lock_timeout: Option<u64>,
    /// `TRANSACTION ISOLATION LEVEL SNAPSHOT`
    pub snapshot: bool,
    /// `TRANSACTION ISOLATION LEVEL READ UNCOMMITTED`
    pub dirty: bool,
    /// `TRANSACTION ISOLATION LEVEL REPEATABLE READ` or `SERIALIZABLE`: reads keep locks.
    pub keeps_locks: bool,
    /// The table into whose identity column values may be inserted
    pub identity_insert: Option<i64>,
}

impl Session {
    /// Runs `SET option value`. It refuses an option whose other value would change results.
    pub(super) fn set_option(&mut self, option: &str, value: &str) -> SqlResult<()> {
        let refuse = || Err(SqlError::unsupported(format!("SET {option} {value}").to_uppercase()));
        let on = value == "on";
        match option {
            "isolation" => {
                self.options.snapshot = value == "snapshot";
                self.options.dirty = value == "read uncommitted";
                self.options.keeps_locks = matches!(value, "repeatable read" | "serializable");
            }
            "lock_timeout" => self.options.lock_timeout = value.parse().ok(),
            "dateformat" if !value.eq_ignore_ascii_case("mdy") => return refuse(),
            "datefirst" if value != "7" => return refuse(),
            "language" if !["us_english", "english"].iter().any(|l| l.eq_ignore_ascii_case(value)) => return refuse(),
            "rowcount" if value != "0" => return refuse(),
            "textsize" | "dateformat" | "datefirst" | "language" | "rowcount" | "deadlock_priority" => {}
            _ => {
                for word in option.split(',') {
                    match word {
                        "nocount" => self.options.nocount = on,
                        "xact_abort" => self.options.xact_abort = on,
                        "implicit_transactions" => self.options.implicit_transactions = on,
                        "fmtonly" => self.options.fmtonly = on,
                        "ansi_nulls" | "concat_null_yields_null" | "quoted_identifier" | "ansi_padding" if !on => {
                            return refuse();
                        }
                        _ => {}
                    }
                }
            }
        }
        Ok(())
    }
}
