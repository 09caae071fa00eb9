//! Microsoft's tutorial for many tables.

use serde_json::json;
use tidemark::model::table::TableSpec;
use tidemark_tests::tutorial::many_tables;

use crate::world::{World, spec};

async fn the_tutorial(specs: [TableSpec; 2]) {
    let world = World::new(many_tables::SOURCE, many_tables::DESTINATION).await;
    let store = world.control_table();
    let first = world.run_with(&store, "r1", &specs).await.unwrap();
    let copied: Vec<_> = first
        .committed
        .iter()
        .map(|window| (window.rows, window.objects))
        .collect();
    assert_eq!(copied, [(5, 0), (3, 0)]);
    let customers = || world.rows("SELECT * FROM customer_table ORDER BY PersonID");
    let projects = || world.rows("SELECT * FROM project_table ORDER BY Creationtime");
    let watermarks = || world.rows("SELECT * FROM watermarktable ORDER BY TableName");
    assert_eq!(customers(), many_tables::CUSTOMERS);
    assert_eq!(projects(), many_tables::PROJECTS);
    assert_eq!(watermarks(), many_tables::WATERMARKS);

    world.source.execute(many_tables::CHANGES).unwrap();
    let second = world.run_with(&store, "r2", &specs).await.unwrap();
    let copied: Vec<_> = second.committed.iter().map(|window| window.rows).collect();
    assert_eq!(copied, [1, 1], "one row per table is read");
    assert_eq!(customers(), many_tables::CUSTOMERS_AFTER);
    assert_eq!(projects(), many_tables::PROJECTS_AFTER);
    assert_eq!(watermarks(), many_tables::WATERMARKS_AFTER);
    assert_eq!(world.run_with(&store, "r3", &specs).await.unwrap().unchanged.len(), 2);
    assert_eq!(world.rows("SELECT COUNT(*) FROM customer_table"), ["5"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tutorial_of_many_tables_comes_out_to_the_letter() {
    the_tutorial([
        spec("customer_table", "LastModifytime", json!({ "keys": ["PersonID"] })),
        spec("project_table", "Creationtime", json!({ "keys": ["Project"] })),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tutorials_procedures_are_handed_the_rows() {
    the_tutorial([
        spec(
            "customer_table",
            "LastModifytime",
            json!({ "procedure": "usp_upsert_customer_table", "table_type": "DataTypeforCustomerTable" }),
        ),
        spec(
            "project_table",
            "Creationtime",
            json!({ "procedure": "usp_upsert_project_table", "table_type": "DataTypeforProjectTable", "keys": ["Project"] }),
        ),
    ])
    .await;
}
