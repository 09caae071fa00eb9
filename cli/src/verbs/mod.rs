//! One file a verb.

pub(crate) mod completions;
pub(crate) mod copy_run;
pub(crate) mod doctor;
pub(crate) mod init;
pub(crate) mod plan;
pub(crate) mod sql;
pub(crate) mod status;
pub(crate) mod step;
mod summary;
pub(crate) mod verify;
