//! Copying one window: it waits, copies the slices several at once, and commits.

use std::cell::Cell;
use std::time::{Duration, Instant};

use futures::stream::{self, StreamExt};
use tidemark::error::{Error, ErrorCode, OfRole, Result, Role};
use tidemark::ledger::Place;
use tidemark::model::lookup::{CopyWindow, Split};
use tidemark::model::names::ObjectName;
use tidemark::model::pieces::PIECE_BYTES;
use tidemark::model::slice_id::SliceId;
use tidemark::steps::context::RunContext;
use tidemark::steps::copy::{CopyAnswer, CopyPorts, copy};
use tidemark::steps::split::split;
use tidemark::steps::update::{UpdateAnswer, update};
use tidemark::steps::window::{CopyWindowWork, WindowOutcome, copy_window};
use tidemark::steps::window_of_run::WindowOfRun;
use tidemark_files::encoder::Files;

use super::attempts::Attempts;
use super::board::{Failed, Phase};
use super::engine::Engine;
use super::measured::{MeasuredRows, MeasuredStore, Meter};

/// How long it may take to count the rows of a window. The count only serves to show the time that is left.
const COUNT_TIME: Duration = Duration::from_secs(20);

/// A window that an engine copies, with what the board is told of it.
struct OneWindow<'a> {
    engine: &'a Engine<'a>,
    window: &'a CopyWindow,
    /// Whether slices were copied before.
    is_again: bool,
}

impl CopyWindowWork for OneWindow<'_> {
    async fn slices(&mut self, slices: Vec<SliceId>) -> Result<()> {
        let (board, table) = (self.engine.board, &self.window.table);
        if std::mem::replace(&mut self.is_again, true) {
            board.more_slices(table, slices.len());
        }
        board.phase(table, Phase::Copying);
        self.engine.slices(self.window, slices).await
    }

    async fn commit(&mut self) -> Result<UpdateAnswer> {
        self.engine.board.phase(&self.window.table, Phase::Committing);
        self.engine.commit(self.window).await
    }
}

impl Engine<'_> {
    /// Copies a window and commits it.
    pub(super) async fn window(&self, window: &CopyWindow) -> Result<WindowOutcome> {
        let (board, table) = (self.board, &window.table);
        board.enter(table, window.slices);
        if window.settle_seconds > 0 && window.slices > 0 {
            let wait = Duration::from_secs(window.settle_seconds.into());
            board.phase(table, Phase::Settling(Instant::now() + wait));
            tokio::time::sleep(wait).await;
        }
        let mut work = OneWindow {
            engine: self,
            window,
            is_again: false,
        };
        let copying = copy_window(&mut work, window.slices);
        let counting = async {
            if let Ok(Some(rows)) = tokio::time::timeout(COUNT_TIME, self.expected_rows(window)).await {
                board.expects(table, rows);
            }
            std::future::pending().await
        };
        let outcome = tokio::select! {
            outcome = Box::pin(copying) => outcome?,
            never = Box::pin(counting) => never,
        };
        let is_committed = matches!(outcome, WindowOutcome::Committed(_));
        board.phase(table, if is_committed { Phase::Committed } else { Phase::Left });
        Ok(outcome)
    }

    /// Copies these slices, as many at once as the run may. The first that fails ends the others.
    async fn slices(&self, window: &CopyWindow, slices: Vec<SliceId>) -> Result<()> {
        let copies = slices.into_iter().map(|slice| self.slice(window, slice));
        let mut copies = stream::iter(copies).buffer_unordered(self.parallel);
        while let Some(copied) = copies.next().await {
            copied?;
        }
        Ok(())
    }

    /// Copies a slice, or splits a slice that takes too long.
    async fn slice(&self, window: &CopyWindow, slice: SliceId) -> Result<()> {
        let table = &window.table;
        let Ok(_turn) = self.turns.acquire().await else {
            return Err(Error::new(ErrorCode::Internal, "the run is over"));
        };
        if let Some(gone) = self.gone.get() {
            return Err(gone.clone());
        }
        self.board.begin_turn(table);
        let attempt = async || self.attempt(window, slice.clone()).await;
        let copied = self.attempts(table, attempt).await;
        self.board.end_turn(table);
        if let Err(error) = &copied
            && error.code() == ErrorCode::SourceUnavailable
            && self.gone.get().is_none()
            && let Err(gone) = self.parts.source.greet().await.of(Role::Source)
        {
            // Whoever was first has said why.
            drop(self.gone.set(gone));
        }
        match copied {
            Err(error) if error.code() == ErrorCode::DeadlineExceeded => {
                let split = self.split(window, slice.clone()).await?;
                self.board.more_slices(table, split.slices.len());
            }
            copied => copied?,
        }
        self.board.slice_done(table);
        Ok(())
    }

    /// Does `work` as often as a step does it, and shows on the board when it waits for another attempt.
    async fn attempts<T>(&self, table: &ObjectName, work: impl AsyncFn() -> Result<T>) -> Result<T> {
        let is_again = Cell::new(false);
        let tell = |error: &Error, failed: Failed| {
            is_again.set(true);
            self.board.trouble(table, error, failed);
        };
        let work = async || {
            if is_again.replace(false) {
                self.board.try_again(table);
            }
            work().await
        };
        Attempts::OF_A_STEP.run_until(&self.gone, tell, work).await
    }

    async fn attempt(&self, window: &CopyWindow, slice: SliceId) -> Result<()> {
        let meter = Meter::new(self.board, &window.table);
        let mut reader = self.take_reader();
        let request = WindowOfRun::from(window).to_copy(&self.run_id, slice);
        let store = MeasuredStore {
            store: &self.parts.sink.store,
            meter: &meter,
            uploads: &self.uploads,
        };
        let ports = CopyPorts {
            reader: &mut MeasuredRows {
                reader: &mut reader,
                meter: &meter,
            },
            files: &Files,
            sinks: self.parts.sinks,
            place: Place::new(&store, &self.parts.sink.prefix),
            part_bytes: PIECE_BYTES,
        };
        let copied = Box::pin(copy(ports, request, self.context())).await;
        self.give_reader(reader);
        let copied = copied?;
        meter.keep();
        if let CopyAnswer::Copied(copied) = copied
            && let Some(key) = &copied.key
        {
            self.uploads.decided(key);
        }
        Ok(())
    }

    async fn split(&self, window: &CopyWindow, slice: SliceId) -> Result<Split> {
        let request = WindowOfRun::from(window).to_split(&self.run_id, slice);
        let place = self.parts.sink.place();
        Box::pin(split(self.parts.source, place, request, RunContext::unbounded())).await
    }

    async fn commit(&self, window: &CopyWindow) -> Result<UpdateAnswer> {
        let commit = async || {
            let request = WindowOfRun::from(window).to_update(&self.run_id);
            Box::pin(update(self.update_ports(), request, self.context())).await
        };
        self.attempts(&window.table, commit).await
    }
}
