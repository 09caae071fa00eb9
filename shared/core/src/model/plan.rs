//! The plan: a window frozen (W1), as data. A statement is made of it at the moment it is run, and never read from it.

use serde::{Deserialize, Serialize};

use crate::checksum::crc64nvme_base64;
use crate::error::{Error, ErrorCode, Result};
use crate::model::field_ids::FieldIds;
use crate::model::format::Format;
use crate::model::loaders::LoaderManifest;
use crate::model::names::{Identifier, ObjectName};
use crate::model::predicate::Predicate;
use crate::model::rows::{Changes, Closed, Interval, Load, Rows};
use crate::model::sink::SinkSpec;
use crate::model::slice::SliceBounds;
use crate::model::table::{Layout, RunSettings, TableSpec, Tracking};
use crate::model::types::Column;
use crate::model::watermark::{Watermark, WatermarkKey};
use crate::model::window::WindowName;

/// This is the version of the documents' form that this code writes and reads.
pub const VERSION: u32 = 1;

/// This is `plan.json`: everything that is needed to copy the slices of a window, by anyone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// This is [`VERSION`].
    pub version: u32,
    /// This is the source.
    pub table: ObjectName,
    /// This is the name of the window.
    pub window: WindowName,
    /// This says how changes are found, as configured when the plan was frozen.
    pub tracking: Tracking,
    /// This is the lower bound, exclusive but for row versions; absent for a first load.
    pub old_watermark: Option<Watermark>,
    /// This is the upper bound, inclusive but for row versions.
    pub new_watermark: Watermark,
    /// This says how long to wait between freezing the window and copying it.
    pub settle_seconds: u32,
    /// This says how the plan came about, and so which rows the window holds.
    pub content: Content,
    /// These are the columns in their order in the files; none when nothing is copied and nothing was known of them.
    pub columns: Vec<Column>,
    /// This is their [fingerprint]. Empty when there are none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub schema: String,
    /// These are the ids of these columns in the files, and of all that the windows before had.
    #[serde(default, skip_serializing_if = "FieldIds::is_empty")]
    pub field_ids: FieldIds,
    /// This says which folder of the table the files lie in: 0 is the one it began with, and each reload for a change
    /// of the columns begins the next, so that the files of a folder are alike.
    #[serde(default, skip_serializing_if = "is_first")]
    pub generation: u32,
    /// This is the form of the files.
    pub format: Format,
    /// This is the [name](crate::model::record::Record::mask_key) of the key by which the columns of the window before are hashed. No slice
    /// is hashed by another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask_key: Option<String>,
    /// This says which rows are copied, when not all are. It is only compared with that of an event ([`RunSettings`]).
    #[serde(rename = "where", default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Predicate>,
    /// This says where the parts lie.
    #[serde(default, skip_serializing_if = "Layout::is_default")]
    pub layout: Layout,
    /// These are manifests for loaders that are written with the window.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub loader_manifests: Vec<LoaderManifest>,
    /// These are the slices by number; none when there is nothing to copy.
    pub slices: Vec<SliceBounds>,
    /// This is the `TableName` of the table in the control table, when configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watermark_name: Option<String>,
    /// The table the rows are merged into, when they do not become files. It is only compared with that of an event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sink: Option<SinkSpec>,
    /// This says what this window replaces, when it is a backfill: rows that windows before it hold already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<Replaces>,
    /// The run that froze the plan.
    pub run_id: String,
    /// This says when, in RFC 3339.
    pub created_at: String,
}

/// This says what a backfill replaces: every row between its bounds that is in a file of an earlier window. It deletes
/// none of them; who reads the files takes the backfill's rows in their place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replaces {
    /// This is the column of the files that the bounds are of.
    pub column: String,
    /// This says which of the bounds belong to the interval.
    pub includes: Closed,
    /// The last window of the chain that held such rows when the backfill was frozen. Backfills before this one may hold some,
    /// too; windows of the chain after that one hold none that are replaced.
    pub through: WindowName,
}

/// This says how a plan came about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Content {
    /// The watermark column has grown: the rows between the bounds.
    Interval {
        /// This is the watermark column, as the server spells it.
        column: Identifier,
        /// This says whether rows without a watermark are copied, too.
        with_nulls: bool,
        /// This is the window that this one is copied in place of, as a full load: then it has every row up to its end,
        /// wherever it starts.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        in_place_of: Option<WindowName>,
    },
    /// A tracked table is loaded in full: every row, at the version of the upper bound.
    Load {
        /// This says why.
        because: LoadReason,
        /// This is the version at which the table's tracking began, as the load found it. Absent when the login may not
        /// see it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tracked_since: Option<Watermark>,
        /// These are the columns of its primary key.
        key_columns: Vec<String>,
    },
    /// A tracked table has changed: its changes between the bounds.
    Changes {
        /// These are the columns of its primary key.
        key_columns: Vec<String>,
    },
    /// Nothing of a tracked table has changed between the bounds, though its version moved on.
    Unchanged,
    /// The window cannot be copied: the version it starts at has expired, or its columns are not those of the files before it. Another
    /// one is copied in its place.
    Superseded {
        /// This is that window, a full load.
        by: WindowName,
    },
}

