//! The runtime of a step of Tidemark, in Lambda or by hand in a terminal.
//!
//! `runner` takes events and gives answers. Only `config` reads the environment's settings. `logs` and `telemetry`
//! write what Lambda and CloudWatch read. `watermark_store` joins the two kinds of watermark store.

pub mod config;
pub mod logs;
pub mod runner;
pub mod telemetry;
pub mod watermark_store;
