//! What `doctor` finds of a server and of a bucket on which a run would fail, each with what to do about it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use serde_json::{Value, json};

use crate::world::{Done, SCRIPT, World};

/// Starts a server on a port of its own that has `serve` serve every connection, and returns the port.
fn serving(serve: impl Fn(&mut TcpStream) -> std::io::Result<()> + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        let mut taken = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            // A client that hangs up is no error of the server.
            drop(serve(&mut stream));
            taken.push(stream);
        }
    });
    port
}

/// Returns what the doctor says of a subject: whether it is there, and all that is said.
fn found(done: &Done, subject: &str) -> Value {
    let checks = done.events("check");
    let check = checks.into_iter().find(|check| check["subject"] == subject);
    check.unwrap_or_else(|| panic!("nothing of {subject}: {}", done.all()))
}

#[test]
fn what_keeps_a_run_from_the_server_is_found_with_what_to_do() {
    let world = World::new(&format!(
        "{SCRIPT} CREATE TABLE texts (id int NOT NULL PRIMARY KEY, name nvarchar(9) NOT NULL);"
    ));
    world.tables(&World::both(0));
    // One that stays silent after these words is given up after a while, which the tests of the drivers show.
    let ssh = serving(|stream| {
        stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n")?;
        stream.shutdown(std::net::Shutdown::Write)
    });
    let here = |address: &str| world.address().replace("/tidemark?tls=trust", address);
    for (address, password, code, said, advised) in [
        (
            format!("sqlserver://sa@127.0.0.1:{ssh}/tidemark?tls=trust"),
            None,
            1,
            "does not speak SQL Server's protocol: check host and port",
            "Check the login",
        ),
        (here("/tidemark"), None, 1, "SSL_CERT_FILE", "the certificate"),
        (
            here("/tidemark?tls=strict"),
            None,
            1,
            "SSL_CERT_FILE",
            "the certificate",
        ),
        (world.address(), Some("wrong"), 1, "Login failed", "Check the login"),
        (here("/nowhere?tls=trust"), None, 1, "4060", "the name that"),
    ] {
        let mut command = world.command(&["doctor", "--json"]);
        command.env("TIDEMARK_SOURCE", &address);
        if let Some(password) = password {
            command.env("TIDEMARK_PASSWORD", password);
        }
        let done: Done = command.output().unwrap().into();
        assert_eq!(done.code, Some(code), "{address}: {}", done.all());
        let server = found(&done, "server");
        assert_eq!(server["ok"], false, "{address}: {server}");
        let (message, advice) = (server["message"].as_str().unwrap(), server["advice"].as_str().unwrap());
        assert!(
            message.contains(said) && advice.contains(advised),
            "{address}: {server}"
        );
        for of_a_driver in ["bytes remaining", "Attempt", "tracing"] {
            assert!(!done.all().contains(of_a_driver), "{}", done.all());
        }
    }
    for (tracking, error, advised) in [
        (
            json!({"watermark": {"column": "name"}}),
            "UnsupportedType",
            "track the table by another column",
        ),
        (
            json!({"change_tracking": {}}),
            "ChangeTrackingInvalid",
            "ENABLE CHANGE_TRACKING",
        ),
    ] {
        world.tables(&json!([{"table": "texts", "tracking": tracking}]));
        let done = world.run(&["doctor", "--json"]);
        let table = found(&done, "dbo.texts");
        assert_eq!(table["error"], error, "{table}");
        assert!(table["advice"].as_str().unwrap().contains(advised), "{table}");
        assert!(!table["message"].as_str().unwrap().contains("dbo.texts"), "{table}");
    }
}

/// It is the time at which the transaction began, so the wait must be longer than any transaction.
#[test]
fn the_start_of_a_period_is_a_doubtful_watermark_until_somebody_says_how_long_to_wait() {
    let world = World::new(
        "CREATE TABLE temporal (id int PRIMARY KEY, since datetime2(3) GENERATED ALWAYS AS ROW START NOT NULL, \
         until datetime2(3) GENERATED ALWAYS AS ROW END NOT NULL, PERIOD FOR SYSTEM_TIME (since, until)); \
         CREATE INDEX by_since ON temporal (since)",
    );
    for (tracking, mark) in [
        (json!({"column": "since"}), "doubtful"),
        (json!({"column": "since", "settle_seconds": 600}), "good"),
    ] {
        world.tables(&json!([{"table": "temporal", "tracking": {"watermark": tracking}}]));
        let done = world.run(&["doctor", "--json"]);
        let table = found(&done, "dbo.temporal");
        assert_eq!(table["mark"], mark, "{table}");
        let is_said = table["message"].as_str().unwrap().contains("the start of a period");
        assert_eq!(is_said, mark == "doubtful", "{table}");
    }
}

#[test]
fn a_server_that_is_slow_to_answer_is_told_to_be_waited_for() {
    let world = World::new(SCRIPT);
    world.tables(&World::both(0));
    let silent = serving(|_| Ok(()));
    let mut command = world.command(&["doctor"]);
    command
        .env(
            "TIDEMARK_SOURCE",
            format!("sqlserver://sa@127.0.0.1:{silent}/tidemark?tls=trust"),
        )
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stderr.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(
        line.contains("Connecting to ") && line.contains(&silent.to_string()),
        "{line}"
    );
    assert!(line.contains("is given up after 15 s"), "{line}");
}

