//! The statements of a merge into a table of another database.
//!
//! The staging table is a temporary table of the session, so that it needs no rights and cleans itself up. It is created in a
//! batch without parameters: one created by `sp_executesql` would end with it
//! (<https://learn.microsoft.com/en-us/sql/t-sql/statements/create-table-transact-sql>, temporary tables).

use super::Query;
use crate::identifier::ObjectName;
use crate::merging::{MappedColumn, Merge, StagedColumn};
use crate::types::SqlType;

/// The staging table.
pub const STAGING: &str = "#tidemark";
/// How long a slice waits for another that is merged into the same table, in milliseconds.
const LOCK_TIMEOUT_MS: u32 = 600_000;

/// The columns of a table in its order, one row each: name, type, length, precision, scale, whether it is nullable, an
/// identity, computed, has a default, its collation, whether it is in the primary key. No row when there is no such table.
/// The period of a temporal table is computed as well: the server writes it and nobody else.
///
/// An alias type is shown as the type it stands for; CLR types, whose system type is 240, have no other name.
#[must_use]
pub fn sink_columns(table: &ObjectName) -> Query {
    Query::with(described("OBJECT_ID(@P1)"), &[&table.quoted()])
}

/// As [`sink_columns`], of a table type.
#[must_use]
pub fn table_type_columns(table_type: &ObjectName) -> Query {
    let id = "(SELECT [y].[type_table_object_id] FROM sys.table_types AS [y] JOIN sys.schemas AS [h] \
              ON [h].[schema_id] = [y].[schema_id] WHERE [h].[name] = @P1 AND [y].[name] = @P2)";
    let (schema, name) = (table_type.schema().as_str(), table_type.name().as_str());
    Query::with(described(id), &[schema, name])
}

fn described(object_id: &str) -> String {
    format!(
        "SELECT [c].[name], [y].[name], CAST([c].[max_length] AS int), CAST([c].[precision] AS int), \
         CAST([c].[scale] AS int), [c].[is_nullable], [c].[is_identity], \
         CAST(CASE WHEN [c].[is_computed] = 1 OR [c].[generated_always_type] <> 0 THEN 1 ELSE 0 END AS bit), \
         CAST(CASE WHEN [c].[default_object_id] = 0 THEN 0 ELSE 1 END AS bit), [c].[collation_name], \
         CAST(CASE WHEN [k].[column_id] IS NULL THEN 0 ELSE 1 END AS bit) \
         FROM sys.columns AS [c] \
         LEFT JOIN sys.types AS [y] ON [y].[user_type_id] = \
         CASE WHEN [c].[system_type_id] = 240 THEN [c].[user_type_id] ELSE [c].[system_type_id] END \
         LEFT JOIN (SELECT [n].[object_id], [n].[column_id] FROM sys.indexes AS [i] JOIN sys.index_columns AS [n] \
         ON [n].[object_id] = [i].[object_id] AND [n].[index_id] = [i].[index_id] WHERE [i].[is_primary_key] = 1) AS [k] \
         ON [k].[object_id] = [c].[object_id] AND [k].[column_id] = [c].[column_id] \
         WHERE [c].[object_id] = {object_id} ORDER BY [c].[column_id]"
    )
}

/// What the session is set to before anything else: an error rolls the whole transaction back. It stays so, for the next
/// slice that is merged over its connection.
#[must_use]
pub fn session() -> Query {
    Query::new("SET XACT_ABORT ON")
}

/// Takes the lock under which one slice at a time is merged into a table, or waits for it; one row: negative if it was not
/// granted. The session owns it, so that it outlives the transaction and ends with the connection
/// (<https://learn.microsoft.com/en-us/sql/relational-databases/system-stored-procedures/sp-getapplock-transact-sql>).
#[must_use]
pub fn lock(table: &ObjectName) -> Query {
    let sql = format!(
        "DECLARE @resource nvarchar(255) = CONCAT(N'tidemark ', OBJECT_ID(@P1)), @result int; \
         EXEC @result = sp_getapplock @Resource = @resource, @LockMode = 'Exclusive', @LockOwner = 'Session', \
         @LockTimeout = {LOCK_TIMEOUT_MS}; SELECT @result AS [result]"
    );
    Query::with(sql, &[&table.quoted()])
}

