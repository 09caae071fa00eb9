//! This module writes parts in Parquet.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::{Array, RecordBatch};
use arrow_schema::{ArrowError, SchemaRef};
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::arrow::{ArrowSchemaConverter, ArrowWriter};
use parquet::basic::{Compression, GzipLevel, LogicalType, Type as PhysicalType, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::{ColumnPath, SchemaDescriptor, Type};
use tidemark::error::{Error, ErrorCode, Result};
use tidemark::model::format::{Codec, Decimals, ParquetOptions};
use tidemark::model::types::{Column, Form};
use tidemark::ports::files::EncodedPart;

/// The footer holds the types that the server declares under this key, as a JSON object by the columns' names.
pub const SQL_TYPES_KEY: &str = "sqlserver.types";
/// Spark 3 takes dates before 1582 and times before 1900 as they stand when the footer says that a Spark wrote them which
/// counts in the proleptic Gregorian calendar. Without it, it refuses to read them.
const SPARK_VERSION_KEY: &str = "org.apache.spark.version";
const SPARK_VERSION: &str = "3.5.0";
/// A row group has at most this many rows.
const ROW_GROUP_ROWS: usize = 131_072;
/// A row group is closed when the writer holds this many bytes for it, most of them packed. It bounds our memory.
const ROW_GROUP_BYTES: usize = 32 * 1024 * 1024;
/// A row group is closed when its values were this many bytes before they were packed. It bounds the readers' memory.
const ROW_GROUP_UNPACKED_BYTES: usize = 128 * 1024 * 1024;
/// A text column's dictionary is given up at this size: what fits pays, what does not only costs the hashing.
const DICTIONARY_BYTES: usize = 64 * 1024;

/// Writes row groups into memory as they are closed.
#[derive(Debug)]
pub struct ParquetEncoder {
    writer: ArrowWriter<Vec<u8>>,
    /// Of the row group that is open.
    unpacked_bytes: usize,
}

impl ParquetEncoder {
    pub fn new(columns: &[Column], schema: SchemaRef, options: ParquetOptions) -> Result<Self> {
        let mut properties = WriterProperties::builder()
            .set_created_by(concat!("tidemark version ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_compression(compression(options.codec)?)
            .set_key_value_metadata(Some(notes(columns)?))
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .set_statistics_enabled(EnabledStatistics::Page)
            .set_dictionary_enabled(false);
        for column in columns {
            if has_dictionary(column.form) {
                let path = ColumnPath::new(vec![column.name.clone()]);
                properties = properties
                    .set_column_dictionary_enabled(path.clone(), true)
                    .set_column_dictionary_page_size_limit(path, DICTIONARY_BYTES);
            }
        }
        let mut how = ArrowWriterOptions::new().with_properties(properties.build());
        if options.decimals == Decimals::Fixed {
            how = how.with_parquet_schema(with_fixed_decimals(&schema).map_err(failed)?);
        }
        let writer = ArrowWriter::try_new_with_options(Vec::new(), schema, how).map_err(failed)?;
        Ok(Self {
            writer,
            unpacked_bytes: 0,
        })
    }

    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        if self.writer.in_progress_rows() + batch.num_rows() >= ROW_GROUP_ROWS {
            self.make_room();
        }
        self.writer.write(batch).map_err(failed)?;
        if self.writer.in_progress_rows() <= batch.num_rows() {
            // The writer has closed a row group, or this is the first batch.
            self.unpacked_bytes = 0;
        }
        let values = batch
            .columns()
            .iter()
            .map(|column| column.to_data().get_slice_memory_size());
        let bytes: std::result::Result<usize, ArrowError> = values.sum();
        self.unpacked_bytes += bytes.map_err(ParquetError::from).map_err(failed)?;
        if self.writer.memory_size() >= ROW_GROUP_BYTES || self.unpacked_bytes >= ROW_GROUP_UNPACKED_BYTES {
            self.make_room();
            self.writer.flush().map_err(failed)?;
        }
        Ok(())
    }

    /// Room for the row group that is about to be closed, all at once: growing by and by would cost it several times.
    fn make_room(&mut self) {
        let bytes = self.writer.in_progress_size();
        self.writer.inner_mut().reserve_exact(bytes);
    }

    pub fn pending(&self) -> usize {
        self.writer.inner().len()
    }

    /// What is written and not drained.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        // The writer counts its position by itself and never looks back at what it wrote.
        self.writer.inner_mut()
    }

    pub fn finish(mut self) -> Result<EncodedPart> {
        let footer = self.writer.finish().map_err(failed)?;
        let rows = footer.file_metadata().num_rows().unsigned_abs();
        Ok(EncodedPart {
            bytes: std::mem::take(self.buffer()),
            rows,
        })
    }
}

/// The schema of the part, in which every decimal is bytes of a fixed length: as many as its digits need.
fn with_fixed_decimals(schema: &SchemaRef) -> std::result::Result<SchemaDescriptor, ParquetError> {
    let usual = ArrowSchemaConverter::new().convert(schema)?;
    let root = usual.root_schema();
    let mut fields = Vec::with_capacity(root.get_fields().len());
    for field in root.get_fields() {
        let basic = field.get_basic_info();
        let is_integer = matches!(field.get_physical_type(), PhysicalType::INT32 | PhysicalType::INT64);
        let fixed = match basic.logical_type_ref() {
            Some(LogicalType::Decimal(decimal)) if is_integer => {
                let (scale, precision) = (decimal.scale, decimal.precision);
                let fixed = Type::primitive_type_builder(field.name(), PhysicalType::FIXED_LEN_BYTE_ARRAY)
                    .with_repetition(basic.repetition())
                    .with_id(basic.has_id().then(|| basic.id()))
                    .with_length(decimal_bytes(precision))
                    .with_logical_type(Some(LogicalType::decimal(scale, precision)))
                    .with_precision(precision)
                    .with_scale(scale);
                Arc::new(fixed.build()?)
            }
            _ => field.clone(),
        };
        fields.push(fixed);
    }
    let root = Type::group_type_builder(root.name()).with_fields(fields).build()?;
    Ok(SchemaDescriptor::new(Arc::new(root)))
}

/// The least bytes that hold every signed number of so many digits.
const fn decimal_bytes(digits: i32) -> i32 {
    let (mut bytes, mut most) = (1, 127_i128);
    let mut needed = 9_i128;
    let mut digit = 1;
    while digit < digits {
        needed = needed * 10 + 9;
        digit += 1;
    }
    while most < needed {
        most = most * 256 + 255;
        bytes += 1;
    }
    bytes
}

fn compression(codec: Codec) -> Result<Compression> {
    let out_of_range = |error| {
        Error::with_source(
            ErrorCode::InvalidInput,
            "compression_level is out of range: zstd has 1 to 22, and gzip 1 to 9",
            error,
        )
    };
    Ok(match codec {
        Codec::Zstd(level) => Compression::ZSTD(ZstdLevel::try_new(level.into()).map_err(out_of_range)?),
        Codec::Gzip(level) => Compression::GZIP(GzipLevel::try_new(level.into()).map_err(out_of_range)?),
        Codec::Snappy => Compression::SNAPPY,
        Codec::None => Compression::UNCOMPRESSED,
    })
}

/// What the footer says beside the schema.
///
/// The declared types stand in one key of the file and not at the fields, because delta-rs compares what stands at fields and
/// refuses a text that may be longer than before.
fn notes(columns: &[Column]) -> Result<Vec<KeyValue>> {
    let types: BTreeMap<&str, &str> = columns
        .iter()
        .map(|column| (column.name.as_str(), column.sql_type.as_str()))
        .collect();
    let types = serde_json::to_string(&types)
        .map_err(|error| Error::with_source(ErrorCode::Internal, "cannot write the declared types", error))?;
    Ok(vec![
        KeyValue::new(SQL_TYPES_KEY.to_owned(), types),
        KeyValue::new(SPARK_VERSION_KEY.to_owned(), SPARK_VERSION.to_owned()),
    ])
}

/// Text, identifiers and dates repeat; numbers and points in time rarely do, and pack well without.
const fn has_dictionary(form: Form) -> bool {
    matches!(form, Form::Text | Form::Date | Form::Int16)
}

fn failed(error: ParquetError) -> Error {
    Error::with_source(ErrorCode::Internal, "cannot encode the part as Parquet", error)
}
