//! Finding the source: its address and login, from an address, the environment, standard input or a secret.

use std::io::BufRead as _;
use std::sync::Arc;

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use futures::future::BoxFuture;
use serde_json::Value;
use tidemark::error::{Answer, Error, ErrorCode, OfRole, Result, Role};
use tidemark::model::server::{ServerSettings, Tls};
use tidemark::model::sink::SinkSpec;
use tidemark::ports::secrets::{ReadSecrets, Secret};
use tidemark::ports::tokens::{Identity, IssueTokens, Token};
use tidemark_aws::clients::Aws;
use tidemark_sqlserver::Quoted;
use tidemark_sqlserver::login::{Credential, Login, Logins, SignIn};
use tidemark_sqlserver::masks::MaskSecret;
use tidemark_sqlserver::session::{KeptConnection, Server};
use tidemark_sqlserver::sink::Sinks;

use super::stack;
use crate::standard_input;

/// The variable that holds the address of the source.
const SOURCE: &str = "TIDEMARK_SOURCE";
/// The variable that holds the key for hashes itself.
const MASK_KEY: &str = "TIDEMARK_MASK_KEY";
/// The variable that names a file with certificate authorities.
const AUTHORITIES: &str = "SSL_CERT_FILE";

/// The source, as it is given.
#[derive(Debug, Clone, Args)]
pub(crate) struct SourceArgs {
    /// The address of the source.
    #[arg(
        long,
        help = "sqlserver://user[:password]@host[:port]/database, with ?tls=verify, strict or trust behind it",
        env = SOURCE,
        hide_env_values = true,
        value_name = "ADDRESS",
        help_heading = "Source"
    )]
    pub(crate) source: Option<String>,
    /// A secret of AWS Secrets Manager with host, port, username, password and dbname
    #[arg(long, value_name = "ARN", help_heading = "Source")]
    pub(crate) secret: Option<String>,
    /// Reads the password from the first line of standard input
    ///
    /// A shell expands `$` and others may see the arguments of a process. The variable TIDEMARK_PASSWORD holds a password as well.
    #[arg(long, conflicts_with = "secret", help_heading = "Source")]
    pub(crate) password_stdin: bool,
    /// A secret of AWS Secrets Manager with the key by which masked columns are hashed
    ///
    /// The variable TIDEMARK_MASK_KEY holds the key itself, where there is no such secret.
    #[arg(long, value_name = "ARN", env = "MASK_SECRET_ARN", help_heading = "Source")]
    pub(crate) mask_secret: Option<String>,
    /// Reads from a read-only replica of the database. It cannot be used with change tracking
    ///
    /// A secret says the same with its field read_intent.
    #[arg(long, env = "SOURCE_READ_INTENT", help_heading = "Source")]
    pub(crate) read_intent: bool,
    /// How the server's certificate is checked [default: verify]
    ///
    /// Where an authority of your own has signed it, name the file of that authority in the variable SSL_CERT_FILE.
    #[arg(long, value_parser = tls_parser(), help_heading = "Source")]
    pub(crate) tls: Option<Tls>,
}

/// Reads how the server's certificate is treated.
fn tls_parser() -> impl TypedValueParser<Value = Tls> {
    let choices = Tls::ALL.map(|(name, tls)| {
        PossibleValue::new(name).help(match tls {
            Tls::Verify => "The certificate must be signed by a known authority, and be for this host",
            Tls::Strict => "As verify, and the connection begins with TLS, as TDS 8.0 wants it",
            Tls::Trust => "Every certificate is accepted: the connection is encrypted, but another server could answer",
        })
    });
    PossibleValuesParser::new(choices).try_map(|name| Tls::named(&name).ok_or("it is none of these"))
}

/// What is known of a source before anything is connected.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// The login for reading.
    pub(crate) credential: Credential,
    /// The server and its database, as people name them.
    pub(crate) name: String,
    /// The host.
    pub(crate) host: String,
    /// The port.
    pub(crate) port: u16,
    logins: Logins,
    /// The login for writing, which never asks for a replica.
    writer: Credential,
}

impl Source {
    /// Opens a session for statements.
    pub(crate) fn server(&self) -> Server {
        Server::new(self.credential.clone())
    }

