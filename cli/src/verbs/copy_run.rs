//! `run`, which does the whole protocol in this process, once or repeatedly.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;
use tidemark::error::{Error, ErrorCode, Result};
use tidemark::model::budget::Budget;
use tidemark::model::cost::Usd;
use tidemark::model::lookup::CopyWindow;
use tidemark::model::table::TableSpec;
use tidemark_folder::FolderStore;
use tidemark_sqlserver::sink::Sinks;
use time::OffsetDateTime;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::summary;
use crate::copying::{Board, Engine, Parts, Phase, Report, Screen, TableState, reach};
use crate::exit::ExitClass;
use crate::failure::{Failure, Outcome};
use crate::tables_file;
use crate::terminal::{Terminal, counted, duration};
use crate::wiring::sink::{Sink, SinkArgs, Watermarks};
use crate::wiring::source::{Source, SourceArgs};
use crate::wiring::store::Store;

/// How long an interrupted run may take to give up what it has begun.
const GIVE_UP: Duration = Duration::from_secs(5);

/// The arguments of `run`.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The file with the tables, or - for standard input
    #[arg(default_value = "tables.json")]
    tables: PathBuf,
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    sink: SinkArgs,
    /// Runs again and again; a run begins so long after the one before began: 30s, 5m, 1h
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    watch: Option<Duration>,
    /// Slices that are copied at once
    #[arg(long, value_name = "SLICES", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    parallel: u16,
    /// Rows that the run copies at most, of all tables together; 0 is no limit. The next run goes on
    #[arg(long, env = "RUN_BUDGET_ROWS", value_name = "ROWS", default_value_t = 0)]
    budget_rows: u64,
    /// Bytes of files that the run writes at most, of all tables together; 0 is no limit
    #[arg(long, env = "RUN_BUDGET_BYTES", value_name = "BYTES", default_value_t = 0)]
    budget_bytes: u64,
    /// US dollars that the run may cost at most, as `plan` estimates them for the deployed functions; 0 is no limit
    #[arg(long, env = "RUN_BUDGET_USD", value_name = "USD", default_value = "0")]
    budget_usd: Usd,
}

impl RunArgs {
    fn budget(&self) -> Budget {
        let limit = |limit: u64| Some(limit).filter(|&limit| limit > 0);
        Budget {
            rows: limit(self.budget_rows),
            bytes: limit(self.budget_bytes),
            usd: Some(self.budget_usd).filter(|usd| !usd.is_zero()),
            ..Budget::default()
        }
    }
}

/// What all runs of this process share.
pub(super) struct World<'a> {
    /// The source.
    pub(super) source: &'a Source,
    /// The sink.
    pub(super) sink: &'a Sink,
    /// The databases that tables are merged into.
    pub(super) sinks: &'a Sinks,
    /// The pointers.
    pub(super) watermarks: &'a Watermarks<'a>,
    /// How many slices are copied at once.
    pub(super) parallel: usize,
    /// How much may be copied of one table.
    pub(super) budget: Budget,
}

/// What a run copies.
#[derive(Debug, Clone, Copy)]
pub(super) enum Work<'a> {
    /// What changed in these tables.
    Tables(&'a [TableSpec]),
    /// Windows that are frozen already.
    Windows(&'a [CopyWindow]),
}

impl Work<'_> {
    const fn tables(&self) -> usize {
        match self {
            Self::Tables(tables) => tables.len(),
            Self::Windows(windows) => windows.len(),
        }
    }
}

/// How a run ended.
enum Ended {
    /// The run ended by itself.
    Done(Report),
    /// Somebody interrupted the run.
    Interrupted,
}

