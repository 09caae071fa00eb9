//! The settings of a deployment, which `main` reads once from the environment.

mod environment;

use std::ops::RangeInclusive;
use std::time::Duration;

use tidemark::error::Result;
use tidemark::model::bucket::{BucketFacts, Encryption};
use tidemark::model::budget::Budget;
use tidemark::model::cost::CopyMemory;
use tidemark::model::names::ObjectName;
use tidemark::model::pieces::{MOST_PIECE_BYTES, PIECE_BYTES};
use tidemark::model::server::{ServerSettings, Tls};

pub use self::environment::Environment;

/// The smallest piece of a multipart upload that S3 accepts, except for the last one.
const MIN_PART_BYTES: usize = 5 * 1024 * 1024;
/// The most pieces of an upload that are in memory at once.
const PIECES_IN_MEMORY: usize = 4;
/// The memory in MiB that copy-delta takes beside them.
const MEMORY_BESIDE_PIECES: usize = 192;
/// The memory in MB that Lambda can give to a function.
const MEMORY: RangeInclusive<u32> = 128..=10_240;
/// The longest prefix that leaves room for the rest of a key.
const MAX_PREFIX_BYTES: usize = 128;
/// The default time for which the server may be silent, while it searches a whole table for a row or waits for a lock.
const DEFAULT_SILENCE_SECONDS: u64 = 300;
/// The allowed times of silence. A longer one than an invocation takes would never be noticed.
const SILENCE_SECONDS: RangeInclusive<u64> = 1..=840;

/// The place of the files and the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkConfig {
    /// The bucket, `SINK_BUCKET`.
    pub bucket: String,
    /// The prefix, `SINK_PREFIX`.
    pub prefix: String,
    /// What is known about the bucket: `SINK_BUCKET_OWNER`, `SINK_ENCRYPTION`, `SINK_KMS_KEY_ARN` and `SINK_SIGNED_PAYLOADS`. By default
    /// requests contain none of them.
    pub facts: BucketFacts,
}

/// The control table with the watermarks, and its server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlTableSettings {
    /// The server of the control table.
    pub server: ServerSettings,
    /// The control table, `WATERMARK_TABLE`.
    pub table: ObjectName,
    /// The procedure that moves a watermark, `WATERMARK_PROCEDURE`.
    pub procedure: ObjectName,
}

/// The place of the watermarks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatermarkConfig {
    /// A control table.
    Sql(ControlTableSettings),
    /// The sink bucket, beside the ledger.
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
    let (header, key) = (
        environment.optional("SINK_ENCRYPTION"),
        environment.optional("SINK_KMS_KEY_ARN"),
    );
    let encryption = Encryption::given(header.as_deref(), key).unwrap_or_else(|| {
        let complaint =
            "SINK_ENCRYPTION is neither AES256, aws:kms nor aws:kms:dsse, or it is AES256 and SINK_KMS_KEY_ARN names a key of KMS";
        environment.complain(complaint.into());
        Encryption::OfBucket
    });
    SinkConfig {
        bucket: environment.required("SINK_BUCKET"),
        prefix,
        facts: BucketFacts {
            owner,
            encryption,
            signs_payloads: environment.one_of("SINK_SIGNED_PAYLOADS", &[("true", true), ("false", false)], false),
        },
    }
}

/// The variables that fill the gaps of a secret. A secret that RDS manages has only a user name and a password.
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

/// Returns the server of a secret, with the variables that fill its gaps.
fn server(environment: &mut Environment, secret: String, gaps: &Gaps) -> ServerSettings {
    ServerSettings {
        secret,
        host: environment.optional(gaps.host),
        port: environment.number_if_set(gaps.port, "a port", 1..=u16::MAX),
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

/// Returns the control table's server. Without a secret of its own, it is reached in the same way as the source's.
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
        memory: copy_memory(environment).map(CopyMemory::of_mb).unwrap_or_default(),
    }
}

/// Returns the memory of copy-delta in MB. By hand there is no limit, and nobody gives one.
fn copy_memory(environment: &mut Environment) -> Option<u32> {
    environment.number_if_set("COPY_MEMORY", "a number of MB", MEMORY)
}

/// Reads the size of a piece. Pieces that copy-delta has no memory for are refused, because Lambda would end it without
/// a word in the middle of a large slice.
fn part_bytes(environment: &mut Environment) -> usize {
    let unit = "a number of bytes";
    let part_bytes = environment.number("PART_BYTES", unit, MIN_PART_BYTES..=MOST_PIECE_BYTES, PIECE_BYTES);
    let needed = (part_bytes * PIECES_IN_MEMORY).div_ceil(1 << 20) + MEMORY_BESIDE_PIECES;
    if let Some(memory) = copy_memory(environment).filter(|&memory| (memory as usize) < needed) {
        environment.complain(format!(
            "PART_BYTES is {part_bytes}, and COPY_MEMORY is {memory} MB: {PIECES_IN_MEMORY} pieces are in memory at once, and copy-delta \
             needs {needed} MB with them. Raise CopyMemory to that, or lower PartBytes"
        ));
    }
    part_bytes
}

