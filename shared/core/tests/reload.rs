//! Tables whose files would not be like those before them are loaded in full into a folder of their own.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use tidemark::error::ErrorCode;
use tidemark::model::manifest::Manifest;
use tidemark::model::table::TableSpec;
use tidemark::model::types::{Form, TypeName};
use tidemark::ports::source::DeclaredColumn;
use tidemark::steps::context::RunContext;
use tidemark::steps::lookup_new::{LookupNewRequest, lookup_new};
use tidemark::steps::lookup_old::{LookupOldRequest, lookup_old};
use tidemark::testing::declared;
use tidemark::testing::world::{World, of_run, spec_with, window};

/// Returns settings with which a table is loaded again, and others.
fn reloading(more: Value) -> TableSpec {
    let mut settings = json!({ "on_schema_change": "reload" });
    settings
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    spec_with(settings)
}

fn text(name: &str) -> DeclaredColumn {
    DeclaredColumn {
        sql_type: TypeName::new("varchar(5)").unwrap(),
        form: Ok(Form::Text),
        ..declared(name, true)
    }
}

/// Runs one execution, in which nothing may fail, and returns the manifest of the window that it committed.
async fn run(world: &World, run_id: &str, spec: &TableSpec) -> Manifest {
    let outcome = world.pipeline().run(run_id, std::slice::from_ref(spec)).await.unwrap();
    assert!(outcome.failed.is_empty(), "{:?}", outcome.failed);
    let committed = &outcome.committed[0].window;
    world.ledger().manifest(committed).await.unwrap().unwrap()
}

fn keys(manifest: &Manifest) -> Vec<&str> {
    manifest.parts.iter().map(|part| part.key.as_str()).collect()
}

/// Makes a world whose table has a column `b` and a committed window of three rows.
async fn world() -> World {
    let world = World::new([1, 2, 3]);
    world.table.declare([declared("b", true)]);
    run(&world, "r1", &reloading(json!({}))).await;
    world
}

#[tokio::test]
async fn a_change_that_readers_cannot_go_on_with_loads_the_table_into_a_folder_of_its_own() {
    let world = world().await;
    let spec = reloading(json!({}));
    world.table.insert(4);
    world.table.declare([text("b")]);
    let reload = run(&world, "r2", &spec).await;
    assert_eq!(
        (reload.window.as_str(), reload.rows, reload.generation),
        ("reinit-from-3", 4, 1)
    );
    assert_eq!(
        keys(&reload),
        ["p/dbo.t.g1/tidemark_window=reinit-from-3/part-00000.csv"]
    );
    let given_up = world.ledger().manifest(&window("from-3")).await.unwrap().unwrap();
    assert_eq!(
        (given_up.superseded_by, given_up.rows),
        (Some(reload.window.clone()), 0)
    );
    assert_eq!(world.watermark().as_deref(), Some("4"));

    // Later windows go into the same folder, until the next such change.
    world.table.insert(5);
    let next = run(&world, "r3", &spec).await;
    assert_eq!(keys(&next), ["p/dbo.t.g1/tidemark_window=from-4/part-00000.csv"]);
    world.table.insert(6);
    world.table.declare([declared("c", true)]);
    let again = run(&world, "r4", &spec).await;
    assert_eq!(
        keys(&again),
        ["p/dbo.t.g2/tidemark_window=reinit-from-5/part-00000.csv"]
    );
    assert_eq!(again.rows, 6);
    let first: Vec<_> = world
        .parts()
        .into_iter()
        .filter(|key| key.starts_with("p/dbo.t/"))
        .collect();
    assert_eq!(
        first,
        ["p/dbo.t/tidemark_window=initial/part-00000.csv"],
        "the first folder is as it was"
    );
    // An id is never given to another column.
    assert_eq!(
        (
            again.field_ids.of("v"),
            again.field_ids.of("b"),
            again.field_ids.of("c")
        ),
        (Some(1), Some(2), Some(3))
    );
}

#[tokio::test]
async fn a_window_that_was_frozen_before_such_a_change_gives_way_to_the_load() {
    let (world, spec) = (world().await, reloading(json!({ "slice_rows": 1 })));
    world.table.insert(4);
    world.table.insert(5);
    let planned = world.pipeline().plan("died", std::slice::from_ref(&spec)).await;
    assert_eq!(planned.unwrap().windows[0].window.as_str(), "from-3");
    // One slice of the window is copied, and the others cannot be any more.
    world.pipeline().copy_slice("died", &of_run("from-3"), 0).await.unwrap();
    world.table.declare([text("b")]);
    let reload = run(&world, "r2", &spec).await;
    assert_eq!(
        (reload.window.as_str(), reload.rows, reload.generation),
        ("reinit-from-3", 5, 1)
    );
    let given_up = world.ledger().manifest(&window("from-3")).await.unwrap().unwrap();
    assert_eq!((given_up.superseded_by, given_up.rows), (Some(reload.window), 0));
    assert_eq!(world.watermark().as_deref(), Some("5"));
    let is_in_last = |key: &String| key.starts_with("p/dbo.t.g1/");
    assert_eq!(world.parts().iter().filter(|key| is_in_last(key)).count(), 5);
    assert_eq!(world.parts().len(), 6, "and the first load");
}

