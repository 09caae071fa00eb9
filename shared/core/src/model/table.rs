//! What a user asks for one table: an entry of the state machine's `tables`.

use std::collections::{BTreeMap, HashSet};
use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorCode, Result};
use crate::model::format::{FileTypes, Format, Timestamps};
use crate::model::loaders::LoaderManifest;
use crate::model::names::{Identifier, ObjectName, without_case};
use crate::model::predicate::Predicate;
use crate::model::sink::SinkSpec;
use crate::model::types::{VariantColumns, WantedForms};
use crate::model::values::Mask;
use crate::model::watermark::{WatermarkKey, WatermarkKind};

/// The longest wait between freezing a window and copying it, in seconds.
const MAX_SETTLE_SECONDS: u32 = 86_400;

/// The wait in seconds when none is configured.
const SETTLE_SECONDS: u32 = 30;

/// A source and how it is copied. Unknown fields are refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableSpec {
    /// The source table or view.
    pub table: ObjectName,
    /// How changes are found.
    pub tracking: Tracking,
    /// The columns to copy, in this order. When absent, all of them in the table's order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<Vec<Identifier>>,
    /// The columns not to copy, when `columns` is absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<Identifier>,
    /// The condition that the copied rows meet. When absent, all rows are copied.
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    pub filter: Option<Predicate>,
    /// What becomes of the table when its columns are not those of its last window. When absent, new columns, types
    /// that files hold in the same form and columns that may now be NULL are taken, and anything else fails; so does
    /// another form of the files, or another layout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_schema_change: Option<OnSchemaChange>,
    /// The most rows of a slice, and so of a file, apart from rows with equal watermarks. When absent, as many as take
    /// 1 GiB on the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slice_rows: Option<NonZeroU64>,
    /// The file format of the parts.
    #[serde(default)]
    pub format: Format,
    /// How Parquet files hold points in time and fractions of a second.
    #[serde(default)]
    pub timestamps: Timestamps,
    /// Which form a type has in Parquet when it has two.
    #[serde(default, skip_serializing_if = "FileTypes::is_default")]
    pub types: FileTypes,
    /// The same choice for single columns.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub column_types: BTreeMap<Identifier, FileTypes>,
    /// The columns whose values nobody is to read, and what is left of the values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub mask: BTreeMap<Identifier, Mask>,
    /// Whether columns are added that say which window a row is of, when that was frozen, and how the row came to be in
    /// it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub audit: bool,
    /// What becomes of columns that hold values of several types.
    #[serde(default, skip_serializing_if = "VariantColumns::is_default")]
    pub variant_columns: VariantColumns,
    /// What becomes of columns that the login reads masked.
    #[serde(default, skip_serializing_if = "MaskedColumns::is_default")]
    pub masked_columns: MaskedColumns,
    /// Where the parts lie under the table's prefix.
    #[serde(default, skip_serializing_if = "Layout::is_default")]
    pub layout: Layout,
    /// The manifests for the loaders of other systems that are written with each window.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub loader_manifests: Vec<LoaderManifest>,
    /// The table's `TableName` in the control table, when it is neither `schema.table` nor, for `dbo`, `table`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watermark_name: Option<String>,
    /// Where the rows go, when not into files in the bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sink: Option<SinkSpec>,
}

/// Returns whether the value is false. Serde passes it by reference.
const fn is_false(value: &bool) -> bool {
    !*value
}

/// Where the parts of a table lie under its folder.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// `tidemark_window={from}/part-00000.parquet`.
    #[default]
    Window,
    /// `tidemark_load_date={day}/tidemark_window={from}/part-00000.parquet`: a partition for query engines by the day,
    /// in UTC, on which the window was frozen.
    LoadDate,
}

impl Layout {
    /// Returns whether this is the default. Serde takes it by reference.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What becomes of columns with dynamic data masking, when the login lacks the right to see their values (`UNMASK`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MaskedColumns {
    /// The table fails, and the error names the column.
    #[default]
    Refuse,
    /// The masks that the login reads are copied.
    Copy,
}

impl MaskedColumns {
    /// Returns whether this is the default. Serde takes it by reference.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What becomes of a table whose columns are not those of its last window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnSchemaChange {
    /// Every change is taken.
    Continue,
    /// Every change fails the table.
    Fail,
    /// Changes after which the files stay alike are taken. For any other change the table is loaded in full, into a new
    /// folder.
    Reload,
}

/// The settings of a table that name what is run or opened for it: a user's condition, and a database to merge into.
///
/// They come with every event, although the plan has them, too: the plan lies in a bucket, and nothing that is read
/// from there is executed. A plan that does not agree with them is refused.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunSettings {
    /// The condition that the copied rows meet. When absent, all rows are copied.
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    pub filter: Option<Predicate>,
    /// Where the rows go, when not into files in the bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sink: Option<SinkSpec>,
}

impl RunSettings {
    /// Returns whether nothing is set. Serde takes it by reference.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// How the changes of a table are found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Tracking {
    /// By a column that grows with every insert and update.
    Watermark(WatermarkTracking),
    /// By SQL Server's change tracking: inserts, updates and deletes.
    ChangeTracking(ChangeTracking),
}

