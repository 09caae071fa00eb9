//! How the columns of a slice go into a table of another database: which column into which, found again by which keys, and
//! whether every value arrives as it was.
//!
//! Everything that cannot work is refused here, by name, before any row is written.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, ErrorCode, Result};
use crate::identifier::{Identifier, ObjectName};
use crate::query::change_tracking::{OPERATION_COLUMN, VERSION_COLUMN};
use crate::sink::SqlServerSink;
use crate::types::{Column, SqlType};

/// How many columns an error lists: errors travel in the state machine's payload.
const NAMES_SHOWN: usize = 20;
/// The characters of the longest `nvarchar(n)` that is staged: the driver's bulk load declares a longer one as `nvarchar(max)`
/// and sends it as what it is, which the server refuses (4816).
const LONGEST_NVARCHAR: u16 = 2_000;

/// A column of a sink table, or of a table type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkColumn {
    /// The name as the server spells it.
    pub name: String,
    /// The type, or the server's name of one that Tidemark does not know.
    pub sql_type: std::result::Result<SqlType, String>,
    /// Whether NULL is allowed.
    pub nullable: bool,
    /// Whether the server numbers the rows.
    pub identity: bool,
    /// Whether the server computes the value.
    pub computed: bool,
    /// Whether the column has a default.
    pub defaulted: bool,
    /// The collation of text.
    pub collation: Option<Collation>,
    /// Whether the column is part of the primary key.
    pub primary_key: bool,
}

/// The collation of staged `text` and `ntext`, which go with few: not with the newer ones, whatever the sink's column or
/// `tempdb` has (4188).
const LEGACY_COLLATION: &str = "Latin1_General_BIN";

/// The name of a collation, which a statement takes only without brackets: letters, digits and underscores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collation(String);

impl FromStr for Collation {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        if !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Ok(Self(name.to_owned()));
        }
        let message = format!("'{}' is not the name of a collation", name.escape_default());
        Err(Error::new(ErrorCode::SchemaMismatch, message))
    }
}

impl fmt::Display for Collation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the sink's database has to say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SinkTables {
    /// The columns of the table.
    pub table: Vec<SinkColumn>,
    /// The columns of the table type, when the merge is a procedure's.
    pub table_type: Vec<SinkColumn>,
}

/// Which of two rows with the same keys is the newer one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Newest<'a> {
    /// That with the greater watermark, in this column; it is among the table's columns.
    Watermark(&'a Identifier),
    /// That with the greater version of change tracking; rows may be deletions.
    Version,
}

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

/// A column of the sink table, or of the table type, and the staged column that fills it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappedColumn {
    /// Its name as the server spells it.
    pub name: Identifier,
    /// The number of the staged column.
    pub staged: usize,
    /// Its type.
    pub sql_type: SqlType,
    /// The collation of text.
    pub collation: Option<Collation>,
    /// Whether it holds NULL.
    pub nullable: bool,
    /// Whether it is the identity column.
    pub identity: bool,
}

/// The merge of staged rows into a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merge {
    /// The sink table.
    pub table: ObjectName,
    /// The staging table's columns.
    pub staged: Vec<StagedColumn>,
    /// The columns that are written: of the sink table or, for a procedure, of its table type.
    pub columns: Vec<MappedColumn>,
    /// The sink table's columns by which a row is found again; empty only for a procedure.
    pub keys: Vec<MappedColumn>,
    /// The sink table's watermark column: what is there already and greater stays.
    pub watermark: Option<MappedColumn>,
    /// The staged column by which the newest of several rows wins.
    pub newest: usize,
    /// The staged column that says whether a row is a deletion.
    pub operation: Option<usize>,
    /// The procedure that does the merge, and its table type.
    pub procedure: Option<(ObjectName, ObjectName)>,
}

