//! Faults that a test can order: an error or a cut connection, at a statement or in the middle of its rows.

use std::sync::Mutex;

use crate::error::SqlError;
use crate::locks::locked;

/// What goes wrong.
#[derive(Clone, Debug)]
pub enum Action {
    /// The server reports this error instead of going on.
    Error(SqlError),
    /// The connection is cut.
    Disconnect,
}

/// One ordered fault.
#[derive(Clone, Debug)]
pub struct Fault {
    /// It happens to the next request whose text contains this.
    pub text: String,
    /// After this many rows; none for before the request is run.
    pub after_rows: Option<u64>,
    /// What goes wrong.
    pub action: Action,
    /// To how many requests it happens.
    pub times: u32,
}

/// The faults that are still to happen, and the requests that they may happen to.
#[derive(Debug, Default)]
pub struct Faults {
    ordered: Mutex<Vec<Fault>>,
    noted: Mutex<Option<Vec<String>>>,
}

impl Faults {
    /// Orders a fault.
    pub fn order(&self, fault: Fault) {
        locked(&self.ordered).push(fault);
    }

    /// Takes back all that have not happened.
    pub fn clear(&self) {
        locked(&self.ordered).clear();
    }

    /// The texts of the requests since the last time this was called. The first call begins to note them.
    pub fn noted(&self) -> Vec<String> {
        locked(&self.noted).replace(Vec::new()).unwrap_or_default()
    }

    /// The fault that a request meets.
    pub fn meet(&self, text: &str) -> Option<Fault> {
        if let Some(noted) = locked(&self.noted).as_mut() {
            noted.push(text.to_owned());
        }
        let mut all = locked(&self.ordered);
        let at = all.iter().position(|f| f.times > 0 && text.contains(&f.text))?;
        all[at].times -= 1;
        let met = all[at].clone();
        all.retain(|f| f.times > 0);
        Some(met)
    }
}
