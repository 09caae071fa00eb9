//! The stand-in as a process: what it leaves behind when it is ended.
#![allow(clippy::panic, clippy::unwrap_used)]

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::process::{Command, Stdio};

#[test]
fn a_stand_in_that_is_ended_leaves_nothing_in_the_temporary_folder() {
    let folder = tempfile::TempDir::new().unwrap();
    let mut stand_in = Command::new(env!("CARGO_BIN_EXE_tidemark-sandbox"))
        .arg("--faults")
        .env("TMPDIR", folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(stand_in.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let ready: serde_json::Value = serde_json::from_str(&line).unwrap();
    let _client = TcpStream::connect(("127.0.0.1", ready["port"].as_u64().unwrap().try_into().unwrap())).unwrap();
    assert!(std::fs::read_dir(folder.path()).unwrap().count() > 0);
    let ended = Command::new("kill").arg(stand_in.id().to_string()).status().unwrap();
    assert!(ended.success() && stand_in.wait().unwrap().success());
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}
