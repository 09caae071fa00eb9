//! The windows whose documents are changed, prepared as runs leave them. Together their documents have every text that
//! a plan or a record can have.

use serde_json::{Value, json};
use tidemark::model::table::TableSpec;
use tidemark::model::types::{Form, Fraction, TypeName};
use tidemark::ports::source::{Access, CatalogColumn, DeclaredColumn};
use tidemark::steps::backfill::Range;
use tidemark::testing::world::{TABLE, backfill, name, window};
use tidemark::testing::{MemoryTable, MemoryTracked, declared};

use crate::scene::{Scene, Table};

fn spec(fields: &Value) -> TableSpec {
    let mut spec = json!({
        "table": TABLE,
        "tracking": { "watermark": { "column": "v", "settle_seconds": 0 } },
        "format": { "csv": { "header": false, "null": "NULL" } },
        "watermark_name": "t",
        "slice_rows": 3,
    });
    spec.as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    serde_json::from_value(spec).unwrap()
}

/// Prepares a window of a watermark in slices, after a committed one.
async fn by_watermark(fields: Value) -> Scene<MemoryTable> {
    let (table, secrets) = (MemoryTable::new([1, 2]), MemoryTable::new([666]));
    let scene = Scene::new(table, secrets, spec(&fields), "from-2");
    scene.run().await;
    (3..=12).for_each(|row| scene.table().insert(row));
    scene.plan().await;
    scene
}

/// Prepares such a window with nothing special.
pub async fn interval() -> Scene<MemoryTable> {
    by_watermark(json!({})).await
}

/// Prepares such a window that goes into files, below the day.
pub async fn into_files() -> Scene<MemoryTable> {
    by_watermark(json!({ "layout": "load_date", "where": "v > 0" })).await
}

/// Prepares such a window that goes into a sink table.
pub async fn into_a_sink() -> Scene<MemoryTable> {
    let sink = json!({ "secret_arn": "sink", "table": "dbo.u", "keys": ["v"], "procedure": "p", "table_type": "tt" });
    by_watermark(json!({ "sink": { "sqlserver": sink } })).await
}

fn tracked(under_way: &str) -> Scene<MemoryTracked> {
    let rows = |from: i64| MemoryTracked::new((from..from + 9).map(|id| (id, id * 10)));
    let spec = spec(&json!({ "tracking": { "change_tracking": {} } }));
    Scene::new(rows(1), rows(600), spec, under_way)
}

/// Prepares the first load of a tracked table, whose store held a version before.
pub async fn load() -> Scene<MemoryTracked> {
    let scene = tracked("initial");
    scene.watermarks.set(&name(), Some("0"));
    scene.plan().await;
    scene
}

/// Prepares the changes of the tracked table.
pub async fn changes() -> Scene<MemoryTracked> {
    let scene = tracked("from-0");
    scene.run().await;
    (1..=4).for_each(|id| scene.table().set(id, 7));
    scene.plan().await;
    scene
}

/// Prepares its changes, which expired before they were copied: a load is planned in their place.
pub async fn superseded() -> Scene<MemoryTracked> {
    let scene = changes().await;
    scene.table().expire();
    scene.plan().await;
    scene
}

/// Prepares the load that was planned in their place.
pub async fn reinit() -> Scene<MemoryTracked> {
    let mut scene = superseded().await;
    scene.window.window = window("reinit-from-0");
    scene
}

/// Prepares a version of the tracked table at which nothing of it has changed.
pub async fn unchanged() -> Scene<MemoryTracked> {
    let scene = tracked("from-0");
    scene.run().await;
    scene.table().change_elsewhere();
    scene.plan().await;
    scene
}

fn of_form(name: &str, sql_type: &str, form: Form) -> DeclaredColumn {
    DeclaredColumn {
        sql_type: TypeName::new(sql_type).unwrap(),
        form: Ok(form),
        ..declared(name, true)
    }
}

