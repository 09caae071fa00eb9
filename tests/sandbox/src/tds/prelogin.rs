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

/// The client's wish in its PRELOGIN.
pub fn wish(payload: &[u8]) -> Wish {
    let mut r = Reader::new(payload);
    while let Ok(option) = r.u8() {
        if option == 0xFF {
            break;
        }
        let (Ok(offset), Ok(_)) = (r.u16(), r.u16()) else { break };
        // Offsets are big-endian.
        let at = usize::from(offset.swap_bytes());
        if option == 1 {
            return match payload.get(at) {
                Some(1) => Wish::On,
                Some(2) => Wish::NotSupported,
                Some(3) => Wish::Required,
                _ => Wish::Off,
            };
        }
    }
    Wish::Off
}

/// The answer to a wish, and whether the connection goes on: it is encrypted, as with Force Encryption.
pub fn agree(wish: Wish) -> (u8, bool) {
    match wish {
        Wish::NotSupported => (3, false),
        Wish::Off => (3, true),
        Wish::On | Wish::Required => (1, true),
    }
}

/// The server's PRELOGIN packet.
pub fn answer(encryption: u8) -> Vec<u8> {
    let options: [(u8, &[u8]); 5] = [
        (0, &[16, 0, 0x03, 0xE8, 0, 0]),
        (1, &[encryption]),
        (2, &[0]),
        (3, &[]),
        (4, &[0]),
    ];
    let mut offset = options.len() * 5 + 1;
    let mut payload = Vec::new();
    for (option, data) in options {
        payload.push(option);
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
