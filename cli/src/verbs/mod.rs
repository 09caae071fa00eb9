//! The verbs, one file for each.

pub(crate) mod backfill;
pub(crate) mod completions;
pub(crate) mod copy_run;
pub(crate) mod doctor;
pub(crate) mod give_up;
pub(crate) mod history;
pub(crate) mod init;
pub(crate) mod pause;
pub(crate) mod plan;
pub(crate) mod reconcile;
pub(crate) mod reset;
pub(crate) mod sql;
pub(crate) mod status;
pub(crate) mod step;
mod summary;
pub(crate) mod tables;
pub(crate) mod verify;
