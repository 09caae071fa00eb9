//! The results of expressions and types, with values as text, one line per row, columns separated by `|`.
#![allow(clippy::unwrap_used)]

mod common;

use common::{all, ask, sandbox};

#[test]
fn clr_types_keep_their_bytes() {
    all(
        &sandbox(),
        &[
            ("CREATE TABLE clr (h hierarchyid, g geometry, w geography)", Ok("")),
            (
                "INSERT INTO clr VALUES (CAST(0x5AC0 AS hierarchyid), CAST(0x00 AS geometry), NULL)",
                Ok(""),
            ),
            (
                "SELECT CAST(h AS varbinary(max)), CAST(g AS varbinary(max)), w FROM clr",
                Ok("0x5AC0|0x00|NULL"),
            ),
            (
                "SELECT t.name, c.user_type_id FROM sys.columns c JOIN sys.types t ON t.user_type_id = c.user_type_id \
                 WHERE c.object_id = OBJECT_ID('clr') ORDER BY c.column_id",
                Ok("hierarchyid|128\ngeometry|129\ngeography|130"),
            ),
            ("INSERT INTO clr (h) VALUES (1)", Err(206)),
            ("SELECT CAST(CAST(0x58 AS hierarchyid) AS int)", Err(529)),
        ],
    );
}

#[test]
fn expressions_have_the_servers_values() {
    all(
        &sandbox(),
        &[
            (
                "SELECT 1 + 2 * 3, 7 / 2, 7 % 3, -5 / 2, 7.0 / 2",
                Ok("7|3|1|-2|3.500000"),
            ),
            (
                "SELECT 1.10 + 2.205, 1.5 * 1.5, CAST(1 AS decimal(10,2)) / 3",
                Ok("3.305|2.25|0.333333"),
            ),
            (
                "SELECT 'a' + 'b', N'x' + 'y', CONCAT('a', NULL, 1, 2.50)",
                Ok("ab|xy|a12.50"),
            ),
            (
                "SELECT CASE WHEN 1 > 2 THEN 'x' WHEN 2 > 1 THEN 'yy' END, CASE 3 WHEN 3 THEN 1.5 ELSE 2 END",
                Ok("yy|1.5"),
            ),
            (
                "SELECT ISNULL(NULL, 5), COALESCE(NULL, NULL, 7), IIF(1 = 1, 'a', 'b')",
                Ok("5|7|a"),
            ),
            (
                "SELECT LEN('ab  '), DATALENGTH(N'ab'), UPPER('aB'), SUBSTRING('abcdef', 2, 3) + NCHAR(9731)",
                Ok("2|4|AB|bcd☃"),
            ),
            ("SELECT CAST(2147483647 AS int) + 1", Err(8115)),
            ("SELECT 1 / 0", Err(8134)),
            ("SELECT CAST('x' AS int)", Err(245)),
            (
                "SELECT 3000000000, 1e3, $1.5, 0x0aFF",
                Ok("3000000000|1000|1.5000|0x0AFF"),
            ),
            (
                "SELECT CAST(1 AS bit), CAST('true' AS bit), CAST(255 AS tinyint)",
                Ok("1|1|255"),
            ),
            ("SELECT CAST(256 AS tinyint)", Err(220)),
            (
                "SELECT CAST(12345 AS varchar(3)), CAST('abcdef' AS varchar(3)), CAST('ab' AS char(4))",
                Ok("*|abc|ab  "),
            ),
            ("SELECT CAST(CAST(1.5 AS float) AS varchar(20)), STR(1)", Err(195)),
            ("SELECT nosuch(1)", Err(195)),
            ("SELECT dbo.nosuch(1)", Err(4121)),
        ],
    );
}