    /// Opens a session in which the control table is written.
    pub(crate) fn writer(&self) -> Server {
        Server::new(self.writer.clone())
    }

    /// Returns the login's user, quoted as in a statement.
    pub(crate) fn user(&self) -> String {
        match &self.credential.login().sign_in {
            SignIn::Password { username, .. } => username.as_str().quoted(),
            _ => "[the user of the login]".to_owned(),
        }
    }

    /// Returns the databases behind the secrets that these tables name, and no others.
    pub(crate) fn sinks<'a>(&self, sinks: impl Iterator<Item = &'a SinkSpec>) -> Sinks {
        let secrets = sinks.map(|SinkSpec::SqlServer(sink)| sink.secret_arn.clone());
        Sinks::new(
            &self.logins,
            ServerSettings::default(),
            secrets.collect(),
            &KeptConnection::default(),
        )
    }

    fn of(credential: Credential, writer: Credential, logins: Logins) -> Self {
        Self {
            name: credential.login().to_string(),
            host: credential.login().host.clone(),
            port: credential.login().port,
            credential,
            logins,
            writer,
        }
    }
}

impl SourceArgs {
    /// Finds the login.
    pub(crate) async fn open(&self) -> Result<Source> {
        authorities()?;
        // A variable may stand for every command of a shell, so what is typed comes before it.
        if self.secret.is_some() && self.source.is_some() && self.source != std::env::var(SOURCE).ok() {
            let message = "--source and --secret are both given: give one of them";
            return Err(Error::new(ErrorCode::InvalidInput, message));
        }
        let logins = Logins::with_tokens(Arc::new(LazyAws), Arc::new(LazyAws));
        let named = match (&self.secret, stack::deployed()) {
            (Some(arn), _) => Some(ServerSettings::of_secret(arn)),
            (None, Some(stack)) => Some(stack::server_of(stack)?),
            (None, None) => None,
        };
        if let Some(server) = named {
            let server = ServerSettings {
                tls: self.tls.or(server.tls),
                read_intent: server.read_intent || self.read_intent,
                ..server
            };
            let credential = logins.credential(&server).await.of(Role::Source)?;
            let writer = if credential.login().read_intent {
                let is_written = true;
                let server = ServerSettings { is_written, ..server };
                logins.credential(&server).await.of(Role::Source)?
            } else {
                credential.clone()
            };
            return Ok(Source::of(credential.masking(self.masks()), writer, logins));
        }
        let Some(address) = self.source.as_ref().filter(|address| !address.trim().is_empty()) else {
            let message = "there is no source: give --source sqlserver://user@host/database, or --secret with the name of a \
                           secret, or set TIDEMARK_SOURCE";
            return Err(Error::new(ErrorCode::InvalidInput, message));
        };
        let mut address = Address::parse(address)?;
        address.password = self.password(address.password)?;
        address.tls = self.tls.unwrap_or(address.tls);
        let login = login_of(address)?;
        let writer = Credential::from(login.clone());
        let credential = Credential::from(Login {
            read_intent: self.read_intent,
            ..login
        });
        Ok(Source::of(credential.masking(self.masks()), writer, logins))
    }

    /// Returns where the key for hashes is, if one is given. It is not read before a column is hashed.
    fn masks(&self) -> Option<MaskSecret> {
        // The deployed key comes first, because another key would make other hashes than those that the stack has
        // written.
        let deployed = stack::deployed().and_then(stack::mask_secret_of);
        if let Some(arn) = deployed.or_else(|| self.mask_secret.clone()) {
            return Some(MaskSecret::new(Arc::new(LazyAws), arn));
        }
        let key = std::env::var(MASK_KEY).ok().filter(|key| !key.is_empty())?;
        Some(MaskSecret::new(Arc::new(Given(Secret::new(key))), MASK_KEY))
    }

