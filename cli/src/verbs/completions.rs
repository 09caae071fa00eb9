//! `completions` and `man`, which are made from the arguments themselves.

use clap::{Args, Command};
use clap_complete::Shell;
use serde_json::json;

use crate::exit::ExitClass;
use crate::terminal::Terminal;

/// The arguments of `completions`.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Writes the completion script of a shell.
pub(crate) fn completions(arguments: &CompletionsArgs, command: Command, terminal: &Terminal) -> ExitClass {
    let mut script = Vec::new();
    // The verb `help` has every other verb below it, which would double the script.
    let mut command = command.disable_help_subcommand(true);
    clap_complete::generate(arguments.shell, &mut command, "tidemark", &mut script);
    let script = String::from_utf8_lossy(&script);
    terminal.event(&json!({"event": "completions", "shell": arguments.shell.to_string(), "script": script}));
    terminal.statement(script.trim_end_matches('\n'));
    ExitClass::Done
}

/// Writes the manual page of the command, and then those of the verbs.
pub(crate) fn man(command: Command, terminal: &Terminal) -> ExitClass {
    let mut command = command.disable_help_subcommand(true);
    command.build();
    let verbs = command.get_subcommands().cloned();
    let pages = std::iter::once(command.clone()).chain(verbs);
    for page in pages {
        let (name, mut text) = (page.get_name().to_owned(), Vec::new());
        // Writing into memory does not fail.
        if clap_mangen::Man::new(page).render(&mut text).is_ok() {
            let text = String::from_utf8_lossy(&text);
            terminal.event(&json!({"event": "man", "name": name, "page": text}));
            terminal.statement(text.trim_end_matches('\n'));
        }
    }
    ExitClass::Done
}
