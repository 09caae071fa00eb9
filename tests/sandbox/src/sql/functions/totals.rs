//! The aggregate `SUM`, exact where SQL Server is.

use rusqlite::Connection;
use rusqlite::functions::{Aggregate, Context};
use rusqlite::types::Value;

use super::{Args, PURE};
use crate::error::{SqlError, SqlResult};
use crate::value::datum::fits;
use crate::value::{Datum, Ty, compute};

/// The sum so far, of exact or of approximate numbers.
#[derive(Clone, Copy, Default)]
struct Sum {
    exact: i128,
    float: f64,
    ty: Option<Ty>,
    overflow: bool,
}

struct Total;

impl Sum {
    fn add(&mut self, a: &Args<'_, '_>) -> SqlResult<()> {
        let ty = a.ty(1)?;
        let exact = match a.datum(0, ty)? {
            Datum::Int(i) => i128::from(i),
            Datum::Dec(v, _) => v,
            Datum::F64(f) => {
                self.float += f;
                0
            }
            _ => return Ok(()),
        };
        self.ty = Some(ty);
        let (sum, overflow) = self.exact.overflowing_add(exact);
        (self.exact, self.overflow) = (sum, self.overflow || overflow);
        Ok(())
    }

    fn finish(self) -> SqlResult<Value> {
        let Some(ty) = self.ty else {
            return Ok(Value::Null);
        };
        let fail = || SqlError::overflow(ty.message_name());
        if self.overflow {
            return Err(fail());
        }
        match ty {
            Ty::Float | Ty::Real if self.float.is_finite() => Ok(Value::Real(self.float)),
            Ty::Decimal(..) if fits(self.exact, 38) => Ok(Datum::Dec(self.exact, 0).write()),
            Ty::Float | Ty::Real | Ty::Decimal(..) => Err(fail()),
            _ => {
                let sum = i64::try_from(self.exact).map_err(|_| fail())?;
                let small = matches!(ty, Ty::TinyInt | Ty::SmallInt | Ty::Int);
                compute::int_in_range(Some(sum), if small { Ty::Int } else { Ty::BigInt }).map(Value::Integer)
            }
        }
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
        sum.unwrap_or_default().finish().map_err(rusqlite::Error::from)
    }
}

pub(super) fn register(conn: &Connection) -> SqlResult<()> {
    Ok(conn.create_aggregate_function("t_sum", 2, PURE, Total)?)
}
