//! What the next window of a table holds, and how it is cut into slices.
//!
//! `watermarked` and `bound` plan by a watermark column, `tracked` by change tracking, and `backfill` plans what is copied
//! again. `freezing` freezes the windows of the first two, and gives up those that cannot be copied any more.
//! `asked_columns`, `columns`, `masks`, `audit` and `schema` decide which columns are copied and whether readers can go
//! on. `cut` makes slices of a window, and `split` makes slices of a slice that was too large. `run_limits` decides
//! what fits into one run, and `single_flight` whether it is this run's turn. `examine` asks for what a run would copy,
//! without planning it. Only `freezing` and `single_flight` write here: the one plans and the records of windows that are
//! given up, the other leases. A backfill is frozen by its caller.

mod asked_columns;
mod audit;
pub(crate) mod backfill;
pub(crate) mod bound;
mod columns;
mod cut;
mod cut_points;
pub mod examine;
pub(crate) mod freezing;
pub(crate) mod masks;
pub(crate) mod run_limits;
pub(crate) mod schema;
pub(crate) mod single_flight;
pub(crate) mod split;
pub(crate) mod tracked;
mod tracked_columns;
pub(crate) mod watermarked;