/// Gives the lock back; one row: 0 if it was held.
#[must_use]
pub fn unlock(table: &ObjectName) -> Query {
    let sql = "DECLARE @resource nvarchar(255) = CONCAT(N'tidemark ', OBJECT_ID(@P1)), @result int; \
               EXEC @result = sp_releaseapplock @Resource = @resource, @LockOwner = 'Session'; SELECT @result AS [result]";
    Query::with(sql, &[&table.quoted()])
}

/// Drops the staging table of the session, and its rows.
#[must_use]
pub fn drop_staging() -> Query {
    Query::new(format!("DROP TABLE {STAGING}"))
}

impl Merge {
    /// Creates the staging table: the columns of the slice by number, and the number of the row.
    #[must_use]
    pub fn create_staging(&self) -> Query {
        let columns: Vec<_> = self.staged.iter().enumerate().map(staged_definition).collect();
        Query::new(format!(
            "CREATE TABLE {STAGING} ([row] bigint IDENTITY(1,1) NOT NULL PRIMARY KEY, {})",
            columns.join(", ")
        ))
    }

    /// The columns a bulk load fills, in the order of the slice.
    #[must_use]
    pub fn loaded_columns(&self) -> Vec<String> {
        (0..self.staged.len()).map(staged_name).collect()
    }

    /// One row: for each of [`Merge::in_code_pages`] how many staged texts its code page, or its length in bytes, does not
    /// hold. None without such columns.
    ///
    /// SQL Server replaces what a code page does not have, silently; so text is converted and back, and compared by its bytes.
    #[must_use]
    pub fn unheld_texts(&self) -> Option<Query> {
        let counts: Vec<_> = self
            .in_code_pages()
            .into_iter()
            .map(|column| {
                let name = format!("[s].{}", staged_name(column.staged));
                let kept = format!("CAST({} AS nvarchar(max))", self.value(column));
                format!(
                    "COUNT_BIG(CASE WHEN CAST({kept} AS varbinary(max)) <> \
                     CAST(CAST({name} AS nvarchar(max)) AS varbinary(max)) THEN 1 END)"
                )
            })
            .collect();
        if counts.is_empty() {
            return None;
        }
        Some(Query::new(format!(
            "SELECT {} FROM {STAGING} AS [s]",
            counts.join(", ")
        )))
    }

    /// Removes from the staging table all but the newest row for each key; of equally new ones the last read stays. None
    /// without keys.
    #[must_use]
    pub fn keep_newest(&self) -> Option<Query> {
        if self.keys.is_empty() {
            return None;
        }
        Some(Query::new(format!(
            "DELETE [o] FROM {STAGING} AS [o] JOIN (SELECT [s].[row], ROW_NUMBER() OVER (PARTITION BY {} ORDER BY [s].{} DESC, \
             [s].[row] DESC) AS [n] FROM {STAGING} AS [s]) AS [d] ON [d].[row] = [o].[row] WHERE [d].[n] > 1",
            self.key_values(),
            staged_name(self.newest)
        )))
    }

    /// One row: how many keys of the table stand for several of the staged rows, because its collation takes different texts
    /// for one. None without keys that are text.
    #[must_use]
    pub fn merged_keys(&self) -> Option<Query> {
        let differing: Vec<_> = self
            .collated_keys()
            .map(|key| {
                let bytes = format!(
                    "CAST(CAST([s].{} AS nvarchar(max)) AS varbinary(max))",
                    staged_name(key.staged)
                );
                format!("MIN({bytes}) <> MAX({bytes})")
            })
            .collect();
        if differing.is_empty() {
            return None;
        }
        Some(Query::new(format!(
            "SELECT COUNT_BIG(*) AS [keys] FROM (SELECT 1 AS [n] FROM {STAGING} AS [s] GROUP BY {} HAVING {}) AS [d]",
            self.key_values(),
            differing.join(" OR ")
        )))
    }

