//! Columns that a window may not have, and columns that are not those of the last window, through the whole step.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::json;
use tidemark::error::ErrorCode;
use tidemark::model::types::{Form, TypeName};
use tidemark::model::values::Values;
use tidemark::ports::objects::ReadObjects;
use tidemark::ports::source::{Access, CatalogColumn, DeclaredColumn};
use tidemark::testing::declared;
use tidemark::testing::world::{World, spec, spec_with, window};

/// Declares a column of this type, held as text.
fn text(name: &str, sql_type: &str) -> DeclaredColumn {
    DeclaredColumn {
        sql_type: TypeName::new(sql_type).unwrap(),
        form: Ok(Form::Text),
        ..declared(name, true)
    }
}

#[tokio::test]
async fn a_column_that_is_called_as_a_partition_key_fails_its_table() {
    let by_day = json!({ "layout": "load_date" });
    for (settings, name, is_taken) in [
        (json!({}), "Tidemark_Window", false),
        (by_day.clone(), "tidemark_window", false),
        (by_day, "TIDEMARK_LOAD_DATE", false),
        (json!({}), "tidemark_load_date", true),
        (json!({ "exclude": ["tidemark_window"] }), "tidemark_window", true),
        (json!({ "columns": ["v"] }), "tidemark_window", true),
    ] {
        let world = World::new([1]);
        world.table.declare([declared(name, true)]);
        let outcome = world.pipeline().run("r", &[spec_with(settings.clone())]).await.unwrap();
        assert_eq!(outcome.committed.len(), usize::from(is_taken), "{settings} {name}");
        if is_taken {
            continue;
        }
        let failed = &outcome.failed[0];
        assert_eq!(failed.error, ErrorCode::InvalidInput, "{settings} {name}");
        assert!(
            failed.cause.contains(name) && failed.cause.contains("exclude"),
            "{}",
            failed.cause
        );
        assert!(world.store.keys().is_empty(), "{settings} {name}: nothing is frozen");
    }
}

#[tokio::test]
async fn a_column_of_a_type_that_nobody_copies_fails_its_table() {
    let world = World::new([1]);
    world.table.declare([DeclaredColumn {
        form: Err("has a type that is not copied".into()),
        ..declared("w", true)
    }]);
    let outcome = world.pipeline().run("r", &[spec()]).await.unwrap();
    assert_eq!(outcome.failed[0].error, ErrorCode::UnsupportedType);
    assert!(
        outcome.failed[0].cause.contains("column w of dbo.t has a type"),
        "{}",
        outcome.failed[0].cause
    );
    let outcome = world
        .pipeline()
        .run("r", &[spec_with(json!({ "exclude": ["w"] }))])
        .await
        .unwrap();
    assert_eq!(outcome.committed.len(), 1);
}

#[tokio::test]
async fn the_next_window_has_the_columns_of_the_last_or_what_readers_can_go_on_with() {
    let before = || vec![declared("a", false), text("b", "varchar(5)")];
    let dropped = vec![declared("a", false)];
    let added = [before(), vec![declared("c", true)]].concat();
    let widened = vec![declared("a", false), text("b", "varchar(50)")];
    let retyped = vec![text("a", "varchar(5)"), text("b", "varchar(5)")];
    let nullable = vec![declared("a", true), text("b", "varchar(5)")];
    let not_null = vec![
        declared("a", false),
        DeclaredColumn {
            nullable: false,
            ..text("b", "varchar(5)")
        },
    ];
    for (now, refused_as) in [
        (before(), None),
        (added, None),
        (widened, None),
        (nullable, None),
        (not_null, None),
        (dropped, Some("b is gone")),
        (retyped, Some("a is varchar(5) and was bigint")),
    ] {
        let world = World::new([1, 2, 3]);
        world.table.declare(before());
        world.run("r1").await;
        world.table.insert(4);
        world.table.declare(now.clone());
        let is_changed = now != before();

        let strict = spec_with(json!({ "on_schema_change": "fail" }));
        let failed = world.pipeline().run("strict", &[strict]).await.unwrap().failed;
        assert_eq!(failed.len(), usize::from(is_changed), "{now:?}: {failed:?}");
        if !is_changed {
            continue;
        }
        assert_eq!(failed[0].error, ErrorCode::SchemaMismatch, "{now:?}");
        let outcome = world.pipeline().run("r2", &[spec()]).await.unwrap();
        if let Some(what) = refused_as {
            let failed = &outcome.failed[0];
            assert_eq!(failed.error, ErrorCode::SchemaMismatch, "{now:?}");
            assert!(
                failed.cause.contains("last window initial") && failed.cause.contains(what),
                "{}",
                failed.cause
            );
            assert!(
                world.ledger().plan(&window("from-3")).await.unwrap().is_none(),
                "{now:?}: not frozen"
            );
            let go_on = spec_with(json!({ "on_schema_change": "continue" }));
            assert!(
                world.pipeline().run("r3", &[go_on]).await.unwrap().failed.is_empty(),
                "{now:?}"
            );
        }
        let manifest = world.ledger().manifest(&window("from-3")).await.unwrap().unwrap();
        let names: Vec<&str> = manifest.columns.iter().map(|column| column.name.as_str()).collect();
        let expected: Vec<&str> = std::iter::once("v")
            .chain(now.iter().map(|column| column.name.as_str()))
            .collect();
        assert_eq!((manifest.rows, names), (1, expected));
    }
}

