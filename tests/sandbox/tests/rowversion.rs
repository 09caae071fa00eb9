//! rowversion: the counter, the lowest active value, values and their conversions.
#![allow(clippy::unwrap_used)]

mod common;

use common::{all, ask, ask_in, connect, sandbox};

const TWO: &str = "SELECT CONVERT(varchar(18), @@DBTS, 1), CONVERT(varchar(18), MIN_ACTIVE_ROWVERSION(), 1)";

#[test]
fn the_counter_and_the_lowest_active_value_follow_microsofts_trace() {
    // The trace is on <https://learn.microsoft.com/en-us/sql/t-sql/functions/min-active-rowversion-transact-sql>.
    let s = sandbox();
    s.set_rowversion(0x7E2);
    s.execute("CREATE TABLE TestTable (RowID int, RowVersion)").unwrap_err();
    s.execute("CREATE TABLE TestTable (id int, rv rowversion)").unwrap();
    let two = |want: &str| assert_eq!(ask(&s, TWO), Ok(want.to_owned()));
    two("0x00000000000007E2|0x00000000000007E3");
    s.execute("INSERT TestTable (id) VALUES (1)").unwrap();
    two("0x00000000000007E3|0x00000000000007E4");
    let mut open = s.session().unwrap();
    open.execute("BEGIN TRAN; INSERT TestTable (id) VALUES (2)").unwrap();
    two("0x00000000000007E4|0x00000000000007E4");
    // The isolation level has no part in it, and the transaction sees what all see.
    assert_eq!(
        ask_in(&mut open, TWO),
        Ok("0x00000000000007E4|0x00000000000007E4".into())
    );
    open.execute("COMMIT").unwrap();
    two("0x00000000000007E4|0x00000000000007E5");
}

#[test]
fn a_lower_value_can_be_committed_after_a_higher_one() {
    let s = sandbox();
    s.execute("CREATE TABLE t (id int, rv rowversion)").unwrap();
    s.set_rowversion(99);
    let mut late = s.session().unwrap();
    late.execute("BEGIN TRAN; INSERT t (id) VALUES (100)").unwrap();
    s.execute("INSERT t (id) VALUES (101)").unwrap();
    let seen = "SELECT id, CAST(rv AS bigint), CAST(MIN_ACTIVE_ROWVERSION() AS bigint) FROM t ORDER BY rv";
    assert_eq!(ask(&s, seen), Ok("101|101|100".into()));
    // What another transaction begins meanwhile does not raise the lowest value, and neither does its end.
    let mut other = s.session().unwrap();
    other
        .execute("BEGIN TRAN; INSERT t (id) VALUES (102); ROLLBACK")
        .unwrap();
    assert_eq!(ask(&s, seen), Ok("101|101|100".into()));
    late.execute("COMMIT").unwrap();
    assert_eq!(ask(&s, seen), Ok("100|100|103\n101|101|103".into()));
}

#[test]
fn every_insert_and_update_takes_a_value_and_nobody_gives_one() {
    let s = sandbox();
    s.execute("CREATE TABLE t (id int, rv rowversion); CREATE TABLE u (id int, timestamp); CREATE TABLE n (id int, rv rowversion NULL)")
        .unwrap();
    s.set_rowversion(0);
    all(
        &s,
        &[
            ("INSERT t (id) VALUES (1), (2); SELECT id, rv FROM t", Ok("1|0x0000000000000001\n2|0x0000000000000002")),
            ("UPDATE t SET id = id WHERE id = 1; SELECT id, rv FROM t ORDER BY rv", Ok("2|0x0000000000000002\n1|0x0000000000000003")),
            ("INSERT u (id) VALUES (1); SELECT timestamp FROM u", Ok("0x0000000000000004")),
            ("INSERT u (id, timestamp) VALUES (2, DEFAULT); SELECT MAX(timestamp) FROM u", Ok("0x0000000000000005")),
            ("INSERT n (id) VALUES (1); SELECT rv FROM n", Ok("0x0000000000000006")),
            ("INSERT t (id, rv) VALUES (1, 0x01)", Err(273)),
            ("UPDATE t SET rv = 0x01", Err(272)),
            ("CREATE TABLE w (a rowversion, b rowversion)", Err(2738)),
            ("DELETE t WHERE id = 2; SELECT @@DBTS", Ok("0x0000000000000006")),
            ("SELECT * INTO copy FROM t; SELECT id, rv FROM copy", Ok("1|0x0000000000000003")),
            ("INSERT copy (id) VALUES (9); SELECT rv FROM copy WHERE id = 9", Ok("0x0000000000000007")),
            (
                "SELECT t.name, c.is_nullable, c.max_length FROM sys.columns c JOIN sys.types t ON t.user_type_id = c.user_type_id
                 WHERE c.name = 'rv' AND c.object_id IN (OBJECT_ID('copy'), OBJECT_ID('n')) ORDER BY c.object_id",
                Ok("timestamp|1|8\ntimestamp|0|8"),
            ),
        ],
    );
}

