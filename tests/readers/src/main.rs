//! Writes the files that its standard input asks for, one request a line, as copy-delta would write them: the values
//! arrive in the driver's own types, the row builder makes batches of them, and the encoder makes a file of the
//! batches.

use std::borrow::Cow;
use std::error::Error;
use std::io::BufRead;
use std::path::{Path, PathBuf};

use mssql_tds::datatypes::column_values::{
    SqlDate, SqlDateTime, SqlDateTime2, SqlDateTimeOffset, SqlSmallDateTime, SqlTime,
};
use mssql_tds::datatypes::decoder::DecimalParts;
use mssql_tds::datatypes::row_writer::RowWriter;
use mssql_tds::datatypes::sql_string::EncodingType;
use serde::Deserialize;
use tidemark::model::audit::{self, Copied};
use tidemark::model::field_ids::FieldIds;
use tidemark::model::format::{FileTypes, Format};
use tidemark::model::table::TableSpec;
use tidemark::model::types::{Column, Form, TypeName};
use tidemark::model::values::{Operation, Values};
use tidemark::ports::files::{EncodeFiles, EncodePart};
use tidemark::ports::secrets::Secret;
use tidemark_files::encoder::Files;
use tidemark_sqlserver::masks::MaskKey;
use tidemark_sqlserver::rows::{BatchBuilder, BatchLimits};
use tidemark_sqlserver::types;
use uuid::Uuid;

/// A file to write.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    /// The path, without the extension, which the format adds.
    file: PathBuf,
    /// The table's entry in the list of tables, whose settings decide the forms.
    table: TableSpec,
    columns: Vec<Declared>,
    rows: Vec<Vec<Option<Value>>>,
}

/// A column of the table.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Declared {
    name: String,
    sql_type: TypeName,
    nullable: bool,
}

/// A value as the driver gives it. Days count from 0001-01-01, those of the older types from 1900-01-01. A tick is 100
/// ns.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Value {
    Bit(bool),
    Tinyint(u8),
    Smallint(i16),
    Int(i32),
    Bigint(i64),
    Real(f32),
    Float(f64),
    /// The digits without a point, and how many of them are after it.
    Decimal(String, u8),
    Text(String),
    Bytes(Vec<u8>),
    Guid(String),
    Date(u32),
    Time(u64, u8),
    Datetime2(u32, u64, u8),
    Datetimeoffset(u32, u64, u8, i16),
    Datetime(i32, u32),
    Smalldatetime(u16, u16),
}

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    for line in std::io::stdin().lock().lines() {
        write(&serde_json::from_str(&line?)?)?;
    }
    Ok(())
}

fn write(request: &Request) -> Outcome<()> {
    let wanted = request.table.wanted_forms();
    let columns = request.columns.iter().map(|declared| {
        let native = types::native_form(&declared.sql_type, wanted)?;
        let native = native.filter(|_| request.table.types == FileTypes::Native);
        let mut masks = request.table.mask.iter();
        let mask = masks.find_map(|(name, mask)| (name.as_str() == declared.name).then_some(*mask));
        Ok(Column {
            name: declared.name.clone(),
            sql_type: declared.sql_type.clone(),
            form: match mask {
                Some(_) => Form::Text,
                None => native.map_or_else(|| types::form(&declared.sql_type, wanted), Ok)?,
            },
            nullable: declared.nullable || mask.is_some(),
            values: mask.map_or(Values::OfSource, Values::Masked),
        })
    });
    let mut columns = columns.collect::<Outcome<Vec<_>>>()?;
    if request.table.audit {
        let copied = Copied {
            window: "from-42",
            at: "2026-11-29T12:00:00.000001Z".parse()?,
            operation: Operation::Growth,
        };
        columns.extend(audit::columns(copied, types::audit_types(), wanted));
    }
    let key = MaskKey::of(&Secret::new("k".repeat(32)))?;
    let mut rows = BatchBuilder::new(&columns, BatchLimits::default()).hashing_by(key);
    for row in &request.rows {
        for (place, value) in row.iter().enumerate() {
            match value {
                None => rows.write_null(place),
                Some(value) => put(&mut rows, place, value)?,
            }
        }
        rows.end_row();
    }
    let mut ids = FieldIds::default();
    ids.extend(&columns);
    let mut encoder = Files.encoder(&columns, &ids, &request.table.format, Vec::new())?;
    if let Some(batch) = rows.finish()? {
        encoder.write(&batch)?;
    }
    let bytes = encoder.finish()?.bytes;
    let path = with_extension(&request.file, &request.table.format);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, bytes)?;
    Ok(())
}

fn with_extension(file: &Path, format: &Format) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".");
    name.push(format.extension());
    name.into()
}

fn put(rows: &mut BatchBuilder, place: usize, value: &Value) -> Outcome<()> {
    match value {
        Value::Bit(value) => rows.write_bool(place, *value),
        Value::Tinyint(value) => rows.write_u8(place, *value),
        Value::Smallint(value) => rows.write_i16(place, *value),
        Value::Int(value) => rows.write_i32(place, *value),
        Value::Bigint(value) => rows.write_i64(place, *value),
        Value::Real(value) => rows.write_f32(place, *value),
        Value::Float(value) => rows.write_f64(place, *value),
        Value::Decimal(digits, scale) => {
            let unscaled: i128 = digits.parse()?;
            let parts = DecimalParts::new(unscaled >= 0, 38, *scale, unscaled.unsigned_abs());
            rows.write_decimal(place, parts);
        }
        Value::Text(text) => rows.write_string(place, Cow::Borrowed(text.as_bytes()), EncodingType::Utf8),
        Value::Bytes(bytes) => rows.write_bytes(place, Cow::Borrowed(bytes)),
        Value::Guid(guid) => rows.write_uuid(place, Uuid::parse_str(guid)?),
        Value::Date(days) => rows.write_date(place, SqlDate::create(*days)?),
        Value::Time(ticks, digits) => rows.write_time(place, time(*ticks, *digits)),
        Value::Datetime2(days, ticks, digits) => rows.write_datetime2(place, datetime2(*days, *ticks, *digits)),
        Value::Datetimeoffset(days, ticks, digits, offset) => {
            let datetime2 = datetime2(*days, *ticks, *digits);
            let offset = *offset;
            rows.write_datetimeoffset(place, SqlDateTimeOffset { datetime2, offset });
        }
        Value::Datetime(days, time) => {
            let (days, time) = (*days, *time);
            rows.write_datetime(place, SqlDateTime { days, time });
        }
        Value::Smalldatetime(days, time) => {
            let (days, time) = (*days, *time);
            rows.write_smalldatetime(place, SqlSmallDateTime { days, time });
        }
    }
    Ok(())
}

/// Makes a time. The driver's `time_nanoseconds` counts ticks of 100 ns, whatever its name says.
const fn time(ticks: u64, scale: u8) -> SqlTime {
    SqlTime {
        time_nanoseconds: ticks,
        scale,
    }
}

const fn datetime2(days: u32, ticks: u64, digits: u8) -> SqlDateTime2 {
    SqlDateTime2 {
        days,
        time: time(ticks, digits),
    }
}
