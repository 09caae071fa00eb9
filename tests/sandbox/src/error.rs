//! Errors as SQL Server reports them: number, class, state, text.

use rusqlite::{ErrorCode, ffi};
use tidemark_tds::reader::Malformed;

use crate::messages;

/// An error of the server, sent to the client as an ERROR token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Msg {number}, Level {class}, State {state}, Line {line}: {message}")]
pub struct SqlError {
    /// The message number, for example 208.
    pub number: i32,
    /// The severity.
    pub class: u8,
    /// The state.
    pub state: u8,
    /// The text.
    pub message: String,
    /// The line of the batch or procedure, 0 until it is known.
    pub line: u32,
    /// The procedure in which it was raised, empty for a batch.
    pub procedure: String,
}

/// The result type of everything that can fail like SQL Server.
pub type SqlResult<T> = Result<T, SqlError>;

/// The number of [`SqlError::again`], which the server does not use.
const AGAIN: i32 = -1;

/// The mark in front of an encoded error inside a SQLite message.
const MARK: char = '\u{1}';

impl SqlError {
    /// Makes an error of class 16 and state 1.
    pub fn new(number: i32, message: impl Into<String>) -> Self {
        SqlError {
            number,
            class: 16,
            state: 1,
            message: message.into(),
            line: 0,
            procedure: String::new(),
        }
    }

    /// Makes the error of this number, with the class, the state and the text that the server has for it. `told` takes
    /// the place of each `%s` in the text.
    pub fn of(number: i32, told: &[&dyn std::fmt::Display]) -> Self {
        let (class, state, text) = messages::find(number).unwrap_or((16, 1, "%s"));
        let mut parts = text.split("%s");
        let mut message = parts.next().unwrap_or_default().to_owned();
        for (part, told) in parts.zip(told) {
            message += &format!("{told}{part}");
        }
        SqlError::new(number, message).class(class).state(state)
    }

    /// Makes the sign, which is no error of the server, that the client no longer waits for the answer.
    pub fn cancelled() -> Self {
        SqlError::new(0, "The request was cancelled.")
    }

    /// Returns the same error with another class.
    #[must_use]
    pub fn class(mut self, class: u8) -> Self {
        self.class = class;
        self
    }

    /// Returns the same error with another state.
    #[must_use]
    pub fn state(mut self, state: u8) -> Self {
        self.state = state;
        self
    }

    /// Returns the same error at a line, unless it already has one.
    #[must_use]
    pub fn at(mut self, line: u32) -> Self {
        if self.line == 0 {
            self.line = line;
        }
        self
    }

    /// Makes 102, for what the parser does not understand.
    pub fn syntax(near: &str) -> Self {
        SqlError::of(102, &[&near])
    }

    /// Makes 40510, for what is valid in SQL Server and not offered by the stand-in.
    pub fn unsupported(what: impl std::fmt::Display) -> Self {
        SqlError::of(40510, &[&what])
    }

    /// Makes 208, for an unknown table or view.
    pub fn no_object(name: &str) -> Self {
        SqlError::of(208, &[&name])
    }

    /// Makes 207, for an unknown column.
    pub fn no_column(name: &str) -> Self {
        SqlError::of(207, &[&name])
    }

    /// Makes 8115, for a value that is too large for its type.
    pub fn overflow(target: &str) -> Self {
        SqlError::of(8115, &[&"expression", &target])
    }

    /// Returns the error as text in which it passes through a SQLite function.
    pub fn encode(&self) -> String {
        format!(
            "{MARK}{}{MARK}{}{MARK}{}{MARK}{}",
            self.number, self.class, self.state, self.message
        )
    }

    /// Reads what [`SqlError::encode`] wrote.
    pub fn decode(text: &str) -> Option<SqlError> {
        let mut parts = text.strip_prefix(MARK)?.splitn(4, MARK);
        let number = parts.next()?.parse().ok()?;
        let class = parts.next()?.parse().ok()?;
        let state = parts.next()?.parse().ok()?;
        Some(SqlError::new(number, parts.next()?).class(class).state(state))
    }

    /// Makes the sign, which is no error of the server, that a statement has to wait and to run again.
    pub fn again() -> Self {
        SqlError::new(AGAIN, "The statement runs again.")
    }

    /// Returns whether it is [`SqlError::again`].
    pub fn is_again(&self) -> bool {
        self.number == AGAIN
    }

    /// Returns whether the statement failed because the storage was busy, so that it can be tried again.
    pub fn is_busy(&self) -> bool {
        self.number == 1222
    }
}

impl From<SqlError> for rusqlite::Error {
    fn from(error: SqlError) -> Self {
        rusqlite::Error::UserFunctionError(error.encode().into())
    }
}

impl From<Malformed> for SqlError {
    fn from(_: Malformed) -> Self {
        SqlError::of(4002, &[])
    }
}

impl From<rusqlite::Error> for SqlError {
    fn from(error: rusqlite::Error) -> Self {
        if let rusqlite::Error::UserFunctionError(inner) = &error
            && let Some(decoded) = SqlError::decode(&inner.to_string())
        {
            return decoded;
        }
        if let rusqlite::Error::SqliteFailure(code, message) = &error {
            let text = message.as_deref().unwrap_or_default();
            if let Some(decoded) = SqlError::decode(text) {
                return decoded;
            }
            match code.code {
                ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
                    return SqlError::of(1222, &[]);
                }
                ErrorCode::OperationInterrupted => {
                    return SqlError::cancelled();
                }
                ErrorCode::ConstraintViolation => return constraint(code.extended_code, text),
                _ => {}
            }
        }
        SqlError::of(8623, &[&error])
    }
}

/// Makes the error of a constraint failure as SQLite words it. The executor finds the server's words where it knows the
/// table.
fn constraint(extended: i32, text: &str) -> SqlError {
    let detail = text.split_once(": ").map_or(text, |(_, rest)| rest);
    let number = match extended {
        ffi::SQLITE_CONSTRAINT_NOTNULL => 515,
        ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY => 2627,
        ffi::SQLITE_CONSTRAINT_FOREIGNKEY => {
            return SqlError::new(
                547,
                "The statement conflicted with a FOREIGN KEY or REFERENCE constraint.",
            )
            .state(0);
        }
        _ => 547,
    };
    SqlError::new(number, detail)
}
