//! SQL Server's column types, one file for each family. A family knows how its types are named, selected, sent and
//! held, whether they can be a watermark or a key or cut slices, and whose values they hold.
//!
//! The rest of the crate asks a `SqlType`; outside the crate a type is a [`TypeName`].

mod binaries;
mod bit_and_integers;
mod clr;
mod dates_and_times;
mod documents;
mod exact_numbers;
mod family;
mod floats;
#[cfg(test)]
mod holding_tests;
mod identifiers;
mod temporal_text;
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
use tidemark::model::audit::AuditTypes;
use tidemark::model::table::Clock;
use tidemark::model::types::{Column, Form, TypeName, WantedForms};
use tidemark::model::values::{Mask, Values};
use tidemark::model::watermark::{Watermark, WatermarkKind};

use self::binaries::Bytes;
use self::bit_and_integers::Integer;
use self::clr::Clr;
use self::dates_and_times::Temporal;
use self::documents::Document;
use self::exact_numbers::ExactNumber;
pub(crate) use self::exact_numbers::MONEY_SCALE;
use self::family::{Arguments, Catalogued, Family, InTiberius, Precision, Recognised};
pub(crate) use self::family::{Below, Conversion, ServerClock, ValueText};
use self::floats::Float;
use self::identifiers::UniqueIdentifier;
pub(crate) use self::temporal_text::{EPOCH_1900_DAYS, LAST_DAY, ticks_of_datetime};
use self::texts::Text;
use self::variant::Variant;

/// A column type of SQL Server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum SqlType {
    Integer(Integer),
    ExactNumber(ExactNumber),
    Float(Float),
    Text(Text),
    Bytes(Bytes),
    Temporal(Temporal),
    UniqueIdentifier(UniqueIdentifier),
    Document(Document),
    Clr(Clr),
    Variant(Variant),
}

/// The recognition functions of all families.
const FAMILIES: [Recognised; 10] = [
    bit_and_integers::RECOGNISED,
    exact_numbers::RECOGNISED,
    floats::RECOGNISED,
    texts::RECOGNISED,
    binaries::RECOGNISED,
    dates_and_times::RECOGNISED,
    identifiers::RECOGNISED,
    documents::RECOGNISED,
    clr::RECOGNISED,
    variant::RECOGNISED,
];

/// What all families recognise in the driver of lookups.
const IN_TIBERIUS: [InTiberius; 10] = [
    bit_and_integers::IN_TIBERIUS,
    exact_numbers::IN_TIBERIUS,
    floats::IN_TIBERIUS,
    texts::IN_TIBERIUS,
    binaries::IN_TIBERIUS,
    dates_and_times::IN_TIBERIUS,
    identifiers::IN_TIBERIUS,
    documents::IN_TIBERIUS,
    clr::IN_TIBERIUS,
    variant::IN_TIBERIUS,
];

impl fmt::Display for SqlType {
    /// Writes the type as a statement declares it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.family().fmt(f)
    }
}

impl SqlType {
    /// `rowversion`.
    pub(crate) const ROWVERSION: Self = Self::Bytes(Bytes::RowVersion);
    /// `bigint`.
    pub(crate) const BIGINT: Self = Self::Integer(Integer::BigInt);
    /// The types that can be a watermark, as a sentence lists them.
    pub(crate) const WATERMARKS: &'static str =
        "date, smalldatetime, datetime, datetime2, datetimeoffset, integer, decimal or rowversion";
    /// `nchar(1)`.
    pub(crate) const LETTER: Self = Self::Text(Text::NChar(1));

    fn family(&self) -> &dyn Family {
        match self {
            Self::Integer(one) => one,
            Self::ExactNumber(one) => one,
            Self::Float(one) => one,
            Self::Text(one) => one,
            Self::Bytes(one) => one,
            Self::Temporal(one) => one,
            Self::UniqueIdentifier(one) => one,
            Self::Document(one) => one,
            Self::Clr(one) => one,
            Self::Variant(one) => one,
        }
    }

