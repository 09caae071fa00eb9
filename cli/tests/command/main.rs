//! The command as people and schedulers use it: the binary, the stand-in of SQL Server, a folder.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod backfill;
mod by_hand;
mod cases;
mod doctor;
mod doctor_of_tables;
mod init;
mod inputs;
mod interruptions;
mod operators;
mod outputs;
mod plan;
mod reconcile;
mod runs;
mod secrets;
mod sources;
mod sql;
mod status;
mod steps;
mod tables_file;
mod terminals;
mod world;
