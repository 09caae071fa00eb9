//! Reads the environment variables of a process, and collects what is wrong with them.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use tidemark::error::{Error, ErrorCode, Result};
use tidemark::model::cost::Usd;
use tidemark::model::names::ObjectName;

/// The variables of the process, and all complaints about them, which are reported together.
#[derive(Debug)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    complaints: Vec<String>,
}

impl Environment {
    /// Takes the variables of this process. Empty ones count as unset, because templates set them so.
    #[must_use]
    pub fn from_process() -> Self {
        Self::new(std::env::vars())
    }

    /// Takes these variables. Empty ones count as unset.
    pub fn new(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let variables = variables.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        Self {
            variables,
            complaints: Vec::new(),
        }
    }

    /// Adds a complaint, unless it is there already because several settings read the same variable.
    pub(super) fn complain(&mut self, what: String) {
        if !self.complaints.contains(&what) {
            self.complaints.push(what);
        }
    }

    pub(super) fn optional(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
    }

    pub(super) fn required(&mut self, name: &str) -> String {
        self.optional(name).unwrap_or_else(|| {
            self.complain(format!("{name} is not set"));
            String::new()
        })
    }

    pub(super) fn one_of<T: Copy>(&mut self, name: &str, choices: &[(&str, T)], default: T) -> T {
        let Some(value) = self.optional(name) else {
            return default;
        };
        choices.iter().find(|(choice, _)| *choice == value).map_or_else(
            || {
                let choices: Vec<_> = choices.iter().map(|(choice, _)| *choice).collect();
                self.complain(format!("{name} is '{value}', not one of {}", choices.join(", ")));
                default
            },
            |(_, choice)| *choice,
        )
    }

    /// Reads a number in `range`, or returns `default` when the variable is not set. `unit` says in the complaint what
    /// the number is.
    pub(super) fn number<T: Copy + PartialOrd + FromStr + fmt::Display>(
        &mut self,
        name: &str,
        unit: &str,
        range: RangeInclusive<T>,
        default: T,
    ) -> T {
        self.number_if_set(name, unit, range).unwrap_or(default)
    }

    /// Reads a number in `range`, or returns `None` when the variable is not set.
    pub(super) fn number_if_set<T: Copy + PartialOrd + FromStr + fmt::Display>(
        &mut self,
        name: &str,
        unit: &str,
        range: RangeInclusive<T>,
    ) -> Option<T> {
        let value = self.optional(name)?;
        let number = value.parse().ok().filter(|number| range.contains(number));
        if number.is_none() {
            let (least, most) = (range.start(), range.end());
            self.complain(format!("{name} is not {unit} from {least} to {most}"));
        }
        number
    }

    /// Reads an amount of US dollars.
    pub(super) fn usd(&mut self, name: &str) -> Option<Usd> {
        let value = self.optional(name)?;
        let complaint = |error: Error| self.complain(format!("{name}: {error}"));
        value.parse().map_err(complaint).ok()
    }

    /// Reads a list whose items are separated by commas. Blanks around items are dropped.
    pub(super) fn list(&self, name: &str) -> Vec<String> {
        let value = self.optional(name).unwrap_or_default();
        let items = value.split(',').map(str::trim).filter(|item| !item.is_empty());
        items.map(str::to_owned).collect()
    }

    pub(super) fn object_name(&mut self, name: &str, default: &str) -> Option<ObjectName> {
        let value = self.optional(name).unwrap_or_else(|| default.to_owned());
        value
            .parse()
            .map_err(|error: Error| self.complain(format!("{name}: {error}")))
            .ok()
    }

    /// Returns `value` if there are no complaints, and otherwise `InvalidConfig` with all of them.
    pub(super) fn checked<T>(self, value: Option<T>) -> Result<T> {
        match value {
            Some(value) if self.complaints.is_empty() => Ok(value),
            _ => Err(Error::new(
                ErrorCode::InvalidConfig,
                format!(
                    "the function's environment is incomplete: {}",
                    self.complaints.join("; ")
                ),
            )),
        }
    }
}
