//! Documents of the ledger, for tests that need one.

use time::macros::datetime;

use super::types::{column, version};
use crate::model::moment::Moment;
use crate::model::names::Identifier;
use crate::model::plan::{Author, Content, Plan, WindowBounds};
use crate::model::slice::SliceBounds;
use crate::model::table::TableSpec;
use crate::model::types::Form;
use crate::model::window::WindowName;

/// Makes the plan of one slice of `table`, with the numbers above `old` up to `new` in its column `v`.
///
/// # Panics
///
/// When `table` is not the name of a table.
#[must_use]
#[expect(clippy::expect_used, reason = "what a test writes down is valid or fails the test")]
pub fn plan(table: &str, old: Option<i64>, new: i64) -> Plan {
    let spec = serde_json::json!({"table": table, "tracking": {"watermark": {"column": "v"}}});
    let spec: TableSpec = serde_json::from_value(spec).expect("a table");
    let old = old.map(version);
    let bounds = WindowBounds {
        window: WindowName::from_old(old.as_ref()),
        old,
        new: version(new),
    };
    let content = Content::Interval {
        column: Identifier::new("v").expect("a name"),
        with_nulls: false,
        in_place_of: None,
    };
    let author = Author {
        run_id: "run",
        created_at: Moment::of(datetime!(2026-11-22 10:00 UTC)),
    };
    Plan::new(&spec, bounds, content, author).copying(vec![column("v", Form::Int64)], vec![SliceBounds::default()])
}
