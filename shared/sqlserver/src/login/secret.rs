//! Reads a login from the content of a secret, as RDS or a person writes it.
//!
//! All complaints are reported together, and none quotes the content. Other fields (`engine`, `dbInstanceIdentifier`,
//! …) are ignored.

#[cfg(test)]
mod tests;

use serde_json::{Map, Value};
use tidemark::error::{Error, ErrorCode, Result};
use tidemark::model::server::{ServerSettings, Tls};
use tidemark::ports::secrets::Secret;
use tidemark::ports::tokens::{ClientProof, Identity};

use super::{DEFAULT_PORT, Login, SignIn, address};

/// A cloud of Azure.
struct Cloud {
    /// The ends of the names of its servers.
    suffixes: &'static [&'static str],
    /// The issuer of tokens there.
    authority: &'static str,
    /// The resource that a token is for.
    resource: &'static str,
    /// The audience of tokens of other issuers that are exchanged there.
    audience: &'static str,
}

/// The national clouds of Azure. Synapse has names of its own
/// (<https://learn.microsoft.com/en-us/azure/private-link/private-endpoint-dns>), and takes tokens for the same resource.
/// (<https://learn.microsoft.com/en-us/entra/identity-platform/authentication-national-cloud>,
/// <https://learn.microsoft.com/en-us/entra/workload-id/workload-identity-federation-considerations>).
const NATIONAL: [Cloud; 2] = [
    Cloud {
        suffixes: &[".database.usgovcloudapi.net", ".sql.azuresynapse.usgovcloudapi.net"],
        authority: "https://login.microsoftonline.us",
        resource: "https://database.usgovcloudapi.net",
        audience: "api://AzureADTokenExchangeUSGov",
    },
    Cloud {
        suffixes: &[".database.chinacloudapi.cn", ".sql.azuresynapse.azure.cn"],
        authority: "https://login.partner.microsoftonline.cn",
        resource: "https://database.chinacloudapi.cn",
        audience: "api://AzureADTokenExchangeChina",
    },
];

/// The cloud of all other servers.
const PUBLIC: Cloud = Cloud {
    suffixes: &[],
    authority: "https://login.microsoftonline.com",
    resource: "https://database.windows.net",
    audience: "api://AzureADTokenExchange",
};

/// What other programs call the fields, in lower case. Names in another case than that of RDS count, too.
const OTHER_NAMES: [(&str, &[&str]); 4] = [
    ("host", &["server", "hostname", "endpoint", "address", "data source"]),
    (
        "dbname",
        &["database", "db", "database_name", "databasename", "initial catalog"],
    ),
    ("username", &["user", "login", "uid", "user id", "user_name"]),
    ("password", &["pwd", "pass"]),
];

impl Cloud {
    /// Returns the cloud that a server is in, by its name.
    fn of(host: &str) -> &'static Self {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        NATIONAL
            .iter()
            .find(|cloud| cloud.suffixes.iter().any(|suffix| host.ends_with(suffix)))
            .unwrap_or(&PUBLIC)
    }
}

impl Login {
    /// Reads the login of `server` from the content of its secret.
    ///
    /// # Errors
    ///
    /// `InvalidConfig`, which names everything that is missing or wrong and quotes nothing.
    pub fn from_secret(server: &ServerSettings, content: &Secret) -> Result<Self> {
        let refused = |what: &str| {
            let message = format!(
                "the secret {} is not one of {{host, port, username, password, dbname}} as RDS writes it: {what}",
                server.secret
            );
            Error::new(ErrorCode::InvalidConfig, message)
        };
        // Some editors put a mark of the byte order before the text.
        let text = content.reveal().trim_start_matches('\u{FEFF}');
        let fields: Value = serde_json::from_str(text).map_err(|_| refused("it is not JSON"))?;
        let fields = match fields {
            Value::Object(fields) => fields,
            Value::String(_) => {
                return Err(refused(
                    "it is not an object but a text, perhaps with the object in quotes: store the object itself",
                ));
            }
            _ => return Err(refused("it is not an object")),
        };
        Self::from_fields(server, fields).map_err(|what| refused(&what))
    }

    /// Reads the login of `server` from fields that are called as those of a secret. The error is everything that is
    /// missing or wrong, without a word of where the fields come from, and quotes nothing.
    ///
    /// # Errors
    ///
    /// When a field is missing or wrong.
    pub fn from_fields(server: &ServerSettings, fields: Map<String, Value>) -> std::result::Result<Self, String> {
        let mut content = Content {
            fields,
            complaints: Vec::new(),
        };
        let login = content.login(server);
        match login {
            Some(login) if content.complaints.is_empty() => Ok(login),
            _ => Err(content.complaints.join("; ")),
        }
    }
}