impl Merge {
    /// Maps the columns of a slice.
    ///
    /// # Errors
    ///
    /// `SchemaMismatch`, naming the column and the types, when a column has no counterpart, when the counterpart cannot hold
    /// every value exactly or is the server's to write, when a column that must have a value gets none; `InvalidInput`, naming
    /// the cure, without usable keys: with change tracking those of the source are the only ones.
    pub fn new(
        source: &ObjectName,
        sink: &SqlServerSink,
        columns: &[Column],
        newest: Newest<'_>,
        tables: &SinkTables,
    ) -> Result<Self> {
        let table = sink.table(source).clone();
        let side = Side {
            what: format!("the sink table {table}"),
            columns: &tables.table,
        };
        let procedure = sink.procedure.clone().zip(sink.table_type.clone());
        if newest == Newest::Version && procedure.is_some() {
            let message = format!("a procedure cannot be told of deletions: merge {table} by keys, without procedure");
            return Err(Error::new(ErrorCode::InvalidInput, message));
        }
        let written = match &procedure {
            None => Side {
                what: side.what.clone(),
                columns: side.columns,
            },
            Some((_, table_type)) => Side {
                what: format!("the table type {table_type}"),
                columns: &tables.table_type,
            },
        };
        let (order, operation) = match newest {
            Newest::Watermark(column) => (position(columns, column.as_str()), None),
            Newest::Version => (
                position(columns, VERSION_COLUMN),
                Some(position(columns, OPERATION_COLUMN).ok_or_else(|| no_order(&table, OPERATION_COLUMN))?),
            ),
        };
        let order_name = match newest {
            Newest::Watermark(column) => column.as_str(),
            Newest::Version => VERSION_COLUMN,
        };
        let order = order.ok_or_else(|| no_order(&table, order_name))?;
        let tracked = |index: usize| operation.is_some() && (Some(index) == operation || index == order);

        let mut mapped = Vec::new();
        let mut staged = Vec::new();
        for (index, column) in columns.iter().enumerate() {
            let counterpart = match written.find(&column.name) {
                Ok(counterpart) => counterpart,
                // The columns of change tracking are for the merge, not for the table, unless it has them.
                Err(_) if tracked(index) => {
                    staged.push(StagedColumn::of(column.sql_type, column.sql_type, None));
                    continue;
                }
                Err(error) => return Err(error),
            };
            let sql_type = written.holds(counterpart, column)?;
            staged.push(StagedColumn::of(
                column.sql_type,
                sql_type,
                counterpart.collation.clone(),
            ));
            mapped.push(mapped_column(counterpart, sql_type, index)?);
        }
        written.check_required(&mapped)?;

        let keys = side.keys(sink, columns, procedure.is_some())?;
        if operation.is_some() {
            let of_source: Vec<_> = (0..columns.len())
                .filter(|index| !columns[*index].nullable && !tracked(*index))
                .collect();
            side.check_tracked(source, columns, &of_source, &keys)?;
        }
        let watermark = match newest {
            Newest::Watermark(_) if !keys.is_empty() => Some(side.map(&columns[order], order)?),
            _ => None,
        };
        if procedure.is_none() {
            let unkeyed = mapped
                .iter()
                .find(|column| column.identity && !keys.iter().any(|key| key.name == column.name));
            if let Some(column) = unkeyed {
                return Err(side.mismatch(&format!(
                    "has the identity column {}, which cannot be updated: leave it out by naming the others in columns, or make \
                     it the key",
                    column.name.as_str()
                )));
            }
        }
        Ok(Self {
            table,
            staged,
            columns: mapped,
            keys,
            watermark,
            newest: order,
            operation,
            procedure,
        })
    }

    /// The columns that an update writes: all but the keys.
    pub fn updated(&self) -> impl Iterator<Item = &MappedColumn> {
        self.columns
            .iter()
            .filter(|column| !self.keys.iter().any(|key| key.name == column.name))
    }

    /// The columns that hold text in a code page, which need not have every character of the source's; for a procedure also
    /// the keys, which are the table's and not the table type's.
    #[must_use]
    pub fn in_code_pages(&self) -> Vec<&MappedColumn> {
        let in_code_page =
            |column: &&MappedColumn| matches!(column.sql_type, SqlType::Char(_) | SqlType::VarChar(_) | SqlType::Text);
        let keys = self.keys.iter().filter(|_| self.procedure.is_some());
        self.columns.iter().chain(keys).filter(in_code_page).collect()
    }

