//! The results of statements, with values as text, one line per row, columns separated by `|`.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Case, all, sandbox};

/// Queries of the tables `a` and `b`.
const QUERIES: &[Case] = &[
    ("SELECT TOP (2) id FROM a ORDER BY id DESC", Ok("3\n2")),
    (
        "SELECT TOP 1 id, name FROM [dbo].[a] AS t WHERE t.[name] = 'ANN' ORDER BY 1",
        Ok("1|Ann"),
    ),
    (
        "SELECT name, COUNT(*), SUM(amount), MIN(at) FROM a GROUP BY name ORDER BY name",
        Ok("Ann|2|10.50|2020-01-01 00:00:00.000\nbob|1|5.25|2020-01-02 00:00:00.000"),
    ),
    (
        "SELECT a.id, b.note FROM a LEFT JOIN b ON b.a_id = a.id ORDER BY a.id, b.note",
        Ok("1|x\n1|y\n2|NULL\n3|NULL"),
    ),
    (
        "SELECT a.id, b.note FROM a FULL OUTER JOIN b ON b.a_id = a.id WHERE a.id IS NULL",
        Ok("NULL|z"),
    ),
    ("SELECT id FROM a WHERE amount > 5.3", Ok("1")),
    (
        "SELECT id FROM a WHERE amount IN (5.25, 10.5) AND name LIKE 'B%'",
        Ok("2"),
    ),
    (
        "SELECT id FROM a WHERE EXISTS (SELECT 1 FROM b WHERE b.a_id = a.id)",
        Ok("1"),
    ),
    ("SELECT id FROM a WHERE id IN (SELECT a_id FROM b)", Ok("1")),
    (
        "SELECT id FROM a WHERE id NOT BETWEEN 2 AND 3 OR at IS NULL ORDER BY id",
        Ok("1\n3"),
    ),
    ("SELECT d.n FROM (SELECT COUNT(*) AS n FROM a) d", Ok("3")),
    (
        "SELECT id FROM a UNION ALL SELECT a_id FROM b ORDER BY 1",
        Ok("1\n1\n1\n2\n3\n9"),
    ),
    (
        "SELECT COUNT(*) FROM (SELECT name FROM a UNION SELECT N'BOB') u",
        Ok("2"),
    ),
    (
        "WITH c AS (SELECT id FROM a WHERE id > 1) SELECT MAX(id) FROM c",
        Ok("3"),
    ),
    (
        "SELECT id FROM a ORDER BY id OFFSET 1 ROWS FETCH NEXT 1 ROWS ONLY",
        Ok("2"),
    ),
    ("SELECT value FROM GENERATE_SERIES(1, 3)", Ok("1\n2\n3")),
    (
        "SELECT ROW_NUMBER() OVER (PARTITION BY name ORDER BY id) FROM a ORDER BY id",
        Ok("1\n1\n2"),
    ),
    (
        "SELECT COUNT_BIG(*), COUNT(amount), COUNT(DISTINCT name) FROM a",
        Ok("3|2|2"),
    ),
    ("SELECT name FROM a GROUP BY name HAVING COUNT(*) > 1", Ok("Ann")),
    (
        "SELECT v.x FROM (VALUES (1, 'a'), (2, 'b')) AS v(n, x) WHERE v.n = 2",
        Ok("b"),
    ),
    (
        "SELECT (SELECT MAX(note) FROM b WHERE a_id = a.id) FROM a WHERE id = 1",
        Ok("y"),
    ),
    ("SELECT name, id FROM a GROUP BY name", Err(8120)),
    ("SELECT id FROM a WHERE COUNT(*) > 1", Err(147)),
    ("SELECT nope FROM a", Err(207)),
    ("SELECT a.nope FROM a", Err(207)),
    ("SELECT q.id FROM a", Err(4104)),
    ("SELECT id FROM a JOIN b ON a.id = b.a_id WHERE id = note", Err(245)),
    ("SELECT * FROM nosuch", Err(208)),
    ("SELECT * FROM nodb.dbo.a", Err(208)),
    (
        "SELECT * FROM tidemark..a WHERE id = 2",
        Ok("2|bob|5.25|2020-01-02 00:00:00.000"),
    ),
    ("SELEC 1", Err(2812)),
    ("SELECT 1 FROM", Err(102)),
    ("SELECT * FORM a", Err(102)),
    ("SELECT * FROM a WHERE", Err(102)),
    ("SELECT * FROM a CROSS APPLY (SELECT 1 AS x) q", Err(40510)),
];

