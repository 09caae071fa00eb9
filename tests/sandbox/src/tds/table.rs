//! A table-valued parameter on the wire: MS-TDS 2.2.5.5.5.

use rusqlite::types::Value;

use super::decode::{self, WireType};
use super::reader::{Reader, incorrect};
use crate::error::SqlResult;
use crate::sql::exec::ClientTable;

/// The token of its TYPE_INFO.
pub const TOKEN: u8 = 0xF3;

/// `fDefault` of a column: its values are not sent.
const DEFAULTED: u16 = 0x0200;

/// Reads the type information and rows of a table-valued parameter, its token included.
///
/// # Errors
/// 4002 when it is malformed, and what the columns' types say.
pub fn parse(r: &mut Reader<'_>) -> SqlResult<ClientTable> {
    if r.u8()? != TOKEN {
        return Err(incorrect());
    }
    // The database must be empty: a type is of the current one.
    if !r.b_varchar()?.is_empty() {
        return Err(incorrect());
    }
    let (schema, name) = (r.b_varchar()?, r.b_varchar()?);
    let type_name = [schema, name].into_iter().filter(|part| !part.is_empty()).collect();
    let mut columns: Vec<Option<WireType>> = Vec::new();
    let count = r.u16()?;
    if count != u16::MAX {
        for _ in 0..count {
            r.u32()?;
            let flags = r.u16()?;
            let ty = decode::type_info(r)?;
            r.b_varchar()?;
            columns.push((flags & DEFAULTED == 0).then_some(ty));
        }
    }
    // TVP_ORDER_UNIQUE and TVP_COLUMN_ORDERING are hints.
    loop {
        match r.u8()? {
            0x00 => break,
            0x10 => skip(r, 3)?,
            0x11 => skip(r, 2)?,
            _ => return Err(incorrect()),
        }
    }
    let mut rows: Vec<Vec<Value>> = Vec::new();
    loop {
        match r.u8()? {
            0x00 => break,
            0x01 => rows.push(
                columns
                    .iter()
                    .flatten()
                    .map(|ty| decode::parameter(r, *ty))
                    .collect::<SqlResult<_>>()?,
            ),
            _ => return Err(incorrect()),
        }
    }
    Ok(ClientTable {
        type_name,
        columns: columns.iter().map(|c| c.map(|ty| ty.ty)).collect(),
        rows,
    })
}

fn skip(r: &mut Reader<'_>, width: usize) -> SqlResult<()> {
    let count = usize::from(r.u16()?);
    r.bytes(count * width).map(|_| ())
}
