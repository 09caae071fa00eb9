//! The one error type of the project and its classes.
//!
//! An [`ErrorCode`] is the `errorType` that a function answers with, which is what the state machine's `ErrorEquals`
//! matches. A test checks that the names here and in `infra/incremental-copy.asl.json` agree.

use std::error::Error as StdError;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// What went wrong, as far as the caller can act on it. The name of the variant is the wire form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The source cannot be reached or gave up for now: connection failed or reset, failover, deadlock, throttling.
    SourceUnavailable,
    /// The sink bucket throttles, times out or answers 5xx.
    SinkUnavailable,
    /// The server of the control table cannot be reached, or gave up for now.
    WatermarkStoreUnavailable,
    /// The event is not what the function takes.
    InvalidInput,
    /// The deployment is wrong: a missing environment variable, a malformed secret, an unusable control table.
    InvalidConfig,
    /// The source refused for good: login failed, no such table or column, no permission, certificate not trusted.
    SourceRejected,
    /// A column has a type that has no exact form in the sink or as a watermark.
    UnsupportedType,
    /// The columns of the rows are not those that the plan froze.
    SchemaMismatch,
    /// The sink refused for good: access denied, no such bucket, key management.
    SinkRejected,
    /// The control table or its procedure refused for good.
    WatermarkRejected,
    /// Somebody else moved the watermark to a value this ledger does not know.
    WatermarkConflict,
    /// The stored watermark is above the source's maximum, because the source was restored, reseeded or replaced.
    WatermarkRegression,
    /// Change tracking is off, expired or not permitted.
    ChangeTrackingInvalid,
    /// An object of the ledger is missing or unreadable: somebody deleted or changed what is written once.
    LedgerInvalid,
    /// The work does not fit into the time it has: a slice into one invocation, or a table's lookup into its share of
    /// the invocation. Or a slice does not fit into one upload. A slice is split then.
    DeadlineExceeded,
    /// A bug in Tidemark.
    Internal,
}

impl ErrorCode {
    /// Every code, for tables and contract tests.
    pub const ALL: [Self; 16] = [
        Self::SourceUnavailable,
        Self::SinkUnavailable,
        Self::WatermarkStoreUnavailable,
        Self::InvalidInput,
        Self::InvalidConfig,
        Self::SourceRejected,
        Self::UnsupportedType,
        Self::SchemaMismatch,
        Self::SinkRejected,
        Self::WatermarkRejected,
        Self::WatermarkConflict,
        Self::WatermarkRegression,
        Self::ChangeTrackingInvalid,
        Self::LedgerInvalid,
        Self::DeadlineExceeded,
        Self::Internal,
    ];

    /// Returns whether the same call may succeed later without anybody changing anything.
    #[must_use]
    pub const fn is_retryable(self) -> bool {
        match self {
            Self::SourceUnavailable | Self::SinkUnavailable | Self::WatermarkStoreUnavailable => true,
            Self::InvalidInput
            | Self::InvalidConfig
            | Self::SourceRejected
            | Self::UnsupportedType
            | Self::SchemaMismatch
            | Self::SinkRejected
            | Self::WatermarkRejected
            | Self::WatermarkConflict
            | Self::WatermarkRegression
            | Self::ChangeTrackingInvalid
            | Self::LedgerInvalid
            | Self::DeadlineExceeded
            | Self::Internal => false,
        }
    }

    /// Returns the wire form, which is the `errorType`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SourceUnavailable => "SourceUnavailable",
            Self::SinkUnavailable => "SinkUnavailable",
            Self::WatermarkStoreUnavailable => "WatermarkStoreUnavailable",
            Self::InvalidInput => "InvalidInput",
            Self::InvalidConfig => "InvalidConfig",
            Self::SourceRejected => "SourceRejected",
            Self::UnsupportedType => "UnsupportedType",
            Self::SchemaMismatch => "SchemaMismatch",
            Self::SinkRejected => "SinkRejected",
            Self::WatermarkRejected => "WatermarkRejected",
            Self::WatermarkConflict => "WatermarkConflict",
            Self::WatermarkRegression => "WatermarkRegression",
            Self::ChangeTrackingInvalid => "ChangeTrackingInvalid",
            Self::LedgerInvalid => "LedgerInvalid",
            Self::DeadlineExceeded => "DeadlineExceeded",
            Self::Internal => "Internal",
        }
    }
}

