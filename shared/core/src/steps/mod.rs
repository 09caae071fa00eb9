//! The four steps, and a whole run of them in one process.
//!
//! A step is a function of ports, a request and a context. Requests and answers are what the state machine carries from one
//! function to the next, kept small, because an execution's payload is limited to 256 KiB for all tables together.

pub mod commit;
pub mod context;
pub mod copy;
mod kept;
pub mod lookup_new;
pub mod lookup_old;
mod merge_slice;
mod pointer;
pub mod report_failed;
pub mod run;
pub mod split;
pub mod tables;
pub mod update;
pub mod update_all;
mod upload_slice;
