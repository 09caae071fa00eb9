//! The command as people and schedulers use it: the binary, the stand-in of SQL Server, a folder.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod by_hand;
mod cases;
mod doctor;
mod first_use;
mod inputs;
mod interruptions;
mod operators;
mod runs;
mod secrets;
mod steps;
mod terminals;
mod verbs;
mod world;