/// The fields of a secret that are still unread, and the complaints about it.
struct Content {
    fields: Map<String, Value>,
    complaints: Vec<String>,
}

impl Content {
    fn complain(&mut self, what: impl Into<String>) {
        self.complaints.push(what.into());
    }

    /// Takes a field with text. An empty text counts as missing.
    fn text(&mut self, name: &str) -> Option<String> {
        match self.fields.remove(name) {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => (!text.is_empty()).then_some(text),
            Some(_) => {
                self.complain(format!("its {name} is not text"));
                None
            }
        }
    }

    fn required(&mut self, name: &str) -> Option<String> {
        let complaints = self.complaints.len();
        let text = self.text(name);
        if text.is_none() && complaints == self.complaints.len() {
            let other = self.other_name(name);
            self.complain(format!("it has no {name}{other}"));
        }
        text
    }

    /// Returns the end of the complaint about a missing field, when the secret has one that other programs call so.
    fn other_name(&self, name: &str) -> String {
        let others = OTHER_NAMES
            .iter()
            .find(|(known, _)| *known == name)
            .map_or(&[][..], |(_, others)| others);
        let is_other = |field: &&String| {
            let field = field.to_ascii_lowercase();
            field == name || others.contains(&field.as_str())
        };
        let other = self.fields.keys().find(is_other);
        other.map_or_else(String::new, |other| format!(" (it has {other}: call it {name})"))
    }

    /// Takes a field, or else the setting `given`. The complaint about a missing value names the environment variable
    /// of the setting.
    fn or_given(
        &mut self,
        name: &str,
        given: Option<&String>,
        server: &ServerSettings,
        variable: &str,
    ) -> Option<String> {
        let complaints = self.complaints.len();
        let text = self.text(name).or_else(|| given.cloned());
        if text.is_none() && complaints == self.complaints.len() {
            let stand_in = match server.variables {
                "" => String::new(),
                prefix => format!(", and {prefix}_{variable} is not set"),
            };
            let other = self.other_name(name);
            self.complain(format!("it has no {name}{other}{stand_in}"));
        }
        text
    }

    /// Takes the port, which RDS writes as a number and the console's form as text.
    fn port(&mut self) -> Option<u16> {
        let port = match self.fields.remove("port")? {
            Value::Null => return None,
            Value::String(text) if text.trim().is_empty() => return None,
            Value::String(text) => text.trim().parse().ok(),
            Value::Number(number) => number.as_u64().and_then(|number| u16::try_from(number).ok()),
            _ => None,
        };
        let port = port.filter(|port| *port > 0);
        if port.is_none() {
            self.complain("its port is not a number from 1 to 65535");
        }
        port
    }

    /// Takes a flag, which the console's form writes as text.
    fn flag(&mut self, name: &str) -> Option<bool> {
        match self.fields.remove(name)? {
            Value::Null => None,
            Value::Bool(flag) => Some(flag),
            Value::String(text) if text == "true" => Some(true),
            Value::String(text) if text == "false" => Some(false),
            _ => {
                self.complain(format!("its {name} is neither true nor false"));
                None
            }
        }
    }

    fn one_of<T: Copy>(&mut self, name: &str, choices: &[(&str, T)]) -> Option<T> {
        let text = self.text(name)?;
        let choice = choices.iter().find(|(choice, _)| *choice == text);
        if choice.is_none() {
            let choices: Vec<_> = choices.iter().map(|(choice, _)| *choice).collect();
            self.complain(format!("its {name} is none of {}", choices.join(", ")));
        }
        choice.map(|(_, choice)| *choice)
    }

    fn login(&mut self, server: &ServerSettings) -> Option<Login> {
        let address = self.address(server);
        let database = self.or_given("dbname", server.database.as_ref(), server, "DATABASE");
        let tls = self.one_of("tls", &Tls::ALL).or(server.tls).unwrap_or(Tls::Verify);
        let host_name_in_certificate = self.text("host_name_in_certificate").map(|name| name.trim().to_owned());
        if host_name_in_certificate
            .as_ref()
            .is_some_and(|name| address::name(name).is_err())
        {
            self.complain(
                "its host_name_in_certificate is not one name: give a DNS name that the certificate has, and for *.example.com any \
                 name that it stands for",
            );
        }
        if host_name_in_certificate.is_some() && tls == Tls::Trust {
            self.complain("it has a host_name_in_certificate, which tls: trust does not look at");
        }
        let read_intent = self.flag("read_intent").unwrap_or(server.read_intent);
        let host = address.as_ref().map_or("", |(host, _)| host);
        let sign_in = self.sign_in(host);
        let (host, port) = address?;
        Some(Login {
            host,
            port,
            database: database?,
            sign_in: sign_in?,
            tls,
            host_name_in_certificate,
            read_intent: read_intent && !server.is_written,
        })
    }

