//! The arguments that a person types.

use clap::{CommandFactory, Parser, Subcommand};

use crate::exit::ExitClass;
use crate::failure::Outcome;
use crate::terminal::Terminal;
use crate::{tables_file, verbs};

/// The version, and the commit that it was built from.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("TIDEMARK_COMMIT"), ")");

/// Copies what changed in SQL Server tables since the last run to S3 or to a folder.
#[derive(Debug, Parser)]
#[command(name = "tidemark", version = VERSION, after_help = AFTER_HELP, max_term_width = 100)]
pub(crate) struct Arguments {
    /// Writes results as lines of JSON
    #[arg(long, global = true, help_heading = "Output")]
    pub(crate) json: bool,
    /// Writes the log of every step to standard error, as RUST_LOG says or at INFO
    #[arg(short, long, global = true, help_heading = "Output")]
    pub(crate) verbose: bool,
    /// Takes source and sink from a deployed stack of CloudFormation: its secret, its bucket, its control table
    #[arg(long, global = true, value_name = "NAME", help_heading = "Deployed")]
    pub(crate) stack: Option<String>,
    /// What to do
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

const AFTER_HELP: &str = "Exit codes: 0 done, 1 usage or input, 2 try again, 3 data is not as it must be, 4 schema drift, \
                          5 a person must decide, 6 bug, 130 interrupted.";

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Reads the catalog and proposes tables.json, with reasons
    Init(verbs::init::InitArgs),
    /// Looks at everything that a run needs, and says what to do about what is missing
    Doctor(verbs::doctor::DoctorArgs),
    /// Copies what changed, in this process
    Run(verbs::copy_run::RunArgs),
    /// Shows what the next run would copy, and writes nothing
    Plan(verbs::plan::PlanArgs),
    /// Shows how every table of a sink is
    Status(verbs::status::StatusArgs),
    /// Shows the windows of a table
    History(verbs::history::HistoryArgs),
    /// Copies an interval of a table again, beside its windows
    Backfill(verbs::backfill::BackfillArgs),
    /// Starts tables over: what was there goes into the archive
    Reset(verbs::reset::ResetArgs),
    /// Gives up a window that is frozen and cannot be copied
    GiveUp(verbs::give_up::GiveUpArgs),
    /// Pauses tables: no run copies them until you resume them
    Pause(verbs::pause::PauseArgs),
    /// Resumes paused tables
    Resume(verbs::pause::ResumeArgs),
    /// Checks the files of a sink against its manifests
    Verify(verbs::verify::VerifyArgs),
    /// Compares the files with the source, by count and by key
    Reconcile(verbs::reconcile::ReconcileArgs),
    /// Runs one step by hand: what one step writes, the next one reads
    Step(verbs::step::StepArgs),
    /// Writes the statements by which an engine reads the files
    Sql(verbs::sql::SqlArgs),
    /// Writes the script that completes this command in a shell
    Completions(verbs::completions::CompletionsArgs),
    /// Writes the manual page
    Man,
    /// Checks tables.json, and writes it as state machines take it: without comments, with the defaults in every table
    Tables(verbs::tables::TablesArgs),
    /// Writes the JSON Schema of tables.json, for editors
    Schema,
}

impl Verb {
    /// Does what the arguments ask for.
    pub(crate) async fn run(&self, terminal: &Terminal) -> Outcome<ExitClass> {
        match self {
            Verb::Run(run) => verbs::copy_run::run(run, terminal).await,
            Verb::Init(arguments) => verbs::init::init(arguments, terminal).await,
            Verb::Doctor(arguments) => verbs::doctor::doctor(arguments, terminal).await,
            Verb::Plan(arguments) => verbs::plan::plan(arguments, terminal).await,
            Verb::Status(arguments) => verbs::status::status(arguments, terminal).await,
            Verb::History(arguments) => verbs::history::history(arguments, terminal).await,
            Verb::Backfill(arguments) => verbs::backfill::backfill(arguments, terminal).await,
            Verb::Reset(arguments) => verbs::reset::reset(arguments, terminal).await,
            Verb::GiveUp(arguments) => verbs::give_up::give_up(arguments, terminal).await,
            Verb::Pause(arguments) => verbs::pause::pause(arguments, terminal).await,
            Verb::Resume(arguments) => verbs::pause::resume(arguments, terminal).await,
            Verb::Verify(arguments) => verbs::verify::verify(arguments, terminal).await,
            Verb::Reconcile(arguments) => verbs::reconcile::reconcile(arguments, terminal).await,
            Verb::Step(arguments) => verbs::step::step(arguments, terminal).await,
            Verb::Sql(arguments) => verbs::sql::sql(arguments, terminal).await,
            Verb::Completions(shell) => Ok(verbs::completions::completions(shell, Arguments::command(), terminal)),
            Verb::Man => Ok(verbs::completions::man(Arguments::command(), terminal)),
            Verb::Tables(arguments) => verbs::tables::tables(arguments, terminal),
            Verb::Schema => {
                terminal.document(&tables_file::json_schema());
                Ok(ExitClass::Done)
            }
        }
    }
}