/// Runs once, or repeatedly until it is interrupted.
pub(crate) async fn run(arguments: &RunArgs, terminal: &Terminal) -> Outcome<ExitClass> {
    let tables = tables_file::read(&arguments.tables)?;
    let source = arguments.source.open().await?;
    let sink = arguments.sink.open()?;
    let watermarks = arguments.sink.watermarks(&sink, source.writer())?;
    let sinks = source.sinks(tables.iter().filter_map(|spec| spec.sink.as_ref()));
    let world = World {
        source: &source,
        sink: &sink,
        sinks: &sinks,
        watermarks: &watermarks,
        parallel: arguments.parallel.into(),
        budget: arguments.budget(),
    };
    if let Store::Folder(folder) = &sink.store {
        folder.expire_uploads(FolderStore::UPLOADS_KEPT).await?;
    }
    let Some(every) = arguments.watch else {
        return world.once(Work::Tables(&tables), terminal).await;
    };
    world.again_and_again(&tables, every, terminal).await
}

impl World<'_> {
    async fn again_and_again(&self, tables: &[TableSpec], every: Duration, terminal: &Terminal) -> Outcome<ExitClass> {
        // It listens from the beginning, so that a signal that comes when a run has just ended is not lost.
        let mut interruptions = Interruptions::listen()?;
        loop {
            let began = Instant::now();
            match self.once(Work::Tables(tables), terminal).await {
                Ok(ExitClass::Interrupted) => return Ok(ExitClass::Interrupted),
                Ok(_) => {}
                Err(failure) => drop(failure.tell(terminal)),
            }
            let wait = every.saturating_sub(began.elapsed());
            terminal.progress(&format!(
                "The next run begins in {}. Ctrl-C ends the command.",
                duration(wait.as_secs())
            ));
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = interruptions.next() => {
                    terminal.progress("Stopped between two runs. Nothing is left undone.");
                    return Ok(ExitClass::Interrupted);
                }
            }
        }
    }

    /// Does one run, from its beginning to the report of it.
    pub(super) async fn once(&self, work: Work<'_>, terminal: &Terminal) -> Outcome<ExitClass> {
        let began = Instant::now();
        let board = Board::default();
        let run_id = run_id()?;
        let server = self.source.server();
        let parts = Parts {
            source: &server,
            credential: &self.source.credential,
            watermarks: self.watermarks,
            sink: self.sink,
            sinks: self.sinks,
            budget: self.budget,
        };
        let engine = Engine::new(parts, &board, run_id.clone(), self.parallel);
        let ended = self.watched(&engine, work, &board, terminal).await;
        if ended.is_err() {
            // The next run must not have to wait for the leases of a run that does not go on.
            drop(tokio::time::timeout(GIVE_UP, engine.give_up()).await);
        }
        match ended? {
            Ended::Done(report) => {
                let class = summary::tell(terminal, &run_id, &report, &board, began.elapsed());
                summary::tell_how_to_read(terminal, &self.sink.name, &report);
                // A table that another run keeps is not copied now, and may be later. One that somebody has paused is
                // left alone on purpose. A command for certain windows is not done before they are.
                let is_left = match work {
                    Work::Windows(_) => report.has_left(),
                    Work::Tables(_) => !report.left_alone.busy.is_empty(),
                };
                Ok(if is_left {
                    class.worse(ExitClass::TryAgain)
                } else {
                    class
                })
            }
            Ended::Interrupted => {
                // The most that can be left are uploads that nobody sees and that are removed after some days.
                let is_given_up = tokio::time::timeout(GIVE_UP, engine.give_up()).await.is_ok();
                tell_interrupted(terminal, &run_id, &board, is_given_up);
                Ok(ExitClass::Interrupted)
            }
        }
    }

    /// Does `work`, and shows how far it is, until it ends or is interrupted.
    async fn watched(&self, engine: &Engine<'_>, work: Work<'_>, board: &Board, terminal: &Terminal) -> Outcome<Ended> {
        let screen = Screen::new(board, terminal, work.tables());
        let mut interruptions = Interruptions::listen()?;
        let ended = {
            let work = async {
                reach(self.source, engine.parts.source, board).await?;
                match work {
                    Work::Tables(tables) => engine.run(tables).await,
                    Work::Windows(windows) => Ok(engine.copy_frozen(windows).await),
                }
            };
            tokio::select! {
                report = Box::pin(work) => report.map(Ended::Done).map_err(Failure::from),
                () = screen.show() => Ok(Ended::Interrupted),
                () = interruptions.next() => Ok(Ended::Interrupted),
            }
        };
        screen.tell_news();
        ended
    }
}

