//! What an error of the SDK says, in the words of the service or of the network. The SDK's own text is one for
//! programmers.

use std::error::Error as StdError;

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

/// Returns why a call failed: what the service said, or the innermost cause.
pub(crate) fn reason<E>(error: &SdkError<E>) -> String
where
    E: ProvideErrorMetadata + StdError + 'static,
{
    match (error.code(), error.message()) {
        (Some(code), Some(message)) if !message.is_empty() => format!("{code}: {message}"),
        (Some(code), _) => code.to_owned(),
        (None, _) => match error.raw_response() {
            Some(answer) if !answer.status().is_success() => {
                format!("the answer has the status {}", answer.status().as_u16())
            }
            _ => innermost(error),
        },
    }
}

fn innermost(error: &dyn StdError) -> String {
    let mut innermost = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    innermost.to_string()
}
