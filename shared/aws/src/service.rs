//! Sends requests to AWS services of which one operation is used. It signs the requests itself, because the SDKs of
//! these services would be larger than what is used of them.

use std::time::{Duration, SystemTime};

use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::identity::Identity;
use aws_smithy_types::body::SdkBody;
use aws_types::SdkConfig;
use http::{Request, header};
use tidemark::error::{Answer, Error, ErrorCode, Failure, Fault, Result};

use crate::http::{Answered, BoxError, Http};

/// The number of attempts at a request that may succeed the next time, unless the configuration has another.
pub(crate) const ATTEMPTS: u32 = 3;
/// The pause before the second attempt. The next one is ten times as long, up to [`LONGEST_PAUSE`].
const PAUSE: Duration = Duration::from_millis(100);
/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// The codes with which an overloaded service answers with HTTP 400
/// (<https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html>).
const THROTTLED: [&str; 5] = [
    "ThrottlingException",
    "Throttling",
    "ThrottledException",
    "RequestLimitExceeded",
    "TooManyRequestsException",
];

/// One service in one region, with the credentials of this process.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    pub(crate) http: Http,
    /// The name of the service in signatures and host names.
    pub(crate) name: &'static str,
    pub(crate) endpoint: String,
    pub(crate) region: String,
    pub(crate) credentials: SharedCredentialsProvider,
    /// The number of attempts at a request that may succeed the next time.
    pub(crate) attempts: u32,
}

impl Service {
    /// Makes the service of a configuration, or `None` without a region or credentials.
    pub(crate) fn of(name: &'static str, config: &SdkConfig, http: &Http) -> Option<Self> {
        let (region, credentials) = (config.region()?.to_string(), config.credentials_provider()?);
        let endpoint = match config.endpoint_url() {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => endpoint(
                name,
                &region,
                config.use_fips() == Some(true),
                config.use_dual_stack() == Some(true),
            ),
        };
        Some(Self {
            http: http.clone(),
            name,
            endpoint,
            region,
            credentials,
            attempts: config.retry_config().map_or(ATTEMPTS, |retries| retries.max_attempts()),
        })
    }

    /// Posts a form, as services that speak XML expect it, and returns the answer.
    ///
    /// # Errors
    ///
    /// `InvalidConfig` without credentials, and `Unreachable` when the service cannot be reached or has no answer for
    /// now. The caller knows what it needs the service for.
    pub(crate) async fn post_form(&self, fields: &[(&str, &str)]) -> Answer<Answered> {
        let address = format!("{}/", self.endpoint);
        self.answered(|| form(&address, fields)).await
    }

    /// Posts a document, as services that speak JSON expect it, and returns the answer.
    ///
    /// # Errors
    ///
    /// Those of [`post_form`](Self::post_form).
    pub(crate) async fn post_json(&self, operation: &str, document: &serde_json::Value) -> Answer<Answered> {
        let address = format!("{}/", self.endpoint);
        let request = || {
            let request = Request::post(&address)
                .header(header::CONTENT_TYPE, "application/x-amz-json-1.1")
                .header("x-amz-target", operation)
                .body(SdkBody::from(document.to_string()));
            request.map_err(|_| no_url(&address))
        };
        self.answered(request).await
    }

    async fn answered(&self, request: impl Fn() -> Result<Request<SdkBody>>) -> Answer<Answered> {
        let credentials = self.credentials.provide_credentials().await;
        let credentials = credentials.map_err(|error| {
            Error::with_source(
                ErrorCode::InvalidConfig,
                "there are no credentials of AWS: check the role, or set them as variables",
                error,
            )
        })?;
        let identity = credentials.into();
        let request = || self.signed(request()?, &identity);
        ask(&self.http, self.name, self.attempts, request).await
    }

    /// Signs a request with the AWS signature (Signature Version 4).
    fn signed(&self, mut request: Request<SdkBody>, identity: &Identity) -> Result<Request<SdkBody>> {
        let not_signed = || {
            Error::new(
                ErrorCode::Internal,
                format!("a request to {} cannot be signed", self.name),
            )
        };
        let params = v4::SigningParams::builder()
            .identity(identity)
            .region(&self.region)
            .name(self.name)
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|_| not_signed())?;
        let address = request.uri().to_string();
        let headers = request.headers().iter();
        let headers = headers.filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
        let body = SignableBody::Bytes(request.body().bytes().unwrap_or_default());
        let signable = SignableRequest::new("POST", &address, headers, body).map_err(|_| not_signed())?;
        let (instructions, _) = sign(signable, &params.into()).map_err(|_| not_signed())?.into_parts();
        instructions.apply_to_request_http1x(&mut request);
        Ok(request)
    }
}

