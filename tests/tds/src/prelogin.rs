//! PRELOGIN: the versions, and the agreement on encryption.

use crate::packet;
use crate::reader::Reader;

/// The encryption that a client wishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Only the login is encrypted.
    Off,
    /// Everything is encrypted.
    On,
    /// There is no TLS.
    NotSupported,
    /// Everything must be encrypted.
    Required,
}

/// Returns the first byte of an option in a client's PRELOGIN.
fn option(payload: &[u8], wanted: u8) -> Option<u8> {
    let mut r = Reader::new(payload);
    while let Ok(option) = r.u8() {
        if option == 0xFF {
            break;
        }
        let (Ok(offset), Ok(_)) = (r.u16(), r.u16()) else { break };
        if option == wanted {
            // These numbers are big-endian.
            return payload.get(usize::from(offset.swap_bytes())).copied();
        }
    }
    None
}

/// Returns the client's wish in its PRELOGIN.
pub fn wish(payload: &[u8]) -> Wish {
    match option(payload, 1) {
        Some(1) => Wish::On,
        Some(2) => Wish::NotSupported,
        Some(3) => Wish::Required,
        _ => Wish::Off,
    }
}

/// Returns whether the client can log in by a token (FEDAUTHREQUIRED).
pub fn asks_for_tokens(payload: &[u8]) -> bool {
    option(payload, FEDAUTHREQUIRED) == Some(1)
}

const FEDAUTHREQUIRED: u8 = 6;

/// The answer of a server that does not encrypt.
pub const NOT_SUPPORTED: u8 = 2;

/// Returns the answer to a wish, and whether the connection goes on. Everything is encrypted, as with the server's
/// setting Force Encryption.
pub fn agree(wish: Wish) -> (u8, bool) {
    match wish {
        Wish::NotSupported => (3, false),
        Wish::Off => (3, true),
        Wish::On | Wish::Required => (1, true),
    }
}

/// Makes the server's PRELOGIN packet. Only a client that asks is told that the server takes tokens.
pub fn answer(encryption: u8, takes_tokens: bool) -> Vec<u8> {
    let encryption = [encryption];
    let mut options: Vec<(u8, &[u8])> = vec![
        (0, &[16, 0, 0x03, 0xE8, 0, 0]),
        (1, &encryption),
        (2, &[0]),
        (3, &[]),
        (4, &[0]),
    ];
    if takes_tokens {
        options.push((FEDAUTHREQUIRED, &[1]));
    }
    let mut offset = options.len() * 5 + 1;
    let mut payload = Vec::new();
    for (option, data) in &options {
        payload.push(*option);
        payload.extend_from_slice(&u16::try_from(offset).unwrap_or(0).to_be_bytes());
        payload.extend_from_slice(&u16::try_from(data.len()).unwrap_or(0).to_be_bytes());
        offset += data.len();
    }
    payload.push(0xFF);
    for (_, data) in options {
        payload.extend_from_slice(data);
    }
    packet::frame(packet::RESPONSE, &payload, 4096, true, &mut 0)
}
