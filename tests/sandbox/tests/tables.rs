//! Table types, table variables, table-valued parameters, MERGE, bulk loads and application locks.
#![allow(clippy::panic, clippy::unwrap_used)]

mod common;

use common::{Case, Tiberius, all, ask, connect, number, sandbox};
use tiberius::numeric::Numeric;
use tiberius::{ColumnData, SqlBulkCopyOption, TokenRow};

#[test]
fn the_period_of_a_row_is_the_servers_to_write() {
    let table = "CREATE TABLE t (id int PRIMARY KEY, v int, since datetime2 GENERATED ALWAYS AS ROW START NOT NULL,
                 until datetime2(0) GENERATED ALWAYS AS ROW END NOT NULL, PERIOD FOR SYSTEM_TIME (since, until))";
    all(
        &sandbox(),
        &[
            (
                "CREATE TABLE t (a int, b datetime2 GENERATED ALWAYS AS ROW START)",
                Err(13509),
            ),
            (table, Ok("")),
            (
                "INSERT t (id, v) VALUES (1, 1); INSERT t VALUES (2, 2, DEFAULT, DEFAULT); SELECT COUNT(*), MIN(until) FROM t \
                 WHERE since BETWEEN DATEADD(minute, -1, SYSUTCDATETIME()) AND SYSUTCDATETIME()",
                Ok("2|9999-12-31 23:59:59"),
            ),
            ("INSERT t (id, since) VALUES (3, '2020-01-01')", Err(13536)),
            ("UPDATE t SET until = '2020-01-01'", Err(13537)),
            (
                "DECLARE @then datetime2 = SYSUTCDATETIME(); UPDATE t SET v = 3 WHERE id = 1; SELECT id FROM t WHERE since >= @then",
                Ok("1"),
            ),
            (
                "SELECT name, generated_always_type FROM sys.columns WHERE object_id = OBJECT_ID('t') ORDER BY column_id",
                Ok("id|0\nv|0\nsince|1\nuntil|2"),
            ),
        ],
    );
}

/// Checks that what an update or a delete replaces goes into the history with the end of its time, and that a new
/// column is in both.
#[test]
fn the_history_of_a_table_has_what_its_rows_were() {
    let table =
        "CREATE TABLE t (id int PRIMARY KEY, v int, since datetime2(0) GENERATED ALWAYS AS ROW START HIDDEN NOT NULL,
                 until datetime2(0) GENERATED ALWAYS AS ROW END HIDDEN NOT NULL, PERIOD FOR SYSTEM_TIME (since, until))
                 WITH (SYSTEM_VERSIONING = ON (HISTORY_TABLE = dbo.h))";
    let kept = "SELECT h.id, h.v, CASE WHEN h.until = t.since THEN 1 ELSE 0 END FROM h LEFT JOIN t ON t.id = h.id ORDER BY h.id, h.v";
    all(
        &sandbox(),
        &[
            (
                "CREATE TABLE u (a int) WITH (SYSTEM_VERSIONING = ON (HISTORY_TABLE = dbo.h))",
                Err(13510),
            ),
            (table, Ok("")),
            (
                "INSERT t (id, v) VALUES (1, 10), (2, 20); SELECT COUNT(*) FROM h",
                Ok("0"),
            ),
            ("UPDATE t SET v = 11 WHERE id = 1; DELETE t WHERE id = 2", Ok("")),
            (kept, Ok("1|10|1\n2|20|0")),
            (
                "BEGIN TRAN; UPDATE t SET v = 12; ROLLBACK; SELECT COUNT(*) FROM h",
                Ok("2"),
            ),
            (
                "ALTER TABLE t ADD w int NULL; UPDATE t SET w = 1; SELECT * FROM h WHERE v = 11 AND w IS NULL AND 1 = 0",
                Ok(""),
            ),
            ("SELECT COUNT(*), COUNT(w) FROM h", Ok("3|0")),
            (
                "SELECT name, temporal_type, CASE WHEN history_table_id = OBJECT_ID('h') THEN 1 END FROM sys.tables ORDER BY name",
                Ok("h|1|NULL\nt|2|1"),
            ),
        ],
    );
}

