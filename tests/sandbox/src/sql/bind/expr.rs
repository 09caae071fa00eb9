//! The stand-in binds expressions here, and conditions that stand where an expression does.

use rusqlite::types::Value;

use super::literal::{decimal, float, hex, integer, length};
use super::types::{self, common_of, implicit, to};
use super::{Binder, Bound, Label};
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::Expr;
use crate::sql::catalog::literal;
use crate::value::convert::decimal_text;
use crate::value::format::DEFAULT_STYLE;
use crate::value::{Collation, MAX, Page, Ty};

fn is_condition(e: &Expr) -> bool {
    matches!(
        e,
        Expr::Compare(..)
            | Expr::And(..)
            | Expr::Or(..)
            | Expr::Not(_)
            | Expr::IsNull(..)
            | Expr::In(..)
            | Expr::InQuery(..)
            | Expr::Between(..)
            | Expr::Like(..)
            | Expr::Exists(_)
    )
}

impl Binder<'_> {
    /// Binds a scalar expression.
    pub fn expr(&mut self, e: &Expr) -> SqlResult<Bound> {
        let marks: Vec<usize> = self
            .scopes
            .iter()
            .map(|s| s.grouping.as_ref().map_or(0, |g| g.loose.len()))
            .collect();
        let bound = self.scalar(e)?;
        // A grouped expression covers the columns in it.
        for (scope, mark) in self.scopes.iter_mut().zip(marks) {
            if let Some(grouping) = &mut scope.grouping
                && grouping.keys.contains(&bound.sql)
            {
                grouping.loose.truncate(mark);
            }
        }
        Ok(bound)
    }

    pub(super) fn scalar(&mut self, e: &Expr) -> SqlResult<Bound> {
        if is_condition(e) {
            return Err(SqlError::syntax("condition"));
        }
        match e {
            Expr::Null => Ok(Bound::null()),
            Expr::Default => Err(SqlError::of(156, &[&"DEFAULT"])),
            Expr::Int(s) => Ok(integer(s)),
            Expr::Dec(s) => decimal(s),
            Expr::Float(s) => float(s),
            Expr::Money(s) => {
                let (v, scale) = decimal_text(s).ok_or_else(|| SqlError::syntax(s))?;
                let v = crate::value::datum::rescale(v, scale, 4).and_then(|v| i64::try_from(v).ok());
                Ok(Bound::required(
                    v.ok_or_else(|| SqlError::overflow("money"))?.to_string(),
                    Ty::Money,
                ))
            }
            Expr::Str(s, national) => Ok(self.text(s, *national)),
            Expr::Bin(b) => Ok(Bound::required(hex(b), Ty::VarBinary(length(b.len(), 8000)))),
            Expr::Var(name) => self.variable(name),
            Expr::Global(name) => self.global(name),
            Expr::Col(name) => self.column(name),
            Expr::Unary(op, inner) => self.unary(op, inner),
            Expr::Binary(op, a, b) => {
                let (a, b) = (self.expr(a)?, self.expr(b)?);
                self.binary(op, a, b)
            }
            Expr::Subquery(query) => {
                let bound = self.nested(query)?;
                let [column] = bound.columns.as_slice() else {
                    return Err(SqlError::of(116, &[]));
                };
                Ok(Bound {
                    collation: column.label,
                    ..Bound::new(format!("({})", bound.sql), column.ty)
                })
            }
            Expr::Case(operand, arms, otherwise) => self.case(operand.as_deref(), arms, otherwise.as_deref()),
            Expr::Cast(value, ty, style) => {
                let value = self.expr(value)?;
                let style = match style {
                    Some(style) => to(self.expr(style)?, Ty::Int).sql,
                    None => DEFAULT_STYLE.to_string(),
                };
                Ok(types::cast(value, *ty, &style))
            }
            Expr::Call(call) => self.call(call),
            Expr::Collate(inner, name) => self.collated(inner, name),
            _ => Err(SqlError::syntax("expression")),
        }
    }

    /// Binds a string literal.
    pub fn text(&mut self, s: &str, national: bool) -> Bound {
        let limit = if national { 4000 } else { 8000 };
        let page = if national { Page::Utf16 } else { Page::Windows1252 };
        let kept = page.narrowed(s.to_owned());
        let size = length(page.units(&kept), limit);
        let ty = if national {
            Ty::NVarChar(size)
        } else {
            Ty::VarChar(size)
        };
        let sql = if kept.contains('\0') {
            self.param(Value::Text(kept))
        } else {
            literal(&kept)
        };
        Bound::required(sql, ty)
    }

    fn collated(&mut self, inner: &Expr, name: &str) -> SqlResult<Bound> {
        let collation = Collation::named(name).ok_or_else(|| SqlError::of(448, &[&name]))?;
        let inner = self.expr(inner)?;
        if !inner.ty.is_string() {
            return Err(SqlError::of(447, &[&inner.ty.name()]));
        }
        Ok(Bound {
            collation: Some(Label {
                collation,
                explicit: true,
            }),
            column: None,
            ..inner
        })
    }

    pub(super) fn variable(&mut self, name: &str) -> SqlResult<Bound> {
        if let Some((_, argument)) = self
            .arguments
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
        {
            return Ok(argument.clone());
        }
        let (ty, value) = self.session.variable(name)?;
        let nullable = value == Value::Null;
        let sql = self.param(value);
        Ok(Bound::new(sql, ty).nullable(nullable))
    }

    pub(super) fn unary(&mut self, op: &str, inner: &Expr) -> SqlResult<Bound> {
        if op == "-"
            && let Expr::Int(s) = inner
        {
            // -2147483648 is an int although 2147483648 is not.
            return Ok(if s == "2147483648" {
                Bound::required("-2147483648", Ty::Int)
            } else {
                negated(integer(s))
            });
        }
        let value = self.expr(inner)?;
        match op {
            "+" => Ok(value),
            "-" if value.ty.is_number() => Ok(negated(value)),
            _ => Err(SqlError::of(8117, &[&value.ty.name(), &"minus"])),
        }
    }

    /// Binds arithmetic and concatenation.
    pub fn binary(&mut self, op: &str, a: Bound, b: Bound) -> SqlResult<Bound> {
        let nullable = a.nullable || b.nullable;
        if op == "+" && (a.ty.is_string() || a.null) && (b.ty.is_string() || b.null) && !(a.null && b.null) {
            return Ok(self.concatenate(a, b).nullable(nullable));
        }
        if op == "+" && a.ty.is_binary() && b.ty.is_binary() {
            let size = match (a.ty.length(), b.ty.length()) {
                (Some(n), Some(m)) if n != MAX && m != MAX => length(usize::from(n) + usize::from(m), 8000),
                _ => MAX,
            };
            return Ok(
                Bound::new(format!("CAST({} || {} AS BLOB)", a.sql, b.sql), Ty::VarBinary(size)).nullable(nullable),
            );
        }
        let legacy = |ty: Ty| matches!(ty, Ty::DateTime | Ty::SmallDateTime);
        if matches!(op, "+" | "-") && (legacy(a.ty) || legacy(b.ty)) {
            // The types `datetime` and `smalldatetime` add and subtract as days.
            let sign = if op == "+" { "+" } else { "-" };
            let ty = if legacy(a.ty) { a.ty } else { b.ty };
            let (a, b) = (to(a, Ty::DateTime), to(b, Ty::DateTime));
            return Ok(Bound::new(format!("({} {sign} {})", a.sql, b.sql), ty).nullable(nullable));
        }
        let (left_ty, right_ty) = (a.ty, b.ty);
        let (a, b) = (shaped(a, right_ty), shaped(b, left_ty));
        let ty = types::arithmetic(op, a.ty, b.ty)?;
        let (left, right) = match ty {
            Ty::Decimal(..) => {
                let (left_ty, right_ty) = (a.ty, b.ty);
                (as_decimal(a, right_ty)?, as_decimal(b, left_ty)?)
            }
            other => (implicit(a, other)?, implicit(b, other)?),
        };
        let name = match op {
            "+" => "t_add",
            "-" => "t_sub",
            "*" => "t_mul",
            "/" => "t_div",
            _ => "t_mod",
        };
        let sql = match ty {
            Ty::Decimal(..) => format!(
                "{name}({}, {}, {}, {}, {})",
                left.sql,
                right.sql,
                ty.code(),
                left.ty.scale(),
                right.ty.scale()
            ),
            _ => format!("{name}({}, {}, {})", left.sql, right.sql, ty.code()),
        };
        Ok(Bound::new(sql, ty).nullable(nullable))
    }

    pub(super) fn concatenate(&mut self, a: Bound, b: Bound) -> Bound {
        let (a_ty, b_ty) = (if a.null { b.ty } else { a.ty }, if b.null { a.ty } else { b.ty });
        let unicode = a_ty.is_unicode() || b_ty.is_unicode();
        let limit = if unicode { 4000 } else { 8000 };
        let size = match (a_ty.length(), b_ty.length()) {
            (Some(n), Some(m)) if n != MAX && m != MAX => (usize::from(n) + usize::from(m)).min(limit),
            _ => usize::from(MAX),
        };
        let size = u16::try_from(size).unwrap_or(MAX);
        let ty = if unicode { Ty::NVarChar(size) } else { Ty::VarChar(size) };
        Bound::new(format!("({} || {})", a.sql, b.sql), ty)
    }

    pub(super) fn case(
        &mut self,
        operand: Option<&Expr>,
        arms: &[(Expr, Expr)],
        otherwise: Option<&Expr>,
    ) -> SqlResult<Bound> {
        let mut conditions = Vec::new();
        let mut results = Vec::new();
        for (when, then) in arms {
            conditions.push(match operand {
                Some(operand) => {
                    let (a, b) = (self.expr(operand)?, self.expr(when)?);
                    self.compare("=", a, b)?
                }
                None => self.condition(when)?,
            });
            results.push(self.expr(then)?);
        }
        results.push(match otherwise {
            Some(e) => self.expr(e)?,
            None => Bound::null(),
        });
        let ty = common_of(&results).ok_or_else(|| SqlError::of(8133, &[]))?;
        let nullable = results.iter().any(|r| r.nullable);
        let mut sql = "CASE".to_owned();
        let last = results.pop().map_or(Ok(Bound::null()), |r| implicit(r, ty))?;
        for (condition, result) in conditions.iter().zip(results) {
            sql += &format!(" WHEN {condition} THEN {}", implicit(result, ty)?.sql);
        }
        Ok(Bound::new(format!("({sql} ELSE {} END)", last.sql), ty).nullable(nullable))
    }
}

fn negated(value: Bound) -> Bound {
    let sql = format!("t_neg({}, {})", value.sql, value.ty.code());
    Bound::new(sql, value.ty).nullable(value.nullable)
}

/// Gives an integer literal beside a decimal the precision of the digits with which it is written.
fn shaped(value: Bound, other: Ty) -> Bound {
    let digits = value.sql.trim_start_matches('-');
    if value.ty == Ty::Int && matches!(other, Ty::Decimal(..)) && digits.bytes().all(|b| b.is_ascii_digit()) {
        let precision = u8::try_from(digits.len()).unwrap_or(10).clamp(1, 10);
        return to(value, Ty::Decimal(precision, 0));
    }
    value
}

/// Converts an operand of decimal arithmetic: an exact number to a decimal of its own precision and scale, and text to
/// those of the other operand.
fn as_decimal(value: Bound, other: Ty) -> SqlResult<Bound> {
    if let Some((p, s)) = types::as_decimal(value.ty) {
        return Ok(to(value, Ty::Decimal(p, s)));
    }
    let (p, s) = types::as_decimal(other).unwrap_or((38, 6));
    implicit(value, Ty::Decimal(p, s))
}
