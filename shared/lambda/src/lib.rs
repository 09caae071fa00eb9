//! This crate runs a step of Tidemark, in Lambda or by hand in a terminal.
//!
//! `runner` takes events and gives answers; `config` reads the environment, which nothing else does; `logs` and `telemetry`
//! write what Lambda and CloudWatch read; `watermark_store` stands for the store that a deployment chose.

pub mod config;
pub mod logs;
pub mod runner;
pub mod telemetry;
pub mod watermark_store;
