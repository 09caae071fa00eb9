//! The least and the greatest value of a page or of a column chunk.

use parquet::basic::Type as PhysicalType;
use parquet::data_type::{ByteArray, FixedLenByteArray};
use parquet::file::statistics::{Statistics, ValueStatistics};
use parquet::schema::types::ColumnDescriptor;

/// The most bytes of a text or binary value that are written. More are not needed to skip a page.
const KEPT_BYTES: usize = 64;
/// The most bytes of a value that are held. The additional one shows that the value is longer.
const HELD_BYTES: usize = KEPT_BYTES + 1;

/// The least and the greatest value, in the order of their type.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Bounds {
    /// No value was seen, or none that has a place in the order.
    #[default]
    None,
    Int(i64, i64),
    Float(f64, f64),
    Decimal(i128, i128),
    /// Bytes of a fixed length, aligned to the left.
    Fixed(u128, u128),
    /// The first bytes of both values, at most [`HELD_BYTES`], because a whole value may be as large as a column chunk.
    Bytes(Vec<u8>, Vec<u8>),
}

impl Bounds {
    pub fn widen_ints(&mut self, least: i64, greatest: i64) {
        *self = match *self {
            Self::Int(a, b) => Self::Int(a.min(least), b.max(greatest)),
            _ => Self::Int(least, greatest),
        };
    }

    /// Widens the bounds. Of the two zeros the negative one is the lesser.
    pub fn widen_floats(&mut self, least: f64, greatest: f64) {
        let least = if least == 0.0 { -0.0 } else { least };
        let greatest = if greatest == 0.0 { 0.0 } else { greatest };
        *self = match *self {
            Self::Float(a, b) => Self::Float(
                if least < a { least } else { a },
                if greatest > b { greatest } else { b },
            ),
            _ => Self::Float(least, greatest),
        };
    }

    pub fn widen_decimals(&mut self, least: i128, greatest: i128) {
        *self = match *self {
            Self::Decimal(a, b) => Self::Decimal(a.min(least), b.max(greatest)),
            _ => Self::Decimal(least, greatest),
        };
    }

    pub fn widen_fixed(&mut self, least: u128, greatest: u128) {
        *self = match *self {
            Self::Fixed(a, b) => Self::Fixed(a.min(least), b.max(greatest)),
            _ => Self::Fixed(least, greatest),
        };
    }

    pub fn widen_bytes(&mut self, least: &[u8], greatest: &[u8]) {
        let (least, greatest) = (held(least), held(greatest));
        match self {
            Self::Bytes(a, b) => {
                if least < a.as_slice() {
                    a.clear();
                    a.extend_from_slice(least);
                }
                if greatest > b.as_slice() {
                    b.clear();
                    b.extend_from_slice(greatest);
                }
            }
            _ => *self = Self::Bytes(least.to_vec(), greatest.to_vec()),
        }
    }

    pub fn widen(&mut self, other: &Self) {
        match other {
            Self::None => {}
            Self::Int(a, b) => self.widen_ints(*a, *b),
            Self::Float(a, b) => self.widen_floats(*a, *b),
            Self::Decimal(a, b) => self.widen_decimals(*a, *b),
            Self::Fixed(a, b) => self.widen_fixed(*a, *b),
            Self::Bytes(a, b) => self.widen_bytes(a, b),
        }
    }

    /// Returns whether neither the least nor the greatest value decreases from these bounds to the next ones.
    pub fn is_before(&self, next: &Self) -> bool {
        match (self, next) {
            (Self::Int(a, b), Self::Int(c, d)) => a <= c && b <= d,
            (Self::Float(a, b), Self::Float(c, d)) => a <= c && b <= d,
            (Self::Decimal(a, b), Self::Decimal(c, d)) => a <= c && b <= d,
            (Self::Fixed(a, b), Self::Fixed(c, d)) => a <= c && b <= d,
            (Self::Bytes(a, b), Self::Bytes(c, d)) => a <= c && b <= d,
            _ => true,
        }
    }

    /// Encodes both values for a page index, cut where they are long. Returns `None` without values, and when no short
    /// value is above the greatest one.
    pub fn encoded(&self, column: &ColumnDescriptor, is_text: bool) -> Option<Encoded> {
        let length = usize::try_from(column.type_length()).unwrap_or_default();
        let exact = |least: Vec<u8>, greatest: Vec<u8>| Encoded {
            least,
            greatest,
            is_least_exact: true,
            is_greatest_exact: true,
        };
        Some(match self {
            Self::None => return None,
            Self::Int(a, b) => {
                let width = match column.physical_type() {
                    PhysicalType::BOOLEAN => 1,
                    PhysicalType::INT32 => 4,
                    _ => 8,
                };
                exact(a.to_le_bytes()[..width].to_vec(), b.to_le_bytes()[..width].to_vec())
            }
            Self::Float(a, b) if column.physical_type() == PhysicalType::FLOAT => {
                exact(single(*a).to_le_bytes().to_vec(), single(*b).to_le_bytes().to_vec())
            }
            Self::Float(a, b) => exact(a.to_le_bytes().to_vec(), b.to_le_bytes().to_vec()),
            Self::Decimal(a, b) => exact(
                a.to_be_bytes()[16 - length..].to_vec(),
                b.to_be_bytes()[16 - length..].to_vec(),
            ),
            Self::Fixed(a, b) => exact(a.to_be_bytes()[..length].to_vec(), b.to_be_bytes()[..length].to_vec()),
            Self::Bytes(a, b) => {
                let (least, is_least_exact) = cut(a, is_text);
                let (greatest, is_greatest_exact) = cut_above(b, is_text)?;
                Encoded {
                    least,
                    greatest,
                    is_least_exact,
                    is_greatest_exact,
                }
            }
        })
    }

