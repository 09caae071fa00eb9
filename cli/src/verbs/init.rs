//! `init`, which reads the catalog with one statement, and proposes `tables.json` with reasons.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};
use tidemark::error::{Error, ErrorCode, OfRole, Role};
use tidemark::ledger::keys::partition_keys;
use tidemark::model::names::ObjectName;
use tidemark::model::table::Layout;
use tidemark::model::watermark::WatermarkKind;
use tidemark_sqlserver::inventory::{InventoryColumn, InventoryTable};
use tidemark_sqlserver::source::{OPERATION_COLUMN, VERSION_COLUMN};

use crate::copying::reach_and_tell;
use crate::exit::ExitClass;
use crate::failure::{Failure, Outcome};
use crate::tables_file::{self, FromAdf};
use crate::terminal::{Heading, Terminal, bytes, count, number};
use crate::wiring::source::SourceArgs;

/// The least score of a column that is proposed.
const LEAST_SCORE: u32 = 30;

/// The most columns of times that are named of a table that is left out.
const TIMES_TOLD: usize = 3;

/// The columns that the other cells of a row take.
const OTHER_CELLS: usize = 64;

/// The arguments of `init`.
#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// Only tables whose schema.name is like this, or whose name is, without a point: * stands for any text
    #[arg(long, value_name = "PATTERN")]
    include: Vec<String>,
    /// No tables that are like this
    #[arg(long, value_name = "PATTERN")]
    exclude: Vec<String>,
    /// The file to write; it must not be there yet
    #[arg(long, short, default_value = "tables.json", value_name = "FILE")]
    output: PathBuf,
    /// Takes the tables from the parameter tableList of a pipeline of Azure Data Factory instead, and connects to nothing
    #[arg(long, value_name = "FILE", conflicts_with_all = ["include", "exclude"])]
    from_adf: Option<PathBuf>,
    /// With --from-adf: merges into the database behind this secret, by the procedures of the list, instead of writing files
    #[arg(long, value_name = "ARN", requires = "from_adf")]
    sink_secret: Option<String>,
    #[command(flatten)]
    source: SourceArgs,
}

/// What a name says of the changes that set a column of times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SetBy {
    /// Every change sets it.
    Change,
    /// Inserts set it.
    Insert,
}

/// A way to track a table.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Proposal {
    score: u32,
    tracking: Value,
    name: String,
    reasons: Vec<String>,
    /// Which of two ways with the same score is better: one by a column that leads an index, then one without NULLs.
    rank: (bool, bool),
}

impl Proposal {
    /// Returns the table as it stands in the file.
    fn entry(&self, table: &InventoryTable) -> Value {
        let mut entry = json!({"table": table.name, "tracking": self.tracking});
        if let Some(excluded) = excluded(table).filter(|excluded| !excluded.is_empty()) {
            entry["exclude"] = json!(excluded);
        }
        entry
    }
}

/// Proposes the tables of a database.
pub(crate) async fn init(arguments: &InitArgs, terminal: &Terminal) -> Outcome<ExitClass> {
    check_output(&arguments.output)?;
    if let Some(path) = &arguments.from_adf {
        return from_adf(arguments, path, terminal);
    }
    let source = arguments.source.open().await?;
    let server = source.server();
    reach_and_tell(&source, &server, terminal).await?;
    let mut tables = server.inventory().await.of(Role::Source)?;
    if tables.is_empty() {
        let message = "the login sees no table: grant it SELECT on the tables to copy";
        return Err(Error::new(ErrorCode::InvalidInput, message).into());
    }
    tables.retain(|table| arguments.takes(&table.name));
    if tables.is_empty() {
        let message = "--include and --exclude leave no table: a pattern is like schema.name, as in dbo.orders or *.orders*, or like \
                       the name alone";
        return Err(Error::new(ErrorCode::InvalidInput, message).into());
    }
    let mut proposed = Vec::new();
    let mut rows = Vec::new();
    for table in &tables {
        let proposals = proposals(table);
        terminal.event(&event(table, &proposals));
        rows.push(cells(terminal, table, proposals.first()));
        proposed.extend(proposals.first().map(|best| best.entry(table)));
    }
    let columns = [
        Heading::left("table"),
        Heading::right("rows"),
        Heading::right("size"),
        Heading::left("tracking"),
        Heading::right("score"),
        Heading::left("because"),
    ];
    terminal.table(&columns, rows);
    if proposed.is_empty() {
        terminal.note("No table can be tracked as it is, and nothing is written.");
        return Ok(ExitClass::Decision);
    }
    write(arguments, &proposed)?;
    let path = arguments.output.display();
    terminal.note("Views are not looked at: add one to the file yourself to copy it.");
    terminal.note(&format!(
        "{path} has {} of {}. Next: tidemark run {path}",
        proposed.len(),
        count(tables.len() as u64, "table")
    ));
    Ok(ExitClass::Done)
}

