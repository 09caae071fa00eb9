//! What is copied of a tracked table, and what is shown without copying.

use tidemark::error::ErrorCode;
use tidemark::model::names::Identifier;
use tidemark::model::table::TableSpec;
use tidemark::model::window::WindowName;
use tidemark::steps::context::RunContext;
use tidemark::steps::lookup_new::{LookupNewRequest, lookup_new};
use tidemark::steps::lookup_old::{LookupOldRequest, lookup_old};
use tidemark::testing::world::window;

use crate::world::{World, spec};

#[tokio::test]
async fn a_dry_run_shows_the_window_or_the_load_and_writes_nothing() {
    let world = World::loaded().await;
    world.table.set(1, 11);
    for expired in [false, true] {
        if expired {
            world.pipeline().plan("frozen", &[spec()]).await.unwrap();
            world.table.expire();
        }
        let keys = world.store.keys();
        let request = LookupOldRequest {
            run_id: "dry".into(),
            tables: vec![spec()],
            dry_run: true,
        };
        let context = RunContext::unbounded();
        let looked_up = lookup_old(&world.watermarks, world.place(), request, context).await;
        let request = LookupNewRequest {
            run_id: "dry".into(),
            tables: looked_up.unwrap().tables,
            dry_run: true,
        };
        let planned = lookup_new(&world.table, world.place(), request, context).await.unwrap();
        let shown = &planned.dry_run[0];
        assert_eq!(shown.window, window(if expired { "reinit-from-0" } else { "from-0" }));
        assert_eq!(shown.slices[0].sql.contains("Changes"), !expired);
        assert_eq!(world.store.keys(), keys);
    }
}

#[tokio::test]
async fn listed_columns_always_come_with_the_key() {
    let mut spec = spec();
    spec.columns = Some(vec![Identifier::new("V").unwrap()]);
    let world = World::new();
    world.pipeline().run("r", &[spec]).await.unwrap();
    let manifest = world.ledger().manifest(&WindowName::initial()).await.unwrap().unwrap();
    let columns: Vec<_> = manifest
        .columns
        .iter()
        .map(|column| (column.name.as_str(), column.nullable))
        .collect();
    let change = [("SYS_CHANGE_VERSION", false), ("SYS_CHANGE_OPERATION", false)];
    assert_eq!(columns, [[("id", false), ("v", true)], change].concat());
}

#[tokio::test]
async fn columns_are_compared_with_those_of_the_last_window_that_had_some() {
    let world = World::loaded().await;
    // Windows without changes have no columns, and pass on those of the load.
    for _ in 0..2 {
        world.table.change_elsewhere();
        world.run("idle").await;
    }
    world.table.set(1, 11);
    let without_v = |on_schema_change: serde_json::Value| -> TableSpec {
        let mut json = serde_json::to_value(spec()).unwrap();
        json["exclude"] = serde_json::json!(["v"]);
        json["on_schema_change"] = on_schema_change;
        serde_json::from_value(json).unwrap()
    };
    let (error, cause) = world.failure(without_v(serde_json::Value::Null)).await;
    assert_eq!(error, ErrorCode::SchemaMismatch);
    assert!(cause.contains("last window from-1: v is gone"), "{cause}");
    // A load in place of an expired window is compared with what came before that window.
    world.table.expire();
    let (error, _) = world.failure(without_v(serde_json::Value::Null)).await;
    assert_eq!(error, ErrorCode::SchemaMismatch);
    let go_on = without_v("continue".into());
    let planned = world.pipeline().plan("r", &[go_on]).await.unwrap();
    assert_eq!(planned.windows[0].window, window("reinit-from-2"), "{planned:?}");
}

#[tokio::test]
async fn a_key_cannot_be_excluded_nor_rows_be_chosen() {
    let world = World::new();
    let mut spec = spec();
    spec.exclude = vec![Identifier::new("ID").unwrap()];
    let (error, cause) = world.failure(spec.clone()).await;
    assert!(
        error == ErrorCode::InvalidInput && cause.contains("column of the key"),
        "{cause}"
    );
    spec.exclude.clear();
    spec.filter = Some("v > 1".to_owned().try_into().unwrap());
    let error = world.pipeline().run("r", &[spec]).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidInput);
}

#[tokio::test]
async fn a_tracked_window_that_was_frozen_before_such_a_change_gives_way_to_the_load() {
    let world = World::loaded().await;
    world.table.set(1, 11);
    let reloading = |exclude: serde_json::Value| -> TableSpec {
        let mut json = serde_json::to_value(spec()).unwrap();
        json["exclude"] = exclude;
        json["on_schema_change"] = "reload".into();
        serde_json::from_value(json).unwrap()
    };
    let planned = world.pipeline().plan("died", &[reloading(serde_json::json!([]))]).await;
    assert_eq!(planned.unwrap().windows[0].window.as_str(), "from-0");
    let outcome = world.pipeline().run("r", &[reloading(serde_json::json!(["v"]))]).await;
    let window = outcome.unwrap().committed.remove(0).window;
    assert_eq!(window.as_str(), "reinit-from-0");
    assert_eq!(world.ledger().manifest(&window).await.unwrap().unwrap().generation, 1);
    assert_eq!(world.windows().await, ["initial", "from-0", "reinit-from-0"]);
}

#[tokio::test]
async fn a_change_that_readers_cannot_go_on_with_loads_a_tracked_table_into_a_folder_of_its_own() {
    let world = World::loaded().await;
    world.table.set(1, 11);
    let mut without_v = serde_json::to_value(spec()).unwrap();
    without_v["exclude"] = serde_json::json!(["v"]);
    without_v["on_schema_change"] = "reload".into();
    let without_v: TableSpec = serde_json::from_value(without_v).unwrap();
    let outcome = world
        .pipeline()
        .run("r", std::slice::from_ref(&without_v))
        .await
        .unwrap();
    let committed = &outcome.committed[0];
    assert!(
        committed.window.as_str().starts_with("reinit-from-"),
        "{}",
        committed.window
    );
    assert_eq!(committed.rows, world.table.rows().len() as u64);
    let manifest = world.ledger().manifest(&committed.window).await.unwrap().unwrap();
    assert_eq!(manifest.generation, 1);
    assert!(
        manifest.parts[0].key.starts_with("p/dbo.t.g1/"),
        "{}",
        manifest.parts[0].key
    );
    // Windows without changes pass the folder on.
    world.table.change_elsewhere();
    world
        .pipeline()
        .run("idle", std::slice::from_ref(&without_v))
        .await
        .unwrap();
    world.table.set(2, 22);
    let outcome = world.pipeline().run("r2", &[without_v]).await.unwrap();
    let manifest = world
        .ledger()
        .manifest(&outcome.committed[0].window)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((manifest.generation, manifest.rows), (1, 1));
}
