//! `verify`, which compares the files with the manifests. It changes nothing.

use std::collections::HashSet;

use clap::Args;
use futures::stream::{self, StreamExt};
use serde::Serialize;
use tidemark::checksum::crc64nvme_base64;
use tidemark::error::{ErrorCode, Result};
use tidemark::ledger::keys::window_segment;
use tidemark::model::manifest::{Manifest, ManifestPart};
use tidemark::model::names::ObjectName;
use tidemark::model::unseen::Unseen;
use tidemark::ports::objects::ReadObjects;

use crate::exit::ExitClass;
use crate::failure::Outcome;
use crate::lake;
use crate::terminal::{Done, Heading, Terminal, bytes, count, number};
use crate::wiring::sink::{Sink, SinkArgs};
use crate::wiring::store::Store;

/// How many files are read at once. A file from a bucket is in memory as a whole.
const READS_AT_ONCE: usize = 2;

/// The columns that the other cells of a row take.
const OTHER_CELLS: usize = 58;

/// The arguments of `verify`.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The tables [default: all that the sink has]
    tables: Vec<ObjectName>,
    /// Compares the sizes only, and reads no file
    #[arg(long)]
    quick: bool,
    #[command(flatten)]
    sink: SinkArgs,
}

/// A file that is not as its manifest has it, or a document of the ledger that is not as it must be.
#[derive(Debug, Serialize)]
struct Difference {
    table: ObjectName,
    /// The file. A document is named in the text.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    what: String,
    /// Whether it is a file that no manifest names.
    #[serde(skip)]
    is_surplus: bool,
}

/// The result of a table's check.
#[derive(Debug, Default)]
struct Checked {
    windows: usize,
    files: usize,
    rows: u64,
    bytes: u64,
    /// What the login did not see when one of the windows was frozen.
    unseen: Unseen,
    differences: Vec<Difference>,
}

/// Checks every file of the tables.
pub(crate) async fn verify(arguments: &VerifyArgs, terminal: &Terminal) -> Outcome<ExitClass> {
    let sink = arguments.sink.open()?;
    let mut class = ExitClass::Done;
    let (mut rows, mut differences) = (Vec::new(), Vec::new());
    let tables = lake::chosen(&sink, &arguments.tables).await?;
    let (files, read) = (Done::default(), Done::default());
    let working = terminal.working({
        let (files, read, all) = (files.clone(), read.clone(), count(tables.len() as u64, "table"));
        move || format!("Checking {all}: {}, {}", count(files.get(), "file"), bytes(read.get()))
    });
    for table in tables {
        let checked = match check(&sink, &table, arguments.quick, (&files, &read)).await {
            // The other tables are checked all the same.
            Err(error) if error.code() == ErrorCode::LedgerInvalid => Checked {
                differences: vec![Difference {
                    table: table.clone(),
                    key: None,
                    what: error.told_of_any(),
                    is_surplus: false,
                }],
                ..Checked::default()
            },
            checked => checked?,
        };
        terminal.event(&serde_json::json!({
            "event": "verified", "table": table, "windows": checked.windows, "files": checked.files, "rows": checked.rows,
            "bytes": checked.bytes, "unseen": checked.unseen, "differences": checked.differences,
        }));
        let result = match checked.differences.len() {
            0 => "as they must be".to_owned(),
            count => {
                class = class.worse(ExitClass::Data);
                format!("{count} differ")
            }
        };
        let Checked { windows, files, .. } = checked;
        rows.push(vec![
            terminal.fitted(&table.to_string(), OTHER_CELLS),
            windows.to_string(),
            files.to_string(),
            number(checked.rows),
            bytes(checked.bytes),
            result,
        ]);
        differences.extend(checked.differences);
    }
    drop(working);
    let columns = [
        Heading::left("table"),
        Heading::right("windows"),
        Heading::right("files"),
        Heading::right("rows"),
        Heading::right("size"),
        Heading::left("files are"),
    ];
    terminal.table(&columns, rows);
    tell(&differences, terminal);
    Ok(class)
}

