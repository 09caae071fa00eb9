//! Where files and ledger go, and where the watermarks are.

use clap::Args;
use tidemark::error::{Error, ErrorCode, Result};
use tidemark::ledger::{Place, Pointers};
use tidemark::model::bucket::{BucketFacts, Encryption};
use tidemark::model::names::ObjectName;
use tidemark_aws::clients::Aws;
use tidemark_folder::FolderStore;
use tidemark_lambda::watermark_store::WatermarkStore;
use tidemark_sqlserver::control_table::ControlTable;
use tidemark_sqlserver::session::Server;

use super::source::SourceArgs;
use super::stack::{self, Control};
use super::store::Store;

/// The procedure of a control table when none is named, as in the tutorials.
const PROCEDURE: &str = "dbo.usp_write_watermark";

/// The sink, as it is given.
#[derive(Debug, Clone, Args)]
pub(crate) struct SinkArgs {
    /// A folder, or s3://bucket/prefix
    #[arg(
        long,
        env = "TIDEMARK_SINK",
        default_value = "./lake",
        value_name = "PLACE",
        help_heading = "Sink"
    )]
    pub(crate) sink: String,
    /// The account that owns the bucket. A bucket of another account is refused
    #[arg(long, env = "SINK_BUCKET_OWNER", value_name = "ACCOUNT", help_heading = "Sink")]
    pub(crate) bucket_owner: Option<String>,
    /// The ARN of the key that objects are encrypted with [default: the bucket's own]
    #[arg(long, env = "SINK_KMS_KEY_ARN", value_name = "ARN", help_heading = "Sink")]
    pub(crate) kms_key: Option<String>,
    /// The encryption that a bucket's policy demands, AES256, aws:kms or aws:kms:dsse [default: aws:kms with a key, else none]
    #[arg(long, env = "SINK_ENCRYPTION", value_name = "METHOD", help_heading = "Sink")]
    pub(crate) encryption: Option<String>,
    /// Signs the pieces of uploads, for a bucket whose policy denies UNSIGNED-PAYLOAD
    #[arg(long, env = "SINK_SIGNED_PAYLOADS", help_heading = "Sink")]
    pub(crate) signed_payloads: bool,
    /// Keeps the watermarks in this table of the source instead of beside the ledger
    #[arg(long, value_name = "TABLE", help_heading = "Sink")]
    pub(crate) watermark_table: Option<ObjectName>,
    /// The procedure that writes a watermark into that table [default: dbo.usp_write_watermark]
    #[arg(long, value_name = "PROCEDURE", requires = "watermark_table", help_heading = "Sink")]
    pub(crate) watermark_procedure: Option<ObjectName>,
}

/// The bucket, and the prefix in it.
#[derive(Debug, Clone)]
pub(crate) struct Sink {
    /// The bucket.
    pub(crate) store: Store,
    /// The prefix, without slashes at its ends; empty in a folder.
    pub(crate) prefix: String,
    /// The sink as it was given.
    pub(crate) name: String,
}

impl Sink {
    /// Returns where the files and the ledgers of tables are.
    pub(crate) const fn place(&self) -> Place<'_, Store> {
        Place::new(&self.store, self.prefix.as_str())
    }
}

/// The store of the watermarks.
pub(crate) type Watermarks<'a> = WatermarkStore<ControlTable, Pointers<'a, Store>>;

impl SinkArgs {
    /// Opens the sink. It writes nothing.
    pub(crate) fn open(&self) -> Result<Sink> {
        let (name, facts) = match stack::deployed() {
            Some(stack) => (stack::sink_of(stack)?, stack::facts_of(stack)),
            None => (self.sink.clone(), self.facts()?),
        };
        let Some(place) = name.strip_prefix("s3://") else {
            let folder = folder_of(&name)?;
            // A device is there as well, and is no folder.
            let path = std::path::Path::new(folder);
            if path.exists() && !path.is_dir() {
                return Err(refused(
                    "names a file: name a folder, which need not be there yet, or s3://bucket/prefix",
                ));
            }
            return Ok(Sink {
                store: Store::Folder(FolderStore::new(folder)),
                prefix: String::new(),
                name,
            });
        };
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        if bucket.is_empty() {
            return Err(refused("names no bucket: write s3://bucket/prefix"));
        }
        let is_in_names = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
        if !bucket.chars().all(is_in_names) {
            return Err(refused(
                "names a bucket with a character that no bucket's name has: write s3://bucket/prefix",
            ));
        }
        let (bucket, prefix) = (bucket.to_owned(), prefix.trim_matches('/').to_owned());
        Ok(Sink {
            store: Store::S3(Aws::from_environment()?.store(&bucket).with_facts(facts)),
            prefix,
            name,
        })
    }

