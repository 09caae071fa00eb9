//! Deployment facts: the environment, read once in `main` and nowhere else.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::error::{Error, ErrorCode, Result};
use crate::identifier::ObjectName;

/// Smallest piece S3 takes in a multipart upload, but for the last.
const MIN_PART_BYTES: usize = 5 * 1024 * 1024;
/// Largest piece that keeps the memory of copy-delta bounded.
const MAX_PART_BYTES: usize = 64 * 1024 * 1024;
/// Longest prefix that leaves room for the rest of a key.
const MAX_PREFIX_BYTES: usize = 128;
/// A silence that is longer than an invocation would never be noticed.
const SILENCE_SECONDS: RangeInclusive<u64> = 1..=840;

/// The variables of the process, and every complaint about them: all are reported at once.
#[derive(Debug)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    complaints: Vec<String>,
}

impl Environment {
    /// The process's own variables. Empty ones count as unset, as templates leave them.
    #[must_use]
    pub fn from_process() -> Self {
        Self::new(std::env::vars())
    }

    /// These variables.
    pub fn new(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let variables = variables.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        Self {
            variables,
            complaints: Vec::new(),
        }
    }

    fn optional(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
    }

    fn required(&mut self, name: &str) -> String {
        self.optional(name).unwrap_or_else(|| {
            self.complaints.push(format!("{name} is not set"));
            String::new()
        })
    }

    fn one_of<T: Copy>(&mut self, name: &str, choices: &[(&str, T)], default: T) -> T {
        let Some(value) = self.optional(name) else {
            return default;
        };
        choices.iter().find(|(choice, _)| *choice == value).map_or_else(
            || {
                let choices: Vec<_> = choices.iter().map(|(choice, _)| *choice).collect();
                self.complaints
                    .push(format!("{name} is '{value}', not one of {}", choices.join(", ")));
                default
            },
            |(_, choice)| *choice,
        )
    }

    fn object_name(&mut self, name: &str, default: &str) -> Option<ObjectName> {
        let value = self.optional(name).unwrap_or_else(|| default.to_owned());
        value
            .parse()
            .map_err(|error: Error| self.complaints.push(format!("{name}: {error}")))
            .ok()
    }

    /// `value` if nothing was complained about, else `InvalidConfig` with everything.
    fn checked<T>(self, value: Option<T>) -> Result<T> {
        match value {
            Some(value) if self.complaints.is_empty() => Ok(value),
            _ => Err(Error::new(
                ErrorCode::InvalidConfig,
                format!(
                    "the function's environment is incomplete: {}",
                    self.complaints.join("; ")
                ),
            )),
        }
    }
}

/// Where the files and the ledger go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkConfig {
    /// `SINK_BUCKET`
    pub bucket: String,
    /// `SINK_PREFIX`
    pub prefix: String,
}

/// How the server's certificate is treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tls {
    /// The certificate must chain to a known root and name the host.
    Verify,
    /// Encrypted, but to whoever answers.
    Trust,
}

/// How long a SQL Server that says nothing is waited for. How long it takes to say much does not matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// To connect, and again to agree on TLS and log in.
    pub connect: Duration,
    /// For the next piece of an answer.
    pub silence: Duration,
}

impl Timeouts {
    /// Of statements with a short answer. After the silence it is seen whether the server is there, within a table's turn
    /// of a lookup.
    pub const LOOKUP: Self = Self {
        connect: Duration::from_secs(15),
        silence: Duration::from_secs(60),
    };
    /// Of the rows of a slice: a row that is looked for in a whole table, or waits for a lock, is worth more patience.
    pub const ROWS: Self = Self {
        connect: Duration::from_secs(15),
        silence: Duration::from_secs(300),
    };
}

/// How a SQL Server is reached.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ServerConfig {
    /// The ARN (or name) of a Secrets Manager secret of the RDS shape.
    pub secret_arn: String,
    /// `SOURCE_TLS`
    pub tls: Tls,
}

/// Where the watermarks are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatermarkConfig {
    /// In a control table.
    Sql {
        /// The server of the control table.
        server: ServerConfig,
        /// `WATERMARK_TABLE`
        table: ObjectName,
        /// `WATERMARK_PROCEDURE`
        procedure: ObjectName,
    },
    /// Beside the ledger in the sink bucket.
    S3,
}

#[derive(Clone, Copy)]
enum StoreChoice {
    Sql,
    S3,
}

fn sink(environment: &mut Environment) -> SinkConfig {
    let prefix = environment.optional("SINK_PREFIX").unwrap_or_else(|| "tidemark".into());
    if prefix.len() > MAX_PREFIX_BYTES {
        environment
            .complaints
            .push(format!("SINK_PREFIX is longer than {MAX_PREFIX_BYTES} bytes"));
    }
    SinkConfig {
        bucket: environment.required("SINK_BUCKET"),
        prefix,
    }
}

fn tls(environment: &mut Environment) -> Tls {
    environment.one_of(
        "SOURCE_TLS",
        &[("verify", Tls::Verify), ("trust", Tls::Trust)],
        Tls::Verify,
    )
}

fn source(environment: &mut Environment) -> ServerConfig {
    ServerConfig {
        secret_arn: environment.required("SOURCE_SECRET_ARN"),
        tls: tls(environment),
    }
}

fn watermarks(environment: &mut Environment) -> Option<WatermarkConfig> {
    let choices = [("sql", StoreChoice::Sql), ("s3", StoreChoice::S3)];
    match environment.one_of("WATERMARK_STORE", &choices, StoreChoice::Sql) {
        StoreChoice::S3 => Some(WatermarkConfig::S3),
        StoreChoice::Sql => {
            let secret_arn = environment
                .optional("WATERMARK_SECRET_ARN")
                .unwrap_or_else(|| environment.required("SOURCE_SECRET_ARN"));
            let server = ServerConfig {
                secret_arn,
                tls: tls(environment),
            };
            let table = environment.object_name("WATERMARK_TABLE", "dbo.watermarktable");
            let procedure = environment.object_name("WATERMARK_PROCEDURE", "dbo.usp_write_watermark");
            Some(WatermarkConfig::Sql {
                server,
                table: table?,
                procedure: procedure?,
            })
        }
    }
}

