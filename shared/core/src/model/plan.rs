//! The plan: a frozen window (W1), as data. It holds no statement: one is made from it each time rows are read.

use serde::{Deserialize, Serialize};

use crate::checksum::crc64nvme_base64;
use crate::error::{Error, ErrorCode, Result};
use crate::model::field_ids::FieldIds;
use crate::model::format::Format;
use crate::model::loaders::LoaderManifest;
use crate::model::moment::Moment;
use crate::model::names::{Identifier, ObjectName};
use crate::model::predicate::Predicate;
use crate::model::rows::{Changes, Closed, Interval, Load, Rows};
use crate::model::sink::SinkSpec;
use crate::model::slice::SliceBounds;
use crate::model::table::{Layout, RunSettings, TableSpec, Tracking};
use crate::model::types::Column;
use crate::model::unseen::Unseen;
use crate::model::watermark::{Watermark, WatermarkKey};
use crate::model::window::WindowName;

/// The version of the documents' form that this code writes and reads.
pub const VERSION: u32 = 1;

/// `plan.json`: everything that anyone needs to copy the slices of a window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Always [`VERSION`].
    pub version: u32,
    /// The source.
    pub table: ObjectName,
    /// The name of the window.
    pub window: WindowName,
    /// How changes are found, as configured when the plan was frozen.
    pub tracking: Tracking,
    /// The lower bound, exclusive except for row versions; absent for a first load.
    pub old_watermark: Option<Watermark>,
    /// The upper bound, inclusive except for row versions.
    pub new_watermark: Watermark,
    /// The seconds to wait between freezing the window and copying it.
    pub settle_seconds: u32,
    /// How the plan came about, and so which rows the window holds.
    pub content: Content,
    /// The columns in their order in the files. Empty when nothing is copied and nothing was known of them.
    pub columns: Vec<Column>,
    /// The [fingerprint] of the columns. Empty when there are none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub schema: String,
    /// The ids of these columns in the files, and of all columns that earlier windows had.
    #[serde(default, skip_serializing_if = "FieldIds::is_empty")]
    pub field_ids: FieldIds,
    /// The folder of the table that the files lie in. 0 is the first one, and each reload for a change of the columns
    /// begins the next, so that the files of a folder are alike.
    #[serde(default, skip_serializing_if = "is_first")]
    pub generation: u32,
    /// The number by which the server knows the table behind the name, where a watermark tracks it and the catalog tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<i32>,
    /// What the login did not see of the table when the plan was frozen.
    #[serde(default, skip_serializing_if = "Unseen::is_nothing")]
    pub unseen: Unseen,
    /// The file format of the parts.
    pub format: Format,
    /// The [name](crate::model::record::Record::mask_key) of the key with which the columns of the window before are
    /// hashed. A slice that would be hashed with another key is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask_key: Option<String>,
    /// The condition that the copied rows meet, when not all rows are copied. It is only compared with that of an event
    /// ([`RunSettings`]).
    #[serde(rename = "where", default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Predicate>,
    /// Where the parts lie under the table's folder.
    #[serde(default, skip_serializing_if = "Layout::is_default")]
    pub layout: Layout,
    /// The manifests for loaders that are written with the window.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub loader_manifests: Vec<LoaderManifest>,
    /// The slices by number. Empty when there is nothing to copy.
    pub slices: Vec<SliceBounds>,
    /// The `TableName` of the table in the control table, when it is configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watermark_name: Option<String>,
    /// The table that the rows are merged into, when they do not become files. It is only compared with that of an
    /// event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sink: Option<SinkSpec>,
    /// What this window replaces, when it is a backfill: rows that earlier windows hold already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<Replaces>,
    /// The run that froze the plan.
    pub run_id: String,
    /// When the plan was frozen, as RFC 3339.
    pub created_at: Moment,
}

/// What a backfill replaces: every row between its bounds that is in a file of an earlier window. It deletes none of
/// them; whoever reads the files takes the backfill's rows in their place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replaces {
    /// The column of the files that the bounds are of.
    pub column: String,
    /// Which of the bounds belong to the interval.
    pub includes: Closed,
    /// The last window of the chain that held such rows when the backfill was frozen. Earlier backfills may hold such
    /// rows, too; windows of the chain after this one hold none that are replaced.
    pub through: WindowName,
}

/// How a plan came about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Content {
    /// The watermark column has grown. The window holds the rows between the bounds.
    Interval {
        /// The watermark column, as the server spells it.
        column: Identifier,
        /// Whether rows without a watermark are copied, too.
        with_nulls: bool,
        /// The window that this one is copied in place of, as a full load: this one then has every row up to its upper
        /// bound, whatever its lower bound is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        in_place_of: Option<WindowName>,
    },
    /// A tracked table is loaded in full. The window holds every row, at the version of the upper bound.
    Load {
        /// The reason.
        because: LoadReason,
        /// The version at which the table's tracking began, as the load found it. Absent when the login may not see it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tracked_since: Option<Watermark>,
        /// The columns of the table's primary key.
        key_columns: Vec<String>,
    },
    /// A tracked table has changed. The window holds its changes between the bounds.
    Changes {
        /// The columns of the table's primary key.
        key_columns: Vec<String>,
    },
    /// Nothing of a tracked table has changed between the bounds, though its version moved on.
    Unchanged,
    /// The window cannot be copied: the version it starts at has expired, or its columns are not those of the files
    /// before it. Another window is copied in its place.
    Superseded {
        /// The window that is copied in its place, a full load.
        by: WindowName,
    },
}