#[test]
fn queries_join_group_order_and_limit() {
    let s = sandbox();
    s.execute(
        "CREATE TABLE dbo.a (id int NOT NULL PRIMARY KEY, name nvarchar(20), amount decimal(10,2), at datetime2(3));
         INSERT INTO a VALUES (1, N'Ann', 10.50, '2020-01-01'), (2, N'bob', 5.25, '2020-01-02'), (3, N'ann', NULL, NULL);
         CREATE TABLE b (a_id int, note varchar(10)); INSERT b (a_id, note) VALUES (1, 'x'), (1, 'y'), (9, 'z');",
    )
    .unwrap();
    all(&s, QUERIES);
}

#[test]
fn keys_are_unique_when_all_rows_of_an_update_are_changed() {
    all(
        &sandbox(),
        &[
            (
                "CREATE TABLE t (id int PRIMARY KEY, u int NULL CONSTRAINT uq_u UNIQUE); INSERT t VALUES (1, 1), (2, 2), (3, NULL);
                 UPDATE t SET id = id + 1; SELECT id FROM t ORDER BY id",
                Ok("2\n3\n4"),
            ),
            ("UPDATE t SET u = 3 - u; SELECT u FROM t ORDER BY id", Ok("2\n1\nNULL")),
            ("UPDATE t SET id = 7, u = 0 WHERE id < 4", Err(2627)),
            ("SELECT id, u FROM t ORDER BY id", Ok("2|2\n3|1\n4|NULL")),
            ("INSERT t VALUES (4, 9)", Err(2627)),
            ("INSERT t VALUES (9, NULL)", Err(2627)),
        ],
    );
}

#[test]
fn a_bare_null_goes_into_a_column_of_any_type() {
    all(
        &sandbox(),
        &[
            (
                "CREATE TABLE d (id int, at date, t time, x int); CREATE TABLE s (id int, n int); INSERT s VALUES (1, 2);
                 INSERT d SELECT id, NULL, NULL, n FROM s; INSERT d (at, id, x, t) (SELECT NULL, *, NULL FROM s);
                 SELECT id, at, t, x FROM d",
                Ok("1|NULL|NULL|2\n1|NULL|NULL|2"),
            ),
            // In a set operation, a bare NULL is an int.
            ("INSERT d (id, at) SELECT 1, NULL UNION ALL SELECT 2, NULL", Err(206)),
            ("INSERT d (at) SELECT n FROM s", Err(206)),
        ],
    );
}

/// Changes of the table `t`, and of its copy.
const CHANGES: &[Case] = &[
    (
        "INSERT INTO t (name, price, code) VALUES ('a', 1.5, 'a'), ('b', 2, 'b'); SELECT id, twice FROM t ORDER BY id",
        Ok("10|20\n15|30"),
    ),
    (
        "INSERT INTO t (code) VALUES ('x'); SELECT @@ROWCOUNT, MAX(id) FROM t",
        Ok("1|20"),
    ),
    ("INSERT INTO t (code) VALUES ('x')", Err(2627)),
    (
        "INSERT INTO t (code) VALUES (NULL); SELECT COUNT(*) FROM t WHERE code IS NULL",
        Ok("1"),
    ),
    ("INSERT INTO t (code) VALUES (NULL)", Err(2627)),
    ("DELETE FROM t WHERE code IS NULL; SELECT @@ROWCOUNT", Ok("1")),
    ("INSERT INTO t (name) VALUES (NULL)", Err(515)),
    ("INSERT INTO t (name, code) VALUES ('toolong', 'y')", Err(2628)),
    ("INSERT INTO t (id, code) VALUES (1, 'q')", Err(544)),
    (
        "SET IDENTITY_INSERT t ON; INSERT INTO t (id, code, name) VALUES (1, 'q', 'i'); SET IDENTITY_INSERT t OFF; SELECT name FROM t WHERE id = 1",
        Ok("i"),
    ),
    (
        "UPDATE t SET name = 'c', price += 1 WHERE id = 10; SELECT name, price, @@ROWCOUNT FROM t WHERE id = 10",
        Ok("c|2.5000|1"),
    ),
    (
        "UPDATE x SET x.name = v.n FROM t AS x JOIN (VALUES (10, 'j')) AS v(i, n) ON v.i = x.id; SELECT name FROM t WHERE id = 10",
        Ok("j"),
    ),
    ("UPDATE t SET id = 5", Err(8102)),
    ("UPDATE t SET twice = 5", Err(271)),
    ("UPDATE t SET rv = 0x00", Err(272)),
    ("DELETE t WHERE id = 15; SELECT @@ROWCOUNT", Ok("1")),
    ("DELETE x FROM t x WHERE x.id = 20; SELECT COUNT(*) FROM t", Ok("2")),
    ("SELECT CASE WHEN MAX(rv) = @@DBTS THEN 1 ELSE 0 END FROM t", Ok("1")),
    ("TRUNCATE TABLE t; SELECT COUNT(*) FROM t", Ok("0")),
    ("INSERT INTO t VALUES ('a')", Err(213)),
    ("INSERT INTO t (name) VALUES ('a', 'b')", Err(110)),
    ("INSERT INTO t (code) VALUES ('d'); SELECT id, name FROM t", Ok("10|n")),
    ("SELECT id, name INTO copy FROM t; SELECT * FROM copy", Ok("10|n")),
    (
        "CREATE TABLE #tmp (a int); INSERT #tmp VALUES (1), (2); SELECT SUM(a) FROM #tmp",
        Ok("3"),
    ),
    (
        "ALTER TABLE copy ADD extra decimal(5,1) NOT NULL DEFAULT 1.5; SELECT extra FROM copy",
        Ok("1.5"),
    ),
    ("ALTER TABLE copy DROP COLUMN name; SELECT * FROM copy", Ok("10|1.5")),
    (
        "CREATE UNIQUE INDEX ix ON copy (id DESC); INSERT INTO copy (id) VALUES (10)",
        Err(2601),
    ),
    ("DROP TABLE copy; SELECT OBJECT_ID('copy')", Ok("NULL")),
    ("DROP TABLE copy", Err(3701)),
    ("DROP TABLE IF EXISTS copy", Ok("")),
    ("CREATE TABLE t (a int)", Err(2714)),
    ("CREATE TABLE u (a nosuchtype)", Err(2715)),
];

