//! The grammar of data types, as they are written in a statement.

use super::Parser;
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::Name;
use crate::sql::lexer::Tok;
use crate::value::{MAX, Ty};

impl Parser<'_> {
    /// Parses the name of a type that is none of the server's own, which can only be a table type.
    pub(super) fn table_type(&mut self) -> SqlResult<Option<Name>> {
        let from = self.at;
        let qualified = matches!(self.peek(1), Tok::Sym(".")) && !self.is("sys");
        let unknown = !qualified && self.is_ident() && self.data_type().is_err_and(|e| e.number == 2715);
        self.at = from;
        (qualified || unknown).then(|| self.name()).transpose()
    }

    /// Parses a data type, and returns it with its name as written, in lower case.
    pub(super) fn data_type(&mut self) -> SqlResult<(Ty, String)> {
        let mut name = match self.tok() {
            Tok::Word(w) | Tok::Quoted(w) => w.to_ascii_lowercase(),
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
            let word = self.expect_any(&["char", "character", "text"])?;
            name = if word == "text" { "ntext" } else { "nchar" }.to_owned();
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
        self.optional_list(|p| {
            if p.eat("max") {
                return Ok(MAX);
            }
            let n = p.signed_int()?;
            let length = u16::try_from(n).ok().filter(|n| *n != MAX);
            length.ok_or_else(|| SqlError::syntax(&n.to_string()))
        })
    }
}

/// Returns the type of this name, with its length, precision or scale.
fn resolve(name: &str, args: &[u16]) -> SqlResult<Ty> {
    let known = match name {
        "integer" => "int",
        "numeric" | "dec" => "decimal",
        "character" => "char",
        "rowversion" => "timestamp",
        other => other,
    };
    let length = |limit: u16| -> SqlResult<u16> {
        match args {
            [] => Ok(1),
            [MAX] if matches!(known, "varchar" | "nvarchar" | "varbinary") => Ok(MAX),
            [0] => Err(SqlError::of(1001, &[&0])),
            [n] if *n <= limit => Ok(*n),
            [n] => Err(SqlError::of(131, &[n, &name, &limit])),
            _ => Err(SqlError::syntax(",")),
        }
    };
    let scale = || -> SqlResult<u8> {
        match args {
            [] => Ok(7),
            [n @ 0..=7] => Ok(n.to_le_bytes()[0]),
            _ => Err(SqlError::of(1002, &[&args[0]])),
        }
    };
    let ty = match known {
        "sysname" => Ty::NVarChar(128),
        "sql_variant" | "json" | "vector" => return Err(SqlError::unsupported(format!("data type {name}"))),
        _ => Ty::of_name(known).ok_or_else(|| unknown_type(name))?,
    };
    Ok(match ty {
        _ if known == "sysname" => ty,
        Ty::Decimal(..) => decimal(args)?,
        Ty::Float => match args {
            [] | [25..=53] => Ty::Float,
            [1..=24] => Ty::Real,
            _ => return Err(SqlError::of(1001, &[&args[0]])),
        },
        Ty::Time(_) => Ty::Time(scale()?),
        Ty::DateTime2(_) => Ty::DateTime2(scale()?),
        Ty::DateTimeOffset(_) => Ty::DateTimeOffset(scale()?),
        Ty::Char(limit) => Ty::Char(length(limit)?),
        Ty::VarChar(limit) => Ty::VarChar(length(limit)?),
        Ty::NChar(limit) => Ty::NChar(length(limit)?),
        Ty::NVarChar(limit) => Ty::NVarChar(length(limit)?),
        Ty::Binary(limit) => Ty::Binary(length(limit)?),
        Ty::VarBinary(limit) => Ty::VarBinary(length(limit)?),
        _ if args.is_empty() => ty,
        _ => return Err(SqlError::of(2716, &[&name])),
    })
}

fn decimal(args: &[u16]) -> SqlResult<Ty> {
    match args {
        [] => Ok(Ty::Decimal(18, 0)),
        [p @ 1..=38] => Ok(Ty::Decimal(p.to_le_bytes()[0], 0)),
        [p @ 1..=38, s] if s <= p => Ok(Ty::Decimal(p.to_le_bytes()[0], s.to_le_bytes()[0])),
        [_, _] => Err(SqlError::of(192, &[])),
        _ => Err(SqlError::of(1001, &[&args[0]])),
    }
}

/// Makes 2715, for an unknown type.
pub fn unknown_type(name: &str) -> SqlError {
    SqlError::of(2715, &[&name])
}
