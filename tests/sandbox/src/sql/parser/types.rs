//! Data types as written.

use super::Parser;
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::Name;
use crate::sql::lexer::Tok;
use crate::value::{Clr, MAX, Ty};

impl Parser<'_> {
    /// The name of a type that is none of the server's own: a table type, if anything.
    pub(super) fn table_type(&mut self) -> SqlResult<Option<Name>> {
        let from = self.at;
        let qualified = matches!(self.peek(1), Tok::Sym(".")) && !self.is("sys");
        let unknown = !qualified && self.is_ident() && self.data_type().is_err_and(|e| e.number == 2715);
        self.at = from;
        if qualified || unknown {
            self.name().map(Some)
        } else {
            Ok(None)
        }
    }

    /// A data type and its name as written in lower case.
    pub(super) fn data_type(&mut self) -> SqlResult<(Ty, String)> {
        let mut name = match self.tok() {
            Tok::Word(w) => w.to_ascii_lowercase(),
            Tok::Quoted(w) => w.to_ascii_lowercase(),
            _ => return self.unexpected(),
        };
        let line = self.line();
        self.bump();
        if name == "sys" && self.eat_sym(".") {
            name = self.ident()?.to_ascii_lowercase();
        }
        if name == "double" {
            self.expect("precision")?;
            name = "float".to_owned();
        }
        if name == "national" {
            let word = self.eat_any(&["char", "character", "text"]).map_or("", |w| w);
            name = match word {
                "" => return self.unexpected(),
                "text" => "ntext".to_owned(),
                _ => "nchar".to_owned(),
            };
        }
        if self.is("varying") && matches!(name.as_str(), "char" | "character" | "nchar" | "binary") {
            self.bump();
            name = match name.as_str() {
                "nchar" => "nvarchar",
                "binary" => "varbinary",
                _ => "varchar",
            }
            .to_owned();
        }
        let args = self.type_arguments()?;
        let ty = resolve(&name, &args).map_err(|e| e.at(line))?;
        Ok((ty, name))
    }

    fn type_arguments(&mut self) -> SqlResult<Vec<u16>> {
        let mut args = Vec::new();
        if !self.eat_sym("(") {
            return Ok(args);
        }
        loop {
            match self.tok().clone() {
                Tok::Int(n) => {
                    self.bump();
                    args.push(
                        n.parse()
                            .ok()
                            .filter(|n| *n != MAX)
                            .ok_or_else(|| SqlError::syntax(&n))?,
                    );
                }
                Tok::Word(w) if w.eq_ignore_ascii_case("max") => {
                    self.bump();
                    args.push(MAX);
                }
                _ => return self.unexpected(),
            }
            if !self.eat_sym(",") {
                break;
            }
        }
        self.expect_sym(")")?;
        Ok(args)
    }
}

/// The type of a name and its arguments.
pub fn resolve(name: &str, args: &[u16]) -> SqlResult<Ty> {
    let length = |limit: u16, default: u16| -> SqlResult<u16> {
        match args {
            [] => Ok(default),
            [MAX] if matches!(name, "varchar" | "nvarchar" | "varbinary" | "character") => Ok(MAX),
            [n] if (1..=limit).contains(n) => Ok(*n),
            [0] => Err(SqlError::new(1001, "Length or precision specification 0 is invalid.").class(15)),
            [n] => Err(SqlError::new(
                131,
                format!(
                    "The size ({n}) given to the type '{name}' exceeds the maximum allowed for any data type ({limit})."
                ),
            )
            .class(15)),
            _ => Err(SqlError::syntax(",")),
        }
    };
    let scale = || -> SqlResult<u8> {
        match args {
            [] => Ok(7),
            [n @ 0..=7] => Ok(n.to_le_bytes()[0]),
            _ => Err(SqlError::new(1002, format!("Line 1: Specified scale {} is invalid.", args[0])).class(15)),
        }
    };
    let plain = |ty: Ty| {
        if args.is_empty() {
            Ok(ty)
        } else {
            Err(SqlError::new(
                2716,
                format!("Column, parameter, or variable: Cannot specify a column width on data type {name}."),
            ))
        }
    };
    match name {
        "bit" => plain(Ty::Bit),
        "tinyint" => plain(Ty::TinyInt),
        "smallint" => plain(Ty::SmallInt),
        "int" | "integer" => plain(Ty::Int),
        "bigint" => plain(Ty::BigInt),
        "decimal" | "numeric" | "dec" => match args {
            [] => Ok(Ty::Decimal(18, 0)),
            [p @ 1..=38] => Ok(Ty::Decimal(p.to_le_bytes()[0], 0)),
            [p @ 1..=38, s] if s <= p => Ok(Ty::Decimal(p.to_le_bytes()[0], s.to_le_bytes()[0])),
            [_, _] => Err(SqlError::new(192, "The scale must be less than or equal to the precision.").class(15)),
            _ => Err(SqlError::new(
                1001,
                format!("Length or precision specification {} is invalid.", args[0]),
            )
            .class(15)),
        },
        "smallmoney" => plain(Ty::SmallMoney),
        "money" => plain(Ty::Money),
        "real" => plain(Ty::Real),
        "float" => match args {
            [] => Ok(Ty::Float),
            [1..=24] => Ok(Ty::Real),
            [25..=53] => Ok(Ty::Float),
            _ => Err(SqlError::new(1001, "Length or precision specification is invalid.").class(15)),
        },
        "date" => plain(Ty::Date),
        "time" => Ok(Ty::Time(scale()?)),
        "smalldatetime" => plain(Ty::SmallDateTime),
        "datetime" => plain(Ty::DateTime),
        "datetime2" => Ok(Ty::DateTime2(scale()?)),
        "datetimeoffset" => Ok(Ty::DateTimeOffset(scale()?)),
        "char" | "character" => Ok(Ty::Char(length(8000, 1)?)),
        "varchar" => Ok(Ty::VarChar(length(8000, 1)?)),
        "text" => plain(Ty::Text),
        "nchar" => Ok(Ty::NChar(length(4000, 1)?)),
        "nvarchar" => Ok(Ty::NVarChar(length(4000, 1)?)),
        "sysname" => plain(Ty::NVarChar(128)),
        "ntext" => plain(Ty::NText),
        "binary" => Ok(Ty::Binary(length(8000, 1)?)),
        "varbinary" => Ok(Ty::VarBinary(length(8000, 1)?)),
        "image" => plain(Ty::Image),
        "uniqueidentifier" => plain(Ty::Guid),
        "xml" => plain(Ty::Xml),
        "rowversion" | "timestamp" => plain(Ty::RowVersion),
        "hierarchyid" => plain(Ty::Clr(Clr::HierarchyId)),
        "geometry" => plain(Ty::Clr(Clr::Geometry)),
        "geography" => plain(Ty::Clr(Clr::Geography)),
        "sql_variant" | "json" | "vector" => Err(SqlError::unsupported(format!("data type {name}"))),
        _ => Err(unknown_type(name)),
    }
}

/// 2715
pub fn unknown_type(name: &str) -> SqlError {
    SqlError::new(
        2715,
        format!("Column, parameter, or variable: Cannot find data type {name}."),
    )
}