    /// Deletes the rows of the table that are deletions in the staging table. None without change tracking.
    #[must_use]
    pub fn delete(&self) -> Option<Query> {
        let operation = self.operation?;
        Some(Query::new(format!(
            "DELETE [t] FROM {} AS [t] JOIN {STAGING} AS [s] ON {} WHERE [s].{} = N'D'",
            self.table.quoted(),
            self.same_keys(),
            staged_name(operation)
        )))
    }

    /// Updates the rows of the table that are not newer. None when there is nothing but keys. The ranges of the keys are held
    /// until the insertion: who inserts one in between would keep an older row.
    #[must_use]
    pub fn update(&self) -> Option<Query> {
        let sets: Vec<_> = self
            .updated()
            .map(|column| format!("{} = {}", column.name.quoted(), self.value(column)))
            .collect();
        if sets.is_empty() {
            return None;
        }
        let mut conditions = Vec::new();
        if let Some(watermark) = &self.watermark {
            let there = format!("[t].{}", watermark.name.quoted());
            conditions.push(format!("({there} IS NULL OR {there} <= {})", self.value(watermark)));
        }
        conditions.extend(self.not_deleted());
        Some(Query::new(format!(
            "UPDATE [t] SET {} FROM {} AS [t] WITH (UPDLOCK, HOLDLOCK) JOIN {STAGING} AS [s] ON {}{}",
            sets.join(", "),
            self.table.quoted(),
            self.same_keys(),
            condition(&conditions)
        )))
    }

    /// Inserts the rows that the table does not have. The range of the key is held, so that nobody else inserts it meanwhile.
    #[must_use]
    pub fn insert(&self) -> Query {
        let table = self.table.quoted();
        let mut conditions = vec![format!(
            "NOT EXISTS (SELECT 1 FROM {table} AS [t] WITH (UPDLOCK, HOLDLOCK) WHERE {})",
            self.same_keys()
        )];
        conditions.extend(self.not_deleted());
        let insert = format!(
            "INSERT INTO {table} ({}) SELECT {} FROM {STAGING} AS [s]{}",
            names(&self.columns),
            self.values(),
            condition(&conditions)
        );
        Query::new(if self.inserts_identity() {
            // In one batch: the setting ends with the statement's scope.
            format!("SET IDENTITY_INSERT {table} ON; {insert}; SET IDENTITY_INSERT {table} OFF")
        } else {
            insert
        })
    }

    /// Removes from the staging table the rows of which the table has newer ones, for a procedure that does not look. None
    /// without keys.
    #[must_use]
    pub fn drop_older(&self) -> Option<Query> {
        let watermark = self.watermark.as_ref()?;
        let (there, staged) = (format!("[t].{}", watermark.name.quoted()), self.value(watermark));
        Some(Query::new(format!(
            "DELETE [s] FROM {STAGING} AS [s] JOIN {} AS [t] WITH (UPDLOCK, HOLDLOCK) ON {} \
             WHERE {there} > {staged} OR ({there} IS NOT NULL AND {staged} IS NULL)",
            self.table.quoted(),
            self.same_keys()
        )))
    }

    /// One row: the number of the last row in the staging table.
    #[must_use]
    pub fn last_row(&self) -> Query {
        Query::new(format!(
            "SELECT COALESCE(MAX([row]), CAST(0 AS bigint)) AS [rows] FROM {STAGING}"
        ))
    }

