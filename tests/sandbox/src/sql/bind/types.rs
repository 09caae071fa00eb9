//! The rules of types: precedence, common types, implicit conversion, and the precision and scale of arithmetic.

use super::Bound;
use crate::error::{SqlError, SqlResult};
use crate::value::convert::is_noop;
use crate::value::format::DEFAULT_STYLE;
use crate::value::{MAX, Ty};

/// Converts an expression, as `CAST` does.
pub fn cast(value: Bound, to: Ty, style: &str) -> Bound {
    if value.null {
        return Bound { ty: to, ..value };
    }
    if is_noop(value.ty, to) && style == "-1" {
        return Bound {
            ty: to,
            column: None,
            ..value
        };
    }
    let sql = format!("t_cv({}, {}, {}, {style})", value.sql, value.code(), to.code());
    Bound {
        collation: value.collation.filter(|_| to.is_string()),
        ..Bound::new(sql, to).nullable(value.nullable)
    }
}

/// Converts an expression with the type's default style.
pub fn to(value: Bound, ty: Ty) -> Bound {
    cast(value, ty, &DEFAULT_STYLE.to_string())
}

/// Converts where the server converts by itself, and fails with 206 or 257 where it does not.
pub fn implicit(value: Bound, ty: Ty) -> SqlResult<Bound> {
    if !value.null && value.ty != ty {
        check_implicit(value.ty, ty)?;
    }
    Ok(to(value, ty))
}

/// Fails unless the server converts a type to another by itself.
pub fn check_implicit(from: Ty, to: Ty) -> SqlResult<()> {
    let clash = || Err(SqlError::of(206, &[&from.message_name(), &to.message_name()]));
    let explicit_only = || Err(SqlError::of(257, &[&from.message_name(), &to.message_name()]));
    let modern = |ty: Ty| matches!(ty, Ty::Date | Ty::Time(_) | Ty::DateTime2(_) | Ty::DateTimeOffset(_));
    let legacy = |ty: Ty| matches!(ty, Ty::DateTime | Ty::SmallDateTime);
    match (from, to) {
        (a, b) if b.is_clr() && a.is_string() => Err(SqlError::unsupported("a CLR type from text")),
        (a, b) if a != b && (a.is_clr() || b.is_clr()) => clash(),
        (a, b) if a.is_number() && modern(b) || modern(a) && b.is_number() => clash(),
        (Ty::Date, Ty::Time(_)) | (Ty::Time(_), Ty::Date) => clash(),
        (a, b) if legacy(a) && b.is_number() => explicit_only(),
        (a, b) if a.is_string() && b.is_binary() => explicit_only(),
        (a, b) if a == Ty::Guid && (b.is_number() || b.is_temporal()) => clash(),
        (a, b) if b == Ty::Guid && (a.is_number() || a.is_temporal()) => clash(),
        (a, b) if modern(a) && b.is_binary() || a.is_binary() && modern(b) => clash(),
        (a, b) if a.is_approx() && b.is_binary() => explicit_only(),
        (a, b) if a.is_temporal() && b.is_binary() => explicit_only(),
        (a, b) if a.is_binary() && (b.is_approx()) => clash(),
        (Ty::Xml, b) if !b.is_string() => clash(),
        (a, Ty::Xml) if !a.is_string() && !a.is_binary() => clash(),
        (Ty::Image, b) if !b.is_binary() => clash(),
        (Ty::Text | Ty::NText, b) if !b.is_string() => clash(),
        _ => Ok(()),
    }
}

/// Returns the digits before the point and the scale that an exact number needs.
fn shape(ty: Ty) -> Option<(u8, u8)> {
    Some(match ty {
        Ty::Bit => (1, 0),
        Ty::TinyInt => (3, 0),
        Ty::SmallInt => (5, 0),
        Ty::Int => (10, 0),
        Ty::BigInt => (19, 0),
        Ty::Decimal(p, s) => (p - s, s),
        Ty::Money => (15, 4),
        Ty::SmallMoney => (6, 4),
        _ => return None,
    })
}

/// Returns the precision and scale of the decimal that an exact number becomes in decimal arithmetic.
pub fn as_decimal(ty: Ty) -> Option<(u8, u8)> {
    shape(ty).map(|(whole, scale)| (whole + scale, scale))
}

/// Returns the type in which two operands are combined.
pub fn common(a: Ty, b: Ty) -> Ty {
    let (high, low) = if a.precedence() >= b.precedence() {
        (a, b)
    } else {
        (b, a)
    };
    let widest = |x: u16, y: Option<u16>| {
        if x == MAX || y == Some(MAX) {
            MAX
        } else {
            x.max(y.unwrap_or(x))
        }
    };
    match (high, low) {
        (Ty::Decimal(..), _) if shape(low).is_some() => {
            let ((w1, s1), (w2, s2)) = (shape(high).unwrap_or((18, 0)), shape(low).unwrap_or((18, 0)));
            let (whole, scale) = (w1.max(w2), s1.max(s2));
            let scale = scale.min(38_u8.saturating_sub(whole.min(38)));
            Ty::Decimal((whole + scale).min(38), scale)
        }
        (Ty::DateTime2(n), Ty::DateTime2(m)) => Ty::DateTime2(n.max(m)),
        (Ty::DateTime2(n), Ty::DateTime) => Ty::DateTime2(n.max(7)),
        (Ty::DateTimeOffset(n), Ty::DateTimeOffset(m) | Ty::DateTime2(m)) => Ty::DateTimeOffset(n.max(m)),
        (Ty::DateTimeOffset(_), _) => Ty::DateTimeOffset(7),
        (Ty::Time(n), Ty::Time(m)) => Ty::Time(n.max(m)),
        (Ty::NChar(n), Ty::NChar(m) | Ty::Char(m)) => Ty::NChar(n.max(m)),
        (Ty::NVarChar(n), _) if low.is_string() => Ty::NVarChar(narrow(widest(n, low.length()), 4000)),
        (Ty::NChar(n), _) if low.is_string() => Ty::NVarChar(narrow(widest(n, low.length()), 4000)),
        (Ty::Char(n), Ty::Char(m)) => Ty::Char(n.max(m)),
        (Ty::VarChar(n), _) if low.is_string() => Ty::VarChar(widest(n, low.length())),
        (Ty::VarBinary(n), _) => Ty::VarBinary(widest(n, low.length())),
        (Ty::Binary(n), Ty::Binary(m)) => Ty::Binary(n.max(m)),
        _ => high,
    }
}

