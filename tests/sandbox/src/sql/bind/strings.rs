//! String functions.

use super::functions::arguments;
use super::types::{implicit, string_of, to};
use super::{Binder, Bound};
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::{Call, Expr};
use crate::value::{MAX, Ty};

/// The string type of the same kind with another length.
fn sized(ty: Ty, units: usize) -> Ty {
    let limit: u16 = if ty.is_unicode() { 4000 } else { 8000 };
    let n = if ty.length() == Some(MAX) {
        MAX
    } else {
        super::literal::length(units.min(usize::from(limit)), limit)
    };
    if ty.is_unicode() {
        Ty::NVarChar(n)
    } else {
        Ty::VarChar(n)
    }
}

fn varying(ty: Ty) -> Ty {
    sized(ty, usize::from(ty.length().unwrap_or(8000)))
}

impl Binder<'_> {
    /// A string function, none if the name is not one.
    pub fn string_function(&mut self, name: &str, call: &Call) -> SqlResult<Option<Bound>> {
        let bound = match name {
            "LEN" => {
                arguments(name, call, 1, 1)?;
                let text = self.text_arg(call, 0)?;
                let ty = if text.ty.length() == Some(MAX) {
                    Ty::BigInt
                } else {
                    Ty::Int
                };
                Bound::new(format!("t_len({}, {})", text.sql, text.ty.code()), ty).nullable(text.nullable)
            }
            "DATALENGTH" => {
                arguments(name, call, 1, 1)?;
                let value = self.expr(&call.args[0])?;
                let ty = if value.ty.length() == Some(MAX) {
                    Ty::BigInt
                } else {
                    Ty::Int
                };
                Bound::new(format!("t_datalength({}, {})", value.sql, value.ty.code()), ty).nullable(value.nullable)
            }
            "UPPER" | "LOWER" => {
                arguments(name, call, 1, 1)?;
                let text = self.text_arg(call, 0)?;
                let ty = varying(text.ty);
                Bound::new(format!("t_{}({})", name.to_lowercase(), text.sql), ty).nullable(text.nullable)
            }
            "LTRIM" | "RTRIM" | "TRIM" => {
                arguments(name, call, 1, 1)?;
                let text = self.text_arg(call, 0)?;
                let ty = varying(text.ty);
                Bound::new(format!("{}({}, ' ')", name.to_lowercase(), text.sql), ty).nullable(text.nullable)
            }
            "LEFT" | "RIGHT" => {
                arguments(name, call, 2, 2)?;
                let text = self.text_arg(call, 0)?;
                let count = self.arg(call, 1, Ty::Int)?;
                let ty = match &call.args[1] {
                    Expr::Int(n) => sized(text.ty, n.parse().unwrap_or(8000)),
                    _ => varying(text.ty),
                };
                Bound::new(format!("t_{}({}, {})", name.to_lowercase(), text.sql, count.sql), ty)
            }
            "SUBSTRING" => self.substring(call)?,
            "REPLACE" => {
                arguments(name, call, 3, 3)?;
                let (a, b, c) = (
                    self.text_arg(call, 0)?,
                    self.text_arg(call, 1)?,
                    self.text_arg(call, 2)?,
                );
                let ty = sized(if b.ty.is_unicode() { b.ty } else { a.ty }, 8000);
                Bound::new(format!("t_replace({}, {}, {})", a.sql, b.sql, c.sql), ty)
            }
            "REPLICATE" => {
                arguments(name, call, 2, 2)?;
                let text = self.text_arg(call, 0)?;
                let count = self.arg(call, 1, Ty::Int)?;
                let ty = match (&call.args[1], text.ty.length()) {
                    (Expr::Int(n), Some(len)) if len != MAX => {
                        sized(text.ty, usize::from(len).saturating_mul(n.parse().unwrap_or(8000)))
                    }
                    _ => sized(text.ty, 8000),
                };
                Bound::new(format!("t_replicate({}, {}, {})", text.sql, count.sql, ty.code()), ty)
            }
            "SPACE" => {
                let count = self.arg(call, 0, Ty::Int)?;
                let ty = Ty::VarChar(8000);
                Bound::new(format!("t_replicate(' ', {}, {})", count.sql, ty.code()), ty)
            }
            "CHARINDEX" => {
                arguments(name, call, 2, 3)?;
                let (needle, text) = (self.text_arg(call, 0)?, self.text_arg(call, 1)?);
                let start = if call.args.len() == 3 {
                    self.arg(call, 2, Ty::Int)?.sql
                } else {
                    "1".to_owned()
                };
                Bound::new(format!("t_charindex({}, {}, {start})", needle.sql, text.sql), Ty::Int)
            }
            "STUFF" => {
                arguments(name, call, 4, 4)?;
                let (text, with) = (self.text_arg(call, 0)?, self.text_arg(call, 3)?);
                let (start, count) = (self.arg(call, 1, Ty::Int)?, self.arg(call, 2, Ty::Int)?);
                let ty = sized(text.ty, 8000);
                Bound::new(
                    format!("t_stuff({}, {}, {}, {})", text.sql, start.sql, count.sql, with.sql),
                    ty,
                )
            }
            "REVERSE" => {
                let text = self.text_arg(call, 0)?;
                let ty = varying(text.ty);
                Bound::new(format!("t_reverse({})", text.sql), ty)
            }
            "CHAR" => Bound::new(format!("t_char({}, 0)", self.arg(call, 0, Ty::Int)?.sql), Ty::Char(1)),
            "NCHAR" => Bound::new(format!("t_char({}, 1)", self.arg(call, 0, Ty::Int)?.sql), Ty::NChar(1)),
            "ASCII" => Bound::new(format!("t_code({}, 0)", self.text_arg(call, 0)?.sql), Ty::Int),
            "UNICODE" => Bound::new(format!("t_code({}, 1)", self.text_arg(call, 0)?.sql), Ty::Int),
            "QUOTENAME" => {
                arguments(name, call, 1, 2)?;
                let text = self.arg(call, 0, Ty::NVarChar(128))?;
                let mark = if call.args.len() == 2 {
                    self.text_arg(call, 1)?.sql
                } else {
                    "'['".to_owned()
                };
                Bound::new(format!("t_quotename({}, {mark})", text.sql), Ty::NVarChar(258))
            }
            "CONCAT" | "CONCAT_WS" => self.concat(name, call)?,
            _ => return Ok(None),
        };
        Ok(Some(bound))
    }

    fn substring(&mut self, call: &Call) -> SqlResult<Bound> {
        arguments("SUBSTRING", call, 3, 3)?;
        let value = self.expr(&call.args[0])?;
        let (start, count) = (self.arg(call, 1, Ty::Int)?, self.arg(call, 2, Ty::Int)?);
        let constant = match &call.args[2] {
            Expr::Int(n) => n.parse().ok(),
            _ => None,
        };
        if value.ty.is_binary() {
            let size = constant.unwrap_or(usize::from(value.ty.length().unwrap_or(MAX)));
            let ty = Ty::VarBinary(super::literal::length(size, 8000));
            return Ok(Bound::new(
                format!("t_subbytes({}, {}, {})", value.sql, start.sql, count.sql),
                ty,
            ));
        }
        if !value.ty.is_string() && !value.null {
            return Err(SqlError::new(
                8116,
                format!(
                    "Argument data type {} is invalid for argument 1 of substring function.",
                    value.ty.name()
                ),
            ));
        }
        let ty = string_of(value.ty);
        let result = sized(ty, constant.unwrap_or(usize::from(ty.length().unwrap_or(8000))));
        let text = implicit(value, ty)?;
        Ok(Bound::new(
            format!("t_substring({}, {}, {})", text.sql, start.sql, count.sql),
            result,
        ))
    }

    fn concat(&mut self, name: &str, call: &Call) -> SqlResult<Bound> {
        let separated = name == "CONCAT_WS";
        if call.args.len() < 2 + usize::from(separated) {
            return Err(SqlError::new(
                189,
                format!("The {} function requires 2 to 254 arguments.", name.to_lowercase()),
            )
            .class(15));
        }
        let mut parts = Vec::new();
        let (mut units, mut unicode, mut max) = (0_usize, false, false);
        for at in 0..call.args.len() {
            let part = self.text_arg(call, at)?;
            unicode |= part.ty.is_unicode();
            max |= part.ty.length() == Some(MAX);
            units += usize::from(part.ty.length().unwrap_or(8000)).min(8000);
            parts.push(part);
        }
        let limit = if unicode { 4000 } else { 8000 };
        let size = if max {
            MAX
        } else {
            u16::try_from(units.clamp(1, limit)).unwrap_or(MAX)
        };
        let ty = if unicode { Ty::NVarChar(size) } else { Ty::VarChar(size) };
        if separated {
            let all: Vec<String> = parts.into_iter().map(|p| p.sql).collect();
            return Ok(Bound::required(format!("t_concat_ws({})", all.join(", ")), ty));
        }
        let all: Vec<String> = parts
            .into_iter()
            .map(|p| {
                if p.nullable {
                    format!("ifnull({}, '')", p.sql)
                } else {
                    p.sql
                }
            })
            .collect();
        Ok(to(
            Bound::required(format!("({})", all.join(" || ")), sized(ty, usize::from(MAX))),
            ty,
        ))
    }
}
