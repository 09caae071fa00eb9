//! Views, synonyms, partitioned and temporal tables: each is copied as a table is, and its definition may change
//! between two windows.

use serde_json::{Value, json};
use tidemark::error::ErrorCode;
use tidemark::model::table::OnSchemaChange;
use tidemark_sqlserver::session::Server;
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

    // With one more column the copy goes on. With one less, a person has to decide.
    world.execute("alter view w as select id, v, name, v * 10 as more from t; insert into t values (6, 6, 'f')");
    assert_eq!(view.run().await.committed[0].rows, 1);
    assert_eq!(view.lines(), ["1,1,a", "3,3,c", "4,4,d", "5,5,e", "6,6,f,60"]);
    world.execute("alter view w as select id, v from t; insert into t values (7, 7, 'g')");
    let failed = view.try_run().await.failed;
    assert!(
        failed[0].error == ErrorCode::SchemaMismatch && failed[0].cause.contains("name is gone"),
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
    // A synonym may stand for another table from one window to the next.
    world
        .execute("create table u (v int, id int); insert into u values (9, 7); drop synonym s; create synonym s for u");
    assert_eq!(synonym.run().await.committed[0].rows, 1);
    assert_eq!(synonym.lines(), ["1,1", "2,2", "3,3", "7,9"]);
}

/// Rows of the other table at or below the watermark are not read. Whether they are new, the server does not know.
#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_stands_for_another_table_than_before_is_noted_and_refused_by_who_takes_no_change() {
    let world = World::new(TABLE).await;
    world.execute("create synonym s for dbo.t");
    let swaps = [
        (
            "t",
            "drop table t; create table t (id int primary key, v int, name nvarchar(9)); insert into t values (9, 9, 'i')",
        ),
        (
            "s",
            "create table u (id int primary key, v int, name nvarchar(9)); insert into u values (9, 99, 'j'); drop synonym s; \
               create synonym s for u",
        ),
    ];
    for (name, swap) in swaps {
        let mut table = copy(&world, name, &json!({}));
        assert!(table.run().await.committed[0].rows > 0);
        assert!(table.plan().await.notes.is_empty());
        world.execute(swap);
        let mut strict = table.spec.clone();
        strict.on_schema_change = Some(OnSchemaChange::Fail);
        let taken = std::mem::replace(&mut table.spec, strict);
        let failed = table.plan().await.failed;
        assert!(
            failed[0].cause.contains("stands for another table"),
            "{name}: {failed:?}"
        );
        table.spec = taken;
        let notes = table.plan().await.notes;
        assert!(
            notes[0].schema_changes[0].contains("stands for another table"),
            "{name}: {notes:?}"
        );
        table.run().await;
        assert!(table.plan().await.notes.is_empty(), "it is told once");
    }
}

/// The stored watermark is a value of the column before. Rows of the table that are not above it in the new column would
/// never be copied.
#[tokio::test(flavor = "multi_thread")]
async fn another_watermark_column_of_the_same_type_is_refused_or_loads_the_table_anew() {
    let world =
        World::new("create table t (id int primary key, v int, w int); insert into t values (1, 10, 1), (2, 20, 2)")
            .await;
    let mut table = copy(&world, "t", &json!({}));
    assert_eq!(table.run().await.committed[0].rows, 2);
    world.execute("insert into t values (3, 30, 30), (4, 40, 4)");
    let by = |column: &str, policy: &str| {
        let settings = json!({
            "tracking": { "watermark": { "column": column, "settle_seconds": 0 } }, "on_schema_change": policy,
        });
        copy(&world, "t", &settings).spec
    };
    for policy in ["continue", "fail"] {
        table.spec = by("w", policy);
        let failed = table.plan().await.failed;
        assert!(
            failed[0].cause.contains("the watermark column is w and was v"),
            "{policy}: {failed:?}"
        );
    }
    table.spec = by("w", "reload");
    let committed = table.run().await.committed;
    assert_eq!((committed[0].rows, committed[0].window.as_str()), (4, "reinit-from-20"));
}

/// Returns whether the server was asked to sort all of a view since the statements were taken last.
fn has_sorted(world: &World) -> bool {
    let asked = world.sandbox.statements().join("\n").to_lowercase();
    asked.contains("order by [v]") || asked.contains("offset")
}

