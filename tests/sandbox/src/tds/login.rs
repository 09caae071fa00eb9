//! LOGIN7: who comes, and the tokens that let them in.

use super::encode;
use super::reader::{Reader, incorrect};
use crate::error::{SqlError, SqlResult};
use crate::value::text;

/// TDS 7.3 revision A, the oldest version that has the newer date types.
pub const TDS_7_3: u32 = 0x730A_0003;
/// TDS 7.3 revision B, the first with compressed rows.
pub const TDS_7_3_B: u32 = 0x730B_0003;
/// TDS 7.4.
pub const TDS_7_4: u32 = 0x7400_0004;

/// What LOGIN7 says.
#[derive(Clone, Debug, Default)]
pub struct Login {
    /// The protocol version the client asks for.
    pub version: u32,
    /// The packet size it asks for, 0 for the server's default.
    pub packet_size: usize,
    /// Its host.
    pub host: String,
    /// The login name.
    pub user: String,
    /// The password.
    pub password: String,
    /// The application.
    pub app: String,
    /// The database, empty for the login's default.
    pub database: String,
    /// Integrated security was asked for.
    pub integrated: bool,
}

/// Reads a LOGIN7 payload.
///
/// # Errors
/// 4002 when it is malformed.
pub fn parse(payload: &[u8]) -> SqlResult<Login> {
    let mut r = Reader::new(payload);
    r.u32()?;
    let version = r.u32()?;
    let packet_size = r.u32()?;
    r.bytes(12)?;
    let (_, flags2) = (r.u8()?, r.u8()?);
    r.bytes(10)?;
    let mut field = || -> SqlResult<&[u8]> {
        let (offset, length) = (usize::from(r.u16()?), usize::from(r.u16()?));
        payload.get(offset..offset + length * 2).ok_or_else(incorrect)
    };
    let (host, user, password, app) = (field()?, field()?, field()?, field()?);
    // Server name, extension or unused, library, language; the extension counts bytes, so it is not looked into.
    for _ in 0..4 {
        let _ = field();
    }
    let database = field()?;
    let hidden: Vec<u8> = password.iter().map(|b| (b ^ 0xA5).rotate_left(4)).collect();
    Ok(Login {
        version,
        packet_size: usize::try_from(packet_size).unwrap_or(0),
        host: text::from_utf16(host),
        user: text::from_utf16(user),
        password: text::from_utf16(&hidden),
        app: text::from_utf16(app),
        database: text::from_utf16(database),
        integrated: flags2 & 0x80 != 0,
    })
}

/// The size of packets from here on.
pub fn packet_size(asked: usize) -> usize {
    if asked == 0 { 4096 } else { asked.clamp(512, 32_767) }
}

/// 18456
pub fn failed(user: &str) -> SqlError {
    SqlError::of(18456, &[&user]).at(1)
}

/// An ENVCHANGE of text.
pub fn env_text(out: &mut Vec<u8>, kind: u8, new: &str, old: &str) {
    let mut body = vec![kind];
    encode::b_varchar(&mut body, new);
    encode::b_varchar(&mut body, old);
    env(out, &body);
}

/// An ENVCHANGE of bytes.
pub fn env_bytes(out: &mut Vec<u8>, kind: u8, new: &[u8], old: &[u8]) {
    let mut body = vec![kind, new.len().to_le_bytes()[0]];
    body.extend_from_slice(new);
    body.push(old.len().to_le_bytes()[0]);
    body.extend_from_slice(old);
    env(out, &body);
}

fn env(out: &mut Vec<u8>, body: &[u8]) {
    out.push(0xE3);
    out.extend_from_slice(&u16::try_from(body.len()).unwrap_or(0).to_le_bytes());
    out.extend_from_slice(body);
}

/// LOGINACK.
pub fn acknowledge(out: &mut Vec<u8>, version: u32) {
    let mut body = vec![1];
    body.extend_from_slice(&version.to_be_bytes());
    encode::b_varchar(&mut body, "Microsoft SQL Server");
    body.extend_from_slice(&[16, 0, 0x03, 0xE8]);
    out.push(0xAD);
    out.extend_from_slice(&u16::try_from(body.len()).unwrap_or(0).to_le_bytes());
    out.extend_from_slice(&body);
}
