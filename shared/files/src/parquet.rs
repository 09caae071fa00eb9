//! Writes parts in Parquet.

mod bounds;
mod packer;
mod page;
mod plain_column;
mod repetition;
mod values;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::{Array, RecordBatch};
use arrow_schema::SchemaRef;
use parquet::arrow::arrow_writer::{ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::arrow::{ArrowSchemaConverter, add_encoded_arrow_schema_to_metadata};
use parquet::basic::{Compression, GzipLevel, LogicalType, Type as PhysicalType, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, ParquetMetaData};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{ColumnDescPtr, ColumnPath, SchemaDescriptor, Type};
use tidemark::error::{Error, ErrorCode, Result};
use tidemark::model::format::{Codec, Decimals, ParquetOptions};
use tidemark::model::types::{Column, Form};
use tidemark::ports::files::{EncodedPart, TakeBytes};

use self::packer::Packer;
use self::plain_column::PlainColumn;
use crate::writing::{Writing, unfinished};

/// The key in the footer under which the declared SQL types are, as a JSON object with the names of the columns.
pub const SQL_TYPES_KEY: &str = "sqlserver.types";
/// The key in the footer that makes Spark 3 read dates before 1582 and times before 1900 as they are, because it says
/// that a Spark with the proleptic Gregorian calendar wrote the file. Without it Spark refuses to read them.
const SPARK_VERSION_KEY: &str = "org.apache.spark.version";
const SPARK_VERSION: &str = "3.5.0";
/// The most rows of a row group.
const ROW_GROUP_ROWS: usize = 131_072;
/// The bytes in the writer at which a row group is closed. Most of them are packed. This bounds the memory of the
/// writer.
const ROW_GROUP_BYTES: usize = 32 * 1024 * 1024;
/// The bytes of values before packing at which a row group is closed. This bounds the memory of readers.
const ROW_GROUP_UNPACKED_BYTES: usize = 128 * 1024 * 1024;
/// The size in bytes at which a text column's dictionary is given up. A smaller dictionary pays, and a larger one only
/// costs hashing.
const DICTIONARY_BYTES: usize = 64 * 1024;
/// The bytes of buffers that all columns together keep from one row group to the next.
const KEPT_BYTES: usize = 32 * 1024 * 1024;

/// The encoder of a part, whose bytes go to an `S`. It writes row groups as they are closed.
pub struct ParquetEncoder<S: TakeBytes> {
    writer: SerializedFileWriter<Writing<S>>,
    schema: SchemaRef,
    /// The maker of the writers with dictionaries.
    dictionaries: ArrowRowGroupWriterFactory,
    /// The writers of the columns without a dictionary, which are used again for each row group.
    plain: Vec<PlainColumn>,
    packer: Packer,
    /// Whether each column may have a dictionary.
    repeating: Vec<bool>,
    group: Option<RowGroup>,
}

/// An open row group.
struct RowGroup {
    /// The writers of the columns with a dictionary. It is `None` for a column that [`PlainColumn`] writes.
    dictionaries: Vec<Option<ArrowColumnWriter>>,
    rows: usize,
    /// The bytes of the values before they are packed.
    unpacked_bytes: usize,
}

impl<S: TakeBytes> fmt::Debug for ParquetEncoder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParquetEncoder").finish_non_exhaustive()
    }
}