    /// Returns the password: that on standard input, then the one in the address, then that of the environment, which may
    /// be meant for another source.
    fn password(&self, in_address: Option<String>) -> Result<Option<String>> {
        if self.password_stdin {
            let mut line = String::new();
            let read = standard_input::open("the password")?.lock().read_line(&mut line);
            read.map_err(|error| {
                Error::with_source(
                    ErrorCode::InvalidInput,
                    "the password on standard input cannot be read: write it there in one line, as UTF-8",
                    error,
                )
            })?;
            let password = line.trim_end_matches(['\r', '\n']).to_owned();
            if password.is_empty() {
                let message = "the password on standard input is empty: write it there in one line";
                return Err(Error::new(ErrorCode::InvalidInput, message));
            }
            return Ok(Some(password));
        }
        let given = |password: &String| !password.is_empty();
        let of_environment = || std::env::var("TIDEMARK_PASSWORD").ok().filter(given);
        Ok(in_address.filter(given).or_else(of_environment))
    }
}

/// Checks that the file with certificate authorities can be read, where one is named.
fn authorities() -> Result<()> {
    let Some(path) = std::env::var_os(AUTHORITIES).filter(|path| !path.is_empty()) else {
        return Ok(());
    };
    std::fs::File::open(&path).map(drop).map_err(|error| {
        let message = format!(
            "{AUTHORITIES} names {}, which cannot be read: name a file with the certificates of authorities, or take the variable away",
            std::path::Path::new(&path).display()
        );
        Error::with_source(ErrorCode::InvalidConfig, message, error)
    })
}

/// Makes the login of an address. No other place of this command makes one.
fn login_of(address: Address) -> Result<Login> {
    let Some(password) = address.password else {
        let message = format!(
            "there is no password for {}: set TIDEMARK_PASSWORD, or give --password-stdin, or write it into the address",
            address.username
        );
        return Err(Error::new(ErrorCode::InvalidInput, message));
    };
    let fields = [
        ("host", address.server),
        ("username", address.username),
        ("password", password),
        ("dbname", address.database),
    ];
    let fields = fields.map(|(name, value)| (name.to_owned(), Value::String(value)));
    let server = ServerSettings::default().with_tls(address.tls);
    Login::from_fields(&server, fields.into_iter().collect())
        .map_err(|what| Error::new(ErrorCode::InvalidInput, format!("--source is not usable: {what}")))
}

/// The secrets of AWS and the tokens of Microsoft Entra, whose clients are made when something is asked for.
#[derive(Debug)]
struct LazyAws;

impl IssueTokens for LazyAws {
    fn token<'a>(&'a self, identity: &'a Identity) -> BoxFuture<'a, Answer<Token>> {
        Box::pin(async move { Aws::from_environment()?.tokens.token(identity).await })
    }
}

impl ReadSecrets for LazyAws {
    fn secret<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Answer<Secret>> {
        Box::pin(async move { Aws::from_environment()?.secrets.secret(name).await })
    }
}

/// A secret that was given to this process.
struct Given(Secret);

impl std::fmt::Debug for Given {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Given")
    }
}

impl ReadSecrets for Given {
    fn secret<'a>(&'a self, _name: &'a str) -> BoxFuture<'a, Answer<Secret>> {
        Box::pin(async { Ok(self.0.clone()) })
    }
}

/// The parts of an address.
struct Address {
    /// The host and possibly the port, as a secret may have them.
    server: String,
    username: String,
    password: Option<String>,
    database: String,
    tls: Tls,
}

impl Address {
    /// Reads `sqlserver://user:password@host:port/database?tls=trust`. No error quotes what could hold a password.
    fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        let scheme = text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
        let rest = match scheme.as_deref() {
            Some("sqlserver" | "mssql") => text.split_once("://").map(|(_, rest)| rest),
            _ => None,
        };
        let rest = rest.ok_or_else(|| match text.contains([';', '=']) {
            true => refused(
                "is a connection string of another program. Its server goes behind the @, its database behind the /, its user before the @, \
                 and its password into TIDEMARK_PASSWORD",
            ),
            false => refused("does not begin with sqlserver://"),
        })?;
        // A password may hold an @, and a host may not.
        let (login, place) = rest
            .rsplit_once('@')
            .ok_or_else(|| refused("has no user before an @"))?;
        let (place, query) = place.split_once('?').unwrap_or((place, ""));
        let (server, database) = place
            .split_once('/')
            .ok_or_else(|| refused("has no /database after the host"))?;
        let (username, password) = match login.split_once(':') {
            Some((username, password)) => (username, Some(decoded(password)?)),
            None => (login, None),
        };
        let server = server.to_owned();
        let (username, database) = (decoded(username)?, decoded(database.trim_end_matches('/'))?);
        for (what, value) in [("user", &username), ("host", &server), ("database", &database)] {
            if value.is_empty() {
                return Err(refused(&format!("has no {what}")));
            }
        }
        Ok(Self {
            server,
            username,
            password,
            database,
            tls: tls_in(query)?,
        })
    }
}