#[test]
fn a_partitioned_table_has_a_row_for_each_partition_in_the_catalog() {
    let parts =
        "SELECT partition_number, rows FROM sys.partitions WHERE object_id = OBJECT_ID('t') ORDER BY partition_number";
    all(
        &sandbox(),
        &[
            (
                "CREATE PARTITION FUNCTION f(int) AS RANGE RIGHT FOR VALUES (10, 20); CREATE PARTITION SCHEME s AS PARTITION f ALL TO ([PRIMARY])",
                Ok(""),
            ),
            ("CREATE TABLE t (id int PRIMARY KEY, v int) ON s(id)", Ok("")),
            ("INSERT t VALUES (1, 1), (9, 1), (10, 1), (25, 1); ", Ok("")),
            (parts, Ok("1|2\n2|1\n3|1")),
            (
                "SELECT COUNT(*) FROM sys.partitions AS p JOIN sys.allocation_units AS a ON a.container_id = p.hobt_id",
                Ok("3"),
            ),
        ],
    );
}

#[test]
fn a_hidden_column_is_there_when_it_is_named() {
    let table = "CREATE TABLE t (id int PRIMARY KEY, since datetime2 GENERATED ALWAYS AS ROW START HIDDEN NOT NULL,
                 until datetime2 GENERATED ALWAYS AS ROW END HIDDEN NOT NULL, v int, PERIOD FOR SYSTEM_TIME (since, until))";
    all(
        &sandbox(),
        &[
            (table, Ok("")),
            ("INSERT t VALUES (1, 10); SELECT * FROM t", Ok("1|10")),
            ("SELECT t.*, s.* FROM t CROSS JOIN t AS s", Ok("1|10|1|10")),
            (
                "SELECT CASE WHEN since <= SYSUTCDATETIME() AND until > since THEN 1 ELSE 0 END, v FROM t",
                Ok("1|10"),
            ),
            (
                "DECLARE @v datetime2, @w int; SELECT @v = until, @w = v FROM t; SELECT @v, @w",
                Ok("9999-12-31 23:59:59.9999999|10"),
            ),
            (
                "MERGE t USING (SELECT * FROM t) AS s ON t.id = s.id WHEN MATCHED THEN UPDATE SET v = s.v + 1; SELECT v FROM t",
                Ok("11"),
            ),
            (
                "SELECT name, is_hidden, generated_always_type FROM sys.columns WHERE object_id = OBJECT_ID('t') ORDER BY column_id",
                Ok("id|0|0\nsince|1|1\nuntil|1|2\nv|0|0"),
            ),
        ],
    );
}

#[test]
fn a_view_is_its_query_and_a_synonym_is_another_name() {
    all(
        &sandbox(),
        &[
            ("CREATE TABLE t (id int PRIMARY KEY, v nvarchar(9)); INSERT t VALUES (1, 'a'), (2, 'b')", Ok("")),
            ("CREATE VIEW w AS SELECT id, v + '!' AS shown FROM t WHERE id > 1", Ok("")),
            ("CREATE SYNONYM s FOR dbo.w", Ok("")),
            ("SELECT * FROM w", Ok("2|b!")),
            ("SELECT s.shown FROM s", Ok("b!")),
            ("SELECT x.id FROM dbo.s AS x JOIN t ON t.id = x.id", Ok("2")),
            (
                "SELECT c.name, y.name, c.max_length FROM sys.columns AS c JOIN sys.types AS y ON y.user_type_id = c.user_type_id
                 WHERE c.object_id = OBJECT_ID('w') ORDER BY c.column_id",
                Ok("id|int|4\nshown|nvarchar|20"),
            ),
            ("SELECT name, type FROM sys.objects WHERE type <> 'U' ORDER BY name", Ok("s|SN\nw|V ")),
            ("SELECT COUNT(*) FROM sys.columns WHERE object_id = OBJECT_ID('s')", Ok("0")),
            ("ALTER VIEW w AS SELECT id FROM t", Ok("")),
            ("SELECT * FROM s", Ok("1\n2")),
            ("CREATE VIEW x AS SELECT id + 1 FROM t", Err(4511)),
            ("CREATE VIEW x AS SELECT id FROM nothing", Err(208)),
            ("DROP TABLE w", Err(3701)),
            ("DROP VIEW w; DROP SYNONYM s; SELECT COUNT(*) FROM sys.objects", Ok("1")),
        ],
    );
}

