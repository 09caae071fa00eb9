//! Where the ledger of a table lives: pure functions from names to keys.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorCode};
use crate::identifier::ObjectName;
use crate::ledger::{Plan, SliceId};
use crate::table::Layout;
use crate::watermark::Watermark;

/// The name of a window: a safe text form of where it starts, `initial` when it starts at nothing.
///
/// It does not depend on the column's type: trailing zeros of a fraction are dropped and a date is its midnight, so that
/// a watermark kept in a control table of one type and the column of another name the same window.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WindowName(String);

impl WindowName {
    /// The window of a first load.
    #[must_use]
    pub fn initial() -> Self {
        Self("initial".into())
    }

    /// The window that starts after `watermark`.
    #[must_use]
    pub fn after(watermark: &Watermark) -> Self {
        Self::after_text(watermark.value())
    }

    /// The window of a full load that is copied in place of window `expired`.
    #[must_use]
    pub fn reinit(expired: &Self) -> Self {
        Self(format!("reinit-{expired}"))
    }

    /// The window that starts after the watermark with this canonical text, whatever its type.
    ///
    /// What no watermark has in it becomes `_`, which no window has in its name: a store may hold anything.
    #[must_use]
    pub fn after_text(value: &str) -> Self {
        let (text, zone) = match value.strip_suffix('Z') {
            Some(text) => (text, "Z"),
            None => (value, ""),
        };
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let midnight = if is_date(whole) { "T00-00-00" } else { "" };
        let fraction = match fraction.trim_end_matches('0') {
            "" => String::new(),
            fraction => format!(".{fraction}"),
        };
        let name = format!("{}{midnight}{fraction}{zone}", whole.replace(':', "-"));
        Self(name.replace(|c: char| !is_safe(c), "_"))
    }

    /// The window that starts at what a store holds: after this text, or at nothing.
    #[must_use]
    pub fn after_stored(value: Option<&str>) -> Self {
        value.map_or_else(Self::initial, Self::after_text)
    }

    /// The window that starts after `old`, if there is an old watermark.
    #[must_use]
    pub fn from_old(old: Option<&Watermark>) -> Self {
        old.map_or_else(Self::initial, Self::after)
    }

    /// The name as it stands in keys.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The characters of a window's name.
const fn is_safe(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '.')
}

/// `2017-09-05`, and no number: those have no second hyphen.
fn is_date(text: &str) -> bool {
    text.len() == 10 && text.bytes().filter(|&byte| byte == b'-').count() == 2
}

impl fmt::Display for WindowName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for WindowName {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        if text.is_empty() || text.len() > 100 || !text.chars().all(is_safe) {
            let message = format!("'{}' is not the name of a window", text.escape_default());
            return Err(Error::new(ErrorCode::InvalidInput, message));
        }
        Ok(Self(text))
    }
}

impl From<WindowName> for String {
    fn from(name: WindowName) -> Self {
        name.0
    }
}

/// The keys of one table's ledger. Keys whose last segment begins with `_` are ignored by Athena, Spark, Hive and
/// DuckDB globs.
#[derive(Debug, Clone)]
pub struct Keys {
    table: String,
}

impl Keys {
    /// The keys of `table` under `prefix` (without its slashes; may be empty).
    #[must_use]
    pub fn new(prefix: &str, table: &ObjectName) -> Self {
        let prefix = prefix.trim_matches('/');
        let separator = if prefix.is_empty() { "" } else { "/" };
        Self {
            table: format!("{prefix}{separator}{}", table.key_segment()),
        }
    }

    /// `_watermark.json`, where the `s3` watermark store keeps the pointer.
    #[must_use]
    pub fn watermark(&self) -> String {
        format!("{}/_watermark.json", self.table)
    }

    /// What every window's folder begins with, before its name.
    #[must_use]
    pub fn windows(&self) -> String {
        format!("{}/window=", self.table)
    }

    /// What the folder of every window of a full load in place of another begins with, before that one's name.
    #[must_use]
    pub fn reinits(&self) -> String {
        format!("{}reinit-", self.windows())
    }

    /// `window={from}/_plan.json`
    #[must_use]
    pub fn plan(&self, window: &WindowName) -> String {
        format!("{}/window={window}/_plan.json", self.table)
    }

    /// `window={from}/_parts/00000.json`, of the first slice it is split into `00000.00000.json`; later attempts, made after an upload
    /// expired, are `00000-1.json`, ….
    #[must_use]
    pub fn part_record(&self, window: &WindowName, slice: &SliceId, attempt: u32) -> String {
        format!("{}.json", self.part_attempt(window, slice, attempt))
    }

    /// `window={from}/_parts/00000.void`: the record of this attempt no longer counts.
    #[must_use]
    pub fn part_void(&self, window: &WindowName, slice: &SliceId, attempt: u32) -> String {
        format!("{}.void", self.part_attempt(window, slice, attempt))
    }

    /// `window={from}/_previous.json`
    #[must_use]
    pub fn previous(&self, window: &WindowName) -> String {
        format!("{}/window={window}/_previous.json", self.table)
    }

    /// `window={from}/part-00000.parquet`, or `load_date={day}/window={from}/part-00000.parquet`: all from the plan, so
    /// that everyone who copies the slice means the same object.
    #[must_use]
    pub fn part(&self, plan: &Plan, slice: &SliceId) -> String {
        let partition = match plan.layout {
            Layout::Window => String::new(),
            Layout::LoadDate => format!("load_date={}/", plan.load_date()),
        };
        let (window, extension) = (&plan.window, plan.format.extension());
        let slice = slice.key_segment();
        format!("{}/{partition}window={window}/part-{slice}.{extension}", self.table)
    }