    /// The keys that are text: their collation may take different texts for one.
    pub(crate) fn collated_keys(&self) -> impl Iterator<Item = &MappedColumn> {
        self.keys.iter().filter(|key| is_text(key.sql_type))
    }

    /// Whether rows are inserted with the identity column's value.
    #[must_use]
    pub fn inserts_identity(&self) -> bool {
        self.columns.iter().any(|column| column.identity)
    }
}

impl StagedColumn {
    /// A column for values of the source's type on their way into the sink's: as they are in the source, but text always as
    /// `n` text, because a bulk load does not say in which code page its bytes are.
    ///
    /// What may be longer than 64 KiB is staged as `ntext`, bytes as hexadecimal text: the driver's bulk load takes no longer
    /// value for a `(max)` column, and none at all for `image`. It declares `time` and `datetimeoffset` without their digits,
    /// which is with seven, and `smalldatetime` as `datetime`; so these are staged as what holds them and is declared rightly.
    fn of(source: SqlType, sink: SqlType, collation: Option<Collation>) -> Self {
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

/// The sink table, or the table type.
struct Side<'a> {
    what: String,
    columns: &'a [SinkColumn],
}

impl Side<'_> {
    fn mismatch(&self, what: &str) -> Error {
        Error::new(ErrorCode::SchemaMismatch, format!("{} {what}", self.what))
    }

    /// The column of this name: spelled exactly, or, as most collations do not mind, in another case.
    fn find(&self, name: &str) -> Result<&SinkColumn> {
        let lower = name.to_lowercase();
        let mut alike = self.columns.iter().filter(|column| column.name.to_lowercase() == lower);
        let exact = self.columns.iter().find(|column| column.name == name);
        match (exact, alike.next(), alike.next()) {
            (Some(column), ..) | (None, Some(column), None) => Ok(column),
            _ => {
                let names: Vec<_> = self
                    .columns
                    .iter()
                    .take(NAMES_SHOWN)
                    .map(|column| column.name.as_str())
                    .collect();
                Err(self.mismatch(&format!(
                    "has no column '{name}', its columns are {}: add it, or leave it out by naming the others in columns",
                    names.join(", ")
                )))
            }
        }
    }

    /// The type of a column that holds every value of `source` exactly.
    fn holds(&self, column: &SinkColumn, source: &Column) -> Result<SqlType> {
        let name = &column.name;
        if column.computed {
            return Err(self.mismatch(&format!(
                "computes its column {name}: leave it out by naming the others in columns"
            )));
        }
        let sql_type = match &column.sql_type {
            Ok(SqlType::RowVersion) => {
                return Err(self.mismatch(&format!(
                    "has {name} as a rowversion, which only the server writes: make it binary(8) to keep the source's, or leave \
                     it out"
                )));
            }
            Ok(sql_type) => *sql_type,
            Err(unknown) => return Err(self.mismatch(&format!("has {name} as {unknown}, which Tidemark cannot write"))),
        };
        if fits(source.sql_type, sql_type) {
            return Ok(sql_type);
        }
        Err(self.mismatch(&format!(
            "has {name} as {sql_type}, which does not hold every {} of the source exactly: widen it, or leave it out",
            source.sql_type
        )))
    }

    fn map(&self, column: &Column, index: usize) -> Result<MappedColumn> {
        let counterpart = self.find(&column.name)?;
        let sql_type = self.holds(counterpart, column)?;
        mapped_column(counterpart, sql_type, index)
    }

    /// Columns that must have a value and get none.
    fn check_required(&self, mapped: &[MappedColumn]) -> Result<()> {
        let missing = self.columns.iter().find(|column| {
            let filled = column.nullable || column.identity || column.computed || column.defaulted;
            let server = column.sql_type == Ok(SqlType::RowVersion);
            !filled && !server && !mapped.iter().any(|mapped| mapped.name.as_str() == column.name)
        });
        missing.map_or(Ok(()), |column| {
            Err(self.mismatch(&format!(
                "needs a value in {}, which is not among the copied columns: copy it, give it a default or let it be NULL",
                column.name
            )))
        })
    }

