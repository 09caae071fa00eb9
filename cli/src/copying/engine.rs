//! The run: both lookups, the windows of all tables at once, and what came of it.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use futures::stream::{self, FuturesUnordered, StreamExt};
use tidemark::error::{Error, Result};
use tidemark::ledger::{AT_ONCE, Lease, Ledger};
use tidemark::model::budget::{Budget, StoppedTable};
use tidemark::model::lease::{Keeper, Leases};
use tidemark::model::left_alone::{TableLeftAlone, TablesLeftAlone};
use tidemark::model::lookup::{CopyWindow, EmptyWindow, Note};
use tidemark::model::names::ObjectName;
use tidemark::model::plan::Content;
use tidemark::model::table::TableSpec;
use tidemark::ports::source::{CountRows, CutSource};
use tidemark::steps::context::RunContext;
use tidemark::steps::lookup_new::{LookupNewRequest, NewWatermarks, lookup_new};
use tidemark::steps::lookup_old::{BucketNote, LookupOldRequest, lookup_old};
use tidemark::steps::tables::FailedTable;
use tidemark::steps::update::{Committed, UpdatePorts};
use tidemark::steps::update_all::{UpdateAllRequest, update_all};
use tidemark::steps::window::WindowOutcome;
use tidemark_sqlserver::login::Credential;
use tidemark_sqlserver::rows::RowReader;
use tidemark_sqlserver::session::Server;
use tidemark_sqlserver::sink::Sinks;
use tokio::sync::Semaphore;

use super::attempts::Attempts;
use super::board::{Board, Failed, of_lookup};
use super::measured::Uploads;
use crate::terminal::{count, counted};
use crate::wiring::sink::{Sink, Watermarks};
use crate::wiring::store::Store;

/// Everything that a run is given, and what it has under way.
#[derive(Debug)]
pub(crate) struct Engine<'a> {
    /// The ports that the run works on.
    pub(crate) parts: Parts<'a>,
    /// Where the work notes how far it is.
    pub(crate) board: &'a Board,
    /// The run's id.
    pub(crate) run_id: String,
    /// How many slices are copied at once.
    pub(crate) parallel: usize,
    /// The turns of the slices: each slice that is copied takes one.
    pub(crate) turns: Semaphore,
    /// The readers that are not at work.
    pub(super) readers: Mutex<Vec<RowReader>>,
    /// The uploads that are under way in the bucket.
    pub(super) uploads: Uploads,
    /// Why the source cannot be read any more, once a slice has tried as often as it may and the server did not even take
    /// a connection then. No other slice waits for it.
    pub(super) gone: OnceLock<Error>,
    /// The tables whose leases the run may have.
    leased: Mutex<BTreeSet<ObjectName>>,
}

/// What a run did.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// The windows that were committed.
    pub(crate) committed: Vec<Committed>,
    /// The tables without changes.
    pub(crate) unchanged: Vec<ObjectName>,
    /// The tables that failed.
    pub(crate) failed: Vec<FailedTable>,
    /// The rows that no window selects.
    pub(crate) notes: Vec<Note>,
    /// What the bucket lacks. It is asked only while a table has no committed window.
    pub(crate) bucket_notes: Vec<BucketNote>,
    /// The tables that were left alone.
    pub(crate) left_alone: TablesLeftAlone,
    /// The tables that are left because the run's budget is spent.
    pub(crate) stopped: Vec<StoppedTable>,
}

/// The ports and settings of a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parts<'a> {
    /// The source, which is asked and counted.
    pub(crate) source: &'a Server,
    /// The login of the readers.
    pub(crate) credential: &'a Credential,
    /// The store of the pointers.
    pub(crate) watermarks: &'a Watermarks<'a>,
    /// The bucket.
    pub(crate) sink: &'a Sink,
    /// The databases that tables are merged into.
    pub(crate) sinks: &'a Sinks,
    /// How much may be copied.
    pub(crate) budget: Budget,
}