    /// Returns the type of a column's values as they are copied. For a masked column it is a text type that holds the
    /// longest text the mask leaves.
    ///
    /// # Errors
    ///
    /// Those of [`SqlType::of`].
    pub(crate) fn of_copied(column: &Column) -> Result<Self> {
        Ok(match column.values {
            Values::OfSource | Values::ServerMask | Values::Audit(_) => Self::of(&column.sql_type)?,
            Values::Masked(Mask::Hash) => Self::Text(Text::VarChar(Some(64))),
            // The mask leaves four characters, each of at most two UTF-16 units.
            Values::Masked(Mask::Last4) => Self::Text(Text::NVarChar(Some(8))),
            Values::Masked(Mask::Null) => Self::Text(Text::NVarChar(Some(1))),
        })
    }

    /// Returns the type for a name in a plan, a record or a watermark store.
    ///
    /// # Errors
    ///
    /// `LedgerInvalid` when the name is not that of a type that can be copied. Only Tidemark writes these names, so any
    /// other name means that the document is damaged.
    pub(crate) fn of(name: &TypeName) -> Result<Self> {
        Self::parse(name.as_str()).ok_or_else(|| {
            let message = format!(
                "'{}' is not a column type of SQL Server",
                name.as_str().escape_default()
            );
            Error::new(ErrorCode::LedgerInvalid, message)
        })
    }

    /// Parses exactly the text that `Display` writes.
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

    /// Returns the type for its name, `max_length` (in bytes, -1 for `(max)`), `precision` and `scale` in
    /// `sys.columns`, or `None` when it is unknown.
    pub(crate) fn from_catalog(name: &str, length: i32, precision: i32, scale: i32) -> Option<Self> {
        let described = Catalogued {
            name,
            length,
            precision,
            scale,
        };
        FAMILIES.iter().find_map(|family| match family.catalogued {
            Some(catalogued) => catalogued(&described),
            None => (family.declared)(described.name, Arguments(None)),
        })
    }