    /// Hands the staged rows numbered above `from` up to `to`, in that order, to the procedure as its first parameter. None
    /// without a procedure.
    #[must_use]
    pub fn call(&self, from: u64, to: u64) -> Option<Query> {
        let (procedure, table_type) = self.procedure.as_ref()?;
        let sql = format!(
            "DECLARE @rows AS {}; INSERT INTO @rows ({}) SELECT {} FROM {STAGING} AS [s] \
             WHERE [s].[row] > CAST(@P1 AS bigint) AND [s].[row] <= CAST(@P2 AS bigint) ORDER BY [s].[row]; \
             IF @@ROWCOUNT > 0 EXEC {} @rows",
            table_type.quoted(),
            names(&self.columns),
            self.values(),
            procedure.quoted()
        );
        Some(Query::with(sql, &[&from.to_string(), &to.to_string()]))
    }

    fn same_keys(&self) -> String {
        let keys: Vec<_> = self
            .keys
            .iter()
            .map(|key| {
                let (there, staged) = (format!("[t].{}", key.name.quoted()), self.value(key));
                if key.nullable {
                    // NULL is the same as NULL here, or a row without a key would be inserted with every repetition.
                    format!("EXISTS (SELECT {there} INTERSECT SELECT {staged})")
                } else {
                    format!("{there} = {staged}")
                }
            })
            .collect();
        keys.join(" AND ")
    }

    /// The staged values of the keys as the table compares them.
    fn key_values(&self) -> String {
        let values: Vec<_> = self.keys.iter().map(|key| self.value(key)).collect();
        values.join(", ")
    }

    fn not_deleted(&self) -> Option<String> {
        let operation = self.operation?;
        Some(format!("[s].{} <> N'D'", staged_name(operation)))
    }

    fn values(&self) -> String {
        let values: Vec<_> = self.columns.iter().map(|column| self.value(column)).collect();
        values.join(", ")
    }

    /// A staged value in the type and the collation of its column, so that it is compared as it will be stored.
    fn value(&self, column: &MappedColumn) -> String {
        let mut value = format!("[s].{}", staged_name(column.staged));
        let Some(staged) = self.staged.get(column.staged) else {
            return value;
        };
        if staged.hex {
            let bytes = format!("CONVERT(varbinary(max), CAST({value} AS varchar(max)), 2)");
            return match column.sql_type {
                SqlType::HierarchyId | SqlType::Geometry | SqlType::Geography => {
                    format!("CAST({bytes} AS {})", column.sql_type)
                }
                _ => bytes,
            };
        }
        let mut sql_type = staged.sql_type;
        if sql_type == SqlType::NText {
            sql_type = SqlType::NVarChar(None);
            value = format!("CAST({value} AS {sql_type})");
        }
        if column.sql_type == SqlType::Xml {
            // White space that the source kept is kept.
            return format!("CONVERT(xml, {value}, 1)");
        }
        // Before the cast: into a code page, it is that of the collation.
        if let Some(collation) = &column.collation
            && staged.collation.as_ref() != Some(collation)
        {
            value = format!("{value} COLLATE {collation}");
        }
        // What the legacy types are compared and assigned as.
        let wanted = match column.sql_type {
            SqlType::Text => SqlType::VarChar(None),
            SqlType::NText => SqlType::NVarChar(None),
            other => other,
        };
        if wanted == sql_type {
            value
        } else {
            format!("CAST({value} AS {wanted})")
        }
    }
}

fn staged_definition((index, column): (usize, &StagedColumn)) -> String {
    let StagedColumn {
        sql_type, collation, ..
    } = column;
    // A collation is a name of the server's own, and cannot be in brackets.
    let collation = collation
        .as_ref()
        .map_or_else(String::new, |collation| format!(" COLLATE {collation}"));
    format!("{} {sql_type}{collation} NULL", staged_name(index))
}

fn staged_name(index: usize) -> String {
    format!("[c{index}]")
}

