//! The stand-in binds aggregates and window functions here.

use super::{Binder, Bound};
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::{Call, Expr, Item, Over, Select};
use crate::value::Ty;

const AGGREGATES: [&str; 5] = ["COUNT", "COUNT_BIG", "MIN", "MAX", "SUM"];

/// Returns whether a function is an aggregate.
pub fn is_aggregate(name: &str) -> bool {
    AGGREGATES.contains(&name)
}

/// Returns whether a select aggregates.
pub fn aggregates(select: &Select) -> bool {
    !select.group.is_empty()
        || select.having.is_some()
        || select.items.iter().any(|item| match item {
            Item::Star(_) | Item::Every => false,
            Item::Expr(e, _) | Item::Assign(_, _, e) => contains(e),
        })
}

/// Returns whether an expression contains an aggregate of this level.
pub fn contains(e: &Expr) -> bool {
    e.any(&|e| matches!(e, Expr::Call(call) if call.over.is_none() && call.name.len() == 1 && is_aggregate(&call.name[0])))
}

impl Binder<'_> {
    /// Binds an aggregate over a group, or `ROW_NUMBER`.
    pub fn aggregate(&mut self, name: &str, call: &Call) -> SqlResult<Bound> {
        if let Some(over) = &call.over {
            return self.row_number(name, over);
        }
        match self.scopes.last_mut().and_then(|s| s.grouping.as_mut()) {
            Some(grouping) if grouping.inside => return Err(SqlError::of(130, &[])),
            Some(grouping) => grouping.inside = true,
            None => return Err(SqlError::of(147, &[])),
        }
        let result = self.aggregate_call(name, call);
        if let Some(grouping) = self.scopes.last_mut().and_then(|s| s.grouping.as_mut()) {
            grouping.inside = false;
        }
        result
    }

    fn row_number(&mut self, name: &str, over: &Over) -> SqlResult<Bound> {
        if name != "ROW_NUMBER" {
            return Err(SqlError::unsupported(format!("{name} OVER")));
        }
        if over.order.is_empty() {
            return Err(SqlError::of(4112, &[&name]));
        }
        let mut window = String::new();
        if !over.partition.is_empty() {
            let keys: Vec<String> = over
                .partition
                .iter()
                .map(|e| self.sort_key(e))
                .collect::<SqlResult<_>>()?;
            window = format!("PARTITION BY {} ", keys.join(", "));
        }
        let mut keys = Vec::new();
        for o in &over.order {
            let key = match &o.expr {
                Expr::Subquery(_) => "1".to_owned(),
                e => self.sort_key(e)?,
            };
            keys.push(if o.desc { format!("{key} DESC") } else { key });
        }
        let sql = format!("row_number() OVER ({window}ORDER BY {})", keys.join(", "));
        Ok(Bound::required(sql, Ty::BigInt))
    }

    fn sort_key(&mut self, e: &Expr) -> SqlResult<String> {
        let bound = self.expr(e)?;
        Ok(format!("{}{}", bound.sql, bound.collate()))
    }

    fn aggregate_call(&mut self, name: &str, call: &Call) -> SqlResult<Bound> {
        let distinct = if call.distinct { "DISTINCT " } else { "" };
        let counted = if name == "COUNT" { Ty::Int } else { Ty::BigInt };
        if call.star {
            return match name {
                "COUNT" | "COUNT_BIG" => Ok(Bound::required("count(*)", counted)),
                _ => Err(SqlError::syntax("*")),
            };
        }
        let first = call.args.first().ok_or_else(|| SqlError::syntax(")"))?;
        let value = self.expr(first)?;
        let (sql, ty, collate) = (&value.sql, value.ty, value.collate());
        let invalid = || SqlError::of(8117, &[&ty.name(), &name.to_lowercase()]);
        match name {
            "COUNT" | "COUNT_BIG" => {
                let key = match ty {
                    Ty::DateTimeOffset(_) => format!("t_utc({sql})"),
                    _ => sql.clone(),
                };
                Ok(Bound::required(format!("count({distinct}{key}{collate})"), counted))
            }
            "SUM" => {
                let total = match ty {
                    Ty::TinyInt | Ty::SmallInt | Ty::Int => Ty::Int,
                    Ty::Money | Ty::SmallMoney => Ty::Money,
                    Ty::Float | Ty::Real => Ty::Float,
                    Ty::Decimal(_, s) => Ty::Decimal(38, s),
                    Ty::BigInt => Ty::BigInt,
                    _ => return Err(invalid()),
                };
                Ok(Bound::new(format!("t_sum({distinct}{sql}, {})", ty.code()), total))
            }
            _ if ty == Ty::Bit || ty.is_incomparable() => Err(invalid()),
            _ => Ok(Bound::new(format!("{}({sql}{collate})", name.to_lowercase()), ty)),
        }
    }
}
