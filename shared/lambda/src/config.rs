//! The facts of a deployment come from the environment. They are read once in `main` and nowhere else.

mod environment;

use std::ops::RangeInclusive;
use std::time::Duration;

use tidemark::error::Result;
use tidemark::model::bucket::BucketFacts;
use tidemark::model::budget::Budget;
use tidemark::model::names::ObjectName;
use tidemark::model::server::{ServerSettings, Tls};

pub use self::environment::Environment;

/// S3 takes no smaller piece in a multipart upload, except for the last one.
const MIN_PART_BYTES: usize = 5 * 1024 * 1024;
/// No larger piece keeps the memory of copy-delta bounded.
const MAX_PART_BYTES: usize = 64 * 1024 * 1024;
/// No longer prefix leaves room for the rest of a key.
const MAX_PREFIX_BYTES: usize = 128;
/// Most deltas fit into one piece of this size.
const DEFAULT_PART_BYTES: usize = 8 * 1024 * 1024;
/// The server may be silent for this long while it looks for a row in a whole table, or waits for a lock.
const DEFAULT_SILENCE_SECONDS: u64 = 300;
/// A silence that is longer than an invocation would never be noticed.
const SILENCE_SECONDS: RangeInclusive<u64> = 1..=840;

/// This says where the files and the ledger go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkConfig {
    /// This is `SINK_BUCKET`.
    pub bucket: String,
    /// This is `SINK_PREFIX`.
    pub prefix: String,
    /// These are `SINK_BUCKET_OWNER`, `SINK_KMS_KEY_ARN` and `SINK_SIGNED_PAYLOADS`. By default calls say nothing of
    /// them.
    pub facts: BucketFacts,
}

/// This says which table of which server holds the watermarks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlTableSettings {
    /// This server has the control table.
    pub server: ServerSettings,
    /// This is `WATERMARK_TABLE`.
    pub table: ObjectName,
    /// This is `WATERMARK_PROCEDURE`.
    pub procedure: ObjectName,
}

/// This says where the watermarks are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatermarkConfig {
    /// They are in a control table.
    Sql(ControlTableSettings),
    /// They are beside the ledger in the sink bucket.
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
        environment.complain(format!("SINK_PREFIX is longer than {MAX_PREFIX_BYTES} bytes"));
    }
    let owner = environment.optional("SINK_BUCKET_OWNER");
    let is_account = |owner: &String| owner.len() == 12 && owner.bytes().all(|byte| byte.is_ascii_digit());
    if !owner.as_ref().is_none_or(is_account) {
        environment.complain("SINK_BUCKET_OWNER is not the id of an account, 12 digits".into());
    }
    SinkConfig {
        bucket: environment.required("SINK_BUCKET"),
        prefix,
        facts: BucketFacts {
            owner,
            kms_key: environment.optional("SINK_KMS_KEY_ARN"),
            signs_payloads: environment.one_of("SINK_SIGNED_PAYLOADS", &[("true", true), ("false", false)], false),
        },
    }
}

/// The variables that fill the gaps of a secret: one that RDS manages holds a name and a password only.
struct Gaps {
    begin: &'static str,
    host: &'static str,
    port: &'static str,
    database: &'static str,
}

const SOURCE: Gaps = Gaps {
    begin: "SOURCE",
    host: "SOURCE_HOST",
    port: "SOURCE_PORT",
    database: "SOURCE_DATABASE",
};
const SINK: Gaps = Gaps {
    begin: "SINK",
    host: "SINK_HOST",
    port: "SINK_PORT",
    database: "SINK_DATABASE",
};
const WATERMARK: Gaps = Gaps {
    begin: "WATERMARK",
    host: "WATERMARK_HOST",
    port: "WATERMARK_PORT",
    database: "WATERMARK_DATABASE",
};

/// A server with this secret, and what fills its gaps.
fn server(environment: &mut Environment, secret: String, gaps: &Gaps) -> ServerSettings {
    let port = environment.optional(gaps.port).is_some();
    let number = environment.number(gaps.port, "a port", 1..=u16::MAX, 1);
    ServerSettings {
        secret,
        host: environment.optional(gaps.host),
        port: port.then_some(number),
        database: environment.optional(gaps.database),
        variables: gaps.begin,
        ..ServerSettings::default()
    }
}

fn source(environment: &mut Environment) -> ServerSettings {
    let secret = environment.required("SOURCE_SECRET_ARN");
    let choices = Tls::ALL.map(|(name, tls)| (name, Some(tls)));
    ServerSettings {
        tls: environment.one_of("SOURCE_TLS", &choices, None),
        read_intent: environment.one_of("SOURCE_READ_INTENT", &[("true", true), ("false", false)], false),
        ..server(environment, secret, &SOURCE)
    }
}

/// The control table's server. Without a secret of its own it is in the source's, and reached as that is.
fn control_table(environment: &mut Environment) -> ServerSettings {
    let settings = match environment.optional("WATERMARK_SECRET_ARN") {
        Some(secret) => server(environment, secret, &WATERMARK),
        None => {
            let source = source(environment);
            let own = server(environment, source.secret.clone(), &WATERMARK);
            ServerSettings {
                host: own.host.or(source.host),
                port: own.port.or(source.port),
                database: own.database.or(source.database),
                ..source
            }
        }
    };
    ServerSettings {
        is_written: true,
        ..settings
    }
}

