//! A stand-in of SQL Server, a folder, and the command between them.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;
use tidemark_sandbox::{Options, Sandbox};

/// Two tables with rows, one of which is tracked.
pub const SCRIPT: &str = "
    CREATE TABLE orders (id int NOT NULL PRIMARY KEY, modified_at datetime2(3) NOT NULL, note nvarchar(40) NULL);
    INSERT orders VALUES (1, '2020-01-01', N'one'), (2, '2020-01-02', N'two'), (3, '2020-01-03', NULL);
    CREATE TABLE items (id int NOT NULL PRIMARY KEY, name nvarchar(40) NULL, stamp rowversion NOT NULL);
    INSERT items (id, name) VALUES (1, N'a'), (2, N'b');";

/// A table that is tracked by its rowversion or by the time of a change.
pub const T: &str = "CREATE TABLE t (id int NOT NULL PRIMARY KEY, name varchar(9) NULL, ssn varchar(11) NULL, stamp rowversion NOT NULL,
    at datetime2(3) NOT NULL DEFAULT '2020-01-01');
    CREATE INDEX i ON t (stamp);
    INSERT t (id, name) VALUES (1, 'a'), (2, 'b');";

/// A table for each way of tracking, and one for none.
pub const CATALOG: &str = "
    ALTER DATABASE tidemark SET CHANGE_TRACKING = ON;
    GO
    CREATE TABLE stamped (id int NOT NULL PRIMARY KEY, note nvarchar(20) NULL, stamp rowversion NOT NULL);
    CREATE TABLE tracked (id int NOT NULL PRIMARY KEY, note nvarchar(20) NULL);
    CREATE TABLE changed (id int NOT NULL PRIMARY KEY, modified_at datetime2(3) NOT NULL);
    CREATE INDEX i ON changed (modified_at);
    CREATE TABLE appended (id int IDENTITY(1, 1) NOT NULL PRIMARY KEY, note nvarchar(20) NULL);
    CREATE TABLE neither (note nvarchar(20) NULL);
    GO
    ALTER TABLE tracked ENABLE CHANGE_TRACKING;
    GO
    INSERT stamped (id, note) VALUES (1, N'a'), (2, N'b');
    INSERT tracked VALUES (1, N'a'), (2, N'b'), (3, N'c');
    INSERT changed VALUES (1, '2020-01-01');
    INSERT appended (note) VALUES (N'a');";

/// What the command left behind.
pub struct Done {
    /// Its exit code.
    pub code: Option<i32>,
    /// What it wrote to standard output.
    pub out: String,
    /// What it wrote to standard error.
    pub err: String,
}

impl From<Output> for Done {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Done {
    /// Returns both texts, for the report of a failing test.
    pub fn all(&self) -> String {
        format!("exit {:?}\n--- out\n{}--- err\n{}", self.code, self.out, self.err)
    }

    /// Returns the lines of JSON with this event.
    pub fn events(&self, event: &str) -> Vec<Value> {
        let lines = self
            .out
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter(|line| line["event"] == event).collect()
    }
}

/// The world of a test.
pub struct World {
    /// The server.
    pub sandbox: Sandbox,
    /// The folder of everything the test writes.
    pub folder: TempDir,
}

impl World {
    /// Starts a server on which this script was run.
    pub fn new(script: &str) -> Self {
        let sandbox = Sandbox::start(Options {
            init: vec![script.to_owned()],
            ..Options::default()
        });
        Self {
            sandbox: sandbox.unwrap(),
            folder: TempDir::new().unwrap(),
        }
    }

    /// Returns the address of the server, without a password.
    pub fn address(&self) -> String {
        format!("sqlserver://sa@127.0.0.1:{}/tidemark?tls=trust", self.sandbox.port())
    }

    /// Returns the folder of the sink.
    pub fn lake(&self) -> PathBuf {
        self.folder.path().join("lake")
    }

    /// Makes the command with these arguments, in the folder and with the settings of this world.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = bare(arguments);
        command
            .current_dir(self.folder.path())
            .env("TIDEMARK_SOURCE", self.address())
            .env("TIDEMARK_PASSWORD", self.sandbox.password());
        command
    }

    /// Runs the command to its end.
    pub fn run(&self, arguments: &[&str]) -> Done {
        self.command(arguments).output().unwrap().into()
    }

    /// Runs the command, which must succeed.
    pub fn succeeds(&self, arguments: &[&str]) -> Done {
        let done = self.run(arguments);
        assert_eq!(done.code, Some(0), "{}", done.all());
        done
    }

    /// Runs the command, which must succeed, and returns its lines of JSON.
    pub fn json_lines(&self, arguments: &[&str]) -> Vec<Value> {
        let out = self.succeeds(arguments).out;
        out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Writes tables.json.
    pub fn tables(&self, tables: &Value) {
        fs::write(
            self.folder.path().join("tables.json"),
            json!({ "tables": tables }).to_string(),
        )
        .unwrap();
    }

    /// Returns the settings of both tables of [`SCRIPT`], as CSV.
    pub fn both(settle_seconds: u32) -> Value {
        json!([
            {"table": "orders", "format": "csv",
             "tracking": {"watermark": {"column": "modified_at", "settle_seconds": settle_seconds}}},
            {"table": "items", "format": "csv", "columns": ["id", "name"], "tracking": {"watermark": {"column": "stamp"}}},
        ])
    }

    /// Returns the lines of every file of a table, without headers, sorted.
    pub fn lines(&self, table: &str) -> Vec<String> {
        let mut lines = Vec::new();
        collect(&self.lake().join(table), &mut lines);
        lines.sort();
        lines
    }
}

fn collect(folder: &Path, lines: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, lines);
        } else {
            lines.extend(fs::read_to_string(path).unwrap().lines().skip(1).map(str::to_owned));
        }
    }
}

/// Makes the command without any setting of this machine.
pub fn bare(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidemark"));
    command
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .stdin(Stdio::null());
    command
}

/// Runs a command with this text on its standard input.
pub fn fed(mut command: Command, text: &str) -> Done {
    let command = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    child.wait_with_output().unwrap().into()
}

/// Returns the tables that track `t` by its rowversion, with these fields.
pub fn of_t(fields: Value) -> Value {
    let mut table = json!({"table": "t", "tracking": {"watermark": {"column": "stamp"}}});
    for (name, value) in fields.as_object().unwrap() {
        table[name] = value.clone();
    }
    json!([table])
}
