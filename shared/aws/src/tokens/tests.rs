//! Tests tokens with an issuer on this machine.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use aws_credential_types::provider::SharedCredentialsProvider;
use aws_lc_rs::signature::{RSA_PSS_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{CertificateParams, KeyPair, PublicKeyData};
use serde_json::{Value, json};
use tidemark::error::{OfRole, Role};

use super::*;

/// A request as it arrived.
struct Asked {
    path: String,
    head: String,
    fields: Vec<(String, String)>,
}

impl Asked {
    fn field(&self, name: &str) -> &str {
        let field = self.fields.iter().find(|(known, _)| known == name);
        field.map_or("", |(_, value)| value)
    }
}

/// Starts an issuer that gives these answers in turn. Returns its address and the requests that it received.
fn issuer(answers: Vec<(u16, String)>) -> (String, Receiver<Asked>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (sender, asked) = channel();
    thread::spawn(move || {
        for (status, body) in answers {
            let (mut stream, _) = listener.accept().unwrap();
            sender.send(receive(&mut BufReader::new(&stream))).unwrap();
            let length = body.len();
            let answer = format!("HTTP/1.1 {status} x\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    (address, asked)
}

fn receive(request: &mut impl BufRead) -> Asked {
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        request.read_line(&mut line).unwrap();
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    request.read_exact(&mut body).unwrap();
    Asked {
        path: head.split(' ').nth(1).unwrap().to_owned(),
        fields: form_urlencoded::parse(&body).into_owned().collect(),
        head,
    }
}

fn issued() -> (u16, String) {
    (
        200,
        json!({"token_type": "Bearer", "expires_in": 3599, "access_token": "t0ken"}).to_string(),
    )
}

fn identity(authority: &str, proof: ClientProof) -> Identity {
    Identity {
        authority: authority.to_owned(),
        tenant: "tenant".to_owned(),
        client: "client".to_owned(),
        resource: "https://database.windows.net".to_owned(),
        proof,
    }
}

fn secret(text: impl Into<String>) -> Secret {
    Secret::new(text.into())
}

/// Makes an issuer of tokens with STS at this address.
fn tokens(sts: &str) -> Tokens {
    let credentials =
        aws_credential_types::Credentials::new("AKIDEXAMPLE", "k3y", Some("s3ssion".to_owned()), None, "test");
    let http = Http::default();
    let sts = Service {
        http: http.clone(),
        name: "sts",
        endpoint: sts.to_owned(),
        region: "eu-west-1".to_owned(),
        credentials: SharedCredentialsProvider::new(credentials),
        attempts: ATTEMPTS,
    };
    Tokens::new(http, Some(sts))
}

#[tokio::test]
async fn an_application_gets_a_token_for_its_secret() {
    let (authority, asked) = issuer(vec![issued()]);
    let identity = identity(&authority, ClientProof::Secret(secret("s3cret&=")));
    let token = tokens("").token(&identity).await.unwrap();
    assert_eq!((token.value.reveal(), token.lifetime.as_secs()), ("t0ken", 3599));
    let asked = asked.recv().unwrap();
    assert_eq!(asked.path, "/tenant/oauth2/v2.0/token");
    for (name, value) in [
        ("client_id", "client"),
        ("client_secret", "s3cret&="),
        ("scope", "https://database.windows.net/.default"),
        ("grant_type", "client_credentials"),
    ] {
        assert_eq!(asked.field(name), value);
    }
}

#[tokio::test]
async fn an_application_gets_a_token_for_what_its_certificate_signs() {
    let key = KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let params = CertificateParams::new(vec!["client".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let pem = format!("{}{}", key.serialize_pem(), certificate.pem());
    let (authority, asked) = issuer(vec![issued()]);
    let identity = identity(&authority, ClientProof::Certificate(secret(pem)));
    tokens("").token(&identity).await.unwrap();
    let asked = asked.recv().unwrap();
    assert!(asked.field("client_assertion_type").ends_with("jwt-bearer"));
    let (statement, signature) = asked.field("client_assertion").rsplit_once('.').unwrap();
    let public = UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, key.der_bytes());
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    public.verify(statement.as_bytes(), &signature).unwrap();
    let (head, claims) = statement.split_once('.').unwrap();
    let [head, claims] = [head, claims].map(|part| {
        let part: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
        part
    });
    let thumbprint = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, certificate.der());
    assert_eq!(head["x5t#S256"], URL_SAFE_NO_PAD.encode(thumbprint));
    assert_eq!(claims["aud"], format!("{authority}/tenant/oauth2/v2.0/token"));
    assert_eq!((&claims["iss"], &claims["sub"]), (&json!("client"), &json!("client")));
}

#[tokio::test]
async fn a_role_of_aws_gets_a_token_for_nothing_that_is_stored() {
    let answer = "<GetWebIdentityTokenResponse><GetWebIdentityTokenResult><WebIdentityToken>j.w.t</WebIdentityToken>\
                  </GetWebIdentityTokenResult></GetWebIdentityTokenResponse>";
    let (sts, asked_of_sts) = issuer(vec![(503, String::new()), (200, answer.to_owned())]);
    let (authority, asked) = issuer(vec![issued()]);
    let audience = "api://AzureADTokenExchange".to_owned();
    let identity = identity(&authority, ClientProof::WebIdentity { audience });
    let token = tokens(&sts).token(&identity).await.unwrap();
    assert_eq!(token.value.reveal(), "t0ken");
    assert_eq!(
        asked_of_sts.recv().unwrap().field("Action"),
        "GetWebIdentityToken",
        "it failed for a moment"
    );
    let asked_of_sts = asked_of_sts.recv().unwrap();
    for (name, value) in [
        ("Action", "GetWebIdentityToken"),
        ("Audience.member.1", "api://AzureADTokenExchange"),
        ("SigningAlgorithm", "RS256"),
        ("DurationSeconds", "300"),
    ] {
        assert_eq!(asked_of_sts.field(name), value);
    }
    let head = asked_of_sts.head.to_ascii_lowercase();
    for named in [
        "akidexample/",
        "/eu-west-1/sts/aws4_request",
        "x-amz-security-token: s3ssion",
    ] {
        assert!(head.contains(named), "{head}");
    }
    assert_eq!(asked.recv().unwrap().field("client_assertion"), "j.w.t");
}

#[tokio::test]
async fn what_may_pass_is_told_from_what_may_not_and_nothing_is_quoted() {
    let refusal = |code: u64| {
        json!({"error": "invalid_client", "error_description": "AADSTS s3cret", "error_codes": [code]}).to_string()
    };
    for (answers, code, named) in [
        (
            vec![(401, refusal(7_000_215))],
            ErrorCode::InvalidConfig,
            "AADSTS7000215",
        ),
        (
            vec![(401, refusal(700_213))],
            ErrorCode::InvalidConfig,
            "federated credential",
        ),
        (
            vec![(404, "<html>s3cret".to_owned())],
            ErrorCode::InvalidConfig,
            "HTTP 404",
        ),
        (vec![(200, "s3cret".to_owned())], ErrorCode::InvalidConfig, "authority"),
        (vec![(429, String::new()); 3], ErrorCode::SinkUnavailable, "HTTP 429"),
        (Vec::new(), ErrorCode::SinkUnavailable, "cannot be reached"),
    ] {
        let (authority, _asked) = issuer(answers);
        let identity = identity(&authority, ClientProof::Secret(secret("s3cret")));
        let error = tokens("").token(&identity).await.of(Role::Sink).err().unwrap();
        let text = error.report();
        assert_eq!(error.code(), code, "{text}");
        assert!(text.contains(named) && !text.contains("s3cret"), "{text}");
    }
}

#[tokio::test]
async fn a_role_that_may_not_ask_is_told_what_it_needs() {
    for (body, named) in [
        (
            "<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>",
            "sts:GetWebIdentityToken",
        ),
        (
            "<Code>OutboundWebIdentityFederationDisabledException</Code>",
            "enable outbound",
        ),
        ("no XML", "no code"),
    ] {
        let (sts, _asked) = issuer(vec![(403, body.to_owned())]);
        let audience = "a".to_owned();
        let error = tokens(&sts)
            .token(&identity("", ClientProof::WebIdentity { audience }))
            .await;
        let error = error.of(Role::Sink).err().unwrap();
        assert_eq!(error.code(), ErrorCode::InvalidConfig);
        assert!(error.to_string().contains(named), "{error}");
    }
}

#[tokio::test]
async fn a_certificate_that_is_none_is_not_quoted() {
    for pem in [
        "s3cret",
        "-----BEGIN CERTIFICATE-----\nczNjcmV0\n-----END CERTIFICATE-----\n",
    ] {
        let error = tokens("")
            .token(&identity("", ClientProof::Certificate(secret(pem))))
            .await
            .of(Role::Source)
            .err()
            .unwrap();
        let text = error.report();
        assert!(
            text.contains("client_certificate") && !text.contains("s3cret") && !text.contains("czNj"),
            "{text}"
        );
    }
}
