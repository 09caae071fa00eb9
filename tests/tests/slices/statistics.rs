//! Large tables are cut by the server's statistics.

use std::collections::BTreeMap;

use serde_json::json;
use tidemark::ledger::{Place, Pointers};
use tidemark::model::plan::Plan;
use tidemark::model::table::TableSpec;
use tidemark::testing::faults::{Gate, Gated};
use tidemark_sandbox::{Action, Fault, SqlError};
use tidemark_sqlserver::rows::RowReader;
use tidemark_sqlserver::session::Server;
use tidemark_tests::stand_in::World;

use crate::world::{PREFIX, part_rows, plan, run, spec, steps};

/// Plans a first load. Returns the plan, and how often each question was asked for it.
async fn plan_counted(world: &World, spec: &TableSpec) -> (Plan, BTreeMap<&'static str, usize>) {
    let (server, store, gate) = (Server::new(world.login()), world.s3.store(), Gate::default());
    let source = Gated::new(&gate, &server);
    let pointers = Pointers::new(Place::new(&store, PREFIX));
    let pipeline = steps(&source, RowReader::new(world.login()), &pointers, &store);
    let planned = pipeline.plan("r", std::slice::from_ref(spec)).await.unwrap();
    assert!(planned.failed.is_empty(), "{:?}", planned.failed);
    let mut asked = BTreeMap::new();
    for name in gate.calls() {
        *asked.entry(name).or_default() += 1;
    }
    (plan(world, spec, &planned.windows[0].window).await, asked)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_table_is_planned_by_its_statistics_whatever_the_type() {
    let world = World::new("").await;
    for (number, (sql_type, value)) in [
        ("int", "value * 7"),
        ("decimal(12,3)", "value * 0.125"),
        ("date", "dateadd(day, value, '1990-01-01')"),
        ("datetime", "dateadd(second, value, '2017-01-01')"),
        ("datetime2(7)", "dateadd(second, value, '2017-01-01')"),
        ("datetimeoffset(3)", "dateadd(second, value, '2017-01-01')"),
    ]
    .into_iter()
    .enumerate()
    {
        let table = format!("t{number}");
        world.execute(&format!(
            "create table {table} (id int not null, v {sql_type});
             insert into {table} select value, {value} from generate_series(1, 3000); create index ix on {table} (v)"
        ));
        let spec = spec(&table, 300, &json!({}));
        let (plan, asked) = plan_counted(&world, &spec).await;
        assert_eq!(
            (asked["histogram"], asked["nth_watermark"]),
            (1, 1),
            "{sql_type}: {asked:?}"
        );
        let (outcome, _) = run(&world, "r", &spec).await;
        assert_eq!(outcome.committed[0].rows, 3_000, "{sql_type}");
        let sizes = part_rows(&world, &spec, &plan.window).await;
        let (last, others) = sizes.split_last().unwrap();
        assert!(
            others.iter().all(|size| (150..=300).contains(size)),
            "{sql_type}: {sizes:?}"
        );
        assert!(*last <= 300 + 1, "{sql_type}: {sizes:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rowversions_and_keys_are_planned_by_statistics_too() {
    let world = World::new(
        "create table r (id int not null, v rowversion); insert into r (id) select value from generate_series(1, 3000);
         create index ix on r (v);
         create table k (id uniqueidentifier primary key, v int);
         insert into k select newid(), 1 from generate_series(1, 3000); update statistics k with fullscan",
    )
    .await;
    for (table, steps_over) in [("r", "nth_watermark"), ("k", "nth_key")] {
        let spec = spec(table, 300, &json!({}));
        let (plan, asked) = plan_counted(&world, &spec).await;
        assert_eq!((asked["histogram"], asked[steps_over]), (1, 1), "{table}: {asked:?}");
        let (outcome, _) = run(&world, "r", &spec).await;
        assert_eq!(outcome.committed[0].rows, 3_000, "{table}");
        let sizes = part_rows(&world, &spec, &plan.window).await;
        assert!(
            sizes.len() >= 10 && sizes.iter().all(|&size| size <= 300 + 1),
            "{table}: {sizes:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stale_statistics_still_give_bounded_slices() {
    let world = World::new(
        "create table t (id int not null, v int); insert into t select value, value from generate_series(1, 500);
         create index ix on t (v); insert into t select value, value from generate_series(501, 3000);
         insert into t select value, 250 from generate_series(3001, 3150)",
    )
    .await;
    let spec = spec("t", 300, &json!({}));
    let (_, asked) = plan_counted(&world, &spec).await;
    // The 2,500 rows that came since are stepped through.
    assert!((8..=11).contains(&asked["nth_watermark"]), "{asked:?}");
    let (outcome, plan) = run(&world, "r", &spec).await;
    assert_eq!(outcome.committed[0].rows, 3_150);
    let sizes = part_rows(&world, &spec, &plan.window).await;
    assert!(sizes.iter().all(|&size| size <= 300), "{sizes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_tell_its_statistics_is_asked_for_the_values_themselves() {
    let world = World::new("").await;
    for (table, text, number) in [("a", "sys.stats", 229), ("b", "dm_db_stats_histogram", 208)] {
        world.execute(&format!(
            "create table {table} (id int not null, v int);
             insert into {table} select value, value from generate_series(1, 3000); create index ix on {table} (v)"
        ));
        world.sandbox.inject(Fault {
            text: text.into(),
            after_rows: None,
            action: Action::Error(SqlError::new(number, "No.")),
            times: 1,
        });
        let spec = spec(table, 300, &json!({}));
        let (plan, asked) = plan_counted(&world, &spec).await;
        assert_eq!(
            (plan.slices.len(), asked["nth_watermark"]),
            (10, 10),
            "{text}: {asked:?}"
        );
    }
}
