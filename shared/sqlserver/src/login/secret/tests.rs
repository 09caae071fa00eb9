//! Tests secrets as people and services write them.

use serde_json::json;

use super::*;

fn read(server: &ServerSettings, content: &Value) -> Result<Login> {
    Login::from_secret(server, &Secret::new(content.to_string()))
}

fn refused(server: &ServerSettings, content: &Value) -> String {
    let error = read(server, content).unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidConfig);
    error.report()
}

fn rds() -> Value {
    json!({"engine": "sqlserver", "host": "db", "port": "1444", "username": "u", "password": "s3cret", "dbname": "d"})
}

/// Returns the usual content with some fields replaced.
fn but(fields: &Value) -> Value {
    let mut content = rds();
    let all = content.as_object_mut().unwrap();
    for (name, value) in fields.as_object().unwrap() {
        all.insert(name.clone(), value.clone());
    }
    content
}

fn server() -> ServerSettings {
    ServerSettings {
        variables: "SOURCE",
        ..ServerSettings::of_secret("arn:x")
    }
}

#[test]
fn the_form_of_rds_is_read_and_not_shown() {
    let login = read(&server(), &rds()).unwrap();
    assert!(login == Login::new("db", 1444, "u", "s3cret", "d"));
    assert_eq!(login.to_string(), "db:1444/d");
    assert!(!format!("{login:?}").contains("s3cret"));
}

#[test]
fn a_secret_that_rds_manages_is_filled_by_the_environment() {
    let managed = json!({"username": "admin", "password": "s3cret"});
    let given = ServerSettings {
        host: Some("tcp:db.example.com".to_owned()),
        port: Some(1500),
        database: Some("sales".to_owned()),
        tls: Some(Tls::Strict),
        ..server()
    };
    let login = read(&given, &managed).unwrap();
    assert_eq!(
        (login.to_string(), login.tls),
        ("db.example.com:1500/sales".to_owned(), Tls::Strict)
    );
    let text = refused(&server(), &managed);
    for named in ["no host", "SOURCE_HOST", "no dbname", "SOURCE_DATABASE", "arn:x"] {
        assert!(text.contains(named), "{text}");
    }
    assert_eq!(
        read(&given, &rds()).unwrap().to_string(),
        "db:1444/d",
        "the secret goes before"
    );
}

#[test]
fn a_server_is_trusted_because_its_own_secret_says_so() {
    let given = server().with_tls(Tls::Trust);
    for (content, expected) in [
        (json!({}), Tls::Trust),
        (json!({"tls": "verify"}), Tls::Verify),
        (
            json!({"tls": "strict", "host_name_in_certificate": "sql.example.com"}),
            Tls::Strict,
        ),
    ] {
        assert_eq!(read(&given, &but(&content)).unwrap().tls, expected);
    }
    assert_eq!(read(&server(), &rds()).unwrap().tls, Tls::Verify);
    let named = read(&server(), &but(&json!({"host_name_in_certificate": "sql"}))).unwrap();
    assert_eq!(named.host_name_in_certificate.as_deref(), Some("sql"));
    for (content, said) in [
        (json!({"tls": "off"}), "verify, strict, trust"),
        (
            json!({"tls": "trust", "host_name_in_certificate": "sql"}),
            "does not look at",
        ),
    ] {
        assert!(refused(&server(), &but(&content)).contains(said));
    }
}

#[test]
fn an_address_that_cannot_be_followed_is_refused_before_anything_is_opened() {
    for (content, said) in [
        (json!({"host": "db\\SQLEXPRESS"}), "TCP port of the instance"),
        (json!({"host": "tcp:db,1433"}), "give one of them"),
        (json!({"port": 0}), "port is not a number"),
        (json!({"port": "high"}), "port is not a number"),
    ] {
        let text = refused(&server(), &but(&content));
        assert!(text.contains(said) && text.contains("arn:x"), "{text}");
    }
    let login = read(&server(), &but(&json!({"host": "tcp:db,1433", "port": null}))).unwrap();
    assert_eq!((login.host.as_str(), login.port), ("db", 1433));
}

#[test]
fn a_replica_may_answer_where_nothing_is_written() {
    for (content, given, is_written, expected) in [
        (json!({}), false, false, false),
        (json!({"read_intent": true}), false, false, true),
        (json!({"read_intent": "true"}), false, false, true),
        (json!({"read_intent": false}), true, false, false),
        (json!({}), true, false, true),
        (json!({"read_intent": true}), true, true, false),
    ] {
        let settings = ServerSettings {
            read_intent: given,
            is_written,
            ..server()
        };
        assert_eq!(
            read(&settings, &but(&content)).unwrap().read_intent,
            expected,
            "{content}"
        );
    }
    assert!(refused(&server(), &but(&json!({"read_intent": "yes"}))).contains("read_intent"));
}

/// Reads the identity of a secret with these fields.
fn identity(fields: &Value) -> Result<Identity> {
    let mut content = json!({"host": "x.database.windows.net", "dbname": "d", "tenant_id": "t", "client_id": "c"});
    content
        .as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    read(&server(), &content).map(|login| match login.sign_in {
        SignIn::Entra(identity) => identity,
        SignIn::Password { .. } => panic!("no password"),
    })
}

