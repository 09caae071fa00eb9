//! A source that counts the questions by which a window is cut.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use tidemark::error::{Answer, Result};
use tidemark::model::names::{Identifier, ObjectName};
use tidemark::model::rows::{Interval, Rows};
use tidemark::model::slice::KeyBounds;
use tidemark::model::types::{Column, TypeName, WantedForms};
use tidemark::model::watermark::Watermark;
use tidemark::ports::changes::{ChangeColumns, ProbeChanges, Versions};
use tidemark::ports::rows::{ExplainRows, Explained};
use tidemark::ports::source::{
    CountRows, CutColumn, CutSource, DeclaredColumn, Extent, Growth, Histogram, KnowTypes, LeadingColumn, ProbeSource,
    RowsToCut, WatermarkColumn,
};
use tidemark_sqlserver::session::Server;

/// How often each question was asked.
pub type Questions = BTreeMap<&'static str, usize>;

/// Asks a server, and counts.
#[derive(Debug)]
pub struct Counted {
    server: Server,
    questions: Mutex<Questions>,
}

impl Counted {
    /// Before `server`.
    pub fn new(server: Server) -> Self {
        Self {
            server,
            questions: Mutex::default(),
        }
    }

    /// What was asked so far.
    pub fn questions(&self) -> Questions {
        self.questions.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The server, which is asked this.
    fn asked(&self, question: &'static str) -> &Server {
        let mut questions = self.questions.lock().unwrap_or_else(PoisonError::into_inner);
        *questions.entry(question).or_default() += 1;
        &self.server
    }
}

impl KnowTypes for Counted {
    fn watermark(&self, sql_type: &TypeName, text: &str) -> Result<Watermark> {
        self.server.watermark(sql_type, text)
    }

    fn holds(&self, store: &TypeName, column: &TypeName) -> bool {
        self.server.holds(store, column)
    }
}

impl ProbeSource for Counted {
    async fn columns(
        &self,
        table: &ObjectName,
        only: Option<&[&Identifier]>,
        wanted: WantedForms,
    ) -> Answer<Vec<DeclaredColumn>> {
        self.server.columns(table, only, wanted).await
    }

    async fn growth(&self, column: &WatermarkColumn<'_>, old: Option<&Watermark>) -> Answer<Growth> {
        self.server.growth(column, old).await
    }
}

impl ProbeChanges for Counted {
    fn change_columns(&self, wanted: WantedForms) -> ChangeColumns {
        self.server.change_columns(wanted)
    }

    async fn versions(&self, table: &ObjectName) -> Answer<Versions> {
        self.server.versions(table).await
    }

    async fn primary_key(&self, table: &ObjectName) -> Answer<Vec<String>> {
        self.server.primary_key(table).await
    }

    async fn has_changes(&self, table: &ObjectName, after: i64, up_to: i64) -> Answer<bool> {
        self.server.has_changes(table, after, up_to).await
    }
}

impl CountRows for Counted {
    async fn count(&self, rows: &Rows<'_>) -> Answer<u64> {
        self.server.count(rows).await
    }
}

impl CutSource for Counted {
    async fn extent(&self, table: &ObjectName) -> Answer<Option<Extent>> {
        self.server.extent(table).await
    }

    async fn leading_columns(&self, table: &ObjectName) -> Answer<Vec<LeadingColumn>> {
        self.server.leading_columns(table).await
    }

    async fn histogram(&self, table: &ObjectName, column: &CutColumn, below: Option<&Watermark>) -> Answer<Histogram> {
        self.asked("histogram").histogram(table, column, below).await
    }

    async fn nth_watermark(&self, interval: &Interval<'_>, number: u64) -> Answer<Option<Watermark>> {
        self.asked("nth_watermark").nth_watermark(interval, number).await
    }

    async fn nth_key(
        &self,
        rows: &RowsToCut<'_>,
        range: &KeyBounds,
        sql_type: &TypeName,
        number: u64,
    ) -> Answer<Option<Watermark>> {
        self.asked("nth_key").nth_key(rows, range, sql_type, number).await
    }
}

impl ExplainRows for Counted {
    fn explain(&self, rows: &Rows<'_>, columns: &[Column]) -> Answer<Explained> {
        self.server.explain(rows, columns)
    }
}