#[test]
fn changes_identity_defaults_and_keys() {
    let s = sandbox();
    s.execute(
        "CREATE TABLE t (id int IDENTITY(10, 5) PRIMARY KEY, name varchar(5) NOT NULL DEFAULT 'n', made datetime2 DEFAULT SYSUTCDATETIME(),
           rv rowversion, twice AS (id * 2), price money, code char(2) NULL CONSTRAINT uq_code UNIQUE)",
    )
    .unwrap();
    all(&s, CHANGES);
}

/// Batches with a table `t`.
const BATCHES: &[Case] = &[
    (
        "DECLARE @a int = 1, @b nvarchar(10); SET @b = N'x'; SELECT @a += 1; SELECT @a, @b",
        Ok("2|x"),
    ),
    (
        "DECLARE @i int = 0; WHILE @i < 5 BEGIN SET @i = @i + 1; END SELECT @i",
        Ok("5"),
    ),
    ("IF EXISTS (SELECT 1 FROM t) SELECT 'yes' ELSE SELECT 'no'", Ok("no")),
    (
        "BEGIN TRAN; INSERT t VALUES (1); SELECT @@TRANCOUNT; ROLLBACK; SELECT COUNT(*), @@TRANCOUNT FROM t",
        Ok("0|0"),
    ),
    (
        "BEGIN TRAN; INSERT t VALUES (1); SAVE TRAN s; INSERT t VALUES (2); ROLLBACK TRAN s; COMMIT; SELECT COUNT(*) FROM t",
        Ok("1"),
    ),
    (
        "BEGIN TRY SELECT 1 / 0 END TRY BEGIN CATCH SELECT ERROR_NUMBER(), ERROR_MESSAGE() END CATCH",
        Ok("8134|Divide by zero error encountered."),
    ),
    (
        "BEGIN TRY THROW 50001, 'mine', 3 END TRY BEGIN CATCH SELECT ERROR_NUMBER(), ERROR_MESSAGE() END CATCH",
        Ok("50001|mine"),
    ),
    ("THROW 50001, 'mine', 3", Err(50001)),
    ("THROW 50000, 'mine', 3; DROP TABLE t", Err(50000)),
    ("SELECT COUNT(*) FROM t", Ok("1")),
    ("COMMIT", Err(3902)),
    ("SELECT @nope", Err(137)),
    ("SET NOPE ON", Err(195)),
    (
        "SET NOCOUNT, ANSI_NULLS ON; SET TRANSACTION ISOLATION LEVEL SNAPSHOT; SET LOCK_TIMEOUT 100; SELECT 1",
        Ok("1"),
    ),
    ("USE master; SELECT DB_NAME()", Ok("master")),
    ("USE nosuch", Err(911)),
    ("EXEC nosuch", Err(2812)),
    ("EXEC sp_executesql N'SELECT @x + 1', N'@x int', @x = 41", Ok("42")),
    (
        "DECLARE @o int; EXEC sp_executesql N'SET @x = 5', N'@x int OUTPUT', @x = @o OUTPUT; SELECT @o",
        Ok("5"),
    ),
    ("EXEC ('SELECT 7')", Ok("7")),
    (
        "SET XACT_ABORT ON; BEGIN TRAN; INSERT t VALUES (5); INSERT t VALUES (NULL)",
        Err(515),
    ),
    ("SELECT COUNT(*) FROM t", Ok("1")),
    (
        "SET FMTONLY ON; INSERT t VALUES (9); SELECT a FROM t; SET FMTONLY OFF; SELECT COUNT(*) FROM t WHERE a = 9",
        Ok("0"),
    ),
    ("SET ANSI_NULLS OFF", Err(40510)),
    ("foo bar = 1", Err(102)),
];