impl Report {
    /// Returns whether tables were left as they are, because somebody keeps them or the run's budget is spent.
    pub(crate) const fn has_left(&self) -> bool {
        self.left() > 0
    }

    /// Counts the tables that were left so.
    pub(crate) const fn left(&self) -> usize {
        let TablesLeftAlone { busy, paused } = &self.left_alone;
        busy.len() + paused.len() + self.stopped.len()
    }
}

impl<'a> Engine<'a> {
    /// Makes a run with this id over these ports, which copies so many slices at once.
    pub(crate) fn new(parts: Parts<'a>, board: &'a Board, run_id: String, parallel: usize) -> Self {
        Self {
            parts,
            board,
            run_id,
            parallel,
            turns: Semaphore::new(parallel),
            readers: Mutex::default(),
            uploads: Uploads::default(),
            gone: OnceLock::new(),
            leased: Mutex::default(),
        }
    }

    /// Does the whole run. A table that fails does not stop the others.
    pub(crate) async fn run(&self, tables: &[TableSpec]) -> Result<Report> {
        let mut report = Report::default();
        let mut tables = tables.to_vec();
        loop {
            let (planned, bucket_notes) = self.plan(&tables).await?;
            if report.bucket_notes.is_empty() {
                report.bucket_notes = bucket_notes;
            }
            report.unchanged.extend(planned.unchanged);
            report.notes.extend(planned.notes);
            report.left_alone.extend(planned.left_alone);
            planned
                .failed
                .into_iter()
                .for_each(|failed| self.fail(failed, &mut report));
            self.commit_empty(planned.empty, &mut report).await;
            self.windows(&planned.windows, &mut report).await;
            // An execution of the state machine has a limit of slices, and this command has none, so it goes on with
            // the tables that wait.
            tables.retain(|spec| planned.waiting.contains(&spec.table));
            if tables.is_empty() || planned.windows.is_empty() {
                return Ok(report);
            }
        }
    }

    /// Copies windows that are frozen already, and commits them.
    pub(crate) async fn copy_frozen(&self, windows: &[CopyWindow]) -> Report {
        let mut report = Report::default();
        self.board.step("Copying");
        self.leased().extend(windows.iter().map(|window| window.table.clone()));
        self.windows(windows, &mut report).await;
        report
    }

    /// Gives up the uploads that an interrupted run began and no record decides, and its leases.
    pub(crate) async fn give_up(&self) {
        self.uploads.give_up(&self.parts.sink.store).await;
        let leased = std::mem::take(&mut *self.leased());
        for table in &leased {
            self.give_lease_back(table).await;
        }
    }

    fn leased(&self) -> MutexGuard<'_, BTreeSet<ObjectName>> {
        self.leased.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives back the lease of a table that this run does not go on with, so that the next run need not wait until it
    /// expires.
    async fn give_lease_back(&self, table: &ObjectName) {
        let ledger = Ledger::new(self.parts.sink.place(), table);
        let lease = Lease::new(&ledger, &self.run_id, Leases::Taken);
        lease.try_to_give_back().await;
    }

    fn fail(&self, failed: FailedTable, report: &mut Report) {
        self.board.failed(failed.clone());
        report.failed.push(failed);
    }

    /// Does both lookups.
    async fn plan(&self, tables: &[TableSpec]) -> Result<(NewWatermarks, Vec<BucketNote>)> {
        let place = self.parts.sink.place();
        let tell = |error: &Error, failed: Failed| self.board.tell(format!("{}. {failed}", error.report()));
        self.board.step("Looking up old watermarks");
        let old = async || {
            let request = LookupOldRequest {
                run_id: self.run_id.clone(),
                tables: tables.to_vec(),
                dry_run: false,
            };
            Box::pin(lookup_old(self.parts.watermarks, place, request, of_lookup())).await
        };
        let old = Attempts::OF_A_STEP.run(tell, old).await?;
        self.board.step("Looking up new watermarks");
        let new = async || {
            let request = LookupNewRequest {
                run_id: self.run_id.clone(),
                tables: old.tables.clone(),
                dry_run: false,
            };
            Box::pin(lookup_new(self.parts.source, place, request, of_lookup())).await
        };
        // An interruption from here on may come after the lookup has taken any of the leases.
        self.leased()
            .extend(old.tables.iter().map(|table| table.spec.table.clone()));
        let mut new = Attempts::OF_A_STEP.run(tell, new).await?;
        *self.leased() = new.windows.iter().map(|window| window.table.clone()).collect();
        new.failed.extend(old.failed);
        new.left_alone.paused.extend(old.paused);
        self.tell_paused(&mut new).await;
        self.board.step("Copying");
        Ok((new, old.notes))
    }

