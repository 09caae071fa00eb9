//! The unit tests of `src/sql/bind/types.rs`.

use super::*;

#[test]
fn precedence_and_shapes_are_as_documented() {
    assert_eq!(common(Ty::Int, Ty::BigInt), Ty::BigInt);
    assert_eq!(common(Ty::VarChar(10), Ty::NVarChar(5)), Ty::NVarChar(10));
    assert_eq!(common(Ty::DateTime, Ty::DateTime2(3)), Ty::DateTime2(7));
    assert_eq!(common(Ty::Decimal(5, 2), Ty::Int), Ty::Decimal(12, 2));
    assert_eq!(decimal_result("+", 10, 2, 10, 4), Ty::Decimal(13, 4));
    assert_eq!(decimal_result("*", 38, 10, 38, 10), Ty::Decimal(38, 6));
    assert_eq!(decimal_result("/", 10, 2, 5, 0), Ty::Decimal(16, 8));
    assert_eq!(check_implicit(Ty::Int, Ty::Date).unwrap_err().number, 206);
    assert_eq!(check_implicit(Ty::DateTime, Ty::Int).unwrap_err().number, 257);
}
