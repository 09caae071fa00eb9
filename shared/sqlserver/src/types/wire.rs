//! Names the types of the wire in SQL Server's words.

use mssql_tds::datatypes::sqldatatypes::TdsDataType as Wire;
use mssql_tds::query::metadata::ColumnMetadata;

use super::{bit_and_integers, dates_and_times, exact_numbers, floats};

/// The families with a common wire type for several types, which its length tells apart.
const NAMES: [fn(Wire, usize) -> Option<&'static str>; 4] = [
    bit_and_integers::wire_name,
    exact_numbers::wire_name,
    floats::wire_name,
    dates_and_times::wire_name,
];

/// Formats the type of a column of mssql-tds for messages, as the server would declare it.
pub(crate) fn described(sent: &ColumnMetadata) -> String {
    if sent.is_encrypted() {
        return "an Always Encrypted value".to_owned();
    }
    let length = sent.type_info.length;
    let of_length = NAMES.iter().find_map(|name| name(sent.data_type, length));
    let name = of_length.unwrap_or_else(|| sent.data_type.get_meta_type_name().unwrap_or("an unknown type"));
    match (sent.data_type, sent.get_precision(), sent.get_scale()) {
        (Wire::MoneyN | Wire::Money | Wire::Money4, _, _) | (_, _, None) => name.to_owned(),
        (_, Some(precision), Some(scale)) => format!("{name}({precision},{scale})"),
        (_, None, Some(scale)) => format!("{name}({scale})"),
    }
}
