//! The Arrow types in which record batches hold the values of each form.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::extension::Uuid;
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;
use tidemark::error::{Error, ErrorCode, Result};
use tidemark::model::field_ids::FieldIds;
use tidemark::model::types::{Column, Form, Fraction};

/// Returns the schema of batches with these columns. `ids` are the ids of the columns in formats that have field ids.
///
/// Every field may be NULL. So every Parquet column is OPTIONAL, and the schema of the files stays the same when a
/// column holds NULLs later. An encoder refuses a NULL in a column that is NOT NULL.
///
/// # Errors
///
/// `UnsupportedType` when there is no column, or when two columns have the same name, which no format can hold.
pub fn batch_schema(columns: &[Column], ids: &FieldIds) -> Result<SchemaRef> {
    if columns.is_empty() {
        return Err(Error::new(
            ErrorCode::UnsupportedType,
            "no column is left to copy: name at least one in columns, or fewer in exclude",
        ));
    }
    for (index, column) in columns.iter().enumerate() {
        if columns[..index].iter().any(|earlier| earlier.name == column.name) {
            let message = format!("two columns have the name '{}'", column.name);
            return Err(Error::new(ErrorCode::UnsupportedType, message));
        }
    }
    let fields: Vec<Field> = columns.iter().map(|column| field(column, ids)).collect();
    Ok(Arc::new(Schema::new(fields)))
}

fn field(column: &Column, ids: &FieldIds) -> Field {
    let id = ids.of(&column.name);
    let metadata = id.map(|id| (PARQUET_FIELD_ID_META_KEY.to_owned(), id.to_string()));
    let metadata = HashMap::from_iter(metadata);
    let field = Field::new(&column.name, data_type(column.form), true).with_metadata(metadata);
    match column.form {
        Form::Uuid => field.with_extension_type(Uuid),
        _ => field,
    }
}

/// Returns the Arrow type of an array with values in this form.
#[must_use]
pub fn data_type(form: Form) -> DataType {
    match form {
        Form::Bool => DataType::Boolean,
        Form::Int16 | Form::Int32 => DataType::Int32,
        Form::Int64 | Form::TimeTicks(_) | Form::Ticks(_) => DataType::Int64,
        Form::Float32 => DataType::Float32,
        Form::Float64 => DataType::Float64,
        Form::Decimal { precision, scale } => DataType::Decimal128(precision, scale.cast_signed()),
        Form::Text | Form::Iso(_) => DataType::Utf8,
        Form::Binary | Form::RowVersion => DataType::Binary,
        Form::Uuid => DataType::FixedSizeBinary(16),
        Form::Date => DataType::Date32,
        Form::Time(fraction) => DataType::Time64(time_unit(fraction)),
        Form::Timestamp(fraction) => DataType::Timestamp(time_unit(fraction), None),
        Form::Instant(fraction) => DataType::Timestamp(time_unit(fraction), Some("UTC".into())),
        Form::TicksAndOffset(_) => DataType::FixedSizeBinary(10),
    }
}

const fn time_unit(fraction: Fraction) -> TimeUnit {
    match fraction {
        Fraction::Micros => TimeUnit::Microsecond,
        Fraction::Nanos => TimeUnit::Nanosecond,
    }
}

#[cfg(test)]
mod tests {
    use tidemark::model::types::TypeName;
    use tidemark::model::values::Values;

    use super::*;

    fn column(name: &str, sql_type: &str, form: Form) -> Column {
        Column {
            name: name.to_owned(),
            sql_type: TypeName::new(sql_type).unwrap(),
            form,
            nullable: false,
            values: Values::OfSource,
        }
    }

    #[test]
    fn a_field_carries_its_id_and_nothing_else_but_a_guid_its_extension_type() {
        let price = Form::Decimal {
            precision: 19,
            scale: 4,
        };
        let columns = [
            column("id", "uniqueidentifier", Form::Uuid),
            column("price", "money", price),
        ];
        let mut ids = FieldIds::default();
        ids.extend(&columns[..1]);
        let schema = batch_schema(&columns, &ids).unwrap();
        assert_eq!(schema.field(0).metadata()[PARQUET_FIELD_ID_META_KEY], "1");
        assert_eq!(schema.field(0).extension_type_name(), Some("arrow.uuid"));
        assert_eq!(schema.field(1).data_type(), &DataType::Decimal128(19, 4));
        assert!(schema.field(1).metadata().is_empty());
        assert!(schema.fields().iter().all(|field| field.is_nullable()));
    }

    #[test]
    fn columns_must_be_there_and_be_told_apart() {
        let twice = [column("a", "int", Form::Int32), column("a", "int", Form::Int32)];
        for columns in [&twice[..], &[]] {
            let error = batch_schema(columns, &FieldIds::default()).unwrap_err();
            assert_eq!(error.code(), ErrorCode::UnsupportedType);
        }
    }
}
