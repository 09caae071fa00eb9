//! `CREATE TABLE`: columns, defaults, checks, references.

use super::Session;
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::{ColumnDef, Constraint, Name, Period, Rule};
use crate::sql::bind::{Binder, Scope};
use crate::sql::catalog::{self, Column, Place, Table, quote};
use crate::sql::parser;
use crate::value::{Collation, Ty, collation, text};

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
        // The number may be that of a dropped table.
        self.engine.reset_identity(id);
        self.note_created(&place);
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
        check_period(&table, &all)?;
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

    pub(super) fn column(&self, def: &ColumnDef, table: &Table, in_key: bool) -> SqlResult<Column> {
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
        let collation = collation_of(def, ty)?;
        if let Some(text) = &def.default {
            // A default must be an expression without columns; its conversion is checked when it is used.
            Binder::new(self).expr(&parser::expression(text)?)?;
        }
        let required = def.nullable == Some(false)
            || def.identity.is_some()
            || in_key
            || def.period.is_some()
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
            collation,
            nullable: !required,
            identity: def.identity,
            default: def.default.clone(),
            computed: def.computed.clone(),
            period: def.period,
        })
    }

    pub(super) fn check_columns(&self, table: &Table) -> SqlResult<()> {
        if table.columns.iter().filter(|c| c.identity.is_some()).count() > 1 {
            return Err(SqlError::new(2744, format!("Multiple identity columns specified for table '{}'. Only one identity column per table is allowed.", table.name)).state(2));
        }
        if table.columns.iter().filter(|c| c.ty == Ty::RowVersion).count() > 1 {
            return Err(SqlError::new(2738, format!("A table can only have one timestamp column. Because table '{}' already has one, the column cannot be added.", table.name)).state(2));
        }
        Ok(())
    }

    pub(super) fn check_sql(&self, name: Option<&str>, check: &str, table: &Table) -> SqlResult<String> {
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

    pub(super) fn foreign_sql(
        &self,
        columns: &[String],
        target: &Name,
        keys: &[String],
        place: &Place,
    ) -> SqlResult<String> {
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
}

/// The columns of a period and the period name each other.
fn check_period(table: &Table, constraints: &[&Constraint]) -> SqlResult<()> {
    let named = constraints.iter().find_map(|c| match &c.rule {
        Rule::Period(columns) => Some(columns.as_slice()),
        _ => None,
    });
    let generated: Vec<&Column> = table.columns.iter().filter(|c| c.period.is_some()).collect();
    let Some(named) = named else {
        return match generated.as_slice() {
            [] => Ok(()),
            _ => Err(SqlError::new(
                13509,
                "Cannot create generated always column when SYSTEM_TIME period is not defined.",
            )),
        };
    };
    let is = |name: &String, period| table.column(name).is_some_and(|c| c.period == Some(period));
    match named {
        [start, end] if is(start, Period::Start) && is(end, Period::End) && generated.len() == 2 => {}
        _ => return Err(SqlError::unsupported("a SYSTEM_TIME period of other columns")),
    }
    if generated.iter().any(|c| !matches!(c.ty, Ty::DateTime2(_))) {
        return Err(SqlError::unsupported("a SYSTEM_TIME period that is not datetime2"));
    }
    Ok(())
}

/// The collation of a column of this type.
fn collation_of(def: &ColumnDef, ty: Ty) -> SqlResult<Collation> {
    let Some(name) = &def.collation else {
        return Ok(collation::DEFAULT);
    };
    let Some(collation) = Collation::named(name) else {
        return Err(SqlError::new(448, format!("Invalid collation '{name}'.")).class(15));
    };
    if !ty.is_string() || ty == Ty::Xml {
        let message = format!("Expression type {} is invalid for COLLATE clause.", ty.name());
        return Err(SqlError::new(447, message));
    }
    if collation.is_supplementary() && matches!(ty, Ty::Text | Ty::NText) {
        return Err(SqlError::new(
            4188,
            format!(
                "Column or parameter '{}' has type '{}' and collation '{}'. The legacy LOB types do not support UTF-8 or UTF-16 encodings. Use types varchar(max), nvarchar(max) or a collation which does not have the _SC or _UTF8 flags.",
                def.name,
                ty.name(),
                collation.name()
            ),
        ));
    }
    if !collation.is_latin() && !ty.is_unicode() {
        return Err(SqlError::unsupported(format!(
            "{} in the code page of {name}",
            ty.name()
        )));
    }
    Ok(collation)
}

fn physical_column(column: &Column) -> String {
    let required = if column.nullable { "" } else { " NOT NULL" };
    format!("{} {}{required}", quote(&column.name), column.sqlite_decl())
}