/// Returns the cells of a table: what the server keeps count of, and the best way to track the table, if there is one.
fn cells(terminal: &Terminal, table: &InventoryTable, best: Option<&Proposal>) -> Vec<String> {
    let name = terminal.fitted(&table.name.to_string(), OTHER_CELLS);
    let [rows, size] = [table.rows.map(number), table.bytes.map(bytes)];
    let [rows, size] = [rows, size].map(|text| text.unwrap_or_else(|| "?".to_owned()));
    let (tracking, score, because) = match best {
        Some(best) => (best.name.clone(), best.score.to_string(), best.reasons.join("; ")),
        None => ("left out".to_owned(), "-".to_owned(), why_not(table)),
    };
    vec![name, rows, size, tracking, score, because]
}

/// Checks that the file can be made, before anything is looked at for it.
fn check_output(output: &Path) -> Outcome<()> {
    let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty());
    let why = if output == Path::new("-") {
        // Standard output has the table for whoever reads it, and with --json the proposals.
        "--output is -, and init writes a file: name one".to_owned()
    } else if output.exists() {
        format!("{} is there already: name another file with --output", output.display())
    } else if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        format!(
            "--output names {}, and there is no folder {}",
            output.display(),
            folder.display()
        )
    } else {
        return Ok(());
    };
    Err(Error::new(ErrorCode::InvalidInput, why).into())
}

/// Writes the tables of an Azure Data Factory pipeline.
fn from_adf(arguments: &InitArgs, path: &Path, terminal: &Terminal) -> Outcome<ExitClass> {
    let document = tables_file::document(path, "Give the pipeline as Azure Data Factory exports it")?;
    let FromAdf {
        tables,
        numbers,
        mut mistakes,
    } = tables_file::tables_of_adf(&document, arguments.sink_secret.as_deref());
    // What is written has to be what a run takes.
    if !tables.is_empty()
        && let Err(found) = tables_file::parse(&text_of(&tables))
    {
        mistakes.extend(found.into_iter().map(|mistake| tables_file::in_adf(mistake, &numbers)));
    }
    if !mistakes.is_empty() {
        return Err(Failure::Mistakes(path.to_owned(), mistakes));
    }
    for table in &tables {
        terminal.named_event("table", table);
    }
    write(arguments, &tables)?;
    terminal.line(&format!(
        "{} has {}.",
        arguments.output.display(),
        count(tables.len() as u64, "table")
    ));
    terminal.note(
        "Azure's pipeline compares with the times as they are. If they are not UTC, set clock to local. \
         `tidemark doctor` looks at the columns, and `tidemark run --watermark-table dbo.watermarktable` goes on from the \
         watermarks of the pipeline.",
    );
    Ok(ExitClass::Done)
}

/// Returns the text of a file with these tables.
fn text_of(tables: &[Value]) -> String {
    let lines: Vec<String> = tables.iter().map(|table| format!("    {table}")).collect();
    format!("{{\n  \"tables\": [\n{}\n  ]\n}}\n", lines.join(",\n"))
}

