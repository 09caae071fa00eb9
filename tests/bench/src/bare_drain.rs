//! The bare drain, with which everything is compared.

use tidemark_replay::drain::{Address, Drain};
use tidemark_sqlserver::login::Login;

use crate::Failure;

/// Logs in.
///
/// # Errors
///
/// Those of the network and of the login.
pub fn connect(login: &Login) -> Result<Drain, Failure> {
    let address = Address {
        host: &login.host,
        port: login.port,
        username: login.username(),
        password: login.password(),
        database: &login.database,
    };
    Ok(Drain::connect(address)?)
}
