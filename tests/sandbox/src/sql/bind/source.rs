//! The stand-in binds what stands in `FROM` here: tables, views of the catalog, derived tables, joins, table functions.

use super::types::{common_of, implicit, to};
use super::{Binder, Bound, ColumnFlags, Label, OutColumn, Source, SourceColumn};
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::{Call, Expr, Table};
use crate::sql::catalog;
use crate::sql::parser;
use crate::sql::sysviews;
use crate::value::Ty;

impl Binder<'_> {
    /// Binds the sources of a select into the innermost scope, and returns the text of `FROM`.
    pub fn from(&mut self, tables: &[Table]) -> SqlResult<String> {
        if tables.is_empty() {
            return Ok(String::new());
        }
        let parts: Vec<String> = tables.iter().map(|t| self.table(t)).collect::<SqlResult<_>>()?;
        Ok(format!(" FROM {}", parts.join(", ")))
    }

    fn add(&mut self, source: Source) -> SqlResult<()> {
        if let Some(scope) = self.scopes.last_mut() {
            let twice = scope
                .sources
                .iter()
                .any(|s| crate::value::text::same(&s.alias, &source.alias) && s.schema == source.schema);
            if twice {
                return Err(SqlError::of(1013, &[&source.alias, &source.alias]));
            }
            scope.sources.push(source);
        }
        Ok(())
    }

    fn sources(&self) -> usize {
        self.scopes.last().map_or(0, |s| s.sources.len())
    }

    fn make_nullable(&mut self, range: std::ops::Range<usize>) {
        if let Some(scope) = self.scopes.last_mut() {
            for source in &mut scope.sources[range] {
                for column in &mut source.columns {
                    column.bound.nullable = true;
                }
            }
        }
    }

    fn table(&mut self, table: &Table) -> SqlResult<String> {
        match table {
            Table::Named { name, alias } => self.named(name, alias.as_deref()),
            Table::Derived { query, alias, columns } => {
                let outer = std::mem::take(&mut self.scopes);
                let bound = self.nested(query);
                self.scopes = outer;
                let bound = bound?;
                self.derived(&format!("({})", bound.sql), &bound.columns, alias, columns)
            }
            Table::Values { rows, alias, columns } => self.values(rows, alias, columns),
            Table::Function {
                name,
                args,
                alias,
                columns,
            } => self.table_function(name, args, alias.as_deref(), columns),
            Table::Changes(source) => self.change_table(source),
            Table::Join { kind, left, right, on } => {
                let start = self.sources();
                let left = self.table(left)?;
                let middle = self.sources();
                let right = match right.as_ref() {
                    join @ Table::Join { .. } => format!("({})", self.table(join)?),
                    other => self.table(other)?,
                };
                let end = self.sources();
                if matches!(*kind, "LEFT" | "FULL") {
                    self.make_nullable(middle..end);
                }
                if matches!(*kind, "RIGHT" | "FULL") {
                    self.make_nullable(start..middle);
                }
                Ok(match on {
                    Some(on) => format!("{left} {kind} JOIN {right} ON {}", self.condition(on)?),
                    None => format!("{left} CROSS JOIN {right}"),
                })
            }
        }
    }

    pub(super) fn derived(
        &mut self,
        sql: &str,
        columns: &[OutColumn],
        alias: &str,
        names: &[String],
    ) -> SqlResult<String> {
        if !names.is_empty() && names.len() != columns.len() {
            return Err(SqlError::of(8159, &[&alias]));
        }
        let handle = self.handle();
        let mut out = Vec::new();
        for (at, column) in columns.iter().enumerate() {
            let name = names.get(at).unwrap_or(&column.name).clone();
            if name.is_empty() {
                return Err(SqlError::of(8155, &[&(at + 1), &alias]));
            }
            if out
                .iter()
                .any(|c: &SourceColumn| crate::value::text::same(&c.name, &name))
            {
                return Err(SqlError::of(8156, &[&name, &alias]));
            }
            let mut bound = Bound::new(format!("{handle}.c{at}"), column.ty).nullable(column.nullable);
            bound.collation = column.label.map(|label| Label {
                explicit: false,
                ..label
            });
            bound.column = column.origin.clone().map(|o| ColumnFlags {
                name: name.clone(),
                ..o
            });
            out.push(SourceColumn {
                name,
                bound,
                hidden: false,
                denied: false,
                masked: false,
            });
        }
        self.add(Source {
            alias: alias.to_owned(),
            schema: None,
            handle: handle.clone(),
            columns: out,
        })?;
        Ok(format!("{sql} AS {handle}"))
    }

    fn named(&mut self, name: &[String], alias: Option<&str>) -> SqlResult<String> {
        if let [one] = name
            && let Some(cte) = self.cte(one)
        {
            let columns = cte.columns.clone();
            return self.derived(&cte.handle, &columns, alias.unwrap_or(one), &[]);
        }
        if let Some(view) = sysviews::find(self.session, name)? {
            let columns: Vec<OutColumn> = view
                .columns
                .iter()
                .map(|(name, ty, nullable)| OutColumn::new(name, *ty, *nullable))
                .collect();
            let sql = format!("({})", view.sql);
            let last = name.last().cloned().unwrap_or_default();
            return self.derived(&sql, &columns, alias.unwrap_or(&last), &[]);
        }
        let place = self.session.place(name)?;
        if let Some((id, kind, place)) = catalog::object(self.session.conn(), &place)?
            && ["V", "SN"].contains(&kind.as_str())
        {
            let text = catalog::definition(self.session.conn(), id)?;
            let alias = alias.unwrap_or(&place.name);
            if kind == "SN" {
                return self.named(&parser::name(&text)?, Some(alias));
            }
            self.session.check_right("SELECT", id, &place.name, &place.schema)?;
            return self.view(&text, alias);
        }
        let table = self.session.table(&place, &name.join("."))?;
        let handle = self.handle();
        let source = self.table_source(&table, alias, &handle)?;
        if source.columns.iter().all(|column| column.denied) {
            self.session
                .check_right("SELECT", table.id, &table.name, &table.schema)?;
        }
        let filters = self.filters(&table, &source)?;
        self.add(source)?;
        let rows = format!("{} AS {handle}", self.rows_of(&table)?);
        if filters.is_empty() {
            return Ok(rows);
        }
        let condition = filters.join(" AND ");
        Ok(format!(
            "(SELECT {handle}._rowid_ AS _rowid_, {handle}.* FROM {rows} WHERE {condition}) AS {handle}"
        ))
    }

    /// Binds the text of a view, whose owner may read everything.
    fn view(&mut self, text: &str, alias: &str) -> SqlResult<String> {
        let (query, session) = (parser::view(text)?, self.session);
        let outer = (std::mem::take(&mut self.scopes), std::mem::take(&mut self.ctes));
        let bound = session.chained(true, || self.nested(&query));
        (self.scopes, self.ctes) = outer;
        let bound = bound?;
        self.derived(&format!("({})", bound.sql), &bound.columns, alias, &[])
    }

    /// Returns the conditions of the security policies for a table that is read as this source: a row is visible when
    /// the function has a row for it
    /// (<https://learn.microsoft.com/en-us/sql/relational-databases/security/row-level-security>).
    fn filters(&mut self, table: &catalog::Table, source: &Source) -> SqlResult<Vec<String>> {
        let session = self.session;
        let sql = "SELECT definition FROM main._predicate WHERE target = ?1";
        let mut statement = session.conn().prepare_cached(sql)?;
        let texts: Vec<String> = statement
            .query_map([table.id], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        texts
            .iter()
            .map(|text| session.chained(true, || self.filter(text, source)))
            .collect()
    }

    fn filter(&mut self, text: &str, source: &Source) -> SqlResult<String> {
        let Expr::Call(call) = parser::expression(text)? else {
            return Err(SqlError::syntax(text));
        };
        let missing = || SqlError::no_object(&call.name.join("."));
        let place = self.session.place(&call.name)?;
        let (id, ..) = catalog::object(self.session.conn(), &place)?.ok_or_else(missing)?;
        let (params, query) = parser::inline_function(&catalog::definition(self.session.conn(), id)?)?;
        let scope = super::Scope {
            sources: vec![source.clone()],
            grouping: None,
        };
        let outer = std::mem::replace(&mut self.scopes, vec![scope]);
        let given: SqlResult<Vec<Bound>> = call.args.iter().map(|e| self.expr(e)).collect();
        self.scopes = Vec::new();
        let named = params.into_iter().map(|param| param.name).zip(given?);
        let arguments = std::mem::replace(&mut self.arguments, named.collect());
        let bound = self.nested(&query);
        (self.scopes, self.arguments) = (outer, arguments);
        Ok(format!("EXISTS ({})", bound?.sql))
    }

    /// Binds the call of a scalar function. Fails with 4121 when there is none of this name.
    pub(super) fn scalar_function(&mut self, call: &Call) -> SqlResult<Bound> {
        let place = self.session.place(&call.name)?;
        let found = catalog::object(self.session.conn(), &place)?.filter(|(_, kind, _)| kind == "FN");
        let (id, ..) = found.ok_or_else(|| SqlError::of(4121, &[&call.name[0], &call.name.join(".")]))?;
        let (params, ty, value) = parser::scalar_function(&catalog::definition(self.session.conn(), id)?)?;
        let given: SqlResult<Vec<Bound>> = call.args.iter().map(|e| self.expr(e)).collect();
        let named = params.into_iter().map(|param| param.name).zip(given?).collect();
        let outer = (
            std::mem::take(&mut self.scopes),
            std::mem::replace(&mut self.arguments, named),
        );
        let bound = self.expr(&value);
        (self.scopes, self.arguments) = outer;
        Ok(to(bound?, ty).nullable(true))
    }

    /// Returns the SQLite source that is read for a table: the rows that the session's transaction sees.
    pub fn rows_of(&self, table: &catalog::Table) -> SqlResult<String> {
        if self.uncommitted == Some(table.id) {
            Ok(table.place().physical())
        } else {
            self.session.source_of(table)
        }
    }

    /// Adds a table to the innermost scope under a SQLite alias.
    pub fn add_table(&mut self, table: &catalog::Table, alias: Option<&str>, handle: &str) -> SqlResult<()> {
        let source = self.table_source(table, alias, handle)?;
        self.add(source)
    }

    /// Returns the columns of a table as a source. Computed columns become their expressions.
    pub fn table_source(&mut self, table: &catalog::Table, alias: Option<&str>, handle: &str) -> SqlResult<Source> {
        let mut source = Source {
            alias: alias.unwrap_or(&table.name).to_owned(),
            schema: if alias.is_some() {
                None
            } else {
                Some(table.schema.clone())
            },
            handle: handle.to_owned(),
            columns: Vec::new(),
        };
        let flags = |c: &catalog::Column| ColumnFlags {
            name: c.name.clone(),
            identity: c.identity.is_some(),
            computed: c.computed.is_some() || c.ty == Ty::RowVersion,
            table: vec![table.schema.clone(), table.name.clone()],
        };
        let prefix = if handle.is_empty() {
            String::new()
        } else {
            format!("{handle}.")
        };
        let denied = self.session.columns_without("SELECT", table)?;
        // Who may read a view may not therefore see what is masked in its tables.
        let masked = self
            .session
            .chained(false, || self.session.columns_without("UNMASK", table))?;
        for column in table.stored() {
            let mut bound =
                Bound::new(format!("{prefix}{}", catalog::quote(&column.name)), column.ty).nullable(column.nullable);
            bound.column = Some(flags(column));
            bound.collation = column.label();
            source.columns.push(SourceColumn {
                name: column.name.clone(),
                bound,
                hidden: column.hidden,
                denied: denied.contains(&column.id),
                masked: column.mask.is_some() && masked.contains(&column.id),
            });
        }
        for (at, column) in table.columns.iter().enumerate() {
            let Some(text) = &column.computed else { continue };
            let expr = parser::expression(text)?;
            let scope = super::Scope {
                sources: vec![source.clone()],
                grouping: None,
            };
            let outer = std::mem::replace(&mut self.scopes, vec![scope]);
            self.is_masked = false;
            let bound = self.expr(&expr);
            self.scopes = outer;
            let mut bound = to(bound?, column.ty);
            bound.column = Some(flags(column));
            source.columns.insert(
                at.min(source.columns.len()),
                SourceColumn {
                    name: column.name.clone(),
                    bound,
                    hidden: false,
                    denied: denied.contains(&column.id),
                    // What is computed of a masked column is masked.
                    masked: std::mem::take(&mut self.is_masked),
                },
            );
        }
        Ok(source)
    }

    fn values(&mut self, rows: &[Vec<Expr>], alias: &str, names: &[String]) -> SqlResult<String> {
        let (sql, columns) = self.value_rows(rows)?;
        if names.is_empty() {
            return Err(SqlError::of(8155, &[&1, &alias]));
        }
        self.derived(&format!("({sql})"), &columns, alias, names)
    }

    /// Binds the rows of `VALUES` as a query over `c0…`, with each column in the common type of its values.
    pub fn value_rows(&mut self, rows: &[Vec<Expr>]) -> SqlResult<(String, Vec<OutColumn>)> {
        let width = rows.first().map_or(0, Vec::len);
        let mut bound: Vec<Vec<Bound>> = Vec::new();
        for row in rows {
            if row.len() != width {
                return Err(SqlError::of(10709, &[]));
            }
            bound.push(row.iter().map(|e| self.expr(e)).collect::<SqlResult<_>>()?);
        }
        let mut columns = Vec::new();
        for at in 0..width {
            let ty = common_of(bound.iter().map(|row| &row[at])).unwrap_or(Ty::Int);
            let nullable = bound.iter().any(|row| row[at].nullable);
            columns.push(OutColumn::new("", ty, nullable));
        }
        let mut selects = Vec::new();
        for row in bound {
            let items: Vec<String> = row
                .into_iter()
                .zip(&columns)
                .enumerate()
                .map(|(at, (b, c))| implicit(b, c.ty).map(|b| format!("{} AS c{at}", b.sql)))
                .collect::<SqlResult<_>>()?;
            selects.push(format!("SELECT {}", items.join(", ")));
        }
        Ok((selects.join(" UNION ALL "), columns))
    }

    fn table_function(
        &mut self,
        name: &[String],
        args: &[Expr],
        alias: Option<&str>,
        names: &[String],
    ) -> SqlResult<String> {
        let upper = name.last().map(|n| n.to_ascii_uppercase()).unwrap_or_default();
        let alias = alias.unwrap_or(&upper).to_owned();
        match (name.len(), upper.as_str()) {
            (1, "GENERATE_SERIES") => {
                if !(2..=3).contains(&args.len()) {
                    return Err(SqlError::of(174, &[&"GENERATE_SERIES", &"2 to 3"]));
                }
                let bound: Vec<Bound> = args.iter().map(|e| self.expr(e)).collect::<SqlResult<_>>()?;
                let ty = common_of(&bound).unwrap_or(Ty::Int);
                if !ty.is_int() {
                    return Err(SqlError::of(5373, &[]));
                }
                let parts: Vec<String> = bound
                    .into_iter()
                    .map(|b| implicit(b, ty).map(|b| b.sql))
                    .collect::<SqlResult<_>>()?;
                let (start, stop) = (&parts[0], &parts[1]);
                let step = match parts.get(2) {
                    Some(step) => step.clone(),
                    None => format!("(CASE WHEN {start} <= {stop} THEN 1 ELSE -1 END)"),
                };
                let sql = format!(
                    "(WITH RECURSIVE g(c0) AS (SELECT {start} WHERE ({step} > 0 AND {start} <= {stop}) OR ({step} < 0 AND {start} >= {stop})
                      UNION ALL SELECT c0 + {step} FROM g WHERE ({step} > 0 AND c0 + {step} <= {stop}) OR ({step} < 0 AND c0 + {step} >= {stop}))
                      SELECT c0 FROM g)"
                );
                let column = OutColumn::new("value", ty, true);
                self.derived(&sql, &[column], &alias, names)
            }
            (2, "DM_DB_STATS_HISTOGRAM") if crate::value::text::same(&name[0], "sys") => {
                let (sql, columns) = self.stats_histogram(args)?;
                self.derived(&sql, &columns, &alias, names)
            }
            (2, "DM_SQL_REFERENCED_ENTITIES") if crate::value::text::same(&name[0], "sys") => {
                let (sql, columns) = self.referenced_entities(args)?;
                self.derived(&sql, &columns, &alias, names)
            }
            // The other server is this one.
            (1, "OPENQUERY") => match args {
                [_, Expr::Str(query, ..)] => self.view(query, &alias),
                _ => Err(SqlError::syntax("OPENQUERY")),
            },
            (1, "OPENJSON" | "STRING_SPLIT" | "OPENROWSET") => Err(SqlError::unsupported(upper)),
            _ => Err(SqlError::no_object(&name.join("."))),
        }
    }

    /// Binds `sys.dm_db_stats_histogram(object_id, stats_id)`. Its `range_high_key`, a `sql_variant` in SQL Server, has
    /// the type that the variants of these statistics hold.
    fn stats_histogram(&mut self, args: &[Expr]) -> SqlResult<(String, Vec<OutColumn>)> {
        let [object, statistics] = args else {
            return Err(SqlError::of(313, &[]));
        };
        let number = |e: &Expr| -> SqlResult<i64> {
            match self.session.evaluate_as(e, Ty::Int)? {
                rusqlite::types::Value::Integer(number) => Ok(number),
                _ => Ok(0),
            }
        };
        let (object, statistics) = (number(object)?, number(statistics)?);
        let conn = self.session.conn();
        let table = catalog::table_by_id(conn, "main", object)?;
        let indexes = match &table {
            Some(table) => catalog::indexes(conn, table)?,
            None => Vec::new(),
        };
        let index = indexes.iter().find(|index| index.id == statistics);
        let first = index.and_then(|index| index.columns.first());
        let key = first
            .and_then(|name| table.as_ref()?.column(name))
            .map_or(Ty::Int, |column| column.ty);
        let columns = [
            ("object_id", Ty::Int, false),
            ("stats_id", Ty::Int, false),
            ("step_number", Ty::Int, false),
            ("range_high_key", key, true),
            ("range_rows", Ty::Real, false),
            ("equal_rows", Ty::Real, false),
            ("distinct_range_rows", Ty::BigInt, false),
            ("average_range_rows", Ty::Real, false),
        ];
        let columns = columns.map(|(name, ty, nullable)| OutColumn::new(name, ty, nullable));
        let sql = format!(
            "(SELECT object_id AS c0, stats_id AS c1, step AS c2, key AS c3, CAST(range_rows AS REAL) AS c4,
              CAST(equal_rows AS REAL) AS c5, range_values AS c6,
              CASE range_values WHEN 0 THEN 1.0 ELSE CAST(range_rows AS REAL) / range_values END AS c7
              FROM main._histogram WHERE object_id = {object} AND stats_id = {statistics})"
        );
        Ok((sql, columns.to_vec()))
    }
}
