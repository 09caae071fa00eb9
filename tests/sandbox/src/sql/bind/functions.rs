//! Calls of built-in functions: which there are, and the types of the general ones.

use super::types::{common_of, implicit, string_of, to};
use super::{Binder, Bound, dates};
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::{Call, Expr};
use crate::value::Ty;

/// 174 for a wrong number of arguments.
pub fn arguments(name: &str, call: &Call, least: usize, most: usize) -> SqlResult<()> {
    if (least..=most).contains(&call.args.len()) && !call.star {
        return Ok(());
    }
    let text = if least == most {
        return Err(SqlError::new(
            174,
            format!("The {} function requires {least} argument(s).", name.to_lowercase()),
        )
        .class(15));
    } else {
        format!(
            "The {} function requires {least} to {most} arguments.",
            name.to_lowercase()
        )
    };
    Err(SqlError::new(189, text).class(15))
}

impl Binder<'_> {
    /// A function call.
    pub fn call(&mut self, call: &Call) -> SqlResult<Bound> {
        let [name] = call.name.as_slice() else {
            return Err(SqlError::new(
                4121,
                format!(
                    "Cannot find either column \"{}\" or the user-defined function or aggregate \"{}\", or the name is ambiguous.",
                    call.name[0],
                    call.name.join(".")
                ),
            ));
        };
        if super::aggregate::is_aggregate(name) || call.over.is_some() {
            return self.aggregate(name, call);
        }
        if call.star || call.distinct || !call.within.is_empty() {
            return Err(SqlError::syntax("*"));
        }
        if let Some(bound) = self.general(name, call)? {
            return Ok(bound);
        }
        if let Some(bound) = self.string_function(name, call)? {
            return Ok(bound);
        }
        if let Some(bound) = dates::function(self, name, call)? {
            return Ok(bound);
        }
        if let Some(bound) = self.metadata_function(name, call)? {
            return Ok(bound);
        }
        Err(
            SqlError::new(195, format!("'{name}' is not a recognized built-in function name."))
                .state(10)
                .class(15),
        )
    }

    /// All arguments, bound.
    pub fn args(&mut self, call: &Call) -> SqlResult<Vec<Bound>> {
        call.args.iter().map(|e| self.expr(e)).collect()
    }

    /// One argument, converted.
    pub fn arg(&mut self, call: &Call, at: usize, ty: Ty) -> SqlResult<Bound> {
        let e = call.args.get(at).ok_or_else(|| SqlError::syntax(")"))?;
        implicit(self.expr(e)?, ty)
    }

    /// One argument as text.
    pub fn text_arg(&mut self, call: &Call, at: usize) -> SqlResult<Bound> {
        let e = call.args.get(at).ok_or_else(|| SqlError::syntax(")"))?;
        let bound = self.expr(e)?;
        let ty = if bound.null {
            Ty::VarChar(1)
        } else {
            string_of(bound.ty)
        };
        Ok(to(bound, ty))
    }

    fn general(&mut self, name: &str, call: &Call) -> SqlResult<Option<Bound>> {
        let bound = match name {
            "ISNULL" => {
                arguments(name, call, 2, 2)?;
                let mut all = self.args(call)?;
                let (Some(b), Some(a)) = (all.pop(), all.pop()) else {
                    return Err(SqlError::syntax(")"));
                };
                let ty = if a.null { b.ty } else { a.ty };
                let nullable = a.nullable && b.nullable;
                let b = implicit(b, ty)?;
                Bound::new(format!("ifnull({}, {})", a.sql, b.sql), ty).nullable(nullable)
            }
            "COALESCE" | "GREATEST" | "LEAST" => {
                if call.args.len() < 2 {
                    return Err(SqlError::syntax(")"));
                }
                let all = self.args(call)?;
                let ty = common_of(&all).ok_or_else(|| {
                    SqlError::new(4127, "At least one of the arguments to COALESCE must be an expression that is not the NULL constant.")
                })?;
                let nullable = all.iter().all(|b| b.nullable);
                let parts: Vec<String> = all
                    .into_iter()
                    .map(|b| implicit(b, ty).map(|b| b.sql))
                    .collect::<SqlResult<_>>()?;
                if name == "COALESCE" {
                    Bound::new(format!("coalesce({})", parts.join(", ")), ty).nullable(nullable)
                } else {
                    self.extreme(name, &parts, ty)
                }
            }
            "NULLIF" => {
                arguments(name, call, 2, 2)?;
                let mut all = self.args(call)?;
                let (Some(b), Some(a)) = (all.pop(), all.pop()) else {
                    return Err(SqlError::syntax(")"));
                };
                let same = self.compare("=", a.clone(), b)?;
                Bound::new(format!("(CASE WHEN {same} THEN NULL ELSE {} END)", a.sql), a.ty)
            }
            "IIF" => {
                arguments(name, call, 3, 3)?;
                let condition = call.args[0].clone();
                return self
                    .expr(&Expr::Case(
                        None,
                        vec![(condition, call.args[1].clone())],
                        Some(Box::new(call.args[2].clone())),
                    ))
                    .map(Some);
            }
            "CHOOSE" => {
                let index = self.arg(call, 0, Ty::Int)?;
                let rest: Vec<Bound> = call.args[1..].iter().map(|e| self.expr(e)).collect::<SqlResult<_>>()?;
                let ty = common_of(&rest).unwrap_or(Ty::Int);
                let mut sql = format!("(CASE {}", index.sql);
                for (at, value) in rest.into_iter().enumerate() {
                    sql += &format!(" WHEN {} THEN {}", at + 1, implicit(value, ty)?.sql);
                }
                Bound::new(sql + " END)", ty)
            }
            "ABS" | "SIGN" | "CEILING" | "FLOOR" => {
                arguments(name, call, 1, 1)?;
                let value = self.expr(&call.args[0])?;
                let value = self.numeric(value)?;
                let ty = match value.ty {
                    Ty::TinyInt | Ty::SmallInt | Ty::Bit => Ty::Int,
                    Ty::SmallMoney => Ty::Money,
                    Ty::Real => Ty::Float,
                    Ty::Decimal(p, _) if matches!(name, "CEILING" | "FLOOR") => Ty::Decimal(p, 0),
                    other => other,
                };
                let sql = format!("t_{}({}, {})", name.to_lowercase(), value.sql, value.ty.code());
                Bound::new(sql, ty).nullable(value.nullable)
            }
            "ROUND" => {
                arguments(name, call, 2, 3)?;
                let value = self.expr(&call.args[0])?;
                let value = self.numeric(value)?;
                let digits = self.arg(call, 1, Ty::Int)?;
                let cut = if call.args.len() == 3 {
                    self.arg(call, 2, Ty::Int)?.sql
                } else {
                    "0".to_owned()
                };
                Bound::new(
                    format!("t_round({}, {}, {cut}, {})", value.sql, digits.sql, value.ty.code()),
                    value.ty,
                )
            }
            "POWER" | "SQRT" | "EXP" | "LOG" | "LOG10" | "SQUARE" | "PI" | "SIN" | "COS" => {
                self.float_function(name, call)?
            }
            "RAND" => Bound::required("t_rand()", Ty::Float),
            "CHECKSUM" | "BINARY_CHECKSUM" => {
                let parts: Vec<String> = self
                    .args(call)?
                    .into_iter()
                    .map(|b| format!("{}, {}", b.sql, b.ty.code()))
                    .collect();
                Bound::required(format!("t_checksum({})", parts.join(", ")), Ty::Int)
            }
            "NEWID" | "NEWSEQUENTIALID" => {
                arguments(name, call, 0, 0)?;
                Bound::required("t_newid()", Ty::Guid)
            }
            "ISNUMERIC" => {
                arguments(name, call, 1, 1)?;
                let value = self.expr(&call.args[0])?;
                Bound::required(format!("t_isnumeric({}, {})", value.sql, value.ty.code()), Ty::Int)
            }
            "ISDATE" => {
                let value = self.text_arg(call, 0)?;
                Bound::required(
                    format!(
                        "(t_try({}, {}, {}, -1) IS NOT NULL)",
                        value.sql,
                        value.ty.code(),
                        Ty::DateTime.code()
                    ),
                    Ty::Int,
                )
            }
            _ => return Ok(None),
        };
        Ok(Some(bound))
    }

    fn extreme(&mut self, name: &str, parts: &[String], ty: Ty) -> Bound {
        // SQLite's scalar max is NULL if any argument is; the server ignores NULLs.
        let function = if name == "GREATEST" { "max" } else { "min" };
        let rows: Vec<String> = parts.iter().map(|p| format!("SELECT {p} AS v")).collect();
        let collate = super::collate(ty, None);
        Bound::new(
            format!("(SELECT {function}(v{collate}) FROM ({}))", rows.join(" UNION ALL ")),
            ty,
        )
    }

    /// A number; text becomes float.
    pub fn numeric(&mut self, value: Bound) -> SqlResult<Bound> {
        if value.ty.is_number() {
            return Ok(value);
        }
        if value.ty.is_string() {
            return implicit(value, Ty::Float);
        }
        Err(SqlError::new(
            8116,
            format!(
                "Argument data type {} is invalid for argument 1 of the function.",
                value.ty.name()
            ),
        ))
    }

    fn float_function(&mut self, name: &str, call: &Call) -> SqlResult<Bound> {
        if name == "PI" {
            return Ok(Bound::required("pi()", Ty::Float));
        }
        if name == "POWER" {
            arguments(name, call, 2, 2)?;
            let base = self.expr(&call.args[0])?;
            let base = self.numeric(base)?;
            let ty = if base.ty == Ty::Real { Ty::Float } else { base.ty };
            let (base, exponent) = (to(base, Ty::Float), self.arg(call, 1, Ty::Float)?);
            let result = Bound::new(format!("t_power({}, {})", base.sql, exponent.sql), Ty::Float);
            return Ok(to(result, ty));
        }
        arguments(name, call, 1, 1)?;
        let value = self.arg(call, 0, Ty::Float)?;
        Ok(Bound::new(format!("t_math('{name}', {})", value.sql), Ty::Float).nullable(value.nullable))
    }
}