/// Returns the columns of the table `t (v, Id, secret)` in the catalog, with what the login reads from the last two.
fn catalog(id: Access, secret: Access) -> [CatalogColumn; 3] {
    [("v", Access::Values), ("Id", id), ("secret", secret)].map(|(name, access)| CatalogColumn {
        name: name.into(),
        in_star: true,
        is_row_version: false,
        is_period_start: false,
        access,
        counting: None,
    })
}

#[tokio::test]
async fn a_column_from_which_the_login_does_not_read_the_values_fails_its_table_by_name() {
    let masked = json!({ "masked_columns": "copy" });
    for (access, settings, refused_as) in [
        (Access::Mask, json!({}), Some("UNMASK")),
        (Access::Mask, masked.clone(), None),
        (Access::Nothing, json!({}), Some("grant it SELECT")),
        (Access::Nothing, masked.clone(), Some("grant it SELECT")),
        (Access::Ciphertext, masked, Some("Always Encrypted")),
        (Access::Nothing, json!({ "exclude": ["SECRET"] }), None),
        (Access::Ciphertext, json!({ "columns": ["id"] }), None),
    ] {
        let world = World::new([1]);
        world.table.declare([declared("Id", true), declared("secret", true)]);
        world.table.list(catalog(Access::Values, access));
        let outcome = world.pipeline().run("r", &[spec_with(settings.clone())]).await.unwrap();
        assert_eq!(
            outcome.committed.len(),
            usize::from(refused_as.is_none()),
            "{settings} {access:?}"
        );
        if let Some(what) = refused_as {
            let cause = &outcome.failed[0].cause;
            assert!(
                cause.contains("column secret of dbo.t") && cause.contains(what),
                "{cause}"
            );
            assert!(
                world.store.keys().is_empty(),
                "{settings} {access:?}: nothing is frozen"
            );
        }
    }
}

#[tokio::test]
async fn a_watermark_is_never_a_mask() {
    let world = World::new([1]);
    let [mut watermark, ..] = catalog(Access::Values, Access::Values);
    watermark.access = Access::Mask;
    world.table.list([watermark]);
    let specs = [spec_with(json!({ "masked_columns": "copy" }))];
    let outcome = world.pipeline().run("r", &specs).await.unwrap();
    assert!(
        outcome.failed[0].cause.contains("column v of dbo.t is masked"),
        "{}",
        outcome.failed[0].cause
    );
}

#[tokio::test]
async fn columns_are_called_as_they_were_declared_whatever_the_case_they_are_asked_for_in() {
    let world = World::new([1]);
    world.table.declare([declared("Id", true), declared("secret", true)]);
    world.table.list(catalog(Access::Values, Access::Values));
    let specs = [spec_with(json!({ "columns": ["ID", "V"] }))];
    assert_eq!(world.pipeline().run("r", &specs).await.unwrap().committed.len(), 1);
    let plan = world.ledger().plan(&window("initial")).await.unwrap().unwrap();
    let names: Vec<_> = plan.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["Id", "v"]);
}

#[tokio::test]
async fn a_table_whose_rows_a_policy_filters_is_copied_and_noted_in_every_run() {
    let world = World::new([1]);
    world.table.declare([declared("Id", true), declared("secret", true)]);
    world.table.list(catalog(Access::Values, Access::Values));
    assert_eq!(
        world.pipeline().plan("r", &[spec_with(json!({}))]).await.unwrap().notes,
        []
    );
    world.table.filter();
    let planned = world
        .pipeline()
        .plan("dry", &[spec_with(json!({ "columns": ["v"] }))])
        .await
        .unwrap();
    assert!(planned.failed.is_empty(), "{:?}", planned.failed);
    world.pipeline().run("r2", &[spec_with(json!({}))]).await.unwrap();
    let planned = world.pipeline().plan("r3", &[spec_with(json!({}))]).await.unwrap();
    let noted: Vec<_> = planned
        .notes
        .iter()
        .map(|note| (note.table.to_string(), note.filtered))
        .collect();
    assert_eq!(noted, [("dbo.t".to_owned(), true)]);
}

