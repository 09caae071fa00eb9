//! The stand-in binds conditions and comparisons here.

use super::types::{self, check_implicit, common, implicit};
use super::{Binder, Bound, Label, collate};
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::Expr;
use crate::value::Ty;

fn not_prefix(not: bool) -> &'static str {
    if not { "NOT " } else { "" }
}

impl Binder<'_> {
    /// Binds a condition, in SQLite's three-valued logic.
    pub fn condition(&mut self, e: &Expr) -> SqlResult<String> {
        match e {
            Expr::And(a, b) => Ok(format!("({} AND {})", self.condition(a)?, self.condition(b)?)),
            Expr::Or(a, b) => Ok(format!("({} OR {})", self.condition(a)?, self.condition(b)?)),
            Expr::Not(a) => Ok(format!("(NOT {})", self.condition(a)?)),
            Expr::Compare(op, a, b) => {
                let (a, b) = (self.expr(a)?, self.expr(b)?);
                self.compare(op, a, b)
            }
            Expr::IsNull(a, not) => {
                let a = self.expr(a)?;
                Ok(format!("({} IS {}NULL)", a.sql, not_prefix(*not)))
            }
            Expr::In(a, list, not) => {
                let a = self.expr(a)?;
                let mut any = Vec::new();
                for item in list {
                    let item = self.expr(item)?;
                    any.push(self.compare("=", a.clone(), item)?);
                }
                Ok(format!("({}({}))", not_prefix(*not), any.join(" OR ")))
            }
            Expr::InQuery(a, query, not) => self.in_query(a, query, *not),
            Expr::Between(a, low, high, not) => {
                let (a, low, high) = (self.expr(a)?, self.expr(low)?, self.expr(high)?);
                let (from, until) = (self.compare(">=", a.clone(), low)?, self.compare("<=", a, high)?);
                Ok(format!("({}({from} AND {until}))", not_prefix(*not)))
            }
            Expr::Like(a, pattern, escape, not) => {
                let (a, pattern) = (self.expr(a)?, self.expr(pattern)?);
                let a = implicit(a.clone(), types::string_of(a.ty))?;
                let pattern = implicit(pattern.clone(), types::string_of(pattern.ty))?;
                let escape = match escape {
                    Some(e) => self.expr(e)?.sql,
                    None => "NULL".to_owned(),
                };
                Ok(format!(
                    "({}t_like({}, {}, {escape}))",
                    not_prefix(*not),
                    a.sql,
                    pattern.sql
                ))
            }
            Expr::Exists(query) => {
                let bound = self.nested(query)?;
                Ok(format!("EXISTS ({})", bound.sql))
            }
            _ => Err(SqlError::of(4145, &[])),
        }
    }

    pub(super) fn in_query(&mut self, a: &Expr, query: &crate::sql::ast::Query, not: bool) -> SqlResult<String> {
        let a = self.expr(a)?;
        let label = a.collation;
        let inner = self.nested(query)?;
        let [column] = inner.columns.as_slice() else {
            return Err(SqlError::of(116, &[]));
        };
        let handle = self.handle();
        let value = Bound::new(format!("{handle}.c0"), column.ty);
        let ty = common(a.ty, value.ty);
        let (a, b) = (self.comparable("=", a, ty)?, self.comparable("=", value, ty)?);
        let collate = collate(ty, label);
        Ok(format!(
            "({}{collate} {}IN (SELECT {b} FROM ({}) AS {handle}))",
            a,
            not_prefix(not),
            inner.sql
        ))
    }

    /// Converts an operand to the type of a comparison, into a form that SQLite orders as the server does.
    pub(super) fn comparable(&mut self, op: &str, value: Bound, ty: Ty) -> SqlResult<String> {
        if value.ty.is_incomparable() && !value.null {
            return Err(types::incomparable(op, value.ty, ty));
        }
        let value = implicit(value, ty)?;
        Ok(if matches!(ty, Ty::DateTimeOffset(_)) {
            format!("t_utc({})", value.sql)
        } else {
            value.sql
        })
    }

    /// Binds a comparison of two expressions.
    pub fn compare(&mut self, op: &str, a: Bound, b: Bound) -> SqlResult<String> {
        if a.null || b.null {
            return Ok(format!("({} {op} {})", a.sql, b.sql));
        }
        if a.ty.is_incomparable() || b.ty.is_incomparable() {
            return Err(types::incomparable(op, a.ty, b.ty));
        }
        let mut ty = common(a.ty, b.ty);
        if ty.is_string() {
            let collate = collate(ty, agreed(op, a.collation, b.collation)?);
            return Ok(format!("({} {op} {}{collate})", a.sql, b.sql));
        }
        if a.ty.is_binary() && b.ty.is_binary() {
            return Ok(format!("({} {op} {})", a.sql, b.sql));
        }
        // Text that is compared with an exact number is converted with room for all its digits.
        if let Ty::Decimal(_, s) = ty
            && (a.ty.is_string() || b.ty.is_string())
        {
            ty = Ty::Decimal(38, s);
        }
        check_implicit(a.ty, ty)?;
        check_implicit(b.ty, ty)?;
        let (a, b) = (self.comparable(op, a, ty)?, self.comparable(op, b, ty)?);
        Ok(format!("({a} {op} {b})"))
    }
}

/// Returns the collation of a comparison. Fails when the operands have different ones.
fn agreed(op: &str, a: Option<Label>, b: Option<Label>) -> SqlResult<Option<Label>> {
    Label::of_both(a, b).map_err(|(one, other)| {
        let operation = match op {
            "=" => "equal to",
            "<>" | "!=" => "not equal to",
            "<" => "less than",
            "<=" | "!>" => "less than or equal to",
            ">" => "greater than",
            _ => "greater than or equal to",
        };
        SqlError::of(468, &[&one.name(), &other.name(), &operation])
    })
}
