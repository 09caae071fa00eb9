//! The only place that writes. Results go to standard output, and everything else to standard error.

mod output;
mod table;
mod words;
mod working;

pub(crate) use self::output::{Mark, Terminal};
pub(crate) use self::table::Heading;
pub(crate) use self::words::{bytes, count, counted, duration, number, one_line, short, shortened};
pub(crate) use self::working::{Done, Working};
