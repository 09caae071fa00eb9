//! Date and time functions.

use super::functions::arguments;
use super::types::{implicit, to};
use super::{Binder, Bound};
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::{Call, Expr};
use crate::value::Ty;

/// The canonical name of a date part.
pub fn part(e: &Expr) -> SqlResult<&'static str> {
    let Expr::Col(name) = e else {
        return Err(SqlError::syntax("datepart"));
    };
    let word = name.join(".").to_ascii_lowercase();
    Ok(match word.as_str() {
        "year" | "yy" | "yyyy" => "year",
        "quarter" | "qq" | "q" => "quarter",
        "month" | "mm" | "m" => "month",
        "dayofyear" | "dy" | "y" => "dayofyear",
        "day" | "dd" | "d" => "day",
        "week" | "wk" | "ww" => "week",
        "weekday" | "dw" | "w" => "weekday",
        "iso_week" | "isowk" | "isoww" => "iso_week",
        "hour" | "hh" => "hour",
        "minute" | "mi" | "n" => "minute",
        "second" | "ss" | "s" => "second",
        "millisecond" | "ms" => "millisecond",
        "microsecond" | "mcs" => "microsecond",
        "nanosecond" | "ns" => "nanosecond",
        "tzoffset" | "tz" => "tzoffset",
        _ => return Err(SqlError::new(155, format!("'{word}' is not a recognized datepart option.")).class(15)),
    })
}

/// A date function, none if the name is not one.
pub fn function(binder: &mut Binder<'_>, name: &str, call: &Call) -> SqlResult<Option<Bound>> {
    let bound = match name {
        "GETDATE" | "GETUTCDATE" | "CURRENT_TIMESTAMP" => {
            arguments(name, call, 0, 0)?;
            to(Bound::required(binder.now(), Ty::DateTime2(7)), Ty::DateTime)
        }
        "SYSDATETIME" | "SYSUTCDATETIME" => {
            arguments(name, call, 0, 0)?;
            Bound::required(binder.now(), Ty::DateTime2(7))
        }
        "SYSDATETIMEOFFSET" => {
            arguments(name, call, 0, 0)?;
            to(Bound::required(binder.now(), Ty::DateTime2(7)), Ty::DateTimeOffset(7))
        }
        "DATEADD" => {
            arguments(name, call, 3, 3)?;
            let part = part(&call.args[0])?;
            let amount = binder.arg(call, 1, Ty::BigInt)?;
            let value = temporal(binder, &call.args[2])?;
            let sql = format!(
                "t_dateadd('{part}', {}, {}, {})",
                amount.sql,
                value.sql,
                value.ty.code()
            );
            Bound::new(sql, value.ty).nullable(amount.nullable || value.nullable)
        }
        "DATEDIFF" | "DATEDIFF_BIG" => {
            arguments(name, call, 3, 3)?;
            let part = part(&call.args[0])?;
            let (a, b) = (temporal(binder, &call.args[1])?, temporal(binder, &call.args[2])?);
            let (a, b) = (to_datetime2(a), to_datetime2(b));
            let big = u8::from(name == "DATEDIFF_BIG");
            let ty = if big == 1 { Ty::BigInt } else { Ty::Int };
            Bound::new(format!("t_datediff('{part}', {}, {}, {big})", a.sql, b.sql), ty)
                .nullable(a.nullable || b.nullable)
        }
        "DATEPART" => {
            arguments(name, call, 2, 2)?;
            let part = part(&call.args[0])?;
            date_part(binder, part, &call.args[1])?
        }
        "YEAR" | "MONTH" | "DAY" => {
            arguments(name, call, 1, 1)?;
            let part = if name == "YEAR" {
                "year"
            } else if name == "MONTH" {
                "month"
            } else {
                "day"
            };
            date_part(binder, part, &call.args[0])?
        }
        "DATENAME" => {
            arguments(name, call, 2, 2)?;
            let part = part(&call.args[0])?;
            let value = temporal(binder, &call.args[1])?;
            let sql = format!("t_datename('{part}', {}, {})", value.sql, value.ty.code());
            Bound::new(sql, Ty::NVarChar(30)).nullable(value.nullable)
        }
        "EOMONTH" => {
            arguments(name, call, 1, 2)?;
            let value = temporal(binder, &call.args[0])?;
            let value = to(value, Ty::Date);
            let months = if call.args.len() == 2 {
                binder.arg(call, 1, Ty::Int)?.sql
            } else {
                "0".to_owned()
            };
            Bound::new(format!("t_eomonth({}, {months})", value.sql), Ty::Date)
        }
        "DATEFROMPARTS" | "DATETIME2FROMPARTS" | "DATETIMEFROMPARTS" => {
            let (count, ty) = match name {
                "DATEFROMPARTS" => (3, Ty::Date),
                "DATETIMEFROMPARTS" => (7, Ty::DateTime),
                _ => (8, Ty::DateTime2(scale_of(call.args.last())?)),
            };
            arguments(name, call, count, count)?;
            let parts: Vec<String> = (0..count)
                .map(|at| binder.arg(call, at, Ty::Int).map(|b| b.sql))
                .collect::<SqlResult<_>>()?;
            Bound::new(format!("t_fromparts({}, {})", ty.code(), parts.join(", ")), ty)
        }
        "SWITCHOFFSET" | "TODATETIMEOFFSET" => {
            arguments(name, call, 2, 2)?;
            let value = temporal(binder, &call.args[0])?;
            let scale = if value.ty == Ty::DateTime { 3 } else { value.ty.scale() };
            let ty = Ty::DateTimeOffset(scale);
            let value = if name == "SWITCHOFFSET" {
                implicit(value, ty)?
            } else {
                let local = to(value, Ty::DateTime2(scale));
                to(local, ty)
            };
            let zone = binder.expr(&call.args[1])?;
            let zone = if zone.ty.is_string() {
                format!("t_zone({})", zone.sql)
            } else {
                implicit(zone, Ty::Int)?.sql
            };
            let keep = u8::from(name == "SWITCHOFFSET");
            Bound::new(format!("t_switchoffset({}, {zone}, {keep})", value.sql), ty)
        }
        _ => return Ok(None),
    };
    Ok(Some(bound))
}

