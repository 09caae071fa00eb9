//! Collations of columns and of expressions.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{ask, sandbox};

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
