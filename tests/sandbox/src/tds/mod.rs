//! The protocol after the login: requests, tokens, types on the wire.

pub mod bulk;
pub mod decode;
pub mod dispatch;
pub mod encode;
pub mod rpc;
pub mod wire;

use crate::error::SqlError;

/// 4002, a payload is not what the protocol says.
pub fn incorrect() -> SqlError {
    SqlError::of(4002, &[])
}