#[test]
fn a_table_variable_lives_as_long_as_its_batch() {
    all(
        &sandbox(),
        &[
            (
                "DECLARE @t TABLE (id int PRIMARY KEY, name varchar(10) DEFAULT 'x', twice AS id * 2);
                 INSERT @t (id) VALUES (2), (1);
                 UPDATE @t SET name = 'y' WHERE id = 2;
                 UPDATE v SET name = v.name + s.c FROM @t AS v JOIN (VALUES (1, 'z')) AS s(k, c) ON s.k = v.id;
                 DELETE FROM @t WHERE id = 7;
                 SELECT t.id, t.name, t.twice FROM @t AS t ORDER BY id",
                Ok("1|xz|2\n2|y|4"),
            ),
            ("DECLARE @t TABLE (id int); SELECT COUNT(*) FROM @t", Ok("0")),
            ("DECLARE @t TABLE (id int)\nGO\nSELECT * FROM @t", Err(1087)),
            ("DECLARE @t TABLE (id int); SELECT @t", Err(137)),
            (
                "DECLARE @t TABLE (id int PRIMARY KEY); INSERT @t VALUES (1), (1)",
                Err(2627),
            ),
            ("DECLARE @t int; SELECT * FROM @t", Err(1087)),
            // In brackets it is a name like any other, of a table and of a column.
            (
                "CREATE TABLE [@t] ([@P1] int, [x] int); INSERT [@t] ([@P1], x) VALUES (1, 2);
                 UPDATE [@t] SET [@P1] = [@P1] + 1; DECLARE @t TABLE (id int); SELECT [@P1], [@t].x FROM [@t]",
                Ok("2|2"),
            ),
            (
                "DECLARE @i int = 1, @t TABLE (id int); INSERT @t VALUES (@i); SELECT * INTO #c FROM @t; SELECT id FROM #c",
                Ok("1"),
            ),
        ],
    );
}

#[test]
fn a_table_type_is_created_found_and_dropped() {
    let sandbox = sandbox();
    all(
        &sandbox,
        &[
            (
                "CREATE TYPE dbo.Pair AS TABLE (a int NOT NULL PRIMARY KEY, b varchar(10))",
                Ok(""),
            ),
            ("CREATE TYPE Pair AS TABLE (a int)", Err(219)),
            ("CREATE TABLE Pair (a int)", Ok("")),
            ("CREATE TYPE x.Other AS TABLE (a int)", Err(2760)),
            ("CREATE TYPE Bad AS TABLE (a nonsense)", Err(2715)),
            ("CREATE TYPE Bad AS TABLE (a int, a int)", Err(2705)),
            ("CREATE TYPE Phone FROM varchar(20)", Err(40510)),
            (
                "SELECT t.name, t.is_table_type, c.name, TYPE.name FROM sys.table_types t
                 JOIN sys.columns c ON c.object_id = t.type_table_object_id
                 JOIN sys.types TYPE ON TYPE.user_type_id = c.user_type_id ORDER BY c.column_id",
                Ok("Pair|1|a|int\nPair|1|b|varchar"),
            ),
            (
                "SELECT name, system_type_id FROM sys.types WHERE is_user_defined = 1",
                Ok("Pair|243"),
            ),
            ("SELECT name FROM sys.objects WHERE type <> 'U'", Ok("")),
            (
                "CREATE PROCEDURE p @t Pair READONLY, @n int = 1 AS SELECT SUM(a) + @n FROM @t",
                Ok(""),
            ),
            (
                "SELECT p.name, p.is_readonly, t.name, t.is_table_type FROM sys.parameters p
                 JOIN sys.types t ON t.user_type_id = p.user_type_id ORDER BY p.parameter_id",
                Ok("@t|1|Pair|1\n@n|0|int|0"),
            ),
            (
                "DECLARE @p Pair; INSERT @p (a) VALUES (1), (2); EXEC p @p, @n = 4",
                Ok("7"),
            ),
            ("EXEC p", Ok("NULL")),
            ("EXEC p 5", Err(206)),
            ("DECLARE @p TABLE (a int, b varchar(10)); EXEC p @p", Err(206)),
            (
                "CREATE PROCEDURE q @n int AS SELECT @n\nGO\nDECLARE @p Pair; EXEC q @p",
                Err(206),
            ),
            ("CREATE PROCEDURE w @t Pair READONLY AS DELETE FROM @t", Ok("")),
            ("EXEC w", Err(10700)),
            ("CREATE PROCEDURE v @t Pair AS SELECT 1", Err(2715)),
            ("DROP PROCEDURE p; DROP PROCEDURE w", Ok("")),
        ],
    );
}