fn scale_of(e: Option<&Expr>) -> SqlResult<u8> {
    match e {
        Some(Expr::Int(n)) => n.parse().ok().filter(|n| *n <= 7).ok_or_else(|| SqlError::syntax(n)),
        _ => Err(SqlError::syntax(")")),
    }
}

/// A date or time; text and numbers become datetime, text of more digits datetime2.
fn temporal(binder: &mut Binder<'_>, e: &Expr) -> SqlResult<Bound> {
    let value = binder.expr(e)?;
    if value.ty.is_temporal() {
        return Ok(value);
    }
    if value.ty.is_string() {
        return implicit(value, Ty::DateTime2(7)).map(|b| match e {
            Expr::Str(..) => to(b, Ty::DateTime),
            _ => b,
        });
    }
    implicit(value, Ty::DateTime)
}

fn to_datetime2(value: Bound) -> Bound {
    let value = if matches!(value.ty, Ty::DateTimeOffset(_)) {
        let sql = format!("t_utc({})", value.sql);
        Bound::new(sql, Ty::DateTime2(7)).nullable(value.nullable)
    } else {
        value
    };
    to(value, Ty::DateTime2(7))
}

fn date_part(binder: &mut Binder<'_>, part: &str, e: &Expr) -> SqlResult<Bound> {
    let value = temporal(binder, e)?;
    let sql = format!("t_datepart('{part}', {}, {})", value.sql, value.ty.code());
    Ok(Bound::new(sql, Ty::Int).nullable(value.nullable))
}

impl Binder<'_> {
    /// `AT TIME ZONE`; the zones of constant offset that need no zone data.
    pub(super) fn at_time_zone(&mut self, value: &Expr, zone: &Expr) -> SqlResult<Bound> {
        match zone {
            Expr::Str(name, _) if name.eq_ignore_ascii_case("UTC") => {}
            _ => return Err(SqlError::unsupported("AT TIME ZONE other than 'UTC'")),
        }
        let value = self.expr(value)?;
        let ty = Ty::DateTimeOffset(if value.ty == Ty::DateTime { 3 } else { value.ty.scale() });
        let is_offset = matches!(value.ty, Ty::DateTimeOffset(_));
        let value = implicit(value, ty)?;
        Ok(if is_offset {
            Bound::new(format!("t_switchoffset({}, 0, 1)", value.sql), ty)
        } else {
            value
        })
    }
}
