//! The login of a measured process.

use tidemark_replay::server::Replay;
use tidemark_sqlserver::login::Login;

/// Makes the login to a replaying server.
pub fn login(server: &Replay) -> Login {
    Login::new("127.0.0.1", server.port(), "reader", "replay", "db")
}
