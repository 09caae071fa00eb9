//! What the doctor has found so far.

use std::fmt;

use serde_json::json;
use tidemark::error::Error;

use crate::exit::{ExitClass, advice};
use crate::terminal::{Mark, Terminal, counted};

/// Something that is missing, and what is to be done about it: the advice given here or, without any, that for every
/// error with its code.
#[derive(Debug)]
pub(super) struct Missing {
    error: Error,
    advice: Option<String>,
}

impl From<Error> for Missing {
    fn from(error: Error) -> Self {
        Self { error, advice: None }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl Missing {
    /// Returns the same as it is said of any table, because the table's name stands before it.
    pub(super) fn of_any_table(self) -> Self {
        let Self { error, advice } = self;
        let advice = advice.or_else(|| error.advice().map(str::to_owned));
        Self {
            error: Error::new(error.code(), error.told_of_any()),
            advice,
        }
    }

    /// Makes a finding with its own advice.
    pub(super) fn mended_by(error: Error, advice: String) -> Self {
        Self {
            error,
            advice: Some(advice),
        }
    }
}

/// Reports what is found, and keeps the worst of it.
pub(super) struct Findings<'a> {
    terminal: &'a Terminal,
    /// The worst class so far.
    pub(super) class: ExitClass,
    missing: u64,
}

impl<'a> Findings<'a> {
    /// Makes findings with nothing found yet.
    pub(super) const fn new(terminal: &'a Terminal) -> Self {
        Self {
            terminal,
            class: ExitClass::Done,
            missing: 0,
        }
    }

    /// Reports that something is missing.
    pub(super) fn missing(&mut self, subject: &str, missing: Missing) {
        self.found::<(), _>(subject, Err(missing), |()| String::new());
    }

    /// Reports the result of all findings, and what comes next.
    pub(super) fn tell_end(&self) {
        self.terminal.line("");
        self.terminal.sentence(&match self.missing {
            0 => "Everything that a run needs is there. Next: tidemark plan, or tidemark run".to_owned(),
            missing => format!(
                "{} missing. Mend what has a ✗, and look again.",
                counted(missing, "thing", ["is", "are"])
            ),
        });
    }

    /// Reports whether what was looked for is there. Returns it if it is.
    pub(super) fn found<T, E: Into<Missing>>(
        &mut self,
        subject: &str,
        result: Result<T, E>,
        said: impl FnOnce(&T) -> String,
    ) -> Option<T> {
        match result {
            Ok(found) => {
                self.tell(subject, Mark::Good, &said(&found));
                Some(found)
            }
            Err(missing) => {
                let Missing {
                    error,
                    advice: own_advice,
                } = missing.into();
                self.missing += 1;
                self.class = self.class.worse(ExitClass::of(error.code()));
                let advice = own_advice
                    .or_else(|| error.advice().map(str::to_owned))
                    .unwrap_or_else(|| advice(error.code()).remedy.to_owned());
                self.terminal.event(&json!({
                    "event": "check", "subject": subject, "ok": false, "mark": Mark::Bad.name(), "error": error.code().name(),
                    "message": error.told(), "advice": advice,
                }));
                self.terminal.marked(Mark::Bad, &format!("{subject}: {}", error.told()));
                self.terminal.sentence(&format!("  {advice}"));
                None
            }
        }
    }

    /// Reports what was looked for with its mark, or that it is missing.
    pub(super) fn judged(&mut self, subject: &str, result: Result<(Mark, String), Missing>) {
        match result {
            Ok((mark, said)) => self.tell(subject, mark, &said),
            Err(missing) => self.missing(subject, missing),
        }
    }

    fn tell(&self, subject: &str, mark: Mark, said: &str) {
        self.terminal.event(&json!({
            "event": "check", "subject": subject, "ok": true, "mark": mark.name(), "message": said,
        }));
        self.terminal.marked(mark, &format!("{subject}: {said}"));
    }
}

#[cfg(test)]
mod tests {
    use tidemark::error::ErrorCode;

    use super::*;

    #[test]
    fn the_doctor_sends_nobody_to_the_doctor() {
        let is_sent = |code| advice(code).to_string().contains("doctor");
        assert!(ErrorCode::ALL.into_iter().any(is_sent));
        for code in ErrorCode::ALL {
            let said = advice(code).remedy;
            assert!(!said.contains("doctor") && said.ends_with('.'), "{code}: {said}");
        }
    }
}