    /// `window={from}/_manifest.json`
    #[must_use]
    pub fn manifest(&self, window: &WindowName) -> String {
        format!("{}/window={window}/_manifest.json", self.table)
    }

    fn part_attempt(&self, window: &WindowName, slice: &SliceId, attempt: u32) -> String {
        let attempt = if attempt == 0 {
            String::new()
        } else {
            format!("-{attempt}")
        };
        let slice = slice.key_segment();
        format!("{}/window={window}/_parts/{slice}{attempt}", self.table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_named_by_where_it_starts() {
        let cases = [
            ("datetime", "2010-01-01T00:00:00.000", "2010-01-01T00-00-00"),
            ("datetime", "2017-09-05T08:06:00.003", "2017-09-05T08-06-00.003"),
            ("datetime2(7)", "2017-09-05T08:06:00.0030000", "2017-09-05T08-06-00.003"),
            (
                "datetime2(7)",
                "2017-09-05T08:06:00.1234567",
                "2017-09-05T08-06-00.1234567",
            ),
            (
                "datetimeoffset(3)",
                "2017-09-05T08:06:00.100Z",
                "2017-09-05T08-06-00.1Z",
            ),
            ("bigint", "-9223372036854775808", "-9223372036854775808"),
            ("int", "100", "100"),
            ("decimal(5,2)", "1.50", "1.5"),
            ("decimal(5,2)", "42.00", "42"),
            ("date", "2017-09-05", "2017-09-05T00-00-00"),
            ("smalldatetime", "2017-09-05T00:00:00", "2017-09-05T00-00-00"),
            ("int", "-123456789", "-123456789"),
        ];
        for (sql_type, value, name) in cases {
            let watermark = Watermark::new(sql_type.parse().unwrap(), value).unwrap();
            assert_eq!(WindowName::after(&watermark).as_str(), name);
            assert!(WindowName::try_from(name.to_owned()).is_ok());
        }
        assert_eq!(WindowName::from_old(None).as_str(), "initial");
        let reinit = WindowName::reinit(&WindowName::after_text("42"));
        assert_eq!(WindowName::try_from("reinit-42".to_owned()).unwrap(), reinit);
    }

    #[test]
    fn a_window_name_from_an_event_cannot_leave_its_table() {
        for text in ["", "../x", "a/b", "_x", "a b", "%2F"] {
            assert!(WindowName::try_from(text.to_owned()).is_err(), "{text}");
        }
    }

    fn plan(layout: &str) -> Plan {
        let watermark = serde_json::json!({ "type": "int", "value": "1" });
        let plan = serde_json::json!({
            "version": 1, "table": "sales.t", "window": "initial", "old_watermark": null, "new_watermark": watermark,
            "tracking": { "watermark": { "column": "v" } }, "columns": [], "format": { "csv": { "compression": "gzip" } },
            "timestamps": "us", "layout": layout, "slices": [], "count": { "sql": "" }, "run_id": "r",
            "created_at": "2026-11-22T23:59:59.123Z",
        });
        serde_json::from_value(plan).unwrap()
    }

    #[test]
    fn a_parts_key_comes_from_the_plan_alone() {
        let keys = Keys::new("lake", &"sales.t".parse().unwrap());
        assert_eq!(
            keys.part(&plan("window"), &7.into()),
            "lake/sales.t/window=initial/part-00007.csv.gz"
        );
        assert_eq!(
            keys.part(&plan("load_date"), &7.into()),
            "lake/sales.t/load_date=2026-11-22/window=initial/part-00007.csv.gz"
        );
    }

    #[test]
    fn keys_are_those_of_the_layout() {
        let keys = Keys::new("/lake/raw/", &"sales.[order lines]".parse().unwrap());
        let window = WindowName::initial();
        assert_eq!(keys.watermark(), "lake/raw/sales.order%20lines/_watermark.json");
        assert_eq!(
            keys.plan(&window),
            "lake/raw/sales.order%20lines/window=initial/_plan.json"
        );
        assert_eq!(
            keys.part_record(&window, &7.into(), 0),
            "lake/raw/sales.order%20lines/window=initial/_parts/00007.json"
        );
        assert_eq!(
            keys.part_record(&window, &7.into(), 2),
            "lake/raw/sales.order%20lines/window=initial/_parts/00007-2.json"
        );
        assert_eq!(
            keys.part_void(&window, &7.into(), 0),
            "lake/raw/sales.order%20lines/window=initial/_parts/00007.void"
        );
        let sub_slice = "7.2.10".parse().unwrap();
        assert_eq!(
            keys.part_record(&window, &sub_slice, 1),
            "lake/raw/sales.order%20lines/window=initial/_parts/00007.00002.00010-1.json"
        );
        assert_eq!(
            keys.part(&plan("window"), &sub_slice),
            "lake/raw/sales.order%20lines/window=initial/part-00007.00002.00010.csv.gz"
        );
        assert_eq!(
            keys.previous(&window),
            "lake/raw/sales.order%20lines/window=initial/_previous.json"
        );
        assert_eq!(
            Keys::new("", &"t".parse().unwrap()).manifest(&window),
            "dbo.t/window=initial/_manifest.json"
        );
    }
}