/// The settings of watermark tracking.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WatermarkTracking {
    /// The watermark column.
    pub column: Identifier,
    /// How long the state machine waits between freezing a window and copying it, in seconds, so that transactions open
    /// at freezing time can commit. When absent, 30 s, and none for a rowversion, which needs no wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settle_seconds: Option<u32>,
    /// The server clock that the writers of a time column use.
    #[serde(default)]
    pub clock: Clock,
    /// What becomes of rows whose watermark is NULL.
    #[serde(default)]
    pub null_watermark: NullWatermark,
}

impl WatermarkTracking {
    /// Returns the wait for a column of this kind, in seconds.
    #[must_use]
    pub fn settle_seconds(&self, kind: WatermarkKind) -> u32 {
        let default = match kind {
            WatermarkKind::Exact => 0,
            WatermarkKind::Time | WatermarkKind::Number => SETTLE_SECONDS,
        };
        self.settle_seconds.unwrap_or(default)
    }
}

/// The server clock that bounds a time column from above.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Clock {
    /// `SYSUTCDATETIME()`.
    #[default]
    Utc,
    /// `SYSDATETIME()`.
    Local,
}

/// What becomes of rows whose watermark is NULL. No window can select them by their watermark; they are always counted
/// and reported.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NullWatermark {
    /// They are never copied.
    #[default]
    Skip,
    /// They are copied once, with the first load.
    FirstLoad,
}

/// The settings of change tracking.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeTracking {
    /// What becomes of the table when SQL Server no longer has all changes since its stored version.
    #[serde(default)]
    pub on_expired: OnExpired,
}

/// What becomes of a table whose stored version has expired. A version expires when its changes are older than the
/// retention, and when the table is truncated or its tracking is switched off and on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnExpired {
    /// The table is loaded again in full.
    #[default]
    Reinitialize,
    /// The table fails, until somebody decides.
    Fail,
}

impl TableSpec {
    /// Returns the settings that travel with the table's events.
    #[must_use]
    pub fn run_settings(&self) -> RunSettings {
        RunSettings {
            filter: self.filter.clone(),
            sink: self.sink.clone(),
        }
    }

    /// Returns how the adapter of the source is to hold the values.
    #[must_use]
    pub const fn wanted_forms(&self) -> WantedForms {
        let (variants, timestamps) = (self.variant_columns, self.timestamps);
        match (&self.sink, &self.format) {
            (None, Format::Parquet(_)) => WantedForms::Typed { timestamps, variants },
            (None, Format::Csv(_) | Format::Jsonl(_)) | (Some(_), _) => WantedForms::Exact { variants },
        }
    }

    /// Returns the key of this table's row in the watermark store.
    #[must_use]
    pub fn watermark_key(&self) -> WatermarkKey {
        WatermarkKey::new(&self.table, self.watermark_name.as_deref())
    }

    /// Checks what the structure of the JSON alone cannot ensure.
    ///
    /// # Errors
    ///
    /// `InvalidInput`, naming the table, when settings contradict each other or one has a value that is not allowed.
    pub fn check(&self) -> Result<()> {
        let refuse = |what: String| Err(Error::new(ErrorCode::InvalidInput, what).of_table(&self.table));
        let settle_seconds = match &self.tracking {
            Tracking::Watermark(tracking) => tracking.settle_seconds,
            Tracking::ChangeTracking(_) => None,
        };
        if let Some(settle_seconds) = settle_seconds.filter(|&seconds| seconds > MAX_SETTLE_SECONDS) {
            return refuse(format!(
                "settle_seconds is {settle_seconds}, more than {MAX_SETTLE_SECONDS} (a day)"
            ));
        }
        if self.filter.is_some() && matches!(self.tracking, Tracking::ChangeTracking(_)) {
            return refuse("where does not go with change_tracking: a deleted row has nothing but its key".into());
        }
        if self.columns.is_some() && !self.exclude.is_empty() {
            return refuse("columns and exclude are both there: name the columns to copy, or those not to".into());
        }
        if let Some(columns) = &self.columns {
            if columns.is_empty() {
                return refuse("columns is empty: name at least one, or leave it out to copy all".into());
            }
            let mut seen = HashSet::new();
            if let Some(twice) = columns.iter().find(|column| !seen.insert(column.as_str())) {
                return refuse(format!(
                    "the field `columns` names '{}' twice: take one out",
                    twice.as_str()
                ));
            }
        }
        if self.sink.is_some() && self.on_schema_change == Some(OnSchemaChange::Reload) {
            return refuse(
                "on_schema_change reload begins a new folder of files, and this table goes into a sink table: change that, \
                 and set on_schema_change to continue for one run"
                    .into(),
            );
        }
        let mut loaders = self.loader_manifests.iter().enumerate();
        if loaders.any(|(index, loader)| self.loader_manifests[..index].contains(loader)) {
            return refuse("the field `loader_manifests` names one kind twice: take one out".into());
        }
        if self.sink.is_some() && !self.loader_manifests.is_empty() {
            return refuse("loader_manifests name files, and this table goes into a sink table: leave it out".into());
        }
        if let Some(sink) = &self.sink {
            sink.check().map_err(|error| error.of_table(&self.table))?;
        }
        if self.watermark_name.as_deref().is_some_and(str::is_empty) {
            return refuse("watermark_name is empty".into());
        }
        Ok(())
    }
}

