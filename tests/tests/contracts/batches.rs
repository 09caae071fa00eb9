//! Batches: the adapter of the source builds them and the encoders read them, and neither knows the other.

use mssql_tds::datatypes::row_writer::RowWriter;
use serde_json::json;
use tidemark::model::field_ids::FieldIds;
use tidemark::model::format::Format;
use tidemark::model::types::{Column, Form, Fraction, TypeName};
use tidemark::model::values::Values;
use tidemark::ports::files::{EncodeFiles, EncodePart};
use tidemark_files::batch_schema::batch_schema;
use tidemark_files::encoder::Files;
use tidemark_sqlserver::rows::{BatchBuilder, BatchLimits};

/// Returns every form; of those with a unit or digits, one of each kind.
fn forms() -> Vec<Form> {
    let mut forms = vec![
        Form::Bool,
        Form::Int16,
        Form::Int32,
        Form::Int64,
        Form::Float32,
        Form::Float64,
        Form::Decimal {
            precision: 38,
            scale: 10,
        },
        Form::Decimal { precision: 5, scale: 0 },
        Form::Text,
        Form::Binary,
        Form::RowVersion,
        Form::Uuid,
        Form::Date,
    ];
    for unit in [Fraction::Micros, Fraction::Nanos] {
        forms.extend([Form::Time(unit), Form::Timestamp(unit), Form::Instant(unit)]);
    }
    for digits in 0..=7 {
        forms.extend([Form::Iso, Form::TimeTicks, Form::Ticks, Form::TicksAndOffset].map(|form| form(digits)));
    }
    forms
}

/// Fails to compile when there is another form, which then belongs in the list above.
const fn is_listed(form: Form) -> bool {
    match form {
        Form::Bool
        | Form::Int16
        | Form::Int32
        | Form::Int64
        | Form::Float32
        | Form::Float64
        | Form::Decimal { .. }
        | Form::Text
        | Form::Binary
        | Form::RowVersion
        | Form::Uuid
        | Form::Date
        | Form::Time(_)
        | Form::Timestamp(_)
        | Form::Instant(_)
        | Form::Iso(_)
        | Form::TimeTicks(_)
        | Form::Ticks(_)
        | Form::TicksAndOffset(_) => true,
    }
}

#[test]
fn a_batch_of_the_source_is_of_the_schema_that_the_files_have() {
    let columns: Vec<_> = forms()
        .into_iter()
        .filter(|&form| is_listed(form))
        .enumerate()
        .map(|(number, form)| Column {
            name: format!("c{number}"),
            sql_type: TypeName::new("any").unwrap(),
            form,
            nullable: true,
            values: Values::OfSource,
        })
        .collect();
    let mut builder = BatchBuilder::new(&columns, BatchLimits::default());
    for column in 0..columns.len() {
        builder.write_null(column);
    }
    builder.end_row();
    let batch = builder.finish().unwrap().unwrap();
    let schema = batch_schema(&columns, &FieldIds::default()).unwrap();
    for ((column, built), wanted) in columns.iter().zip(batch.schema().fields()).zip(schema.fields()) {
        assert_eq!(
            (built.name(), built.data_type()),
            (wanted.name(), wanted.data_type()),
            "{:?}",
            column.form
        );
    }
    assert_eq!(batch.num_columns(), schema.fields().len());
}

#[test]
fn every_format_takes_the_batches_of_the_source() {
    for format in [json!("parquet"), json!({ "csv": { "null": "NULL" } }), json!("jsonl")] {
        let format: Format = serde_json::from_value(format).unwrap();
        for form in forms() {
            let is_typed = matches!(format, Format::Parquet(_));
            // Some forms are asked for only by typed files, and some only by texts.
            let is_of_other_files = match form {
                Form::Ticks(_) | Form::TimeTicks(_) | Form::TicksAndOffset(_) => is_typed,
                Form::Time(_) | Form::Timestamp(_) | Form::Instant(_) | Form::Iso(_) => !is_typed,
                _ => false,
            };
            if is_of_other_files {
                continue;
            }
            let columns = [Column {
                name: "c".to_owned(),
                sql_type: TypeName::new("any").unwrap(),
                form,
                nullable: true,
                values: Values::OfSource,
            }];
            let mut builder = BatchBuilder::new(&columns, BatchLimits::default());
            builder.write_null(0);
            builder.end_row();
            let batch = builder.finish().unwrap().unwrap();
            let mut encoder = Files
                .encoder(&columns, &FieldIds::default(), &format, Vec::new())
                .unwrap();
            let written = encoder.write(&batch).and_then(|()| encoder.finish());
            let rows = written.map(|part| part.rows).map_err(|error| error.report());
            assert_eq!(rows, Ok(1), "{form:?} as {}", format.extension());
        }
    }
}