fn names(columns: &[MappedColumn]) -> String {
    let names: Vec<_> = columns.iter().map(|column| column.name.quoted()).collect();
    names.join(", ")
}

fn condition(conditions: &[String]) -> String {
    if conditions.is_empty() {
        String::new()
    } else {
        format!(" WHERE {}", conditions.join(" AND "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identifier::Identifier;
    use crate::merging::{Newest, SinkColumn, SinkTables};
    use crate::sink::SqlServerSink;
    use crate::types::Column;

    fn sink_column(name: &str, sql_type: &str, key: bool) -> SinkColumn {
        let collation = sql_type.contains("char").then_some("Latin1_General_CI_AS");
        SinkColumn {
            name: name.into(),
            sql_type: Ok(sql_type.parse().unwrap()),
            nullable: !key,
            identity: false,
            computed: false,
            defaulted: false,
            collation: collation.map(|name| name.parse().unwrap()),
            primary_key: key,
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
                sql_type: sql_type.parse().unwrap(),
                nullable: newest != Newest::Version || *name != "id",
            })
            .collect();
        let sink: SqlServerSink = serde_json::from_str(sink).unwrap();
        Merge::new(&"[o]]x]".parse().unwrap(), &sink, &columns, newest, tables).unwrap()
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
             [c3] ntext COLLATE Latin1_General_BIN NULL, [c4] text COLLATE Latin1_General_BIN NULL)"
        );
        assert_eq!(
            merge.update().unwrap().sql,
            "UPDATE [t] SET [name] = [s].[c1], [at] = [s].[c2], \
             [long] = CAST([s].[c3] AS nvarchar(max)) COLLATE Latin1_General_CI_AS, \
             [bytes] = CONVERT(varbinary(max), CAST([s].[c4] AS varchar(max)), 2) \
             FROM [dbo].[o]]x] AS [t] WITH (UPDLOCK, HOLDLOCK) JOIN #tidemark AS [s] ON [t].[id] = CAST([s].[c0] AS bigint) WHERE ([t].[at] IS NULL OR [t].[at] <= [s].[c2])"
        );
        assert_eq!(
            merge.insert().sql,
            "INSERT INTO [dbo].[o]]x] ([id], [name], [at], [long], [bytes]) SELECT CAST([s].[c0] AS bigint), [s].[c1], [s].[c2], \
             CAST([s].[c3] AS nvarchar(max)) COLLATE Latin1_General_CI_AS, CONVERT(varbinary(max), CAST([s].[c4] AS varchar(max)), 2) \
             FROM #tidemark AS [s] WHERE NOT EXISTS (SELECT 1 FROM [dbo].[o]]x] AS [t] WITH (UPDLOCK, HOLDLOCK) \
             WHERE [t].[id] = CAST([s].[c0] AS bigint))"
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
        let long = "CAST(CAST([s].[c2] AS nvarchar(max)) COLLATE Latin1_General_CI_AS AS varchar(3000))";
        assert!(checked.contains(long), "in the code page of its collation: {checked}");
        let insert = by_key.insert().sql;
        assert!(
            insert.contains(&format!("{long}, CONVERT(xml, CAST([s].[c3] AS nvarchar(max)), 1)")),
            "{insert}"
        );

        // A table type in another collation than the table.
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
            "DELETE [t] FROM [dbo].[o]]x] AS [t] JOIN #tidemark AS [s] ON [t].[id] = [s].[c0] WHERE [s].[c2] = N'D'"
        );
        assert_eq!(merge.update(), None, "there is nothing but the key");
        let insert = merge.insert().sql;
        assert!(
            insert.starts_with("SET IDENTITY_INSERT [dbo].[o]]x] ON; INSERT INTO"),
            "{insert}"
        );
        assert!(
            insert.contains(" AND [s].[c2] <> N'D'; SET IDENTITY_INSERT [dbo].[o]]x] OFF"),
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
}
