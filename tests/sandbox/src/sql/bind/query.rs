//! The stand-in binds queries here: select lists, grouping, set operations, order and limits.

use super::types::{common, implicit};
use super::{Binder, Bound, BoundQuery, Grouping, Label, OutColumn, Scope, aggregate};
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::{Body, Item, Query, Select};
use crate::value::Ty;

/// A body before its order is added. The items of each select are still apart from the text around them.
#[derive(Default)]
pub(super) struct Part {
    pub(super) items: Vec<(Bound, String)>,
    head: &'static str,
    tail: String,
    pub(super) scope: Option<Scope>,
    /// The text of a set operation or a nested query, with columns `c0…`.
    whole: Option<String>,
}

impl Part {
    pub(super) fn columns(&self) -> Vec<OutColumn> {
        self.items
            .iter()
            .map(|(b, name)| OutColumn {
                name: name.clone(),
                ty: b.ty,
                nullable: b.nullable,
                origin: b.column.clone(),
                label: b.collation,
            })
            .collect()
    }

    pub(super) fn render(&self) -> String {
        if let Some(whole) = &self.whole {
            return whole.clone();
        }
        let distinct = self.head == "DISTINCT ";
        let items: Vec<String> = self
            .items
            .iter()
            .enumerate()
            .map(|(at, (b, _))| {
                let collate = if distinct { b.collate() } else { String::new() };
                format!("{}{collate} AS c{at}", b.sql)
            })
            .collect();
        format!("SELECT {}{}{}", self.head, items.join(", "), self.tail)
    }
}

