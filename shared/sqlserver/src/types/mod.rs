//! SQL Server's column types, one file a family: what each is called, how it is selected, arrives and is held, whether it can
//! be a watermark, a key or cut slices, and what holds its values.
//!
//! Everywhere else in the crate, and outside it, a type is a [`TypeName`] or a `SqlType` to be asked.

mod binaries;
mod bit_and_integers;
mod clr;
mod documents;
mod exact_numbers;
mod family;
mod floats;
#[cfg(test)]
mod holding_tests;
mod identifiers;
mod moment_text;
mod moments;
#[cfg(test)]
mod tests;
mod texts;
mod variant;
#[cfg(test)]
mod watermark_tests;
pub(crate) mod wire;

use std::fmt;

use mssql_tds::query::metadata::ColumnMetadata;
use tiberius::{ColumnData, TypeInfo};
use tidemark::error::{Error, ErrorCode, Result};
use tidemark::model::table::Clock;
use tidemark::model::types::{Column, Form, TypeName, WantedForms};
use tidemark::model::values::{Mask, Values};
use tidemark::model::watermark::{Watermark, WatermarkKind};

use self::binaries::Bytes;
use self::bit_and_integers::Integer;
use self::clr::Clr;
use self::documents::Document;
use self::exact_numbers::ExactNumber;
use self::family::{Arguments, Catalogued, Family, Recognised};
pub(crate) use self::family::{HeldBack, ValueText};
use self::floats::Float;
use self::identifiers::UniqueIdentifier;
use self::moments::Moment;
use self::texts::Text;
use self::variant::Variant;

/// A column type of SQL Server, by its family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum SqlType {
    Integer(Integer),
    ExactNumber(ExactNumber),
    Float(Float),
    Text(Text),
    Bytes(Bytes),
    Moment(Moment),
    UniqueIdentifier(UniqueIdentifier),
    Document(Document),
    Clr(Clr),
    Variant(Variant),
}

/// How the types of each family are recognised.
const FAMILIES: [Recognised; 10] = [
    bit_and_integers::RECOGNISED,
    exact_numbers::RECOGNISED,
    floats::RECOGNISED,
    texts::RECOGNISED,
    binaries::RECOGNISED,
    moments::RECOGNISED,
    identifiers::RECOGNISED,
    documents::RECOGNISED,
    clr::RECOGNISED,
    variant::RECOGNISED,
];

impl fmt::Display for SqlType {
    /// As a statement declares it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.family().fmt(f)
    }
}

impl SqlType {
    /// `rowversion`
    pub(crate) const ROWVERSION: Self = Self::Bytes(Bytes::RowVersion);
    /// `bigint`
    pub(crate) const BIGINT: Self = Self::Integer(Integer::BigInt);
    /// `nchar(1)`
    pub(crate) const LETTER: Self = Self::Text(Text::NChar(1));

    fn family(&self) -> &dyn Family {
        match self {
            Self::Integer(one) => one,
            Self::ExactNumber(one) => one,
            Self::Float(one) => one,
            Self::Text(one) => one,
            Self::Bytes(one) => one,
            Self::Moment(one) => one,
            Self::UniqueIdentifier(one) => one,
            Self::Document(one) => one,
            Self::Clr(one) => one,
            Self::Variant(one) => one,
        }
    }

    /// The type of a column's values as they are copied: text of the longest that a mask leaves, where the column is masked.
    ///
    /// # Errors
    ///
    /// As those of [`SqlType::of`].
    pub(crate) fn of_copied(column: &Column) -> Result<Self> {
        Ok(match column.values {
            Values::OfSource | Values::Audit(_) => Self::of(&column.sql_type)?,
            Values::Masked(Mask::Hash) => Self::Text(Text::VarChar(Some(64))),
            // Four characters, each of two units at most.
            Values::Masked(Mask::Last4) => Self::Text(Text::NVarChar(Some(8))),
            Values::Masked(Mask::Null) => Self::Text(Text::NVarChar(Some(1))),
        })
    }

    /// The type that a plan, a record or a store calls so.
    ///
    /// # Errors
    ///
    /// `LedgerInvalid` when it is none that is copied: nobody but Tidemark writes type names, and it writes what it reads.
    pub(crate) fn of(name: &TypeName) -> Result<Self> {
        Self::parse(name.as_str()).ok_or_else(|| {
            let message = format!(
                "'{}' is not a column type of SQL Server",
                name.as_str().escape_default()
            );
            Error::new(ErrorCode::LedgerInvalid, message)
        })
    }

