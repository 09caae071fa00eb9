//! The protocol: packets, login, tokens, types on the wire, requests.

pub mod bulk;
pub mod decode;
pub mod dispatch;
pub mod encode;
pub mod login;
pub mod packet;
pub mod prelogin;
pub mod reader;
pub mod rpc;
pub mod wire;