#[tokio::test]
async fn what_the_login_does_not_see_is_frozen_and_committed_and_told_by_every_run_that_goes_on_with_the_window() {
    let world = World::new([1]);
    world.table.declare([declared("Id", true), declared("secret", true)]);
    world.table.list(catalog(Access::Values, Access::Values));
    world.table.filter();
    let specs = [spec_with(json!({}))];
    world.pipeline().plan("r1", &specs).await.unwrap();
    // The window is read by what was found when it was frozen, whatever is found now.
    world.table.list(catalog(Access::Values, Access::Values));
    let planned = world.pipeline().plan("r2", &specs).await.unwrap();
    assert!(planned.windows[0].adopted, "{planned:?}");
    assert!(planned.notes.iter().any(|note| note.filtered), "{planned:?}");
    world.pipeline().run("r3", &specs).await.unwrap();
    let plan = world.ledger().plan(&window("initial")).await.unwrap().unwrap();
    let manifest = world.ledger().manifest(&window("initial")).await.unwrap().unwrap();
    assert!(plan.unseen.filtered && manifest.unseen == plan.unseen, "{manifest:?}");
    let document = world
        .store
        .get("p/_ledger/dbo.t/initial/manifest.json")
        .await
        .unwrap()
        .unwrap();
    let document: serde_json::Value = serde_json::from_slice(&document.body).unwrap();
    assert_eq!(document["unseen"], json!({ "filtered": true }));

    world.table.insert(2);
    world.pipeline().run("r4", &specs).await.unwrap();
    let document = world
        .store
        .get("p/_ledger/dbo.t/from-1/manifest.json")
        .await
        .unwrap()
        .unwrap();
    let document: serde_json::Value = serde_json::from_slice(&document.body).unwrap();
    assert_eq!(document.get("unseen"), None, "{document}");
}

#[tokio::test]
async fn a_mask_of_the_server_that_is_taken_is_said_of_its_column_and_is_no_longer_taken_for_values() {
    let taken = spec_with(json!({ "masked_columns": "copy" }));
    let world = World::new([1]);
    world.table.declare([declared("Id", true), declared("secret", true)]);
    world.table.list(catalog(Access::Values, Access::Mask));
    world.pipeline().run("r1", std::slice::from_ref(&taken)).await.unwrap();
    let manifest = world.ledger().manifest(&window("initial")).await.unwrap().unwrap();
    let values: Vec<_> = manifest.columns.iter().map(|column| &column.values).collect();
    assert_eq!(values, [&Values::OfSource, &Values::OfSource, &Values::ServerMask]);

    // The login may unmask it from now on, and files before and after it cannot be told apart.
    world.table.list(catalog(Access::Values, Access::Values));
    world.table.insert(2);
    let outcome = world.pipeline().run("r2", std::slice::from_ref(&taken)).await.unwrap();
    let failed = &outcome.failed[0];
    assert!(
        failed.error == ErrorCode::SchemaMismatch && failed.cause.contains("secret would have another mask"),
        "{}",
        failed.cause
    );
    let reload = spec_with(json!({ "masked_columns": "copy", "on_schema_change": "reload" }));
    world.pipeline().run("r3", &[reload]).await.unwrap();
    let manifest = world
        .ledger()
        .manifest(&window("reinit-from-1"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!((manifest.rows, manifest.generation), (2, 1));
    assert!(manifest.columns.iter().all(|column| column.values == Values::OfSource));
}

#[tokio::test]
async fn a_hidden_column_is_copied_when_it_is_named() {
    for (settings, expected) in [
        (json!({}), vec!["v", "Id"]),
        (json!({ "columns": ["v", "secret"] }), vec!["v", "secret"]),
    ] {
        let world = World::new([1]);
        world.table.declare([declared("Id", true), declared("secret", true)]);
        let [watermark, id, mut secret] = catalog(Access::Values, Access::Values);
        secret.in_star = false;
        world.table.list([watermark, id, secret]);
        world.pipeline().run("r", &[spec_with(settings)]).await.unwrap();
        let plan = world.ledger().plan(&window("initial")).await.unwrap().unwrap();
        let names: Vec<_> = plan.columns.iter().map(|column| column.name.as_str()).collect();
        assert_eq!(names, expected);
    }
}

#[tokio::test]
async fn columns_keep_their_ids_whatever_becomes_of_them() {
    let world = World::new([1]);
    let go_on = spec_with(json!({ "on_schema_change": "continue" }));
    let mut expected = vec![("v", 1), ("b", 2), ("a", 3)];
    for (run, names, added) in [
        (1, vec!["b", "a"], vec![]),
        (2, vec!["a"], vec![]),
        (3, vec!["c", "A"], vec![("c", 4)]),
        (4, vec!["B", "c", "d"], vec![("d", 5)]),
    ] {
        world.table.insert(run + 1);
        world.table.declare(names.iter().map(|name| declared(name, true)));
        let run = format!("r{run}");
        let outcome = world.pipeline().run(&run, std::slice::from_ref(&go_on)).await.unwrap();
        let committed = &outcome.committed[0];
        expected.extend(added);
        let manifest = world.ledger().manifest(&committed.window).await.unwrap().unwrap();
        let plan = world.ledger().plan(&committed.window).await.unwrap().unwrap();
        for (name, id) in &expected {
            assert_eq!(manifest.field_ids.of(name), Some(*id), "{name} in {run}");
        }
        assert_eq!(plan.field_ids, manifest.field_ids);
        assert_eq!(manifest.field_ids.of("e"), None);
    }
}
