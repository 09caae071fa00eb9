//! The cost of tables without changes in a run: their requests to the bucket and to the server, counted.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::BTreeMap;

use serde_json::json;
use tidemark::ledger::{Place, Pointers};
use tidemark::model::table::TableSpec;
use tidemark::ports::watermarks::MoveWatermarks;
use tidemark_sqlserver::session::Server;
use tidemark_tests::stand_in::{CONTROL_TABLE, World, shipped_control_table};

/// More tables than are asked for in one request to the catalog.
const TABLES: usize = 60;

fn specs(column: &str) -> Vec<TableSpec> {
    let specs = (0..TABLES).map(|table| {
        let tracking = json!({ "watermark": { "column": column, "settle_seconds": 0 } });
        serde_json::from_value(json!({ "table": format!("t{table}"), "tracking": tracking })).unwrap()
    });
    specs.collect()
}

/// Makes tables of one row, with watermarks of several kinds.
async fn world() -> World {
    let tables: String = (0..TABLES)
        .map(|table| {
            format!(
                "CREATE TABLE t{table} (id int NOT NULL, modified_at datetime2(3) NULL, rv rowversion);
                 INSERT INTO t{table} (id, modified_at) VALUES (1, '2017-09-01')\nGO\n"
            )
        })
        .collect();
    World::new(&format!("{CONTROL_TABLE}\nGO\n{tables}")).await
}

/// What it took to look for changes in tables that have none.
#[derive(Debug)]
struct Cost {
    /// Requests to the bucket, by method.
    requests: BTreeMap<String, usize>,
    /// Requests to the server, including that of the connection.
    statements: Vec<String>,
}

impl Cost {
    fn reads(&self) -> usize {
        self.requests.values().sum()
    }

    /// Counts the requests with this text.
    fn statements_with(&self, text: &str) -> usize {
        self.statements.iter().filter(|sql| sql.contains(text)).count()
    }
}

async fn idle<W: MoveWatermarks>(world: &World, watermarks: &W, column: &str) -> Cost {
    let (source, store) = (Server::new(world.login()), world.s3.store());
    let mut pipeline = world.steps(&source, watermarks, &store);
    let specs = specs(column);
    let first = Box::pin(pipeline.run("first", &specs)).await.unwrap();
    assert_eq!(first.committed.len(), TABLES, "{:?}", first.failed);
    let requests = world.s3.faults().requests().len();
    // The stand-in notes statements from now on.
    world.sandbox.statements();
    let planned = pipeline.plan("idle", &specs).await.unwrap();
    assert_eq!(planned.unchanged.len(), TABLES, "{planned:?}");
    let mut by_method = BTreeMap::new();
    for request in &world.s3.faults().requests()[requests..] {
        let method = request.split(' ').next().unwrap();
        *by_method.entry(method.to_owned()).or_default() += 1;
    }
    let mut statements = world.sandbox.statements();
    statements.retain(|statement| statement != "LOGIN");
    Cost {
        requests: by_method,
        statements,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_without_changes_costs_one_statement_and_one_read_where_the_control_table_keeps_watermarks() {
    let world = world().await;
    let watermarks = shipped_control_table(Server::new(world.login()));
    let cost = idle(&world, &watermarks, "modified_at").await;
    assert_eq!(cost.requests, [("GET".to_owned(), TABLES)].into());
    assert_eq!(cost.statements_with("MAX([modified_at])"), TABLES);
    // One request asks for the watermarks of all tables, and two ask the catalog about all of them.
    assert_eq!(cost.statements_with("[w].[TableName]"), 1);
    assert_eq!(cost.statements_with("sys.columns"), 2);
    // One asks whether the server's clock goes back, because the columns have no time zone.
    assert_eq!(cost.statements_with("sys.time_zone_info"), 1);
    assert_eq!(cost.statements.len(), TABLES + 4, "{:#?}", cost.statements);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_without_changes_costs_one_statement_and_two_reads_where_the_bucket_keeps_watermarks() {
    let world = world().await;
    let store = world.s3.store();
    let cost = idle(&world, &Pointers::new(Place::new(&store, "tidemark")), "rv").await;
    assert_eq!(
        (cost.requests.get("GET"), cost.reads()),
        (Some(&(2 * TABLES)), 2 * TABLES)
    );
    assert_eq!(cost.statements_with("MIN_ACTIVE_ROWVERSION()"), TABLES);
    assert_eq!(cost.statements.len(), TABLES + 2, "{:#?}", cost.statements);
}
