//! The shape of a slice: its columns, and how each is held in memory as Arrow.
//!
//! How a column is held is decided here once, from its SQL type and the format, so that reading and encoding are plain
//! loops. Parquet holds what it writes. The text formats hold points in time exactly (100 ns, with the offset) and
//! write them out only in `encode`.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::extension::Uuid;
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};

use crate::error::{Error, ErrorCode, Result};
use crate::format::{Format, JsonlOptions, Timestamps};
use crate::types::{Column, SqlType};

/// The key under which a field's metadata, hence a Parquet file, holds the SQL Server type.
pub const SQL_TYPE_KEY: &str = "sqlserver.type";

/// How a column is held in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// `Boolean`
    Bool,
    /// `Int16`; also `tinyint`, because engines read unsigned Parquet types badly.
    Int16,
    /// `Int32`
    Int32,
    /// `Int64`
    Int64,
    /// `Float32`
    Float32,
    /// `Float64`
    Float64,
    /// `Decimal128`
    Decimal {
        /// Digits in all, 1 to 38.
        precision: u8,
        /// Digits after the point.
        scale: u8,
    },
    /// `Utf8`
    Text,
    /// `Binary`
    Binary,
    /// `FixedSizeBinary(16)` in the order of the text form (RFC 9562), with the extension type `arrow.uuid`.
    Uuid,
    /// `Date32`, days since 1970-01-01.
    Date,
    /// `Time64`
    Time(Fraction),
    /// `Timestamp` without a zone.
    Timestamp(Fraction),
    /// `Timestamp` in UTC.
    Instant(Fraction),
    /// `Utf8`, the ISO 8601 form of a time or a point in time.
    Iso,
    /// `Int64`, units of 100 ns since midnight.
    TimeTicks,
    /// `Int64`, units of 100 ns since 0001-01-01.
    Ticks,
    /// `FixedSizeBinary(10)`: units of 100 ns since 0001-01-01 in UTC, then the offset in minutes, both little-endian.
    TicksAndOffset,
}

/// The unit of a time in Parquet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fraction {
    /// 10⁻⁶ s
    Micros,
    /// 10⁻⁹ s
    Nanos,
}

impl Fraction {
    const fn time_unit(self) -> TimeUnit {
        match self {
            Self::Micros => TimeUnit::Microsecond,
            Self::Nanos => TimeUnit::Nanosecond,
        }
    }
}

impl Held {
    /// Decides how a column is held.
    fn of(sql_type: SqlType, format: &Format, timestamps: Timestamps) -> Self {
        match sql_type {
            SqlType::Bit => Self::Bool,
            SqlType::TinyInt | SqlType::SmallInt => Self::Int16,
            SqlType::Int => Self::Int32,
            SqlType::BigInt => Self::Int64,
            SqlType::Real => Self::Float32,
            SqlType::Float => Self::Float64,
            SqlType::Decimal { precision, scale } => Self::Decimal { precision, scale },
            SqlType::Money => Self::Decimal {
                precision: 19,
                scale: 4,
            },
            SqlType::SmallMoney => Self::Decimal {
                precision: 10,
                scale: 4,
            },
            SqlType::Char(_)
            | SqlType::VarChar(_)
            | SqlType::NChar(_)
            | SqlType::NVarChar(_)
            | SqlType::Text
            | SqlType::NText
            | SqlType::Xml => Self::Text,
            SqlType::Binary(_)
            | SqlType::VarBinary(_)
            | SqlType::Image
            | SqlType::RowVersion
            | SqlType::HierarchyId
            | SqlType::Geometry
            | SqlType::Geography => Self::Binary,
            SqlType::UniqueIdentifier => Self::Uuid,
            SqlType::Date => Self::Date,
            SqlType::Time(_)
            | SqlType::SmallDateTime
            | SqlType::DateTime
            | SqlType::DateTime2(_)
            | SqlType::DateTimeOffset(_) => match format {
                Format::Parquet(_) => Self::in_parquet(sql_type, timestamps),
                Format::Csv(_) | Format::Jsonl(_) => Self::exact(sql_type),
            },
        }
    }

    fn in_parquet(sql_type: SqlType, timestamps: Timestamps) -> Self {
        let fraction = match (timestamps, sql_type) {
            (Timestamps::Text, _) => return Self::Iso,
            (Timestamps::Ns, SqlType::Time(7) | SqlType::DateTime2(7) | SqlType::DateTimeOffset(7)) => Fraction::Nanos,
            (Timestamps::Us | Timestamps::Ns, _) => Fraction::Micros,
        };
        match sql_type {
            SqlType::Time(_) => Self::Time(fraction),
            SqlType::DateTimeOffset(_) => Self::Instant(fraction),
            _ => Self::Timestamp(fraction),
        }
    }

    const fn exact(sql_type: SqlType) -> Self {
        match sql_type {
            SqlType::Time(_) => Self::TimeTicks,
            SqlType::DateTimeOffset(_) => Self::TicksAndOffset,
            _ => Self::Ticks,
        }
    }

    /// The Arrow type of the column.
    #[must_use]
    pub fn data_type(self) -> DataType {
        match self {
            Self::Bool => DataType::Boolean,
            Self::Int16 => DataType::Int16,
            Self::Int32 => DataType::Int32,
            Self::Int64 | Self::TimeTicks | Self::Ticks => DataType::Int64,
            Self::Float32 => DataType::Float32,
            Self::Float64 => DataType::Float64,
            Self::Decimal { precision, scale } => DataType::Decimal128(precision, scale.cast_signed()),
            Self::Text | Self::Iso => DataType::Utf8,
            Self::Binary => DataType::Binary,
            Self::Uuid => DataType::FixedSizeBinary(16),
            Self::Date => DataType::Date32,
            Self::Time(fraction) => DataType::Time64(fraction.time_unit()),
            Self::Timestamp(fraction) => DataType::Timestamp(fraction.time_unit(), None),
            Self::Instant(fraction) => DataType::Timestamp(fraction.time_unit(), Some("UTC".into())),
            Self::TicksAndOffset => DataType::FixedSizeBinary(10),
        }
    }
}