#[tokio::test]
async fn a_frozen_window_is_committed_as_it_is_where_it_is_copied_or_nothing_can_take_its_place() {
    // This window is copied before the change.
    let (world, spec) = (world().await, reloading(json!({})));
    world.table.insert(4);
    world
        .pipeline()
        .plan("died", std::slice::from_ref(&spec))
        .await
        .unwrap();
    world.pipeline().copy_slice("died", &of_run("from-3"), 0).await.unwrap();
    world.table.declare([text("b")]);
    assert_eq!(run(&world, "r2", &spec).await.window.as_str(), "from-3");
    world.table.insert(5);
    assert_eq!(run(&world, "r3", &spec).await.window.as_str(), "reinit-from-4");
    // The frozen window also stays after a change that readers go on with, in a first load, and in a table that is not
    // to be loaded anew.
    let new = World::new([1]);
    new.table.declare([declared("b", true)]);
    for (world, spec, declares) in [
        (world, spec.clone(), vec![text("b"), declared("c", true)]),
        (new, spec, vec![text("b")]),
        (self::world().await, spec_with(json!({})), vec![text("b")]),
    ] {
        world.table.insert(6);
        let planned = world.pipeline().plan("died", std::slice::from_ref(&spec)).await;
        let planned = planned.unwrap().windows.remove(0).window;
        world.table.declare(declares);
        let after = world.pipeline().plan("after", &[spec]).await.unwrap();
        assert_eq!(after.windows[0].window, planned);
    }
}

#[tokio::test]
async fn a_change_that_readers_can_go_on_with_stays_in_its_folder() {
    let world = world().await;
    world.table.insert(4);
    world.table.declare([declared("b", true), declared("c", true)]);
    let next = run(&world, "r2", &reloading(json!({}))).await;
    assert_eq!((next.window.as_str(), next.generation), ("from-3", 0));
}

#[tokio::test]
async fn another_form_of_the_files_is_refused_or_loads_the_table() {
    let parquet = |codec: &str, level: u8| json!({ "format": { "parquet": { "compression": codec, "compression_level": level } } });
    let csv = |delimiter: &str| json!({ "format": { "csv": { "delimiter": delimiter } } });
    for (before, now, said) in [
        (csv(","), csv(";"), Some("another format, or other options of it")),
        (csv(","), json!({ "format": "jsonl" }), Some("another format")),
        (parquet("zstd", 1), parquet("gzip", 1), Some("another format")),
        (parquet("zstd", 1), parquet("zstd", 9), None),
        (
            csv(","),
            json!({ "format": { "csv": {} }, "layout": "load_date" }),
            Some("another layout"),
        ),
    ] {
        let world = World::new([1]);
        run(&world, "r1", &spec_with(before)).await;
        world.table.insert(2);
        let outcome = world.pipeline().run("r2", &[spec_with(now.clone())]).await.unwrap();
        let Some(said) = said else {
            assert_eq!(outcome.committed.len(), 1, "{now}");
            continue;
        };
        assert_eq!(outcome.failed[0].error, ErrorCode::SchemaMismatch, "{now}");
        assert!(outcome.failed[0].cause.contains(said), "{}", outcome.failed[0].cause);
        let reload = run(&world, "r3", &reloading(now)).await;
        assert_eq!((reload.rows, reload.generation), (2, 1));
    }
}

#[tokio::test]
async fn a_dry_run_shows_the_reload_and_writes_nothing() {
    let world = world().await;
    world.table.insert(4);
    world.table.declare([text("b")]);
    let before = world.store.keys();
    let context = RunContext::unbounded();
    let request = LookupOldRequest {
        run_id: "dry".into(),
        tables: vec![reloading(json!({}))],
        dry_run: true,
    };
    let looked_up = lookup_old(&world.watermarks, world.place(), request, context).await;
    let request = LookupNewRequest {
        run_id: "dry".into(),
        tables: looked_up.unwrap().tables,
        dry_run: true,
    };
    let planned = lookup_new(&world.table, world.place(), request, context).await.unwrap();
    assert_eq!(planned.dry_run[0].window.as_str(), "reinit-from-3");
    assert_eq!(world.store.keys(), before);
}