    fn keys(&self, sink: &SqlServerSink, columns: &[Column], optional: bool) -> Result<Vec<MappedColumn>> {
        let primary: Vec<&str> = self
            .columns
            .iter()
            .filter(|column| column.primary_key)
            .map(|column| column.name.as_str())
            .collect();
        let names: Vec<&str> = if sink.keys.is_empty() {
            primary
        } else {
            sink.keys.iter().map(Identifier::as_str).collect()
        };
        if names.is_empty() && !optional {
            let message = format!(
                "{} has no primary key: name the columns that identify a row in the sink's keys",
                self.what
            );
            return Err(Error::new(ErrorCode::InvalidInput, message));
        }
        let mut keys = Vec::new();
        for name in names {
            let spelled = &self.find(name)?.name;
            let index = position(columns, spelled).ok_or_else(|| {
                self.mismatch(&format!(
                    "has the key column {spelled}, which is not among the copied columns: copy it, or name other keys"
                ))
            })?;
            let key = self.map(&columns[index], index)?;
            if !is_comparable(key.sql_type) {
                return Err(self.mismatch(&format!(
                    "has the key column {spelled} as {}, which cannot be compared",
                    key.sql_type
                )));
            }
            keys.push(key);
        }
        Ok(keys)
    }

    /// Refuses keys that are not the source's primary key, `of_source`: a deletion has values there and nowhere else, so by
    /// more columns it would delete nothing, and by fewer the rows of other keys.
    fn check_tracked(
        &self,
        source: &ObjectName,
        columns: &[Column],
        of_source: &[usize],
        keys: &[MappedColumn],
    ) -> Result<()> {
        let same = of_source
            .iter()
            .all(|index| keys.iter().any(|key| key.staged == *index))
            && keys.iter().all(|key| of_source.contains(&key.staged));
        if same {
            return Ok(());
        }
        let of_source: Vec<_> = of_source.iter().map(|index| columns[*index].name.as_str()).collect();
        let keys: Vec<_> = keys.iter().map(|key| key.name.as_str()).collect();
        let message = format!(
            "{} has the keys ({}), and change tracking names deleted rows by the primary key of {source}, ({}): name these in \
             the sink's keys",
            self.what,
            keys.join(", "),
            of_source.join(", ")
        );
        Err(Error::new(ErrorCode::InvalidInput, message))
    }
}

fn mapped_column(column: &SinkColumn, sql_type: SqlType, staged: usize) -> Result<MappedColumn> {
    Ok(MappedColumn {
        name: Identifier::new(column.name.as_str())?,
        staged,
        sql_type,
        collation: column.collation.clone(),
        nullable: column.nullable,
        identity: column.identity,
    })
}

fn position(columns: &[Column], name: &str) -> Option<usize> {
    let lower = name.to_lowercase();
    let exact = columns.iter().position(|column| column.name == name);
    exact.or_else(|| columns.iter().position(|column| column.name.to_lowercase() == lower))
}

fn no_order(table: &ObjectName, column: &str) -> Error {
    let message = format!(
        "{column} is not among the copied columns: the sink table {table} needs it to tell a newer row from an older one"
    );
    Error::new(ErrorCode::SchemaMismatch, message)
}