    /// Returns the type of a result's column, or the name of a type that cannot be copied.
    pub(crate) fn of_result(info: &TypeInfo) -> std::result::Result<Self, String> {
        let known = IN_TIBERIUS.iter().find_map(|family| (family.described)(info));
        known.ok_or_else(|| match info {
            TypeInfo::Udt(udt) => format!("{}.{}", udt.schema_name, udt.type_name),
            TypeInfo::VarLenSized(context) => format!("{:?} of length {}", context.r#type(), context.len()),
            TypeInfo::FixedLen(fixed) => format!("{fixed:?}"),
            other => format!("{other:?}"),
        })
    }

    /// Returns the name of the type for plans, records and stores.
    #[expect(
        clippy::expect_used,
        reason = "a type's text is short and has no control character; a test names every type"
    )]
    pub(crate) fn name(self) -> TypeName {
        TypeName::new(self.to_string()).expect("the name of a type")
    }

    /// Returns whether a result's column that is described as this type may be a rowversion.
    pub(crate) const fn may_be_rowversion(self) -> bool {
        match self {
            Self::Bytes(bytes) => bytes.may_be_rowversion(),
            _ => false,
        }
    }

    /// Returns the form of the values, or the reason why they cannot be copied, as the end of a sentence about the
    /// column.
    pub(crate) fn form(self, wanted: WantedForms) -> std::result::Result<Form, String> {
        self.family().form(wanted)
    }

    /// Returns the native form in typed files, if it differs from [`form`](Self::form), which more readers open.
    pub(crate) fn native(self, wanted: WantedForms) -> Option<Form> {
        self.family().native(wanted)
    }

    /// Returns whether a result's column of mssql-tds carries the values exactly. All text types carry each other, and
    /// so do all binary types.
    pub(crate) fn is_carried_by(self, sent: &ColumnMetadata) -> bool {
        self.family().is_carried_by(sent)
    }

    /// Returns the type as which values are selected, if they would not arrive exactly as they are.
    pub(crate) fn selected(self) -> Option<Self> {
        self.family().selected()
    }

    /// Returns what a watermark column of this type counts, or `None` when the type cannot be a watermark.
    pub(crate) fn watermark_kind(self) -> Option<WatermarkKind> {
        self.family().watermark()
    }

    /// Returns what a column counts that can be proposed as a watermark, by the name of its type in the catalog. A `date`
    /// cannot be proposed, because more rows of a day come after a window has ended on it.
    pub(crate) fn proposed_kind(name: &str) -> Option<WatermarkKind> {
        // The kind does not depend on lengths and digits.
        match Self::from_catalog(name, 1, 1, 0)? {
            Self::Temporal(Temporal::Date) => None,
            sql_type => sql_type.watermark_kind(),
        }
    }

    /// Returns whether windows can be cut into slices at values of this type.
    pub(crate) fn cuts(self) -> bool {
        self.family().cuts()
    }

    /// Parses a watermark, or a value at which slices are cut, and brings it into its canonical form.
    ///
    /// # Errors
    ///
    /// `UnsupportedType` when the type can neither be a watermark nor cut slices, `InvalidInput` when the text is not a
    /// value of it.
    pub(crate) fn watermark(self, text: &str) -> Result<Watermark> {
        if !self.cuts() {
            return Err(Error::new(
                ErrorCode::UnsupportedType,
                format!("a column of type {self} cannot be a watermark, nor cut slices"),
            ));
        }
        let canonical = self.family().canonical(text).ok_or_else(|| {
            let text = text.escape_default();
            let message = match self.example() {
                Some(example) => format!("'{text}' is not a watermark of type {self}: write it like {example}"),
                None => format!("'{text}' is not a value of type {self}"),
            };
            Error::new(ErrorCode::InvalidInput, message)
        })?;
        Watermark::new(self.name(), canonical)
    }

    /// Returns a watermark of this type as people write it.
    fn example(self) -> Option<&'static str> {
        let (version, number) = ("0x00000000000007E4", "42");
        let examples = ["2017-09-05T08:06:00", "2017-09-05T08:06:00Z", "2017-09-05"];
        match self.watermark_kind()? {
            WatermarkKind::Exact => Some(version),
            WatermarkKind::Number => Some(number),
            WatermarkKind::Time => examples
                .into_iter()
                .find(|text| self.family().canonical(text).is_some()),
        }
    }

    /// Returns the type of a variable that holds a value for comparisons.
    pub(crate) fn of_variable(self) -> Self {
        self.family().of_variable().unwrap_or(self)
    }

    /// Returns how the server makes a value from its text.
    pub(crate) fn of_text(self) -> Conversion {
        self.family().of_text()
    }

    /// Returns the server's clock to compare values with, or `None` when the type is not a time.
    pub(crate) fn clock(self, clock: Clock) -> Option<ServerClock> {
        self.family().clock(clock)
    }

    /// Returns the bound that keeps a watermark below the server's clock, or `None` when the type is not a time.
    pub(crate) fn below_clock(self, clock: Clock) -> Option<Below> {
        self.family().below_clock(clock)
    }

    /// Returns whether the values may come from a clock that shows one hour twice in autumn. Which clock the user says that
    /// they come from makes no difference, because many columns that are meant to be in UTC are stamped by the wall clock.
    pub(crate) fn may_repeat_an_hour(self) -> bool {
        matches!(self, Self::Temporal(temporal) if temporal.is_without_zone())
    }

    fn precision(&self) -> Option<Precision> {
        self.family().precision()
    }

    /// Returns whether a column of this type holds every value of type `source` unchanged, without rounding, cutting or
    /// padding, when the server converts it implicitly
    /// (<https://learn.microsoft.com/en-us/sql/t-sql/data-types/data-type-conversion-database-engine>).
    pub(crate) fn holds(self, source: Self) -> bool {
        self.family().holds(source)
    }

    /// Returns whether a control table's column of this type returns every watermark of type `column` unchanged.
    ///
    /// A rowversion is never returned so, because a procedure's binary parameter takes no text. A `datetime` in a
    /// `datetime2` column is not either, because its digits depend on who converted it.
    pub(crate) fn keeps_watermarks_of(self, column: Self) -> bool {
        let is_like = |kind| self.watermark_kind() == kind;
        match column.watermark_kind() {
            None | Some(WatermarkKind::Exact) => false,
            kind @ Some(WatermarkKind::Number) => is_like(kind) && self.holds(column),
            kind @ Some(WatermarkKind::Time) => {
                let is_datetime = |sql_type| sql_type == Self::Temporal(Temporal::DateTime);
                is_like(kind) && self.holds(column) && (!is_datetime(column) || is_datetime(self))
            }
        }
    }

    /// Returns the declared length of a text type, or `None` for a text type without a limit and for any other type.
    pub(crate) const fn text_length(self) -> Option<u16> {
        match self {
            Self::Text(text) => text.length(),
            _ => None,
        }
    }

    /// Returns whether values are compared by a collation.
    pub(crate) const fn is_text(self) -> bool {
        matches!(self, Self::Text(_))
    }

    /// Returns whether values are text in a code page, which may lack characters of the source.
    pub(crate) const fn is_in_code_page(self) -> bool {
        match self {
            Self::Text(text) => text.is_in_code_page(),
            _ => false,
        }
    }

    /// Returns whether values can be compared and have a limited length, as a merge's key requires.
    pub(crate) fn can_be_key(self) -> bool {
        self.family().can_be_key()
    }

    /// Returns the type in which values are staged for a column of type `sink`.
    pub(crate) fn staged_for(self, sink: Self) -> Self {
        self.family().staged_for(sink).unwrap_or(self)
    }

    /// Returns the type in which values are compared and assigned, which the legacy types do not allow.
    pub(crate) fn assigned_as(self) -> Self {
        self.family().assigned_as().unwrap_or(self)
    }
}

