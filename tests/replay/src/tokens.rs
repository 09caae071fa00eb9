//! Tokens and values as they are on the wire (MS-TDS 2.2.5 and 2.2.7).

pub use tidemark_tds::login::LATIN1;
use tidemark_tds::login::{Login, acknowledge};
pub use tidemark_tds::tokens::utf16;
use tidemark_tds::tokens::{self, Told, b_varchar};

/// The collation `Latin1_General_100_CI_AS_SC_UTF8`.
pub const UTF8: [u8; 5] = [0x09, 0x04, 0xD0, 0x04, 0x00];

/// Makes the answer to a login.
pub(crate) fn login_tokens(login: &Login) -> Vec<u8> {
    let mut out = Vec::new();
    tokens::env_text(&mut out, tokens::DATABASE, "db", "");
    acknowledge(&mut out, login);
    out.extend(done(tokens::DONE, 0, 0));
    out
}

/// Makes the answer to a login that is to go on at another server (MS-TDS 2.2.7.9, type 20).
pub(crate) fn redirect_tokens(login: &Login, host: &str, port: u16) -> Vec<u8> {
    let mut out = Vec::new();
    acknowledge(&mut out, login);
    let host_units = u16::try_from(host.encode_utf16().count()).unwrap();
    // TCP is protocol 0.
    let route = [&[0][..], &port.to_le_bytes(), &host_units.to_le_bytes(), &utf16(host)].concat();
    let length = u16::try_from(route.len()).unwrap().to_le_bytes();
    tokens::with_length(&mut out, 0xE3, &[&[20][..], &length, &route, &[0, 0]].concat());
    out.extend(done(tokens::DONE, 0, 0));
    out
}

/// Makes a name with the length byte before it.
fn name(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    b_varchar(&mut out, text);
    out
}

/// Makes COLMETADATA of nullable columns, each with a name and its TYPE_INFO.
#[must_use]
pub fn columns(columns: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut out = vec![0x81];
    out.extend(u16::try_from(columns.len()).unwrap().to_le_bytes());
    for (column, type_info) in columns {
        out.extend([0, 0, 0, 0, 9, 0]);
        out.extend(type_info);
        out.extend(name(column));
    }
    out
}

/// Makes a ROW with these encoded values.
#[must_use]
pub fn row(values: &[Vec<u8>]) -> Vec<u8> {
    let mut out = vec![0xD1];
    values.iter().for_each(|value| out.extend(value));
    out
}

/// Makes the end of an answer: DONEINPROC with the count of a SELECT, RETURNSTATUS and DONEPROC.
#[must_use]
pub fn end(rows: u64) -> Vec<u8> {
    let mut out = done(0xFF, 0x11, rows);
    out.extend([0x79, 0, 0, 0, 0]);
    out.extend(done(0xFE, 0, 0));
    out
}

/// Makes a DONE, DONEPROC or DONEINPROC of a SELECT.
#[must_use]
pub fn done(token: u8, status: u16, rows: u64) -> Vec<u8> {
    let mut out = Vec::new();
    tokens::done(&mut out, token, status, 0xC1, rows);
    out
}

/// Makes an ERROR of severity 16.
#[must_use]
pub fn error(number: u32, message: &str) -> Vec<u8> {
    let told = Told {
        number: number.try_into().unwrap(),
        state: 1,
        class: 16,
        message,
        procedure: "",
        line: 1,
    };
    let mut out = Vec::new();
    tokens::message(&mut out, tokens::ERROR, "replay", &told);
    out
}

/// Makes a value with one length byte. An empty one is NULL for most types.
#[must_use]
pub fn short(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![u8::try_from(bytes.len()).unwrap()];
    out.extend_from_slice(bytes);
    out
}

/// Makes a value with two length bytes. `None` is NULL.
#[must_use]
pub fn long(bytes: Option<&[u8]>) -> Vec<u8> {
    let Some(bytes) = bytes else {
        return vec![0xFF, 0xFF];
    };
    let mut out = u16::try_from(bytes.len()).unwrap().to_le_bytes().to_vec();
    out.extend_from_slice(bytes);
    out
}

/// Makes a `(max)` value in pieces, of known or unknown length.
#[must_use]
pub fn chunked(bytes: &[u8], is_known: bool) -> Vec<u8> {
    let length = if is_known { bytes.len() as u64 } else { u64::MAX - 1 };
    let mut out = length.to_le_bytes().to_vec();
    for chunk in bytes.chunks(8_000) {
        out.extend(u32::try_from(chunk.len()).unwrap().to_le_bytes());
        out.extend_from_slice(chunk);
    }
    out.extend([0; 4]);
    out
}

/// Makes TYPE_INFO of a character type up to 8000 bytes.
#[must_use]
pub fn characters(token: u8, bytes: u16, collation: [u8; 5]) -> Vec<u8> {
    let mut out = vec![token];
    out.extend(bytes.to_le_bytes());
    out.extend(collation);
    out
}
