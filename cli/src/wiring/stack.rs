//! The deployed stack that `--stack` names, from which source and sink are taken.

use std::sync::OnceLock;

use tidemark::error::{Error, ErrorCode, Result};
use tidemark::model::bucket::{BucketFacts, Encryption};
use tidemark::model::names::ObjectName;
use tidemark::model::server::{ServerSettings, Tls};
use tidemark_aws::clients::Aws;
use tidemark_aws::stacks::Stack;

/// The stack that this process was told of.
static DEPLOYED: OnceLock<Stack> = OnceLock::new();

/// A control table, and the procedure that moves its watermarks.
pub(crate) struct Control {
    /// The table.
    pub(crate) table: ObjectName,
    /// The procedure.
    pub(crate) procedure: ObjectName,
}

/// Finds the stack with this name, and keeps it for all that is opened later.
pub(crate) async fn find(name: &str) -> Result<()> {
    let stack = Aws::stacks()?.stack(name).await?;
    // A command line has one stack, so this is set once.
    DEPLOYED.get_or_init(|| stack);
    Ok(())
}

/// Returns the stack, if one was named.
pub(crate) fn deployed() -> Option<&'static Stack> {
    DEPLOYED.get()
}

/// Returns where a stack writes: `s3://bucket/prefix`.
pub(crate) fn sink_of(stack: &Stack) -> Result<String> {
    let bucket = required(stack.outputs.get("BucketName"), "output BucketName")?;
    let prefix = stack.parameters.get("SinkPrefix").map_or("tidemark", String::as_str);
    Ok(format!("s3://{bucket}/{prefix}").trim_end_matches('/').to_owned())
}

/// Returns what the functions of a stack say of its bucket in every call.
pub(crate) fn facts_of(stack: &Stack) -> BucketFacts {
    // Unless another account is given, the bucket is in that of the stack, which is part of the ARN of its state
    // machine.
    let own = || {
        let arn = stack.outputs.get("StateMachineArn")?;
        arn.split(':').nth(4).filter(|id| !id.is_empty()).map(str::to_owned)
    };
    BucketFacts {
        owner: given(stack, "SinkBucketOwner").or_else(own),
        // The template refuses what is no encryption.
        encryption: Encryption::given(given(stack, "SinkEncryption").as_deref(), given(stack, "KmsKeyArn"))
            .unwrap_or_default(),
        signs_payloads: given(stack, "SinkSignedPayloads").as_deref() == Some("true"),
    }
}

/// Returns the secret with the key with which a stack hashes masked columns, if it has one.
pub(crate) fn mask_secret_of(stack: &Stack) -> Option<String> {
    given(stack, "MaskSecretArn")
}

fn given(stack: &Stack, name: &str) -> Option<String> {
    stack.parameters.get(name).filter(|value| !value.is_empty()).cloned()
}

/// Returns the server that a stack reads from.
pub(crate) fn server_of(stack: &Stack) -> Result<ServerSettings> {
    let secret = required(stack.outputs.get("SourceSecretArn"), "output SourceSecretArn")?;
    let given = |name: &str| given(stack, name);
    Ok(ServerSettings {
        host: given("SourceHost"),
        port: given("SourcePort").and_then(|port| port.parse().ok()),
        database: given("SourceDatabase"),
        read_intent: given("SourceReadIntent").as_deref() == Some("true"),
        tls: given("SourceTls").as_deref().and_then(Tls::named),
        ..ServerSettings::of_secret(secret)
    })
}

/// Returns the control table of a stack that keeps its watermarks in one.
pub(crate) fn control_of(stack: &Stack) -> Result<Option<Control>> {
    let given = |name: &str| stack.parameters.get(name).map(String::as_str).unwrap_or_default();
    if given("WatermarkStore") != "sql" {
        return Ok(None);
    }
    if !given("WatermarkSecretArn").is_empty() {
        let message = "the stack keeps its watermarks in a control table of another server than its source's, which this command \
                       does not reach: start the state machine instead";
        return Err(Error::new(ErrorCode::InvalidConfig, message));
    }
    Ok(Some(Control {
        table: given("WatermarkTable").parse()?,
        procedure: given("WatermarkProcedure").parse()?,
    }))
}

