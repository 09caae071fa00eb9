//! A writer that forgets every value, so that only decoding is measured.

use std::borrow::Cow;
use std::hint::black_box;

use mssql_tds::datatypes::column_values::{
    SqlDate, SqlDateTime, SqlDateTime2, SqlDateTimeOffset, SqlMoney, SqlSmallDateTime, SqlSmallMoney, SqlTime, SqlXml,
};
use mssql_tds::datatypes::decoder::DecimalParts;
use mssql_tds::datatypes::row_writer::RowWriter;
use mssql_tds::datatypes::sql_json::SqlJson;
use mssql_tds::datatypes::sql_string::EncodingType;
use mssql_tds::datatypes::sql_vector::SqlVector;

/// A writer that only counts rows.
#[derive(Debug, Default)]
pub struct Null {
    /// The rows so far.
    pub rows: u64,
}

/// Makes methods that look at values of these types and drop them.
macro_rules! forget {
    ($($method:ident: $value:ty),+ $(,)?) => {
        $(#[inline]
        fn $method(&mut self, col: usize, val: $value) {
            black_box((col, val));
        })+
    };
}

impl RowWriter for Null {
    forget!(
        write_bool: bool, write_u8: u8, write_i16: i16, write_i32: i32, write_i64: i64, write_f32: f32, write_f64: f64,
        write_bytes: Cow<'_, [u8]>, write_decimal: DecimalParts, write_numeric: DecimalParts, write_date: SqlDate,
        write_time: SqlTime, write_datetime: SqlDateTime, write_smalldatetime: SqlSmallDateTime,
        write_datetime2: SqlDateTime2, write_datetimeoffset: SqlDateTimeOffset, write_money: SqlMoney,
        write_smallmoney: SqlSmallMoney, write_uuid: uuid::Uuid, write_xml: SqlXml, write_json: SqlJson,
        write_vector: SqlVector,
    );

    fn write_null(&mut self, col: usize) {
        black_box(col);
    }

    fn write_string(&mut self, col: usize, bytes: Cow<'_, [u8]>, _encoding: EncodingType) {
        black_box((col, bytes));
    }

    fn end_row(&mut self) {
        self.rows += 1;
    }
}