/// Whether a column of type `sink` holds every value of type `source` as it is, without rounding, cutting or padding, when the
/// server converts it implicitly
/// (<https://learn.microsoft.com/en-us/sql/t-sql/data-types/data-type-conversion-database-engine>).
#[must_use]
pub fn fits(source: SqlType, sink: SqlType) -> bool {
    use SqlType as T;
    if source == sink {
        return true;
    }
    match (source, sink) {
        // A number of `integers` digits before and `scale` after the point.
        (_, T::Decimal { precision, scale }) => {
            digits(source).is_some_and(|(integers, fraction)| fraction <= scale && integers <= precision - scale)
        }
        (T::Bit, T::TinyInt | T::SmallInt | T::Int | T::BigInt)
        | (T::TinyInt, T::SmallInt | T::Int | T::BigInt | T::Real | T::Float)
        | (T::SmallInt, T::Int | T::BigInt | T::Real | T::Float)
        | (T::Int, T::BigInt | T::Float)
        | (T::SmallMoney, T::Money)
        | (T::Real, T::Float) => true,
        (T::Char(_) | T::VarChar(_) | T::Text, T::VarChar(_) | T::Text | T::NVarChar(_) | T::NText)
        | (T::NChar(_) | T::NVarChar(_) | T::NText, T::NVarChar(_) | T::NText)
        | (T::Binary(_) | T::VarBinary(_) | T::Image, T::VarBinary(_) | T::Image) => {
            length(sink).is_none_or(|limit| length(source).is_some_and(|needed| needed <= limit))
        }
        // As the bytes that a window reads of them.
        (T::HierarchyId | T::Geometry | T::Geography, T::VarBinary(None)) => true,
        (T::RowVersion, T::Binary(8)) | (T::Xml, T::NVarChar(None) | T::NText) => true,
        (T::RowVersion, T::VarBinary(limit)) => limit.is_none_or(|limit| limit >= 8),
        (T::Date, T::DateTime2(_)) | (T::SmallDateTime, T::DateTime | T::DateTime2(_)) => true,
        // 1/300 s, which three digits tell apart.
        (T::DateTime, T::DateTime2(scale)) => scale >= 3,
        (T::Time(from), T::Time(to))
        | (T::DateTime2(from), T::DateTime2(to))
        | (T::DateTimeOffset(from), T::DateTimeOffset(to)) => from <= to,
        _ => false,
    }
}

/// Whether values of this type are compared by a collation.
const fn is_text(sql_type: SqlType) -> bool {
    matches!(
        sql_type,
        SqlType::Char(_)
            | SqlType::VarChar(_)
            | SqlType::NChar(_)
            | SqlType::NVarChar(_)
            | SqlType::Text
            | SqlType::NText
    )
}

/// Whether a key may be of this type: its values can be compared and are of a limited length.
const fn is_comparable(sql_type: SqlType) -> bool {
    !matches!(
        sql_type,
        SqlType::VarChar(None)
            | SqlType::NVarChar(None)
            | SqlType::VarBinary(None)
            | SqlType::Text
            | SqlType::NText
            | SqlType::Image
            | SqlType::Xml
            | SqlType::HierarchyId
            | SqlType::Geometry
            | SqlType::Geography
    )
}

/// Digits before and after the point of an exact number.
const fn digits(sql_type: SqlType) -> Option<(u8, u8)> {
    Some(match sql_type {
        SqlType::Bit => (1, 0),
        SqlType::TinyInt => (3, 0),
        SqlType::SmallInt => (5, 0),
        SqlType::Int => (10, 0),
        SqlType::BigInt => (19, 0),
        SqlType::SmallMoney => (6, 4),
        SqlType::Money => (15, 4),
        SqlType::Decimal { precision, scale } => (precision - scale, scale),
        _ => return None,
    })
}