/// The environment of `lookup-old-watermark`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookupOldConfig {
    /// The ledger.
    pub sink: SinkConfig,
    /// The pointer.
    pub watermarks: WatermarkConfig,
}

impl LookupOldConfig {
    /// Reads the environment; `InvalidConfig` names everything wrong with it.
    pub fn read(mut environment: Environment) -> Result<Self> {
        let sink = sink(&mut environment);
        let value = watermarks(&mut environment).map(|watermarks| Self { sink, watermarks });
        environment.checked(value)
    }
}

/// The environment of `lookup-new-watermark`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookupNewConfig {
    /// The ledger.
    pub sink: SinkConfig,
    /// The tables.
    pub source: ServerConfig,
}

impl LookupNewConfig {
    /// Reads the environment; `InvalidConfig` names everything wrong with it.
    pub fn read(mut environment: Environment) -> Result<Self> {
        let value = Self {
            sink: sink(&mut environment),
            source: source(&mut environment),
        };
        environment.checked(Some(value))
    }
}

/// The environment of `copy-delta`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyConfig {
    /// The ledger and the files.
    pub sink: SinkConfig,
    /// The tables.
    pub source: ServerConfig,
    /// `SOURCE_SILENCE_SECONDS`: how long the server may be silent while rows are read, 300 by default.
    pub silence: Duration,
    /// `PART_BYTES`: size of the pieces of an upload, 5 to 64 MiB, 8 by default.
    pub part_bytes: usize,
}

impl CopyConfig {
    /// Reads the environment; `InvalidConfig` names everything wrong with it.
    pub fn read(mut environment: Environment) -> Result<Self> {
        let (sink, source) = (sink(&mut environment), source(&mut environment));
        let part_bytes = environment
            .optional("PART_BYTES")
            .map_or(Some(8 * 1024 * 1024), |value| value.parse().ok());
        let part_bytes = part_bytes.filter(|bytes| (MIN_PART_BYTES..=MAX_PART_BYTES).contains(bytes));
        if part_bytes.is_none() {
            let range = format!("PART_BYTES is not a number of bytes from {MIN_PART_BYTES} to {MAX_PART_BYTES}");
            environment.complaints.push(range);
        }
        let silence = environment
            .optional("SOURCE_SILENCE_SECONDS")
            .map_or(Some(Timeouts::ROWS.silence.as_secs()), |value| value.parse().ok());
        let silence = silence.filter(|seconds| SILENCE_SECONDS.contains(seconds));
        if silence.is_none() {
            let (least, most) = (SILENCE_SECONDS.start(), SILENCE_SECONDS.end());
            let range = format!("SOURCE_SILENCE_SECONDS is not a number of seconds from {least} to {most}");
            environment.complaints.push(range);
        }
        let numbers = part_bytes.zip(silence);
        environment.checked(numbers.map(|(part_bytes, silence)| Self {
            sink,
            source,
            silence: Duration::from_secs(silence),
            part_bytes,
        }))
    }
}

/// The environment of `update-watermark`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateConfig {
    /// The ledger and the files.
    pub sink: SinkConfig,
    /// The tables, to count a window again.
    pub source: ServerConfig,
    /// The pointer.
    pub watermarks: WatermarkConfig,
}

impl UpdateConfig {
    /// Reads the environment; `InvalidConfig` names everything wrong with it.
    pub fn read(mut environment: Environment) -> Result<Self> {
        let (sink, source) = (sink(&mut environment), source(&mut environment));
        let value = watermarks(&mut environment).map(|watermarks| Self {
            sink,
            source,
            watermarks,
        });
        environment.checked(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        Environment::new(
            variables
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        )
    }

    #[test]
    fn defaults_suit_the_tutorial() {
        let config = UpdateConfig::read(environment(&[("SINK_BUCKET", "b"), ("SOURCE_SECRET_ARN", "arn")])).unwrap();
        assert_eq!(config.sink.prefix, "tidemark");
        assert_eq!(config.source.tls, Tls::Verify);
        let WatermarkConfig::Sql {
            server,
            table,
            procedure,
        } = config.watermarks
        else {
            panic!("sql is the default")
        };
        assert_eq!(server, config.source);
        assert_eq!(
            (table.to_string(), procedure.to_string()),
            ("dbo.watermarktable".into(), "dbo.usp_write_watermark".into())
        );
    }

    #[test]
    fn everything_missing_is_reported_at_once() {
        let error = CopyConfig::read(environment(&[
            ("SINK_BUCKET", ""),
            ("SOURCE_TLS", "off"),
            ("PART_BYTES", "12"),
            ("SOURCE_SILENCE_SECONDS", "0"),
        ]))
        .unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidConfig);
        for name in [
            "SINK_BUCKET is not set",
            "SOURCE_SECRET_ARN is not set",
            "SOURCE_TLS is 'off'",
            "PART_BYTES",
            "SOURCE_SILENCE_SECONDS",
        ] {
            assert!(error.to_string().contains(name), "{error}");
        }
    }

    #[test]
    fn the_s3_store_needs_no_server() {
        let config = LookupOldConfig::read(environment(&[("SINK_BUCKET", "b"), ("WATERMARK_STORE", "s3")])).unwrap();
        assert_eq!(config.watermarks, WatermarkConfig::S3);
    }
}
