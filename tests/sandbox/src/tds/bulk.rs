//! The rows of a bulk load: COLMETADATA, rows, DONE.

use rusqlite::types::Value;
use tidemark_tds::reader::Reader;

use super::decode::{self, WireType};
use super::incorrect;
use crate::error::SqlResult;
use crate::sql::ast::BulkColumn;
use crate::value::Ty;

/// The columns and rows of a bulk load.
#[derive(Clone, Debug, Default)]
pub struct Load {
    /// The columns.
    pub columns: Vec<BulkColumn>,
    /// The rows in stored form.
    pub rows: Vec<Vec<Value>>,
}

/// Reads a bulk load.
///
/// Fails with 4002 when it is malformed.
pub fn parse(payload: &[u8]) -> SqlResult<Load> {
    let mut r = Reader::new(payload);
    let mut load = Load::default();
    if r.is_empty() {
        return Ok(load);
    }
    if r.u8()? != 0x81 {
        return Err(incorrect());
    }
    let mut types: Vec<WireType> = Vec::new();
    for _ in 0..r.u16()? {
        r.u32()?;
        r.u16()?;
        let ty = decode::type_info(&mut r)?;
        if matches!(ty.ty, Ty::Text | Ty::NText | Ty::Image) {
            r.us_varchar()?;
        }
        let name = r.b_varchar()?;
        load.columns.push(BulkColumn { name, ty: ty.ty });
        types.push(ty);
    }
    loop {
        match r.peek() {
            None => return Ok(load),
            Some(0xD1) => {
                r.u8()?;
                let row = types
                    .iter()
                    .map(|ty| decode::value(&mut r, *ty))
                    .collect::<SqlResult<_>>()?;
                load.rows.push(row);
            }
            Some(0xD2) => {
                r.u8()?;
                let nulls = r.bytes(types.len().div_ceil(8))?;
                let mut row = Vec::with_capacity(types.len());
                for (at, ty) in types.iter().enumerate() {
                    let null = nulls[at / 8] & (1 << (at % 8)) != 0;
                    row.push(if null { Value::Null } else { decode::value(&mut r, *ty)? });
                }
                load.rows.push(row);
            }
            Some(0xFD) => return Ok(load),
            Some(_) => return Err(incorrect()),
        }
    }
}
