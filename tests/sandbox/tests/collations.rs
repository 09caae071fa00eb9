//! Collations of columns and of expressions.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{ask, connect, connect_mssql, sandbox};
use mssql_tds::connection::tds_client::ResultSet;
use mssql_tds::datatypes::column_values::ColumnValues;

#[test]
fn a_column_compares_by_its_own_collation() {
    let sandbox = sandbox();
    let create = "CREATE TABLE t (a varchar(10) COLLATE Latin1_General_CS_AS PRIMARY KEY, b varchar(10), c nvarchar(10));
                  INSERT t VALUES ('x', 'x', N'x'), ('X', 'X', N'X'), ('stra\u{df}e', 'stra\u{df}e', N'stra\u{df}e'), ('y', 'strasse', N'strasse')";
    sandbox.execute(create).unwrap();
    assert_eq!(ask(&sandbox, "INSERT t (a) VALUES ('y')"), Err(2627));
    let one = |sql: &str| ask(&sandbox, sql).unwrap();
    assert_eq!(one("SELECT COUNT(*) FROM t WHERE a = 'x'"), "1");
    assert_eq!(one("SELECT COUNT(*) FROM t WHERE b = 'x'"), "2");
    assert_eq!(
        one("SELECT COUNT(DISTINCT a), COUNT(DISTINCT b), COUNT(DISTINCT c) FROM t"),
        "4|3|2"
    );
    let most = "SELECT MAX(n) FROM (SELECT ROW_NUMBER() OVER (PARTITION BY $ ORDER BY a) AS n FROM t) AS d";
    let groups = "SELECT COUNT(*) FROM (SELECT $ AS v FROM t GROUP BY $) AS d";
    let distinct = "SELECT COUNT(*) FROM (SELECT DISTINCT $ AS v FROM t) AS d";
    for (value, count, in_one) in [
        ("a", "4", "1"),
        ("b", "3", "2"),
        ("c", "2", "2"),
        ("CAST(c AS varchar(10))", "3", "2"),
        ("c COLLATE Latin1_General_BIN2", "4", "1"),
        ("CAST(c COLLATE Latin1_General_CI_AS AS varchar(10))", "2", "2"),
    ] {
        assert_eq!(one(&most.replace('$', value)), in_one, "{value}");
        assert_eq!(one(&groups.replace('$', value)), count, "{value}");
        assert_eq!(one(&distinct.replace('$', value)), count, "{value}");
    }
    let names = "SELECT name, collation_name FROM sys.columns WHERE object_id = OBJECT_ID('t') ORDER BY column_id";
    assert_eq!(
        one(names),
        "a|Latin1_General_CS_AS\nb|SQL_Latin1_General_CP1_CI_AS\nc|SQL_Latin1_General_CP1_CI_AS"
    );
}

#[test]
fn columns_of_different_collations_are_not_compared() {
    let sandbox = sandbox();
    let create =
        "CREATE TABLE t (a varchar(10) COLLATE Latin1_General_CI_AS, b varchar(10)); INSERT t VALUES ('x', 'X')";
    sandbox.execute(create).unwrap();
    for condition in [
        "a = b",
        "CAST(a AS nvarchar(20)) = b",
        "a COLLATE Latin1_General_BIN = b COLLATE Latin1_General_CI_AS",
    ] {
        let sql = format!("SELECT COUNT(*) FROM t WHERE {condition}");
        assert_eq!(ask(&sandbox, &sql), Err(468), "{condition}");
    }
    for set in ["INTERSECT", "UNION", "UNION ALL"] {
        assert_eq!(
            ask(&sandbox, &format!("SELECT a FROM t {set} SELECT b FROM t")),
            Err(451)
        );
    }
    for (condition, count) in [
        ("EXISTS (SELECT a INTERSECT SELECT b COLLATE Latin1_General_CI_AS)", "1"),
        ("EXISTS (SELECT a INTERSECT SELECT b COLLATE Latin1_General_BIN)", "0"),
        ("a = b COLLATE Latin1_General_CI_AS", "1"),
        ("a = b COLLATE Latin1_General_BIN", "0"),
        ("a COLLATE DATABASE_DEFAULT = b", "1"),
        ("a = 'X'", "1"),
    ] {
        let sql = format!("SELECT COUNT(*) FROM t WHERE {condition}");
        assert_eq!(ask(&sandbox, &sql).unwrap(), count, "{condition}");
    }
    assert_eq!(ask(&sandbox, "SELECT a COLLATE Nonsense FROM t"), Err(448));
}