/// Checks every table of a run, and that no table and no name of a stored watermark stands for two.
///
/// # Errors
///
/// `InvalidInput` for the first table that is refused, and when there is no table.
pub fn check_all<'a>(tables: impl Iterator<Item = &'a TableSpec>) -> Result<()> {
    let (mut seen, mut names) = (HashSet::new(), HashSet::new());
    for spec in tables {
        spec.check()?;
        let refuse = |message| Err(Error::new(ErrorCode::InvalidInput, message));
        // Most collations ignore case, and the ledger does not: one table must not have two ledgers.
        if !seen.insert(without_case(&spec.table.to_string())) {
            return refuse(format!(
                "the field `tables` names {} twice: take one out, because a table has one window at a time",
                spec.table
            ));
        }
        for name in spec.watermark_key().names() {
            if !names.insert(without_case(&name)) {
                let message =
                    format!("two tables keep their watermark as '{name}': each needs a watermark_name of its own");
                return refuse(message);
            }
        }
    }
    if seen.is_empty() {
        return Err(Error::new(
            ErrorCode::InvalidInput,
            "tables is empty: name at least one table",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(json: &str) -> std::result::Result<TableSpec, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn defaults_are_filled_in() {
        let spec = spec(r#"{"table": "orders", "tracking": {"watermark": {"column": "modified_at"}}}"#).unwrap();
        assert_eq!(spec.table.to_string(), "dbo.orders");
        let Tracking::Watermark(tracking) = &spec.tracking else {
            panic!("a watermark is asked for")
        };
        assert_eq!(tracking.settle_seconds(WatermarkKind::Number), 30);
        assert_eq!(tracking.settle_seconds(WatermarkKind::Exact), 0);
        assert_eq!(
            (tracking.clock, tracking.null_watermark),
            (Clock::Utc, NullWatermark::Skip)
        );
        assert_eq!(spec.format, Format::default());
        let json = serde_json::to_string(&spec).unwrap();
        assert_eq!(serde_json::from_str::<TableSpec>(&json).unwrap(), spec);
    }

    #[test]
    fn an_expired_version_is_loaded_again_unless_told_otherwise() {
        let tracking = |settings: &str| {
            let json = format!(r#"{{"table": "t", "tracking": {{"change_tracking": {settings}}}}}"#);
            spec(&json).map(|spec| spec.tracking)
        };
        let expected = |on_expired| Tracking::ChangeTracking(ChangeTracking { on_expired });
        assert_eq!(tracking("{}").unwrap(), expected(OnExpired::Reinitialize));
        assert_eq!(
            tracking(r#"{"on_expired": "fail"}"#).unwrap(),
            expected(OnExpired::Fail)
        );
        for refused in [r#"{"on_expired": "ignore"}"#, r#"{"settle_seconds": 30}"#, "null"] {
            assert!(tracking(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn a_mistake_is_refused_by_name() {
        let cases = [
            (r#"{"tracking": {"watermark": {"column": "m"}}}"#, "table"),
            (
                r#"{"table": "t", "tracking": {"watermark": {"column": "m"}}, "colums": ["a"]}"#,
                "colums",
            ),
            (
                r#"{"table": "t", "tracking": {"watermark": {"column": "m", "settle": 1}}}"#,
                "settle",
            ),
            (r#"{"table": "t", "tracking": {"timestamp": {}}}"#, "timestamp"),
            (
                r#"{"table": "a.b.c", "tracking": {"watermark": {"column": "m"}}}"#,
                "a.b.c",
            ),
            (r#"{"table": "t", "tracking": {"watermark": {"column": ""}}}"#, "empty"),
        ];
        for (json, named) in cases {
            let error = spec(json).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }

    #[test]
    fn a_run_needs_distinct_tables() {
        let one = spec(r#"{"table": "t", "tracking": {"watermark": {"column": "m"}}}"#).unwrap();
        let same = spec(r#"{"table": "[dbo].[t]", "tracking": {"watermark": {"column": "m"}}}"#).unwrap();
        assert!(check_all([&one].into_iter()).is_ok());
        assert!(
            check_all([&one, &same].into_iter())
                .unwrap_err()
                .to_string()
                .contains("twice")
        );
        let mut other: TableSpec = spec(r#"{"table": "u", "tracking": {"watermark": {"column": "m"}}}"#).unwrap();
        assert!(check_all([&one, &other].into_iter()).is_ok());
        other.watermark_name = Some("DBO.T".into());
        let error = check_all([&one, &other].into_iter()).unwrap_err();
        assert!(error.to_string().contains("watermark_name"));
        assert!(check_all([].into_iter()).unwrap_err().to_string().contains("empty"));
    }
}