/// The names of metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricsConfig {
    /// The name that separates these metrics from those of other deployments in the account, `METRICS_STACK`.
    pub stack: String,
    /// Whether each table has metrics of its own besides those of the stack, `METRICS_PER_TABLE`. By default it has
    /// none.
    pub per_table: bool,
}

impl MetricsConfig {
    /// Reads the settings from the environment.
    ///
    /// # Errors
    ///
    /// `InvalidConfig`, which names everything that is wrong.
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

/// The settings of `lookup-old-watermark`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookupOldConfig {
    /// The place of the ledger.
    pub sink: SinkConfig,
    /// The place of the pointers.
    pub watermarks: WatermarkConfig,
}

impl LookupOldConfig {
    /// Reads the settings from the environment.
    ///
    /// # Errors
    ///
    /// `InvalidConfig`, which names everything that is wrong.
    pub fn read(mut environment: Environment) -> Result<Self> {
        let sink = sink(&mut environment);
        let value = watermarks(&mut environment).map(|watermarks| Self { sink, watermarks });
        environment.checked(value)
    }
}

/// The settings of `lookup-new-watermark`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookupNewConfig {
    /// The place of the ledger.
    pub sink: SinkConfig,
    /// The server of the tables.
    pub source: ServerSettings,
    /// The name of the secret with the key for hashes, `MASK_SECRET_ARN`. This function does not read the secret.
    /// Without one, it refuses a table with a column that is to be hashed, before anything of the table is copied.
    pub mask_secret: Option<String>,
}

impl LookupNewConfig {
    /// Reads the settings from the environment.
    ///
    /// # Errors
    ///
    /// `InvalidConfig`, which names everything that is wrong.
    pub fn read(mut environment: Environment) -> Result<Self> {
        let value = Self {
            sink: sink(&mut environment),
            source: source(&mut environment),
            mask_secret: environment.optional("MASK_SECRET_ARN"),
        };
        environment.checked(Some(value))
    }
}

/// The settings of `copy-delta`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyConfig {
    /// The place of the ledger and the files.
    pub sink: SinkConfig,
    /// The server of the tables.
    pub source: ServerSettings,
    /// The time for which the server may be silent while rows are read, `SOURCE_SILENCE_SECONDS`. By default it is 300
    /// s.
    pub silence: Duration,
    /// The size of a piece of an upload, `PART_BYTES`, from 5 to 64 MiB. By default it is 8 MiB. Where the function's memory is
    /// given, `COPY_MEMORY`, it has room for them.
    pub part_bytes: usize,
    /// The secrets of the databases into which tables may be merged, `SINK_SECRET_ARNS`, separated by commas. No other
    /// secret of a sink is read. By default there is none.
    pub sink_secret_arns: Vec<String>,
    /// The settings that fill the gaps of these secrets.
    pub sinks: ServerSettings,
    /// The most that a run may copy: `RUN_BUDGET_ROWS`, `RUN_BUDGET_BYTES` and `RUN_BUDGET_USD`. By default these are 0,
    /// which means no limit. Dollars are those of a function with `COPY_MEMORY`.
    pub budget: Budget,
    /// The name of the secret with the key for hashes, `MASK_SECRET_ARN`, for tables with a column that is to be
    /// hashed.
    pub mask_secret: Option<String>,
}

impl CopyConfig {
    /// Reads the settings from the environment.
    ///
    /// # Errors
    ///
    /// `InvalidConfig`, which names everything that is wrong.
    pub fn read(mut environment: Environment) -> Result<Self> {
        let (sink, source) = (sink(&mut environment), source(&mut environment));
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
            part_bytes: part_bytes(&mut environment),
            sink_secret_arns: environment.list("SINK_SECRET_ARNS"),
            sinks: server(&mut environment, String::new(), &SINK),
            budget: budget(&mut environment),
            mask_secret: environment.optional("MASK_SECRET_ARN"),
        };
        environment.checked(Some(value))
    }
}

/// The settings of `update-watermark`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateConfig {
    /// The place of the ledger and the files.
    pub sink: SinkConfig,
    /// The server of the tables, on which a window is counted again.
    pub source: ServerSettings,
    /// The place of the pointers.
    pub watermarks: WatermarkConfig,
    /// The same limits as those of copy-delta.
    pub budget: Budget,
}

impl UpdateConfig {
    /// Reads the settings from the environment.
    ///
    /// # Errors
    ///
    /// `InvalidConfig`, which names everything that is wrong.
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