/// What is wrong with a bucket.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Wrong {
    Missing,
    Denied,
    KeyDisabled,
    Unconditional,
    ShortLifecycle,
}

/// Starts a bucket with which this is wrong.
fn bucket(wrong: Wrong) -> u16 {
    serving(move |stream| {
        let (line, is_conditional) = request(stream)?;
        let error = |status: u16, code: &str| {
            (
                status,
                format!("<Error><Code>{code}</Code><Message>said so</Message></Error>"),
            )
        };
        let (status, body) = match (wrong, line.as_str()) {
            (Wrong::Missing, _) => error(404, "NoSuchBucket"),
            (Wrong::Denied, _) => error(403, "AccessDenied"),
            (Wrong::KeyDisabled, line) if line.contains("?uploads") => error(400, "KMS.DisabledException"),
            (_, line) if line.contains("?uploads") => (
                200,
                "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>".to_owned(),
            ),
            (_, line) if line.contains("list-type=2") => (200, "<ListBucketResult/>".to_owned()),
            (_, line) if line.contains("?lifecycle") => {
                let days = if wrong == Wrong::ShortLifecycle { 1 } else { 7 };
                let rule = format!(
                    "<Rule><ID>tidy</ID><Status>Enabled</Status><Filter><Prefix></Prefix></Filter><AbortIncompleteMultipartUpload>\
                     <DaysAfterInitiation>{days}</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule>"
                );
                (200, format!("<LifecycleConfiguration>{rule}</LifecycleConfiguration>"))
            }
            (_, line) if line.contains("?versioning") => (200, "<VersioningConfiguration/>".to_owned()),
            (_, line) if line.contains("?policy") => error(404, "NoSuchBucketPolicy"),
            (_, line) if line.starts_with("DELETE") => (204, String::new()),
            // Something is there already whatever is created.
            (Wrong::Unconditional, line) if line.starts_with("PUT") => (200, String::new()),
            (_, line) if line.starts_with("PUT") && is_conditional => error(412, "PreconditionFailed"),
            _ => error(404, "NoSuchKey"),
        };
        write!(
            stream,
            "HTTP/1.1 {status} x\r\ncontent-type: application/xml\r\netag: \"e\"\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        )?;
        stream.shutdown(std::net::Shutdown::Write)
    })
}

/// Reads a request. Returns its line, and whether it has a condition.
fn request(stream: &TcpStream) -> std::io::Result<(String, bool)> {
    let mut reader = BufReader::new(stream);
    let (mut first, mut length, mut is_conditional) = (String::new(), 0, false);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim_end();
        let header = line.to_ascii_lowercase();
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        is_conditional |= header.starts_with("if-");
        if line.is_empty() {
            break;
        }
        if first.is_empty() {
            line.clone_into(&mut first);
        }
    }
    // Unread bytes would reset the connection, and the answer would be lost.
    reader.read_exact(&mut vec![0; length])?;
    Ok((first, is_conditional))
}

#[test]
fn what_keeps_a_run_from_the_bucket_is_found_with_what_to_do() {
    let world = World::new(SCRIPT);
    world.tables(&World::both(0));
    for (wrong, subject, said, advised) in [
        (
            Wrong::Missing,
            "sink rights",
            "there is no such bucket",
            "Correct what the sink refuses",
        ),
        (
            Wrong::Denied,
            "sink rights",
            "access denied",
            "Correct what the sink refuses",
        ),
        (
            Wrong::KeyDisabled,
            "sink rights",
            "the KMS key of the objects cannot be used",
            "Correct what",
        ),
        (
            Wrong::Unconditional,
            "sink conditions",
            "the bucket ignores If-None-Match",
            "s3:PutObject",
        ),
        (
            Wrong::ShortLifecycle,
            "sink uploads",
            "rule tidy removes uploads after 1 days",
            "7 days or more",
        ),
    ] {
        let mut command = world.command(&["doctor", "--json", "--sink", "s3://lake/p"]);
        command
            .env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{}", bucket(wrong)))
            .env("AWS_ACCESS_KEY_ID", "key")
            .env("AWS_SECRET_ACCESS_KEY", "secret")
            .env("AWS_REGION", "eu-west-1")
            .env("AWS_MAX_ATTEMPTS", "1");
        let done: Done = command.output().unwrap().into();
        assert_eq!(done.code, Some(1), "{wrong:?}: {}", done.all());
        let finding = found(&done, subject);
        assert_eq!(finding["ok"], false, "{wrong:?}: {finding}");
        let (message, advice) = (
            finding["message"].as_str().unwrap(),
            finding["advice"].as_str().unwrap(),
        );
        assert!(
            message.contains(said) && advice.contains(advised),
            "{wrong:?}: {finding}"
        );
        for of_the_sdk in ["Error {", "unhandled", "service error"] {
            assert!(!done.all().contains(of_the_sdk), "{wrong:?}: {}", done.all());
        }
        // What is missing there is told once.
        let failed = done.events("check").into_iter().filter(|check| check["ok"] == false);
        assert_eq!(failed.count(), 1, "{wrong:?}: {}", done.all());
    }
}
