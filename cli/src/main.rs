//! The command `tidemark`, which does a whole run on any machine and answers the questions of an operator.
//!
//! `arguments` is what is typed; each file in `verbs` is one verb; `wiring` makes ports from the arguments; `copying`
//! drives the steps of the core; only `terminal` writes; `exit` says how the command ends.

mod arguments;
mod copying;
mod estimate;
mod exit;
mod failure;
mod keys;
mod lake;
mod standard_input;
mod tables_file;
mod terminal;
mod verbs;
mod wiring;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use clap::error::ErrorKind;

use self::arguments::Arguments;
use self::exit::ExitClass;
use self::terminal::Terminal;
use self::wiring::stack;

/// How long work on the disk that nobody waits for any more may go on at the end.
const SHUTDOWN: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return not_parsed(&error).into(),
    };
    let terminal = Terminal::new(arguments.json);
    if arguments.verbose {
        tidemark_lambda::logs::start(std::io::stderr);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            terminal.error(&format!("the process cannot start its threads: {error}"));
            return ExitClass::TryAgain.into();
        }
    };
    let class = runtime.block_on(async {
        let work = async {
            if let Some(name) = &arguments.stack {
                stack::find(name).await?;
            }
            Box::pin(arguments.verb.run(&terminal)).await
        };
        match work.await {
            Ok(class) => class,
            Err(failure) => failure.tell(&terminal),
        }
    });
    runtime.shutdown_timeout(SHUTDOWN);
    let Some(error) = terminal.unwritten() else {
        return class.into();
    };
    terminal.error(&format!(
        "the result cannot be written to standard output: {error}. What is missing there is lost, and the command may have done its \
         work."
    ));
    class.worse(ExitClass::Input).into()
}

/// Writes the help that was asked for, or what is wrong with the arguments, and returns how the command ends.
fn not_parsed(error: &clap::Error) -> ExitClass {
    let is_asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    let is_written = match error.print() {
        Ok(()) => true,
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => true,
        Err(error) => {
            Terminal::new(false).error(&format!("the help cannot be written: {error}"));
            false
        }
    };
    if !is_asked && std::env::args_os().any(|argument| argument == "--json") {
        let message = error.render().to_string();
        let message = message.trim_start_matches("error: ").trim_end();
        failure::Failure::tell_usage(&Terminal::new(true), message);
    }
    if is_asked && is_written {
        ExitClass::Done
    } else {
        ExitClass::Input
    }
}
