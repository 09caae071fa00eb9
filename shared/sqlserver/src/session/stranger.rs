//! Finds out whether something else than a SQL Server answers at an address, when a login failed in a way that does not
//! tell. Drivers only say that they did not understand the answer, or that none came.

use std::time::Duration;

use tidemark::error::{Failure, Fault};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::login::Login;

/// How long the answer to one packet may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// A PRELOGIN packet (MS-TDS 2.2.6.5): the version of the client, and no encryption asked for.
const PRELOGIN: [u8; 26] = [
    0x12, 1, 0, 26, 0, 0, 1, 0, // the header
    0, 0, 11, 0, 6, 1, 0, 17, 0, 1, 0xFF, // the options
    0, 0, 0, 0, 0, 0, 0, // their values
];
/// The type of every packet of a server.
const ANSWER: u8 = 4;

/// What answers a first packet.
enum Met {
    /// Nothing takes the connection, or it is ended without an answer.
    Nothing,
    /// The connection is taken, and nothing is said.
    Silence,
    /// A SQL Server.
    Server,
    /// Something else.
    Stranger,
}

/// Returns why a login failed, when who answers there tells more than `failure` does. `connect` is the time that the login
/// had.
pub(super) async fn explained(failure: Failure, login: &Login, connect: Duration) -> Failure {
    match meet(login).await {
        Met::Stranger => Failure::new(
            Fault::Refused,
            "what answers there does not speak SQL Server's protocol: check host and port",
        ),
        Met::Silence => Failure::new(
            Fault::Unreachable,
            format!(
                "the server took the connection and did not finish the login within {} s: is this SQL Server's port?",
                connect.as_secs()
            ),
        ),
        Met::Nothing | Met::Server => failure,
    }
}

async fn meet(login: &Login) -> Met {
    let connected = TcpStream::connect((login.host.as_str(), login.port));
    let Ok(Ok(mut stream)) = tokio::time::timeout(PATIENCE, connected).await else {
        return Met::Nothing;
    };
    let answer = async {
        stream.write_all(&PRELOGIN).await?;
        stream.read_u8().await
    };
    match tokio::time::timeout(PATIENCE, answer).await {
        Ok(Ok(ANSWER)) => Met::Server,
        Ok(Ok(_)) => Met::Stranger,
        Ok(Err(_)) => Met::Nothing,
        Err(_) => Met::Silence,
    }
}
