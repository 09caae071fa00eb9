//! Aggregates that SQLite does not have, or has in other types.

use std::panic::AssertUnwindSafe;

use rusqlite::Connection;
use rusqlite::functions::{Aggregate, Context};
use rusqlite::types::{Value, ValueRef};

use super::{Args, PURE};
use crate::error::{SqlError, SqlResult};
use crate::value::datum::{fits, rescale};
use crate::value::{Datum, Ty, compute};

#[derive(Clone, Copy, Default)]
struct Sum {
    exact: i128,
    float: f64,
    count: i64,
    ty: Option<Ty>,
    scale: u8,
    overflow: bool,
}

struct Total {
    average: bool,
}

impl Sum {
    fn add(&mut self, a: &Args<'_, '_>) -> SqlResult<()> {
        let ty = a.ty(1)?;
        self.ty = Some(ty);
        match a.datum(0, ty)? {
            Datum::Null => return Ok(()),
            Datum::Int(i) => self.grow(i128::from(i)),
            Datum::Dec(v, s) => {
                self.scale = s;
                self.grow(v);
            }
            Datum::F64(f) => self.float += f,
            _ => {}
        }
        self.count += 1;
        Ok(())
    }

    fn grow(&mut self, value: i128) {
        match self.exact.checked_add(value) {
            Some(sum) => self.exact = sum,
            None => self.overflow = true,
        }
    }

    fn finish(self, average: bool) -> SqlResult<Value> {
        let Some(ty) = self.ty.filter(|_| self.count > 0) else {
            return Ok(Value::Null);
        };
        let fail = |ty: Ty| SqlError::overflow(ty.message_name());
        if self.overflow {
            return Err(fail(ty));
        }
        let count = i128::from(self.count);
        Ok(match ty {
            Ty::Float | Ty::Real => {
                #[allow(clippy::cast_precision_loss)]
                let f = if average {
                    self.float / self.count as f64
                } else {
                    self.float
                };
                if !f.is_finite() {
                    return Err(fail(Ty::Float));
                }
                Value::Real(f)
            }
            Ty::Decimal(..) => {
                let value = if average {
                    let scale = self.scale.max(6);
                    let wide = rescale(self.exact, self.scale, scale).ok_or_else(|| fail(ty))?;
                    wide / count
                } else {
                    self.exact
                };
                if !fits(value, 38) {
                    return Err(fail(ty));
                }
                Datum::Dec(value, 0).write()
            }
            _ => {
                let value = if average { self.exact / count } else { self.exact };
                let value = i64::try_from(value).ok();
                let result = match ty {
                    Ty::TinyInt | Ty::SmallInt | Ty::Int => compute::int_in_range(value, Ty::Int)?,
                    other => value.ok_or_else(|| fail(other))?,
                };
                Value::Integer(result)
            }
        })
    }
}

impl Aggregate<Sum, Value> for Total {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<Sum> {
        Ok(Sum::default())
    }

    fn step(&self, ctx: &mut Context<'_>, sum: &mut Sum) -> rusqlite::Result<()> {
        sum.add(&Args(ctx)).map_err(rusqlite::Error::from)
    }

    fn finalize(&self, _: &mut Context<'_>, sum: Option<Sum>) -> rusqlite::Result<Value> {
        sum.unwrap_or_default()
            .finish(self.average)
            .map_err(rusqlite::Error::from)
    }
}

#[derive(Default)]
struct Values {
    all: Vec<f64>,
    kind: String,
}

struct Deviation;

impl Aggregate<AssertUnwindSafe<Values>, Value> for Deviation {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<AssertUnwindSafe<Values>> {
        Ok(AssertUnwindSafe(Values::default()))
    }

    fn step(&self, ctx: &mut Context<'_>, values: &mut AssertUnwindSafe<Values>) -> rusqlite::Result<()> {
        let args = Args(ctx);
        if !args.is_null(0) {
            let value = args.datum(0, Ty::Float)?;
            values.all.push(compute::as_float(&value));
        }
        if values.kind.is_empty() {
            args.text(1)?.clone_into(&mut values.kind);
        }
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, values: Option<AssertUnwindSafe<Values>>) -> rusqlite::Result<Value> {
        let values = values.map(|v| v.0).unwrap_or_default();
        let population = values.kind.ends_with('P');
        #[allow(clippy::cast_precision_loss)]
        let count = values.all.len() as f64;
        let divisor = if population { count } else { count - 1.0 };
        if divisor < 0.5 {
            return Ok(Value::Null);
        }
        let mean = values.all.iter().sum::<f64>() / count;
        let variance = values.all.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / divisor;
        Ok(Value::Real(if values.kind.starts_with("STDEV") {
            variance.sqrt()
        } else {
            variance
        }))
    }
}

struct ChecksumAgg;

impl Aggregate<Option<i64>, Value> for ChecksumAgg {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<Option<i64>> {
        Ok(None)
    }

    fn step(&self, ctx: &mut Context<'_>, sum: &mut Option<i64>) -> rusqlite::Result<()> {
        if let ValueRef::Integer(i) = ctx.get_raw(0) {
            *sum = Some(sum.unwrap_or(0) ^ i);
        }
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, sum: Option<Option<i64>>) -> rusqlite::Result<Value> {
        Ok(sum.flatten().map_or(Value::Null, Value::Integer))
    }
}

pub(super) fn register(conn: &Connection) -> SqlResult<()> {
    conn.create_aggregate_function("t_sum", 2, PURE, Total { average: false })?;
    conn.create_aggregate_function("t_avg", 2, PURE, Total { average: true })?;
    conn.create_aggregate_function("t_deviation", 2, PURE, Deviation)?;
    conn.create_aggregate_function("t_checksum_agg", 1, PURE, ChecksumAgg)?;
    Ok(())
}