impl Binder<'_> {
    /// Binds a query with a scope of its own, in which the scopes around it are visible.
    pub fn nested(&mut self, query: &Query) -> SqlResult<BoundQuery> {
        let ctes = self.ctes.len();
        let result = self.query(query);
        self.ctes.truncate(ctes);
        result
    }

    /// Binds a query.
    pub fn query(&mut self, query: &Query) -> SqlResult<BoundQuery> {
        let with = self.with(&query.ctes)?;
        let mut part = self.body(&query.body)?;
        let columns = part.columns();
        if self.scopes.is_empty() {
            self.sources = part.scope.as_ref().map(|s| s.sources.clone()).unwrap_or_default();
        }
        let order = self.order(&query.order, &mut part)?;
        let mut sql = part.render();
        let top = match &query.body {
            Body::Select(select) => select.top.as_ref(),
            _ => None,
        };
        if !order.is_empty() {
            sql += &format!(" ORDER BY {order}");
        }
        if let Some((skip, fetch)) = &query.offset {
            let skip = self.limit(skip)?;
            let fetch = match fetch {
                Some(fetch) => self.limit(fetch)?,
                None => "-1".to_owned(),
            };
            sql += &format!(" LIMIT {fetch} OFFSET {skip}");
        } else if let Some(top) = top {
            sql += &format!(" LIMIT {}", self.limit(top)?);
        }
        Ok(BoundQuery {
            sql: with + &sql,
            columns,
        })
    }

    pub(super) fn body(&mut self, body: &Body) -> SqlResult<Part> {
        match body {
            Body::Select(select) => self.select(select),
            Body::Nested(query) => {
                let bound = self.nested(query)?;
                let handle = self.handle();
                let items = referred(&bound.columns, &handle);
                let columns = numbered(items.len());
                let whole = format!("SELECT {columns} FROM ({}) AS {handle}", bound.sql);
                Ok(Part {
                    items,
                    whole: Some(whole),
                    ..Part::default()
                })
            }
            Body::Set(op, left, right) => {
                let (mut left, mut right) = (self.member(left)?, self.member(right)?);
                if left.items.len() != right.items.len() {
                    return Err(SqlError::of(205, &[]));
                }
                for (at, ((a, _), (b, _))) in left.items.iter_mut().zip(&mut right.items).enumerate() {
                    let label = Label::of_both(a.collation, b.collation)
                        .map_err(|(one, other)| SqlError::of(451, &[&one.name(), &other.name(), &op, &(at + 1)]))?;
                    (a.collation, b.collation) = (label, label);
                }
                let columns: Vec<OutColumn> = left
                    .items
                    .iter()
                    .zip(&right.items)
                    .map(|((a, name), (b, _))| OutColumn {
                        name: name.clone(),
                        ty: if a.null {
                            b.ty
                        } else if b.null {
                            a.ty
                        } else {
                            common(a.ty, b.ty)
                        },
                        nullable: a.nullable || b.nullable,
                        origin: None,
                        label: a.collation,
                    })
                    .collect();
                retype(&mut left, &columns)?;
                retype(&mut right, &columns)?;
                if *op != "UNION ALL" {
                    left.head = "DISTINCT ";
                }
                let handle = self.handle();
                let inner = format!("{} {op} {}", left.render(), right.render());
                let items = referred(&columns, &handle);
                let whole = format!("SELECT {} FROM ({inner}) AS {handle}", numbered(items.len()));
                Ok(Part {
                    items,
                    whole: Some(whole),
                    ..Part::default()
                })
            }
        }
    }

    /// Binds a member of a set operation. One with a `TOP` becomes a query of its own.
    pub(super) fn member(&mut self, body: &Body) -> SqlResult<Part> {
        let part = match body {
            Body::Select(select) if select.top.is_some() => {
                let query = Query {
                    ctes: Vec::new(),
                    body: body.clone(),
                    order: Vec::new(),
                    offset: None,
                };
                self.body(&Body::Nested(Box::new(query)))?
            }
            _ => self.body(body)?,
        };
        // Whole texts become selects over their numbered columns, so that conversions can be put around these.
        if let Some(whole) = &part.whole {
            let handle = self.handle();
            let columns = part.columns();
            let items = referred(&columns, &handle);
            return Ok(Part {
                items,
                tail: format!(" FROM ({whole}) AS {handle}"),
                ..Part::default()
            });
        }
        Ok(part)
    }

    pub(super) fn select(&mut self, select: &Select) -> SqlResult<Part> {
        self.scopes.push(Scope::default());
        let outer = std::mem::take(&mut self.is_masked);
        let result = self.select_in_scope(select);
        self.is_masked = outer;
        let scope = self.scopes.pop();
        result.map(|mut part| {
            part.scope = scope;
            part
        })
    }

    pub(super) fn select_in_scope(&mut self, select: &Select) -> SqlResult<Part> {
        let mut tail = self.from(&select.from)?;
        if let Some(filter) = &select.filter {
            tail += &format!(" WHERE {}", self.condition(filter)?);
        }
        if aggregate::aggregates(select) {
            let mut keys = Vec::new();
            let mut rendered = Vec::new();
            for e in &select.group {
                let key = self.expr(e)?;
                rendered.push(match key.ty {
                    Ty::DateTimeOffset(_) => format!("t_utc({})", key.sql),
                    _ => format!("{}{}", key.sql, key.collate()),
                });
                keys.push(key.sql);
            }
            if !rendered.is_empty() {
                tail += &format!(" GROUP BY {}", rendered.join(", "));
            }
            self.set_grouping(Grouping {
                keys,
                ..Grouping::default()
            });
        }
        let mut items = Vec::new();
        for item in &select.items {
            match item {
                Item::Star(qualifier) => items.extend(self.star(qualifier, false)?),
                Item::Every => items.extend(self.star(&[], true)?),
                Item::Expr(..) => items.extend(self.named_item(item)?),
                Item::Assign(..) => {
                    return Err(SqlError::of(141, &[]));
                }
            }
        }
        if let Some(having) = &select.having {
            tail += &format!(" HAVING {}", self.condition(having)?);
        }
        self.check_loose()?;
        if select.distinct
            && let Some((b, _)) = items.iter().find(|(b, _)| b.ty.is_incomparable())
        {
            return Err(SqlError::of(421, &[&b.ty.name()]));
        }
        Ok(Part {
            items,
            head: if select.distinct { "DISTINCT " } else { "" },
            tail,
            ..Part::default()
        })
    }

    pub(super) fn set_grouping(&mut self, grouping: Grouping) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.grouping = Some(grouping);
        }
    }

    pub(super) fn check_loose(&self) -> SqlResult<()> {
        let grouping = self.scopes.last().and_then(|s| s.grouping.as_ref());
        match grouping.and_then(|g| g.loose.first()) {
            Some(name) => Err(SqlError::of(8120, &[&name])),
            None => Ok(()),
        }
    }

    pub(super) fn star(&mut self, qualifier: &[String], every: bool) -> SqlResult<Vec<(Bound, String)>> {
        let scope = self.scopes.last();
        let sources = scope.map(|s| s.sources.as_slice()).unwrap_or_default();
        let all = sources.iter().filter(|s| s.matches(qualifier)).flat_map(|s| &s.columns);
        if let Some(denied) = all.clone().find(|c| c.denied && !c.hidden && !every) {
            return Err(self.denied(denied));
        }
        let shown = all.filter(|c| every || !c.hidden).cloned().collect::<Vec<_>>();
        if sources.is_empty() {
            return Err(SqlError::of(263, &[]));
        }
        if !qualifier.is_empty() && !sources.iter().any(|s| s.matches(qualifier)) {
            return Err(SqlError::of(107, &[&qualifier.join(".")]));
        }
        let mut items = Vec::with_capacity(shown.len());
        for column in shown {
            let is_masked = column.masked && !every;
            let bound = if is_masked {
                self.masked(column.bound)?
            } else {
                column.bound
            };
            items.push((bound, column.name));
        }
        if let Some(grouping) = self.scopes.last_mut().and_then(|s| s.grouping.as_mut()) {
            for (bound, name) in &items {
                if !grouping.keys.contains(&bound.sql) {
                    grouping.loose.push(name.clone());
                }
            }
        }
        Ok(items)
    }
}

/// Returns `c0, c1, …`.
pub fn numbered(count: usize) -> String {
    (0..count).map(|at| format!("c{at}")).collect::<Vec<_>>().join(", ")
}

pub(super) fn referred(columns: &[OutColumn], handle: &str) -> Vec<(Bound, String)> {
    columns
        .iter()
        .enumerate()
        .map(|(at, c)| {
            let mut bound = Bound::new(format!("{handle}.c{at}"), c.ty).nullable(c.nullable);
            bound.column.clone_from(&c.origin);
            bound.collation = c.label;
            (bound, c.name.clone())
        })
        .collect()
}

pub(super) fn retype(part: &mut Part, columns: &[OutColumn]) -> SqlResult<()> {
    if part.items.len() != columns.len() {
        return Err(SqlError::of(205, &[]));
    }
    for ((bound, _), column) in part.items.iter_mut().zip(columns) {
        *bound = implicit(bound.clone(), column.ty)?;
    }
    Ok(())
}

pub(super) fn rename(columns: &mut [OutColumn], names: &[String], table: &str) -> SqlResult<()> {
    if !names.is_empty() && names.len() != columns.len() {
        return Err(SqlError::of(8159, &[&table]));
    }
    for (column, name) in columns.iter_mut().zip(names) {
        column.name.clone_from(name);
    }
    for (at, column) in columns.iter().enumerate() {
        if column.name.is_empty() {
            return Err(SqlError::of(8155, &[&(at + 1), &table]));
        }
    }
    Ok(())
}