fn write(arguments: &InitArgs, proposed: &[Value]) -> Outcome<()> {
    std::fs::write(&arguments.output, text_of(proposed)).map_err(|error| {
        let message = format!(
            "Tidemark cannot write {}: name another file with --output",
            arguments.output.display()
        );
        Error::with_source(ErrorCode::InvalidInput, message, error).into()
    })
}

fn event(table: &InventoryTable, proposals: &[Proposal]) -> Value {
    let candidates: Vec<Value> = proposals
        .iter()
        .map(|proposal| json!({"score": proposal.score, "tracking": proposal.tracking, "reasons": proposal.reasons}))
        .collect();
    let why_not = proposals.is_empty().then(|| why_not(table));
    json!({
        "event": "table", "table": table.name, "rows": table.rows, "bytes": table.bytes, "candidates": candidates,
        "left_out": why_not,
    })
}

fn why_not(table: &InventoryTable) -> String {
    let has_key = table.columns.iter().any(|column| column.is_key);
    if steers_a_terminal(&table.name) {
        return "its name has a control character: copy a view that gives it another name".to_owned();
    }
    if excluded(table).is_none() {
        return "a column of its key has a name that files have already: copy a view that gives it another name"
            .to_owned();
    }
    let remedy = if has_key {
        "no column is known to grow with every change: switch change tracking on for it, or add a rowversion"
    } else {
        "it has no primary key and no column that is known to grow: add a rowversion"
    };
    match of_unknown_times(table) {
        Some(times) => format!("{remedy}; {times}: name it yourself if every change sets it"),
        None => remedy.to_owned(),
    }
}

/// Describes the columns of times whose names do not say what sets them: those that lead an index or, where there are
/// none, all of them.
fn of_unknown_times(table: &InventoryTable) -> Option<String> {
    let is_unknown =
        |column: &&InventoryColumn| column.watermark == Some(WatermarkKind::Time) && set_by(&column.name).is_none();
    let unknown: Vec<&InventoryColumn> = table.columns.iter().filter(is_unknown).collect();
    let indexed: Vec<&InventoryColumn> = unknown.iter().copied().filter(|column| column.leads_an_index).collect();
    let (columns, what) = if indexed.is_empty() {
        (unknown, "is a time")
    } else {
        (indexed, "is a time with an index")
    };
    let columns: Vec<String> = columns
        .iter()
        .take(TIMES_TOLD)
        .map(|column| format!("{} {} {what}", column.name, column.type_name))
        .collect();
    (!columns.is_empty()).then(|| columns.join(", "))
}

/// Returns whether a table's name has a character that steers a terminal. Such a table cannot be copied.
fn steers_a_terminal(table: &ObjectName) -> bool {
    [table.schema(), table.name()]
        .iter()
        .any(|name| name.as_str().contains(char::is_control))
}

/// Returns the columns that have the name of a column that files have besides, or `None` when one of them is in the key
/// and so cannot be left out.
fn excluded(table: &InventoryTable) -> Option<Vec<String>> {
    let is_tracked = table.is_tracked;
    let is_taken = |column: &&InventoryColumn| {
        let of_changes = [VERSION_COLUMN, OPERATION_COLUMN].into_iter().filter(|_| is_tracked);
        let mut taken = partition_keys(Layout::Window).iter().copied().chain(of_changes);
        taken.any(|taken| taken.eq_ignore_ascii_case(&column.name))
    };
    let taken = table.columns.iter().filter(is_taken);
    taken
        .map(|column| (!column.is_key).then(|| column.name.clone()))
        .collect()
}

