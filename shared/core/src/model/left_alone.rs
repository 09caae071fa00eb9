//! Tables that a run leaves alone, because another run copies them or a person has paused them.

use serde::Serialize;

use crate::model::lease::Keeper;
use crate::model::moment::Moment;
use crate::model::names::ObjectName;

/// A table that another run is copying.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BusyTable {
    /// The table.
    pub table: ObjectName,
    /// The run that copies it.
    pub run_id: String,
    /// When that run's lease ends, unless it is renewed.
    pub until: Moment,
}

/// A table that a person has paused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PausedTable {
    /// The table.
    pub table: ObjectName,
    /// Who paused it.
    pub by: String,
    /// When it was paused.
    pub since: Moment,
    /// The reason, in that person's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The tables that a run leaves alone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TablesLeftAlone {
    /// The tables that another run is copying.
    pub busy: Vec<BusyTable>,
    /// The tables that somebody has paused.
    pub paused: Vec<PausedTable>,
}

impl TablesLeftAlone {
    /// Adds a table.
    pub fn push(&mut self, table: TableLeftAlone) {
        match table {
            TableLeftAlone::Busy(busy) => self.busy.push(busy),
            TableLeftAlone::Paused(paused) => self.paused.push(paused),
        }
    }

    /// Adds the tables of `other`.
    pub fn extend(&mut self, other: Self) {
        self.busy.extend(other.busy);
        self.paused.extend(other.paused);
    }
}

/// One table that a run leaves alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum TableLeftAlone {
    /// Another run is copying it.
    Busy(BusyTable),
    /// Somebody has paused it.
    Paused(PausedTable),
}

impl TableLeftAlone {
    /// Makes the entry of the table that `keeper` keeps from being copied.
    #[must_use]
    pub fn new(table: ObjectName, keeper: Keeper) -> Self {
        match keeper {
            Keeper::Run { run_id, until } => Self::Busy(BusyTable { table, run_id, until }),
            Keeper::Paused { by, since, reason } => Self::Paused(PausedTable {
                table,
                by,
                since,
                reason,
            }),
        }
    }

    /// Says in the log why the table is left alone.
    pub fn tell(&self) {
        match self {
            Self::Busy(BusyTable { table, run_id, until }) => {
                tracing::info!(%table, holder = run_id, %until, "Another run is copying the table; this one leaves it alone.");
            }
            Self::Paused(PausedTable { table, by, since, .. }) => {
                tracing::info!(%table, by, %since, "The table is paused; this run leaves it alone.");
            }
        }
    }
}