#[test]
fn a_token_is_that_of_the_cloud_in_which_the_server_is() {
    for (host, resource, audience) in [
        (
            "x.database.windows.net",
            "https://database.windows.net",
            "api://AzureADTokenExchange",
        ),
        (
            "x.database.usgovcloudapi.net",
            "https://database.usgovcloudapi.net",
            "api://AzureADTokenExchangeUSGov",
        ),
        (
            "X.Database.ChinaCloudApi.cn.",
            "https://database.chinacloudapi.cn",
            "api://AzureADTokenExchangeChina",
        ),
        (
            "x-ondemand.sql.azuresynapse.usgovcloudapi.net",
            "https://database.usgovcloudapi.net",
            "api://AzureADTokenExchangeUSGov",
        ),
        (
            "x.sql.azuresynapse.azure.cn",
            "https://database.chinacloudapi.cn",
            "api://AzureADTokenExchangeChina",
        ),
        (
            "x.sql.azuresynapse.net",
            "https://database.windows.net",
            "api://AzureADTokenExchange",
        ),
    ] {
        let federated = identity(&json!({"authentication": "web_identity", "host": host})).unwrap();
        let audience = audience.to_owned();
        assert_eq!(federated.resource, resource, "{host}");
        assert!(federated.proof == ClientProof::WebIdentity { audience }, "{host}");
    }
}

#[test]
fn an_application_of_entra_signs_in_by_what_the_secret_says() {
    let by_secret = identity(&json!({"authentication": "service_principal", "client_secret": "s3cret"}));
    let by_secret = by_secret.unwrap();
    assert!(by_secret.proof == ClientProof::Secret(Secret::new("s3cret".to_owned())));
    assert_eq!(
        (by_secret.authority.as_str(), by_secret.resource.as_str()),
        ("https://login.microsoftonline.com", "https://database.windows.net")
    );
    for (fields, said) in [
        (json!({"authentication": "service_principal"}), "client_certificate"),
        (json!({"authentication": "kerberos"}), "service_principal, web_identity"),
        (
            json!({"authentication": "web_identity", "tenant_id": "t/../x"}),
            "tenant_id",
        ),
        (
            json!({"authentication": "web_identity", "client_id": null}),
            "no client_id",
        ),
        (
            json!({"authentication": "web_identity", "authority": "http://example.com"}),
            "https",
        ),
    ] {
        let text = identity(&fields).err().unwrap().report();
        assert!(text.contains(said), "{text}");
    }
}

#[test]
fn a_wrong_secret_is_named_and_not_quoted() {
    for (content, named) in [
        (r#"{"host":"db","username":"u","password":"s3cret"}"#, "no dbname"),
        (
            r#"{"host":"db","username":"u","password":["s3cret"],"dbname":"d"}"#,
            "not text",
        ),
        (
            r#"{"host":"s3cret@db","username":"u","password":"s3cret","dbname":"d"}"#,
            "URL",
        ),
        (r#""s3cret""#, "not an object"),
        ("s3cret", "not JSON"),
    ] {
        let error = Login::from_secret(&server(), &Secret::new(content.to_owned())).unwrap_err();
        let text = error.report();
        assert!(
            text.contains(named) && text.contains("arn:x") && !text.contains("s3cret"),
            "{text}"
        );
    }
}

#[test]
fn a_field_that_is_called_otherwise_is_found_and_its_value_not_told() {
    let content = json!({"Server": "db", "database": "sales", "user": "u", "PASSWORD": "s3cret"});
    let text = refused(&server(), &content);
    for said in [
        "no host (it has Server: call it host), and SOURCE_HOST",
        "no dbname (it has database: call it dbname)",
        "no username (it has user: call it username)",
        "no password (it has PASSWORD: call it password)",
    ] {
        assert!(
            text.contains(said) && !text.contains("s3cret") && !text.contains("sales"),
            "{text}"
        );
    }
    assert!(!refused(&server(), &json!({"engine": "sqlserver"})).contains("call it"));
}

#[test]
fn a_secret_of_another_form_is_read_or_says_what_it_is() {
    let marked = Secret::new(format!("\u{FEFF}{}", rds()));
    assert_eq!(Login::from_secret(&server(), &marked).unwrap().host, "db");
    let quoted = Secret::new(Value::String(rds().to_string()).to_string());
    let text = Login::from_secret(&server(), &quoted).unwrap_err().report();
    assert!(text.contains("in quotes") && !text.contains("s3cret"), "{text}");
    for name in ["*.example.com", "https://db", "CN=db"] {
        let text = refused(&server(), &but(&json!({"host_name_in_certificate": name})));
        assert!(text.contains("host_name_in_certificate is not one name"), "{text}");
    }
    let scoped = json!({"authentication": "web_identity", "tenant_id": "t", "client_id": "c",
                        "resource": "https://database.windows.net/.default"});
    let login = read(&server(), &but(&scoped)).unwrap();
    assert!(matches!(login.sign_in, SignIn::Entra(identity) if identity.resource == "https://database.windows.net"));
}