impl FromStr for ErrorCode {
    type Err = Error;

    /// Reads the wire form.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when no code has this name.
    fn from_str(name: &str) -> Result<Self> {
        let code = Self::ALL.into_iter().find(|code| code.name() == name);
        code.ok_or_else(|| {
            let message = format!("'{}' is not the name of an error's code", name.escape_default());
            Error::new(Self::InvalidInput, message)
        })
    }
}

impl Serialize for ErrorCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for ErrorCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        name.parse().map_err(de::Error::custom)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A message, in the words for the table at hand and, where these name it, in the words for any table.
#[derive(Debug, Clone)]
struct Message {
    text: String,
    of_any: Option<Box<OfAny>>,
}

/// What a message says of any table.
#[derive(Debug, Clone, PartialEq, Eq)]
struct OfAny {
    /// The table whose name is in the message, if it is there as the name of a table.
    table: Option<String>,
    /// The message without what it has of the table.
    text: String,
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Message {
    fn plain(text: impl Into<String>) -> Self {
        let (text, of_any) = (text.into(), None);
        Self { text, of_any }
    }

    /// Makes a message by saying it twice: with the name of the table, and with "the table" in its place.
    fn about(table: &impl fmt::Display, say: impl Fn(&dyn fmt::Display) -> String) -> Self {
        let of_any = OfAny {
            table: Some(table.to_string()),
            text: say(&"the table"),
        };
        Self {
            text: say(table),
            of_any: Some(Box::new(of_any)),
        }
    }

    fn shared_as(self, text: String) -> Self {
        let table = self.of_any.and_then(|of_any| of_any.table);
        Self {
            text: self.text,
            of_any: Some(Box::new(OfAny { table, text })),
        }
    }

    /// Returns the message, changed in both of its forms.
    fn map(self, change: impl Fn(&str) -> String) -> Self {
        Self {
            text: change(&self.text),
            of_any: self.of_any.map(|of_any| {
                let text = change(&of_any.text);
                Box::new(OfAny { text, ..*of_any })
            }),
        }
    }
}

/// An error: its code, a message that says what failed, where, and what to change, and its cause.
///
/// The message never holds a secret or a row value.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    code: ErrorCode,
    message: Message,
    advice: Option<String>,
    #[source]
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// The result of everything in this crate that may fail.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Makes an error without a cause of its own.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: Message::plain(message),
            advice: None,
            source: None,
        }
    }

    /// Makes an error whose message names the table that it is about. `say` says it with what is given to it as the name
    /// of the table, which is "the table" where several tables have the same error.
    pub fn about(code: ErrorCode, table: &impl fmt::Display, say: impl Fn(&dyn fmt::Display) -> String) -> Self {
        Self {
            code,
            message: Message::about(table, say),
            advice: None,
            source: None,
        }
    }

    /// Returns the same error with what is said of it where several tables have it.
    #[must_use]
    pub fn shared_as(mut self, text: impl Into<String>) -> Self {
        self.message = self.message.shared_as(text.into());
        self
    }

    /// Makes an error that keeps what caused it.
    pub fn with_source(
        code: ErrorCode,
        message: impl Into<String>,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self {
            code,
            message: Message::plain(message),
            advice: None,
            source: Some(Arc::from(source.into())),
        }
    }

    /// Returns the same error with what a person can do about it, in whole sentences. Without this, that is what can be
    /// done about any error with its code.
    #[must_use]
    pub fn advised(self, advice: impl Into<String>) -> Self {
        Self {
            advice: Some(advice.into()),
            ..self
        }
    }

    /// Returns what a person can do about this error in particular, where that is known.
    #[must_use]
    pub fn advice(&self) -> Option<&str> {
        self.advice.as_deref()
    }

    /// Returns the code of this error, and so its class.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        self.code
    }

    /// Returns the same error with `context` before its message: "copying dbo.orders: …".
    #[must_use]
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        self.message = self.message.map(|message| format!("{context}: {message}"));
        self
    }

    /// Returns the same error with `say` before its message, which is given the name of the table as by [`Self::about`].
    #[must_use]
    pub fn context_about(self, table: &impl fmt::Display, say: impl Fn(&dyn fmt::Display) -> String) -> Self {
        let own = self
            .message
            .of_any
            .map_or_else(|| self.message.text.clone(), |of_any| of_any.text);
        let mut message = Message::about(table, |name| format!("{}: {}", say(name), self.message.text));
        if let Some(of_any) = &mut message.of_any {
            of_any.text = format!("{}: {own}", say(&"the table"));
        }
        Self { message, ..self }
    }

    /// Returns the same error with the name of the table that it is about before its message, unless the message names
    /// that table already.
    #[must_use]
    pub fn of_table(self, table: &impl fmt::Display) -> Self {
        if self.is_about(table) {
            return self;
        }
        let own = self
            .message
            .of_any
            .map_or_else(|| self.message.text.clone(), |of_any| of_any.text);
        let of_any = OfAny {
            table: Some(table.to_string()),
            text: own,
        };
        let message = Message {
            text: format!("{table}: {}", self.message.text),
            of_any: Some(Box::new(of_any)),
        };
        Self { message, ..self }
    }

    /// Returns the same error with another code, for example when the source's driver was used for the control table.
    #[must_use]
    pub const fn recoded(mut self, code: ErrorCode) -> Self {
        self.code = code;
        self
    }

    /// Returns what happened, and what a person can do about this error in particular.
    #[must_use]
    pub fn report(&self) -> String {
        match &self.advice {
            Some(advice) => format!("{}. {advice}", self.told()),
            None => self.told(),
        }
    }

    /// Returns the message, followed by the messages of its causes that it does not already contain, without advice.
    #[must_use]
    pub fn told(&self) -> String {
        self.with_causes(&self.message.text)
    }

    /// Returns the same as it is said of any table, so that several tables with this error have the same text.
    #[must_use]
    pub fn told_of_any(&self) -> String {
        let of_any = self.message.of_any.as_ref();
        self.with_causes(of_any.map_or(&self.message.text, |of_any| &of_any.text))
    }

    /// Returns whether the message names this table as the one that it is about.
    #[must_use]
    pub fn is_about(&self, table: &impl fmt::Display) -> bool {
        let named = self.message.of_any.as_ref().and_then(|of_any| of_any.table.as_ref());
        named.is_some_and(|named| *named == table.to_string())
    }

    fn with_causes(&self, message: &str) -> String {
        let mut text = message.to_owned();
        let mut cause = self.source();
        while let Some(error) = cause {
            let message = error.to_string();
            if !text.contains(&message) {
                text.push_str(": ");
                text.push_str(&message);
            }
            cause = error.source();
        }
        text
    }
}