fn tls_in(query: &str) -> Result<Tls> {
    let mut tls = Tls::Verify;
    for setting in query.split('&').filter(|setting| !setting.is_empty()) {
        let named = setting.strip_prefix("tls=").and_then(Tls::named);
        tls = named.ok_or_else(|| refused("has a setting that is not tls=verify, tls=strict or tls=trust"))?;
    }
    Ok(tls)
}

/// Decodes a text in which `%40` stands for `@`.
fn decoded(text: &str) -> Result<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
        let value = digit()
            .zip(digit())
            .and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
        bytes.push(value.ok_or_else(|| refused("has a % that two hexadecimal digits do not follow: write %25"))?);
    }
    String::from_utf8(bytes).map_err(|_| refused("is not UTF-8"))
}

fn refused(what: &str) -> Error {
    let message = format!("--source {what}: write sqlserver://user@host:1433/database");
    Error::new(ErrorCode::InvalidInput, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(text: &str) -> Result<Login> {
        let mut address = Address::parse(text)?;
        address.password = address.password.or_else(|| Some("of the environment".to_owned()));
        login_of(address)
    }

    #[test]
    fn an_address_has_its_parts() {
        let parts = |text: &str| {
            let Login {
                host,
                port,
                database,
                sign_in,
                tls,
                ..
            } = login(text).unwrap();
            let SignIn::Password { username, password } = sign_in else {
                panic!("{text} has a password");
            };
            let password = password.reveal().to_owned();
            assert!(tls == Tls::Verify || text.ends_with("?tls=trust"), "{text}");
            format!("{host} {port} {username} {password} {database}")
        };
        for (text, expected) in [
            (
                "sqlserver://sa:p%40s$:s@db.local:1444/My%20Shop?tls=trust",
                "db.local 1444 sa p@s$:s My Shop",
            ),
            ("mssql://u:a@b@[::1]/d", "::1 1433 u a@b d"),
            ("mssql://u:a@[::1]:5433/d", "::1 5433 u a d"),
            (" SQLServer://u:a@tcp:h/d ", "h 1433 u a d"),
            ("sqlserver://u@h,5433/d", "h 5433 u of the environment d"),
        ] {
            assert_eq!(parts(text), expected);
        }
        let shown = login("sqlserver://u:a@[::1]:5433/d").unwrap().to_string();
        assert_eq!(shown, "[::1]:5433/d");
    }

    #[test]
    fn a_wrong_address_says_what_is_wrong_and_never_the_password() {
        for (text, said) in [
            ("postgres://u:s3cret@h/d", "sqlserver://"),
            (
                "jdbc:sqlserver://h;databaseName=d;password=s3cret",
                "its user before the @",
            ),
            ("Server=h;Database=d;Password=s3cret", "its user before the @"),
            ("sqlserver://h/d", "no user"),
            ("sqlserver://u:s3cret@h", "/database"),
            ("sqlserver://u:s3cret@h:x/d", "not a port from 1 to 65535"),
            ("sqlserver://u:s3cret@h:0/d", "not a port from 1 to 65535"),
            (
                "sqlserver://u:s3cret@[::1]5433/d",
                "what follows the bracket is not a port",
            ),
            ("sqlserver://u:s3cret@[::1/d", "its bracket is not closed"),
            ("sqlserver://u:s3cret@h\\SQLEXPRESS/d", "it names an instance"),
            ("sqlserver://u:s3cret@/d", "no host"),
            ("sqlserver://u:s3cret%4@h/d", "%25"),
            ("sqlserver://u:s3cret@h/d?encrypt=no", "tls=verify"),
        ] {
            let error = login(text).map(drop).unwrap_err();
            let report = error.report();
            assert!(report.contains(said) && !report.contains("s3cret"), "{report}");
            assert_eq!(error.code(), ErrorCode::InvalidInput);
        }
    }
}