/// Returns the ways to track a table, the best first.
fn proposals(table: &InventoryTable) -> Vec<Proposal> {
    let has_key = table.columns.iter().any(|column| column.is_key);
    let mut proposals: Vec<Proposal> = table.columns.iter().filter_map(of_column).collect();
    if table.is_tracked && has_key {
        proposals.push(Proposal {
            score: 100,
            tracking: json!({"change_tracking": {}}),
            name: "change tracking".to_owned(),
            reasons: vec!["it is on; deletes are copied".to_owned()],
            rank: (true, true),
        });
    }
    proposals.retain(|proposal| proposal.score >= LEAST_SCORE);
    match excluded(table) {
        _ if steers_a_terminal(&table.name) => proposals.clear(),
        None => proposals.clear(),
        Some(excluded) if excluded.is_empty() => {}
        Some(excluded) => {
            let why = format!(
                "without {}, because files have a column of that name already",
                excluded.join(" and ")
            );
            proposals
                .iter_mut()
                .for_each(|proposal| proposal.reasons.push(why.clone()));
        }
    }
    // The sort is stable, so the first of several equal ones stays first.
    proposals.sort_by_key(|proposal| std::cmp::Reverse((proposal.score, proposal.rank)));
    proposals
}

fn of_column(column: &InventoryColumn) -> Option<Proposal> {
    let mut reasons = Vec::new();
    let mut settings = json!({"column": column.name});
    let mut score = match column.watermark {
        Some(WatermarkKind::Exact) => {
            reasons.push("a rowversion is exact and needs no wait".to_owned());
            90
        }
        Some(WatermarkKind::Time) => of_time(column, &mut settings, &mut reasons)?,
        Some(WatermarkKind::Number) if column.is_identity => {
            reasons.push("an identity grows; updates are not seen".to_owned());
            35
        }
        Some(WatermarkKind::Number) | None => return None,
    };
    if column.leads_an_index {
        reasons.push("an index begins with it".to_owned());
        score += 10;
    } else {
        reasons.push("no index begins with it: every run reads the whole table".to_owned());
    }
    if column.is_nullable {
        reasons.push("it may be NULL, and such rows are not copied".to_owned());
        score = score.saturating_sub(10);
    }
    Some(Proposal {
        score,
        tracking: json!({"watermark": settings}),
        name: column.name.clone(),
        reasons,
        rank: (column.leads_an_index, !column.is_nullable),
    })
}

/// Returns the score of a time column, by whether its name says that changes or inserts set it, and `None` when it says
/// neither.
fn of_time(column: &InventoryColumn, settings: &mut Value, reasons: &mut Vec<String>) -> Option<u32> {
    let score = match set_by(&column.name)? {
        SetBy::Change => {
            reasons.push("its name says that every change sets it".to_owned());
            60
        }
        SetBy::Insert => {
            reasons.push("its name says that inserts set it; updates are not seen".to_owned());
            35
        }
    };
    let default = column.default.as_deref().unwrap_or_default().to_lowercase();
    if default.contains("utc") {
        reasons.push("its default is in UTC".to_owned());
    } else if default.contains("getdate") || default.contains("sysdatetime") || default.contains("current_timestamp") {
        settings["clock"] = "local".into();
        reasons.push("its default is in the server's local time".to_owned());
    }
    Some(score)
}

/// Returns what a name says of what sets a column, if it says that. `last_login` and `exchange_date` do not.
fn set_by(name: &str) -> Option<SetBy> {
    let words = words(name);
    let has = |begins: &[&str]| {
        words
            .iter()
            .any(|word| begins.iter().any(|begin| word.starts_with(begin)))
    };
    // What is planned is not what has happened.
    if words
        .iter()
        .any(|word| matches!(word.as_str(), "next" | "due" | "planned" | "scheduled"))
    {
        return None;
    }
    let is_last = words.iter().any(|word| word == "last");
    if has(&["modif", "updat", "changed"]) || (is_last && has(&["chang"])) {
        Some(SetBy::Change)
    } else if has(&["creat", "insert", "added"]) {
        Some(SetBy::Insert)
    } else {
        None
    }
}

