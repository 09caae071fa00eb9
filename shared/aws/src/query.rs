//! Requests to services that speak AWS's oldest protocol: a form that is posted and signed, and an answer in XML. For one call of
//! a service that is less than its SDK.

use std::time::SystemTime;

use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_types::body::SdkBody;
use http::{Request, header};
use tidemark::error::{Error, ErrorCode, Result};

/// A form, as it is posted.
pub(crate) fn form(address: &str, fields: &[(&str, &str)]) -> Result<Request<SdkBody>> {
    let mut body = form_urlencoded::Serializer::new(String::new());
    body.extend_pairs(fields);
    let request = Request::post(address)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::ACCEPT, "application/json, text/xml")
        .body(SdkBody::from(body.finish()));
    request.map_err(|_| Error::new(ErrorCode::InvalidConfig, format!("{address} is not a URL")))
}

/// The request with the signature of AWS for this service (Signature Version 4).
pub(crate) fn signed(
    mut request: Request<SdkBody>,
    service: &str,
    region: &str,
    identity: &aws_smithy_runtime_api::client::identity::Identity,
) -> Result<Request<SdkBody>> {
    let not_signed = || Error::new(ErrorCode::Internal, format!("a request to {service} cannot be signed"));
    let params = v4::SigningParams::builder()
        .identity(identity)
        .region(region)
        .name(service)
        .time(SystemTime::now())
        .settings(SigningSettings::default())
        .build()
        .map_err(|_| not_signed())?;
    let address = request.uri().to_string();
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let body = SignableBody::Bytes(request.body().bytes().unwrap_or_default());
    let signable = SignableRequest::new("POST", &address, headers.into_iter(), body).map_err(|_| not_signed())?;
    let (instructions, _) = sign(signable, &params.into()).map_err(|_| not_signed())?.into_parts();
    instructions.apply_to_request_http1x(&mut request);
    Ok(request)
}

/// The content of the first element of this name, as it stands there.
pub(crate) fn element<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    elements(text, name).next()
}

/// The contents of all elements of this name, which are not within one another.
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
