//! Logins that are not in the address: a secret, and a token that is issued for it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

use serde_json::json;

use crate::world::{Done, SCRIPT, World};

/// The token that is issued.
const TOKEN: &str = "issued-by-entra";

/// Answers as AWS Secrets Manager and as Microsoft Entra, whichever is asked, until the test ends.
fn answer(listener: &TcpListener, secret: &str) {
    for stream in listener.incoming() {
        let Ok(stream) = stream else { return };
        drop(answer_one(stream, secret));
    }
}

fn answer_one(mut stream: TcpStream, secret: &str) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(());
        }
    }
    let head = head.to_lowercase();
    let length = head
        .split("content-length: ")
        .nth(1)
        .and_then(|rest| rest.lines().next());
    let mut body = vec![0; length.and_then(|length| length.parse().ok()).unwrap_or(0)];
    reader.read_exact(&mut body)?;
    let answer = if head.contains("getsecretvalue") {
        json!({"SecretString": secret}).to_string()
    } else {
        json!({"access_token": TOKEN, "expires_in": 3600}).to_string()
    };
    let (kind, length) = ("application/json", answer.len());
    let head =
        format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
    stream.write_all((head + &answer).as_bytes())
}

#[test]
fn a_secret_with_a_service_principal_logs_in_with_a_token() {
    let world = World::new(SCRIPT);
    world.sandbox.take_token(TOKEN);
    world.tables(&World::both(0));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port());
    let secret = json!({
        "host": "127.0.0.1", "port": world.sandbox.port(), "dbname": "tidemark", "tls": "trust", "authentication": "service_principal",
        "tenant_id": "t", "client_id": "c", "client_secret": "s", "authority": address,
    });
    std::thread::spawn(move || answer(&listener, &secret.to_string()));
    let mut command = world.command(&["run", "--secret", "arn:reader"]);
    // The variable with an address, which a shell may have for other commands, gives way to what is typed.
    command
        .env("TIDEMARK_SOURCE", "sqlserver://nobody@no-such-host.invalid/none")
        .env("AWS_ENDPOINT_URL", &address)
        .env("AWS_REGION", "eu-west-1")
        .env("AWS_ACCESS_KEY_ID", "key")
        .env("AWS_SECRET_ACCESS_KEY", "secret");
    let done: Done = command.output().unwrap().into();
    assert_eq!(done.code, Some(0), "{}", done.all());
    assert_eq!(world.lines("dbo.orders").len(), 3);
}