#[test]
fn legacy_large_types_go_with_no_supplementary_characters() {
    let sandbox = sandbox();
    for (column, refused) in [
        ("ntext COLLATE Latin1_General_100_CI_AS_SC", Some(4188)),
        ("ntext COLLATE Latin1_General_100_CI_AS_SC_UTF8", Some(4188)),
        ("ntext COLLATE Japanese_XJIS_140_CI_AS", Some(4188)),
        ("ntext COLLATE Latin1_General_BIN", None),
        ("text COLLATE Latin1_General_BIN", None),
        ("nvarchar(max) COLLATE Japanese_XJIS_140_CI_AS", None),
        ("varchar(10) COLLATE Latin1_General_100_CI_AS_SC", None),
        ("int COLLATE Latin1_General_BIN", Some(447)),
        ("varchar(10) COLLATE Nonsense", Some(448)),
    ] {
        let created = ask(&sandbox, &format!("CREATE TABLE #t (c {column}); DROP TABLE #t"));
        assert_eq!(created.err(), refused, "{column}");
    }
}

/// A column, what is written into it, and what is read. What the code page lacks is a question mark.
const IN_CODE_PAGES: [(&str, &str, &str); 8] = [
    ("varchar(20) COLLATE Cyrillic_General_CI_AS", "Привет 中é", "Привет ??"),
    ("char(4) COLLATE Cyrillic_General_CI_AS", "да", "да  "),
    ("varchar(20) COLLATE Chinese_PRC_CI_AS", "中文 Привет", "中文 Привет"),
    ("varchar(max) COLLATE Japanese_CI_AS", "日本 ｶﾅ é", "日本 ｶﾅ ?"),
    ("text COLLATE Korean_Wansung_CI_AS", "한국어 é", "한국어 ?"),
    (
        "varchar(20) COLLATE Latin1_General_100_CI_AS_SC_UTF8",
        "é中文😀",
        "é中文😀",
    ),
    ("varchar(20)", "é€ 中", "é€ ?"),
    (
        "nvarchar(20) COLLATE Cyrillic_General_CI_AS",
        "Привет 中é",
        "Привет 中é",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn text_is_in_the_code_page_of_its_collation() {
    let sandbox = sandbox();
    let (mut columns, mut values, mut expected) = (Vec::new(), Vec::new(), Vec::new());
    for (at, (column, written, read)) in IN_CODE_PAGES.into_iter().enumerate() {
        columns.push(format!("c{at} {column}"));
        values.push(format!("N'{written}'"));
        expected.push(read);
    }
    let (columns, values) = (columns.join(", "), values.join(", "));
    let create = format!("CREATE TABLE t ({columns}); INSERT t VALUES ({values}); SELECT * INTO u FROM t");
    sandbox.execute(&create).unwrap();
    for select in ["SELECT * FROM t", "SELECT * FROM (SELECT * FROM u) AS d"] {
        let mut tiberius = connect(&sandbox).await;
        let row = tiberius
            .simple_query(select)
            .await
            .unwrap()
            .into_row()
            .await
            .unwrap()
            .unwrap();
        for (at, (column, _, read)) in IN_CODE_PAGES.into_iter().enumerate() {
            // This driver takes UTF-8 for the code page of the language.
            if !column.ends_with("_UTF8") {
                assert_eq!(row.get::<&str, _>(at), Some(read), "tiberius, {select}, {column}");
            }
        }

        let mut mssql = connect_mssql(&sandbox, sandbox.database(), 16_383).await;
        mssql.execute(select.to_owned(), ()).await.unwrap();
        let row = mssql.next_row().await.unwrap().unwrap();
        let text = |value: &ColumnValues| match value {
            ColumnValues::String(text) => text.to_utf8_string(),
            other => format!("{other:?}"),
        };
        assert_eq!(
            row.iter().map(text).collect::<Vec<_>>(),
            expected,
            "mssql-tds, {select}"
        );
    }
    let one = |sql: &str| ask(&sandbox, sql).unwrap();
    assert_eq!(
        one("SELECT DATALENGTH(c0), DATALENGTH(c2), LEN(c2), DATALENGTH(c7) FROM t"),
        "9|17|9|18"
    );
    assert_eq!(
        one("SELECT CAST(c0 AS varbinary(2)), CAST(c2 AS varbinary(2)) FROM t"),
        "0xCFF0|0xD6D0"
    );
    assert_eq!(one("SELECT COUNT(*) FROM t WHERE c0 = N'ПРИВЕТ ??'"), "1");
    assert_eq!(one("SELECT CAST(N'Привет' AS varchar(9)), 'Привет'"), "??????|??????");
}

/// Code page 850 is one that the drivers do not know by themselves.
#[test]
fn a_collation_may_have_a_code_page_of_dos() {
    let sandbox = sandbox();
    let create = "CREATE TABLE t (c varchar(9) COLLATE SQL_Latin1_General_CP850_CI_AS); INSERT t VALUES (N'é║€')";
    sandbox.execute(create).unwrap();
    assert_eq!(
        ask(&sandbox, "SELECT c, CAST(c AS varbinary(9)) FROM t").unwrap(),
        "é║?|0x82BA3F"
    );
}
