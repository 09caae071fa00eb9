//! Aggregates and window functions.

use super::types::{as_decimal, implicit, string_of, to};
use super::{Binder, Bound};
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::{Call, Expr, Item, Order, Select};
use crate::value::{MAX, Ty};

const AGGREGATES: [&str; 13] = [
    "COUNT",
    "COUNT_BIG",
    "MIN",
    "MAX",
    "SUM",
    "AVG",
    "STDEV",
    "STDEVP",
    "VAR",
    "VARP",
    "STRING_AGG",
    "CHECKSUM_AGG",
    "APPROX_COUNT_DISTINCT",
];

/// Whether a function is an aggregate.
pub fn is_aggregate(name: &str) -> bool {
    AGGREGATES.contains(&name)
}

/// Whether a select aggregates.
pub fn aggregates(select: &Select) -> bool {
    !select.group.is_empty()
        || select.having.is_some()
        || select.items.iter().any(|item| match item {
            Item::Star(_) => false,
            Item::Expr(e, _) | Item::Assign(_, _, e) => contains(e),
        })
}

/// Whether an expression contains an aggregate of its own select.
pub fn contains(e: &Expr) -> bool {
    match e {
        Expr::Call(call) => {
            (call.over.is_none() && call.name.len() == 1 && is_aggregate(&call.name[0]))
                || call.args.iter().any(contains)
        }
        Expr::Unary(_, a) | Expr::Not(a) | Expr::IsNull(a, _) | Expr::Collate(a, _) | Expr::InQuery(a, ..) => {
            contains(a)
        }
        Expr::Binary(_, a, b) | Expr::Compare(_, a, b) | Expr::And(a, b) | Expr::Or(a, b) | Expr::AtTimeZone(a, b) => {
            contains(a) || contains(b)
        }
        Expr::Like(a, b, c, _) => contains(a) || contains(b) || c.as_deref().is_some_and(contains),
        Expr::In(a, list, _) => contains(a) || list.iter().any(contains),
        Expr::Between(a, b, c, _) => contains(a) || contains(b) || contains(c),
        Expr::Case(operand, arms, otherwise) => {
            operand.as_deref().is_some_and(contains)
                || arms.iter().any(|(a, b)| contains(a) || contains(b))
                || otherwise.as_deref().is_some_and(contains)
        }
        Expr::Cast(a, _, style, _) => contains(a) || style.as_deref().is_some_and(contains),
        _ => false,
    }
}

