//! Tests which columns can be mapped and which are refused.

use tidemark::error::{ErrorCode, Result};
use tidemark::model::names::Identifier;
use tidemark::model::sink::SqlServerSink;
use tidemark::model::types::{Column, Form, TypeName};
use tidemark::model::values::Values;
use tidemark::ports::sink_table::{Newest, SliceToMerge};

use super::mapping::SinkTables;
use super::sink_columns::SinkColumn;
use crate::statements::staging::Merge;
use crate::types::SqlType;

const VERSION: &str = "SYS_CHANGE_VERSION";

fn sink_column(name: &str, sql_type: &str) -> SinkColumn {
    SinkColumn {
        name: name.to_owned(),
        sql_type: SqlType::of(&TypeName::new(sql_type).unwrap()).map_err(|_| sql_type.to_owned()),
        nullable: true,
        identity: false,
        computed: false,
        defaulted: false,
        collation: None,
        primary_key: false,
        encrypted: false,
    }
}

fn key(name: &str, sql_type: &str) -> SinkColumn {
    SinkColumn {
        nullable: false,
        primary_key: true,
        ..sink_column(name, sql_type)
    }
}

fn columns(types: &[(&str, &str)]) -> Vec<Column> {
    types
        .iter()
        .map(|(name, sql_type)| Column {
            name: (*name).to_owned(),
            sql_type: TypeName::new(*sql_type).unwrap(),
            // The staged type depends on the source's type alone.
            form: Form::Text,
            nullable: true,
            values: Values::OfSource,
        })
        .collect()
}

/// Maps the columns of customers, with keys or without, to a table with these columns.
fn merge(keys: &[&str], table: Vec<SinkColumn>) -> Result<Merge> {
    let source = columns(&[("id", "int"), ("Name", "varchar(10)"), ("at", "datetime")]);
    merge_of(&source, keys, table)
}

fn merge_of(source: &[Column], keys: &[&str], table: Vec<SinkColumn>) -> Result<Merge> {
    let json = serde_json::json!({ "secret_arn": "arn", "keys": keys });
    let sink: SqlServerSink = serde_json::from_value(json).unwrap();
    let tables = SinkTables {
        table,
        table_type: Vec::new(),
    };
    let at = Identifier::new("at").unwrap();
    map(&sink, source, Newest::Watermark(&at), &tables)
}

fn map(sink: &SqlServerSink, columns: &[Column], newest: Newest<'_>, tables: &SinkTables) -> Result<Merge> {
    let slice = SliceToMerge {
        source: &"customer".parse().unwrap(),
        sink,
        columns,
        newest,
    };
    Merge::new(&slice, tables)
}

#[test]
fn columns_meet_by_name_and_keys_default_to_the_primary_key() {
    let table = vec![
        key("ID", "bigint"),
        sink_column("at", "datetime"),
        sink_column("name", "nvarchar(20)"),
        sink_column("more", "int"),
    ];
    let merge = merge(&[], table).unwrap();
    let names: Vec<_> = merge.columns.iter().map(|c| (c.name.as_str(), c.staged)).collect();
    assert_eq!(names, [("ID", 0), ("name", 1), ("at", 2)]);
    assert_eq!(merge.keys[0].name.as_str(), "ID");
    assert_eq!(merge.watermark.as_ref().unwrap().name.as_str(), "at");
    assert_eq!((merge.newest, merge.operation), (2, None));
    let staged: Vec<_> = merge.staged.iter().map(|c| c.sql_type.to_string()).collect();
    assert_eq!(staged, ["int", "nvarchar(20)", "datetime"]);
    assert_eq!(merge.updated().count(), 2);
}

/// Returns a sink table that fits.
fn fine() -> [SinkColumn; 3] {
    [
        key("id", "int"),
        sink_column("name", "varchar(10)"),
        sink_column("at", "datetime"),
    ]
}

/// Returns the same table with one column replaced.
fn with(column: SinkColumn) -> Vec<SinkColumn> {
    let mut table = fine().to_vec();
    match table.iter_mut().find(|other| other.name == column.name) {
        Some(other) => *other = column,
        None => table.push(column),
    }
    table
}

