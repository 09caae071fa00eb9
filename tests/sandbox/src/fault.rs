//! Faults that a test can order: an error or a cut connection, at a statement or in the middle of its rows.

use std::sync::Mutex;

use crate::error::SqlError;
use crate::locks::locked;

/// What happens when a fault is met.
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
    /// A text of the requests to which it happens: the next ones that contain it.
    pub text: String,
    /// The number of rows after which it happens, or `None` for before the request is run.
    pub after_rows: Option<u64>,
    /// What goes wrong.
    pub action: Action,
    /// The number of requests to which it happens.
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

    /// Takes back all faults that have not happened.
    pub fn clear(&self) {
        locked(&self.ordered).clear();
    }

    /// Returns the texts of the requests since the last call. The first call returns nothing and begins to note them.
    pub fn noted(&self) -> Vec<String> {
        locked(&self.noted).replace(Vec::new()).unwrap_or_default()
    }

    /// Returns the fault that a request meets, and notes the request.
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