#[tokio::test]
async fn a_window_that_was_given_up_stays_so_when_the_columns_are_put_back() {
    let world = world().await;
    world.table.insert(4);
    world.table.declare([text("b")]);
    let planned = world.pipeline().plan("r2", &[reloading(json!({}))]).await.unwrap();
    assert_eq!(planned.windows[0].window.as_str(), "reinit-from-3");
    // The plan of the load is frozen, so the columns must be those that it has.
    let outcome = world.pipeline().run("r3", &[reloading(json!({}))]).await.unwrap();
    assert_eq!(outcome.committed[0].window.as_str(), "reinit-from-3");
    assert_eq!(outcome.committed[0].rows, 4);
}

/// The run dies after it gave the window up, and before the plan of the load is frozen.
#[tokio::test]
async fn a_load_that_was_begun_gets_its_own_folder_though_the_columns_are_put_back_or_the_policy_is_another() {
    for (declares, policy) in [
        (declared("b", true), "reload"),
        (declared("b", true), "fail"),
        (text("b"), "continue"),
        (text("b"), "fail"),
    ] {
        let world = world().await;
        world.table.insert(4);
        world.table.declare([text("b")]);
        world.pipeline().plan("died", &[reloading(json!({}))]).await.unwrap();
        world
            .store
            .delete(&world.ledger().keys().plan(&window("reinit-from-3")));
        world.table.declare([declares]);
        let load = run(&world, "r3", &spec_with(json!({ "on_schema_change": policy }))).await;
        assert_eq!(
            (load.window.as_str(), load.rows, load.generation),
            ("reinit-from-3", 4, 1),
            "{policy}"
        );
        let first: Vec<_> = world
            .parts()
            .into_iter()
            .filter(|key| key.starts_with("p/dbo.t/"))
            .collect();
        assert_eq!(first.len(), 1, "no row is twice in one folder: {first:?}");
    }
}

/// In addition, a slice of the window was copied before the window was given up, so that the record of another slice
/// says so.
#[tokio::test]
async fn a_window_that_a_record_gave_up_is_not_copied_when_the_policy_is_another() {
    let world = world().await;
    let spec = reloading(json!({ "slice_rows": 1 }));
    world.table.insert(4);
    world.table.insert(5);
    world.pipeline().plan("r2", std::slice::from_ref(&spec)).await.unwrap();
    world.pipeline().copy_slice("r2", &of_run("from-3"), 0).await.unwrap();
    world.table.declare([text("b")]);
    world.pipeline().plan("died", &[spec]).await.unwrap();
    world
        .store
        .delete(&world.ledger().keys().plan(&window("reinit-from-3")));
    // It can be given up by hand, and is the window that the table waits for.
    let reached = world.ledger().reached(Some("3")).await.unwrap();
    assert_eq!(reached.pending.unwrap().window.as_str(), "from-3");
    let spec = spec_with(json!({ "on_schema_change": "fail", "slice_rows": 1 }));
    let load = run(&world, "r3", &spec).await;
    assert_eq!(
        (load.window.as_str(), load.rows, load.generation),
        ("reinit-from-3", 5, 1)
    );
}

#[tokio::test]
async fn a_sink_table_has_no_folder_to_begin() {
    let spec = reloading(json!({ "sink": { "sqlserver": { "secret_arn": "a" } } }));
    let error = spec.check().unwrap_err();
    assert!(error.to_string().contains("on_schema_change reload"), "{error}");
}

/// A window that was given up between the two lookups of a run is not reported as unchanged: what is copied in its place
/// is planned.
#[tokio::test]
async fn a_window_that_another_run_gave_up_meanwhile_is_looked_at_again() {
    let world = World::new([1, 2, 3]);
    world.watermarks.set(&world.name, Some("1"));
    let spec = reloading(json!({}));
    let context = RunContext::without_leases();
    let request = LookupOldRequest {
        run_id: "slow".into(),
        tables: vec![spec.clone()],
        dry_run: false,
    };
    let found = lookup_old(&world.watermarks, world.place(), request, context)
        .await
        .unwrap();
    assert!(!found.tables[0].may_be_frozen(), "{found:?}");
    let other = world.copied();
    other.pipeline().plan("other", &[spec]).await.unwrap();
    let plan = other.ledger().plan(&window("from-1")).await.unwrap().unwrap();
    let superseded = plan.superseded_by(window("reinit-from-1")).unwrap();
    world.ledger().freeze(superseded).await.unwrap();

    let request = LookupNewRequest {
        run_id: "slow".into(),
        tables: found.tables,
        dry_run: false,
    };
    let planned = lookup_new(&world.table, world.place(), request, context).await.unwrap();
    assert_eq!((planned.unchanged.len(), planned.windows.len()), (0, 1), "{planned:?}");
    assert_eq!(planned.windows[0].window, window("reinit-from-1"));
}