    /// Finds out of the tables without changes which somebody has paused. The steps do not ask, because an idle table
    /// is to cost as little as it can, but a person at a terminal wants to know.
    async fn tell_paused(&self, planned: &mut NewWatermarks) {
        let (run_id, now) = (&self.run_id, RunContext::unbounded().now);
        let asked = std::mem::take(&mut planned.unchanged).into_iter().map(async |table| {
            let ledger = Ledger::new(self.parts.sink.place(), &table);
            let keeper = Lease::new(&ledger, run_id, Leases::Taken).keeper(now).await;
            (table, keeper.unwrap_or(None))
        });
        let mut asked = stream::iter(asked).buffered(AT_ONCE);
        while let Some((table, keeper)) = asked.next().await {
            match keeper {
                Some(paused @ Keeper::Paused { .. }) => planned.left_alone.push(TableLeftAlone::new(table, paused)),
                _ => planned.unchanged.push(table),
            }
        }
    }

    async fn commit_empty(&self, windows: Vec<EmptyWindow>, report: &mut Report) {
        if windows.is_empty() {
            return;
        }
        let commit = async || {
            let request = UpdateAllRequest {
                run_id: self.run_id.clone(),
                windows: windows.clone(),
            };
            Box::pin(update_all(self.update_ports(), request, RunContext::unbounded())).await
        };
        let tell = |error: &Error, failed: Failed| self.board.tell(format!("{}. {failed}", error.report()));
        let failed = match Attempts::OF_A_STEP.run(tell, commit).await {
            Ok(updated) => {
                report.unchanged.extend(updated.advanced);
                updated.failed
            }
            // Tables with changes are copied although this failed.
            Err(error) => {
                let tables = windows.into_iter().map(|window| window.table);
                tables.map(|table| FailedTable::of(table, &error)).collect()
            }
        };
        for failed in failed {
            self.give_lease_back(&failed.table).await;
            self.fail(failed, report);
        }
    }

    /// Copies the windows. All of them wait at once, and together they copy as many slices at once as the run may.
    async fn windows(&self, windows: &[CopyWindow], report: &mut Report) {
        let copies = windows
            .iter()
            .map(async |window| (window, Box::pin(self.window(window)).await));
        let mut copies: FuturesUnordered<_> = copies.collect();
        while let Some((window, copied)) = copies.next().await {
            self.leased().remove(&window.table);
            match copied {
                // Its rows were committed by an earlier run. Only the watermark lagged behind.
                Ok(_) if window.slices == 0 => report.unchanged.push(window.table.clone()),
                Ok(WindowOutcome::Committed(committed)) => {
                    self.board.tell(committed_line(&committed));
                    report.committed.push(committed);
                }
                Ok(WindowOutcome::Stopped(stopped)) => report.stopped.push(stopped),
                Ok(WindowOutcome::LeftAlone(left_alone)) => report.left_alone.push(left_alone),
                Err(error) => {
                    self.give_lease_back(&window.table).await;
                    self.fail(FailedTable::of(window.table.clone(), &error), report);
                }
            }
        }
    }