#[test]
fn what_cannot_be_written_is_refused_by_name() {
    let identity = |name: &str, primary_key| SinkColumn {
        identity: true,
        primary_key,
        ..sink_column(name, "int")
    };
    assert!(merge(&[], with(identity("id", true))).unwrap().inserts_identity());
    assert!(
        merge(&[], with(identity("numbered", false))).is_ok(),
        "the server numbers it"
    );
    let computed = |name: &str| SinkColumn {
        computed: true,
        ..sink_column(name, "varchar(10)")
    };
    assert!(merge(&[], with(computed("other"))).is_ok());
    let required = SinkColumn {
        nullable: false,
        ..sink_column("must", "int")
    };
    let defaulted = SinkColumn {
        defaulted: true,
        ..required.clone()
    };
    assert!(merge(&[], with(defaulted)).is_ok());
    let encrypted = SinkColumn {
        encrypted: true,
        ..sink_column("name", "varchar(10)")
    };
    let cases: Vec<(Result<Merge>, &[&str])> = vec![
        (merge(&[], fine()[..2].to_vec()), &["'at'", "id, name"]),
        (
            merge(&[], with(sink_column("name", "varchar(9)"))),
            &["name", "varchar(9)", "varchar(10)"],
        ),
        (merge(&[], with(sink_column("at", "rowversion"))), &["at", "binary(8)"]),
        (merge(&[], with(computed("name"))), &["name", "computes"]),
        (merge(&[], with(encrypted)), &["name", "Always Encrypted"]),
        (merge(&[], with(required)), &["must", "default"]),
        (merge(&["name"], with(identity("id", false))), &["identity column id"]),
        (merge(&["more"], with(sink_column("more", "int"))), &["key column more"]),
        (merge(&[], with(key("second", "int"))), &["second"]),
    ];
    for (result, named) in cases {
        let error = result.unwrap_err();
        assert_eq!(error.code(), ErrorCode::SchemaMismatch, "{error}");
        for word in named {
            assert!(error.to_string().contains(word), "{word}: {error}");
        }
    }
}

#[test]
fn a_table_type_that_numbers_its_rows_itself_is_refused() {
    let json = r#"{"secret_arn": "a", "procedure": "p", "table_type": "t"}"#;
    let sink: SqlServerSink = serde_json::from_str(json).unwrap();
    let mut numbered = fine().to_vec();
    numbered[0].identity = true;
    let at = Identifier::new("at").unwrap();
    let map_into = |table_type: Vec<SinkColumn>| {
        let tables = SinkTables {
            table: fine().to_vec(),
            table_type,
        };
        map(
            &sink,
            &columns(&[("id", "int"), ("Name", "varchar(10)"), ("at", "datetime")]),
            Newest::Watermark(&at),
            &tables,
        )
    };
    assert!(map_into(fine().to_vec()).is_ok());
    let error = map_into(numbered).unwrap_err().to_string();
    assert!(
        error.contains("the table type dbo.t has the identity column id"),
        "{error}"
    );
}

#[test]
fn rows_need_a_key_and_their_watermark() {
    let no_key = merge(&[], with(sink_column("id", "int"))).unwrap_err();
    assert_eq!(no_key.code(), ErrorCode::InvalidInput);
    assert!(no_key.to_string().contains("keys"), "{no_key}");
    let without_watermark = merge_of(&columns(&[("id", "int")]), &[], fine().to_vec()).unwrap_err();
    assert!(
        without_watermark.to_string().contains("at is not among"),
        "{without_watermark}"
    );
}

/// Returns columns as change tracking plans them: of the table's columns only those of the key are NOT NULL.
fn tracked(key: &[(&str, &str)], others: &[(&str, &str)]) -> Vec<Column> {
    let mut all = columns(key);
    all.iter_mut().for_each(|column| column.nullable = false);
    all.extend(columns(others));
    let mut change = columns(&[(VERSION, "bigint"), ("SYS_CHANGE_OPERATION", "nchar(1)")]);
    change.iter_mut().for_each(|column| column.nullable = false);
    all.extend(change);
    all
}