/// The columns of a slice and how each is held.
#[derive(Debug, Clone)]
pub struct Shape {
    columns: Vec<Column>,
    held: Vec<Held>,
    schema: SchemaRef,
}

impl Shape {
    /// Decides how `columns` are held for `format`.
    ///
    /// # Errors
    ///
    /// `UnsupportedType` when there is no column, or when two have the same name, which no format can hold.
    pub fn new(columns: &[Column], format: &Format, timestamps: Timestamps) -> Result<Self> {
        if columns.is_empty() {
            return Err(Error::new(ErrorCode::UnsupportedType, "no column is left to copy"));
        }
        for (index, column) in columns.iter().enumerate() {
            if columns[..index].iter().any(|earlier| earlier.name == column.name) {
                return Err(Error::new(
                    ErrorCode::UnsupportedType,
                    format!("two columns have the name '{}'", column.name),
                ));
            }
        }
        let held: Vec<Held> = columns
            .iter()
            .map(|column| Held::of(column.sql_type, format, timestamps))
            .collect();
        let fields: Vec<Field> = columns
            .iter()
            .zip(&held)
            .map(|(column, held)| field(column, *held))
            .collect();
        Ok(Self {
            columns: columns.to_vec(),
            held,
            schema: Arc::new(Schema::new(fields)),
        })
    }

    /// As [`new`](Self::new), every value held as it is, for a sink that is no file.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn exact(columns: &[Column]) -> Result<Self> {
        Self::new(columns, &Format::Jsonl(JsonlOptions::default()), Timestamps::default())
    }

    /// The columns in order.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// How each column is held, in the same order.
    #[must_use]
    pub fn held(&self) -> &[Held] {
        &self.held
    }

    /// The schema of every record batch of this shape.
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }
}

fn field(column: &Column, held: Held) -> Field {
    let metadata = HashMap::from([(SQL_TYPE_KEY.to_owned(), column.sql_type.to_string())]);
    let field = Field::new(&column.name, held.data_type(), column.nullable).with_metadata(metadata);
    match held {
        Held::Uuid => field.with_extension_type(Uuid),
        _ => field,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(sql_type: &str, format: &Format, timestamps: Timestamps) -> Held {
        let columns = [column("c", sql_type)];
        Shape::new(&columns, format, timestamps).unwrap().held()[0]
    }

    fn column(name: &str, sql_type: &str) -> Column {
        Column {
            name: name.to_owned(),
            sql_type: sql_type.parse().unwrap(),
            nullable: true,
        }
    }

    #[test]
    fn points_in_time_are_microseconds_in_parquet_and_exact_in_text() {
        let parquet = Format::default();
        let csv = Format::Csv(crate::format::CsvOptions::default());
        let (us, ns) = (Fraction::Micros, Fraction::Nanos);
        for (sql_type, default, nanos, exact) in [
            ("time(7)", Held::Time(us), Held::Time(ns), Held::TimeTicks),
            ("time(0)", Held::Time(us), Held::Time(us), Held::TimeTicks),
            ("smalldatetime", Held::Timestamp(us), Held::Timestamp(us), Held::Ticks),
            ("datetime", Held::Timestamp(us), Held::Timestamp(us), Held::Ticks),
            ("datetime2(7)", Held::Timestamp(us), Held::Timestamp(ns), Held::Ticks),
            ("datetime2(6)", Held::Timestamp(us), Held::Timestamp(us), Held::Ticks),
            (
                "datetimeoffset(7)",
                Held::Instant(us),
                Held::Instant(ns),
                Held::TicksAndOffset,
            ),
        ] {
            assert_eq!(held(sql_type, &parquet, Timestamps::Us), default, "{sql_type}");
            assert_eq!(held(sql_type, &parquet, Timestamps::Ns), nanos, "{sql_type}");
            assert_eq!(held(sql_type, &parquet, Timestamps::Text), Held::Iso, "{sql_type}");
            assert_eq!(held(sql_type, &csv, Timestamps::Us), exact, "{sql_type}");
        }
        assert_eq!(held("date", &csv, Timestamps::Text), Held::Date);
    }

    #[test]
    fn a_field_carries_its_sql_type_and_a_guid_its_extension_type() {
        let columns = [column("id", "uniqueidentifier"), column("price", "money")];
        let shape = Shape::new(&columns, &Format::default(), Timestamps::Us).unwrap();
        let schema = shape.schema();
        assert_eq!(schema.field(0).metadata()[SQL_TYPE_KEY], "uniqueidentifier");
        assert_eq!(schema.field(0).extension_type_name(), Some("arrow.uuid"));
        assert_eq!(schema.field(1).data_type(), &DataType::Decimal128(19, 4));
    }

    #[test]
    fn columns_must_be_there_and_be_told_apart() {
        let twice = [column("a", "int"), column("a", "int")];
        for columns in [&twice[..], &[]] {
            let error = Shape::new(columns, &Format::default(), Timestamps::Us).unwrap_err();
            assert_eq!(error.code(), ErrorCode::UnsupportedType);
        }
    }
}