    /// Returns the approximate number of rows of a window, or `None` where that is not known. It must be cheap, because
    /// it only serves to show progress.
    pub(super) async fn expected_rows(&self, window: &CopyWindow) -> Option<u64> {
        let ledger = Ledger::new(self.parts.sink.place(), &window.table);
        let plan = ledger.plan(&window.window).await.ok()??;
        let is_whole =
            plan.old_watermark.is_none() && plan.filter.is_none() || matches!(plan.content, Content::Load { .. });
        // This has a connection of its own, so that the lookups of other tables need not wait.
        let server = Server::new(self.parts.credential.clone());
        if is_whole {
            let extent = server.extent(&window.table).await.ok()?;
            return extent.map(|extent| extent.rows);
        }
        server.count(&plan.rows(&window.settings)?).await.ok()
    }

    /// Returns what a step knows of this run when it copies or commits.
    pub(super) fn context(&self) -> RunContext {
        RunContext {
            budget: self.parts.budget,
            ..RunContext::unbounded()
        }
    }

    /// Returns the ports of a commit.
    pub(super) fn update_ports(&self) -> UpdatePorts<'_, Server, Watermarks<'_>, Store> {
        UpdatePorts {
            source: self.parts.source,
            watermarks: self.parts.watermarks,
            place: self.parts.sink.place(),
        }
    }

    /// Returns a reader that nobody else uses. A reader that was given back keeps its connection.
    pub(super) fn take_reader(&self) -> RowReader {
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        readers
            .pop()
            .unwrap_or_else(|| RowReader::new(self.parts.credential.clone()))
    }

    /// Gives a reader back.
    pub(super) fn give_reader(&self, reader: RowReader) {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner).push(reader);
    }
}

