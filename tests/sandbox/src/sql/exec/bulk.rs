//! The declaration of `INSERT BULK`, and its comparison with the rows that come after it.

use crate::error::{SqlError, SqlResult};
use crate::sql::ast::BulkColumn;
use crate::sql::catalog::Place;
use crate::value::{MAX, Ty};

/// An `INSERT BULK` whose rows have not come yet.
#[derive(Debug)]
pub(super) struct BulkLoad {
    /// The table.
    pub(super) place: Place,
    /// The columns that it declares. Without any, it takes those that come.
    pub(super) columns: Vec<BulkColumn>,
    /// `KEEP_NULLS`
    pub(super) keep_nulls: bool,
}

/// Compares the columns that a statement declared with those that came. A statement without columns declares nothing.
///
/// A declared length may be longer than the one that came, for drivers that count bytes where characters are meant
/// (<https://github.com/tiberius-rs/tiberius/issues/410>).
///
/// Fails with 4816 for another type, which `(max)` and a length are
/// (<https://github.com/tiberius-rs/tiberius/issues/322>), and with 4875 for another scale
/// (<https://github.com/tiberius-rs/tiberius/issues/234>).
pub(super) fn check_types(declared: &[BulkColumn], sent: &[BulkColumn]) -> SqlResult<()> {
    for (at, (declared, sent)) in declared.iter().zip(sent).enumerate() {
        let (column, declared, sent) = (at + 1, declared.ty, sent.ty);
        if kind(declared) != kind(sent) {
            return Err(SqlError::of(4816, &[&column]));
        }
        if attributes(declared) != attributes(sent) {
            return Err(SqlError::of(4875, &[&column]));
        }
    }
    Ok(())
}

/// Returns a type without its attributes and its length, except for `(max)`.
fn kind(ty: Ty) -> Ty {
    let length = |n: u16| if n == MAX { MAX } else { 1 };
    match ty {
        Ty::Decimal(..) => Ty::Decimal(1, 0),
        Ty::Time(_) => Ty::Time(0),
        Ty::DateTime2(_) => Ty::DateTime2(0),
        Ty::DateTimeOffset(_) => Ty::DateTimeOffset(0),
        Ty::Char(_) => Ty::Char(1),
        Ty::NChar(_) => Ty::NChar(1),
        Ty::Binary(_) | Ty::RowVersion => Ty::Binary(1),
        Ty::VarChar(n) => Ty::VarChar(length(n)),
        Ty::NVarChar(n) => Ty::NVarChar(length(n)),
        Ty::VarBinary(n) => Ty::VarBinary(length(n)),
        other => other,
    }
}

/// Returns the precision and the scale.
fn attributes(ty: Ty) -> (u8, u8) {
    match ty {
        Ty::Decimal(precision, scale) => (precision, scale),
        Ty::Time(scale) | Ty::DateTime2(scale) | Ty::DateTimeOffset(scale) => (0, scale),
        _ => (0, 0),
    }
}