fn required<'a>(value: Option<&'a String>, what: &str) -> Result<&'a str> {
    let value = value.filter(|value| !value.is_empty());
    value.map(String::as_str).ok_or_else(|| {
        let message = format!("the stack has no {what}: is it one of Tidemark's, and deployed to its end?");
        Error::new(ErrorCode::InvalidInput, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stack(parameters: &[(&str, &str)]) -> Stack {
        let pairs = |pairs: &[(&str, &str)]| {
            pairs
                .iter()
                .map(|(key, value)| ((*key).into(), (*value).into()))
                .collect()
        };
        Stack {
            parameters: pairs(parameters),
            outputs: pairs(&[
                ("BucketName", "lake"),
                ("SourceSecretArn", "arn:s"),
                (
                    "StateMachineArn",
                    "arn:aws:states:eu-west-1:111122223333:stateMachine:mine",
                ),
            ]),
        }
    }

    #[test]
    fn source_and_sink_are_those_of_the_stack() {
        let stack = stack(&[
            ("SinkPrefix", "raw"),
            ("SourceHost", ""),
            ("SourcePort", "1444"),
            ("SourceTls", "strict"),
            ("WatermarkStore", "s3"),
        ]);
        assert_eq!(sink_of(&stack).unwrap(), "s3://lake/raw");
        let server = server_of(&stack).unwrap();
        assert_eq!(
            (server.secret.as_str(), server.host, server.port),
            ("arn:s", None, Some(1444))
        );
        assert_eq!(server.tls, Some(Tls::Strict));
        assert!(control_of(&stack).unwrap().is_none());
        let empty = sink_of(&Stack::default()).unwrap_err();
        assert!(empty.to_string().contains("BucketName"), "{empty}");
    }

    #[test]
    fn bucket_source_and_hashes_are_treated_as_the_functions_treat_them() {
        let plain = stack(&[
            ("SinkBucketOwner", ""),
            ("KmsKeyArn", ""),
            ("SourceReadIntent", "false"),
        ]);
        let own = BucketFacts {
            owner: Some("111122223333".to_owned()),
            ..BucketFacts::default()
        };
        assert_eq!(facts_of(&plain), own);
        assert!(!server_of(&plain).unwrap().read_intent);
        assert_eq!(mask_secret_of(&plain), None);
        let full = stack(&[
            ("SinkBucketOwner", "444455556666"),
            ("KmsKeyArn", "arn:key"),
            ("SinkSignedPayloads", "true"),
            ("SourceReadIntent", "true"),
            ("MaskSecretArn", "arn:mask"),
        ]);
        let facts = BucketFacts {
            owner: Some("444455556666".to_owned()),
            encryption: Encryption::Kms(Some("arn:key".to_owned())),
            signs_payloads: true,
        };
        assert_eq!(facts_of(&full), facts);
        let demanded = stack(&[("SinkEncryption", "AES256")]);
        assert_eq!(facts_of(&demanded).encryption, Encryption::S3);
        assert!(server_of(&full).unwrap().read_intent);
        assert_eq!(mask_secret_of(&full).as_deref(), Some("arn:mask"));
    }

    #[test]
    fn a_control_table_is_found_where_the_source_is() {
        let parameters = [
            ("WatermarkStore", "sql"),
            ("WatermarkTable", "dbo.watermarktable"),
            ("WatermarkProcedure", "dbo.usp_write_watermark"),
        ];
        let control = control_of(&stack(&parameters)).unwrap().unwrap();
        assert_eq!(control.table.to_string(), "dbo.watermarktable");
        let elsewhere = [&parameters[..], &[("WatermarkSecretArn", "arn:other")]].concat();
        let error = control_of(&stack(&elsewhere)).err().unwrap();
        assert_eq!(error.code(), ErrorCode::InvalidConfig);
    }
}