#[test]
fn batches_have_variables_flow_errors_and_transactions() {
    let s = sandbox();
    s.execute("CREATE TABLE t (a int NOT NULL)").unwrap();
    all(&s, BATCHES);
    s.execute("CREATE PROC p @a int, @b int = 2, @c int OUTPUT AS SET @c = @a * @b; SELECT @a AS a; RETURN 3")
        .unwrap();
    all(
        &s,
        &[
            (
                "DECLARE @c int, @r int; EXEC @r = p 5, @c = @c OUTPUT; SELECT @c, @r",
                Ok("10|3"),
            ),
            ("EXEC p", Err(201)),
            ("EXEC p 1, 2, 3, 4", Err(8144)),
            ("EXEC p @z = 1", Err(8145)),
            ("EXEC p 'x', 1, 1", Err(8114)),
            ("DROP PROCEDURE p; EXEC p 1", Err(2812)),
        ],
    );
}

#[test]
fn the_catalog_answers() {
    let s = sandbox();
    s.execute("CREATE SCHEMA sales").unwrap();
    s.execute("CREATE TABLE sales.o (id bigint NOT NULL CONSTRAINT pk_o PRIMARY KEY, n numeric(12,3) NULL, t nvarchar(max), d datetime2(3) DEFAULT GETDATE())").unwrap();
    all(
        &s,
        &[
            (
                "SELECT s.name, t.name FROM sys.tables t JOIN sys.schemas s ON s.schema_id = t.schema_id",
                Ok("sales|o"),
            ),
            (
                "SELECT c.name, ty.name, c.max_length, c.precision, c.scale, c.is_nullable FROM sys.columns c JOIN sys.types ty ON ty.user_type_id = c.user_type_id WHERE c.object_id = OBJECT_ID('sales.o') ORDER BY c.column_id",
                Ok("id|bigint|8|19|0|0\nn|numeric|9|12|3|1\nt|nvarchar|-1|0|0|1\nd|datetime2|7|23|3|1"),
            ),
            (
                "SELECT name, is_primary_key, is_unique FROM sys.indexes WHERE object_id = OBJECT_ID('sales.o')",
                Ok("pk_o|1|1"),
            ),
            (
                "SELECT c.name FROM sys.index_columns ic JOIN sys.columns c ON c.object_id = ic.object_id AND c.column_id = ic.column_id",
                Ok("id"),
            ),
            ("SELECT name FROM sys.databases WHERE name = DB_NAME()", Ok("tidemark")),
            (
                "DECLARE @p nvarchar(100) = N'sales.o'; SELECT COUNT_BIG(*) AS [parameters] FROM sys.parameters WHERE [object_id] = OBJECT_ID(@p)",
                Ok("0"),
            ),
            ("SELECT * FROM sys.nosuch", Err(208)),
        ],
    );
}

#[test]
fn a_mixed_table_is_filled_in_one_statement() {
    let s = sandbox();
    s.execute("CREATE TABLE m (id int NOT NULL, big bigint, price money, amount decimal(18,4), f float, at datetime2(7), d date, name nvarchar(50), note varchar(100), g uniqueidentifier)").unwrap();
    s.execute(
        "INSERT INTO m SELECT value, CAST(value AS bigint) * 1000000007, CAST(value AS money) / 7, CAST(value % 1000 AS decimal(18,4)) / 3, value / 3.0e0,
           DATEADD(second, value, CAST('2020-01-01' AS datetime2(7))), DATEADD(day, value % 1000, CAST('2020-01-01' AS date)),
           CONCAT(N'name ', value), CASE WHEN value % 10 = 0 THEN NULL ELSE REPLICATE('x', value % 50) END, NEWID()
         FROM GENERATE_SERIES(1, 1000)",
    )
    .unwrap();
    all(
        &s,
        &[
            (
                "SELECT COUNT(*), SUM(CAST(id AS bigint)), COUNT(note), COUNT(DISTINCT g) FROM m",
                Ok("1000|500500|900|1000"),
            ),
            (
                "SELECT price, amount, f, at, d, name, note FROM m WHERE id = 7",
                Ok("1.0000|2.3333|2.3333333333333335|2020-01-01 00:00:07.0000000|2020-01-08|name 7|xxxxxxx"),
            ),
        ],
    );
}
