//! Says in our words why a connection could not be made, or was lost.

use tidemark::error::{Failure, Fault};

/// What a driver puts before the reason of the last of its attempts.
const LAST: &str = "Last error: ";
/// What a driver puts before the words of the system.
const BEFORE: [&str; 4] = ["Connection Error: ", "Connection closed: ", "IO error: ", "IO Error: "];

/// Returns the failure for the driver's text about a connection that is not there, or is no longer there.
pub(super) fn of_text(text: &str) -> Failure {
    // In rustls's words, a server that goes away has not said goodbye.
    if text.contains("close_notify") {
        return Failure::new(Fault::Unreachable, "the server ended the connection");
    }
    let mut why = text.rsplit(LAST).next().unwrap_or(text);
    while let Some(rest) = BEFORE.iter().find_map(|before| why.strip_prefix(before)) {
        why = rest;
    }
    let failure = Failure::new(Fault::Unreachable, "the connection failed");
    if why.is_empty() {
        failure
    } else {
        failure.caused_by(why)
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use super::*;

    #[test]
    fn the_words_of_the_system_are_left_of_what_a_driver_says() {
        for (text, said) in [
            (
                "Connection Error: All parallel connection attempts failed. Last error: IO error: Connection refused (os error 111)",
                "the connection failed: Connection refused (os error 111)",
            ),
            (
                "IO error: peer closed connection without sending TLS close_notify: https://docs.rs/rustls/latest/rustls/manual",
                "the server ended the connection",
            ),
            (
                "Connection reset by peer (os error 104)",
                "the connection failed: Connection reset by peer (os error 104)",
            ),
            ("Connection closed: ", "the connection failed"),
        ] {
            let failure = of_text(text);
            let cause = failure.source().map(|cause| format!(": {cause}")).unwrap_or_default();
            assert_eq!(format!("{failure}{cause}"), said);
            assert_eq!(failure.fault(), Fault::Unreachable);
        }
    }
}
