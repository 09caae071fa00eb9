//! What a connection to a SQL Server needs, as the usual RDS secret spells it.

use std::fmt;

use serde::{Deserialize, Deserializer};

use crate::config::Tls;
use crate::error::{Error, ErrorCode, Result};

/// SQL Server's own port.
const DEFAULT_PORT: u16 = 1433;

/// Address and credentials of a database. `Debug` shows no secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// SQL login.
    pub username: String,
    /// Its password.
    pub password: String,
    /// The database of the tables.
    pub database: String,
    /// How the server's certificate is treated.
    pub tls: Tls,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("database", &self.database)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}/{}", self.host, self.port, self.database)
    }
}

/// The RDS shape. Fields Tidemark does not use (`engine`, `dbInstanceIdentifier`, …) are allowed.
#[derive(Deserialize)]
struct RdsSecret {
    host: String,
    #[serde(default = "default_port", deserialize_with = "number_or_text")]
    port: u16,
    username: String,
    password: String,
    dbname: String,
}

const fn default_port() -> u16 {
    DEFAULT_PORT
}

/// RDS writes the port as a number, the console's form as text.
fn number_or_text<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<u16, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Port {
        Number(u16),
        Text(String),
    }
    match Port::deserialize(deserializer)? {
        Port::Number(port) => Ok(port),
        Port::Text(text) => text
            .parse()
            .map_err(|_| serde::de::Error::custom("port is not a number")),
    }
}

impl Login {
    /// Reads the content of the secret called `name`. The error never quotes the content.
    pub fn from_secret(name: &str, content: &str, tls: Tls) -> Result<Self> {
        let secret: RdsSecret = serde_json::from_str(content).map_err(|error| {
            let what = match error.classify() {
                serde_json::error::Category::Data => missing_field(&error),
                _ => "it is not JSON".to_owned(),
            };
            let message =
                format!("the secret {name} is not of the form {{host, port, username, password, dbname}}: {what}");
            Error::new(ErrorCode::InvalidConfig, message)
        })?;
        let RdsSecret {
            host,
            port,
            username,
            password,
            dbname: database,
        } = secret;
        Ok(Self {
            host,
            port,
            username,
            password,
            database,
            tls,
        })
    }
}

/// serde's message, if it is one of those that quote no value.
fn missing_field(error: &serde_json::Error) -> String {
    let message = error.to_string();
    if message.starts_with("missing field") {
        message
    } else {
        "a field has the wrong type".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rds_shape_is_read_and_not_shown() {
        let content =
            r#"{"engine":"sqlserver","host":"db","port":"1444","username":"u","password":"s3cret","dbname":"d"}"#;
        let login = Login::from_secret("arn", content, Tls::Verify).unwrap();
        assert_eq!((login.port, login.to_string()), (1444, "db:1444/d".into()));
        assert!(!format!("{login:?}").contains("s3cret"));
    }

    #[test]
    fn a_wrong_secret_is_named_and_not_quoted() {
        for (content, named) in [
            (r#"{"host":"db","username":"u","password":"s3cret"}"#, "dbname"),
            (
                r#"{"host":"db","username":"u","password":["s3cret"],"dbname":"d"}"#,
                "wrong type",
            ),
            ("s3cret", "not JSON"),
        ] {
            let error = Login::from_secret("arn:x", content, Tls::Verify).unwrap_err();
            assert_eq!(error.code(), ErrorCode::InvalidConfig);
            let text = error.report();
            assert!(
                text.contains(named) && text.contains("arn:x") && !text.contains("s3cret"),
                "{text}"
            );
        }
    }
}
