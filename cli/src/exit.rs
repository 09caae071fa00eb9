//! How the command ends: with a class for the caller, and with advice for a person.

use std::fmt;
use std::process::ExitCode;

use tidemark::error::ErrorCode;

/// The class of an outcome, which is the exit code. Schedulers act on it: only with class 2 is it worth running the
/// same command again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExitClass {
    /// The command has done everything that it was asked for.
    Done = 0,
    /// Something that was given is not usable: an argument, tables.json, an address, a login, or a right.
    Input = 1,
    /// The same command may succeed later without anybody changing anything.
    TryAgain = 2,
    /// The data, or the ledger, is not as it must be.
    Data = 3,
    /// The columns of a table are no longer those of its last window.
    SchemaDrift = 4,
    /// A person must decide how to go on.
    Decision = 5,
    /// There is a bug in Tidemark.
    Bug = 6,
    /// Somebody interrupted the command. This is the exit code that shells use for that.
    Interrupted = 130,
}

impl ExitClass {
    /// Returns the class of an error. Codes become classes only here.
    pub(crate) const fn of(code: ErrorCode) -> Self {
        match code {
            ErrorCode::SourceUnavailable | ErrorCode::SinkUnavailable | ErrorCode::WatermarkStoreUnavailable => {
                Self::TryAgain
            }
            ErrorCode::InvalidInput
            | ErrorCode::InvalidConfig
            | ErrorCode::SourceRejected
            | ErrorCode::SinkRejected
            | ErrorCode::WatermarkRejected
            | ErrorCode::UnsupportedType => Self::Input,
            ErrorCode::LedgerInvalid => Self::Data,
            ErrorCode::SchemaMismatch => Self::SchemaDrift,
            ErrorCode::WatermarkConflict
            | ErrorCode::WatermarkRegression
            | ErrorCode::ChangeTrackingInvalid
            | ErrorCode::DeadlineExceeded => Self::Decision,
            ErrorCode::Internal => Self::Bug,
        }
    }

    /// Returns which of two classes counts when both happened in one run: the one that needs a person most.
    pub(crate) const fn worse(self, other: Self) -> Self {
        if self.weight() >= other.weight() { self } else { other }
    }

    const fn weight(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::TryAgain => 1,
            Self::Input => 2,
            Self::SchemaDrift => 3,
            Self::Decision => 4,
            Self::Data => 5,
            Self::Bug => 6,
            Self::Interrupted => 7,
        }
    }
}

impl From<ExitClass> for ExitCode {
    fn from(class: ExitClass) -> Self {
        Self::from(class as u8)
    }
}

/// What a person can do about an error.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Advice {
    /// What to do.
    pub(crate) remedy: &'static str,
    /// Whether the doctor looks at everything that may be the cause. The doctor itself does not say so.
    asks_the_doctor: bool,
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.remedy)?;
        if self.asks_the_doctor {
            f.write_str(" `tidemark doctor` looks at all of them.")?;
        }
        Ok(())
    }
}

/// Returns what a person can do about an error with this code.
pub(crate) const fn advice(code: ErrorCode) -> Advice {
    Advice {
        remedy: remedy(code),
        asks_the_doctor: matches!(code, ErrorCode::SourceRejected),
    }
}

/// Returns the place in the documentation that is about errors with this code.
pub(crate) fn page(code: ErrorCode) -> String {
    format!("docs/reference/errors.md#{}", code.name().to_lowercase())
}

