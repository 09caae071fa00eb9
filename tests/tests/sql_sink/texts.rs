//! Text in the sink's collations.

use serde_json::json;
use tidemark::error::ErrorCode;

use crate::world::{World, rows, spec};

#[tokio::test(flavor = "multi_thread")]
async fn text_arrives_in_columns_of_any_collation() {
    let columns = "k nvarchar(10) $c PRIMARY KEY, at int, a nvarchar(max) $c, b nvarchar(3000) $c, c nvarchar(20) $c, d varchar(max), e xml,
                   f varbinary(max)";
    let source = format!(
        "CREATE TABLE t ({}); INSERT t VALUES (N'k', 1, N'\u{1f980}', N'\u{6f22}', N'\u{e9} ', 'd', '<e/>', 0x00FF)",
        columns.replace("$c", "")
    );
    let read = "SELECT *, CAST(a AS varbinary(max)), CAST(c AS varbinary(max)) FROM t";
    for collation in [
        "Latin1_General_100_CI_AS_SC",
        "Latin1_General_100_CI_AS_SC_UTF8",
        "Japanese_XJIS_140_CI_AS",
        "Latin1_General_BIN2",
    ] {
        let sink = format!(
            "CREATE TABLE t ({})",
            columns.replace("$c", &format!("COLLATE {collation}"))
        );
        let world = World::new(&source, &sink).await;
        world.run("r1", &spec("t", "at", json!({}))).await.unwrap();
        assert_eq!(world.rows(read), rows(&world.source, read), "{collation}");
        world.source.execute("UPDATE t SET at = 2, b = N'changed'").unwrap();
        world.run("r2", &spec("t", "at", json!({}))).await.unwrap();
        assert_eq!(world.rows(read), rows(&world.source, read), "{collation}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_one_only_where_the_sink_table_says_so() {
    // In a code page, \u{df} is a character of its own. In Unicode text it equals ss.
    let source = "CREATE TABLE t (k varchar(10) COLLATE Latin1_General_BIN2 PRIMARY KEY, at int);
                  INSERT t VALUES ('stra\u{df}e', 1), ('strasse', 2), ('a', 3)";
    let world = World::new(source, "CREATE TABLE t (k varchar(10) PRIMARY KEY, at int)").await;
    let spec = spec("t", "at", json!({}));
    world.run("r1", &spec).await.unwrap();
    let found = world.rows("SELECT k, at FROM t ORDER BY at");
    assert_eq!(found, ["stra\u{df}e|1", "strasse|2", "a|3"]);

    // The two rows of the source would be one row in the sink, which does not tell their keys apart.
    world.source.execute("INSERT t VALUES ('b', 4), ('B', 5)").unwrap();
    let error = world.run("r2", &spec).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::SchemaMismatch, "{error}");
    assert!(error.to_string().contains("1 keys of the sink table dbo.t"), "{error}");
    assert!(error.to_string().contains("collation of k"), "{error}");
    assert_eq!(world.rows("SELECT COUNT(*) FROM t"), ["3"]);
    let cure = "DROP TABLE t; CREATE TABLE t (k varchar(10) COLLATE Latin1_General_CS_AS PRIMARY KEY, at int)";
    world.sink.execute(cure).unwrap();
    world.run("r3", &spec).await.unwrap();
    assert_eq!(world.rows("SELECT k, at FROM t ORDER BY at"), ["b|4", "B|5"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_types_texts_meet_the_tables_in_the_tables_collation() {
    let source = "CREATE TABLE t (k varchar(10), v varchar(10), at int); INSERT t VALUES ('a', 'old', 1), ('b', 'new', 5), ('b', 'older', 4)";
    for nullable in ["NULL", "NOT NULL"] {
        let sink = format!(
            "CREATE TABLE t (k varchar(10) COLLATE Latin1_General_CI_AS {nullable}, v varchar(10), at int);
INSERT t VALUES ('A', 'newer', 9)
GO
CREATE TYPE ty AS TABLE (k nvarchar(20), v varchar(10), at int)
GO
CREATE PROCEDURE p @t ty READONLY AS INSERT t (k, v, at) SELECT k, v, at FROM @t"
        );
        let world = World::new(source, &sink).await;
        let spec = spec(
            "t",
            "at",
            json!({ "procedure": "p", "table_type": "ty", "keys": ["k"] }),
        );
        world.run("r1", &spec).await.unwrap();
        assert_eq!(
            world.rows("SELECT * FROM t ORDER BY k"),
            ["A|newer|9", "b|new|5"],
            "{nullable}"
        );
    }
}