/// What went wrong at a database, before it is known what the database is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The database cannot be reached, broke off, or gave up for now.
    Unreachable,
    /// The database can be reached, and a statement takes too long.
    TimedOut,
    /// The statement lost against another transaction: a deadlock, a lock, a snapshot.
    Conflict,
    /// The database refused for good: login, permission, no such object, certificate.
    Refused,
    /// A value is not one that the statement can take.
    Data,
    /// A failure that has the same code whatever the database is used for, for example a column of a type that cannot
    /// be copied.
    Known(ErrorCode),
}

/// What a database is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Tables are copied from it.
    Source,
    /// Rows are merged into it.
    Sink,
    /// It holds the control table.
    WatermarkStore,
}

impl Role {
    /// Returns the code of what happened at a database that is used for this. No other place makes this decision.
    #[must_use]
    pub const fn code(self, fault: Fault) -> ErrorCode {
        match (self, fault) {
            (_, Fault::Known(code)) => code,
            (Self::Source, Fault::Unreachable | Fault::Conflict) => ErrorCode::SourceUnavailable,
            (Self::Sink, Fault::Unreachable | Fault::Conflict) => ErrorCode::SinkUnavailable,
            // A statement on one row of the control table that takes too long waits for somebody who holds the row.
            (Self::WatermarkStore, Fault::Unreachable | Fault::Conflict | Fault::TimedOut) => {
                ErrorCode::WatermarkStoreUnavailable
            }
            (Self::Source | Self::Sink, Fault::TimedOut) => ErrorCode::DeadlineExceeded,
            (Self::Source, Fault::Refused | Fault::Data) => ErrorCode::SourceRejected,
            (Self::Sink, Fault::Refused | Fault::Data) => ErrorCode::SinkRejected,
            (Self::WatermarkStore, Fault::Refused | Fault::Data) => ErrorCode::WatermarkRejected,
        }
    }