const fn remedy(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::SourceUnavailable => {
            "Run the command again. If it does not pass: look at what the message names, or check that the server can be reached."
        }
        ErrorCode::SinkUnavailable => "Wait for what the message names, or mend it, and run the command again.",
        ErrorCode::WatermarkStoreUnavailable => "Check the server of the control table, and run the command again.",
        ErrorCode::InvalidInput => "Correct the field, the name or the option that the message names.",
        ErrorCode::InvalidConfig => "Correct the setting that the message names.",
        ErrorCode::SourceRejected => {
            "Check the login, its rights, the certificate, or the name that the message is about."
        }
        ErrorCode::UnsupportedType => {
            "Leave a column that cannot be copied out with `exclude`. Where the message is about the watermark, track the table by \
             another column."
        }
        ErrorCode::SchemaMismatch => {
            "Put back what changed, or set `on_schema_change` to `reload` or, for one run, to `continue`. What changed may be in the table or, \
             as with `format`, in tables.json."
        }
        ErrorCode::SinkRejected => {
            "Correct what the sink refuses: your right to read and write there, its policy, or its lifecycle rule."
        }
        ErrorCode::WatermarkRejected => {
            "Check the control table, its procedure, and the login's rights to both. infra/sql/control-table.sql makes them, and \
             infra/sql/grants.sql grants the rights. Without --watermark-table the watermarks are kept in the sink, and need neither."
        }
        ErrorCode::WatermarkConflict => {
            "Decide which watermark is right, and set the store to it: `tidemark reset TABLE --to WINDOW` does so, to the end of a window \
             that `tidemark history` lists."
        }
        ErrorCode::WatermarkRegression => {
            "Find out whether the source was restored or replaced. If it was, `tidemark reset` starts the table over."
        }
        ErrorCode::ChangeTrackingInvalid => {
            "Switch change tracking on, grant the right to it, or load the table again."
        }
        ErrorCode::LedgerInvalid => {
            "Read docs/reference/errors.md under LedgerInvalid before you change anything: restore what is missing, move a foreign object away, \
             start a reseeded table over. `tidemark verify` lists all that differ."
        }
        ErrorCode::DeadlineExceeded => {
            "Index the watermark column, or copy fewer columns or smaller slices. `tidemark run` has no deadline."
        }
        ErrorCode::Internal => "This is a bug in Tidemark: please report it with this message.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_class_and_only_what_passes_is_tried_again() {
        let classes = [
            (ExitClass::Input, 1),
            (ExitClass::TryAgain, 2),
            (ExitClass::Data, 3),
            (ExitClass::SchemaDrift, 4),
            (ExitClass::Decision, 5),
            (ExitClass::Bug, 6),
        ];
        for code in ErrorCode::ALL {
            let class = ExitClass::of(code);
            assert_eq!(class == ExitClass::TryAgain, code.is_retryable(), "{code}");
            assert!(advice(code).to_string().ends_with('.'), "{code}");
        }
        for (class, number) in classes {
            assert_eq!(class as u8, number);
            let is_reached = ErrorCode::ALL.into_iter().any(|code| ExitClass::of(code) == class);
            assert!(is_reached, "{class:?}");
        }
    }

    #[test]
    fn the_page_of_the_command_has_every_code_in_its_class() {
        let page = include_str!("../../docs/reference/command.md");
        for code in ErrorCode::ALL {
            let begin = format!("| {} |", ExitClass::of(code) as u8);
            let row = page.lines().find(|line| line.starts_with(&begin)).unwrap();
            assert!(row.contains(&format!("`{code}`")), "{code}: {row}");
        }
    }

    #[test]
    fn the_page_of_every_code_is_a_heading() {
        let page_of_errors = include_str!("../../docs/reference/errors.md");
        for code in ErrorCode::ALL {
            let (_, anchor) = page(code)
                .split_once('#')
                .map(|(file, anchor)| (file.to_owned(), anchor.to_owned()))
                .unwrap();
            let is_there = |line: &str| {
                line.strip_prefix("### ")
                    .is_some_and(|heading| heading.to_lowercase() == anchor)
            };
            assert!(page_of_errors.lines().any(is_there), "{code}");
        }
    }

    #[test]
    fn of_several_failures_the_one_that_needs_a_person_most_counts() {
        let all = [
            ExitClass::TryAgain,
            ExitClass::Done,
            ExitClass::Decision,
            ExitClass::Input,
        ];
        let worst = all.into_iter().fold(ExitClass::Done, ExitClass::worse);
        assert_eq!(worst, ExitClass::Decision);
    }
}