#[test]
fn change_tracking_tells_the_merge_and_not_the_table() {
    let source = tracked(&[("id", "int")], &[("name", "varchar(10)")]);
    let sink: SqlServerSink = serde_json::from_str(r#"{"secret_arn": "arn"}"#).unwrap();
    let mut tables = SinkTables {
        table: vec![key("id", "int"), sink_column("name", "varchar(10)")],
        table_type: Vec::new(),
    };
    let of = |tables: &SinkTables| map(&sink, &source, Newest::Version, tables).unwrap();
    let merge = of(&tables);
    assert_eq!(
        (merge.newest, merge.operation, merge.watermark.clone()),
        (2, Some(3), None)
    );
    assert_eq!((merge.staged.len(), merge.columns.len()), (4, 2));
    tables.table.push(sink_column(VERSION, "bigint"));
    assert_eq!(of(&tables).columns.len(), 3, "a table may keep the version");
}

#[test]
fn change_tracking_finds_rows_by_the_sources_key_and_no_other() {
    let cases: [(&[&str], &[&str], &[&str]); 5] = [
        (&["id"], &["id", "tenant"], &[]),
        (&["id"], &["id"], &["name"]),
        (&["a", "b"], &["a"], &[]),
        (&["a", "b"], &["a", "b"], &["b"]),
        (&["id"], &["id", VERSION], &[]),
    ];
    let of = |source_key: &[&str], primary: &[&str], keys: &[&str]| {
        let typed = |names: &[&'static str]| -> Vec<_> { names.iter().map(|name| (*name, "int")).collect() };
        let all = ["id", "tenant", "a", "b", "name"];
        let in_key: Vec<_> = all.into_iter().filter(|name| source_key.contains(name)).collect();
        let others: Vec<_> = all.into_iter().filter(|name| !source_key.contains(name)).collect();
        let source = tracked(&typed(&in_key), &typed(&others));
        let mut table: Vec<_> = all.iter().map(|name| sink_column(name, "int")).collect();
        table.push(sink_column(VERSION, "bigint"));
        for column in &mut table {
            column.primary_key = primary.contains(&column.name.as_str());
        }
        let json = serde_json::json!({ "secret_arn": "arn", "keys": keys });
        let sink: SqlServerSink = serde_json::from_value(json).unwrap();
        let tables = SinkTables {
            table,
            table_type: Vec::new(),
        };
        map(&sink, &source, Newest::Version, &tables)
    };
    for (source_key, primary, keys) in cases {
        let error = of(source_key, primary, keys).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidInput, "{error}");
        let used = if keys.is_empty() { primary } else { keys };
        for list in [source_key, used] {
            let list = format!("({})", list.join(", "));
            assert!(error.to_string().contains(&list), "{list}: {error}");
        }
    }
    assert!(of(&["a", "b"], &["id"], &["B", "a"]).is_ok(), "in any order and case");
    assert!(of(&["a", "b"], &["b", "a"], &[]).is_ok());
}

#[test]
fn a_procedure_takes_the_columns_of_its_table_type() {
    let json = r#"{"secret_arn": "arn", "procedure": "p", "table_type": "t"}"#;
    let mut sink: SqlServerSink = serde_json::from_str(json).unwrap();
    let source = columns(&[("id", "int"), ("at", "datetime")]);
    let tables = SinkTables {
        table: vec![
            sink_column("id", "int"),
            sink_column("at", "datetime"),
            sink_column("x", "int"),
        ],
        table_type: vec![sink_column("id", "bigint"), sink_column("at", "datetime")],
    };
    let at = Identifier::new("at").unwrap();
    let of = |sink: &SqlServerSink| map(sink, &source, Newest::Watermark(&at), &tables).unwrap();
    let merge = of(&sink);
    assert_eq!(merge.columns[0].sql_type.to_string(), "bigint");
    assert_eq!(
        (merge.keys.len(), merge.watermark),
        (0, None),
        "without keys all rows go to the procedure"
    );
    sink.keys = vec![Identifier::new("id").unwrap()];
    let merge = of(&sink);
    assert_eq!(merge.keys[0].sql_type.to_string(), "int");
    assert!(merge.watermark.is_some());
}