    /// Returns what to look for when a statement takes too long on a database that is used for this.
    const fn advice(self) -> &'static str {
        match self {
            Self::Source => "look for locks, and if the table has a watermark column, index it",
            Self::Sink => "look for locks on the sink table, and index its keys",
            Self::WatermarkStore => "look for who holds a lock on the control table",
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Sink => "sink",
            Self::WatermarkStore => "watermark store",
        }
    }
}

/// The failure of a port that reaches a database: what happened, the number by which the database knows it, and a
/// message.
///
/// The step that used the port knows what the database is used for, and makes an [`Error`] of it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    fault: Fault,
    number: Option<u32>,
    message: Message,
    #[source]
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// The result of a port that reaches a database.
pub type Answer<T> = std::result::Result<T, Failure>;

impl Failure {
    /// Makes a failure without a cause of its own. The message must hold neither a secret nor a row value.
    pub fn new(fault: Fault, message: impl Into<String>) -> Self {
        Self {
            fault,
            number: None,
            message: Message::plain(message),
            source: None,
        }
    }

    /// Makes a failure whose message names the table that it is about, as [`Error::about`] does.
    pub fn about(fault: Fault, table: &impl fmt::Display, say: impl Fn(&dyn fmt::Display) -> String) -> Self {
        Self {
            fault,
            number: None,
            message: Message::about(table, say),
            source: None,
        }
    }

    /// Returns the same failure with what is said of it where several tables have it.
    #[must_use]
    pub fn shared_as(mut self, text: impl Into<String>) -> Self {
        self.message = self.message.shared_as(text.into());
        self
    }

    /// Returns the same failure for a table that is not the one at hand, whose name then belongs to what is said of any.
    #[must_use]
    pub fn of_another_table(mut self) -> Self {
        self.message.of_any = None;
        self
    }

    /// Returns the same failure with its cause.
    #[must_use]
    pub fn caused_by(self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self {
            source: Some(Arc::from(source.into())),
            ..self
        }
    }

    /// Returns the same failure with the number by which the database knows it.
    #[must_use]
    pub fn numbered(self, number: u32) -> Self {
        Self {
            number: Some(number),
            ..self
        }
    }

    /// Returns what went wrong.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        self.fault
    }

    /// Returns the database's number of the failure, where the database answered with one.
    #[must_use]
    pub const fn number(&self) -> Option<u32> {
        self.number
    }

    /// Returns whether the same call may succeed later without anybody changing anything, whatever the database is used
    /// for.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match self.fault {
            Fault::Unreachable | Fault::Conflict => true,
            Fault::Known(code) => code.is_retryable(),
            Fault::TimedOut | Fault::Refused | Fault::Data => false,
        }
    }

    /// Returns the same failure with `context` before its message.
    #[must_use]
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        self.message = self.message.map(|message| format!("{context}: {message}"));
        self
    }

    /// Makes the error of a database that is used for this.
    #[must_use]
    pub fn of(self, role: Role) -> Error {
        let mut message = match (role, self.fault) {
            (Role::Source, _) | (_, Fault::Known(_)) => self.message,
            _ => self.message.map(|message| format!("{}: {message}", role.name())),
        };
        if self.fault == Fault::TimedOut {
            message = message.map(|message| format!("{message}: {}", role.advice()));
        }
        Error {
            code: role.code(self.fault),
            message,
            advice: None,
            source: self.source,
        }
    }
}

impl From<Error> for Failure {
    /// Keeps the code that the error already has.
    fn from(error: Error) -> Self {
        let Error {
            code,
            message,
            advice,
            source,
        } = error;
        let advice = advice.map(|advice| format!(". {advice}")).unwrap_or_default();
        Self {
            fault: Fault::Known(code),
            number: None,
            message: message.map(|message| format!("{message}{advice}")),
            source,
        }
    }
}

/// Makes the answer of a port the result of a step, which knows what the database behind the port is used for.
pub trait OfRole<T> {
    /// Returns the answer, or the error of a database that is used for this.
    ///
    /// # Errors
    ///
    /// Those of the port, with the code of [`Role::code`].
    fn of(self, role: Role) -> Result<T>;
}

