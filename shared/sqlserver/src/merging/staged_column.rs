//! A column of the staging table: as what a value travels.

use super::Collation;
use crate::types::SqlType;

/// The characters of the longest `nvarchar(n)` that is staged: the driver's bulk load declares a longer one as `nvarchar(max)`
/// and sends it as what it is, which the server refuses (4816).
const LONGEST_NVARCHAR: u16 = 2_000;

/// The collation of staged `text` and `ntext`, which go with few: not with the newer ones, whatever the sink's column or
/// `tempdb` has (4188).
const LEGACY_COLLATION: &str = "Latin1_General_BIN";

/// A column of the staging table, in the order of the slice. Its name there is `c0`, `c1`, ….
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StagedColumn {
    /// The type in the staging table.
    pub sql_type: SqlType,
    /// Whether bytes are staged as hexadecimal text.
    pub hex: bool,
    /// The collation in the staging table, of text.
    pub collation: Option<Collation>,
}

impl StagedColumn {
    /// A column for values of the source's type on their way into the sink's: as they are in the source, but text always as
    /// `n` text, because a bulk load does not say in which code page its bytes are.
    ///
    /// What may be longer than 64 KiB is staged as `ntext`, bytes as hexadecimal text: the driver's bulk load takes no longer
    /// value for a `(max)` column, and none at all for `image`. It declares `time` and `datetimeoffset` without their digits,
    /// which is with seven, and `smalldatetime` as `datetime`; so these are staged as what holds them and is declared rightly.
    pub(super) fn of(source: SqlType, sink: SqlType, collation: Option<Collation>) -> Self {
        let hex = matches!(
            source,
            SqlType::VarBinary(None) | SqlType::Image | SqlType::HierarchyId | SqlType::Geometry | SqlType::Geography
        );
        let sql_type = match sink {
            SqlType::Char(length)
            | SqlType::VarChar(Some(length))
            | SqlType::NChar(length)
            | SqlType::NVarChar(Some(length))
                if length <= LONGEST_NVARCHAR =>
            {
                SqlType::NVarChar(Some(length))
            }
            SqlType::Char(_)
            | SqlType::VarChar(_)
            | SqlType::Text
            | SqlType::NChar(_)
            | SqlType::NVarChar(_)
            | SqlType::NText
            | SqlType::Xml => SqlType::NText,
            _ if hex => SqlType::Text,
            _ => match source {
                SqlType::Money => SqlType::Decimal {
                    precision: 19,
                    scale: 4,
                },
                SqlType::SmallMoney => SqlType::Decimal {
                    precision: 10,
                    scale: 4,
                },
                SqlType::RowVersion => SqlType::Binary(8),
                SqlType::SmallDateTime => SqlType::DateTime2(0),
                SqlType::Time(_) => SqlType::Time(7),
                SqlType::DateTimeOffset(_) => SqlType::DateTimeOffset(7),
                other => other,
            },
        };
        let collation = match sql_type {
            SqlType::NVarChar(_) => collation,
            SqlType::Text | SqlType::NText => Some(Collation(LEGACY_COLLATION.to_owned())),
            _ => None,
        };
        Self {
            sql_type,
            hex,
            collation,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(sql_type: &str) -> SqlType {
        sql_type.parse().unwrap()
    }

    #[test]
    fn a_type_is_staged_as_what_the_driver_declares_rightly() {
        let cases = [
            ("smalldatetime", "smalldatetime", "datetime2(0)"),
            ("smalldatetime", "datetime", "datetime2(0)"),
            ("time(0)", "time(3)", "time(7)"),
            ("datetimeoffset(2)", "datetimeoffset(2)", "datetimeoffset(7)"),
            ("datetime2(3)", "datetime2(7)", "datetime2(3)"),
            ("datetime", "datetime", "datetime"),
            ("date", "date", "date"),
            ("money", "money", "decimal(19,4)"),
            ("smallmoney", "money", "decimal(10,4)"),
            ("rowversion", "binary(8)", "binary(8)"),
            ("char(4)", "char(4)", "nvarchar(4)"),
            ("varchar(5)", "nvarchar(2000)", "nvarchar(2000)"),
            ("varchar(5)", "nvarchar(2001)", "ntext"),
            ("nvarchar(max)", "nvarchar(max)", "ntext"),
            ("xml", "xml", "ntext"),
            ("varbinary(8000)", "varbinary(max)", "varbinary(8000)"),
            ("varbinary(max)", "varbinary(max)", "text"),
            ("image", "image", "text"),
            ("hierarchyid", "hierarchyid", "text"),
        ];
        for (source, sink, expected) in cases {
            let staged = StagedColumn::of(parse(source), parse(sink), None);
            assert_eq!(staged.sql_type.to_string(), expected, "{source} into {sink}");
        }
    }
}
