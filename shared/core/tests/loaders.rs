//! Manifests for the loaders of other systems.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use tidemark::testing::world::{World, spec_with};

const REDSHIFT: &str = "p/_ledger/dbo.t/initial/loader-redshift.json";
const SYMLINK: &str = "p/_ledger/dbo.t/symlink/tidemark_window=initial/loader-symlink.txt";

fn text(world: &World, key: &str) -> Option<String> {
    let body = world.store.body(key)?;
    Some(String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn a_window_has_the_manifests_that_its_table_asks_for_and_each_names_its_parts() {
    let world = World::new([1, 2]);
    let loaders = json!({ "loader_manifests": ["symlink", "redshift"], "slice_rows": 1 });
    let outcome = world.pipeline().run("r1", &[spec_with(loaders.clone())]).await.unwrap();
    assert_eq!(outcome.committed[0].objects, 2);
    let addresses: Vec<String> = world.parts().iter().map(|key| format!("memory://{key}")).collect();
    let manifest: Value = serde_json::from_str(&text(&world, REDSHIFT).unwrap()).unwrap();
    let entry = |address: &String| json!({ "url": address, "mandatory": true, "meta": { "content_length": 2 } });
    assert_eq!(manifest["entries"], addresses.iter().map(entry).collect::<Value>());
    let lines: Vec<String> = text(&world, SYMLINK).unwrap().lines().map(str::to_owned).collect();
    assert_eq!(lines, addresses);

    // A window without rows has no part to load.
    let world = World::new([1]);
    world.pipeline().run("r1", &[spec_with(loaders)]).await.unwrap();
    let none = json!({ "loader_manifests": ["redshift"], "where": "v > 9" });
    world.table.insert(2);
    world.pipeline().run("r2", &[spec_with(none)]).await.unwrap();
    assert_eq!(world.watermark().as_deref(), Some("2"));
    assert_eq!(text(&world, "p/_ledger/dbo.t/from-1/loader-redshift.json"), None);
}

#[tokio::test]
async fn nothing_is_written_for_loaders_unless_asked_for() {
    let world = World::new([1]);
    world.run("r1").await;
    assert!(!world.store.keys().iter().any(|key| key.contains("loader-")));
}

#[test]
fn what_makes_no_sense_is_refused() {
    for (settings, said) in [
        (json!({ "loader_manifests": ["redshift", "redshift"] }), "twice"),
        (
            json!({ "loader_manifests": ["symlink"], "sink": { "sqlserver": { "secret_arn": "a" } } }),
            "sink table",
        ),
    ] {
        let error = spec_with(settings).check().unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
    }
}