#[test]
fn values_compare_as_unsigned_bytes_and_convert() {
    let s = sandbox();
    s.execute("CREATE TABLE t (id int, rv rowversion); INSERT t (id) VALUES (0)")
        .unwrap();
    s.set_rowversion(0x7FFF_FFFF_FFFF_FFFE);
    s.execute("INSERT t (id) VALUES (1); INSERT t (id) VALUES (2)").unwrap();
    all(
        &s,
        &[
            (
                "SELECT id, CONVERT(varchar(18), CAST(rv AS binary(8)), 1), CAST(rv AS bigint) FROM t WHERE id > 0 ORDER BY rv",
                Ok("1|0x7FFFFFFFFFFFFFFF|9223372036854775807\n2|0x8000000000000000|-9223372036854775808"),
            ),
            (
                "SELECT MAX(rv), @@DBTS FROM t",
                Ok("0x8000000000000000|0x8000000000000000"),
            ),
            ("SELECT MIN_ACTIVE_ROWVERSION()", Ok("0x8000000000000001")),
            (
                "DECLARE @from nvarchar(18) = N'0x7FFFFFFFFFFFFFFF'; SELECT id FROM t WHERE rv > CONVERT(binary(8), @from, 1) AND rv < MIN_ACTIVE_ROWVERSION()",
                Ok("2"),
            ),
            (
                "DECLARE @from nvarchar(18) = N'0x8000000000000000'; SELECT id FROM t WHERE rv = CONVERT(binary(8), @from, 1)",
                Ok("2"),
            ),
            (
                "SELECT id FROM t WHERE rv >= CAST(0x8000000000000000 AS rowversion)",
                Ok("2"),
            ),
            (
                "SELECT CAST(CAST(258 AS bigint) AS rowversion), CAST(CAST(258 AS int) AS binary(8))",
                Ok("0x0000000000000102|0x0000000000000102"),
            ),
            ("SELECT CAST(CAST(-1 AS bigint) AS timestamp)", Ok("0xFFFFFFFFFFFFFFFF")),
            ("SELECT COUNT(*) FROM t a JOIN t b ON a.rv < b.rv", Ok("3")),
        ],
    );
}

#[tokio::test]
async fn drivers_are_told_a_timestamp_of_eight_bytes() {
    let s = sandbox();
    s.execute("CREATE TABLE t (id int, rv rowversion); INSERT t (id) VALUES (1)")
        .unwrap();
    let mut client = connect(&s).await;
    let rows = client
        .query("SELECT rv, @@DBTS AS last FROM t", &[])
        .await
        .unwrap()
        .into_first_result()
        .await
        .unwrap();
    let (rv, last): (&[u8], &[u8]) = (rows[0].get(0).unwrap(), rows[0].get(1).unwrap());
    assert_eq!(rv, 2001_u64.to_be_bytes());
    assert_eq!(rv, last);
    assert_eq!(rows[0].columns()[0].column_type(), tiberius::ColumnType::BigBinary);
}

#[test]
fn every_database_has_a_counter_of_its_own() {
    let s = sandbox();
    s.execute("CREATE DATABASE other\nGO\nUSE other\nGO\nCREATE TABLE t (id int, rv rowversion); INSERT t (id) VALUES (1), (2)")
        .unwrap();
    s.execute("CREATE TABLE t (id int, rv rowversion)").unwrap();
    s.set_rowversion(99);
    s.execute("INSERT t (id) VALUES (1); INSERT other.dbo.t (id) VALUES (3)")
        .unwrap();
    all(
        &s,
        &[
            ("SELECT CAST(MAX(rv) AS bigint) FROM t", Ok("100")),
            ("SELECT CAST(MAX(rv) AS bigint) FROM other.dbo.t", Ok("2003")),
            (
                "SELECT CAST(@@DBTS AS bigint), CAST(MIN_ACTIVE_ROWVERSION() AS bigint)",
                Ok("100|101"),
            ),
        ],
    );
}