    /// Returns the statistics of a column chunk with these bounds.
    pub fn statistics(&self, column: &ColumnDescriptor, is_text: bool, nulls: u64) -> Statistics {
        let is_signed = column.sort_order().is_signed();
        macro_rules! of {
            ($kind:ident, $least:expr, $greatest:expr) => {
                Statistics::$kind(
                    ValueStatistics::new($least, $greatest, None, Some(nulls), false)
                        .with_backwards_compatible_min_max(is_signed),
                )
            };
        }
        let int = |value: i64| i32::try_from(value).unwrap_or_default();
        let ints = match *self {
            Self::Int(a, b) => Some((a, b)),
            _ => None,
        };
        let floats = match *self {
            Self::Float(a, b) => Some((a, b)),
            _ => None,
        };
        match column.physical_type() {
            PhysicalType::BOOLEAN => of!(Boolean, ints.map(|of| of.0 != 0), ints.map(|of| of.1 != 0)),
            PhysicalType::INT32 => of!(Int32, ints.map(|of| int(of.0)), ints.map(|of| int(of.1))),
            PhysicalType::FLOAT => of!(Float, floats.map(|of| single(of.0)), floats.map(|of| single(of.1))),
            PhysicalType::DOUBLE => of!(Double, floats.map(|of| of.0), floats.map(|of| of.1)),
            PhysicalType::FIXED_LEN_BYTE_ARRAY => {
                let encoded = self.encoded(column, is_text);
                let (least, greatest) = encoded.map(|of| (of.least, of.greatest)).unzip();
                of!(
                    FixedLenByteArray,
                    least.map(FixedLenByteArray::from),
                    greatest.map(FixedLenByteArray::from)
                )
            }
            PhysicalType::BYTE_ARRAY => {
                let encoded = self.encoded(column, is_text);
                let is_exact = encoded.as_ref().map(|of| (of.is_least_exact, of.is_greatest_exact));
                let (is_least_exact, is_greatest_exact) = is_exact.unwrap_or((true, true));
                let (least, greatest) = encoded.map(|of| (of.least, of.greatest)).unzip();
                let values = ValueStatistics::new(
                    least.map(ByteArray::from),
                    greatest.map(ByteArray::from),
                    None,
                    Some(nulls),
                    false,
                );
                Statistics::ByteArray(
                    values
                        .with_backwards_compatible_min_max(is_signed)
                        .with_min_is_exact(is_least_exact)
                        .with_max_is_exact(is_greatest_exact),
                )
            }
            _ => of!(Int64, ints.map(|of| of.0), ints.map(|of| of.1)),
        }
    }
}

/// Encoded bounds.
#[derive(Debug, PartialEq, Eq)]
pub struct Encoded {
    pub least: Vec<u8>,
    pub greatest: Vec<u8>,
    pub is_least_exact: bool,
    pub is_greatest_exact: bool,
}

/// Converts a number back to the `real` that it was.
#[expect(clippy::cast_possible_truncation, reason = "it was widened from one")]
const fn single(value: f64) -> f32 {
    value as f32
}

/// Returns a short value that is not above `value`, and whether it is `value` itself.
fn cut(value: &[u8], is_text: bool) -> (Vec<u8>, bool) {
    if value.len() <= KEPT_BYTES {
        return (value.to_vec(), true);
    }
    (kept(value, is_text).to_vec(), false)
}

/// Returns a short value that is not below `value`, and whether it is `value` itself. `None` when there is no such
/// value.
fn cut_above(value: &[u8], is_text: bool) -> Option<(Vec<u8>, bool)> {
    if value.len() <= KEPT_BYTES {
        return Some((value.to_vec(), true));
    }
    let kept = kept(value, is_text);
    let above = if is_text {
        std::str::from_utf8(kept).ok().and_then(next_text)
    } else {
        next_bytes(kept)
    };
    Some((above?, false))
}

/// Returns the part of a value that is held.
fn held(value: &[u8]) -> &[u8] {
    &value[..value.len().min(HELD_BYTES)]
}

/// Returns the first bytes of a long value, up to the end of a whole character if it is text.
fn kept(value: &[u8], is_text: bool) -> &[u8] {
    let mut end = KEPT_BYTES;
    while is_text && end > 0 && value[end] & 0xC0 == 0x80 {
        end -= 1;
    }
    &value[..end]
}

/// Returns the least text of at most as many bytes that is above every text which begins with this one.
fn next_text(text: &str) -> Option<Vec<u8>> {
    text.char_indices().rev().find_map(|(start, character)| {
        let next = char::from_u32(u32::from(character) + 1)?;
        (next.len_utf8() == character.len_utf8()).then(|| {
            let mut above = text[..start].to_owned();
            above.push(next);
            above.into_bytes()
        })
    })
}

fn next_bytes(bytes: &[u8]) -> Option<Vec<u8>> {
    let last = bytes.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut above = bytes[..=last].to_vec();
    above[last] += 1;
    Some(above)
}
