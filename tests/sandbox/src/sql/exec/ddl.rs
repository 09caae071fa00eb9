//! The stand-in runs `CREATE TABLE` here: columns, defaults, checks, references.

use super::Session;
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::{COLUMN_SET, ColumnDef, Constraint, Name, Period, Rule};
use crate::sql::bind::mask;
use crate::sql::bind::{Binder, Scope};
use crate::sql::catalog::{self, Column, Table, quote};
use crate::sql::parser;
use crate::value::{Collation, Ty, collation, text};

impl Session {
    /// Runs `CREATE TABLE`, inside [`Session::write`].
    pub(super) fn create_table(
        &mut self,
        name: &Name,
        defs: &[ColumnDef],
        constraints: &[Constraint],
    ) -> SqlResult<()> {
        let place = self.new_place(name)?;
        let id = catalog::add_object(self.conn(), &place, "U", None)?;
        // The number may be that of a table that was dropped.
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
            return Err(SqlError::of(8110, &[&place.name]));
        }
        for def in defs {
            if table.column(&def.name).is_some() {
                return Err(SqlError::of(2705, &[&def.name, &place.name]));
            }
            let in_key = keyed.iter().any(|k| text::same(k, &def.name));
            if in_key && def.nullable == Some(true) {
                return Err(SqlError::of(8111, &[&place.name]));
            }
            let column = self.column(def, defs, &table, in_key)?;
            table.columns.push(column);
        }
        self.check_columns(&table)?;
        check_period(&table, &all)?;
        let parts: Vec<String> = table.stored().map(physical_column).collect();
        if parts.is_empty() {
            return Err(SqlError::of(1756, &[]));
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

    pub(super) fn column(&self, def: &ColumnDef, defs: &[ColumnDef], table: &Table, in_key: bool) -> SqlResult<Column> {
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
                SqlError::of(2749, &[&def.name])
            });
        }
        let collation = collation_of(def, ty)?;
        if let Some(mask) = &def.mask {
            mask::check(mask)?;
        }
        if let Some(text) = &def.default {
            // A default must be an expression without columns. Its conversion is checked when it is used.
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
            computed: match def.special {
                COLUMN_SET => Some(column_set(defs)),
                _ => def.computed.clone(),
            },
            period: def.period,
            hidden: def.hidden,
            mask: def.mask.clone(),
            special: def.special,
        })
    }

    pub(super) fn check_columns(&self, table: &Table) -> SqlResult<()> {
        if table.columns.iter().filter(|c| c.identity.is_some()).count() > 1 {
            return Err(SqlError::of(2744, &[&table.name]));
        }
        if table.columns.iter().filter(|c| c.ty == Ty::RowVersion).count() > 1 {
            return Err(SqlError::of(2738, &[&table.name]));
        }
        Ok(())
    }
}

/// Fails unless the columns of a period and the period name each other.
fn check_period(table: &Table, constraints: &[&Constraint]) -> SqlResult<()> {
    let named = constraints.iter().find_map(|c| match &c.rule {
        Rule::Period(columns) => Some(columns.as_slice()),
        _ => None,
    });
    let generated: Vec<&Column> = table.columns.iter().filter(|c| c.period.is_some()).collect();
    let Some(named) = named else {
        return match generated.as_slice() {
            [] => Ok(()),
            _ => Err(SqlError::of(13509, &[])),
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

/// Returns the expression of a column set: an element for each sparse column that is not NULL.
fn column_set(defs: &[ColumnDef]) -> String {
    let sparse = defs.iter().filter(|def| def.sparse).map(|def| &def.name);
    let elements = sparse.map(|name| format!("'<{name}>' + CAST([{name}] AS nvarchar(max)) + '</{name}>'"));
    format!(
        "CAST(CONCAT('', '', {}) AS xml)",
        elements.collect::<Vec<_>>().join(", ")
    )
}

/// Returns the collation of a column of this type.
fn collation_of(def: &ColumnDef, ty: Ty) -> SqlResult<Collation> {
    let Some(name) = &def.collation else {
        return Ok(collation::DEFAULT);
    };
    let Some(collation) = Collation::named(name) else {
        return Err(SqlError::of(448, &[&name]));
    };
    if !ty.is_string() || ty == Ty::Xml {
        return Err(SqlError::of(447, &[&ty.name()]));
    }
    if collation.is_supplementary() && matches!(ty, Ty::Text | Ty::NText) {
        return Err(SqlError::of(4188, &[&def.name, &ty.name(), &collation.name()]));
    }
    Ok(collation)
}

pub(super) fn physical_column(column: &Column) -> String {
    let required = if column.nullable { "" } else { " NOT NULL" };
    format!("{} {}{required}", quote(&column.name), column.sqlite_decl())
}