impl Binder<'_> {
    /// An aggregate or window function.
    pub fn aggregate(&mut self, name: &str, call: &Call) -> SqlResult<Bound> {
        let plain = call.over.is_none();
        let mut entered = false;
        if plain {
            match self.scopes.last_mut().and_then(|s| s.grouping.as_mut()) {
                Some(grouping) if grouping.inside => {
                    return Err(SqlError::new(
                        130,
                        "Cannot perform an aggregate function on an expression containing an aggregate or a subquery.",
                    ));
                }
                Some(grouping) => {
                    grouping.inside = true;
                    entered = true;
                }
                None => {
                    return Err(SqlError::new(
                        147,
                        "An aggregate may not appear in the WHERE clause unless it is in a subquery contained in a HAVING clause or a select list, and the column being aggregated is an outer reference.",
                    )
                    .class(15));
                }
            }
        }
        let result = self.aggregate_call(name, call);
        if entered && let Some(grouping) = self.scopes.last_mut().and_then(|s| s.grouping.as_mut()) {
            grouping.inside = false;
        }
        let mut bound = result?;
        if let Some(over) = &call.over {
            if matches!(
                name,
                "SUM" | "AVG" | "STRING_AGG" | "STDEV" | "STDEVP" | "VAR" | "VARP" | "CHECKSUM_AGG"
            ) {
                return Err(SqlError::unsupported(format!("{name} OVER")));
            }
            let mut parts = Vec::new();
            if !over.partition.is_empty() {
                let keys: Vec<String> = over
                    .partition
                    .iter()
                    .map(|e| self.sort_key(e))
                    .collect::<SqlResult<_>>()?;
                parts.push(format!("PARTITION BY {}", keys.join(", ")));
            }
            if !over.order.is_empty() {
                parts.push(format!("ORDER BY {}", self.order_keys(&over.order)?));
            }
            bound.sql = format!("{} OVER ({})", bound.sql, parts.join(" "));
        }
        Ok(bound)
    }

    fn sort_key(&mut self, e: &Expr) -> SqlResult<String> {
        let bound = self.expr(e)?;
        Ok(format!("{}{}", bound.sql, bound.collate()))
    }

    fn order_keys(&mut self, order: &[Order]) -> SqlResult<String> {
        let keys: Vec<String> = order
            .iter()
            .map(|o| {
                let constant = matches!(&o.expr, Expr::Subquery(_));
                let key = if constant {
                    "1".to_owned()
                } else {
                    self.sort_key(&o.expr)?
                };
                Ok(if o.desc { format!("{key} DESC") } else { key })
            })
            .collect::<SqlResult<_>>()?;
        Ok(keys.join(", "))
    }

    fn aggregate_call(&mut self, name: &str, call: &Call) -> SqlResult<Bound> {
        if matches!(name, "ROW_NUMBER" | "RANK" | "DENSE_RANK") && call.over.is_some() {
            if call.over.as_ref().is_some_and(|o| o.order.is_empty()) {
                return Err(SqlError::new(
                    4112,
                    format!("The function '{name}' must have an OVER clause with ORDER BY."),
                )
                .class(15));
            }
            return Ok(Bound::required(format!("{name}()"), Ty::BigInt));
        }
        if !is_aggregate(name) {
            return Err(SqlError::unsupported(format!("{name} OVER")));
        }
        let distinct = if call.distinct { "DISTINCT " } else { "" };
        let counted = if name == "COUNT" { Ty::Int } else { Ty::BigInt };
        if call.star {
            return match name {
                "COUNT" | "COUNT_BIG" => Ok(Bound::required("count(*)", counted)),
                _ => Err(SqlError::syntax("*").class(15)),
            };
        }
        let first = call.args.first().ok_or_else(|| SqlError::syntax(")"))?;
        let value = self.expr(first)?;
        let collate = value.collate();
        Ok(match name {
            "COUNT" | "COUNT_BIG" => {
                // Offsets that name the same moment are one value.
                let key = if matches!(value.ty, Ty::DateTimeOffset(_)) {
                    format!("t_utc({})", value.sql)
                } else {
                    value.sql
                };
                Bound::required(format!("count({distinct}{key}{collate})"), counted)
            }
            "APPROX_COUNT_DISTINCT" => Bound::required(format!("count(DISTINCT {}{collate})", value.sql), Ty::BigInt),
            "MIN" | "MAX" => {
                if value.ty == Ty::Bit || value.ty.is_incomparable() {
                    return Err(SqlError::new(
                        8117,
                        format!(
                            "Operand data type {} is invalid for {} operator.",
                            value.ty.name(),
                            name.to_lowercase()
                        ),
                    ));
                }
                Bound::new(format!("{}({}{collate})", name.to_lowercase(), value.sql), value.ty)
            }
            "SUM" | "AVG" => {
                let ty = summed(name, value.ty)?;
                Bound::new(
                    format!(
                        "t_{}({distinct}{}, {})",
                        name.to_lowercase(),
                        value.sql,
                        value.ty.code()
                    ),
                    ty,
                )
            }
            "STDEV" | "STDEVP" | "VAR" | "VARP" => {
                let value = implicit(value, Ty::Float)?;
                Bound::new(format!("t_deviation({distinct}{}, '{name}')", value.sql), Ty::Float)
            }
            "CHECKSUM_AGG" => {
                let value = implicit(value, Ty::Int)?;
                Bound::new(format!("t_checksum_agg({distinct}{})", value.sql), Ty::Int)
            }
            _ => self.string_agg(call, value)?,
        })
    }

    fn string_agg(&mut self, call: &Call, value: Bound) -> SqlResult<Bound> {
        let ty = match string_of(value.ty) {
            Ty::VarChar(MAX) => Ty::VarChar(MAX),
            Ty::NVarChar(MAX) => Ty::NVarChar(MAX),
            t if t.is_unicode() => Ty::NVarChar(4000),
            _ => Ty::VarChar(8000),
        };
        let value = to(value, ty);
        let separator = self.text_arg(call, 1)?;
        let order = if call.within.is_empty() {
            String::new()
        } else {
            format!(" ORDER BY {}", self.order_keys(&call.within)?)
        };
        Ok(Bound::new(
            format!("group_concat({}, {}{order})", value.sql, separator.sql),
            ty,
        ))
    }
}

fn summed(name: &str, ty: Ty) -> SqlResult<Ty> {
    Ok(match ty {
        Ty::TinyInt | Ty::SmallInt | Ty::Int => Ty::Int,
        Ty::BigInt => Ty::BigInt,
        Ty::Money | Ty::SmallMoney => Ty::Money,
        Ty::Float | Ty::Real => Ty::Float,
        Ty::Decimal(..) => {
            let (_, s) = as_decimal(ty).unwrap_or((38, 0));
            Ty::Decimal(38, if name == "AVG" { s.max(6) } else { s })
        }
        _ => {
            return Err(SqlError::new(
                8117,
                format!(
                    "Operand data type {} is invalid for {} operator.",
                    ty.name(),
                    name.to_lowercase()
                ),
            ));
        }
    })
}