/// Ctrl-C, the signal that ends a process, and the one that says that its terminal is gone.
struct Interruptions {
    interrupt: Signal,
    end: Signal,
    /// `None` where whoever started the process wants it to go on without its terminal, as `nohup` does.
    hangup: Option<Signal>,
}

impl Interruptions {
    /// Begins to listen. A signal that comes before anybody waits for it is kept.
    fn listen() -> Result<Self> {
        let listen = |kind| {
            signal(kind)
                .map_err(|error| Error::with_source(ErrorCode::Internal, "Tidemark cannot listen for signals", error))
        };
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            end: listen(SignalKind::terminate())?,
            hangup: match is_hangup_ignored() {
                true => None,
                false => Some(listen(SignalKind::hangup())?),
            },
        })
    }

    /// Waits for any of the signals.
    async fn next(&mut self) {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.end.recv() => {}
            _ = hangup => {}
        }
    }
}

/// Returns whether the process was started with the signal of a lost terminal ignored. Only Linux says so.
fn is_hangup_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    ignores_hangup(&status)
}

fn ignores_hangup(status: &str) -> bool {
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // The signal has the number 1, and so the lowest bit.
    ignored.is_some_and(|mask| mask & 1 == 1)
}

fn tell_interrupted(terminal: &Terminal, run_id: &str, board: &Board, is_given_up: bool) {
    let (_, tables) = board.seen();
    let is_committed = |state: &&TableState| matches!(state.phase, Phase::Committed);
    let committed = tables.values().filter(is_committed).count();
    let left = tables.len() - committed;
    let lease = if is_given_up {
        "No other run has to wait."
    } else {
        "What it had taken could not be given back: other runs leave these tables alone until the leases expire, within minutes."
    };
    let of_left = match left {
        0 => "Nothing is left undone.".to_owned(),
        left => format!(
            "{}, and the next run goes on where this one stopped, with every slice that was copied whole. {lease}",
            if left == 1 {
                "1 is not: readers see nothing of it".to_owned()
            } else {
                format!("{left} are not: readers see nothing of them")
            }
        ),
    };
    terminal.progress(&format!(
        "Stopped. {} committed. {of_left}",
        counted(committed as u64, "window", ["is", "are"])
    ));
    terminal.event(&json!({"event": "interrupted", "run_id": run_id, "committed": committed, "left": left}));
}

/// Makes a name for a run, from when it began and by which process.
pub(super) fn run_id() -> Result<String> {
    let format = time::macros::format_description!("[year][month][day]T[hour][minute][second]");
    let now = OffsetDateTime::now_utc().format(format);
    let now = now.map_err(|error| Error::with_source(ErrorCode::Internal, "the clock cannot be written", error))?;
    Ok(format!("cli-{now}-{}", std::process::id()))
}

/// Reads `30s`, `5m`, `1h`, `7d`.
pub(super) fn parse_duration(text: &str) -> std::result::Result<Duration, String> {
    let refused = || format!("'{text}' is not a time: write a number and s, m, h or d, like 5m");
    let unit = text.chars().last().ok_or_else(refused)?;
    let factor = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 24 * 3600,
        _ => return Err(refused()),
    };
    let number: u64 = text.trim_end_matches(unit).parse().map_err(|_| refused())?;
    number
        .checked_mul(factor)
        .map(Duration::from_secs)
        .filter(|time| !time.is_zero())
        .ok_or_else(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_is_to_outlive_its_terminal_does() {
        assert!(ignores_hangup("Name:\tx\nSigIgn:\t0000000000001001\n"));
        assert!(!ignores_hangup("Name:\tx\nSigIgn:\t0000000000001000\n"));
        assert!(!ignores_hangup(""));
    }

    #[test]
    fn a_time_has_a_unit() {
        assert_eq!(parse_duration("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(parse_duration("2d"), Ok(Duration::from_secs(172_800)));
        assert_eq!(parse_duration("90s"), Ok(Duration::from_secs(90)));
        for text in ["", "5", "m", "0s", "-5m", "5 m", "5w"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