#[test]
fn dates_have_the_servers_values() {
    all(
        &sandbox(),
        &[
            (
                "SELECT CAST('2017-09-05T08:06:00.002' AS datetime), CAST('2017-09-05 08:06:00.005' AS datetime)",
                Ok("2017-09-05 08:06:00.003|2017-09-05 08:06:00.007"),
            ),
            (
                "SELECT CAST('2017-09-05 23:59:59.999' AS datetime)",
                Ok("2017-09-06 00:00:00.000"),
            ),
            ("SELECT CAST('2017-09-05 08:06:00.1234' AS datetime)", Err(241)),
            ("SELECT CAST('2017-13-05' AS datetime)", Err(242)),
            (
                "SELECT CAST('2017-09-05 08:06:00.1234567' AS datetime2(3)), CAST('9/5/2017' AS date)",
                Ok("2017-09-05 08:06:00.123|2017-09-05"),
            ),
            (
                "SELECT CAST(CAST('2000-01-01 00:00:00.333' AS datetime) AS datetime2(7))",
                Ok("2000-01-01 00:00:00.3333333"),
            ),
            (
                "SELECT CASE WHEN CAST('2000-01-01 00:00:00.333' AS datetime) = CAST('2000-01-01 00:00:00.333' AS datetime2) THEN 1 ELSE 0 END",
                Ok("0"),
            ),
            (
                "SELECT CASE WHEN CAST('2000-01-01 00:00:00.003' AS datetime) = '2000-01-01 00:00:00.003' THEN 1 ELSE 0 END",
                Ok("1"),
            ),
            (
                "SELECT CASE WHEN CAST('2020-01-01 10:00 +02:00' AS datetimeoffset) = CAST('2020-01-01 08:00 +00:00' AS datetimeoffset) THEN 1 ELSE 0 END",
                Ok("1"),
            ),
            (
                "SELECT CAST('2020-01-01 10:00 +02:00' AS datetimeoffset(0))",
                Ok("2020-01-01 10:00:00 +02:00"),
            ),
            (
                "SELECT DATEADD(month, 1, CAST('2020-01-31' AS date)), DATEADD(ms, 3, CAST('2020-01-01' AS datetime)), DATEADD(ns, 100, CAST('2020-01-01' AS datetime2))",
                Ok("2020-02-29|2020-01-01 00:00:00.003|2020-01-01 00:00:00.0000001"),
            ),
            (
                "SELECT CONVERT(varchar(30), CAST('2017-09-01 00:56' AS datetime)), CONVERT(varchar(30), CAST('2017-09-01' AS datetime), 112), CONVERT(varchar(30), CAST('2017-09-01' AS datetime), 126)",
                Ok("Sep  1 2017 12:56AM|20170901|2017-09-01T00:00:00"),
            ),
            (
                "SELECT CAST('2079-06-06 23:59:29' AS smalldatetime), CAST('12:34:56.7' AS time(1))",
                Ok("2079-06-06 23:59:00.000|12:34:56.7"),
            ),
            (
                "SELECT CAST('2020-01-01' AS datetime) + 1",
                Ok("2020-01-02 00:00:00.000"),
            ),
            ("SELECT CAST(1 AS date)", Err(529)),
            ("SELECT CASE WHEN CAST('2020-01-01' AS date) > 1 THEN 1 END", Err(206)),
            (
                "SELECT CASE WHEN GETUTCDATE() <= SYSUTCDATETIME() OR 1 = 1 THEN 1 END",
                Ok("1"),
            ),
        ],
    );
}

#[test]
fn numbers_are_converted_as_documented() {
    all(
        &sandbox(),
        &[
            ("SELECT CAST(99999999999 AS int)", Err(8115)),
            ("SELECT CAST('99999999999' AS int)", Err(248)),
            ("SELECT CAST('abc' AS bigint)", Err(8114)),
            ("SELECT CAST('x' AS decimal(3,1))", Err(8114)),
            ("SELECT CAST('1000' AS decimal(3,1))", Err(8115)),
            (
                "SELECT CAST('1.25' AS decimal(3,1)), 0.1 + 0.01, 1.25 * 2.0",
                Ok("1.3|0.11|2.500"),
            ),
            ("SELECT CAST(70000 AS smallint)", Err(220)),
            (
                "SELECT CAST(-0.05 AS varchar(9)), CAST(CAST(1234567.89 AS money) AS varchar(20)), CAST(0.1e0 AS varchar(20)), CAST(123456789e0 AS varchar(20))",
                Ok("-0.05|1234567.89|0.1|1.23457e+008"),
            ),
            (
                "SELECT CAST(CAST('6F9619FF-8B86-D011-B42D-00C04FC964FF' AS uniqueidentifier) AS binary(2)), CAST(CAST('{6F9619FF-8B86-D011-B42D-00C04FC964FF}' AS uniqueidentifier) AS char(36))",
                Ok("0xFF19|6F9619FF-8B86-D011-B42D-00C04FC964FF"),
            ),
        ],
    );
}