/// This says why a tracked table is loaded in full.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum LoadReason {
    /// It never was.
    First {
        /// This is the version that the watermark store held before this ledger began, if it held one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seed: Option<Watermark>,
    },
    /// That window could not be copied.
    InPlaceOf(WindowName),
}

/// These are the bounds of a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowBounds {
    /// This is the name of the window.
    pub window: WindowName,
    /// This is the lower bound; absent for a first load.
    pub old: Option<Watermark>,
    /// This is the upper bound.
    pub new: Watermark,
}

/// This says which plan a document was made for. A window that is given up or started over is frozen again under the
/// same name, and what was made for the plan before holds no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanId {
    /// The run that froze the plan.
    pub run_id: String,
    /// This says when, in RFC 3339.
    pub created_at: String,
}

/// The run that freezes a plan.
#[derive(Debug, Clone, Copy)]
pub struct Author<'a> {
    /// This is its name.
    pub run_id: &'a str,
    /// This says when, in RFC 3339.
    pub created_at: &'a str,
}

impl Plan {
    /// Makes the plan of a window in which nothing is copied yet: columns and slices are [added](Self::copying), and
    /// the wait.
    #[must_use]
    pub fn new(spec: &TableSpec, bounds: WindowBounds, content: Content, author: Author<'_>) -> Self {
        let WindowBounds { window, old, new } = bounds;
        Self {
            version: VERSION,
            table: spec.table.clone(),
            window,
            tracking: spec.tracking.clone(),
            old_watermark: old,
            new_watermark: new,
            settle_seconds: 0,
            content,
            columns: Vec::new(),
            schema: String::new(),
            field_ids: FieldIds::default(),
            generation: 0,
            mask_key: None,
            format: spec.format.clone(),
            filter: spec.filter.clone(),
            layout: spec.layout,
            loader_manifests: spec.loader_manifests.clone(),
            slices: Vec::new(),
            watermark_name: spec.watermark_name.clone(),
            sink: spec.sink.clone(),
            replaces: None,
            run_id: author.run_id.to_owned(),
            created_at: author.created_at.to_owned(),
        }
    }

    /// Returns the same plan, in which `slices` of these columns are copied.
    #[must_use]
    pub fn copying(self, columns: Vec<Column>, slices: Vec<SliceBounds>) -> Self {
        let mut field_ids = self.field_ids;
        field_ids.extend(&columns);
        Self {
            schema: fingerprint(&columns),
            columns,
            field_ids,
            slices,
            ..self
        }
    }

    /// Returns the same plan, in which columns have the `field_ids` that they had in the window before it, and the
    /// files lie in this folder.
    #[must_use]
    pub fn following(self, mut field_ids: FieldIds, generation: u32) -> Self {
        field_ids.extend(&self.columns);
        Self {
            field_ids,
            generation,
            ..self
        }
    }

    /// Returns the same window, given up: it ends where it starts, and window `by` is copied in its place.
    ///
    /// # Errors
    ///
    /// `Internal` when the window has no start: in place of a first load nothing is copied.
    pub fn superseded_by(self, by: WindowName) -> Result<Self> {
        let Some(start) = self.old_watermark.clone() else {
            let message = format!("window {} has no start, so nothing can take its place", self.window);
            return Err(Error::new(ErrorCode::Internal, message));
        };
        Ok(Self {
            new_watermark: start,
            settle_seconds: 0,
            content: Content::Superseded { by },
            columns: Vec::new(),
            schema: String::new(),
            field_ids: FieldIds::default(),
            slices: Vec::new(),
            ..self
        })
    }

    /// Returns the day, in UTC, on which the plan was frozen. It stands in keys, so nothing but a day is one.
    #[must_use]
    pub fn load_date(&self) -> &str {
        let is_day = |text: &&str| {
            text.bytes().enumerate().all(|(place, byte)| match place {
                4 | 7 => byte == b'-',
                _ => byte.is_ascii_digit(),
            })
        };
        self.created_at.get(..10).filter(is_day).unwrap_or("unknown")
    }

    /// Returns which plan this is.
    #[must_use]
    pub fn id(&self) -> PlanId {
        PlanId {
            run_id: self.run_id.clone(),
            created_at: self.created_at.clone(),
        }
    }

    /// Returns the window at whose start this one starts: itself, or the one that it is copied in place of.
    #[must_use]
    pub fn begins(&self) -> &WindowName {
        self.supersedes().unwrap_or(&self.window)
    }

