//! The four steps, the way of a window through them, and what a person does to a table besides.
//!
//! A step is a function of ports, a request and a context. Requests and answers are what the state machine carries from
//! one function to the next. They are kept small, because an execution's payload is limited to 256 KiB for all tables
//! together.

pub mod archive;
pub mod backfill;
mod commit;
pub mod context;
pub mod copy;
pub mod give_up;
mod leases;
pub mod lookup_new;
pub mod lookup_old;
mod merge_slice;
pub mod pause;
mod pointer;
pub mod report_failed;
pub mod set_watermark;
pub mod split;
pub mod start_over;
pub mod tables;
pub mod update;
pub mod update_all;
mod upload_slice;
pub mod window;
pub mod window_of_run;