/// The rows before a merge.
const START: &str = "1|a|0\n2|b|0\n3|c|0";

/// Merges of `s` into `t`, and the rows after each.
const MERGES: &[Case] = &[
    (
        "MERGE INTO t USING s ON t.k = s.k WHEN MATCHED THEN UPDATE SET v = s.v, t.n = t.n + 1
             WHEN NOT MATCHED BY TARGET THEN INSERT (k, v) VALUES (s.k, s.v);",
        Ok("1|a|0\n2|B|1\n3|NULL|1\n4|D|9"),
    ),
    (
        "MERGE t AS x USING (SELECT k, v FROM s WHERE v IS NOT NULL) AS y ON x.k = y.k
             WHEN MATCHED AND x.k = 2 THEN DELETE WHEN NOT MATCHED BY SOURCE AND x.k > 1 THEN UPDATE SET n = 7;",
        Ok("1|a|0\n3|c|7"),
    ),
    (
        "MERGE t WITH (HOLDLOCK) AS x USING (VALUES (1, 'q'), (9, 'z')) AS y (k, v) ON x.k = y.k
             WHEN MATCHED THEN UPDATE SET v = y.v WHEN NOT MATCHED AND y.k < 5 THEN INSERT VALUES (y.k, y.v, 1)
             WHEN NOT MATCHED BY SOURCE THEN DELETE;",
        Ok("1|q|0"),
    ),
    // What an earlier clause changes is not matched again.
    (
        "MERGE t USING s ON t.k = s.k WHEN MATCHED THEN UPDATE SET k = t.k + 1
             WHEN NOT MATCHED THEN INSERT (k, v, n) VALUES (s.k, s.v, DEFAULT);",
        Ok("1|a|0\n3|b|0\n4|c|0\n4|D|9"),
    ),
    (
        "MERGE t USING s ON t.k = s.k WHEN MATCHED AND s.v IS NULL THEN DELETE WHEN MATCHED THEN UPDATE SET v = 'm';",
        Ok("1|a|0\n2|m|0"),
    ),
    ("MERGE t USING s ON 1 = 0 WHEN MATCHED THEN DELETE;", Ok(START)),
    (
        "MERGE t USING s ON t.k < s.k WHEN MATCHED THEN UPDATE SET n = 1;",
        Err(8672),
    ),
    ("MERGE t USING s ON t.k < s.k WHEN MATCHED THEN DELETE;", Err(8672)),
    ("MERGE t USING s ON t.k = s.k WHEN MATCHED THEN DELETE", Err(10713)),
    (
        "MERGE t USING s ON t.k = s.k WHEN MATCHED THEN INSERT VALUES (1, 'a', 1);",
        Err(10710),
    ),
    ("MERGE t USING s ON t.k = s.k WHEN NOT MATCHED THEN DELETE;", Err(10710)),
    (
        "MERGE t USING s ON t.k = s.k WHEN MATCHED THEN DELETE WHEN MATCHED THEN UPDATE SET n = 1;",
        Err(10714),
    ),
    (
        "MERGE t USING s ON t.k = s.k WHEN MATCHED THEN DELETE WHEN MATCHED AND 1 = 1 THEN UPDATE SET n = 1;",
        Err(5324),
    ),
    ("MERGE t USING t ON 1 = 1 WHEN MATCHED THEN DELETE;", Err(1013)),
    (
        "MERGE t USING nothing AS s ON 1 = 1 WHEN MATCHED THEN DELETE;",
        Err(208),
    ),
    ("MERGE t USING s ON t.k = s.nothing WHEN MATCHED THEN DELETE;", Err(207)),
    (
        "MERGE t USING s ON t.k = s.k WHEN MATCHED THEN DELETE OUTPUT inserted.k;",
        Err(40510),
    ),
];