impl<T> OfRole<T> for Answer<T> {
    fn of(self, role: Role) -> Result<T> {
        self.map_err(|failure| failure.of(role))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_names_every_cause_once() {
        let io = std::io::Error::other("connection reset");
        let error = Error::with_source(ErrorCode::SourceUnavailable, "cannot reach db:1433", io).context("dbo.orders");
        assert_eq!(error.report(), "dbo.orders: cannot reach db:1433: connection reset");
        assert_eq!(error.code().to_string(), "SourceUnavailable");
        let advised = error.advised("Open the port.");
        assert_eq!(advised.told(), "dbo.orders: cannot reach db:1433: connection reset");
        assert_eq!(advised.report(), format!("{}. Open the port.", advised.told()));
    }

    #[test]
    fn an_error_about_a_table_is_said_of_any_table_as_well() {
        let about = |table: &str| {
            let failure = Failure::about(Fault::Refused, &table, |table| format!("{table} has no key"));
            failure.context("change tracking").of(Role::Sink).context("the plan")
        };
        let (error, other) = (about("dbo.a"), about("dbo.b"));
        assert_eq!(error.told(), "the plan: sink: change tracking: dbo.a has no key");
        assert_eq!(
            error.told_of_any(),
            "the plan: sink: change tracking: the table has no key"
        );
        assert_eq!(error.told_of_any(), other.told_of_any());
        assert!(error.is_about(&"dbo.a") && !error.is_about(&"dbo"));
        // It is still so after it was a port's failure.
        let again = Failure::from(error).of(Role::Source);
        assert!(again.is_about(&"dbo.a") && again.told_of_any().ends_with("the table has no key"));
        let shared = Error::new(ErrorCode::SinkRejected, "no right to lake/dbo.a").shared_as("no right to lake");
        assert_eq!(
            (shared.told().as_str(), shared.told_of_any().as_str()),
            ("no right to lake/dbo.a", "no right to lake")
        );
        assert!(!shared.is_about(&"dbo.a"));
    }

    #[test]
    fn a_code_travels_by_its_name() {
        for code in ErrorCode::ALL {
            let json = serde_json::to_value(code).unwrap();
            assert_eq!(json, code.name());
            assert_eq!(serde_json::from_value::<ErrorCode>(json).unwrap(), code);
            assert_eq!(code.name().parse::<ErrorCode>().unwrap(), code);
        }
        for other in ["", "internal", "Lambda.Unknown"] {
            assert!(other.parse::<ErrorCode>().is_err(), "{other}");
        }
    }

    #[test]
    fn what_happened_becomes_the_code_of_what_the_database_is_used_for() {
        use ErrorCode as C;
        for (fault, source, sink, store) in [
            (
                Fault::Unreachable,
                C::SourceUnavailable,
                C::SinkUnavailable,
                C::WatermarkStoreUnavailable,
            ),
            (
                Fault::Conflict,
                C::SourceUnavailable,
                C::SinkUnavailable,
                C::WatermarkStoreUnavailable,
            ),
            (
                Fault::TimedOut,
                C::DeadlineExceeded,
                C::DeadlineExceeded,
                C::WatermarkStoreUnavailable,
            ),
            (Fault::Refused, C::SourceRejected, C::SinkRejected, C::WatermarkRejected),
            (Fault::Data, C::SourceRejected, C::SinkRejected, C::WatermarkRejected),
            (
                Fault::Known(C::SchemaMismatch),
                C::SchemaMismatch,
                C::SchemaMismatch,
                C::SchemaMismatch,
            ),
        ] {
            for (role, code) in [
                (Role::Source, source),
                (Role::Sink, sink),
                (Role::WatermarkStore, store),
            ] {
                let error = Failure::new(fault, "error 208").numbered(208).of(role);
                assert_eq!(error.code(), code, "{fault:?} {role:?}");
                let advice = match fault {
                    Fault::TimedOut => format!(": {}", role.advice()),
                    _ => String::new(),
                };
                assert!(error.to_string().ends_with(&format!("error 208{advice}")), "{error}");
                assert!(
                    role == Role::Source || !error.to_string().contains("watermark column"),
                    "{error}"
                );
            }
        }
    }

    #[test]
    fn names_are_distinct() {
        let mut names: Vec<_> = ErrorCode::ALL.iter().map(|code| code.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ErrorCode::ALL.len());
    }
}
