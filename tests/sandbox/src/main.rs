//! The stand-in as a program: it starts, writes where it listens as one line of JSON, and runs until a signal stops it.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Weak};

use tidemark_sandbox::{Action, Fault, Options, Sandbox, SqlError};

const HELP: &str = "Usage: tidemark-sandbox [OPTIONS]

A stand-in for SQL Server for development and tests. When it accepts connections it prints one line of JSON
(host, port, username, password, dbname, ca_file) and runs until SIGTERM or SIGINT.

  --listen ADDR:PORT    where to listen (127.0.0.1:0)
  --user NAME           the login (sa)
  --password TEXT       its password (Tidemark-1)
  --database NAME       its default database (tidemark)
  --tls-dir DIR         write ca.pem here (a temporary directory)
  --init SCRIPT.sql     run a script first; may be given again
  --ready-file FILE     write the line of JSON to a file as well
  --faults              take faults from standard input, a line of JSON each
                        (text, number, message, after_rows, times), and answer each with a line;
                        \"statements\" is answered with the number of requests since it was last asked
  --help                this text
";

struct Arguments {
    options: Options,
    ready_file: Option<PathBuf>,
    faults: bool,
}

fn arguments() -> Result<Option<Arguments>, String> {
    let mut out = Arguments {
        options: Options::default(),
        ready_file: None,
        faults: false,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word} needs a value"));
        match word.as_str() {
            "--listen" => {
                let text = value()?;
                out.options.listen = text.parse().map_err(|e| format!("--listen {text}: {e}"))?;
            }
            "--user" => out.options.username = value()?,
            "--password" => out.options.password = value()?,
            "--database" => out.options.database = value()?,
            "--tls-dir" => out.options.tls_dir = Some(value()?.into()),
            "--init" => {
                let path = value()?;
                let script = std::fs::read_to_string(&path).map_err(|e| format!("--init {path}: {e}"))?;
                out.options.init.push(script);
            }
            "--ready-file" => out.ready_file = Some(value()?.into()),
            "--faults" => out.faults = true,
            "--help" | "-h" => return Ok(None),
            other => return Err(format!("unknown option {other}; see --help")),
        }
    }
    Ok(Some(out))
}

fn run(arguments: Arguments) -> Result<(), String> {
    let sandbox = Arc::new(Sandbox::start(arguments.options).map_err(|e| e.to_string())?);
    let line = serde_json::json!({
        "host": sandbox.addr().ip().to_string(),
        "port": sandbox.port(),
        "username": sandbox.username(),
        "password": sandbox.password(),
        "dbname": sandbox.database(),
        "ca_file": sandbox.ca_path(),
    })
    .to_string();
    if let Some(path) = arguments.ready_file {
        // It is written whole or not at all, because somebody is waiting for it.
        let partial = path.with_extension("partial");
        let written = std::fs::write(&partial, format!("{line}\n")).and_then(|()| std::fs::rename(&partial, &path));
        written.map_err(|e| format!("--ready-file {}: {e}", path.display()))?;
    }
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{line}")
        .and_then(|()| stdout.flush())
        .map_err(|e| e.to_string())?;
    if arguments.faults {
        let sandbox = Arc::downgrade(&sandbox);
        // This thread ends with the process, because nothing else ends a thread that reads. It keeps no stand-in, whose
        // files would not be removed then.
        std::thread::spawn(move || order_faults(&sandbox));
    }
    wait().map_err(|e| e.to_string())
}

/// Orders the faults in the lines of standard input, until it ends.
fn order_faults(sandbox: &Weak<Sandbox>) {
    let mut stdout = std::io::stdout();
    for line in std::io::stdin().lines().map_while(Result::ok) {
        let answer = match sandbox.upgrade() {
            Some(sandbox) if line == "\"statements\"" => {
                let noted = sandbox.statements();
                let requests = noted.iter().filter(|statement| !statement.starts_with("LOGIN"));
                format!("statements {}", requests.count())
            }
            Some(sandbox) => fault(&line).map_or("not a fault".to_owned(), |fault| {
                sandbox.inject(fault);
                "ordered".to_owned()
            }),
            None => "not a fault".to_owned(),
        };
        let _ = writeln!(stdout, "{answer}").and_then(|()| stdout.flush());
    }
}

/// Returns the fault that a line of JSON orders, if it is one.
fn fault(line: &str) -> Option<Fault> {
    let order: serde_json::Value = serde_json::from_str(line).ok()?;
    let number = i32::try_from(order["number"].as_i64()?).ok()?;
    Some(Fault {
        text: order["text"].as_str()?.to_owned(),
        after_rows: order["after_rows"].as_u64(),
        action: Action::Error(SqlError::new(number, order["message"].as_str()?)),
        times: u32::try_from(order["times"].as_u64().unwrap_or(1)).ok()?,
    })
}

/// Waits for SIGTERM or SIGINT.
fn wait() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(async {
            let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            Ok(())
        })
}

fn main() -> ExitCode {
    let result = match arguments() {
        Ok(Some(arguments)) => run(arguments),
        Ok(None) => write!(std::io::stdout(), "{HELP}").map_err(|e| e.to_string()),
        Err(e) => Err(e),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            // Nothing can be done if even this cannot be written.
            let _ = writeln!(std::io::stderr(), "tidemark-sandbox: {e}");
            ExitCode::FAILURE
        }
    }
}