/// A view has no index of its own. Its windows are not sorted to be cut, because that would read all of it for every
/// cut.
#[tokio::test(flavor = "multi_thread")]
async fn a_window_of_a_view_is_one_slice_and_asks_for_no_order() {
    let world = World::new(TABLE).await;
    world.execute("create view w as select id, v from t; create synonym s for t");
    world.sandbox.statements();
    for name in ["w", "s"] {
        let mut view = copy(&world, name, &json!({ "slice_rows": null }));
        assert_eq!(view.plan().await.windows[0].slices, 1);
        assert!(!has_sorted(&world));
    }
    // As in the tutorials, the control table says of a table that was never copied that it was copied up to a value.
    world.execute(
        "create table watermarktable (TableName varchar(255), WatermarkValue int);
         insert into watermarktable values ('dbo.w', 1)\nGO
         create procedure usp_write_watermark @LastModifiedtime int, @TableName varchar(50) as begin
         update watermarktable set WatermarkValue = @LastModifiedtime where TableName = @TableName end",
    );
    let spec = json!({ "table": "w", "tracking": { "watermark": { "column": "v", "settle_seconds": 0 } } });
    let outcome = world.run("r", &serde_json::from_value(spec).unwrap()).await;
    assert_eq!((outcome.committed[0].rows, outcome.committed[0].objects), (2, 1));
    assert!(!has_sorted(&world));
}

/// A table of eight rows in three partitions. A count that joined the table with the catalog's rows of partitions would
/// count it three times.
const PARTITIONED: &str = "create partition function by_v (int) as range right for values (3, 6)\nGO
     create partition scheme by_v as partition by_v all to ([primary])\nGO
     create table p (id int not null, v int not null, name nvarchar(9), primary key (v, id)) on by_v (v)\nGO
     insert into p values (1, 1, 'a'), (2, 2, 'b'), (3, 3, 'c'), (4, 4, 'd'), (5, 5, 'e'), (6, 6, 'f'), (7, 7, 'g'), (8, 8, 'h')";

#[tokio::test(flavor = "multi_thread")]
async fn a_partitioned_table_is_counted_once_cut_and_copied_by_windows() {
    let world = World::new(PARTITIONED).await;
    let mut table = copy(&world, "p", &json!({ "slice_rows": 3 }));
    let first = table.run().await;
    assert_eq!((first.committed[0].rows, first.committed[0].objects), (8, 3));
    assert_eq!(table.lines().len(), 8);
    let inventory = Server::new(world.login()).inventory().await.unwrap();
    let found: Vec<_> = inventory
        .iter()
        .map(|table| (table.name.to_string(), table.rows, table.columns.len()))
        .collect();
    assert_eq!(found, [("dbo.p".to_owned(), Some(8), 3)]);
    assert_eq!(inventory[0].columns.iter().filter(|column| column.is_key).count(), 2);

    world.execute("insert into p values (9, 9, 'i'); alter table p add more int null");
    assert_eq!(table.run().await.committed[0].rows, 1);
    assert!(table.lines().contains(&"9,9,i,".to_owned()), "{:?}", table.lines());
}

/// Its rows are in nonclustered indexes alone.
#[tokio::test(flavor = "multi_thread")]
async fn the_rows_of_a_memory_optimized_table_are_known_without_counting_them() {
    let world = World::new(
        "create table m (id int not null primary key nonclustered, v int) with (memory_optimized = on)\nGO
         create table h (id int); insert into m values (1, 1), (2, 2), (3, 3); insert into h values (1)",
    )
    .await;
    let inventory = Server::new(world.login()).inventory().await.unwrap();
    let rows: Vec<_> = inventory
        .iter()
        .map(|table| (table.name.to_string(), table.rows))
        .collect();
    assert_eq!(rows, [("dbo.h".to_owned(), Some(1)), ("dbo.m".to_owned(), Some(3))]);
    let mut sliced = copy(&world, "m", &json!({ "slice_rows": 2 }));
    assert_eq!(sliced.run().await.committed[0].rows, 3);
}

