//! Statistics are made with indexes and by `UPDATE STATISTICS`, and are stale otherwise.
#![allow(clippy::panic, clippy::unwrap_used)]

mod common;

use common::sandbox;
use tidemark_sandbox::Sandbox;

fn rows(sandbox: &Sandbox, sql: &str) -> Vec<String> {
    let sets = sandbox.execute(sql).unwrap();
    let rows = &sets.last().unwrap().rows;
    let text = |value: &Option<String>| value.clone().unwrap_or("NULL".into());
    rows.iter()
        .map(|row| row.iter().map(text).collect::<Vec<_>>().join("|"))
        .collect()
}

fn histogram(sandbox: &Sandbox, id: i32) -> Vec<String> {
    rows(
        sandbox,
        &format!(
            "SELECT step_number, range_high_key, CAST(range_rows AS int), CAST(equal_rows AS int), distinct_range_rows
             FROM sys.dm_db_stats_histogram(OBJECT_ID('t'), {id}) ORDER BY step_number"
        ),
    )
}

#[test]
fn a_histogram_is_of_the_rows_that_were_there_when_it_was_made() {
    let sandbox = sandbox();
    let run = |sql: &str| sandbox.execute(sql).map(drop).map_err(|error| error.number);
    run("create table t (id int primary key, v date); insert into t values (1, '2017-01-02'), (2, null), (3, '2017-01-02')").unwrap();
    run("create index ix on t (v, id)").unwrap();
    assert_eq!(
        rows(
            &sandbox,
            "SELECT s.name, s.stats_id, c.column_id FROM sys.stats s JOIN sys.stats_columns c
             ON c.object_id = s.object_id AND c.stats_id = s.stats_id
             WHERE s.object_id = OBJECT_ID('t') AND s.name = 'ix' ORDER BY c.stats_column_id"
        ),
        ["ix|2|2", "ix|2|1"]
    );
    // The key was made before the first row, the index after the third.
    assert_eq!(histogram(&sandbox, 1), [""; 0]);
    assert_eq!(histogram(&sandbox, 2), ["1|NULL|0|1|0", "2|2017-01-02|0|2|0"]);
    run("insert into t values (4, '2016-01-01')").unwrap();
    assert_eq!(histogram(&sandbox, 2).len(), 2);
    run("UPDATE STATISTICS t ix WITH FULLSCAN").unwrap();
    assert_eq!(histogram(&sandbox, 2).len(), 3);
    assert_eq!(histogram(&sandbox, 1), [""; 0]);
    run("UPDATE STATISTICS dbo.t").unwrap();
    assert_eq!(histogram(&sandbox, 1).len(), 4);
    assert_eq!(run("UPDATE STATISTICS t nothing"), Err(2767));
    assert!(run("SELECT * FROM sys.dm_db_stats_histogram(OBJECT_ID('t'))").is_err());
}

#[test]
fn many_values_are_two_hundred_steps_that_have_every_row() {
    let sandbox = sandbox();
    sandbox
        .execute(
            "create table t (v datetimeoffset(0)); insert into t
             select dateadd(minute, value, cast(case value % 2 when 0 then '2017-01-01 00:00 +02:00' else '2017-01-01 00:00 -05:00' end as datetimeoffset(0)))
             from generate_series(1, 5000); create index ix on t (v)",
        )
        .unwrap();
    assert_eq!(
        rows(
            &sandbox,
            "SELECT COUNT(*), CAST(SUM(range_rows + equal_rows) AS int) FROM sys.dm_db_stats_histogram(OBJECT_ID('t'), 2)
             HAVING COUNT(*) BETWEEN 150 AND 200"
        )
        .len(),
        1
    );
    // The keys are in the server's order, which is that of the moments.
    let keys = "SELECT range_high_key FROM sys.dm_db_stats_histogram(OBJECT_ID('t'), 2) ORDER BY";
    assert_eq!(
        rows(&sandbox, &format!("{keys} step_number")),
        rows(&sandbox, &format!("{keys} range_high_key"))
    );
}
