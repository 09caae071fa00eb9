//! The protocol after the login: requests, tokens, types on the wire.

pub mod bulk;
pub mod decode;
pub mod dispatch;
pub mod encode;
pub mod rpc;
pub mod wire;

use crate::error::SqlError;

/// Makes 4002, for a payload that is not what the protocol says.
pub fn incorrect() -> SqlError {
    SqlError::of(4002, &[])
}