    /// Returns the row of the watermark store that is this table's.
    #[must_use]
    pub fn watermark_key(&self) -> WatermarkKey {
        WatermarkKey {
            table: self.table.clone(),
            name: self.watermark_name.clone(),
        }
    }

    /// Returns whether the window stands beside the chain of windows, and no watermark moves when it is committed.
    #[must_use]
    pub const fn is_backfill(&self) -> bool {
        self.replaces.is_some()
    }

    /// Returns the window that this one, a full load, is copied in place of.
    #[must_use]
    pub const fn supersedes(&self) -> Option<&WindowName> {
        match &self.content {
            Content::Load {
                because: LoadReason::InPlaceOf(window),
                ..
            }
            | Content::Interval {
                in_place_of: Some(window),
                ..
            } => Some(window),
            _ => None,
        }
    }

    /// Returns the version that the watermark store held before this window, a first load.
    #[must_use]
    pub const fn seed(&self) -> Option<&Watermark> {
        match &self.content {
            Content::Load {
                because: LoadReason::First { seed },
                ..
            } => seed.as_ref(),
            _ => None,
        }
    }

    /// Returns the columns of the primary key, where a tracked table is copied.
    #[must_use]
    pub fn key_columns(&self) -> Option<&[String]> {
        match &self.content {
            Content::Load { key_columns, .. } | Content::Changes { key_columns } => Some(key_columns),
            Content::Interval { .. } | Content::Unchanged | Content::Superseded { .. } => None,
        }
    }

    /// Returns all rows of the window; `None` when it has none. The condition comes from the event, never from the plan.
    #[must_use]
    pub fn rows<'a>(&'a self, settings: &'a RunSettings) -> Option<Rows<'a>> {
        let Self {
            table, new_watermark, ..
        } = self;
        match &self.content {
            Content::Interval {
                column,
                with_nulls,
                in_place_of,
            } => Some(Rows::Interval(Interval {
                table,
                column,
                old: self.old_watermark.as_ref().filter(|_| in_place_of.is_none()),
                new: new_watermark,
                closed: self
                    .replaces
                    .as_ref()
                    .map_or_else(Closed::default, |replaces| replaces.includes),
                with_nulls: *with_nulls,
                key: None,
                filter: settings.filter.as_ref(),
            })),
            Content::Load { .. } => Some(Rows::Load(Load {
                table,
                version: new_watermark,
                key: None,
            })),
            Content::Changes { key_columns } => Some(Rows::Changes(Changes {
                table,
                key_columns,
                old: self.old_watermark.as_ref()?,
                new: new_watermark,
                key: None,
            })),
            Content::Unchanged | Content::Superseded { .. } => None,
        }
    }

    /// Returns the rows of a slice of the window.
    #[must_use]
    pub fn slice_rows<'a>(&'a self, slice: &'a SliceBounds, settings: &'a RunSettings) -> Option<Rows<'a>> {
        Some(match (self.rows(settings)?, &slice.key) {
            (Rows::Interval(interval), _) => Rows::Interval(interval.slice(slice)),
            (rows, Some(key)) => rows.within(key),
            (rows, None) => rows,
        })
    }
}

/// Returns whether it is the first. It takes a reference, as serde asks.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
pub(super) const fn is_first(generation: &u32) -> bool {
    *generation == 0
}

/// Returns a short name of a column list: equal lists, in the same order, have equal ones. The CRC-64/NVME, base64, of a line
/// `name⇥type⇥null` or `name⇥type⇥not null` per column.
#[must_use]
pub fn fingerprint(columns: &[Column]) -> String {
    let mut lines = String::new();
    for column in columns {
        let null = if column.nullable { "null" } else { "not null" };
        lines.push_str(&format!("{}\t{}\t{null}\n", column.name, column.sql_type));
    }
    crc64nvme_base64(lines.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::types::{Form, TypeName};
    use crate::model::values::Values;

    fn columns(list: &str) -> Vec<Column> {
        let columns = list.split(", ").map(|column| {
            let (name, sql_type) = column.split_once(' ').unwrap();
            let nullable = sql_type.strip_suffix(" null");
            Column {
                name: name.to_owned(),
                sql_type: TypeName::new(nullable.unwrap_or(sql_type)).unwrap(),
                form: Form::Text,
                nullable: nullable.is_some(),
                values: Values::OfSource,
            }
        });
        columns.collect()
    }

    #[test]
    fn a_fingerprint_names_the_columns_and_their_order() {
        let one = fingerprint(&columns("a int, b varchar(9) null"));
        assert_eq!(one, fingerprint(&columns("a int, b varchar(9) null")));
        for other in [
            "b varchar(9) null, a int",
            "a int, b varchar(9)",
            "a int, b varchar(8) null",
            "a int",
        ] {
            assert_ne!(one, fingerprint(&columns(other)), "{other}");
        }
    }
}