/// Why a tracked table is loaded in full.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum LoadReason {
    /// It has never been loaded.
    First {
        /// The version that the watermark store held before this ledger began, if it held one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seed: Option<Watermark>,
    },
    /// The window named here could not be copied.
    InPlaceOf(WindowName),
}

/// The bounds of a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowBounds {
    /// The name of the window.
    pub window: WindowName,
    /// The lower bound; absent for a first load.
    pub old: Option<Watermark>,
    /// The upper bound.
    pub new: Watermark,
}

/// The identity of a plan, by which a document says which plan it was made for. A window that is given up or started
/// over is frozen again under the same name, and documents that were made for the plan before do not count any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanId {
    /// The run that froze the plan.
    pub run_id: String,
    /// When it was frozen.
    pub created_at: Moment,
}

/// The run that writes a document: freezes a plan or commits a window.
#[derive(Debug, Clone, Copy)]
pub struct Author<'a> {
    /// The run's id.
    pub run_id: &'a str,
    /// The time of writing.
    pub created_at: Moment,
}

impl Plan {
    /// Makes the plan of a window in which nothing is copied yet. Columns and slices are added by
    /// [`copying`](Self::copying), and the caller sets the wait.
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
            object: None,
            unseen: Unseen::default(),
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
            created_at: author.created_at,
        }
    }

    /// Returns the same plan with these columns and slices to copy. Columns without a field id get one.
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

    /// Returns the same plan with the `field_ids` of the window before it, extended by its own columns, and with files
    /// in the folder of this generation.
    #[must_use]
    pub fn following(self, mut field_ids: FieldIds, generation: u32) -> Self {
        field_ids.extend(&self.columns);
        Self {
            field_ids,
            generation,
            ..self
        }
    }

    /// Returns the plan that gives this window up: it ends where it starts, and window `by` is copied in its place.
    ///
    /// # Errors
    ///
    /// `Internal` when the window has no lower bound, because nothing can take the place of a first load.
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
            unseen: Unseen::default(),
            slices: Vec::new(),
            ..self
        })
    }

    /// Returns the day on which the plan was frozen, `2017-09-05` in UTC. It stands in keys.
    #[must_use]
    pub fn load_date(&self) -> String {
        self.created_at.day()
    }

    /// Returns the identity of this plan.
    #[must_use]
    pub fn id(&self) -> PlanId {
        PlanId {
            run_id: self.run_id.clone(),
            created_at: self.created_at,
        }
    }

    /// Returns the window at whose lower bound this one starts: itself, or the one that it is copied in place of.
    #[must_use]
    pub fn begins(&self) -> &WindowName {
        self.supersedes().unwrap_or(&self.window)
    }

    /// Returns the key of this table's row in the watermark store.
    #[must_use]
    pub fn watermark_key(&self) -> WatermarkKey {
        WatermarkKey::new(&self.table, self.watermark_name.as_deref())
    }

    /// Returns whether the window stands beside the chain of windows. No watermark moves when it is committed.
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

    /// Returns the version that the watermark store held before this window, if this window is a first load.
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

    /// Returns the watermark column, as the server spells it, when the bounds are values of one.
    #[must_use]
    pub const fn watermark_column(&self) -> Option<&Identifier> {
        match &self.content {
            Content::Interval { column, .. } => Some(column),
            Content::Load { .. } | Content::Changes { .. } | Content::Unchanged | Content::Superseded { .. } => None,
        }
    }

    /// Returns the columns of the primary key, when rows of a tracked table are copied.
    #[must_use]
    pub fn key_columns(&self) -> Option<&[String]> {
        match &self.content {
            Content::Load { key_columns, .. } | Content::Changes { key_columns } => Some(key_columns),
            Content::Interval { .. } | Content::Unchanged | Content::Superseded { .. } => None,
        }
    }

    /// Returns all rows of the window, or `None` when it has none. The condition comes from the settings of the event,
    /// never from the plan.
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

    /// Returns the rows of a slice of the window, or `None` when the window has none.
    #[must_use]
    pub fn slice_rows<'a>(&'a self, slice: &'a SliceBounds, settings: &'a RunSettings) -> Option<Rows<'a>> {
        Some(match (self.rows(settings)?, &slice.key) {
            (Rows::Interval(interval), _) => Rows::Interval(interval.slice(slice)),
            (rows, Some(key)) => rows.within(key),
            (rows, None) => rows,
        })
    }
}

/// Returns whether the generation is the first. Serde passes it by reference.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
pub(super) const fn is_first(generation: &u32) -> bool {
    *generation == 0
}

/// Returns a short name of a column list: equal lists, in the same order, have equal names. It is the CRC-64/NVME, in
/// base64, of one line `name⇥type⇥null` or `name⇥type⇥not null` per column.
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