/// Returns the words of a name in lower case. They are separated by other characters than letters, by a change from
/// lower to upper case, or not at all after the words that often begin such a name.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut is_after_lower = false;
    for c in name.chars() {
        if !c.is_alphabetic() || (is_after_lower && c.is_uppercase()) {
            words.push(String::new());
        }
        if c.is_alphabetic()
            && let Some(word) = words.last_mut()
        {
            word.extend(c.to_lowercase());
        }
        is_after_lower = c.is_lowercase();
    }
    let split = words.into_iter().flat_map(|word| {
        let first = ["last", "date", "time", "row"]
            .into_iter()
            .find(|first| word.starts_with(first));
        match first {
            Some(first) => vec![first.to_owned(), word[first.len()..].to_owned()],
            None => vec![word],
        }
    });
    split.filter(|word| !word.is_empty()).collect()
}

impl InitArgs {
    fn takes(&self, table: &ObjectName) -> bool {
        let name = format!("{}.{}", table.schema().as_str(), table.name().as_str());
        // A pattern without a point is about the name alone.
        let is_like = |pattern: &String| {
            let of_pattern = if pattern.contains('.') {
                &name
            } else {
                table.name().as_str()
            };
            is_match(&pattern.to_lowercase(), &of_pattern.to_lowercase())
        };
        let is_included = self.include.is_empty() || self.include.iter().any(is_like);
        is_included && !self.exclude.iter().any(is_like)
    }
}

/// Returns whether a text matches a pattern in which `*` stands for any text.
fn is_match(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_what_sets_a_column_only_by_whole_words() {
        use SetBy::{Change, Insert};
        for (name, set) in [
            ("modified_at", Some(Change)),
            ("ModifiedDate", Some(Change)),
            ("LastModifytime", Some(Change)),
            ("lastmodified", Some(Change)),
            ("LAST_UPDATE", Some(Change)),
            ("last_change", Some(Change)),
            ("changed_on", Some(Change)),
            ("DateCreated", Some(Insert)),
            ("Creationtime", Some(Insert)),
            ("inserted", Some(Insert)),
            ("last_order_date", None),
            ("exchange_date", None),
            ("last_login", None),
            ("lastlogin", None),
            ("LastLogin", None),
            ("next_update_due", None),
            ("birth_date", None),
        ] {
            assert_eq!(set_by(name), set, "{name}");
        }
    }

    #[test]
    fn of_two_columns_with_one_score_that_with_an_index_is_proposed_then_that_without_nulls() {
        let column = |name: &str, is_nullable, leads_an_index| InventoryColumn {
            name: name.to_owned(),
            type_name: "a type of times".to_owned(),
            watermark: Some(WatermarkKind::Time),
            is_nullable,
            is_identity: false,
            is_key: false,
            leads_an_index,
            default: None,
        };
        let best = |columns: Vec<InventoryColumn>| {
            let table = InventoryTable {
                name: "dbo.t".parse().unwrap(),
                rows: None,
                bytes: None,
                is_tracked: false,
                columns,
            };
            proposals(&table)[0].name.clone()
        };
        let indexed = column("modified_at", true, true);
        assert_eq!(
            best(vec![column("updated_at", false, false), indexed.clone()]),
            "modified_at"
        );
        let without_nulls = column("changed_at", false, false);
        assert_eq!(
            best(vec![column("updated_at", true, false), without_nulls]),
            "changed_at"
        );
        assert_eq!(best(vec![column("last_login", false, true), indexed]), "modified_at");
    }

    #[test]
    fn a_pattern_has_stars() {
        for (pattern, text, is_like) in [
            ("dbo.*", "dbo.orders", true),
            ("*order*", "sales.order_lines", true),
            ("dbo.orders", "dbo.orders", true),
            ("dbo.order", "dbo.orders", false),
            ("*.orders", "dbo.orders_old", false),
            ("a*b*b", "ab", false),
        ] {
            assert_eq!(is_match(pattern, text), is_like, "{pattern} {text}");
        }
    }
}
