//! Tables, indexes, schemas, databases.

use rusqlite::params;

use super::{Session, Sink};
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::{ColumnDef, Constraint, Name, Rule};
use crate::sql::bind::{Binder, Scope};
use crate::sql::catalog::{self, Column, Place, Table, quote};
use crate::sql::parser;
use crate::value::{Ty, text};

impl Session {
    /// `CREATE TABLE`; runs inside [`Session::write`].
    pub(super) fn create_table(
        &mut self,
        name: &Name,
        defs: &[ColumnDef],
        constraints: &[Constraint],
    ) -> SqlResult<()> {
        let place = self.new_place(name)?;
        let id = catalog::add_object(self.conn(), &place, "U", None)?;
        let mut table = Table {
            id,
            db: place.db.clone(),
            schema: place.schema.clone(),
            name: place.name.clone(),
            columns: Vec::new(),
        };
        let all: Vec<&Constraint> = constraints
            .iter()
            .chain(defs.iter().flat_map(|d| &d.constraints))
            .collect();
        let keyed: Vec<&String> = all
            .iter()
            .filter_map(|c| match &c.rule {
                Rule::PrimaryKey(columns) => Some(columns),
                _ => None,
            })
            .flatten()
            .collect();
        if all.iter().filter(|c| matches!(c.rule, Rule::PrimaryKey(_))).count() > 1 {
            return Err(SqlError::new(
                8110,
                format!("Cannot add multiple PRIMARY KEY constraints to table '{}'.", place.name),
            )
            .state(0));
        }
        for def in defs {
            if table.column(&def.name).is_some() {
                return Err(SqlError::new(2705, format!("Column names in each table must be unique. Column name '{}' in table '{}' is specified more than once.", def.name, place.name)).state(3));
            }
            let in_key = keyed.iter().any(|k| text::same(k, &def.name));
            if in_key && def.nullable == Some(true) {
                return Err(SqlError::new(
                    8111,
                    format!(
                        "Cannot define PRIMARY KEY constraint on nullable column in table '{}'.",
                        place.name
                    ),
                ));
            }
            let column = self.column(def, &table, in_key)?;
            table.columns.push(column);
        }
        self.check_columns(&table)?;
        let mut parts: Vec<String> = table.stored().map(physical_column).collect();
        if parts.is_empty() {
            return Err(SqlError::new(
                1756,
                "CREATE TABLE failed: at least one column must be stored.",
            ));
        }
        for constraint in &all {
            match &constraint.rule {
                Rule::Check(check) => parts.push(self.check_sql(constraint.name.as_deref(), check, &table)?),
                Rule::Foreign(columns, target, keys) => parts.push(self.foreign_sql(columns, target, keys, &place)?),
                _ => {}
            }
        }
        let sql = format!("CREATE TABLE {}({})", place.physical(), parts.join(", "));
        self.conn()
            .execute_batch(&sql)
            .map_err(|e| self.storage_error(&e, &sql))?;
        for column in &table.columns {
            catalog::add_column(self.conn(), place.store(), id, column)?;
        }
        for constraint in all {
            match &constraint.rule {
                Rule::PrimaryKey(columns) => self.add_key(&table, constraint.name.clone(), columns, true)?,
                Rule::Unique(columns) => self.add_key(&table, constraint.name.clone(), columns, false)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn column(&self, def: &ColumnDef, table: &Table, in_key: bool) -> SqlResult<Column> {
        let id = table.columns.last().map_or(1, |c| c.id + 1);
        let ty = match (def.ty, &def.computed) {
            (Some(ty), _) => ty,
            (None, Some(text)) => {
                let mut binder = Binder::new(self);
                let source = binder.table_source(table, None, "")?;
                binder.scopes.push(Scope {
                    sources: vec![source],
                    grouping: None,
                });
                binder.expr(&parser::expression(text)?)?.ty
            }
            (None, None) => return Err(SqlError::syntax(&def.name)),
        };
        if def.identity.is_some() && !(ty.is_int() && ty != Ty::Bit) {
            return Err(if matches!(ty, Ty::Decimal(_, 0)) {
                SqlError::unsupported("IDENTITY on decimal")
            } else {
                SqlError::new(2749, format!("Identity column '{}' must be of data type int, bigint, smallint, tinyint, or decimal or numeric with a scale of 0, unencrypted, and constrained to be nonnullable.", def.name)).state(2)
            });
        }
        if let Some(text) = &def.default {
            // A default must be an expression without columns; its conversion is checked when it is used.
            Binder::new(self).expr(&parser::expression(text)?)?;
        }
        let required = def.nullable == Some(false)
            || def.identity.is_some()
            || in_key
            || ty == Ty::RowVersion && def.nullable.is_none();
        Ok(Column {
            id,
            name: def.name.clone(),
            ty,
            type_name: if def.type_name.is_empty() {
                ty.name().to_owned()
            } else {
                def.type_name.clone()
            },
            nullable: !required,
            identity: def.identity,
            default: def.default.clone(),
            computed: def.computed.clone(),
        })
    }

    fn check_columns(&self, table: &Table) -> SqlResult<()> {
        if table.columns.iter().filter(|c| c.identity.is_some()).count() > 1 {
            return Err(SqlError::new(2744, format!("Multiple identity columns specified for table '{}'. Only one identity column per table is allowed.", table.name)).state(2));
        }
        if table.columns.iter().filter(|c| c.ty == Ty::RowVersion).count() > 1 {
            return Err(SqlError::new(2738, format!("A table can only have one timestamp column. Because table '{}' already has one, the column cannot be added.", table.name)).state(2));
        }
        Ok(())
    }

    fn check_sql(&self, name: Option<&str>, check: &str, table: &Table) -> SqlResult<String> {
        let mut binder = Binder::new(self);
        let source = binder.table_source(table, None, "")?;
        binder.scopes.push(Scope {
            sources: vec![source],
            grouping: None,
        });
        let condition = binder.condition(&parser::expression(check)?)?;
        if !binder.params.is_empty() {
            return Err(SqlError::unsupported("CHECK of the clock or of session state"));
        }
        let name = name.map_or_else(|| format!("CK__{}", table.name), str::to_owned);
        Ok(format!("CONSTRAINT {} CHECK ({condition})", quote(&name)))
    }

    fn foreign_sql(&self, columns: &[String], target: &Name, keys: &[String], place: &Place) -> SqlResult<String> {
        let parent = self.place(target)?;
        let names = |list: &[String]| list.iter().map(|c| quote(c)).collect::<Vec<_>>().join(", ");
        let (parent_place, keys) = if parent == *place {
            (parent, keys.to_vec())
        } else {
            let table = self.table(&parent, &target.join(".")).map_err(|_| {
                SqlError::new(
                    1767,
                    format!("Foreign key references invalid table '{}'.", target.join(".")),
                )
                .state(0)
            })?;
            let keys = if keys.is_empty() {
                let all = catalog::indexes(self.conn(), &table)?;
                all.into_iter()
                    .find(|i| i.primary)
                    .map(|i| i.columns)
                    .unwrap_or_default()
            } else {
                keys.to_vec()
            };
            (table.place(), keys)
        };
        Ok(format!(
            "FOREIGN KEY ({}) REFERENCES {}({})",
            names(columns),
            quote(&parent_place.stored_name()),
            names(&keys)
        ))
    }

    /// A primary key or unique constraint.
    fn add_key(&self, table: &Table, name: Option<String>, columns: &[String], primary: bool) -> SqlResult<()> {
        let prefix = if primary { "PK" } else { "UQ" };
        let name = name.unwrap_or_else(|| format!("{prefix}__{}__{:X}", table.name, table.id + catalog::now() % 4096));
        self.add_index(table, &name, columns, &vec![false; columns.len()], true, primary, true)
    }

    #[allow(clippy::too_many_arguments)]
    fn add_index(
        &self,
        table: &Table,
        name: &str,
        columns: &[String],
        descending: &[bool],
        unique: bool,
        primary: bool,
        constraint: bool,
    ) -> SqlResult<()> {
        let existing = catalog::indexes(self.conn(), table)?;
        if existing.iter().any(|i| text::same(&i.name, name)) {
            return Err(SqlError::new(
                1913,
                format!(
                    "The operation failed because an index or statistics with name '{name}' already exists on table '{}.{}'.",
                    table.schema, table.name
                ),
            ));
        }
        let place = table.place();
        let mut parts = Vec::new();
        let mut spelled = Vec::new();
        for (column, desc) in columns.iter().zip(descending) {
            let column = table.column(column).ok_or_else(|| {
                SqlError::new(
                    1911,
                    format!("Column name '{column}' does not exist in the target table or view."),
                )
            })?;
            if column.ty.is_incomparable() || column.ty.length() == Some(crate::value::MAX) {
                return Err(SqlError::new(
                    1919,
                    format!(
                        "Column '{}' in table '{}.{}' is of a type that is invalid for use as a key column in an index.",
                        column.name, table.schema, table.name
                    ),
                ));
            }
            if column.computed.is_some() {
                return Err(SqlError::unsupported("indexes on computed columns"));
            }
            let mut part = quote(&column.name);
            if unique && column.nullable {
                // The server takes NULL for a value that may occur once.
                part = format!("ifnull({part}, x'004E554C4C')");
                if column.ty.is_string() {
                    part += " COLLATE TSQL";
                }
            } else if matches!(column.ty, Ty::DateTimeOffset(_)) && unique {
                part = format!("t_utc({part})");
            }
            parts.push(if *desc { format!("{part} DESC") } else { part });
            spelled.push(column.name.clone());
        }
        let sql = format!(
            "CREATE {}INDEX {}.{} ON {}({})",
            if unique { "UNIQUE " } else { "" },
            place.store(),
            quote(&format!("{}.{name}", place.stored_name())),
            quote(&place.stored_name()),
            parts.join(", ")
        );
        self.conn().execute_batch(&sql).map_err(|e| match SqlError::from(e) {
            e if e.number == 2627 => SqlError::new(1505, format!("The CREATE UNIQUE INDEX statement terminated because a duplicate key was found for the object name '{}.{}' and the index name '{name}'.", table.schema, table.name)),
            e => e,
        })?;
        let next = existing.len() + if primary { 1 } else { 2 };
        self.conn().execute(
            &format!("INSERT INTO {}._index(object_id, id, name, columns, uniq, prim, cons) SELECT ?1, max(coalesce(max(id), 0) + 1, ?2), ?3, ?4, ?5, ?6, ?7 FROM {0}._index WHERE object_id = ?1", place.store()),
            params![table.id, if primary { 1 } else { next.max(2) as i64 }, name, spelled.join("\n"), unique, primary, constraint],
        )?;
        Ok(())
    }

    /// `CREATE INDEX`
    pub(super) fn create_index(
        &self,
        name: &str,
        table: &Name,
        columns: &[(String, bool)],
        unique: bool,
    ) -> SqlResult<()> {
        let table = self.table_named(table).map_err(|_| {
            SqlError::new(
                1088,
                format!(
                    "Cannot find the object \"{}\" because it does not exist or you do not have permissions.",
                    table.join(".")
                ),
            )
            .state(12)
        })?;
        let names: Vec<String> = columns.iter().map(|(c, _)| c.clone()).collect();
        let descending: Vec<bool> = columns.iter().map(|(_, d)| *d).collect();
        self.add_index(&table, name, &names, &descending, unique, false, false)
    }

    /// `DROP INDEX`, `DROP CONSTRAINT` of a key.
    pub(super) fn drop_index(&self, name: &str, table: &Name, missing_ok: bool) -> SqlResult<()> {
        let found = self.table_named(table).ok();
        let index = match &found {
            Some(t) => catalog::indexes(self.conn(), t)?
                .into_iter()
                .find(|i| text::same(&i.name, name)),
            None => None,
        };
        let (Some(table_found), Some(index)) = (found, index) else {
            if missing_ok {
                return Ok(());
            }
            return Err(SqlError::new(
                3701,
                format!(
                    "Cannot drop the index '{}.{name}', because it does not exist or you do not have permission.",
                    table.join(".")
                ),
            )
            .class(11)
            .state(7));
        };
        self.remove_index(&table_found, &index.name)
    }

    fn remove_index(&self, table: &Table, name: &str) -> SqlResult<()> {
        let place = table.place();
        self.conn().execute_batch(&format!(
            "DROP INDEX {}.{}",
            place.store(),
            quote(&format!("{}.{name}", place.stored_name()))
        ))?;
        self.conn().execute(
            &format!(
                "DELETE FROM {}._index WHERE object_id = ?1 AND name = ?2",
                place.store()
            ),
            params![table.id, name],
        )?;
        Ok(())
    }

    /// `ALTER TABLE … ADD`
    pub(super) fn add_columns(&mut self, name: &Name, defs: &[ColumnDef], constraints: &[Constraint]) -> SqlResult<()> {
        let mut table = self.altered(name)?;
        let place = table.place();
        for def in defs {
            if table.column(&def.name).is_some() {
                return Err(SqlError::new(2705, format!("Column names in each table must be unique. Column name '{}' in table '{}' is specified more than once.", def.name, table.name)).state(4));
            }
            let column = self.column(def, &table, false)?;
            self.add_one_column(&table, &column)?;
            catalog::add_column(self.conn(), place.store(), table.id, &column)?;
            table.columns.push(column);
        }
        self.check_columns(&table)?;
        let own: Vec<&Constraint> = constraints
            .iter()
            .chain(defs.iter().flat_map(|d| &d.constraints))
            .collect();
        for constraint in own {
            match &constraint.rule {
                Rule::PrimaryKey(columns) => {
                    if let Some(c) = columns.iter().filter_map(|c| table.column(c)).find(|c| c.nullable) {
                        return Err(SqlError::new(
                            8111,
                            format!(
                                "Cannot define PRIMARY KEY constraint on nullable column in table '{}' (column '{}').",
                                table.name, c.name
                            ),
                        ));
                    }
                    self.add_key(&table, constraint.name.clone(), columns, true)?;
                }
                Rule::Unique(columns) => self.add_key(&table, constraint.name.clone(), columns, false)?,
                Rule::Default(value, column) => self.add_default(&table, column, value, constraint.name.as_deref())?,
                Rule::Check(_) => return Err(SqlError::unsupported("ALTER TABLE ADD CHECK")),
                Rule::Foreign(..) => return Err(SqlError::unsupported("ALTER TABLE ADD FOREIGN KEY")),
            }
        }
        Ok(())
    }

    fn add_one_column(&self, table: &Table, column: &Column) -> SqlResult<()> {
        if column.computed.is_some() {
            return Ok(());
        }
        let physical = table.place().physical();
        let filled = column.identity.is_some() || column.ty == Ty::RowVersion;
        if !column.nullable && column.default.is_none() && !filled {
            let rows: bool = self
                .conn()
                .query_row(&format!("SELECT EXISTS(SELECT 1 FROM {physical})"), [], |r| r.get(0))?;
            if rows {
                return Err(SqlError::new(
                    4901,
                    format!(
                        "ALTER TABLE only allows columns to be added that can contain nulls, or have a DEFAULT definition specified, or the column being added is an identity or timestamp column, or alternatively if none of the previous conditions are satisfied the table must be empty to allow addition of this column. Column '{}' cannot be added to non-empty table '{}' because it does not satisfy these conditions.",
                        column.name, table.name
                    ),
                ));
            }
        }
        // SQLite adds a required column only with a constant default; the catalog keeps the rule, a check enforces it.
        let required = if column.nullable {
            String::new()
        } else {
            " NOT NULL DEFAULT 0".to_owned()
        };
        let sql = format!(
            "ALTER TABLE {physical} ADD COLUMN {} {}{required}",
            quote(&column.name),
            column.ty.sqlite_decl()
        );
        self.conn()
            .execute_batch(&sql)
            .map_err(|e| self.storage_error(&e, &sql))?;
        let value = if let Some((seed, increment)) = column.identity {
            format!("t_identity({}, {seed}, {increment})", table.id)
        } else if column.ty == Ty::RowVersion {
            "t_rowversion()".to_owned()
        } else if let (Some(text), false) = (&column.default, column.nullable) {
            let mut binder = Binder::new(self);
            let bound = binder.expr(&parser::expression(text)?)?;
            let sql = Session::stored(bound, column, table)?;
            let params = std::mem::take(&mut binder.params);
            let update = format!("UPDATE {physical} SET {} = {sql}", quote(&column.name));
            self.conn()
                .prepare(&update)?
                .execute(rusqlite::params_from_iter(params))?;
            return Ok(());
        } else {
            return Ok(());
        };
        self.conn()
            .execute_batch(&format!("UPDATE {physical} SET {} = {value}", quote(&column.name)))?;
        Ok(())
    }

    fn add_default(&self, table: &Table, column: &str, value: &str, name: Option<&str>) -> SqlResult<()> {
        let column = table.column(column).ok_or_else(|| SqlError::no_column(column))?;
        if column.default.is_some() {
            return Err(SqlError::new(1781, "Column already has a DEFAULT bound to it."));
        }
        Binder::new(self).expr(&parser::expression(value)?)?;
        let name = name.map_or_else(|| format!("DF__{}__{}", table.name, column.name), str::to_owned);
        self.conn().execute(
            &format!(
                "UPDATE {}._column SET dflt = ?1, dflt_name = ?2 WHERE object_id = ?3 AND id = ?4",
                table.place().store()
            ),
            params![value, name, table.id, column.id],
        )?;
        Ok(())
    }

    fn altered(&self, name: &Name) -> SqlResult<Table> {
        self.table_named(name).map_err(|_| {
            SqlError::new(
                4902,
                format!(
                    "Cannot find the object \"{}\" because it does not exist or you do not have permissions.",
                    name.join(".")
                ),
            )
        })
    }

    /// `ALTER TABLE … DROP COLUMN`
    pub(super) fn drop_columns(&self, name: &Name, columns: &[String], missing_ok: bool) -> SqlResult<()> {
        let table = self.altered(name)?;
        let place = table.place();
        for column in columns {
            let Some(column) = table.column(column) else {
                if missing_ok {
                    continue;
                }
                return Err(SqlError::new(
                    4924,
                    format!(
                        "ALTER TABLE DROP COLUMN failed because column '{column}' does not exist in table '{}'.",
                        table.name
                    ),
                ));
            };
            let keyed = catalog::indexes(self.conn(), &table)?
                .into_iter()
                .find(|i| i.columns.contains(&column.name));
            if let Some(index) = keyed {
                return Err(SqlError::new(
                    5074,
                    format!("The object '{}' is dependent on column '{}'.", index.name, column.name),
                ));
            }
            if column.default.is_some() {
                return Err(SqlError::new(
                    5074,
                    format!(
                        "The object 'DF__{}' is dependent on column '{}'.",
                        column.name, column.name
                    ),
                ));
            }
            if column.computed.is_none() {
                let sql = format!("ALTER TABLE {} DROP COLUMN {}", place.physical(), quote(&column.name));
                self.conn().execute_batch(&sql).map_err(|_| {
                    SqlError::new(
                        4922,
                        format!(
                            "ALTER TABLE DROP COLUMN {} failed because one or more objects access this column.",
                            column.name
                        ),
                    )
                })?;
            }
            self.conn().execute(
                &format!("DELETE FROM {}._column WHERE object_id = ?1 AND id = ?2", place.store()),
                params![table.id, column.id],
            )?;
        }
        Ok(())
    }

    /// `ALTER TABLE … DROP CONSTRAINT`
    pub(super) fn drop_constraint(&self, name: &Name, constraint: &str, missing_ok: bool) -> SqlResult<()> {
        let table = self.altered(name)?;
        if let Some(index) = catalog::indexes(self.conn(), &table)?
            .into_iter()
            .find(|i| i.constraint && text::same(&i.name, constraint))
        {
            return self.remove_index(&table, &index.name);
        }
        let dropped = self.conn().execute(
            &format!(
                "UPDATE {}._column SET dflt = NULL, dflt_name = NULL WHERE object_id = ?1 AND dflt_name = ?2",
                table.place().store()
            ),
            params![table.id, constraint],
        )?;
        if dropped == 0 && !missing_ok {
            return Err(SqlError::new(3728, format!("'{constraint}' is not a constraint.")));
        }
        Ok(())
    }

    /// `DROP TABLE`, `DROP PROCEDURE`, `DROP SCHEMA`, `DROP DATABASE`
    pub(super) fn drop_object(&self, what: &str, name: &Name, missing_ok: bool) -> SqlResult<()> {
        let missing = || {
            let written = name.join(".");
            Err(SqlError::new(
                3701,
                format!("Cannot drop the {what} '{written}', because it does not exist or you do not have permission."),
            )
            .class(11)
            .state(5))
        };
        if what == "schema" || what == "database" {
            return self.drop_container(what, name, missing_ok);
        }
        let place = self.place(name)?;
        let kind = if what == "table" { "U" } else { "P" };
        let Some((id, _, place)) = catalog::object(self.conn(), &place)?.filter(|(_, k, _)| k == kind) else {
            return if missing_ok { Ok(()) } else { missing() };
        };
        if kind == "U" {
            self.conn()
                .execute_batch(&format!("DROP TABLE {}", place.physical()))
                .map_err(|e| match SqlError::from(e) {
                    e if e.number == 547 => SqlError::new(
                        3726,
                        format!(
                            "Could not drop object '{}' because it is referenced by a FOREIGN KEY constraint.",
                            name.join(".")
                        ),
                    ),
                    e => e,
                })?;
        }
        catalog::remove_object(self.conn(), place.store(), id)
    }

    fn drop_container(&self, what: &str, name: &Name, missing_ok: bool) -> SqlResult<()> {
        let one = name.last().cloned().unwrap_or_default();
        let (exists, used) = if what == "schema" {
            let used = self.lookup_id("SELECT count(*) FROM main._object WHERE schema = ?1", &one)?;
            (catalog::schema(self.conn(), &self.db, &one)?.is_some(), used)
        } else {
            let used = self.lookup_id("SELECT count(*) FROM main._object WHERE db = ?1", &one)?;
            (catalog::database(self.conn(), &one)?.is_some(), used)
        };
        if !exists {
            if missing_ok {
                return Ok(());
            }
            return Err(SqlError::new(
                3701,
                format!("Cannot drop the {what} '{one}', because it does not exist or you do not have permission."),
            )
            .class(11));
        }
        if used.unwrap_or(0) > 0 {
            return Err(SqlError::new(
                3729,
                format!("Cannot drop {what} '{one}' because it is being referenced by objects in it."),
            ));
        }
        if what == "schema" {
            self.conn().execute(
                "DELETE FROM main._schema WHERE db = ?1 AND name = ?2",
                params![self.db, one],
            )?;
        } else {
            self.conn().execute("DELETE FROM main._schema WHERE db = ?1", [&one])?;
            self.conn()
                .execute("DELETE FROM main._database WHERE name = ?1", [&one])?;
        }
        Ok(())
    }

    /// `CREATE SCHEMA`
    pub(super) fn create_schema(&self, name: &str) -> SqlResult<()> {
        if catalog::schema(self.conn(), &self.db, name)?.is_some() {
            return Err(SqlError::new(
                2714,
                format!("There is already an object named '{name}' in the database."),
            )
            .state(6));
        }
        catalog::create_schema(self.conn(), &self.db, name)
    }

    /// `CREATE DATABASE`
    pub(super) fn create_database(&self, name: &str) -> SqlResult<()> {
        if catalog::database(self.conn(), name)?.is_some() {
            return Err(SqlError::new(
                1801,
                format!("Database '{name}' already exists. Choose a different database name."),
            )
            .state(3));
        }
        catalog::create_database(self.conn(), name)
    }

    /// `USE`
    pub(super) fn use_database(&mut self, name: &str, sink: &mut dyn Sink) -> SqlResult<()> {
        let found = catalog::database(self.conn(), name)?.ok_or_else(|| {
            SqlError::new(
                911,
                format!("Database '{name}' does not exist. Make sure that the name is entered correctly."),
            )
        })?;
        let old = std::mem::replace(&mut self.db, found);
        sink.database(&old, &self.db);
        sink.info(
            &SqlError::new(5701, format!("Changed database context to '{}'.", self.db))
                .class(0)
                .state(2),
        );
        Ok(())
    }
}

fn physical_column(column: &Column) -> String {
    let required = if column.nullable { "" } else { " NOT NULL" };
    format!("{} {}{required}", quote(&column.name), column.ty.sqlite_decl())
}