fn committed_line(committed: &Committed) -> String {
    let Committed {
        table,
        window,
        rows,
        objects,
        ..
    } = committed;
    let late = match committed.late_rows {
        Some(late) if late > 0 => {
            let late = counted(late, "row", ["was", "were"]);
            format!(" {late} committed after the copy, and not in it.")
        }
        _ => String::new(),
    };
    let (rows, files) = (count(*rows, "row"), count(*objects as u64, "file"));
    format!("{table}: window {window} is committed: {rows} in {files}.{late}")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::Parser;
    use tidemark::error::ErrorCode;
    use tidemark::ledger::Taken;
    use tidemark::model::watermark::StoreType;
    use tidemark::model::window::WindowName;
    use tidemark::ports::sink_table::NoSinks;
    use tidemark::testing::pipeline::Pipeline;
    use tidemark::testing::{MemoryBatch, MemoryFiles, MemoryTable, MemoryWatermarks, bigint};

    use super::*;
    use crate::wiring::sink::SinkArgs;
    use crate::wiring::source::SourceArgs;

    #[derive(Parser)]
    struct Given {
        #[command(flatten)]
        source: SourceArgs,
        #[command(flatten)]
        sink: SinkArgs,
    }

    /// Returns the arguments of a run into a folder, whose source is a port where nobody listens.
    fn given(folder: &tempfile::TempDir) -> Given {
        Given::parse_from([
            "tidemark",
            "--source",
            "sqlserver://u:p@127.0.0.1:1/d",
            "--sink",
            folder.path().to_str().unwrap(),
        ])
    }

    /// With three tables and one slice at a time, the attempts of three slices would follow one another.
    #[tokio::test(start_paused = true)]
    async fn a_server_that_is_gone_is_waited_for_by_one_slice_and_not_by_those_after_it() {
        let folder = tempfile::tempdir().unwrap();
        let given = given(&folder);
        let (source, sink) = (given.source.open().await.unwrap(), given.sink.open().unwrap());
        let specs = ["t0", "t1", "t2"].map(|table| {
            let spec = serde_json::json!({"table": table, "tracking": {"watermark": {"column": "v"}}});
            serde_json::from_value::<TableSpec>(spec).unwrap()
        });
        // The windows were frozen while there was a server.
        let (table, stored) = (MemoryTable::new([1]), MemoryWatermarks::new(StoreType::Typed(bigint())));
        let (files, no_sinks) = (MemoryFiles, NoSinks::<MemoryBatch>::default());
        let before = Pipeline::new(&table, &table, &stored, sink.place(), files, no_sinks);
        let planned = before.plan("this-run", &specs).await.unwrap();
        assert_eq!(planned.windows.len(), 3, "{:?}", planned.failed);
        let (server, sinks) = (source.server(), source.sinks(std::iter::empty()));
        let watermarks = given.sink.watermarks(&sink, source.writer()).unwrap();
        let parts = Parts {
            source: &server,
            credential: &source.credential,
            watermarks: &watermarks,
            sink: &sink,
            sinks: &sinks,
            budget: Budget::default(),
        };
        let board = Board::default();
        let engine = Engine::new(parts, &board, "this-run".to_owned(), 1);
        let (mut report, began) = (Report::default(), tokio::time::Instant::now());
        engine.windows(&planned.windows, &mut report).await;
        let is_unavailable = |failed: &FailedTable| failed.error == ErrorCode::SourceUnavailable;
        assert!(
            report.failed.len() == 3 && report.failed.iter().all(is_unavailable),
            "{report:?}"
        );
        assert!(began.elapsed().as_secs() < 300, "{:?}", began.elapsed());
        assert!(engine.gone.get().is_some());
    }

    /// Makes an engine whose run has the lease of a table, has `work` use it, and checks that the lease is given back.
    async fn with_lease(work: impl AsyncFnOnce(&Engine<'_>, &Path, &ObjectName)) {
        let folder = tempfile::tempdir().unwrap();
        let given = given(&folder);
        let (source, sink) = (given.source.open().await.unwrap(), given.sink.open().unwrap());
        let (server, sinks) = (source.server(), source.sinks(std::iter::empty()));
        let watermarks = given.sink.watermarks(&sink, source.writer()).unwrap();
        let parts = Parts {
            source: &server,
            credential: &source.credential,
            watermarks: &watermarks,
            sink: &sink,
            sinks: &sinks,
            budget: Budget::default(),
        };
        let board = Board::default();
        let engine = Engine::new(parts, &board, "this-run".to_owned(), 1);
        let table: ObjectName = "dbo.t".parse().unwrap();
        let ledger = Ledger::new(sink.place(), &table);
        let now = RunContext::unbounded().now;
        let lease = |run_id| Lease::new(&ledger, run_id, Leases::Taken);
        assert_eq!(lease("this-run").take(now).await.unwrap(), Taken::Ours);
        work(&engine, folder.path(), &table).await;
        assert_eq!(lease("next-run").take(now).await.unwrap(), Taken::Ours);
    }

    /// After the lookup of old watermarks, the run may have the lease of any table.
    #[tokio::test(start_paused = true)]
    async fn a_run_that_fails_as_a_whole_gives_its_leases_back() {
        with_lease(async |engine, _, _| {
            let spec = serde_json::json!({"table": "dbo.t", "tracking": {"watermark": {"column": "v"}}});
            let spec: TableSpec = serde_json::from_value(spec).unwrap();
            let error = engine.run(&[spec]).await.unwrap_err();
            assert_eq!(error.code(), ErrorCode::SourceUnavailable);
            engine.give_up().await;
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn windows_without_changes_that_cannot_be_committed_fail_alone_and_their_leases_are_given_back() {
        with_lease(async |engine, folder, table| {
            // The document is a link that leads to itself, so the file system fails with an error that may pass.
            let window = folder.join("_ledger/dbo.t/initial");
            std::fs::create_dir_all(&window).unwrap();
            for document in ["plan.json", "manifest.json"] {
                std::os::unix::fs::symlink(document, window.join(document)).unwrap();
            }
            let mut report = Report::default();
            let empty = EmptyWindow {
                table: table.clone(),
                window: WindowName::initial(),
            };
            engine.commit_empty(vec![empty], &mut report).await;
            assert_eq!(report.failed.len(), 1);
            assert_eq!(
                (&report.failed[0].table, report.failed[0].error),
                (table, ErrorCode::SinkUnavailable)
            );
        })
        .await;
    }
}