/// Prepares a window of a table with masked columns, an audit and times, which goes into Parquet files. Texts in the
/// rows cannot be decoded.
pub async fn masked() -> Scene<MemoryTable> {
    let fields = json!({
        "format": { "parquet": { "decimals": "fixed" } },
        "mask": { "hashed": "hash", "gone": "null", "short": "last4" },
        "audit": true,
    });
    let mut scene = Scene::new(
        MemoryTable::new([1, 2]),
        MemoryTable::new([666]),
        spec(&fields),
        "from-2",
    );
    scene.found = |read| {
        read.mask_key = Some("key".to_owned());
        read.malformed_texts.count("plain", 1);
    };
    let texts = ["hashed", "gone", "short", "plain"].map(|name| of_form(name, "varchar(9)", Form::Text));
    let times = [
        of_form("point", "datetime2(7)", Form::Timestamp(Fraction::Micros)),
        of_form("instant", "datetimeoffset(7)", Form::Instant(Fraction::Nanos)),
        of_form("clock", "time(7)", Form::Time(Fraction::Micros)),
    ];
    scene.table().declare(texts.into_iter().chain(times));
    scene.run().await;
    (3..=12).for_each(|row| scene.table().insert(row));
    scene.plan().await;
    scene
}

/// Prepares a window with a column of which SQL Server shows its own masks.
pub async fn masked_by_the_server() -> Scene<MemoryTable> {
    let (table, secrets) = (MemoryTable::new([1, 2]), MemoryTable::new([666]));
    let scene = Scene::new(table, secrets, spec(&json!({ "masked_columns": "copy" })), "initial");
    scene.table().declare([declared("secret", true)]);
    let listed = [("v", Access::Values), ("secret", Access::Mask)];
    scene.table().list(listed.map(|(name, access)| CatalogColumn {
        name: name.into(),
        in_star: true,
        is_row_version: false,
        is_period_start: false,
        access,
        counting: None,
    }));
    scene.plan().await;
    scene
}

/// Prepares a window whose files loaders read by manifests.
pub async fn with_loaders() -> Scene<MemoryTable> {
    let format = json!({ "jsonl": { "compression": "gzip" } });
    by_watermark(json!({ "format": format, "loader_manifests": ["redshift", "symlink"] })).await
}

/// Prepares a window none of whose rows meets the condition.
pub async fn without_rows() -> Scene<MemoryTable> {
    by_watermark(json!({ "where": "v > 100" })).await
}

/// Prepares a window that is superseded, because its files would not be like those before it.
pub async fn given_up() -> Scene<MemoryTable> {
    let (table, secrets) = (MemoryTable::new([1, 2]), MemoryTable::new([666]));
    let mut scene = Scene::new(table, secrets, spec(&json!({})), "from-2");
    scene.run().await;
    (3..=12).for_each(|row| scene.table().insert(row));
    scene.spec = spec(&json!({ "format": "jsonl", "on_schema_change": "reload" }));
    scene.plan().await;
    scene
}

/// Prepares the full load that was planned in its place.
pub async fn reloaded() -> Scene<MemoryTable> {
    let mut scene = given_up().await;
    scene.window.window = window("reinit-from-2");
    scene
}

/// Prepares a backfill of rows that are copied already.
pub async fn backfilled() -> Scene<MemoryTable> {
    let mut scene = interval().await;
    scene.run().await;
    let range = Range::Between {
        from: "1".into(),
        includes_from: true,
        to: Some("9".into()),
    };
    let spec = scene.spec.clone();
    let planned = backfill(&scene.database, &scene.watermarks, &scene.store, spec, range, false).await;
    scene.window.window = planned.unwrap().window;
    scene
}

/// Copies the first slice of the window of a scene.
pub async fn copied<T: Table>(scene: impl Future<Output = Scene<T>>) -> Scene<T> {
    let scene = scene.await;
    scene.copy().await;
    scene
}

/// Splits the first slice of the window of a scene.
pub async fn split<T: Table>(scene: impl Future<Output = Scene<T>>) -> Scene<T> {
    let scene = scene.await;
    scene.steps().split("before", &scene.window, 0.into()).await.unwrap();
    scene
}
