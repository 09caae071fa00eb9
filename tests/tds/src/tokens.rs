//! The tokens that every server sends, and text as they have it.

/// ERROR.
pub const ERROR: u8 = 0xAA;
/// INFO.
pub const INFO: u8 = 0xAB;
/// DONE.
pub const DONE: u8 = 0xFD;
/// DONEPROC.
pub const DONE_PROC: u8 = 0xFE;
/// DONEINPROC.
pub const DONE_IN_PROC: u8 = 0xFF;

/// The kind of ENVCHANGE that names the database.
pub const DATABASE: u8 = 1;
pub(crate) const LANGUAGE: u8 = 2;
pub(crate) const PACKET_SIZE: u8 = 4;
pub(crate) const COLLATION: u8 = 7;

/// Returns text as UTF-16 little endian.
pub fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// Returns the text of UTF-16 little endian bytes. Unpaired surrogates become U+FFFD.
pub fn from_utf16(bytes: &[u8]) -> String {
    let units = bytes.chunks_exact(2).map(|p| u16::from_le_bytes([p[0], p[1]]));
    char::decode_utf16(units)
        .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}

/// Writes text with a length byte, and cuts it after 255 code units.
pub fn b_varchar(out: &mut Vec<u8>, s: &str) {
    let units: Vec<u16> = s.encode_utf16().take(255).collect();
    out.push(units.len().to_le_bytes()[0]);
    out.extend(units.into_iter().flat_map(u16::to_le_bytes));
}

/// Writes text with a two-byte length, and cuts it after 65,535 code units.
pub fn us_varchar(out: &mut Vec<u8>, s: &str) {
    let units: Vec<u16> = s.encode_utf16().take(65_535).collect();
    out.extend_from_slice(&u16::try_from(units.len()).unwrap_or(u16::MAX).to_le_bytes());
    out.extend(units.into_iter().flat_map(u16::to_le_bytes));
}

/// Writes a token whose body has a two-byte length.
pub fn with_length(out: &mut Vec<u8>, token: u8, body: &[u8]) {
    out.push(token);
    out.extend_from_slice(&u16::try_from(body.len()).unwrap_or(u16::MAX).to_le_bytes());
    out.extend_from_slice(body);
}

/// Writes an ENVCHANGE of text.
pub fn env_text(out: &mut Vec<u8>, kind: u8, new: &str, old: &str) {
    let mut body = vec![kind];
    b_varchar(&mut body, new);
    b_varchar(&mut body, old);
    with_length(out, 0xE3, &body);
}

/// Writes an ENVCHANGE of bytes.
pub fn env_bytes(out: &mut Vec<u8>, kind: u8, new: &[u8], old: &[u8]) {
    let mut body = vec![kind, new.len().to_le_bytes()[0]];
    body.extend_from_slice(new);
    body.push(old.len().to_le_bytes()[0]);
    body.extend_from_slice(old);
    with_length(out, 0xE3, &body);
}

/// The content of an ERROR or an INFO.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// Its number.
    pub number: i32,
    /// Its state.
    pub state: u8,
    /// Its severity.
    pub class: u8,
    /// Its text.
    pub message: &'a str,
    /// The procedure that it comes from, empty for a batch.
    pub procedure: &'a str,
    /// The line of the batch or of the procedure.
    pub line: u32,
}

/// Writes an ERROR or an INFO of a server.
pub fn message(out: &mut Vec<u8>, token: u8, server: &str, told: &Told<'_>) {
    let mut body = told.number.to_le_bytes().to_vec();
    body.extend([told.state, told.class]);
    us_varchar(&mut body, told.message);
    b_varchar(&mut body, server);
    b_varchar(&mut body, told.procedure);
    body.extend_from_slice(&told.line.to_le_bytes());
    with_length(out, token, &body);
}

/// Writes a DONE, DONEPROC or DONEINPROC, as `token` says.
pub fn done(out: &mut Vec<u8>, token: u8, status: u16, command: u16, count: u64) {
    out.push(token);
    out.extend_from_slice(&status.to_le_bytes());
    out.extend_from_slice(&command.to_le_bytes());
    out.extend_from_slice(&count.to_le_bytes());
}
