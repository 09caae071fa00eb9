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
    /// A replica may answer (`ApplicationIntent=ReadOnly`).
    pub read_only: bool,
    /// The access token of a federated login.
    pub token: Option<String>,
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
    let (_, flags2, type_flags, flags3) = (r.u8()?, r.u8()?, r.u8()?, r.u8()?);
    r.bytes(8)?;
    let field = |r: &mut Reader<'_>| -> SqlResult<&[u8]> {
        let (offset, length) = (usize::from(r.u16()?), usize::from(r.u16()?));
        payload.get(offset..offset + length * 2).ok_or_else(incorrect)
    };
    let r = &mut r;
    let (host, user, password, app) = (field(r)?, field(r)?, field(r)?, field(r)?);
    // The server's name.
    r.bytes(4)?;
    let extension = (usize::from(r.u16()?), r.u16()?).0;
    // Library and language.
    r.bytes(8)?;
    let database = field(r)?;
    let token = match flags3 & EXTENSION {
        0 => None,
        _ => token(payload, extension)?,
    };
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
        read_only: type_flags & READ_ONLY != 0,
        token,
    })
}

/// OptionFlags3: features follow.
const EXTENSION: u8 = 0x10;
/// TypeFlags: the login only reads.
const READ_ONLY: u8 = 0x20;
/// The feature of a federated login.
pub const FEDAUTH: u8 = 2;
/// The end of the features.
pub const NO_FEATURE: u8 = 0xFF;
/// In FEDAUTH: the client repeats that the server has said FEDAUTHREQUIRED.
const ECHO: u8 = 1;
/// In FEDAUTH: the client brings its token along.
const SECURITY_TOKEN: u8 = 1;

/// The token among the features, to which the DWORD at `at` points (MS-TDS 2.2.6.4). Every client that is known here brings one
/// along; a token that the server would have to ask for is not taken.
fn token(payload: &[u8], at: usize) -> SqlResult<Option<String>> {
    let at = Reader::new(payload.get(at..).ok_or_else(incorrect)?).u32()?;
    let at = usize::try_from(at).unwrap_or(usize::MAX);
    let mut r = Reader::new(payload.get(at..).ok_or_else(incorrect)?);
    loop {
        let feature = r.u8()?;
        if feature == NO_FEATURE {
            return Ok(None);
        }
        let length = r.u32()?;
        let mut data = Reader::new(r.bytes(usize::try_from(length).unwrap_or(usize::MAX))?);
        if feature == FEDAUTH {
            let options = data.u8()?;
            if options >> 1 != SECURITY_TOKEN || options & ECHO == 0 {
                return Err(incorrect());
            }
            let length = data.u32()?;
            let token = data.bytes(usize::try_from(length).unwrap_or(usize::MAX))?;
            return Ok(Some(text::from_utf16(token)));
        }
    }
}

/// FEATUREEXTACK of a federated login.
pub fn acknowledge_token(out: &mut Vec<u8>) {
    out.extend_from_slice(&[0xAE, FEDAUTH, 0, 0, 0, 0, NO_FEATURE]);
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
