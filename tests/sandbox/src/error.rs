//! Errors as SQL Server reports them: number, class, state, text.

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
    /// The line of the batch or procedure, 0 until known.
    pub line: u32,
    /// The procedure it was raised in, empty for a batch.
    pub procedure: String,
}

/// The result type of everything that can fail like SQL Server.
pub type SqlResult<T> = Result<T, SqlError>;

/// A number that the server does not use.
const AGAIN: i32 = -1;

/// The mark in front of an encoded error inside a SQLite message.
const MARK: char = '\u{1}';

impl SqlError {
    /// An error of class 16, state 1.
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

    /// The same error with another class.
    #[must_use]
    pub fn class(mut self, class: u8) -> Self {
        self.class = class;
        self
    }

    /// The same error with another state.
    #[must_use]
    pub fn state(mut self, state: u8) -> Self {
        self.state = state;
        self
    }

    /// The same error at a line, unless it already has one.
    #[must_use]
    pub fn at(mut self, line: u32) -> Self {
        if self.line == 0 {
            self.line = line;
        }
        self
    }

    /// 102, what the parser does not understand.
    pub fn syntax(near: &str) -> Self {
        SqlError::new(102, format!("Incorrect syntax near '{near}'.")).class(15)
    }

    /// 40510, understood, and not offered by the stand-in.
    pub fn unsupported(what: impl std::fmt::Display) -> Self {
        SqlError::new(
            40510,
            format!("Statement '{what}' is not supported in this version of SQL Server."),
        )
    }

    /// 208, an unknown table or view.
    pub fn no_object(name: &str) -> Self {
        SqlError::new(208, format!("Invalid object name '{name}'."))
    }

    /// 207, an unknown column.
    pub fn no_column(name: &str) -> Self {
        SqlError::new(207, format!("Invalid column name '{name}'."))
    }

    /// 8115, a value too large for its type.
    pub fn overflow(target: &str) -> Self {
        SqlError::new(
            8115,
            format!("Arithmetic overflow error converting expression to data type {target}."),
        )
        .state(2)
    }

    /// The error as text that survives a trip through a SQLite function.
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

    /// Not an error: the sign that a statement has to wait and to run again.
    pub fn again() -> Self {
        SqlError::new(AGAIN, "The statement runs again.")
    }

    /// True for [`SqlError::again`].
    pub fn is_again(&self) -> bool {
        self.number == AGAIN
    }

    /// True when the statement failed because the storage was busy, so that it can be tried again.
    pub fn is_busy(&self) -> bool {
        self.number == 1222
    }
}

impl From<SqlError> for rusqlite::Error {
    fn from(error: SqlError) -> Self {
        rusqlite::Error::UserFunctionError(error.encode().into())
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
                rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked => {
                    return SqlError::new(1222, "Lock request time out period exceeded.").state(51);
                }
                rusqlite::ErrorCode::OperationInterrupted => {
                    return SqlError::new(0, "The request was cancelled.").class(11);
                }
                rusqlite::ErrorCode::ConstraintViolation => return constraint(code.extended_code, text),
                _ => {}
            }
        }
        SqlError::new(
            8623,
            format!("The stand-in's storage could not run the statement: {error}."),
        )
    }
}

/// A constraint failure as SQLite words it; the executor replaces names where it knows better.
fn constraint(extended: i32, text: &str) -> SqlError {
    let detail = text.split_once(": ").map_or(text, |(_, rest)| rest).to_owned();
    match extended {
        rusqlite::ffi::SQLITE_CONSTRAINT_NOTNULL => SqlError::new(515, detail).state(2),
        rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE | rusqlite::ffi::SQLITE_CONSTRAINT_PRIMARYKEY => {
            SqlError::new(2627, detail).class(14)
        }
        rusqlite::ffi::SQLITE_CONSTRAINT_CHECK => SqlError::new(547, detail).state(0),
        rusqlite::ffi::SQLITE_CONSTRAINT_FOREIGNKEY => SqlError::new(
            547,
            "The statement conflicted with a FOREIGN KEY or REFERENCE constraint.",
        )
        .state(0),
        _ => SqlError::new(547, format!("The statement conflicted with a constraint: {detail}.")).state(0),
    }
}
