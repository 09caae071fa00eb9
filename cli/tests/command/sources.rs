//! Where the source and the sink are: an address, a login, a stack; and a server that is none to copy from.

use std::io::{Read, Write};
use std::net::TcpListener;

use crate::world::{Done, SCRIPT, World, bare, fed};

/// Answers in the place of CloudFormation and S3. Returns its address and, at the end, the requests that it received.
fn deployed(answers: Vec<String>) -> (String, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let asked = std::thread::spawn(move || {
        let answer = |answer: String| {
            let (mut stream, _) = listener.accept().unwrap();
            let mut read = [0; 8192];
            let length = stream.read(&mut read).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&read[..length]).into_owned()
        };
        answers.into_iter().map(answer).collect()
    });
    (address, asked)
}

fn http(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/xml\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn a_deployed_stack_says_where_the_sink_is() {
    let stack = "<DescribeStacksResponse><DescribeStacksResult><Stacks><member>\
        <Parameters><member><ParameterKey>SinkPrefix</ParameterKey><ParameterValue>raw</ParameterValue></member>\
        <member><ParameterKey>SinkBucketOwner</ParameterKey><ParameterValue>444455556666</ParameterValue></member></Parameters>\
        <Outputs><member><OutputKey>BucketName</OutputKey><OutputValue>lake</OutputValue></member></Outputs>\
        </member></Stacks></DescribeStacksResult></DescribeStacksResponse>";
    let nothing = "<ListBucketResult><Name>lake</Name></ListBucketResult>";
    let (address, asked) = deployed(vec![http("200 OK", stack), http("200 OK", nothing)]);
    let mut command = bare(&["status", "--stack", "mine"]);
    command
        .env("AWS_ENDPOINT_URL", address)
        .env("AWS_REGION", "eu-west-1")
        .env("AWS_ACCESS_KEY_ID", "key")
        .env("AWS_SECRET_ACCESS_KEY", "secret");
    let done: Done = command.output().unwrap().into();
    assert!(done.err.contains("s3://lake/raw has no ledger"), "{}", done.all());
    let asked = asked.join().unwrap();
    assert!(
        asked[0].contains("/eu-west-1/cloudformation/aws4_request"),
        "{}",
        asked[0]
    );
    assert!(
        asked[1].starts_with("GET /lake") && asked[1].contains("raw%2F_ledger"),
        "{}",
        asked[1]
    );
    let owner = "x-amz-expected-bucket-owner: 444455556666";
    assert!(asked[1].to_lowercase().contains(owner), "{}", asked[1]);
}

#[test]
fn a_server_that_is_not_served_is_refused_by_its_name_by_the_doctor_and_by_a_run() {
    let world = World::new(SCRIPT);
    world.tables(&World::both(0));
    for (engine, major, said) in [
        (3, Some(12), "SQL Server 2016 is the oldest version"),
        (2, None, "SQL Server 2016 is the oldest version"),
        (6, Some(10), "Azure Synapse"),
        (11, Some(12), "a warehouse of Fabric"),
    ] {
        world.sandbox.become_product(engine, major);
        for verb in ["doctor", "run"] {
            let done = world.run(&[verb]);
            assert!(
                done.code == Some(1) && done.all().contains(said),
                "{verb} {engine}: {:?} {}",
                done.code,
                done.all()
            );
        }
    }
    // Azure SQL Database says that it is of 2014.
    world.sandbox.become_product(5, Some(12));
    world.succeeds(&["doctor"]);
}

#[test]
fn a_host_without_an_address_is_the_same_mistake_for_the_doctor_and_for_a_run() {
    let world = World::new(SCRIPT);
    world.tables(&World::both(0));
    for verb in ["doctor", "run"] {
        let mut command = world.command(&[verb]);
        command.env("TIDEMARK_SOURCE", "sqlserver://sa@no-such-host.invalid/tidemark");
        let done: Done = command.output().unwrap().into();
        assert_eq!(done.code, Some(1), "{verb}: {}", done.all());
        assert!(
            done.all().contains("no-such-host.invalid has no address"),
            "{}",
            done.all()
        );
    }
    let done = world.run(&["doctor", "--sink", "tables.json"]);
    assert_eq!(done.code, Some(1), "{}", done.all());
    assert!(done.out.contains("✗ sink: --sink names a file"), "{}", done.all());
}

#[test]
fn a_password_in_the_address_goes_before_that_of_the_environment_and_names_that_cannot_be_are_refused() {
    let world = World::new(SCRIPT);
    world.tables(&World::both(0));
    let own = format!("//sa:{}@", world.sandbox.password());
    let mut command = world.command(&["run"]);
    command
        .env("TIDEMARK_SOURCE", world.address().replace("//sa@", &own))
        .env("TIDEMARK_PASSWORD", "of another server");
    let done: Done = command.output().unwrap().into();
    assert_eq!(done.code, Some(0), "{}", done.all());

    let mut command = world.command(&["run"]);
    command.env("TIDEMARK_SOURCE", world.address().replace("//sa@", "//CORP\\sa@"));
    let done: Done = command.output().unwrap().into();
    assert_eq!(done.code, Some(1), "{}", done.all());
    assert!(done.err.contains("Windows logins are not supported"), "{}", done.all());

    let mut command = world.command(&["run"]);
    command.env("SSL_CERT_FILE", "/nonexistent.pem");
    let done: Done = command.output().unwrap().into();
    assert_eq!(done.code, Some(1), "{}", done.all());
    assert!(
        done.err
            .contains("SSL_CERT_FILE names /nonexistent.pem, which cannot be read"),
        "{}",
        done.all()
    );
}

#[test]
fn a_source_and_a_password_that_are_empty_are_said_to_be_missing() {
    let world = World::new(SCRIPT);
    world.tables(&World::both(0));
    let mut command = world.command(&["plan"]);
    let done: Done = command.env("TIDEMARK_SOURCE", " ").output().unwrap().into();
    assert!(
        done.code == Some(1) && done.err.contains("there is no source"),
        "{}",
        done.all()
    );
    let done = fed(world.command(&["plan", "--password-stdin"]), "\n");
    assert!(
        done.code == Some(1) && done.err.contains("the password on standard input is empty"),
        "{}",
        done.all()
    );
}
