//! The calls of built-in functions: what each takes, the SQLite SQL that it becomes, and the type of its value.

use super::types::{common_of, implicit, string_of, to};
use super::{Binder, Bound, aggregate};
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::{AT_TIME_ZONE, Call, Expr};
use crate::value::calendar::SECOND;
use crate::value::{MAX, Ty};

/// The conversion of an argument.
#[derive(Clone, Copy)]
enum Takes {
    /// It stays as it is.
    Any,
    /// It becomes text of its own length.
    Text,
    Int,
}

/// The type of a function's value.
#[derive(Clone, Copy)]
enum Gives {
    /// Always this type.
    Always(Ty),
    /// Text of any length, of the first argument's kind.
    Text,
    /// A count of characters or bytes, which is bigint for `(max)`.
    Count,
}

use Gives::{Always, Count};
use Takes::{Any, Int, Text};

/// A function, its arguments, the form that it becomes, and its type. In the form, `{0}` is the first argument, `{0t}`
/// its type, and `{t}` the type of the value.
struct Function(&'static str, &'static [Takes], &'static str, Gives);

const FUNCTIONS: [Function; 9] = [
    Function("DATALENGTH", &[Any], "t_datalength({0}, {0t})", Count),
    Function("LEN", &[Text], "t_len({0}, {0t})", Count),
    Function("LOWER", &[Text], "t_lower({0})", Gives::Text),
    Function("NCHAR", &[Int], "t_nchar({0})", Always(Ty::NChar(1))),
    Function("NEWID", &[], "t_newid()", Always(Ty::Guid)),
    Function(
        "PARSENAME",
        &[Text, Int],
        "t_parsename({0}, {1})",
        Always(Ty::NVarChar(128)),
    ),
    Function("REPLICATE", &[Text, Int], "t_replicate({0}, {1}, {t})", Gives::Text),
    Function(
        "SUBSTRING",
        &[Text, Int, Int],
        "t_substring({0}, {1}, {2})",
        Gives::Text,
    ),
    Function("UPPER", &[Text], "t_upper({0})", Gives::Text),
];

/// Returns the type of text of any length, of the kind of another type.
fn any_length(ty: Ty) -> Ty {
    match (ty.is_unicode(), ty.length() == Some(MAX)) {
        (true, true) => Ty::NVarChar(MAX),
        (true, false) => Ty::NVarChar(4000),
        (false, true) => Ty::VarChar(MAX),
        (false, false) => Ty::VarChar(8000),
    }
}

/// Fails with 174 or 189 for a wrong number of arguments.
pub fn arguments(name: &str, call: &Call, least: usize, most: usize) -> SqlResult<()> {
    if (least..=most).contains(&call.args.len()) && !call.star {
        return Ok(());
    }
    let name = name.to_lowercase();
    Err(if least == most {
        SqlError::of(174, &[&name, &least])
    } else {
        SqlError::of(189, &[&name, &least, &most])
    })
}

impl Binder<'_> {
    /// Binds a function call.
    pub fn call(&mut self, call: &Call) -> SqlResult<Bound> {
        let [name] = call.name.as_slice() else {
            return self.scalar_function(call);
        };
        if aggregate::is_aggregate(name) || call.over.is_some() {
            return self.aggregate(name, call);
        }
        if call.star || call.distinct {
            return Err(SqlError::syntax("*"));
        }
        match name.as_str() {
            "ISNULL" => self.is_null(call),
            "COALESCE" => self.coalesce(call),
            "IIF" => {
                arguments(name, call, 3, 3)?;
                let [condition, then, otherwise] = [0, 1, 2].map(|at| call.args[at].clone());
                self.expr(&Expr::Case(None, vec![(condition, then)], Some(Box::new(otherwise))))
            }
            "CONCAT" => self.concat(call),
            "GETDATE" | "GETUTCDATE" | "CURRENT_TIMESTAMP" => self.clock(name, call, Ty::DateTime),
            "SYSDATETIME" | "SYSUTCDATETIME" => self.clock(name, call, Ty::DateTime2(7)),
            "SYSDATETIMEOFFSET" => self.clock(name, call, Ty::DateTimeOffset(7)),
            "DATEADD" => self.date_add(call),
            "DATEPART" => self.part_of_date(call),
            AT_TIME_ZONE => self.at_time_zone(call),
            _ => match FUNCTIONS.iter().find(|function| function.0 == name) {
                Some(function) => self.plain(function, call),
                None => self
                    .metadata_function(name, call)?
                    .ok_or_else(|| SqlError::of(195, &[name, &"built-in function name"])),
            },
        }
    }

    /// Binds the call of a function in [`FUNCTIONS`].
    fn plain(&mut self, function: &Function, call: &Call) -> SqlResult<Bound> {
        let Function(name, takes, form, gives) = function;
        arguments(name, call, takes.len(), takes.len())?;
        let mut values = Vec::new();
        for (at, takes) in takes.iter().enumerate() {
            values.push(match takes {
                Any => self.expr(&call.args[at])?,
                Text => self.text_arg(call, at)?,
                Int => self.arg(call, at, Ty::Int)?,
            });
        }
        let first = values.first().map_or(Ty::Int, |value| value.ty);
        let ty = match gives {
            Always(ty) => *ty,
            Gives::Text => any_length(first),
            Count if first.length() == Some(MAX) => Ty::BigInt,
            Count => Ty::Int,
        };
        let mut sql = form.replace("{t}", &ty.code().to_string());
        for (at, value) in values.iter().enumerate() {
            let typed = sql.replace(&format!("{{{at}t}}"), &value.code().to_string());
            sql = typed.replace(&format!("{{{at}}}"), &value.sql);
        }
        Ok(Bound::new(sql, ty).nullable(values.iter().any(|value| value.nullable)))
    }

    /// Binds all arguments.
    fn args(&mut self, call: &Call) -> SqlResult<Vec<Bound>> {
        call.args.iter().map(|e| self.expr(e)).collect()
    }

    /// Binds one argument and converts it.
    pub fn arg(&mut self, call: &Call, at: usize, ty: Ty) -> SqlResult<Bound> {
        let e = call.args.get(at).ok_or_else(|| SqlError::syntax(")"))?;
        implicit(self.expr(e)?, ty)
    }

    /// Binds one argument and converts it to text.
    fn text_arg(&mut self, call: &Call, at: usize) -> SqlResult<Bound> {
        let bound = self.expr(&call.args[at])?;
        let ty = if bound.null {
            Ty::VarChar(1)
        } else {
            string_of(bound.ty)
        };
        Ok(to(bound, ty))
    }

    fn is_null(&mut self, call: &Call) -> SqlResult<Bound> {
        arguments("ISNULL", call, 2, 2)?;
        let (a, b) = (self.expr(&call.args[0])?, self.expr(&call.args[1])?);
        let ty = if a.null { b.ty } else { a.ty };
        let nullable = a.nullable && b.nullable;
        let b = implicit(b, ty)?;
        Ok(Bound::new(format!("ifnull({}, {})", a.sql, b.sql), ty).nullable(nullable))
    }

    fn coalesce(&mut self, call: &Call) -> SqlResult<Bound> {
        if call.args.len() < 2 {
            return Err(SqlError::syntax(")"));
        }
        let all = self.args(call)?;
        let ty = common_of(&all).ok_or_else(|| SqlError::of(4127, &[]))?;
        let nullable = all.iter().all(|b| b.nullable);
        let parts: Vec<String> = all
            .into_iter()
            .map(|b| implicit(b, ty).map(|b| b.sql))
            .collect::<SqlResult<_>>()?;
        Ok(Bound::new(format!("coalesce({})", parts.join(", ")), ty).nullable(nullable))
    }

    /// Binds `CONCAT`, which takes NULL as empty text.
    fn concat(&mut self, call: &Call) -> SqlResult<Bound> {
        arguments("CONCAT", call, 2, 254)?;
        let parts: Vec<Bound> = (0..call.args.len())
            .map(|at| self.text_arg(call, at))
            .collect::<SqlResult<_>>()?;
        let units = parts.iter().map(|p| usize::from(p.ty.length().unwrap_or(8000))).sum();
        let max = parts.iter().any(|p| p.ty.length() == Some(MAX));
        let unicode = parts.iter().any(|p| p.ty.is_unicode());
        let limit = if unicode { 4000 } else { 8000 };
        let size = if max {
            MAX
        } else {
            u16::try_from(limit.min(units)).unwrap_or(MAX)
        };
        let ty = if unicode { Ty::NVarChar(size) } else { Ty::VarChar(size) };
        let filled: Vec<String> = parts.into_iter().map(|p| format!("ifnull({}, '')", p.sql)).collect();
        let whole = if unicode { Ty::NVarChar(MAX) } else { Ty::VarChar(MAX) };
        Ok(to(Bound::required(format!("({})", filled.join(" || ")), whole), ty))
    }

    /// Binds the moment of the statement: UTC, or what the server's wall clock shows.
    fn clock(&mut self, name: &str, call: &Call, ty: Ty) -> SqlResult<Bound> {
        arguments(name, call, 0, 0)?;
        let (now, offset) = self.now();
        if let Ty::DateTimeOffset(_) = ty {
            return Ok(Bound::required(format!("t_offset({now}, {offset})"), ty));
        }
        let ahead = if name.contains("UTC") {
            0
        } else {
            i64::from(offset) * 60 * SECOND
        };
        Ok(to(Bound::required(format!("({now} + {ahead})"), Ty::DateTime2(7)), ty))
    }

    /// Binds `AT TIME ZONE` of a moment that has an offset.
    fn at_time_zone(&mut self, call: &Call) -> SqlResult<Bound> {
        let (value, zone) = (self.expr(&call.args[0])?, self.text_arg(call, 1)?);
        if !matches!(value.ty, Ty::DateTimeOffset(_)) {
            return Err(SqlError::unsupported("AT TIME ZONE of a time without an offset"));
        }
        Ok(Bound::new(format!("t_zone({}, {})", value.sql, zone.sql), value.ty))
    }

    fn part_of_date(&mut self, call: &Call) -> SqlResult<Bound> {
        arguments("DATEPART", call, 2, 2)?;
        if !matches!(&call.args[0], Expr::Col(name) if ["tzoffset", "tz"].contains(&name[0].to_ascii_lowercase().as_str()))
        {
            return Err(SqlError::unsupported("DATEPART of anything but the offset"));
        }
        let value = self.arg(call, 1, Ty::DateTimeOffset(7))?;
        Ok(Bound::new(format!("t_tzoffset({})", value.sql), Ty::Int).nullable(value.nullable))
    }

    fn date_add(&mut self, call: &Call) -> SqlResult<Bound> {
        arguments("DATEADD", call, 3, 3)?;
        let part = date_part(&call.args[0])?;
        let amount = self.arg(call, 1, Ty::BigInt)?;
        let value = self.expr(&call.args[2])?;
        let value = match &call.args[2] {
            Expr::Str(..) => implicit(value, Ty::DateTime)?,
            _ if value.ty.is_temporal() => value,
            _ if value.ty.is_string() => implicit(value, Ty::DateTime2(7))?,
            _ => implicit(value, Ty::DateTime)?,
        };
        let (ty, nullable) = (value.ty, amount.nullable || value.nullable);
        let sql = format!("t_dateadd('{part}', {}, {}, {})", amount.sql, value.sql, ty.code());
        Ok(Bound::new(sql, ty).nullable(nullable))
    }
}

/// The names of the parts of a date, and what they stand for.
const DATE_PARTS: [(&str, &str); 9] = [
    (" year yy yyyy ", "year"),
    (" month mm m ", "month"),
    (" day dd d dayofyear dy y weekday dw w ", "day"),
    (" hour hh ", "hour"),
    (" minute mi n ", "minute"),
    (" second ss s ", "second"),
    (" millisecond ms ", "millisecond"),
    (" microsecond mcs ", "microsecond"),
    (" nanosecond ns ", "nanosecond"),
];

fn date_part(e: &Expr) -> SqlResult<&'static str> {
    let Expr::Col(name) = e else {
        return Err(SqlError::syntax("datepart"));
    };
    let word = name.join(".").to_ascii_lowercase();
    let found = DATE_PARTS
        .iter()
        .find(|(names, _)| names.contains(&format!(" {word} ")));
    found
        .map(|(_, part)| *part)
        .ok_or_else(|| SqlError::of(155, &[&word, &"datepart"]))
}