/// Returns the form of the values of a column.
///
/// # Errors
///
/// `LedgerInvalid` when the name is not that of a SQL Server type, `UnsupportedType` when its values cannot be copied
/// in the wanted forms.
pub fn form(name: &TypeName, wanted: WantedForms) -> Result<Form> {
    SqlType::of(name)?.form(wanted).map_err(|why| {
        let message = format!("a column of type {name} {why}");
        Error::new(ErrorCode::UnsupportedType, message)
    })
}

/// Returns the native form of a column in typed files, if it differs from [`form`], which more readers open.
///
/// # Errors
///
/// `LedgerInvalid` when the name is not that of a SQL Server type.
pub fn native_form(name: &TypeName, wanted: WantedForms) -> Result<Option<Form>> {
    Ok(SqlType::of(name)?.native(wanted))
}

/// Returns the types of the columns of an audit.
#[must_use]
pub fn audit_types() -> AuditTypes {
    AuditTypes {
        window: SqlType::Text(Text::NVarChar(Some(100))).name(),
        copied_at: SqlType::Temporal(Temporal::DateTimeOffset(6)).name(),
        operation: SqlType::LETTER.name(),
    }
}

/// Returns whether values of every type arrive in a column of this type.
pub(crate) fn is_of_any_type(name: &TypeName) -> bool {
    SqlType::parse(name.as_str()).is_some_and(|sql_type| sql_type.family().is_of_any_type())
}

/// Reads the text of a value from tiberius; the text is canonical if the type can be a watermark. An error names what
/// the value is instead, as the end of a sentence.
pub(crate) fn value_text(data: &ColumnData<'_>) -> ValueText {
    let text = IN_TIBERIUS.iter().find_map(|family| family.read?(data));
    text.unwrap_or(Err("a value of a type that cannot be a watermark"))
}