#[test]
fn a_merge_matches_before_it_changes() {
    let fresh = || {
        let sandbox = sandbox();
        sandbox
            .execute(
                "CREATE TABLE t (k int, v varchar(10), n int NOT NULL DEFAULT 9)
                 INSERT t VALUES (1, 'a', 0), (2, 'b', 0), (3, 'c', 0)
                 CREATE TABLE s (k int, v varchar(10))
                 INSERT s VALUES (2, 'B'), (3, NULL), (4, 'D')",
            )
            .unwrap();
        sandbox
    };
    let merged = |merge: &str| ask(&fresh(), &format!("{merge}\nSELECT * FROM t ORDER BY k"));
    for (merge, want) in MERGES {
        assert_eq!(merged(merge), want.map(str::to_owned), "{merge}");
    }
    let sandbox = fresh();
    // The statement is all or nothing, inside a transaction too.
    let failing = "MERGE t USING (VALUES (1, 1), (5, NULL)) AS s(k, n) ON t.k = s.k WHEN MATCHED THEN UPDATE SET n = 5
                   WHEN NOT MATCHED THEN INSERT (k, n) VALUES (s.k, s.n);";
    assert_eq!(ask(&sandbox, failing), Err(515));
    assert_eq!(ask(&sandbox, "SELECT * FROM t ORDER BY k").unwrap(), START);
    let caught = format!(
        "BEGIN TRAN; UPDATE t SET n = 2 WHERE k = 3; BEGIN TRY {failing} END TRY BEGIN CATCH PRINT 'caught' END CATCH; COMMIT;
         SELECT * FROM t ORDER BY k"
    );
    assert_eq!(ask(&sandbox, &caught).unwrap(), "1|a|0\n2|b|0\n3|c|2");
    let counted = "MERGE t USING s ON t.k = s.k WHEN MATCHED THEN UPDATE SET n = 1
                   WHEN NOT MATCHED THEN INSERT (k, v) VALUES (s.k, s.v); SELECT @@ROWCOUNT, @@TRANCOUNT";
    assert_eq!(ask(&sandbox, counted).unwrap(), "3|0");
}

async fn load(
    client: &mut Tiberius,
    table: &str,
    columns: &[&str],
    rows: Vec<Vec<ColumnData<'static>>>,
) -> tiberius::Result<u64> {
    let options = SqlBulkCopyOption::KeepIdentity | SqlBulkCopyOption::KeepNulls;
    let mut request = client.bulk_insert_with_options(table, columns, options, &[]).await?;
    for values in rows {
        let mut row = TokenRow::new();
        for value in values {
            row.push(value);
        }
        request.send(row).await?;
    }
    Ok(request.finalize().await?.total())
}

#[tokio::test]
async fn a_bulk_load_that_declares_other_types_than_it_sends_is_refused() {
    use tiberius::time::{Date, DateTime2, DateTimeOffset, SmallDateTime, Time};
    let moment = |scale| DateTime2::new(Date::new(1), Time::new(1, scale));
    let sandbox = sandbox();
    let mut client = connect(&sandbox).await;
    // The driver sends a time without its digits, smalldatetime as datetime, and more than 2,000 characters as (max).
    let cases = [
        ("time(2)", ColumnData::Time(Some(Time::new(1, 2))), Some(4875)),
        ("time(7)", ColumnData::Time(Some(Time::new(1, 7))), None),
        (
            "datetimeoffset(0)",
            ColumnData::DateTimeOffset(Some(DateTimeOffset::new(moment(0), 0))),
            Some(4875),
        ),
        ("datetime2(0)", ColumnData::DateTime2(Some(moment(0))), None),
        (
            "smalldatetime NULL",
            ColumnData::SmallDateTime(Some(SmallDateTime::new(1, 1))),
            Some(4816),
        ),
        (
            "smalldatetime NOT NULL",
            ColumnData::SmallDateTime(Some(SmallDateTime::new(1, 1))),
            None,
        ),
        ("nvarchar(2001)", ColumnData::String(Some("a".into())), Some(4816)),
        ("nvarchar(2000)", ColumnData::String(Some("a".into())), None),
    ];
    for (at, (column, value, refused)) in cases.into_iter().enumerate() {
        sandbox
            .execute(&format!("CREATE TABLE t{at} (id int, c {column})"))
            .unwrap();
        let row = vec![ColumnData::I32(Some(1)), value];
        let loaded = load(&mut client, &format!("t{at}"), &["*"], vec![row]).await;
        assert_eq!(loaded.map_err(|e| number(&e)).err(), refused, "{column}");
        let there = if refused.is_none() { "1" } else { "0" };
        assert_eq!(ask(&sandbox, &format!("SELECT COUNT(*) FROM t{at}")).unwrap(), there);
    }
}

