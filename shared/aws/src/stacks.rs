//! Reads what is deployed: the parameters and the outputs of a CloudFormation stack.

use std::collections::BTreeMap;

use tidemark::error::{Error, ErrorCode, OfRole, Result, Role};

use crate::service::{Service, code, element, elements};

/// A deployed stack.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stack {
    /// The parameters with which the stack was deployed. CloudFormation shows secret ones as asterisks.
    pub parameters: BTreeMap<String, String>,
    /// The outputs of the stack.
    pub outputs: BTreeMap<String, String>,
}

/// The stacks of an account in a region.
#[derive(Debug, Clone)]
pub struct Stacks {
    pub(crate) service: Service,
}

impl Stacks {
    /// Describes the stack with this name.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when there is none, `InvalidConfig` when there are no credentials or they may not see it, and
    /// `SinkUnavailable` when CloudFormation does not answer.
    pub async fn stack(&self, name: &str) -> Result<Stack> {
        let fields = [
            ("Action", "DescribeStacks"),
            ("Version", "2010-05-15"),
            ("StackName", name),
        ];
        let answer = self.service.post_form(&fields).await;
        let asked = format!("CloudFormation cannot be asked about the stack {name}");
        // What is deployed is around the sink, so a service that does not answer is one of the sink's.
        let answer = answer.map_err(|failure| failure.context(asked)).of(Role::Sink)?;
        let text = String::from_utf8_lossy(&answer.body);
        match answer.status {
            200 => Ok(Stack {
                parameters: pairs(&text, "Parameter"),
                outputs: pairs(&text, "Output"),
            }),
            _ => Err(refused(name, code(&answer).as_deref())),
        }
    }
}

fn refused(name: &str, code: Option<&str>) -> Error {
    let code = code.unwrap_or("no code");
    let (class, hint) = match code {
        "ValidationError" => (
            ErrorCode::InvalidInput,
            "there is no such stack in this region: AWS_REGION names the region",
        ),
        "AccessDenied" => (ErrorCode::InvalidConfig, "allow cloudformation:DescribeStacks"),
        _ => (ErrorCode::InvalidConfig, "check region and credentials"),
    };
    Error::new(
        class,
        format!("CloudFormation does not describe the stack {name} ({code}): {hint}"),
    )
}

/// Returns the keys and values in the list of this kind.
fn pairs(text: &str, kind: &str) -> BTreeMap<String, String> {
    let (key, value) = (format!("{kind}Key"), format!("{kind}Value"));
    let list = element(text, &format!("{kind}s")).unwrap_or_default();
    let pairs = elements(list, "member").filter_map(|member| {
        let value = element(member, &value).unwrap_or_default();
        Some((plain(element(member, &key)?), plain(value)))
    });
    pairs.collect()
}

/// Resolves the escapes of XML in a text.
fn plain(text: &str) -> String {
    let escapes = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#34;", "\""),
        ("&apos;", "'"),
        ("&#39;", "'"),
        ("&amp;", "&"),
    ];
    escapes
        .iter()
        .fold(text.to_owned(), |text, (escape, plain)| text.replace(escape, plain))
}

#[cfg(test)]
mod tests {
    use aws_credential_types::Credentials;
    use aws_credential_types::provider::error::CredentialsError;
    use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};

    use super::*;
    use crate::http::Http;

    /// A provider without credentials.
    #[derive(Debug)]
    struct Nobody;

    impl ProvideCredentials for Nobody {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            future::ProvideCredentials::ready(Err(CredentialsError::not_loaded("nobody")))
        }
    }

    /// Asks for a stack where nothing listens.
    async fn asked(credentials: SharedCredentialsProvider) -> ErrorCode {
        let service = Service {
            http: Http::default(),
            name: "cloudformation",
            endpoint: "http://127.0.0.1:1".to_owned(),
            region: "eu-west-1".to_owned(),
            credentials,
            attempts: 1,
        };
        Stacks { service }.stack("mine").await.unwrap_err().code()
    }

    #[tokio::test]
    async fn a_process_without_credentials_is_told_from_a_service_that_does_not_answer() {
        let credentials = SharedCredentialsProvider::new(Nobody);
        assert_eq!(asked(credentials).await, ErrorCode::InvalidConfig);
        let credentials = Credentials::new("key", "secret", None, None, "test");
        let credentials = SharedCredentialsProvider::new(credentials);
        assert_eq!(asked(credentials).await, ErrorCode::SinkUnavailable);
    }

    #[test]
    fn a_stack_has_its_parameters_and_outputs() {
        let answer = "<DescribeStacksResponse><DescribeStacksResult><Stacks><member><StackName>s</StackName>\
            <Parameters><member><ParameterKey>SinkPrefix</ParameterKey><ParameterValue>a&amp;b</ParameterValue></member>\
            <member><ParameterKey>SourceHost</ParameterKey><ParameterValue/></member></Parameters>\
            <Outputs><member><OutputKey>BucketName</OutputKey><OutputValue>lake</OutputValue></member></Outputs>\
            </member></Stacks></DescribeStacksResult></DescribeStacksResponse>";
        let parameters = pairs(answer, "Parameter");
        assert_eq!(parameters.get("SinkPrefix").map(String::as_str), Some("a&b"));
        assert_eq!(parameters.get("SourceHost").map(String::as_str), Some(""));
        assert_eq!(
            pairs(answer, "Output").get("BucketName").map(String::as_str),
            Some("lake")
        );
    }

    #[test]
    fn a_stack_that_is_not_there_is_told_from_one_that_may_not_be_seen() {
        for (code, class) in [
            (Some("ValidationError"), ErrorCode::InvalidInput),
            (Some("AccessDenied"), ErrorCode::InvalidConfig),
            (None, ErrorCode::InvalidConfig),
        ] {
            let error = refused("mine", code);
            assert_eq!(error.code(), class);
            assert!(error.to_string().contains("mine"), "{error}");
        }
    }
}