    /// Returns what every call to the bucket carries.
    fn facts(&self) -> Result<BucketFacts> {
        let given = |value: &Option<String>| value.clone().filter(|value| !value.is_empty());
        let owner = given(&self.bucket_owner);
        let is_account = |id: &String| id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_digit());
        if !owner.iter().all(is_account) {
            let message = "--bucket-owner is not the id of an account, 12 digits";
            return Err(Error::new(ErrorCode::InvalidInput, message));
        }
        let encryption = Encryption::given(given(&self.encryption).as_deref(), given(&self.kms_key));
        let encryption = encryption.ok_or_else(|| {
            let message =
                "--encryption is neither AES256, aws:kms nor aws:kms:dsse, or it is AES256 and --kms-key names a key of KMS";
            Error::new(ErrorCode::InvalidInput, message)
        })?;
        Ok(BucketFacts {
            owner,
            encryption,
            signs_payloads: self.signed_payloads,
        })
    }

    /// Returns the store of the watermarks: a control table behind `server`, or pointers in the sink.
    pub(crate) fn watermarks<'a>(&self, sink: &'a Sink, server: Server) -> Result<Watermarks<'a>> {
        Ok(match self.control_table()? {
            Some(control) => control.store(server),
            None => pointers(sink),
        })
    }

    /// Returns the same store, for a caller that needs the server for a control table only. Without a control table the
    /// source is not opened.
    pub(crate) async fn watermarks_alone<'a>(&self, sink: &'a Sink, source: &SourceArgs) -> Result<Watermarks<'a>> {
        Ok(match self.control_table()? {
            Some(control) => control.store(source.open().await?.writer()),
            None => pointers(sink),
        })
    }

    /// Returns the control table, if the watermarks are in one.
    pub(crate) fn control_table(&self) -> Result<Option<Control>> {
        let Some(table) = &self.watermark_table else {
            return stack::deployed().map_or(Ok(None), stack::control_of);
        };
        let procedure = match &self.watermark_procedure {
            Some(procedure) => procedure.clone(),
            None => PROCEDURE.parse()?,
        };
        Ok(Some(Control {
            table: table.clone(),
            procedure,
        }))
    }
}

impl Control {
    fn store<'a>(self, server: Server) -> Watermarks<'a> {
        WatermarkStore::ControlTable(ControlTable::new(server, self.table, self.procedure))
    }
}

fn pointers(sink: &Sink) -> Watermarks<'_> {
    WatermarkStore::Pointers(Pointers::new(sink.place()))
}

fn folder_of(name: &str) -> Result<&str> {
    let path = name.strip_prefix("file://").unwrap_or(name);
    if path.starts_with("s3:") {
        return Err(refused(
            "begins with s3: and lacks the slashes: write s3://bucket/prefix",
        ));
    }
    if path == "~" || path.starts_with("~/") {
        return Err(refused(
            "begins with ~, which your shell replaces only outside of quotes: write the whole path, or $HOME in place of ~",
        ));
    }
    match path.split_once("://") {
        Some((scheme, _)) => Err(refused(&format!(
            "begins with {scheme}://, which is not known: write s3://bucket/prefix, or a folder"
        ))),
        None if path.is_empty() => Err(refused("is empty: write s3://bucket/prefix, or a folder")),
        None => Ok(path),
    }
}

fn refused(what: &str) -> Error {
    Error::new(ErrorCode::InvalidInput, format!("--sink {what}"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn open(sink: &str) -> Result<Sink> {
        given(&["--sink", sink]).open()
    }

    fn given(arguments: &[&str]) -> SinkArgs {
        #[derive(clap::Parser)]
        struct Given {
            #[command(flatten)]
            sink: SinkArgs,
        }
        Given::parse_from([&["tidemark"], arguments].concat()).sink
    }

    #[test]
    fn what_is_known_of_the_bucket_is_what_was_given() {
        assert_eq!(given(&[]).facts().unwrap(), BucketFacts::default());
        let all = [
            "--bucket-owner",
            "111122223333",
            "--kms-key",
            "arn:key",
            "--signed-payloads",
        ];
        let facts = BucketFacts {
            owner: Some("111122223333".to_owned()),
            encryption: Encryption::Kms(Some("arn:key".to_owned())),
            signs_payloads: true,
        };
        assert_eq!(given(&all).facts().unwrap(), facts);
        let demanded = given(&["--encryption", "AES256"]).facts().unwrap();
        assert_eq!(demanded.encryption, Encryption::S3);
        let error = given(&["--encryption", "AES256", "--kms-key", "arn:key"])
            .facts()
            .unwrap_err();
        assert!(error.to_string().contains("--encryption"), "{error}");
        let error = given(&["--bucket-owner", "me"]).open().unwrap_err();
        assert!(error.to_string().contains("12 digits"), "{error}");
    }

    #[test]
    fn a_sink_is_a_folder_or_a_bucket_and_a_wrong_one_is_named() {
        for (given, path) in [
            ("./lake", "./lake"),
            ("file:///data/lake", "/data/lake"),
            ("lake", "lake"),
        ] {
            let Store::Folder(folder) = open(given).unwrap().store else {
                panic!("{given} is a folder")
            };
            assert_eq!(folder.path().to_str(), Some(path));
        }
        for (given, said) in [
            ("gs://b/p", "gs://"),
            ("", "is empty"),
            ("s3:///p", "no bucket"),
            ("s3://bu cket/x", "no bucket's name has"),
            ("s3:bucket", "lacks the slashes"),
            ("s3:/bucket/p", "lacks the slashes"),
            ("~/lake", "$HOME"),
            (concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"), "names a file"),
            ("/dev/null", "names a file"),
        ] {
            let error = open(given).unwrap_err();
            assert_eq!(error.code(), ErrorCode::InvalidInput);
            assert!(error.to_string().contains(said), "{error}");
        }
    }
}