/// Returns one row with a value in every column of [`EVERY_TYPE`].
fn every_value() -> Vec<ColumnData<'static>> {
    use tiberius::time::{Date, DateTime, DateTime2, DateTimeOffset, SmallDateTime, Time};
    let text = |s: &'static str| ColumnData::String(Some(s.into()));
    let bytes = |b: &'static [u8]| ColumnData::Binary(Some(b.into()));
    let decimal = |n, scale| ColumnData::Numeric(Some(Numeric::new_with_scale(n, scale)));
    let moment = DateTime2::new(Date::new(3_652_058), Time::new(863_999_999_999, 7));
    vec![
        ColumnData::Bit(Some(true)),
        ColumnData::U8(Some(255)),
        ColumnData::I16(Some(i16::MIN)),
        ColumnData::I32(Some(i32::MIN)),
        ColumnData::I64(Some(i64::MIN)),
        decimal(-99_999_999_999_999_999_999_999_999_999_999_999_999, 10),
        ColumnData::F32(Some(1.5)),
        ColumnData::F64(Some(f64::MIN_POSITIVE)),
        ColumnData::Date(Some(Date::new(0))),
        ColumnData::Time(Some(Time::new(863_999_999_999, 7))),
        ColumnData::SmallDateTime(Some(SmallDateTime::new(65_535, 1439))),
        ColumnData::DateTime(Some(DateTime::new(-53_690, 1))),
        ColumnData::DateTime2(Some(moment)),
        ColumnData::DateTimeOffset(Some(DateTimeOffset::new(
            DateTime2::new(Date::new(736_572), Time::new(1, 7)),
            -840,
        ))),
        text("ab"),
        text("caf\u{e9}"),
        text(""),
        text("\u{6f22} "),
        text("\u{1f980}"),
        text("long"),
        bytes(&[1, 2]),
        bytes(&[]),
        bytes(&[0, 255]),
        ColumnData::Guid(Some("6F9619FF-8B86-D011-B42D-00C04FC964FF".parse().unwrap())),
    ]
}

const EVERY_TYPE: &str = "a bit, b tinyint, c smallint, d int, e bigint, f decimal(38,10), g real, h float, i date, j time(7),
    k smalldatetime NOT NULL, l datetime, m datetime2(7), n datetimeoffset(7), o char(3), p varchar(10), q varchar(max), r nchar(3),
    s nvarchar(10), t nvarchar(max), u binary(3), v varbinary(10), w varbinary(max), x uniqueidentifier";

const EVERY_TEXT: &str = "1|255|-32768|-2147483648|-9223372036854775808|-9999999999999999999999999999.9999999999|1.5\
    |0.000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000\
    000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000\
    000000000000000000000000000000000000000000000000000000000000000000022250738585072014|0001-01-01|23:59:59.9999999\
    |2079-06-06 23:59:00.000|1753-01-01 00:00:00.003|9999-12-31 23:59:59.9999999|2017-08-31 10:00:00.0000001 -14:00|ab |caf\u{e9}||\u{6f22}  \
    |\u{1f980}|long|0x010200|0x|0x00FF|6F9619FF-8B86-D011-B42D-00C04FC964FF";

#[tokio::test]
async fn a_bulk_load_keeps_every_type_in_permanent_and_temporary_tables() {
    let sandbox = sandbox();
    sandbox
        .execute(&format!("CREATE TABLE dbo.every ({EVERY_TYPE})"))
        .unwrap();
    let mut client = connect(&sandbox).await;
    let create = format!("CREATE TABLE #every ({EVERY_TYPE})");
    client.simple_query(create).await.unwrap().into_results().await.unwrap();
    let width = every_value().len();
    for table in ["[dbo].[every]", "#every"] {
        let nulls = client.column_metadata(table, &["*"]).await.unwrap();
        assert_eq!(nulls.len(), width);
        let rows = vec![every_value(), every_value()];
        assert_eq!(load(&mut client, table, &["*"], rows).await.unwrap(), 2, "{table}");
    }
    let moved = "INSERT dbo.every SELECT * FROM #every";
    assert_eq!(client.execute(moved, &[]).await.unwrap().total(), 2);
    let found = ask(&sandbox, "SELECT * FROM every").unwrap();
    assert_eq!(found.lines().count(), 4);
    for line in found.lines() {
        // A float as text is checked by its bits below.
        let (line, want): (Vec<&str>, Vec<&str>) = (line.split('|').collect(), EVERY_TEXT.split('|').collect());
        for at in (0..width).filter(|at| *at != 7) {
            assert_eq!(line[at], want[at], "column {at}");
        }
    }
    let row = client
        .query("SELECT TOP 1 h FROM #every", &[])
        .await
        .unwrap()
        .into_row()
        .await
        .unwrap()
        .unwrap();
    assert_eq!(row.get::<f64, _>(0), Some(f64::MIN_POSITIVE));
}

