//! One file a verb.

pub(crate) mod completions;
pub(crate) mod copy_run;
pub(crate) mod doctor;
pub(crate) mod init;
pub(crate) mod plan;
pub(crate) mod sql;
pub(crate) mod status;
pub(crate) mod step;
mod summary;
pub(crate) mod verify;

use crate::arguments::{Arguments, Verb};
use crate::exit::ExitClass;
use crate::failure::Outcome;
use crate::tables_file;
use crate::terminal::Terminal;

/// Does what is asked for.
pub(crate) async fn run(arguments: &Arguments, terminal: &Terminal) -> Outcome<ExitClass> {
    match &arguments.verb {
        Verb::Run(run) => copy_run::run(run, terminal).await,
        Verb::Init(arguments) => init::init(arguments, terminal).await,
        Verb::Doctor(arguments) => doctor::doctor(arguments, terminal).await,
        Verb::Plan(arguments) => plan::plan(arguments, terminal).await,
        Verb::Status(arguments) => status::status(arguments, terminal).await,
        Verb::History(arguments) => status::history(arguments, terminal).await,
        Verb::Verify(arguments) => verify::verify(arguments, terminal).await,
        Verb::Step(arguments) => step::step(arguments, terminal).await,
        Verb::Sql(arguments) => sql::sql(arguments, terminal).await,
        Verb::Completions(shell) => Ok(completions::completions(shell, terminal)),
        Verb::Man => Ok(completions::man(terminal)),
        Verb::Schema => {
            terminal.document(&tables_file::json_schema());
            Ok(ExitClass::Done)
        }
    }
}
