//! A window that a run works on, and the requests of the steps for it.

use crate::model::lookup::CopyWindow;
use crate::model::names::ObjectName;
use crate::model::slice_id::SliceId;
use crate::model::table::RunSettings;
use crate::model::window::WindowName;
use crate::steps::copy::CopyRequest;
use crate::steps::split::{SliceToSplit, SplitRequest};
use crate::steps::update::UpdateRequest;

/// A window of a table, and the settings that its events carry.
#[derive(Debug, Clone)]
pub struct WindowOfRun {
    /// The table.
    pub table: ObjectName,
    /// The window.
    pub window: WindowName,
    /// The settings.
    pub settings: RunSettings,
}

impl From<&CopyWindow> for WindowOfRun {
    fn from(window: &CopyWindow) -> Self {
        Self {
            table: window.table.clone(),
            window: window.window.clone(),
            settings: window.settings.clone(),
        }
    }
}

impl WindowOfRun {
    /// Asks for the copy of a slice.
    #[must_use]
    pub fn to_copy(&self, run_id: &str, slice: SliceId) -> CopyRequest {
        let Self {
            table,
            window,
            settings,
        } = self.clone();
        CopyRequest {
            run_id: run_id.to_owned(),
            table,
            window,
            slice,
            settings,
            dry_run: false,
        }
    }

    /// Asks for a slice to be split.
    #[must_use]
    pub fn to_split(&self, run_id: &str, slice: SliceId) -> SplitRequest {
        let Self {
            table,
            window,
            settings,
        } = self.clone();
        SplitRequest {
            run_id: run_id.to_owned(),
            split: SliceToSplit { table, window, slice },
            settings,
        }
    }

    /// Asks for the commit.
    #[must_use]
    pub fn to_update(&self, run_id: &str) -> UpdateRequest {
        let Self {
            table,
            window,
            settings,
        } = self.clone();
        UpdateRequest {
            run_id: run_id.to_owned(),
            table,
            window,
            settings,
        }
    }
}