#[test]
fn texts_become_dates_as_documented() {
    all(
        &sandbox(),
        &[
            ("SELECT CAST('2017-13-05' AS datetime2)", Err(241)),
            ("SELECT CAST('13/13/2017' AS datetime)", Err(242)),
            ("SELECT CAST('2017-02-29' AS datetime)", Err(242)),
            ("SELECT CAST('2017-09-08 24:00:00' AS datetime)", Err(242)),
            ("SELECT CAST('soon' AS datetime)", Err(241)),
            ("SELECT CAST('2017-09-08x' AS datetime)", Err(241)),
            (
                "SELECT CAST('9/1/2017 12:56:00 AM' AS datetime), CAST('1/1/2015 0:00:00 AM' AS datetime), CAST('' AS datetime)",
                Ok("2017-09-01 00:56:00.000|2015-01-01 00:00:00.000|1900-01-01 00:00:00.000"),
            ),
            (
                "SELECT CAST('2017-09-08T00:00:00Z' AS datetime2(0)), CAST('20170908 11:00 pm' AS datetime2(0)), CAST('2017-09-08 01:02:03.1234567 +05:30' AS datetimeoffset)",
                Ok("2017-09-08 00:00:00|2017-09-08 23:00:00|2017-09-08 01:02:03.1234567 +05:30"),
            ),
            (
                "SELECT CAST('2017-09-01 00:00:00.001' AS datetime), CAST('2017-09-01 00:00:00.997' AS datetime)",
                Ok("2017-09-01 00:00:00.000|2017-09-01 00:00:00.997"),
            ),
            (
                "SELECT CAST(CAST('2017-09-01' AS datetime) AS int), CASE WHEN CAST('2017-09-01' AS date) = 1 THEN 1 END",
                Err(206),
            ),
        ],
    );
}

#[test]
fn literals_names_and_comments_are_told_apart() {
    all(
        &sandbox(),
        &[
            (
                "SELECT N'it''s' /* x /* y */ */ -- z\n, 1.5e3, .5, 0xfF, @@TRANCOUNT AS [a]]b]",
                Ok("it's|1500|0.5|0xFF|0"),
            ),
            ("SELECT 'open", Err(105)),
            ("SELECT 1 ` 2", Err(102)),
            ("CREATE VIEW v AS SELECT 1 AS a\nGO\nSELECT a FROM v\ngo;\n\n", Ok("1")),
        ],
    );
}

#[test]
fn decimals_are_rounded_half_away_from_zero_and_ordered_as_numbers() {
    let most = "1".to_owned() + &"0".repeat(37);
    let order = format!(
        "SELECT v FROM (VALUES (CAST(5 AS decimal(38,0))), (-1), (0), (-{most}), ({most}), (1)) AS t (v) ORDER BY v"
    );
    let sandbox = sandbox();
    assert_eq!(ask(&sandbox, &order).unwrap(), format!("-{most}\n-1\n0\n1\n5\n{most}"));
    all(
        &sandbox,
        &[(
            "SELECT CAST(1.25 AS decimal(2,1)), CAST(-1.25 AS decimal(2,1)), CAST(1.24 AS decimal(2,1)), CAST(1 AS decimal(38,37))",
            Ok("1.3|-1.3|1.2|1.0000000000000000000000000000000000000"),
        )],
    );
}

#[test]
fn days_are_counted_over_the_whole_range() {
    all(
        &sandbox(),
        &[
            (
                "SELECT COUNT(*), SUM(CASE WHEN CAST(CAST(d AS varchar(10)) AS date) = d THEN 0 ELSE 1 END), MIN(d), MAX(d) FROM \
                 (SELECT DATEADD(day, value, CAST('0001-01-01' AS date)) AS d FROM GENERATE_SERIES(0, 3652058, 367)) AS t",
                Ok("9952|0|0001-01-01|9999-11-20"),
            ),
            (
                "SELECT CAST('9999-12-31' AS date), DATEADD(day, 1, CAST('9999-12-31' AS date))",
                Err(517),
            ),
            (
                "SELECT CAST(CAST(CAST('1753-01-01 23:59:59.997' AS datetime) AS datetime2(7)) AS datetime)",
                Ok("1753-01-01 23:59:59.997"),
            ),
            (
                "SELECT CASE WHEN CAST('2020-01-01 00:00 +14:00' AS datetimeoffset) < CAST('2019-12-31 11:00 -14:00' AS datetimeoffset) THEN 1 END",
                Ok("1"),
            ),
        ],
    );
}