    /// Reads exactly the text that `Display` writes.
    fn parse(text: &str) -> Option<Self> {
        let (name, arguments) = match text.split_once('(') {
            Some((name, rest)) => (name, Some(rest.strip_suffix(')')?)),
            None => (text, None),
        };
        let declared = FAMILIES
            .iter()
            .find_map(|family| (family.declared)(name, Arguments(arguments)))?;
        (declared.to_string() == text).then_some(declared)
    }

    /// A type from its name and `max_length` (in bytes, -1 for `(max)`), `precision` and `scale` in `sys.columns`; `None` for
    /// one that is unknown.
    pub(crate) fn from_catalog(name: &str, length: i32, precision: i32, scale: i32) -> Option<Self> {
        let described = Catalogued {
            name,
            length,
            precision,
            scale,
        };
        FAMILIES.iter().find_map(|family| (family.catalogued)(&described))
    }

    /// A type from the description of a column of a result, or the server's name of one that cannot be copied.
    pub(crate) fn of_result(info: &TypeInfo) -> std::result::Result<Self, String> {
        let known = FAMILIES.iter().find_map(|family| (family.described)(info));
        known.ok_or_else(|| match info {
            TypeInfo::Udt(udt) => format!("{}.{}", udt.schema_name, udt.type_name),
            TypeInfo::VarLenSized(context) => format!("{:?} of length {}", context.r#type(), context.len()),
            TypeInfo::FixedLen(fixed) => format!("{fixed:?}"),
            other => format!("{other:?}"),
        })
    }

    /// The name by which the type travels.
    #[expect(
        clippy::expect_used,
        reason = "a type's text is short and has no control character; a test names every type"
    )]
    pub(crate) fn name(self) -> TypeName {
        TypeName::new(self.to_string()).expect("the name of a type")
    }

    /// Whether a result described as this type is perhaps of a rowversion.
    pub(crate) const fn may_be_rowversion(self) -> bool {
        match self {
            Self::Bytes(bytes) => bytes.may_be_rowversion(),
            _ => false,
        }
    }

    /// How values are held, or why they cannot be copied, as the end of a sentence about the column.
    pub(crate) fn form(self, wanted: WantedForms) -> std::result::Result<Form, String> {
        self.family().form(wanted)
    }

    /// The form that typed files have for the type, where [`form`](Self::form) gives another, which more readers open.
    pub(crate) fn native(self, wanted: WantedForms) -> Option<Form> {
        self.family().native(wanted)
    }

    /// Whether a column of mssql-tds carries the values exactly. Text types carry each other, as do binary types.
    pub(crate) fn is_carried_by(self, sent: &ColumnMetadata) -> bool {
        self.family().is_carried_by(sent)
    }

    /// The expression by which `value` is selected, where the value as it is would not arrive exactly.
    pub(crate) fn selected(self, value: &str) -> Option<String> {
        self.family().selected(value)
    }

    /// What a column counts that is the watermark of its table; `None` when it cannot be.
    pub(crate) fn watermark_kind(self) -> Option<WatermarkKind> {
        self.family().watermark()
    }

    /// Whether the values of a key can cut slices.
    pub(crate) fn cuts(self) -> bool {
        self.family().cuts()
    }

    /// The watermark, or value of a key, that a text stands for, in its canonical form.
    ///
    /// # Errors
    ///
    /// `UnsupportedType` when the type has none, `InvalidInput` when the text is not a value of it.
    pub(crate) fn watermark(self, text: &str) -> Result<Watermark> {
        if !self.cuts() {
            return Err(Error::new(
                ErrorCode::UnsupportedType,
                format!("a column of type {self} cannot be a watermark, nor cut slices"),
            ));
        }
        let canonical = self.family().canonical(text).ok_or_else(|| {
            let message = format!("'{}' is not a watermark of type {self}", text.escape_default());
            Error::new(ErrorCode::InvalidInput, message)
        })?;
        Watermark::new(self.name(), canonical)
    }

    /// The type of a variable that holds a value to compare with.
    pub(crate) fn of_variable(self) -> String {
        self.family().of_variable()
    }

    /// The expression for the value that a parameter has as canonical text.
    pub(crate) fn of_parameter(self, parameter: &str) -> String {
        self.family().of_parameter(parameter)
    }

    /// The expression for the value in a variant.
    pub(crate) fn of_variant(self, value: &str) -> String {
        self.family().of_variant(value)
    }

    /// The server's clock in this type, so that the comparison is made in that type; `None` for what is no time.
    pub(crate) fn clock(self, clock: Clock) -> Option<String> {
        self.family().clock(clock)
    }

    /// The condition on a watermark that keeps a window below the server's clock; `None` for what is no time.
    pub(crate) fn below_clock(self, clock: Clock, held: HeldBack) -> Option<String> {
        self.family().below_clock(clock, held)
    }

    /// Whether its values are read from a clock on which an hour comes twice in autumn.
    pub(crate) fn repeats_an_hour(self, clock: Clock) -> bool {
        clock == Clock::Local && matches!(self, Self::Moment(moment) if moment.is_without_zone())
    }

    fn digits(&self) -> Option<(u8, u8)> {
        self.family().digits()
    }

    /// Whether a column of this type holds every value of type `source` as it is, without rounding, cutting or padding, when
    /// the server converts it implicitly
    /// (<https://learn.microsoft.com/en-us/sql/t-sql/data-types/data-type-conversion-database-engine>).
    pub(crate) fn holds(self, source: Self) -> bool {
        self.family().holds(source)
    }

    /// Whether every watermark of type `column` comes back from a control table's column of this type as it was.
    ///
    /// A procedure's parameter takes no text for the bytes of a rowversion, and a `datetime` comes back from a `datetime2` with
    /// digits that depend on who converted it.
    pub(crate) fn keeps_watermarks_of(self, column: Self) -> bool {
        let is_like = |kind| self.watermark_kind() == kind;
        match column.watermark_kind() {
            None | Some(WatermarkKind::Exact) => false,
            kind @ Some(WatermarkKind::Number) => is_like(kind) && self.holds(column),
            kind @ Some(WatermarkKind::Time) => {
                let is_datetime = |sql_type| sql_type == Self::Moment(Moment::DateTime);
                is_like(kind) && self.holds(column) && (!is_datetime(column) || is_datetime(self))
            }
        }
    }

    /// The least characters of a text column, if it is one with a limit.
    pub(crate) const fn text_length(self) -> Option<u16> {
        match self {
            Self::Text(text) => text.length(),
            _ => None,
        }
    }

    /// Whether values are compared by a collation.
    pub(crate) const fn is_text(self) -> bool {
        matches!(self, Self::Text(_))
    }

    /// Whether values are text whose bytes are of a code page, which need not have every character of the source's.
    pub(crate) const fn is_in_code_page(self) -> bool {
        match self {
            Self::Text(text) => text.is_in_code_page(),
            _ => false,
        }
    }

    /// Whether values can be compared and are of a limited length, as those of a merge's key.
    pub(crate) fn can_be_key(self) -> bool {
        self.family().can_be_key()
    }

    /// The type as which values are staged for a column of type `sink`.
    pub(crate) fn staged_for(self, sink: Self) -> Self {
        self.family().staged_for(sink).unwrap_or(self)
    }

    /// The type as which values are compared and assigned: the legacy types cannot be.
    pub(crate) fn assigned_as(self) -> Self {
        self.family().assigned_as().unwrap_or(self)
    }

    /// The expression that makes a value of a staged text, where a cast does not.
    pub(crate) fn of_staged_text(self, value: &str) -> Option<String> {
        self.family().of_staged_text(value)
    }
}

