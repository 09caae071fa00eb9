//! Contracts between the code and what is deployed beside it, and between crates that do not know each other: the state
//! machine's error names and payloads, the template's environment, the example events, the schema of batches.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod batches;
mod events;
mod state_machine;
mod template;

use std::path::Path;

use serde_json::Value;

/// The state machine that copies the tables it is given, and the one that starts it for a list of tables.
const MACHINES: [&str; 2] = ["incremental-copy.asl.json", "incremental-copy-list.asl.json"];

fn infra(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra").join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn json(file: &str) -> Value {
    serde_json::from_str(&infra(file)).unwrap()
}
