//! Tests the exact text of the statements of merges.

use tidemark::model::names::Identifier;
use tidemark::model::sink::SqlServerSink;
use tidemark::model::types::{Column, Form, TypeName};
use tidemark::model::values::Values;
use tidemark::ports::sink_table::{Newest, SliceToMerge};

use super::mapping::SinkTables;
use super::sink_columns::SinkColumn;
use crate::statements::staging::Merge;
use crate::types::SqlType;

fn sink_column(name: &str, sql_type: &str, key: bool) -> SinkColumn {
    let collation = sql_type.contains("char").then_some("Latin1_General_CI_AS");
    SinkColumn {
        name: name.into(),
        sql_type: Ok(SqlType::of(&TypeName::new(sql_type).unwrap()).unwrap()),
        nullable: !key,
        identity: false,
        computed: false,
        defaulted: false,
        collation: collation.map(|name| name.parse().unwrap()),
        primary_key: key,
        encrypted: false,
    }
}

fn merge(sink: &str, source: &[(&str, &str)], newest: Newest<'_>, table: Vec<SinkColumn>) -> Merge {
    let tables = SinkTables {
        table_type: table.clone(),
        table,
    };
    merge_of(sink, source, newest, &tables)
}

fn merge_of(sink: &str, source: &[(&str, &str)], newest: Newest<'_>, tables: &SinkTables) -> Merge {
    let columns: Vec<_> = source
        .iter()
        .map(|(name, sql_type)| Column {
            name: (*name).into(),
            sql_type: TypeName::new(*sql_type).unwrap(),
            form: Form::Text,
            nullable: newest != Newest::Version || *name != "id",
            values: Values::OfSource,
        })
        .collect();
    let sink: SqlServerSink = serde_json::from_str(sink).unwrap();
    let source = "[o]]x]".parse().unwrap();
    let slice = SliceToMerge {
        source: &source,
        sink: &sink,
        columns: &columns,
        newest,
    };
    Merge::new(&slice, tables).unwrap()
}