/// How the values of a column of this type are held.
///
/// # Errors
///
/// `LedgerInvalid` when it is no type of SQL Server, `UnsupportedType` when it cannot be copied so.
pub fn form(name: &TypeName, wanted: WantedForms) -> Result<Form> {
    SqlType::of(name)?.form(wanted).map_err(|why| {
        let message = format!("a column of type {name} {why}");
        Error::new(ErrorCode::UnsupportedType, message)
    })
}

/// The form that typed files have for a column of this type, where [`form`] gives another, which more readers open.
///
/// # Errors
///
/// `LedgerInvalid` when it is no type of SQL Server.
pub fn native_form(name: &TypeName, wanted: WantedForms) -> Result<Option<Form>> {
    Ok(SqlType::of(name)?.native(wanted))
}

/// Whether each value of a column of this type has a type of its own.
pub(crate) fn is_variant(name: &TypeName) -> bool {
    matches!(SqlType::parse(name.as_str()), Some(SqlType::Variant(_)))
}

/// The text of a value that tiberius gives, canonical if it can be a watermark. An error says what it is instead.
pub(crate) fn value_text(data: &ColumnData<'_>) -> ValueText {
    let text = FAMILIES.iter().find_map(|family| (family.read)(data));
    text.unwrap_or(Err("a value of a type that cannot be a watermark"))
}
