//! LOGIN7, which says who logs in, and the tokens of its answer.

use crate::reader::{Malformed, Read, Reader};
use crate::tokens::{COLLATION, LANGUAGE, PACKET_SIZE, b_varchar, env_bytes, env_text, from_utf16, with_length};

/// TDS 7.3 revision A, the oldest version that has the newer date types.
pub const TDS_7_3: u32 = 0x730A_0003;
/// TDS 7.3 revision B, the first with compressed rows.
pub const TDS_7_3_B: u32 = 0x730B_0003;
/// TDS 7.4.
const TDS_7_4: u32 = 0x7400_0004;

/// The content of LOGIN7.
#[derive(Clone, Debug, Default)]
pub struct Login {
    /// The protocol version that the client asks for.
    pub version: u32,
    /// The size of packets after the login: what the client asks for within the protocol's limits, or the default.
    pub packet_bytes: usize,
    /// The client's host.
    pub host: String,
    /// The login's name.
    pub user: String,
    /// The password.
    pub password: String,
    /// The name of the application.
    pub app: String,
    /// The database, empty for the login's default.
    pub database: String,
    /// The language that the session is to have, empty for the login's own.
    pub language: String,
    /// Whether the session begins with the settings of ODBC, by which for example NULL is not equal to NULL.
    pub odbc: bool,
    /// Whether integrated security is asked for.
    pub integrated: bool,
    /// Whether a replica may answer (`ApplicationIntent=ReadOnly`).
    pub read_only: bool,
    /// The access token of a federated login.
    pub token: Option<String>,
}

/// Reads a LOGIN7 payload.
///
/// Fails when it is malformed.
pub fn parse(payload: &[u8]) -> Read<Login> {
    let mut r = Reader::new(payload);
    r.u32()?;
    let version = r.u32()?;
    let packet_size = r.u32()?;
    r.bytes(12)?;
    let (_, flags2, type_flags, flags3) = (r.u8()?, r.u8()?, r.u8()?, r.u8()?);
    r.bytes(8)?;
    let field = |r: &mut Reader<'_>| -> Read<&[u8]> {
        let (offset, length) = (usize::from(r.u16()?), usize::from(r.u16()?));
        payload.get(offset..offset + length * 2).ok_or(Malformed)
    };
    let r = &mut r;
    let (host, user, password, app) = (field(r)?, field(r)?, field(r)?, field(r)?);
    // The server's name.
    r.bytes(4)?;
    let extension = (usize::from(r.u16()?), r.u16()?).0;
    // The library.
    r.bytes(4)?;
    let (language, database) = (field(r)?, field(r)?);
    let token = match flags3 & EXTENSION {
        0 => None,
        _ => token(payload, extension)?,
    };
    let hidden: Vec<u8> = password.iter().map(|b| (b ^ 0xA5).rotate_left(4)).collect();
    Ok(Login {
        version,
        packet_bytes: match packet_size {
            0 => 4096,
            asked => usize::try_from(asked).unwrap_or(0).clamp(512, 32_767),
        },
        host: from_utf16(host),
        user: from_utf16(user),
        password: from_utf16(&hidden),
        app: from_utf16(app),
        database: from_utf16(database),
        language: from_utf16(language),
        odbc: flags2 & ODBC != 0,
        integrated: flags2 & 0x80 != 0,
        read_only: type_flags & READ_ONLY != 0,
        token,
    })
}

/// OptionFlags2: the session begins with the settings of ODBC.
const ODBC: u8 = 0x02;
/// OptionFlags3: features follow.
const EXTENSION: u8 = 0x10;
/// TypeFlags: the login only reads.
const READ_ONLY: u8 = 0x20;
/// The feature of a federated login.
const FEDAUTH: u8 = 2;
/// The end of the features.
const NO_FEATURE: u8 = 0xFF;
/// In FEDAUTH: the client repeats that the server has said FEDAUTHREQUIRED.
const ECHO: u8 = 1;
/// In FEDAUTH: the client brings its token along.
const SECURITY_TOKEN: u8 = 1;

/// Returns the token among the features, to which the DWORD at `at` points (MS-TDS 2.2.6.4). A client must send its
/// token with the login, as all clients known here do. One for which the server would have to ask is malformed.
fn token(payload: &[u8], at: usize) -> Read<Option<String>> {
    let at = Reader::new(payload.get(at..).ok_or(Malformed)?).u32()?;
    let at = usize::try_from(at).unwrap_or(usize::MAX);
    let mut r = Reader::new(payload.get(at..).ok_or(Malformed)?);
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
                return Err(Malformed);
            }
            let length = data.u32()?;
            let token = data.bytes(usize::try_from(length).unwrap_or(usize::MAX))?;
            return Ok(Some(from_utf16(token)));
        }
    }
}

/// `SQL_Latin1_General_CP1_CI_AS`: sort id 52 with LCID 0x409.
pub const LATIN1: [u8; 5] = [0x09, 0x04, 0xD0, 0x00, 0x34];

/// Writes the tokens that let a client in, except for its database: the language, the collation, the version and the
/// size of packets.
pub fn acknowledge(out: &mut Vec<u8>, login: &Login) {
    env_bytes(out, COLLATION, &LATIN1, &[]);
    env_text(out, LANGUAGE, "us_english", "");
    let mut body = vec![1];
    // The version 8.0 is 0x08000000, which is less than any other version.
    body.extend_from_slice(&login.version.min(TDS_7_4).to_be_bytes());
    b_varchar(&mut body, "Microsoft SQL Server");
    body.extend_from_slice(&[16, 0, 0x03, 0xE8]);
    with_length(out, 0xAD, &body);
    if login.token.is_some() {
        out.extend_from_slice(&[0xAE, FEDAUTH, 0, 0, 0, 0, NO_FEATURE]);
    }
    env_text(out, PACKET_SIZE, &login.packet_bytes.to_string(), "4096");
}
