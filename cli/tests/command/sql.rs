//! `sql`: the statements by which engines read the files, and the present rows of a table.

use serde_json::{Value, json};

use crate::world::{CATALOG, SCRIPT, World};

#[test]
fn engines_are_told_of_the_files_and_of_the_present_rows() {
    let world = World::new(CATALOG);
    let table = |name: &str, tracking: Value| json!({"table": name, "tracking": tracking});
    world.tables(&json!([
        table("tracked", json!({"change_tracking": {}})),
        table(
            "changed",
            json!({"watermark": {"column": "modified_at", "settle_seconds": 0}})
        ),
    ]));
    world.succeeds(&["run"]);
    // The plan of the load has the key of the tracked table, before there is any change.
    let done = world.succeeds(&["sql", "duckdb", "tracked"]);
    assert!(
        done.out.contains("PARTITION BY \"id\"") && !done.out.contains("Give --key"),
        "{}",
        done.all()
    );
    world.sandbox.execute("DELETE tracked WHERE id = 2").unwrap();
    world.succeeds(&["run"]);
    for (engine, said) in [
        ("athena", "STORED AS PARQUET"),
        ("spark", "USING parquet"),
        ("duckdb", "read_parquet"),
        ("snowflake", "EXTERNAL TABLE"),
        ("redshift", "NO SCHEMA BINDING"),
    ] {
        let done = world.succeeds(&["sql", engine, "tracked"]);
        assert!(
            done.out.contains(said) && done.out.contains("ROW_NUMBER()"),
            "{}",
            done.all()
        );
        assert!(
            done.out.contains("<> 'D'") && done.out.contains("LIKE 'reinit-%'"),
            "{}",
            done.all()
        );
    }
    let done = world.succeeds(&["sql", "duckdb", "changed"]);
    assert!(done.out.contains("Give --key"), "{}", done.all());
    let done = world.succeeds(&["sql", "duckdb", "changed", "--key", "id"]);
    assert!(
        done.out.contains("PARTITION BY \"id\" ORDER BY \"modified_at\" DESC"),
        "{}",
        done.all()
    );
    assert_eq!(world.run(&["sql", "duckdb", "changed", "--key", "no"]).code, Some(1));
}

#[test]
fn engines_are_told_of_csv_as_each_of_them_reads_it() {
    let world = World::new(SCRIPT);
    let tracking = json!({"watermark": {"column": "modified_at", "settle_seconds": 0}});
    let csv = |options: Value| json!([{"table": "orders", "format": {"csv": options}, "tracking": tracking}]);
    let told = |engine: &str| {
        world
            .json_lines(&["sql", engine, "orders", "--key", "id", "--json"])
            .remove(0)
    };
    let said = |engine: &str, field: &str| told(engine)[field].as_str().unwrap().to_owned();
    world.tables(&csv(json!({"header": false, "null": "\\N"})));
    world.succeeds(&["run"]);
    // Redshift takes a backslash in a text for an escape, and knows no \u.
    assert!(
        said("redshift", "ddl").contains("'escapeChar' = '\u{1}'"),
        "{}",
        told("redshift")
    );
    assert!(
        said("redshift", "view").contains(r#"NULLIF("note", '\\N')"#),
        "{}",
        told("redshift")
    );
    assert!(
        said("athena", "ddl").contains(r"'escapeChar' = '\u0001'"),
        "{}",
        told("athena")
    );
    assert!(
        said("athena", "view").contains(r#"NULLIF("note", '\N')"#),
        "{}",
        told("athena")
    );
    assert!(
        said("duckdb", "ddl").contains("null_padding = true, parallel = false"),
        "{}",
        told("duckdb")
    );
    assert!(
        said("snowflake", "ddl").contains(r"NULL_IF = ('\\N') EMPTY_FIELD_AS_NULL = FALSE"),
        "{}",
        told("snowflake")
    );
    let world = World::new(SCRIPT);
    world.tables(&csv(json!({})));
    world.succeeds(&["run"]);
    // A NULL is a field without anything, and an empty text is a field of two quotes.
    let snowflake = world.json_lines(&["sql", "snowflake", "orders", "--json"]).remove(0);
    let ddl = snowflake["ddl"].as_str().unwrap();
    assert!(ddl.contains("NULL_IF = () EMPTY_FIELD_AS_NULL = TRUE"), "{ddl}");
}
