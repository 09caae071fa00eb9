//! This module has what the doctor has found so far.

use std::fmt;

use serde_json::json;
use tidemark::error::Error;

use crate::exit::{ExitClass, advice};
use crate::terminal::Terminal;

/// What is missing, and what is to be done about it: this, or what is done about every error of its code.
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
    /// The same with what is to be done about it.
    pub(super) fn mended_by(error: Error, advice: String) -> Self {
        Self {
            error,
            advice: Some(advice),
        }
    }
}

/// Tells what is found, and keeps the worst of it.
pub(super) struct Findings<'a> {
    terminal: &'a Terminal,
    /// The worst so far.
    pub(super) class: ExitClass,
}

impl<'a> Findings<'a> {
    /// Nothing is found yet.
    pub(super) const fn new(terminal: &'a Terminal) -> Self {
        Self {
            terminal,
            class: ExitClass::Done,
        }
    }

    /// What was looked for is there, or is not. Returns it if it is there.
    pub(super) fn found<T, E: Into<Missing>>(
        &mut self,
        subject: &str,
        result: Result<T, E>,
        said: impl FnOnce(&T) -> String,
    ) -> Option<T> {
        match result {
            Ok(found) => {
                let said = said(&found);
                self.terminal
                    .event(&json!({"event": "check", "subject": subject, "ok": true, "message": said}));
                self.terminal
                    .line(&format!("{} {subject}: {said}", self.terminal.mark(true)));
                Some(found)
            }
            Err(missing) => {
                let Missing {
                    error,
                    advice: own_advice,
                } = missing.into();
                self.class = self.class.worse(ExitClass::of(error.code()));
                let advice = own_advice.unwrap_or_else(|| advice(error.code()).to_owned());
                self.terminal.event(&json!({
                    "event": "check", "subject": subject, "ok": false, "error": error.code().name(),
                    "message": error.report(), "advice": advice,
                }));
                self.terminal
                    .line(&format!("{} {subject}: {}", self.terminal.mark(false), error.report()));
                self.terminal.line(&format!("  {advice}"));
                None
            }
        }
    }
}