fn narrow(length: u16, limit: u16) -> u16 {
    if length != MAX && length > limit { MAX } else { length }
}

/// Returns the common type of several expressions, in which bare NULLs do not count.
pub fn common_of<'b>(all: impl IntoIterator<Item = &'b Bound>) -> Option<Ty> {
    all.into_iter().filter(|b| !b.null).map(|b| b.ty).reduce(common)
}

/// Returns the string type that a value of another type becomes in string functions.
pub fn string_of(ty: Ty) -> Ty {
    match ty {
        Ty::Xml => Ty::NVarChar(MAX),
        Ty::NText => Ty::NVarChar(MAX),
        Ty::Text => Ty::VarChar(MAX),
        _ if ty.is_string() => ty,
        Ty::Bit => Ty::VarChar(1),
        Ty::TinyInt => Ty::VarChar(3),
        Ty::SmallInt => Ty::VarChar(6),
        Ty::Int => Ty::VarChar(12),
        Ty::BigInt => Ty::VarChar(20),
        Ty::Decimal(..) => Ty::VarChar(41),
        Ty::Guid => Ty::VarChar(36),
        Ty::Date | Ty::Time(_) | Ty::DateTime2(_) | Ty::DateTimeOffset(_) => Ty::VarChar(34),
        Ty::Binary(n) | Ty::VarBinary(n) => Ty::VarChar(n),
        Ty::Image => Ty::VarChar(MAX),
        _ => Ty::VarChar(30),
    }
}

/// Returns the type of the result of arithmetic on two types.
pub fn arithmetic(op: &str, a: Ty, b: Ty) -> SqlResult<Ty> {
    let wrong = || SqlError::of(402, &[&a.message_name(), &b.message_name(), &operator(op)]);
    // In arithmetic a string becomes the type of the other operand.
    let (a, b) = match (a.is_string(), b.is_string()) {
        (true, false) => (b, b),
        (false, true) => (a, a),
        _ => (a, b),
    };
    if !a.is_number() || !b.is_number() {
        return Err(wrong());
    }
    if a.is_approx() || b.is_approx() {
        return Ok(if op == "%" { return Err(wrong()) } else { common(a, b) });
    }
    let money = |t: Ty| matches!(t, Ty::Money | Ty::SmallMoney);
    if let (Ty::Decimal(..), _) | (_, Ty::Decimal(..)) = (a, b) {
        let ((p1, s1), (p2, s2)) = (as_decimal(a).ok_or_else(wrong)?, as_decimal(b).ok_or_else(wrong)?);
        return Ok(decimal_result(op, p1, s1, p2, s2));
    }
    if money(a) || money(b) {
        return Ok(common(a, b));
    }
    Ok(match common(a, b) {
        Ty::Bit => return Err(wrong()),
        other => other,
    })
}

fn operator(op: &str) -> &'static str {
    match op {
        "+" => "add",
        "-" => "subtract",
        "*" => "multiply",
        "/" => "divide",
        "%" => "modulo",
        "=" => "equal to",
        "<>" => "not equal to",
        "<" => "less than",
        ">" => "greater than",
        "<=" => "less than or equal to",
        ">=" => "greater than or equal to",
        "&" => "'&'",
        "|" => "'|'",
        _ => "'^'",
    }
}

/// Returns the precision and scale of decimal arithmetic, reduced to 38 digits as documented.
pub fn decimal_result(op: &str, p1: u8, s1: u8, p2: u8, s2: u8) -> Ty {
    let (p1, s1, p2, s2) = (i32::from(p1), i32::from(s1), i32::from(p2), i32::from(s2));
    let (precision, scale) = match op {
        "*" => (p1 + p2 + 1, s1 + s2),
        "/" => {
            let scale = 6.max(s1 + p2 + 1);
            (p1 - s1 + s2 + scale, scale)
        }
        "%" => ((p1 - s1).min(p2 - s2) + s1.max(s2), s1.max(s2)),
        _ => (s1.max(s2) + (p1 - s1).max(p2 - s2) + 1, s1.max(s2)),
    };
    let (precision, scale) = if precision <= 38 {
        (precision, scale)
    } else if op == "*" || op == "/" {
        let whole = precision - scale;
        (
            38,
            if whole < 32 {
                scale.min(38 - whole)
            } else if scale > 6 {
                6
            } else {
                scale
            },
        )
    } else {
        (38, scale.min(38 - (p1 - s1).max(p2 - s2).min(38)))
    };
    Ty::Decimal(
        u8::try_from(precision.clamp(1, 38)).unwrap_or(38),
        u8::try_from(scale.clamp(0, 38)).unwrap_or(0),
    )
}

/// Makes 402, for types that cannot be compared.
pub fn incomparable(op: &str, a: Ty, b: Ty) -> SqlError {
    SqlError::of(402, &[&a.name(), &b.name(), &operator(op)])
}
