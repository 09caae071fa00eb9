//! What a server says of itself.

use tidemark::error::Answer;

use crate::answers::{single, unexpected_answer};
use crate::session::Server;
use crate::statements::inventory;

impl Server {
    /// Logs in and asks the server for its version and edition.
    ///
    /// # Errors
    ///
    /// `Unreachable` when nobody answers, and `Refused` when the login, the database or the certificate is not accepted.
    pub async fn greet(&self) -> Answer<String> {
        let rows = self.rows(&inventory::version()).await?;
        let row = single(&rows)?;
        let text = |column: usize| row.try_get::<&str, _>(column).map_err(|_| unexpected_answer());
        let (version, edition) = (text(0)?.unwrap_or_default(), text(1)?.unwrap_or_default());
        Ok(format!("{version} {edition}").trim().to_owned())
    }
}
