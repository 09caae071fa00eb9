//! Values: the types, their form in SQLite, and the conversions between them. This module knows neither SQL text nor
//! the wire.

pub mod calendar;
pub mod collation;
pub mod compute;
pub mod convert;
pub mod datum;
pub mod format;
pub mod parse;
pub mod text;
pub mod ty;

pub use collation::Collation;
pub use datum::Datum;
pub use text::Page;
pub use ty::{MAX, Ty};