/// The length of a text or of bytes; none for `(max)`.
const fn length(sql_type: SqlType) -> Option<u16> {
    match sql_type {
        SqlType::Char(length) | SqlType::NChar(length) | SqlType::Binary(length) => Some(length),
        SqlType::VarChar(length) | SqlType::NVarChar(length) | SqlType::VarBinary(length) => length,
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::change_tracking;

    fn parse(sql_type: &str) -> SqlType {
        sql_type.parse().unwrap()
    }

    #[test]
    fn a_type_fits_when_every_value_arrives_as_it_was() {
        let fitting = [
            ("int", "int"),
            ("bit", "int"),
            ("tinyint", "smallint"),
            ("int", "bigint"),
            ("smallint", "real"),
            ("int", "float"),
            ("int", "decimal(10,0)"),
            ("bigint", "decimal(38,10)"),
            ("decimal(5,2)", "decimal(7,3)"),
            ("money", "decimal(19,4)"),
            ("smallmoney", "money"),
            ("real", "float"),
            ("char(3)", "varchar(3)"),
            ("varchar(10)", "nvarchar(10)"),
            ("varchar(10)", "varchar(max)"),
            ("text", "nvarchar(max)"),
            ("nchar(3)", "ntext"),
            ("binary(8)", "varbinary(8)"),
            ("image", "varbinary(max)"),
            ("rowversion", "binary(8)"),
            ("rowversion", "varbinary(max)"),
            ("hierarchyid", "hierarchyid"),
            ("geography", "varbinary(max)"),
            ("xml", "nvarchar(max)"),
            ("date", "datetime2(0)"),
            ("smalldatetime", "datetime"),
            ("datetime", "datetime2(3)"),
            ("datetime2(3)", "datetime2(7)"),
            ("datetimeoffset(0)", "datetimeoffset(7)"),
            ("time(1)", "time(2)"),
        ];
        for (source, sink) in fitting {
            assert!(fits(parse(source), parse(sink)), "{source} into {sink}");
        }
        let narrower = [
            ("bigint", "int"),
            ("int", "bit"),
            ("int", "real"),
            ("bigint", "float"),
            ("float", "decimal(38,10)"),
            ("float", "real"),
            ("int", "decimal(9,0)"),
            ("int", "decimal(10,1)"),
            ("decimal(5,2)", "decimal(5,3)"),
            ("decimal(5,2)", "decimal(6,1)"),
            ("decimal(19,4)", "money"),
            ("money", "smallmoney"),
            ("varchar(10)", "varchar(9)"),
            ("varchar(max)", "varchar(8000)"),
            ("nvarchar(10)", "varchar(10)"),
            ("char(3)", "char(4)"),
            ("varchar(3)", "char(3)"),
            ("varchar(3)", "varbinary(3)"),
            ("binary(8)", "binary(9)"),
            ("image", "varbinary(8000)"),
            ("rowversion", "varbinary(7)"),
            ("rowversion", "bigint"),
            ("xml", "varchar(max)"),
            ("nvarchar(max)", "xml"),
            ("date", "datetime"),
            ("datetime", "smalldatetime"),
            ("datetime", "datetime2(2)"),
            ("datetime2(7)", "datetime2(6)"),
            ("datetime2(0)", "datetime"),
            ("datetimeoffset(0)", "datetime2(0)"),
            ("time(2)", "time(1)"),
            ("uniqueidentifier", "varchar(36)"),
        ];
        for (source, sink) in narrower {
            assert!(!fits(parse(source), parse(sink)), "{source} into {sink}");
        }
    }

    fn sink_column(name: &str, sql_type: &str) -> SinkColumn {
        SinkColumn {
            name: name.to_owned(),
            sql_type: sql_type.parse().map_err(|_| sql_type.to_owned()),
            nullable: true,
            identity: false,
            computed: false,
            defaulted: false,
            collation: None,
            primary_key: false,
        }
    }

    fn key(name: &str, sql_type: &str) -> SinkColumn {
        SinkColumn {
            nullable: false,
            primary_key: true,
            ..sink_column(name, sql_type)
        }
    }

    fn columns(types: &[(&str, &str)]) -> Vec<Column> {
        types
            .iter()
            .map(|(name, sql_type)| Column {
                name: (*name).to_owned(),
                sql_type: parse(sql_type),
                nullable: true,
            })
            .collect()
    }

    /// Customers with their keys, or not, into a table with these columns.
    fn merge(keys: &[&str], table: Vec<SinkColumn>) -> Result<Merge> {
        let source = columns(&[("id", "int"), ("Name", "varchar(10)"), ("at", "datetime")]);
        merge_of(&source, keys, table)
    }

    fn merge_of(source: &[Column], keys: &[&str], table: Vec<SinkColumn>) -> Result<Merge> {
        let json = serde_json::json!({ "secret_arn": "arn", "keys": keys });
        let sink: SqlServerSink = serde_json::from_value(json).unwrap();
        let tables = SinkTables {
            table,
            table_type: Vec::new(),
        };
        let at = Identifier::new("at").unwrap();
        Merge::new(
            &"customer".parse().unwrap(),
            &sink,
            source,
            Newest::Watermark(&at),
            &tables,
        )
    }

    #[test]
    fn columns_meet_by_name_and_keys_default_to_the_primary_key() {
        let table = vec![
            key("ID", "bigint"),
            sink_column("at", "datetime"),
            sink_column("name", "nvarchar(20)"),
            sink_column("more", "int"),
        ];
        let merge = merge(&[], table).unwrap();
        let names: Vec<_> = merge.columns.iter().map(|c| (c.name.as_str(), c.staged)).collect();
        assert_eq!(names, [("ID", 0), ("name", 1), ("at", 2)]);
        assert_eq!(merge.keys[0].name.as_str(), "ID");
        assert_eq!(merge.watermark.as_ref().unwrap().name.as_str(), "at");
        assert_eq!((merge.newest, merge.operation), (2, None));
        let staged: Vec<_> = merge.staged.iter().map(|c| c.sql_type.to_string()).collect();
        assert_eq!(staged, ["int", "nvarchar(20)", "datetime"]);
        assert_eq!(merge.updated().count(), 2);
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

    #[test]
    fn what_cannot_be_written_is_refused_by_name() {
        let fine = || {
            [
                key("id", "int"),
                sink_column("name", "varchar(10)"),
                sink_column("at", "datetime"),
            ]
        };
        let with = |column: SinkColumn| {
            let mut table = fine().to_vec();
            match table.iter_mut().find(|other| other.name == column.name) {
                Some(other) => *other = column,
                None => table.push(column),
            }
            table
        };
        let identity = |name: &str, primary_key| SinkColumn {
            identity: true,
            primary_key,
            ..sink_column(name, "int")
        };
        assert!(merge(&[], with(identity("id", true))).unwrap().inserts_identity());
        assert!(
            merge(&[], with(identity("numbered", false))).is_ok(),
            "the server numbers it"
        );
        let computed = |name: &str| SinkColumn {
            computed: true,
            ..sink_column(name, "varchar(10)")
        };
        assert!(merge(&[], with(computed("other"))).is_ok());
        let required = SinkColumn {
            nullable: false,
            ..sink_column("must", "int")
        };
        let defaulted = SinkColumn {
            defaulted: true,
            ..required.clone()
        };
        assert!(merge(&[], with(defaulted)).is_ok());
        let cases: Vec<(Result<Merge>, &[&str])> = vec![
            (merge(&[], fine()[..2].to_vec()), &["'at'", "id, name"]),
            (
                merge(&[], with(sink_column("name", "varchar(9)"))),
                &["name", "varchar(9)", "varchar(10)"],
            ),
            (
                merge(&[], with(sink_column("name", "sql_variant"))),
                &["name", "sql_variant"],
            ),
            (merge(&[], with(sink_column("at", "rowversion"))), &["at", "binary(8)"]),
            (merge(&[], with(computed("name"))), &["name", "computes"]),
            (merge(&[], with(required)), &["must", "default"]),
            (merge(&["name"], with(identity("id", false))), &["identity column id"]),
            (merge(&["more"], with(sink_column("more", "int"))), &["key column more"]),
            (merge(&[], with(key("second", "int"))), &["second"]),
        ];
        for (result, named) in cases {
            let error = result.unwrap_err();
            assert_eq!(error.code(), ErrorCode::SchemaMismatch, "{error}");
            for word in named {
                assert!(error.to_string().contains(word), "{word}: {error}");
            }
        }
        let no_key = merge(&[], with(sink_column("id", "int"))).unwrap_err();
        assert_eq!(no_key.code(), ErrorCode::InvalidInput);
        assert!(no_key.to_string().contains("keys"), "{no_key}");
        let without_watermark = merge_of(&columns(&[("id", "int")]), &[], fine().to_vec()).unwrap_err();
        assert!(
            without_watermark.to_string().contains("at is not among"),
            "{without_watermark}"
        );
    }

    /// Columns as change tracking plans them: of the table only the key's are never NULL.
    fn tracked(key: &[(&str, &str)], others: &[(&str, &str)]) -> Vec<Column> {
        let mut all = columns(key);
        all.iter_mut().for_each(|column| column.nullable = false);
        all.extend(columns(others));
        all.extend(change_tracking::columns());
        all
    }

    #[test]
    fn change_tracking_tells_the_merge_and_not_the_table() {
        let source = tracked(&[("id", "int")], &[("name", "varchar(10)")]);
        let sink: SqlServerSink = serde_json::from_str(r#"{"secret_arn": "arn"}"#).unwrap();
        let mut tables = SinkTables {
            table: vec![key("id", "int"), sink_column("name", "varchar(10)")],
            table_type: Vec::new(),
        };
        let of =
            |tables: &SinkTables| Merge::new(&"t".parse().unwrap(), &sink, &source, Newest::Version, tables).unwrap();
        let merge = of(&tables);
        assert_eq!(
            (merge.newest, merge.operation, merge.watermark.clone()),
            (2, Some(3), None)
        );
        assert_eq!((merge.staged.len(), merge.columns.len()), (4, 2));
        tables.table.push(sink_column(VERSION_COLUMN, "bigint"));
        assert_eq!(of(&tables).columns.len(), 3, "a table may keep the version");
    }

    #[test]
    fn change_tracking_finds_rows_by_the_sources_key_and_no_other() {
        let cases: [(&[&str], &[&str], &[&str]); 5] = [
            (&["id"], &["id", "tenant"], &[]),
            (&["id"], &["id"], &["name"]),
            (&["a", "b"], &["a"], &[]),
            (&["a", "b"], &["a", "b"], &["b"]),
            (&["id"], &["id", VERSION_COLUMN], &[]),
        ];
        let of = |source_key: &[&str], primary: &[&str], keys: &[&str]| {
            let typed = |names: &[&'static str]| -> Vec<_> { names.iter().map(|name| (*name, "int")).collect() };
            let all = ["id", "tenant", "a", "b", "name"];
            let in_key: Vec<_> = all.into_iter().filter(|name| source_key.contains(name)).collect();
            let others: Vec<_> = all.into_iter().filter(|name| !source_key.contains(name)).collect();
            let source = tracked(&typed(&in_key), &typed(&others));
            let mut table: Vec<_> = all.iter().map(|name| sink_column(name, "int")).collect();
            table.push(sink_column(VERSION_COLUMN, "bigint"));
            for column in &mut table {
                column.primary_key = primary.contains(&column.name.as_str());
            }
            let json = serde_json::json!({ "secret_arn": "arn", "keys": keys });
            let sink: SqlServerSink = serde_json::from_value(json).unwrap();
            let tables = SinkTables {
                table,
                table_type: Vec::new(),
            };
            Merge::new(&"t".parse().unwrap(), &sink, &source, Newest::Version, &tables)
        };
        for (source_key, primary, keys) in cases {
            let error = of(source_key, primary, keys).unwrap_err();
            assert_eq!(error.code(), ErrorCode::InvalidInput, "{error}");
            let used = if keys.is_empty() { primary } else { keys };
            for list in [source_key, used] {
                let list = format!("({})", list.join(", "));
                assert!(error.to_string().contains(&list), "{list}: {error}");
            }
        }
        assert!(of(&["a", "b"], &["id"], &["B", "a"]).is_ok(), "in any order and case");
        assert!(of(&["a", "b"], &["b", "a"], &[]).is_ok());
    }

    #[test]
    fn a_procedure_takes_the_columns_of_its_table_type() {
        let json = r#"{"secret_arn": "arn", "procedure": "p", "table_type": "t"}"#;
        let mut sink: SqlServerSink = serde_json::from_str(json).unwrap();
        let source = columns(&[("id", "int"), ("at", "datetime")]);
        let tables = SinkTables {
            table: vec![
                sink_column("id", "int"),
                sink_column("at", "datetime"),
                sink_column("x", "int"),
            ],
            table_type: vec![sink_column("id", "bigint"), sink_column("at", "datetime")],
        };
        let at = Identifier::new("at").unwrap();
        let of = |sink: &SqlServerSink| {
            Merge::new(
                &"customer".parse().unwrap(),
                sink,
                &source,
                Newest::Watermark(&at),
                &tables,
            )
            .unwrap()
        };
        let merge = of(&sink);
        assert_eq!(merge.columns[0].sql_type.to_string(), "bigint");
        assert_eq!(
            (merge.keys.len(), merge.watermark),
            (0, None),
            "without keys all rows go to the procedure"
        );
        sink.keys = vec![Identifier::new("id").unwrap()];
        let merge = of(&sink);
        assert_eq!(merge.keys[0].sql_type.to_string(), "int");
        assert!(merge.watermark.is_some());
    }
}