#[test]
fn older_rows_are_not_written_over_newer_ones() {
    let at = Identifier::new("at").unwrap();
    let source = [
        ("id", "int"),
        ("name", "varchar(10)"),
        ("at", "datetime"),
        ("long", "nvarchar(max)"),
        ("bytes", "image"),
    ];
    let table = vec![
        sink_column("bytes", "varbinary(max)", false),
        sink_column("long", "nvarchar(max)", false),
        sink_column("id", "bigint", true),
        sink_column("na]me", "int", false),
        sink_column("name", "nvarchar(20)", false),
        sink_column("at", "datetime", false),
    ];
    let merge = merge(r#"{"secret_arn": "a"}"#, &source, Newest::Watermark(&at), table);
    assert_eq!(
        merge.create_staging().sql,
        "CREATE TABLE #tidemark ([row] bigint IDENTITY(1,1) NOT NULL PRIMARY KEY, [c0] int NULL, \
         [c1] nvarchar(20) COLLATE Latin1_General_CI_AS NULL, [c2] datetime NULL, \
         [c3] nvarchar(max) COLLATE Latin1_General_CI_AS NULL, [c4] varbinary(max) NULL)"
    );
    assert_eq!(
        merge.update().unwrap().sql,
        "UPDATE [t] SET [name] = [s].[c1], [at] = [s].[c2], \
         [long] = [s].[c3], \
         [bytes] = [s].[c4] \
         FROM [dbo].[o]]x] AS [t] WITH (UPDLOCK, HOLDLOCK) JOIN #tidemark AS [s] ON [t].[id] = CAST([s].[c0] AS bigint) WHERE ([t].[at] IS NULL OR [t].[at] <= [s].[c2]); \
         SELECT @@ROWCOUNT AS [rows]"
    );
    assert_eq!(
        merge.insert().sql,
        "INSERT INTO [dbo].[o]]x] ([id], [name], [at], [long], [bytes]) SELECT CAST([s].[c0] AS bigint), [s].[c1], [s].[c2], \
         [s].[c3], [s].[c4] \
         FROM #tidemark AS [s] WHERE NOT EXISTS (SELECT 1 FROM [dbo].[o]]x] AS [t] WITH (UPDLOCK, HOLDLOCK) \
         WHERE [t].[id] = CAST([s].[c0] AS bigint)); SELECT @@ROWCOUNT AS [rows]"
    );
    assert_eq!(
        merge.keep_newest().unwrap().sql,
        "DELETE [o] FROM #tidemark AS [o] JOIN (SELECT [s].[row], ROW_NUMBER() OVER (PARTITION BY CAST([s].[c0] AS bigint) \
         ORDER BY [s].[c2] DESC, [s].[row] DESC) AS [n] FROM #tidemark AS [s]) AS [d] ON [d].[row] = [o].[row] \
         WHERE [d].[n] > 1"
    );
    assert_eq!(
        (merge.delete(), merge.call(0, 1), merge.merged_keys()),
        (None, None, None)
    );
}

#[test]
fn text_is_compared_and_checked_as_the_column_that_it_goes_into() {
    let at = Identifier::new("at").unwrap();
    let source = [
        ("k", "varchar(10)"),
        ("at", "int"),
        ("long", "varchar(3000)"),
        ("x", "xml"),
    ];
    let table = vec![
        sink_column("k", "varchar(10)", true),
        sink_column("at", "int", false),
        sink_column("long", "varchar(3000)", false),
        sink_column("x", "xml", false),
    ];
    let mut tables = SinkTables {
        table_type: table.clone(),
        table,
    };
    let by_key = merge_of(r#"{"secret_arn": "a"}"#, &source, Newest::Watermark(&at), &tables);
    let key = "CAST([s].[c0] AS varchar(10))";
    let keep = by_key.keep_newest().unwrap().sql;
    assert!(keep.contains(&format!("PARTITION BY {key} ORDER BY")), "{keep}");
    assert_eq!(
        by_key.merged_keys().unwrap().sql,
        format!(
            "SELECT COUNT_BIG(*) AS [keys] FROM (SELECT 1 AS [n] FROM #tidemark AS [s] GROUP BY {key} \
             HAVING MIN(CAST(CAST([s].[c0] AS nvarchar(max)) AS varbinary(max))) <> \
             MAX(CAST(CAST([s].[c0] AS nvarchar(max)) AS varbinary(max)))) AS [d]"
        )
    );
    let checked = by_key.unheld_texts().unwrap().sql;
    let long = "CAST([s].[c2] AS varchar(3000))";
    assert!(checked.contains(long), "in the code page of its collation: {checked}");
    let insert = by_key.insert().sql;
    assert!(
        insert.contains(&format!("{long}, CONVERT(xml, [s].[c3], 1)")),
        "{insert}"
    );

    // The table type has another collation than the table.
    let json = r#"{"secret_arn": "a", "procedure": "p", "table_type": "t"}"#;
    tables.table_type[0] = sink_column("k", "nvarchar(20)", true);
    tables.table_type[0].collation = Some("Latin1_General_BIN2".parse().unwrap());
    let procedure = merge_of(json, &source, Newest::Watermark(&at), &tables);
    let key = "CAST([s].[c0] COLLATE Latin1_General_CI_AS AS varchar(10))";
    for statement in [
        procedure.drop_older(),
        procedure.keep_newest(),
        procedure.unheld_texts(),
    ] {
        let sql = statement.unwrap().sql;
        assert!(sql.contains(key), "{sql}");
    }
    let call = procedure.call(0, 1).unwrap().sql;
    assert!(call.contains("SELECT [s].[c0], "), "{call}");
}

#[test]
fn deletions_are_neither_updated_nor_inserted() {
    let source = [
        ("id", "int"),
        ("SYS_CHANGE_VERSION", "bigint"),
        ("SYS_CHANGE_OPERATION", "nchar(1)"),
    ];
    let mut identity = sink_column("id", "int", true);
    identity.identity = true;
    let merge = merge(r#"{"secret_arn": "a"}"#, &source, Newest::Version, vec![identity]);
    assert_eq!(
        merge.delete().unwrap().sql,
        "DELETE [t] FROM [dbo].[o]]x] AS [t] JOIN #tidemark AS [s] ON [t].[id] = [s].[c0] WHERE [s].[c2] = N'D'; \
         SELECT @@ROWCOUNT AS [rows]"
    );
    assert_eq!(merge.update(), None, "there is nothing but the key");
    let insert = merge.insert().sql;
    assert!(
        insert.starts_with("SET IDENTITY_INSERT [dbo].[o]]x] ON; INSERT INTO"),
        "{insert}"
    );
    assert!(
        insert.contains(" AND [s].[c2] <> N'D'; SELECT @@ROWCOUNT AS [rows]; SET IDENTITY_INSERT [dbo].[o]]x] OFF"),
        "{insert}"
    );
}

#[test]
fn a_procedure_gets_rows_in_their_order_and_a_key_may_be_null() {
    let at = Identifier::new("at").unwrap();
    let source = [("id", "int"), ("at", "datetime")];
    let table = vec![sink_column("id", "int", false), sink_column("at", "datetime", false)];
    let json = r#"{"secret_arn": "a", "keys": ["id"], "procedure": "p", "table_type": "sales.[t y]"}"#;
    let merge = merge(json, &source, Newest::Watermark(&at), table);
    let call = merge.call(0, 1000).unwrap();
    assert_eq!(
        call.sql,
        "DECLARE @rows AS [sales].[t y]; INSERT INTO @rows ([id], [at]) SELECT [s].[c0], [s].[c1] FROM #tidemark AS [s] \
         WHERE [s].[row] > CAST(@P1 AS bigint) AND [s].[row] <= CAST(@P2 AS bigint) ORDER BY [s].[row]; \
         IF @@ROWCOUNT > 0 EXEC [dbo].[p] @rows"
    );
    assert_eq!(call.parameters, ["0", "1000"]);
    assert_eq!(
        merge.drop_older().unwrap().sql,
        "DELETE [s] FROM #tidemark AS [s] JOIN [dbo].[o]]x] AS [t] WITH (UPDLOCK, HOLDLOCK) \
         ON EXISTS (SELECT [t].[id] INTERSECT SELECT [s].[c0]) \
         WHERE [t].[at] > [s].[c1] OR ([t].[at] IS NOT NULL AND [s].[c1] IS NULL)"
    );
}
