//! A service with prepared answers, for tests of what becomes of an answer.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{Credentials, Region, SharedCredentialsProvider};

use crate::clients::Aws;

/// An answer of the service.
#[derive(Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    /// Further lines of the head, each with its line break.
    pub(crate) headers: &'static str,
    pub(crate) body: String,
}

/// The heads of requests, line by line, in lower case.
pub(crate) type Heads = Arc<Mutex<Vec<Vec<String>>>>;

/// Makes clients of a service that gives this answer to every request. The clients do not try again.
pub(crate) fn clients_of(answer: Answer) -> Aws {
    recorded(answer).0
}

/// Makes clients as [`clients_of`] does. Returns them together with the heads of their requests.
pub(crate) fn recorded(answer: Answer) -> (Aws, Heads) {
    answered(move |_| answer.clone())
}

/// Makes clients of a service that answers by the request line, in lower case. Returns them together with the heads of
/// their requests.
pub(crate) fn answered(answer: impl Fn(&str) -> Answer + Send + 'static) -> (Aws, Heads) {
    let heads = Heads::default();
    let seen = Arc::clone(&heads);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            answer_one(&stream.unwrap(), &answer, &seen);
        }
    });
    (clients_at(&address.to_string()), heads)
}

/// Makes clients of the service at this address. They do not try again.
pub(crate) fn clients_at(address: &str) -> Aws {
    let credentials = Credentials::new("key", "secret", None, None, "test");
    let config = Aws::defaults()
        .region(Region::new("eu-west-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .retry_config(RetryConfig::disabled())
        .endpoint_url(format!("http://{address}"));
    Aws::load(config)
}

fn answer_one(mut stream: &TcpStream, answer: &impl Fn(&str) -> Answer, heads: &Heads) {
    let mut request = BufReader::new(stream);
    let (mut length, mut is_head) = (0, false);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        request.read_line(&mut line).unwrap();
        let line = line.trim_end().to_ascii_lowercase();
        is_head |= line.starts_with("head ");
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.is_empty() {
            break;
        }
        head.push(line);
    }
    let line = head[0].clone();
    heads.lock().unwrap().push(head);
    // Unread bytes would reset the connection, and the answer would be lost.
    request.read_exact(&mut vec![0; length]).unwrap();
    let Answer {
        status,
        content_type,
        headers,
        body,
    } = answer(&line);
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} x\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    if !is_head {
        stream.write_all(body.as_bytes()).unwrap();
    }
}