fn tell(differences: &[Difference], terminal: &Terminal) {
    for Difference { table, key, what, .. } in differences {
        terminal.error(&match key {
            Some(key) => format!("{key} {what}"),
            None => format!("{table}: {what}"),
        });
    }
    if differences.iter().any(|difference| !difference.is_surplus) {
        terminal.advice(
            "Restore what is missing or changed: nothing of a committed window is ever changed or removed by Tidemark.",
        );
    }
    if differences.iter().any(|difference| difference.is_surplus) {
        terminal.advice("Move away what is in no manifest: whoever reads the whole folder takes it for data.");
    }
}

async fn check(sink: &Sink, table: &ObjectName, is_quick: bool, (files, bytes): (&Done, &Done)) -> Result<Checked> {
    let manifests = lake::manifests(sink, table).await?;
    let mut checked = Checked {
        windows: manifests.len(),
        unseen: manifests
            .iter()
            .fold(Unseen::default(), |unseen, manifest| unseen.or(manifest.unseen)),
        ..Checked::default()
    };
    let parts: Vec<&ManifestPart> = manifests.iter().flat_map(|manifest| &manifest.parts).collect();
    for part in &parts {
        checked.files += 1;
        checked.rows += part.rows;
        checked.bytes += part.bytes;
    }
    let mut reads = stream::iter(parts)
        .map(|part| async move { Ok((part, compare(sink, part, is_quick).await?)) })
        .buffered(READS_AT_ONCE);
    while let Some(read) = reads.next().await {
        let read: Result<(&ManifestPart, Option<String>)> = read;
        let (part, difference) = read?;
        files.add(1);
        bytes.add(part.bytes);
        checked.differences.extend(difference.map(|what| Difference {
            table: table.clone(),
            key: Some(part.key.clone()),
            what,
            is_surplus: false,
        }));
    }
    drop(reads);
    checked.differences.extend(strangers(sink, table, &manifests).await?);
    Ok(checked)
}

/// Returns what is wrong with a file, if something is.
async fn compare(sink: &Sink, part: &ManifestPart, is_quick: bool) -> Result<Option<String>> {
    let size = sink.store.size(&part.key).await?;
    let difference = match size {
        None => Some("is missing".to_owned()),
        Some(bytes) if bytes != part.bytes => Some(format!("has {bytes} bytes, and its manifest says {}", part.bytes)),
        Some(_) if is_quick => None,
        Some(_) => {
            let is_same = checksum(sink, &part.key).await? == Some(part.crc64nvme.clone());
            (!is_same).then(|| "has another checksum than its manifest says".to_owned())
        }
    };
    Ok(difference)
}

/// Returns the checksum of a file, for which the file is read. From a bucket it is read into memory as a whole.
async fn checksum(sink: &Sink, key: &str) -> Result<Option<String>> {
    match &sink.store {
        Store::Folder(folder) => folder.crc64nvme(key).await,
        Store::S3(bucket) => Ok(bucket.get(key).await?.map(|object| crc64nvme_base64(&object.body))),
    }
}

/// Returns the files in the folders of the table that no manifest names, and that readers who list the folders take for
/// data. Files of a window that is being committed are not among them: they belong to an open window in the ledger.
async fn strangers(sink: &Sink, table: &ObjectName, manifests: &[Manifest]) -> Result<Vec<Difference>> {
    // A bucket can only be listed by its folders.
    let Store::Folder(folder) = &sink.store else {
        return Ok(Vec::new());
    };
    let known: HashSet<&str> = manifests
        .iter()
        .flat_map(|manifest| &manifest.parts)
        .map(|part| part.key.as_str())
        .collect();
    let committed: HashSet<&str> = manifests.iter().map(|manifest| manifest.window.as_str()).collect();
    let ledger = lake::ledger(sink, table);
    let open: Vec<String> = ledger
        .windows()
        .await?
        .iter()
        .filter(|window| !committed.contains(window.as_str()))
        .map(|window| format!("/{}/", window_segment(window)))
        .collect();
    let last = manifests
        .iter()
        .map(|manifest| manifest.generation)
        .max()
        .unwrap_or_default();
    let mut keys = Vec::new();
    for generation in 0..=last {
        keys.extend(folder.keys(&format!("{}/", ledger.keys().folder(generation))).await?);
    }
    let strange = keys
        .into_iter()
        .filter(|key| !known.contains(key.as_str()) && !open.iter().any(|open| key.contains(open)));
    Ok(strange
        .map(|key| Difference {
            table: table.clone(),
            key: Some(key),
            what: "is in no manifest".to_owned(),
            is_surplus: true,
        })
        .collect())
}