    /// Takes the host and the port, which may also be part of the host.
    fn address(&mut self, server: &ServerSettings) -> Option<(String, u16)> {
        let port = self.port();
        let host = self.or_given("host", server.host.as_ref(), server, "HOST")?;
        let address = match address::read(&host) {
            Ok(address) => address,
            Err(what) => {
                self.complain(format!("its host is not usable, because {what}"));
                return None;
            }
        };
        if let (Some(one), Some(other)) = (address.port, port)
            && one != other
        {
            self.complain(format!(
                "its host names the port {one}, and its port is {other}: give one of them"
            ));
        }
        let port = address.port.or(port).or(server.port).unwrap_or(DEFAULT_PORT);
        Some((address.host, port))
    }

    fn sign_in(&mut self, host: &str) -> Option<SignIn> {
        let choices = [
            ("password", Authentication::Password),
            ("service_principal", Authentication::ServicePrincipal),
            ("web_identity", Authentication::WebIdentity),
        ];
        let is_said = self.fields.contains_key("authentication");
        match self.one_of("authentication", &choices) {
            None if is_said && !self.complaints.is_empty() => None,
            None | Some(Authentication::Password) => {
                let (username, password) = (self.required("username"), self.required("password"));
                if username.as_ref().is_some_and(|username| username.contains('\\')) {
                    self.complain(
                        "its username is a Windows login, with a \\ in it, and Windows logins are not supported: use a login of SQL Server \
                         or of Microsoft Entra",
                    );
                }
                Some(SignIn::Password {
                    username: username?,
                    password: Secret::new(password?),
                })
            }
            Some(Authentication::ServicePrincipal) => {
                let (secret, certificate) = (self.text("client_secret"), self.text("client_certificate"));
                let proof = match (secret, certificate) {
                    (Some(secret), None) => Some(ClientProof::Secret(Secret::new(secret))),
                    (None, Some(pem)) => Some(ClientProof::Certificate(Secret::new(pem))),
                    _ => None,
                };
                if proof.is_none() {
                    self.complain(
                        "a service_principal has either a client_secret or a client_certificate (key and certificate as PEM)",
                    );
                }
                self.entra(host, proof)
            }
            Some(Authentication::WebIdentity) => {
                let audience = self
                    .text("audience")
                    .unwrap_or_else(|| Cloud::of(host).audience.to_owned());
                self.entra(host, Some(ClientProof::WebIdentity { audience }))
            }
        }
    }

    fn entra(&mut self, host: &str, proof: Option<ClientProof>) -> Option<SignIn> {
        let (tenant, client) = (self.required("tenant_id"), self.required("client_id"));
        let Cloud {
            authority, resource, ..
        } = Cloud::of(host);
        let authority = self.text("authority").unwrap_or_else(|| (*authority).to_owned());
        if !is_safe(&authority) {
            self.complain("its authority is not an https address, and a secret would be sent to it in the clear");
        }
        let tenant = tenant.filter(|tenant| self.is_plain("tenant_id", tenant));
        let client = client.filter(|client| self.is_plain("client_id", client));
        Some(SignIn::Entra(Identity {
            authority: authority.trim_end_matches('/').to_owned(),
            tenant: tenant?,
            client: client?,
            resource: self.text("resource").map_or_else(
                || (*resource).to_owned(),
                // A scope is a resource with an end that is added to every resource.
                |resource| resource.trim_end_matches("/.default").trim_end_matches('/').to_owned(),
            ),
            proof: proof?,
        }))
    }

    /// Checks that a text can be part of a URL without escapes. Ids are UUIDs, and a tenant may be a domain.
    fn is_plain(&mut self, name: &str, text: &str) -> bool {
        let is_plain = text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '.');
        if !is_plain {
            self.complain(format!("its {name} is not an id"));
        }
        is_plain
    }
}

#[derive(Clone, Copy)]
enum Authentication {
    Password,
    ServicePrincipal,
    WebIdentity,
}

/// Returns whether nobody can read what is sent to a URL: it is `https`, or on this machine.
fn is_safe(address: &str) -> bool {
    let loopback = ["http://127.0.0.1:", "http://localhost:", "http://[::1]:"];
    address.starts_with("https://") || loopback.iter().any(|begin| address.starts_with(begin))
}
