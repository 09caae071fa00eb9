//! Views and synonyms: what stands for a table is copied as one, and its definition may change between two windows.

use serde_json::{Value, json};
use tidemark_tests::stand_in::World;
use tidemark_tests::table_copy::TableCopy;

const TABLE: &str = "create table t (id int primary key, v int, name nvarchar(9)); insert into t values (1, 1, 'a'), (2, 2, 'b'), (3, 3, 'c')";

fn copy(world: &World, name: &str, more: &Value) -> TableCopy {
    let mut spec = json!({
        "table": name, "tracking": { "watermark": { "column": "v", "settle_seconds": 0 } }, "format": { "csv": { "header": false } },
        "slice_rows": 2,
    });
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    TableCopy::of(&world.login(), spec)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_is_copied_by_windows_and_follows_its_definition() {
    let world = World::new(TABLE).await;
    world.execute("create view w as select id, v, name from t where id <> 2");
    let mut view = copy(&world, "w", &json!({}));
    assert_eq!(view.run().await.committed[0].rows, 2);
    assert_eq!(view.lines(), ["1,1,a", "3,3,c"]);
    assert_eq!(view.run().await.unchanged.len(), 1);
    world.execute("insert into t values (4, 4, 'd'), (5, 5, 'e')");
    assert_eq!(view.run().await.committed[0].rows, 2);

    // A column more goes on by itself; one less is for a person to decide.
    world.execute("alter view w as select id, v, name, v * 10 as more from t; insert into t values (6, 6, 'f')");
    assert_eq!(view.run().await.committed[0].rows, 1);
    assert_eq!(view.lines(), ["1,1,a", "3,3,c", "4,4,d", "5,5,e", "6,6,f,60"]);
    world.execute("alter view w as select id, v from t; insert into t values (7, 7, 'g')");
    let failed = view.try_run().await.failed;
    assert!(
        failed[0].error == "SchemaMismatch" && failed[0].cause.contains("name is gone"),
        "{failed:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_synonym_is_copied_as_what_it_stands_for() {
    let world = World::new(TABLE).await;
    world.execute("create synonym s for dbo.t");
    let mut synonym = copy(&world, "s", &json!({ "columns": ["id", "V"] }));
    assert_eq!(synonym.run().await.committed[0].rows, 3);
    assert_eq!(synonym.lines(), ["1,1", "2,2", "3,3"]);
    // It may stand for another table from one window to the next.
    world
        .execute("create table u (v int, id int); insert into u values (9, 7); drop synonym s; create synonym s for u");
    assert_eq!(synonym.run().await.committed[0].rows, 1);
    assert_eq!(synonym.lines(), ["1,1", "2,2", "3,3", "7,9"]);
}

/// A view has no index of its own: its first load is not sorted to be cut, which would read all of it for every cut.
#[tokio::test(flavor = "multi_thread")]
async fn the_first_load_of_a_view_is_one_slice_and_asks_for_no_order() {
    let world = World::new(TABLE).await;
    world.execute("create view w as select id, v from t; ");
    world.sandbox.statements();
    let mut view = copy(&world, "w", &json!({ "slice_rows": null }));
    let planned = view.plan().await;
    assert_eq!(planned.windows[0].slices, 1);
    let asked = world.sandbox.statements().join("\n").to_lowercase();
    assert!(!asked.contains("order by [v]") && !asked.contains("offset"), "{asked}");
}