fn watermarks(environment: &mut Environment) -> Option<WatermarkConfig> {
    let choices = [("sql", StoreChoice::Sql), ("s3", StoreChoice::S3)];
    match environment.one_of("WATERMARK_STORE", &choices, StoreChoice::S3) {
        StoreChoice::S3 => Some(WatermarkConfig::S3),
        StoreChoice::Sql => {
            let server = control_table(environment);
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

fn budget(environment: &mut Environment) -> Budget {
    let mut limit = |name, unit| Some(environment.number(name, unit, 0..=u64::MAX, 0)).filter(|&limit| limit > 0);
    Budget {
        rows: limit("RUN_BUDGET_ROWS", "a number of rows"),
        bytes: limit("RUN_BUDGET_BYTES", "a number of bytes"),
        usd: environment.usd("RUN_BUDGET_USD").filter(|usd| !usd.is_zero()),
    }
}

/// This says what metrics are called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricsConfig {
    /// `METRICS_STACK` keeps the metrics apart from those of other deployments of the account.
    pub stack: String,
    /// `METRICS_PER_TABLE` says whether each table has metrics of its own beside those of the stack. By default it has
    /// none.
    pub per_table: bool,
}

impl MetricsConfig {
    /// Reads the environment.
    ///
    /// # Errors
    ///
    /// `InvalidConfig` names everything that is wrong with it.
    pub fn read(mut environment: Environment) -> Result<Self> {
        let value = Self {
            stack: environment
                .optional("METRICS_STACK")
                .unwrap_or_else(|| "tidemark".into()),
            per_table: environment.one_of("METRICS_PER_TABLE", &[("true", true), ("false", false)], false),
        };
        environment.checked(Some(value))
    }
}

/// This is the environment of `lookup-old-watermark`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookupOldConfig {
    /// The ledger is here.
    pub sink: SinkConfig,
    /// The pointers are here.
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

/// This is the environment of `lookup-new-watermark`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookupNewConfig {
    /// The ledger is here.
    pub sink: SinkConfig,
    /// The tables are on this server.
    pub source: ServerSettings,
    /// `MASK_SECRET_ARN` names the secret with the key of hashes. This function does not read it. Without one, it
    /// refuses a table whose columns are hashed, before anything of the table is copied.
    pub mask_secret: Option<String>,
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
            mask_secret: environment.optional("MASK_SECRET_ARN"),
        };
        environment.checked(Some(value))
    }
}

/// This is the environment of `copy-delta`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyConfig {
    /// The ledger and the files are here.
    pub sink: SinkConfig,
    /// The tables are on this server.
    pub source: ServerSettings,
    /// `SOURCE_SILENCE_SECONDS` says how long the server may be silent while rows are read. It is 300 by default.
    pub silence: Duration,
    /// `PART_BYTES` is the size of the pieces of an upload, from 5 to 64 MiB. It is 8 MiB by default.
    pub part_bytes: usize,
    /// `SINK_SECRET_ARNS`: the secrets of the databases that tables may be merged into, separated by commas. No other secret of a
    /// sink is opened; none, by default.
    pub sink_secret_arns: Vec<String>,
    /// What fills the gaps of these secrets.
    pub sinks: ServerSettings,
    /// `RUN_BUDGET_ROWS`, `RUN_BUDGET_BYTES` and `RUN_BUDGET_USD`: how much a run may copy of a table; 0, the default, is no limit.
    pub budget: Budget,
    /// `MASK_SECRET_ARN`: the secret with the key of hashes, for tables whose columns are hashed.
    pub mask_secret: Option<String>,
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
            "a number of bytes",
            MIN_PART_BYTES..=MAX_PART_BYTES,
            DEFAULT_PART_BYTES,
        );
        let silence = environment.number(
            "SOURCE_SILENCE_SECONDS",
            "a number of seconds",
            SILENCE_SECONDS,
            DEFAULT_SILENCE_SECONDS,
        );
        let value = Self {
            sink,
            source,
            silence: Duration::from_secs(silence),
            part_bytes,
            sink_secret_arns: environment.list("SINK_SECRET_ARNS"),
            sinks: server(&mut environment, String::new(), &SINK),
            budget: budget(&mut environment),
            mask_secret: environment.optional("MASK_SECRET_ARN"),
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
    /// As copy-delta's.
    pub budget: Budget,
}

impl UpdateConfig {
    /// Reads the environment.
    ///
    /// # Errors
    ///
    /// `InvalidConfig` names everything that is wrong with it.
    pub fn read(mut environment: Environment) -> Result<Self> {
        let (sink, source) = (sink(&mut environment), source(&mut environment));
        let budget = budget(&mut environment);
        let value = watermarks(&mut environment).map(|watermarks| Self {
            sink,
            source,
            watermarks,
            budget,
        });
        environment.checked(value)
    }
}

#[cfg(test)]
mod tests;
