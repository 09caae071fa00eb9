//! A whole run in this process: it takes the steps of the core for many tables at once, tries again, shows progress,
//! and ends in order.

mod attempts;
mod board;
mod engine;
mod measured;
mod screen;
mod window;

pub(crate) use self::attempts::{connecting, has_address, reach, reach_and_tell};
pub(crate) use self::board::{Board, Phase, TableState, looking_up, of_lookup};
pub(crate) use self::engine::{Engine, Parts, Report};
pub(crate) use self::screen::Screen;
