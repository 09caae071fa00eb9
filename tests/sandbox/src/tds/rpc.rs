//! The remote procedure calls of TDS.

use rusqlite::types::Value;
use tidemark_tds::reader::Reader;

use super::decode;
use crate::error::{SqlError, SqlResult};
use crate::sql::exec::Argument;
use crate::sql::parser;

/// One call.
#[derive(Clone, Debug)]
pub struct Call {
    /// The procedure.
    pub name: Vec<String>,
    /// The arguments.
    pub arguments: Vec<Argument>,
    /// Whether the client does not want column metadata again.
    pub no_metadata: bool,
}

/// The names of the procedures that have numbers, from 10 on. Those before are of cursors.
const NUMBERED: &str = "sp_executesql sp_prepare sp_execute sp_prepexec sp_prepexecrpc sp_unprepare";

/// Reads the calls of a message.
///
/// Fails with 4002 and 8009 when it is malformed, and with 40510 for parameter types that are not offered.
pub fn parse(payload: &[u8]) -> SqlResult<Vec<Call>> {
    let mut r = Reader::new(payload);
    r.all_headers()?;
    let mut calls = Vec::new();
    while !r.is_empty() {
        calls.push(call(&mut r)?);
    }
    Ok(calls)
}

fn call(r: &mut Reader<'_>) -> SqlResult<Call> {
    let length = r.u16()?;
    let name = if length == u16::MAX {
        let number = r.u16()?;
        let at = usize::from(number).checked_sub(10);
        let name = at.and_then(|at| NUMBERED.split(' ').nth(at));
        let name = name.ok_or_else(|| SqlError::of(2812, &[&number]))?;
        vec![(*name).to_owned()]
    } else {
        let text = r.utf16(usize::from(length))?;
        parser::name(&text).map_err(|_| SqlError::of(2812, &[&text]))?
    };
    let flags = r.u16()?;
    let mut arguments = Vec::new();
    while let Some(next) = r.peek() {
        // A separator begins the next call of the message. No name is that long.
        if next == 0x80 || next == 0xFF {
            r.u8()?;
            break;
        }
        let name = r.b_varchar()?;
        let status = r.u8()?;
        let name = name.trim_start_matches('@').to_owned();
        let ty = decode::type_info(r)?;
        let value = decode::parameter(r, ty)?;
        arguments.push(Argument {
            name,
            ty: ty.ty,
            default: status & 2 != 0 && value == Value::Null,
            value,
            output: status & 1 != 0,
            table: None,
        });
    }
    Ok(Call {
        name,
        arguments,
        no_metadata: flags & 2 != 0,
    })
}