impl<S: TakeBytes> ParquetEncoder<S> {
    pub fn new(columns: &[Column], schema: SchemaRef, options: ParquetOptions, bytes: S) -> Result<Self> {
        let compression = compression(options.codec)?;
        let mut properties = WriterProperties::builder()
            .set_created_by(concat!("tidemark version ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_compression(compression)
            .set_key_value_metadata(Some(notes(columns)?))
            .set_statistics_enabled(EnabledStatistics::Page)
            .set_dictionary_enabled(false);
        let repeating: Vec<bool> = columns.iter().map(|column| has_dictionary(column.form)).collect();
        for (column, _) in columns.iter().zip(&repeating).filter(|(_, repeats)| **repeats) {
            let path = ColumnPath::new(vec![column.name.clone()]);
            properties = properties
                .set_column_dictionary_enabled(path.clone(), true)
                .set_column_dictionary_page_size_limit(path, DICTIONARY_BYTES);
        }
        let mut properties = properties.build();
        add_encoded_arrow_schema_to_metadata(&schema, &mut properties);
        let described = if options.decimals == Decimals::Fixed {
            with_fixed_decimals(&schema)
        } else {
            ArrowSchemaConverter::new().convert(&schema)
        };
        let described = described.map_err(failed)?;
        let writer = SerializedFileWriter::new(Writing::new(bytes), described.root_schema_ptr(), Arc::new(properties));
        let writer = writer.map_err(failed)?;
        Ok(Self {
            plain: described.columns().iter().cloned().map(PlainColumn::new).collect(),
            dictionaries: ArrowRowGroupWriterFactory::new(&writer, schema.clone()),
            packer: Packer::new(compression).map_err(failed)?,
            writer,
            schema,
            repeating,
            group: None,
        })
    }

    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.write_rows(batch).map_err(|error| self.failed(error))
    }

    /// Returns the error of writing: that of whoever takes the bytes, if they were not taken.
    fn failed(&mut self, error: ParquetError) -> Error {
        self.writer.inner_mut().failure().unwrap_or_else(|| failed(error))
    }

    fn write_rows(&mut self, batch: &RecordBatch) -> parquet::errors::Result<()> {
        let mut start = 0;
        while start < batch.num_rows() {
            let mut group = match self.group.take() {
                Some(group) => group,
                None => self.begin(batch)?,
            };
            let end = batch.num_rows().min(start + ROW_GROUP_ROWS - group.rows);
            self.write_into(&mut group, batch, start..end)?;
            start = end;
            let is_full = group.rows >= ROW_GROUP_ROWS
                || group.unpacked_bytes >= ROW_GROUP_UNPACKED_BYTES
                || self.memory(&group) >= ROW_GROUP_BYTES;
            if is_full {
                self.close(group)?;
            } else {
                self.group = Some(group);
            }
        }
        Ok(())
    }

    /// Begins a row group. Its first batch decides which columns have a dictionary.
    fn begin(&self, batch: &RecordBatch) -> parquet::errors::Result<RowGroup> {
        let needed = self.schema_columns().zip(&self.repeating).zip(batch.columns());
        let needed: Vec<bool> = needed
            .map(|((column, repeats), array)| {
                !PlainColumn::can_hold(array, column) || (*repeats && repetition::may_pay(array, DICTIONARY_BYTES))
            })
            .collect();
        let mut dictionaries: Vec<Option<ArrowColumnWriter>> = needed.iter().map(|_| None).collect();
        if needed.contains(&true) {
            let group = self.writer.flushed_row_groups().len();
            let writers = self.dictionaries.create_column_writers(group)?;
            for ((place, writer), _) in dictionaries
                .iter_mut()
                .zip(writers)
                .zip(&needed)
                .filter(|(_, needs)| **needs)
            {
                *place = Some(writer);
            }
        }
        Ok(RowGroup {
            dictionaries,
            rows: 0,
            unpacked_bytes: 0,
        })
    }

    fn schema_columns(&self) -> impl Iterator<Item = &ColumnDescPtr> {
        self.writer.schema_descr().columns().iter()
    }

    fn write_into(
        &mut self,
        group: &mut RowGroup,
        batch: &RecordBatch,
        rows: Range<usize>,
    ) -> parquet::errors::Result<()> {
        for (index, array) in batch.columns().iter().enumerate() {
            match &mut group.dictionaries[index] {
                Some(writer) => {
                    for leaf in compute_leaves(self.schema.field(index), &array.slice(rows.start, rows.len()))? {
                        writer.write(&leaf)?;
                    }
                }
                None => self.plain[index].write(array, rows.clone(), &mut self.packer)?,
            }
            group.unpacked_bytes += array.slice(rows.start, rows.len()).to_data().get_slice_memory_size()?;
        }
        group.rows += rows.len();
        Ok(())
    }

    /// Returns the bytes that the row group holds, most of them packed.
    fn memory(&self, group: &RowGroup) -> usize {
        let with_dictionary = group.dictionaries.iter().flatten().map(ArrowColumnWriter::memory_size);
        with_dictionary.sum::<usize>() + self.plain.iter().map(PlainColumn::memory).sum::<usize>()
    }

    fn close(&mut self, group: RowGroup) -> parquet::errors::Result<()> {
        let kept_bytes = KEPT_BYTES / self.plain.len().max(1);
        let mut writer = self.writer.next_row_group()?;
        for (dictionary, plain) in group.dictionaries.into_iter().zip(&mut self.plain) {
            match dictionary {
                Some(dictionary) => dictionary.close()?.append_to_row_group(&mut writer)?,
                None => plain.append_to(&mut writer, &mut self.packer, kept_bytes)?,
            }
        }
        writer.close()?;
        Ok(())
    }

    pub fn finish(mut self) -> Result<EncodedPart<S>> {
        let footer = self.write_end().map_err(|error| self.failed(error))?;
        let rows = footer.file_metadata().num_rows().unsigned_abs();
        let bytes = self.writer.inner_mut().take().ok_or_else(unfinished)?;
        Ok(EncodedPart { rows, bytes })
    }

    fn write_end(&mut self) -> parquet::errors::Result<ParquetMetaData> {
        if let Some(group) = self.group.take() {
            self.close(group)?;
        }
        self.writer.finish()
    }
}

/// Returns the schema of a part in which every decimal has a fixed number of bytes, as many as its digits need.
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

/// Returns the fewest bytes that hold every signed number of `digits` digits.
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

/// Returns the entries of the footer besides the schema.
///
/// The declared types are in one entry of the file and not in the fields, because delta-rs compares the metadata of
/// fields, and refuses a text that may be longer than before.
fn notes(columns: &[Column]) -> Result<Vec<KeyValue>> {
    let types: BTreeMap<&str, &str> = columns
        .iter()
        .map(|column| (column.name.as_str(), column.sql_type.as_str()))
        .collect();
    let types = serde_json::to_string(&types).map_err(|error| {
        Error::with_source(
            ErrorCode::Internal,
            "the declared types cannot be written into a Parquet file",
            error,
        )
    })?;
    Ok(vec![
        KeyValue::new(SQL_TYPES_KEY.to_owned(), types),
        KeyValue::new(SPARK_VERSION_KEY.to_owned(), SPARK_VERSION.to_owned()),
    ])
}

/// Returns whether values in this form often repeat. Text, identifiers and dates do; numbers and points in time rarely
/// do, and pack well without a dictionary.
const fn has_dictionary(form: Form) -> bool {
    matches!(form, Form::Text | Form::Date | Form::Int16)
}

fn failed(error: ParquetError) -> Error {
    Error::with_source(ErrorCode::Internal, "the rows cannot be encoded as Parquet", error)
}