#[tokio::test]
async fn a_bulk_load_follows_the_rules_of_its_columns() {
    let sandbox = sandbox();
    sandbox
        .execute(
            "CREATE TABLE t (id int IDENTITY PRIMARY KEY, v varchar(3) NOT NULL, d int DEFAULT 5, c AS id * 2, rv rowversion)",
        )
        .unwrap();
    let mut client = connect(&sandbox).await;
    let text = |s: &'static str| ColumnData::String(Some(s.into()));
    // The identity column is kept when it is among the columns. The computed one and the rowversion are the server's.
    let kept = vec![ColumnData::I32(Some(7)), text("a"), ColumnData::I32(None)];
    assert_eq!(load(&mut client, "t", &["id", "v", "d"], vec![kept]).await.unwrap(), 1);
    assert_eq!(load(&mut client, "t", &["v"], vec![vec![text("b")]]).await.unwrap(), 1);
    assert_eq!(
        ask(&sandbox, "SELECT id, v, d, c FROM t ORDER BY id").unwrap(),
        "7|a|NULL|14\n8|b|5|16"
    );
    let again = vec![ColumnData::I32(Some(7)), text("a"), ColumnData::I32(None)];
    let failed = load(&mut client, "t", &["id", "v", "d"], vec![again]).await;
    assert_eq!(number(&failed.unwrap_err()), 2627);
    let failed = load(&mut client, "nothing", &["*"], Vec::new()).await;
    assert_eq!(number(&failed.unwrap_err()), 208);
    assert_eq!(ask(&sandbox, "SELECT COUNT(*) FROM t").unwrap(), "2");
    assert_eq!(
        ask(&sandbox, "SET IDENTITY_INSERT t ON; INSERT t (id, v) VALUES (9, 'c')").unwrap(),
        ""
    );
    assert_eq!(ask(&sandbox, "INSERT t (id, v) VALUES (10, 'c')"), Err(544));
}

#[tokio::test]
async fn an_application_lock_is_held_by_one_session_until_it_is_released_or_gone() {
    let sandbox = sandbox();
    let (mut one, mut two) = (connect(&sandbox).await, connect(&sandbox).await);
    let take = async |client: &mut Tiberius, resource: &str| {
        let sql = "DECLARE @r int; EXEC @r = sp_getapplock @Resource = @P1, @LockMode = 'Exclusive', @LockOwner = 'Session', @LockTimeout = 20; SELECT @r";
        let row = client
            .query(sql, &[&resource])
            .await
            .unwrap()
            .into_row()
            .await
            .unwrap()
            .unwrap();
        row.get::<i32, _>(0).unwrap()
    };
    assert_eq!(take(&mut one, "a").await, 0);
    assert_eq!(take(&mut one, "a").await, 0, "its own lock is granted again");
    assert_eq!(take(&mut two, "a").await, -1);
    assert_eq!(take(&mut two, "b").await, 0);
    let release = "EXEC sp_releaseapplock @Resource = 'a', @LockOwner = 'Session'";
    assert_eq!(number(&two.execute(release, &[]).await.unwrap_err()), 1223);
    one.execute(release, &[]).await.unwrap();
    assert_eq!(take(&mut two, "a").await, -1, "taken twice, released once");
    one.close().await.unwrap();
    let until = std::time::Instant::now() + std::time::Duration::from_secs(5);
    while take(&mut two, "a").await < 0 {
        assert!(
            std::time::Instant::now() < until,
            "the end of a session releases its locks"
        );
    }
    let transaction = two.execute("EXEC sp_getapplock 'c', 'Exclusive'", &[]).await;
    assert_eq!(number(&transaction.unwrap_err()), 40510);
}