/// The partitions of AWS whose addresses end otherwise than in the public one: how their regions begin, how their
/// addresses end, and how those with IPv6 do, as the SDK has them.
const PARTITIONS: [(&str, &str, &str); 6] = [
    ("cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn"),
    ("eusc-", "amazonaws.eu", "api.amazonwebservices.eu"),
    ("us-iso-", "c2s.ic.gov", "api.aws.ic.gov"),
    ("us-isob-", "sc2s.sgov.gov", "api.aws.scloud"),
    ("eu-isoe-", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"),
    ("us-isof-", "csp.hci.ic.gov", "api.aws.hci.ic.gov"),
];
/// The public partition, whose addresses GovCloud has, too.
const PUBLIC: (&str, &str, &str) = ("", "amazonaws.com", "api.aws");

/// Returns the address of a service (<https://docs.aws.amazon.com/general/latest/gr/rande.html>).
fn endpoint(service: &str, region: &str, uses_fips: bool, uses_dual_stack: bool) -> String {
    let partition = PARTITIONS.iter().find(|(begin, ..)| region.starts_with(begin));
    let (_, suffix, dual_stack) = partition.unwrap_or(&PUBLIC);
    let suffix = if uses_dual_stack { dual_stack } else { suffix };
    // In GovCloud the plain addresses of these two are those of FIPS 140, and there are no others.
    let is_fips_already = region.starts_with("us-gov-") && matches!(service, "sts" | "cloudformation");
    let fips = if uses_fips && !is_fips_already { "-fips" } else { "" };
    format!("https://{service}{fips}.{region}.{suffix}")
}

/// Sends a request and returns the answer. While the service fails temporarily, it is asked up to `attempts` times,
/// with pauses. `whom` names the service in errors.
///
/// # Errors
///
/// `Unreachable` when there is no answer, or the last answer is a temporary failure.
pub(crate) async fn ask(
    http: &Http,
    whom: &str,
    attempts: u32,
    request: impl Fn() -> Result<Request<SdkBody>>,
) -> Answer<Answered> {
    let mut pause = PAUSE;
    let mut attempt = 1;
    loop {
        let failure = match http.send(request()?).await {
            Ok(answer) if !is_for_now(&answer) => return Ok(answer),
            Ok(answer) => Failure::new(
                Fault::Unreachable,
                format!("{whom} does not answer for now (HTTP {})", answer.status),
            ),
            Err(error) => unreachable(whom, error),
        };
        if attempt >= attempts {
            return Err(failure);
        }
        let (random, _) = uuid::Uuid::new_v4().as_u64_pair();
        tokio::time::sleep(spread(pause, random)).await;
        (attempt, pause) = (attempt + 1, longer(pause));
    }
}

/// Returns the pause after this one.
fn longer(pause: Duration) -> Duration {
    (pause * 10).min(LONGEST_PAUSE)
}

/// Returns between half of a pause and all of it, so that those who were refused together do not come again together.
fn spread(pause: Duration, random: u64) -> Duration {
    let half = pause / 2;
    let most = u64::try_from(half.as_micros()).unwrap_or(u64::MAX).max(1);
    half + Duration::from_micros(random % most)
}

/// Returns whether the answer is a temporary failure.
fn is_for_now(answer: &Answered) -> bool {
    let is_throttled = || code(answer).is_some_and(|code| THROTTLED.contains(&code.as_str()));
    answer.status >= 500 || answer.status == 429 || (answer.status >= 400 && is_throttled())
}

fn unreachable(whom: &str, error: BoxError) -> Failure {
    let message = format!("{whom} cannot be reached: check the network, and the VPC's endpoint for it");
    Failure::new(Fault::Unreachable, message).caused_by(error)
}

/// Returns the code of an error in JSON or XML, without the namespace that some services put before it. A text that
/// cannot be a code is dropped.
pub(crate) fn code(answer: &Answered) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Refused {
        #[serde(rename = "__type")]
        kind: String,
    }
    let text = String::from_utf8_lossy(&answer.body);
    let code = match serde_json::from_str(&text) {
        Ok(Refused { kind }) => kind.rsplit_once('#').map_or(kind.clone(), |(_, code)| code.to_owned()),
        Err(_) => element(&text, "Code")?.to_owned(),
    };
    let is_code = !code.is_empty() && code.chars().all(|c| c.is_ascii_alphanumeric() || c == '.');
    is_code.then_some(code)
}

