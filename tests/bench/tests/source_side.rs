//! What the benchmark asks a source, and asks about it: on the stand-in, which has no views of sessions and locks.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use tidemark::model::rows::Rows;
use tidemark::model::table::TableSpec;
use tidemark::model::types::{Column, TypeName};
use tidemark::model::values::Values;
use tidemark::ports::rows::Explained;
use tidemark_bench::bare_drain;
use tidemark_bench::source_side::{SourceSide, as_batch, batch_of, measure, most_of_each};
use tidemark_bench::whole::Whole;
use tidemark_sqlserver::login::Login;
use tidemark_sqlserver::types;
use tidemark_tests::stand_in::World;

const TABLE: &str = "dbo.counted";

/// Makes a table of so many rows, and one column of it.
async fn world(rows: u64) -> (World, Vec<Column>) {
    let values: Vec<_> = (1..=rows).map(|id| format!("({id})")).collect();
    let script = format!(
        "CREATE TABLE {TABLE} (id bigint NOT NULL PRIMARY KEY); INSERT INTO {TABLE} VALUES {}",
        values.join(", ")
    );
    let spec = serde_json::json!({ "table": TABLE, "tracking": { "watermark": { "column": "id" } } });
    let wanted = serde_json::from_value::<TableSpec>(spec).unwrap().wanted_forms();
    let sql_type = TypeName::new("bigint").unwrap();
    let column = Column {
        name: "id".to_owned(),
        form: types::form(&sql_type, wanted).unwrap(),
        sql_type,
        nullable: false,
        values: Values::OfSource,
    };
    (World::new(&script).await, vec![column])
}

/// Returns the bytes of the answer to a batch.
fn drained(login: &Login, batch: &str) -> u64 {
    bare_drain::connect(login).unwrap().run(batch).unwrap()
}

#[test]
fn a_statement_is_run_with_its_values_as_parameters() {
    let statement = Explained {
        sql: "SELECT N'a' WHERE 1 = @P1 OR 2 = @P2".to_owned(),
        parameters: vec!["1".to_owned(), "it's".to_owned()],
    };
    assert_eq!(
        as_batch(&statement),
        "EXEC sp_executesql N'SELECT N''a'' WHERE 1 = @P1 OR 2 = @P2', N'@P1 nvarchar(4000), @P2 nvarchar(4000)', N'1', N'it''s'"
    );
    let without = Explained {
        sql: "SELECT 1".to_owned(),
        parameters: Vec::new(),
    };
    assert_eq!(as_batch(&without), "EXEC sp_executesql N'SELECT 1'");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_drained_is_the_statement_of_a_copy() {
    let (world, columns) = world(200).await;
    let (login, whole) = (world.login(), Whole::of(TABLE).unwrap());
    let all = Rows::Interval(whole.interval());
    let batch = batch_of(&all, &columns, &login).unwrap();
    let (of_all, of_none) = tokio::task::spawn_blocking({
        let (login, batch) = (login.clone(), batch.clone());
        move || {
            (
                drained(&login, &batch),
                drained(&login, &batch.replace("9223372036854775807", "0")),
            )
        }
    })
    .await
    .unwrap();
    // A row is a token, and eight bytes of a key that is not NULL.
    assert!(of_all - of_none >= 200 * 9, "{of_all} {of_none}");
    // The stand-in notes statements from now on.
    world.sandbox.statements();
    let slices = whole.slices(200, 4).unwrap();
    measure(&login, &whole.interval(), &columns, &slices).await.unwrap();
    let noted = world.sandbox.statements();
    // Two connections ask, and the reader has one session for all that it reads.
    let logins = noted.iter().filter(|statement| statement.starts_with("LOGIN"));
    assert_eq!(logins.count(), 3, "{noted:#?}");
    let text = batch.split('\'').nth(1).unwrap();
    assert!(
        noted.iter().any(|statement| statement.contains(text)),
        "{batch}\n{noted:#?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_tell_of_sessions_is_no_failure_and_is_said() {
    let (world, columns) = world(8).await;
    let whole = Whole::of(TABLE).unwrap();
    let slices = whole.slices(8, 4).unwrap();
    let found = measure(&world.login(), &whole.interval(), &columns, &slices)
        .await
        .unwrap();
    let text = found.text(slices.len());
    assert_eq!(text.matches("not told by this server: ").count(), 3, "{text}");
    let line = found.line("source", slices.len());
    for what in ["logical_reads_of_1_slice", "logical_reads_of_4_slices", "most_locks"] {
        let told = line[what].as_str().unwrap();
        assert!(told.starts_with("not told by this server: "), "{what}: {told}");
    }
}

#[test]
fn what_a_server_tells_is_in_the_line_and_in_the_text() {
    let locks = BTreeMap::from([("IS".to_owned(), 2), ("S".to_owned(), 1)]);
    let found = SourceSide {
        of_one_slice: Ok(1_000),
        of_slices: Ok(1_003),
        locks: Ok(locks),
    };
    let line = serde_json::json!({
        "name": "source", "logical_reads_of_1_slice": 1_000, "logical_reads_of_4_slices": 1_003,
        "most_locks": { "IS": 2, "S": 1 },
    });
    assert_eq!(found.line("source", 4), line);
    let text = found.text(4);
    assert!(text.contains("of 4 slices: 1003 pages"), "{text}");
    assert!(text.contains("locks at once: IS 2, S 1"), "{text}");
}

#[test]
fn the_most_locks_of_each_mode_are_kept() {
    let locks = |locks: &[(&str, i64)]| {
        locks
            .iter()
            .map(|(mode, count)| ((*mode).to_owned(), *count))
            .collect::<Vec<_>>()
    };
    let most = most_of_each(BTreeMap::new(), locks(&[("IS", 2), ("S", 1)]));
    let most = most_of_each(most, locks(&[("IS", 1), ("S", 5), ("Sch-S", 1)]));
    assert_eq!(
        most.into_iter().collect::<Vec<_>>(),
        locks(&[("IS", 2), ("S", 5), ("Sch-S", 1)])
    );
}

#[test]
fn slices_share_the_rows_evenly_and_leave_no_gap() {
    let slices = Whole::of(TABLE).unwrap().slices(10, 4).unwrap();
    let bounds = slices.iter().map(|slice| {
        let value = |bound: &Option<_>| {
            bound
                .as_ref()
                .map(|bound: &tidemark::model::watermark::Watermark| bound.value().to_owned())
        };
        (value(&slice.above), value(&slice.up_to))
    });
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(
        bounds.collect::<Vec<_>>(),
        [
            (None, text("2")),
            (text("2"), text("5")),
            (text("5"), text("7")),
            (text("7"), None)
        ]
    );
}
