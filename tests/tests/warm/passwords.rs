//! Passwords that change while a process lives.

use serde_json::json;
use tidemark::error::{Answer, ErrorCode, Role};
use tidemark_sqlserver::login::{Logins, ServerSettings, Tls};
use tidemark_sqlserver::rows::RowReader;
use tidemark_sqlserver::session::{KeptConnection, Server};
use tidemark_tests::stand_in::World;

use crate::process::{columns, logins, read, world};

fn config() -> ServerSettings {
    ServerSettings::of_secret("source").with_tls(Tls::Trust)
}

/// Makes the secret of the world's login, with this password.
fn secret(world: &World, password: &str) -> String {
    let login = world.login();
    let (host, username, database) = (&login.host, login.username(), &login.database);
    json!({ "host": host, "port": login.port, "username": username, "password": password, "dbname": database })
        .to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_was_rotated_is_read_again_once() {
    let world = world().await;
    let logins_of_secrets = Logins::new(world.s3.aws().secrets.clone());
    let credential = async || logins_of_secrets.credential(&config()).await.unwrap();
    let (kept, kept_rows) = (KeptConnection::default(), KeptConnection::default());
    let probe = async || columns(&Server::new(credential().await).keeping(&kept)).await.map(drop);
    let read = async || {
        let mut reader = RowReader::new(credential().await).keeping(&kept_rows);
        read(&mut reader).await.map(drop)
    };
    let refused = |answer: Answer<()>| answer.unwrap_err().of(Role::Source).code();

    world.s3.keep_secret(secret(&world, "old"));
    // A refused login is not remembered: each invocation reads the secret once.
    assert_eq!(refused(probe().await), ErrorCode::SourceRejected);
    assert_eq!((world.s3.secrets_read(), logins(&world)), (1, 1));
    assert_eq!(refused(probe().await), ErrorCode::SourceRejected);
    assert_eq!(refused(read().await), ErrorCode::SourceRejected);
    assert_eq!(
        (world.s3.secrets_read(), logins(&world)),
        (3, 3),
        "what was refused is not tried again"
    );

    world.s3.keep_secret(secret(&world, world.sandbox.password()));
    probe().await.unwrap();
    assert_eq!((world.s3.secrets_read(), logins(&world)), (4, 4));
    read().await.unwrap();
    assert_eq!((world.s3.secrets_read(), logins(&world)), (4, 5));
    for _ in 0..3 {
        probe().await.unwrap();
        read().await.unwrap();
    }
    assert_eq!((world.s3.secrets_read(), logins(&world)), (4, 5));

    // The session outlives its password until the new one is known.
    world.s3.keep_secret(secret(&world, "next"));
    probe().await.unwrap();
    assert_eq!((world.s3.secrets_read(), logins(&world)), (4, 5));
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_read_with_the_password_of_today() {
    let world = world().await;
    let logins_of_secrets = Logins::new(world.s3.aws().secrets.clone());
    world.s3.keep_secret(secret(&world, "old"));
    logins_of_secrets.credential(&config()).await.unwrap();
    world.s3.keep_secret(secret(&world, world.sandbox.password()));
    let mut reader = RowReader::new(logins_of_secrets.credential(&config()).await.unwrap());
    assert_eq!(read(&mut reader).await.unwrap(), 3);
    assert_eq!((world.s3.secrets_read(), logins(&world)), (2, 2));
}