/// The index of the watermark column is divided among the partitions, so no index has the rows in its order: the server
/// would read and sort all of it for each cut, and read all of it for the maximum.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_partitioned_by_another_column_than_its_watermark_is_cut_by_its_key() {
    let world = World::new(
        "create partition function by_part (int) as range right for values (3, 6)\nGO
         create partition scheme by_part as partition by_part all to ([primary])\nGO
         create table p (id int not null, part int not null, v int not null, primary key (part, id)) on by_part (part)\nGO
         create index p_v on p (v)\nGO
         insert into p values (1, 1, 8), (2, 2, 7), (3, 3, 6), (4, 4, 5), (5, 5, 4), (6, 6, 3), (7, 7, 2), (8, 8, 1)",
    )
    .await;
    let mut table = copy(&world, "p", &json!({ "slice_rows": 3 }));
    world.sandbox.statements();
    let first = table.run().await;
    assert_eq!(first.committed[0].rows, 8);
    assert!(first.committed[0].objects > 1, "{first:?}");
    assert!(!world.sandbox.statements().join("\n").contains("ORDER BY [v]"));
    world.execute("insert into p values (9, 9, 9)");
    assert_eq!(table.run().await.committed[0].rows, 1);
    let asked = world.sandbox.statements().join("\n");
    assert!(asked.contains("MAX([v]) FROM [dbo].[p] WHERE [v] >= @B1"), "{asked}");
    // When nothing is left from the old watermark on, the whole column says that it was restored.
    world.execute("delete p where v > 5");
    let failed = table.try_run().await.failed;
    assert_eq!(failed[0].error, ErrorCode::WatermarkRegression, "{failed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_changes_of_a_partitioned_table_come_once() {
    let world = World::new(&format!(
        "{PARTITIONED}\nGO\nalter database current set change_tracking = on\nGO\nalter table p enable change_tracking"
    ))
    .await;
    let tracked = json!({ "tracking": { "change_tracking": {} }, "slice_rows": 3 });
    let mut table = copy(&world, "p", &tracked);
    let first = table.run().await;
    assert!(
        first.committed[0].rows == 8 && first.committed[0].objects > 1,
        "{first:?}"
    );
    // An update to another partition moves the key, which is a deletion and an insertion.
    world.execute("update p set v = 8 where id = 1; delete p where id = 2");
    assert_eq!(table.run().await.committed[0].rows, 3);
}

/// A temporal table, and the history that the server keeps of it.
const TEMPORAL: &str = "create table t (id int primary key, n int, since datetime2(3) generated always as row start hidden not null, \
     until datetime2(3) generated always as row end hidden not null, period for system_time (since, until)) \
     with (system_versioning = on (history_table = dbo.h))";

#[tokio::test(flavor = "multi_thread")]
async fn a_temporal_table_and_its_history_are_copied_each_by_its_own_end_of_the_period() {
    let world = World::new(TEMPORAL).await;
    let at = |moment: &str| world.sandbox.set_clock(moment, "UTC").unwrap();
    at("2026-05-01T10:00:00");
    world.execute("insert into t (id, n) values (1, 10), (2, 20), (3, 30)");
    let by = |column: &str| json!({ "tracking": { "watermark": { "column": column, "settle_seconds": 0 } } });
    // A row appears in the history when its time ends, and never changes there.
    let (mut table, mut history) = (copy(&world, "t", &by("since")), copy(&world, "h", &by("until")));
    assert_eq!(table.run().await.committed[0].rows, 3);
    assert_eq!(history.run().await.unchanged.len(), 1);

    at("2026-05-01T11:00:00");
    world.execute("update t set n = 11 where id = 1; delete t where id = 2");
    at("2026-05-01T11:00:01");
    assert_eq!(table.run().await.committed[0].rows, 1);
    assert_eq!(history.run().await.committed[0].rows, 2);
    assert_eq!(table.lines(), ["1,10", "1,11", "2,20", "3,30"]);
    let kept =
        |id: i32, n: i32, since: &str, until: &str| format!("{id},{n},2026-05-01 {since}.000,2026-05-01 {until}.000");
    let first = [kept(1, 10, "10:00:00", "11:00:00"), kept(2, 20, "10:00:00", "11:00:00")];
    assert_eq!(history.lines(), first);

    // A new column is in both tables.
    world.execute("alter table t add more int null");
    at("2026-05-01T12:00:00");
    world.execute("update t set n = 12, more = 5 where id = 1");
    at("2026-05-01T12:00:01");
    assert_eq!(table.run().await.committed[0].rows, 1);
    assert_eq!(history.run().await.committed[0].rows, 1);
    assert!(table.lines().contains(&"1,12,5".to_owned()), "{:?}", table.lines());
    assert_eq!(
        history.lines().last().map(String::as_str),
        Some("2,20,2026-05-01 10:00:00.000,2026-05-01 11:00:00.000")
    );
    assert!(
        history
            .lines()
            .contains(&format!("{},", kept(1, 11, "11:00:00", "12:00:00"))),
        "{:?}",
        history.lines()
    );
}