/// Makes the request that posts a form.
pub(crate) fn form(address: &str, fields: &[(&str, &str)]) -> Result<Request<SdkBody>> {
    let mut body = form_urlencoded::Serializer::new(String::new());
    body.extend_pairs(fields);
    let request = Request::post(address)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::ACCEPT, "application/json, text/xml")
        .body(SdkBody::from(body.finish()));
    request.map_err(|_| no_url(address))
}

fn no_url(address: &str) -> Error {
    Error::new(ErrorCode::InvalidConfig, format!("the address {address} is not a URL"))
}

/// Returns the content of the first element with this name, with its escapes.
pub(crate) fn element<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    elements(text, name).next()
}

/// Returns the contents of all elements with this name, which must not be nested.
pub(crate) fn elements<'a>(text: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let (begin, end) = (format!("<{name}>"), format!("</{name}>"));
    let mut rest = text;
    std::iter::from_fn(move || {
        let (_, after) = rest.split_once(&begin)?;
        let (content, after) = after.split_once(&end)?;
        rest = after;
        Some(content.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_follows_the_partition_of_the_region() {
        for (region, fips, dual_stack, expected) in [
            ("eu-west-1", false, false, "https://sts.eu-west-1.amazonaws.com"),
            ("us-gov-west-1", true, false, "https://sts.us-gov-west-1.amazonaws.com"),
            ("us-east-1", true, false, "https://sts-fips.us-east-1.amazonaws.com"),
            ("eu-west-1", false, true, "https://sts.eu-west-1.api.aws"),
            ("cn-north-1", false, false, "https://sts.cn-north-1.amazonaws.com.cn"),
            (
                "cn-north-1",
                false,
                true,
                "https://sts.cn-north-1.api.amazonwebservices.com.cn",
            ),
            (
                "eusc-de-east-1",
                false,
                false,
                "https://sts.eusc-de-east-1.amazonaws.eu",
            ),
            (
                "eusc-de-east-1",
                false,
                true,
                "https://sts.eusc-de-east-1.api.amazonwebservices.eu",
            ),
            ("us-iso-east-1", false, false, "https://sts.us-iso-east-1.c2s.ic.gov"),
            (
                "us-isob-east-1",
                false,
                false,
                "https://sts.us-isob-east-1.sc2s.sgov.gov",
            ),
            (
                "eu-isoe-west-1",
                false,
                false,
                "https://sts.eu-isoe-west-1.cloud.adc-e.uk",
            ),
            (
                "us-isof-south-1",
                false,
                false,
                "https://sts.us-isof-south-1.csp.hci.ic.gov",
            ),
        ] {
            assert_eq!(endpoint("sts", region, fips, dual_stack), expected);
        }
        let of = |service| endpoint(service, "us-gov-east-1", true, false);
        assert_eq!(
            of("cloudformation"),
            "https://cloudformation.us-gov-east-1.amazonaws.com"
        );
        assert_eq!(
            of("secretsmanager"),
            "https://secretsmanager-fips.us-gov-east-1.amazonaws.com"
        );
    }

    #[test]
    fn pauses_grow_to_a_limit_and_differ() {
        assert_eq!(spread(PAUSE, 0), PAUSE / 2);
        assert!(spread(PAUSE, u64::MAX) <= PAUSE);
        let mut pause = PAUSE;
        for _ in 0..20 {
            pause = longer(pause);
        }
        assert_eq!(pause, LONGEST_PAUSE);
    }

    #[test]
    fn the_code_of_an_error_is_read_in_json_and_in_xml() {
        for (body, expected) in [
            (
                r#"{"__type": "ThrottlingException", "Message": "x"}"#,
                Some("ThrottlingException"),
            ),
            (r#"{"__type": "com.amazonaws.x#AccessDenied"}"#, Some("AccessDenied")),
            ("<E><Error><Code>ExpiredToken</Code></Error></E>", Some("ExpiredToken")),
            ("<Code>not a code</Code>", None),
            ("", None),
        ] {
            let answer = Answered {
                status: 400,
                body: bytes::Bytes::from(body),
            };
            assert_eq!(code(&answer).as_deref(), expected, "{body}");
        }
    }
}
