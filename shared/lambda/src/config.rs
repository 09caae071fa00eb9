//! Deployment facts: the environment, read once in `main` and nowhere else.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use tidemark::error::{Error, ErrorCode, Result};
use tidemark::model::names::ObjectName;

/// Smallest piece S3 takes in a multipart upload, but for the last.
const MIN_PART_BYTES: usize = 5 * 1024 * 1024;
/// Largest piece that keeps the memory of copy-delta bounded.
const MAX_PART_BYTES: usize = 64 * 1024 * 1024;
/// Longest prefix that leaves room for the rest of a key.
const MAX_PREFIX_BYTES: usize = 128;
/// Pieces of this size are what most deltas fill one of.
const DEFAULT_PART_BYTES: usize = 8 * 1024 * 1024;
/// A row that is looked for in a whole table, or waits for a lock, is worth this much patience.
const DEFAULT_SILENCE_SECONDS: u64 = 300;
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

    /// A number in `range`; `default` when there is none.
    fn number<T: Copy + PartialOrd + FromStr + fmt::Display>(
        &mut self,
        name: &str,
        unit: &str,
        range: RangeInclusive<T>,
        default: T,
    ) -> T {
        let Some(value) = self.optional(name) else {
            return default;
        };
        let number = value.parse().ok().filter(|number| range.contains(number));
        number.unwrap_or_else(|| {
            let (least, most) = (range.start(), range.end());
            self.complaints
                .push(format!("{name} is not a number of {unit} from {least} to {most}"));
            default
        })
    }

    /// What is between commas, without the blanks around it.
    fn list(&self, name: &str) -> Vec<String> {
        let value = self.optional(name).unwrap_or_default();
        let items = value.split(',').map(str::trim).filter(|item| !item.is_empty());
        items.map(str::to_owned).collect()
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

/// How a SQL Server is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerSettings {
    /// The ARN (or name) of a Secrets Manager secret of the RDS shape.
    pub secret_arn: String,
    /// `SOURCE_TLS`: whether the server's certificate must chain to a known root and name the host. Otherwise the connection is
    /// encrypted, but to whoever answers.
    pub verifies_certificate: bool,
}

/// Which table of which server holds the watermarks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlTableSettings {
    /// The server of the control table.
    pub server: ServerSettings,
    /// `WATERMARK_TABLE`
    pub table: ObjectName,
    /// `WATERMARK_PROCEDURE`
    pub procedure: ObjectName,
}

/// Where the watermarks are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatermarkConfig {
    /// In a control table.
    Sql(ControlTableSettings),
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

fn verifies_certificate(environment: &mut Environment) -> bool {
    environment.one_of("SOURCE_TLS", &[("verify", true), ("trust", false)], true)
}

fn source(environment: &mut Environment) -> ServerSettings {
    ServerSettings {
        secret_arn: environment.required("SOURCE_SECRET_ARN"),
        verifies_certificate: verifies_certificate(environment),
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
            let server = ServerSettings {
                secret_arn,
                verifies_certificate: verifies_certificate(environment),
            };
            let table = environment.object_name("WATERMARK_TABLE", "dbo.watermarktable");
            let procedure = environment.object_name("WATERMARK_PROCEDURE", "dbo.usp_write_watermark");
            Some(WatermarkConfig::Sql(ControlTableSettings {
                server,
                table: table?,
                procedure: procedure?,
            }))
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
    /// Reads the environment.
    ///
    /// # Errors
    ///
    /// `InvalidConfig` names everything that is wrong with it.
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
    pub source: ServerSettings,
}

impl LookupNewConfig {
    /// Reads the environment.
    ///
    /// # Errors
    ///
    /// `InvalidConfig` names everything that is wrong with it.
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
    pub source: ServerSettings,
    /// `SOURCE_SILENCE_SECONDS`: how long the server may be silent while rows are read, 300 by default.
    pub silence: Duration,
    /// `PART_BYTES`: size of the pieces of an upload, 5 to 64 MiB, 8 by default.
    pub part_bytes: usize,
    /// `SINK_SECRET_ARNS`: the secrets of the databases that tables may be merged into, separated by commas. No other secret of a
    /// sink is opened; none, by default.
    pub sink_secret_arns: Vec<String>,
}

impl CopyConfig {
    /// Reads the environment.
    ///
    /// # Errors
    ///
    /// `InvalidConfig` names everything that is wrong with it.
    pub fn read(mut environment: Environment) -> Result<Self> {
        let (sink, source) = (sink(&mut environment), source(&mut environment));
        let part_bytes = environment.number(
            "PART_BYTES",
            "bytes",
            MIN_PART_BYTES..=MAX_PART_BYTES,
            DEFAULT_PART_BYTES,
        );
        let silence = environment.number(
            "SOURCE_SILENCE_SECONDS",
            "seconds",
            SILENCE_SECONDS,
            DEFAULT_SILENCE_SECONDS,
        );
        let value = Self {
            sink,
            source,
            silence: Duration::from_secs(silence),
            part_bytes,
            sink_secret_arns: environment.list("SINK_SECRET_ARNS"),
        };
        environment.checked(Some(value))
    }
}

/// The environment of `update-watermark`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateConfig {
    /// The ledger and the files.
    pub sink: SinkConfig,
    /// The tables, to count a window again.
    pub source: ServerSettings,
    /// The pointer.
    pub watermarks: WatermarkConfig,
}

impl UpdateConfig {
    /// Reads the environment.
    ///
    /// # Errors
    ///
    /// `InvalidConfig` names everything that is wrong with it.
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
        assert!(config.source.verifies_certificate);
        let WatermarkConfig::Sql(store) = config.watermarks else {
            panic!("sql is the default")
        };
        assert_eq!(store.server, config.source);
        assert_eq!(
            (store.table.to_string(), store.procedure.to_string()),
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
    fn only_the_secrets_that_are_named_are_those_of_sinks() {
        let sinks = |value: &str| {
            let variables = [
                ("SINK_BUCKET", "b"),
                ("SOURCE_SECRET_ARN", "arn"),
                ("SINK_SECRET_ARNS", value),
            ];
            CopyConfig::read(environment(&variables)).unwrap().sink_secret_arns
        };
        assert_eq!(sinks(""), [""; 0]);
        assert_eq!(sinks("arn:one, arn:two ,"), ["arn:one", "arn:two"]);
    }

    #[test]
    fn the_s3_store_needs_no_server() {
        let config = LookupOldConfig::read(environment(&[("SINK_BUCKET", "b"), ("WATERMARK_STORE", "s3")])).unwrap();
        assert_eq!(config.watermarks, WatermarkConfig::S3);
    }
}
