//! PRELOGIN: versions and the agreement on encryption.

use super::packet;
use super::reader::Reader;

/// Encryption as a client or the server says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Only the login is encrypted.
    Off,
    /// Everything is.
    On,
    /// There is no TLS.
    NotSupported,
    /// Everything must be.
    Required,
}

/// What is agreed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agreement {
    /// TLS from here on.
    Full,
    /// TLS for the login packet only.
    LoginOnly,
    /// No TLS.
    None,
    /// The two sides cannot meet; the server answers and closes.
    Refused,
}

/// What the server offers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encryption {
    /// Every connection is encrypted, as with Force Encryption.
    #[default]
    Required,
    /// The client chooses; by default only the login is encrypted.
    Optional,
    /// No TLS at all.
    None,
}

/// The first byte of an option in a client's PRELOGIN.
fn option(payload: &[u8], wanted: u8) -> Option<u8> {
    let mut r = Reader::new(payload);
    while let Ok(option) = r.u8() {
        if option == 0xFF {
            break;
        }
        let (Ok(offset), Ok(_)) = (r.u16(), r.u16()) else { break };
        if option == wanted {
            // Offsets are big-endian.
            return payload.get(usize::from(offset.swap_bytes())).copied();
        }
    }
    None
}

/// The client's wish in its PRELOGIN.
pub fn wish(payload: &[u8]) -> Wish {
    match option(payload, 1) {
        Some(1) => Wish::On,
        Some(2) => Wish::NotSupported,
        Some(3) => Wish::Required,
        _ => Wish::Off,
    }
}

/// Whether the client can log in by a token (FEDAUTHREQUIRED).
pub fn asks_for_tokens(payload: &[u8]) -> bool {
    option(payload, FEDAUTHREQUIRED) == Some(1)
}

const FEDAUTHREQUIRED: u8 = 6;

/// What the two sides agree on, and the server's answer.
pub fn agree(offer: Encryption, wish: Wish) -> (Agreement, u8) {
    match (offer, wish) {
        (Encryption::None, Wish::On | Wish::Required) => (Agreement::Refused, 2),
        (Encryption::None, _) => (Agreement::None, 2),
        (Encryption::Required, Wish::NotSupported) => (Agreement::Refused, 3),
        (Encryption::Required, Wish::Off) => (Agreement::Full, 3),
        (_, Wish::On | Wish::Required) => (Agreement::Full, 1),
        (Encryption::Optional, Wish::Off) => (Agreement::LoginOnly, 0),
        (Encryption::Optional, Wish::NotSupported) => (Agreement::None, 2),
    }
}

/// The server's PRELOGIN packet. Whether it takes tokens it says only who asks for it.
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
