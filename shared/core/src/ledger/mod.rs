//! The ledger: all state of a table, under a prefix of its own in the sink bucket. Nearly all of it is written once.
//!
//! ```text
//! {prefix}/_ledger/_runs/{run}/lease.json                 which run is alive, its budget replaced by If-Match
//! {prefix}/_ledger/{table}/lease.json                     who copies the table now       replaced by If-Match
//! {prefix}/_ledger/{table}/{from}/previous.json           columns of the window before   create-only
//! {prefix}/_ledger/{table}/{from}/plan.json               frozen bounds and slices       create-only
//! {prefix}/_ledger/{table}/{from}/record-00000.json       a slice's decision record      create-only
//! {prefix}/{table}/tidemark_window={from}/part-00000.…    visible once completed
//! {prefix}/_ledger/{table}/{from}/loader-redshift.json    for loaders, on request        create-only
//! {prefix}/_ledger/{table}/{from}/manifest.json           the commit                     create-only, last
//! {prefix}/_ledger/{table}/hold.json                      what a person has begun        create-only, then archived
//! ```
//!
//! A window is named by where it starts, so every attempt at it, in any run, uses the same keys. The invariants:
//!
//! - **W1** a plan never changes once frozen;
//! - **W2** one upload per slice is decided, or the slices that are copied in its place, by a create-only record;
//! - **W3** no part is visible before its window commits;
//! - **W4** the manifest is written last and names only objects that exist;
//! - **W5** the watermark moves only after the manifest, by compare-and-set, never backwards, never to null;
//! - **W6** any step may be repeated by anyone, at any time, concurrently with itself: the outcome is the same.
//!
//! Documents are data: whoever reads one checks that it belongs to the place it was read from, and nothing in it is
//! executed.

mod chain;
pub mod conditions;
mod holds;
pub mod keys;
mod lease;
mod limits;
mod of_table;
mod place;
mod pointers;
mod replaced;
mod run_lease;
mod slices;
mod version;

pub use self::chain::{ChainEnd, Reached};
pub use self::lease::{Lease, Taken};
pub use self::limits::AT_ONCE;
pub(crate) use self::limits::TRIES;
pub use self::of_table::{Frozen, Ledger, check_settings};
pub use self::place::Place;
pub use self::pointers::Pointers;
pub use self::run_lease::RunLease;
pub use self::slices::{Decided, Left, SliceState};
