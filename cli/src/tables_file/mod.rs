//! Reading `tables.json` as a whole, and checking all of it before anything starts.
//!
//! Its form is JSON. Comments, commas before a closing bracket and a byte order mark are accepted. All mistakes are
//! reported at once, each with its path, the table's name, what was found and what is allowed.

mod check;
mod comments;
mod fields;
mod from_adf;
mod repeated;
mod schema;

use std::collections::{BTreeMap, HashSet};
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use tidemark::error::{Error, ErrorCode};
use tidemark::model::names::ObjectName;
use tidemark::model::table::TableSpec;

pub(crate) use self::from_adf::{FromAdf, in_adf, tables as tables_of_adf};
pub(crate) use self::schema::json_schema;
use crate::failure::{Failure, Mistake, Outcome, file_name};
use crate::lake::like;
use crate::standard_input;
use crate::terminal::one_line;

/// How many brackets within one another the parser refuses.
const MOST_BRACKETS: usize = 128;

/// What to do about a file without tables.
const PROPOSED: &str = "`tidemark init` proposes the tables of a database";

/// Returns the content of a file, or of standard input when the path is `-`. `when_empty` says what to do about one that
/// is empty.
fn text(path: &Path, when_empty: &str) -> Outcome<String> {
    let mut read = Vec::new();
    let bytes = if path == Path::new("-") {
        standard_input::open("the file")?.read_to_end(&mut read).map(|_| read)
    } else {
        std::fs::read(path)
    };
    let bytes = bytes.map_err(|error| {
        let message = format!(
            "Tidemark cannot read {}: {}. Name the file, or make one with `tidemark init`",
            file_name(path),
            said(&error)
        );
        Error::new(ErrorCode::InvalidInput, message)
    })?;
    decoded(bytes, when_empty).map_err(|what| {
        let message = format!("{} {what}", file_name(path));
        Error::new(ErrorCode::InvalidInput, message).into()
    })
}

/// Returns the text of a file, or what is wrong with the whole of it.
fn decoded(bytes: Vec<u8>, when_empty: &str) -> Result<String, String> {
    let content = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&bytes);
    if content.trim_ascii().is_empty() {
        return Err(format!("is empty. {when_empty}"));
    }
    if let Some(what) = no_text(&bytes) {
        return Err(what.to_owned());
    }
    // Every text in JSON begins with a character of ASCII, which has a byte of zero beside it in UTF-16.
    if bytes.starts_with(&[0xFF, 0xFE])
        || bytes.starts_with(&[0xFE, 0xFF])
        || bytes.iter().take(2).any(|byte| *byte == 0)
    {
        return Err("is UTF-16, as some editors and PowerShell write it. Save it as UTF-8".to_owned());
    }
    if let Some(at) = bytes.iter().position(|byte| *byte == 0) {
        let line = line_of(&bytes, at);
        return Err(format!(
            "has a zero character in line {line}, as no text has one. It is damaged, or another file"
        ));
    }
    String::from_utf8(bytes).map_err(|error| {
        let line = line_of(error.as_bytes(), error.utf8_error().valid_up_to());
        format!("is not UTF-8: line {line} has a character of another encoding, such as Latin-1. Save it as UTF-8")
    })
}

/// Returns what a file is whose first bytes are those of no text in UTF-8 or UTF-16.
fn no_text(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x1F, 0x8B, ..] => Some("is compressed by gzip. Decompress it first"),
        [b'P', b'K', 3, 4, ..] => Some("is a ZIP archive. Name the file that is in it"),
        [0, 0, 0xFE | 0, _, ..] | [_, _, 0, 0, ..] => Some("is UTF-32. Save it as UTF-8"),
        _ => None,
    }
}

/// Returns the number of the line in which a byte is.
fn line_of(bytes: &[u8], at: usize) -> usize {
    1 + bytes.iter().take(at).filter(|byte| **byte == b'\n').count()
}

/// Returns why a file cannot be read, without the system's error number where the reason is plain.
fn said(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        std::io::ErrorKind::IsADirectory => "it is a folder".to_owned(),
        _ => error.to_string(),
    }
}

/// Reads a document of JSON from a file, or from standard input when the path is `-`. `when_empty` says what to do about
/// one that is empty.
pub(crate) fn document(path: &Path, when_empty: &str) -> Outcome<Value> {
    let (document, mistakes) = json(&text(path, when_empty)?).unwrap_or_else(|mistake| (Value::Null, vec![mistake]));
    if mistakes.is_empty() {
        Ok(document)
    } else {
        Err(Failure::Mistakes(PathBuf::from(path), mistakes))
    }
}

/// Reads the tables of a file, or of standard input when the path is `-`, in the order of their names.
pub(crate) fn read(path: &Path) -> Outcome<Vec<TableSpec>> {
    let tables = parse(&text(path, PROPOSED)?);
    let mut tables = tables.map_err(|mistakes| Failure::Mistakes(PathBuf::from(path), mistakes))?;
    tables.sort_by(|one, other| one.table.cmp(&other.table));
    Ok(tables)
}

/// Builds the error for a table that a file does not have.
pub(crate) fn unknown(path: &Path, table: &ObjectName, tables: &[TableSpec]) -> Error {
    let known: Vec<ObjectName> = tables.iter().map(|spec| spec.table.clone()).collect();
    let hint = match like(table, &known) {
        Some(like) => format!("did you mean {like}?"),
        None => "--file names the file".to_owned(),
    };
    let message = format!("{} has no table {table}: {hint}", file_name(path));
    Error::new(ErrorCode::InvalidInput, message)
}

/// Reads the tables of a file, or of standard input when the path is `-`, each as it is there with the fields of
/// `defaults` that it does not have itself.
pub(crate) fn expanded(path: &Path) -> Outcome<Vec<Value>> {
    let text = text(path, PROPOSED)?;
    let checked = parse(&text).and_then(|_| json(&text).map_err(|mistake| vec![mistake]));
    let (document, _) = checked.map_err(|mistakes| Failure::Mistakes(PathBuf::from(path), mistakes))?;
    Ok(with_defaults(&document))
}

/// Reads a text as JSON with comments, and finds every field that is there more than once.
fn json(text: &str) -> Result<(Value, Vec<Mistake>), Mistake> {
    let plain = comments::blanked(text.trim_start_matches('\u{feff}'));
    let document: Value = serde_json::from_str(&plain).map_err(|error| not_json(&plain, &error))?;
    let mistakes = repeated::fields(&plain).into_iter().map(|path| Mistake {
        table: check::table_at(&document, &path),
        message: "this field is there more than once: keep one of them".to_owned(),
        path,
    });
    let mistakes = mistakes.collect();
    Ok((document, mistakes))
}

/// Reads the tables of a text, or finds every mistake in it.
pub(crate) fn parse(text: &str) -> Result<Vec<TableSpec>, Vec<Mistake>> {
    let (document, mistakes) = json(text).map_err(|mistake| vec![mistake])?;
    tables_of(&document, mistakes)
}

/// Returns the tables of a document that was read from `path`, or fails with every mistake in it.
pub(crate) fn tables_in(document: &Value, path: &Path) -> Outcome<Vec<TableSpec>> {
    tables_of(document, Vec::new()).map_err(|mistakes| Failure::Mistakes(PathBuf::from(path), mistakes))
}

/// Returns the tables of a document, or its mistakes beside those that are known already.
fn tables_of(document: &Value, mut mistakes: Vec<Mistake>) -> Result<Vec<TableSpec>, Vec<Mistake>> {
    check::document(document, &mut mistakes);
    let mut tables = Vec::new();
    // A mistake in the defaults is one in every table.
    let is_every = mistakes.iter().any(|mistake| mistake.path.starts_with("defaults"));
    let with_mistakes: HashSet<String> = mistakes.iter().filter_map(|mistake| table_of(&mistake.path)).collect();
    for (index, table) in with_defaults(document).into_iter().enumerate() {
        let path = format!("tables[{index}]");
        if is_every || with_mistakes.contains(&path) {
            continue;
        }
        match spec_of(table, &path) {
            Ok(spec) => tables.push(Listed { path, spec }),
            Err(mistake) => mistakes.push(mistake),
        }
    }
    check_names(&tables, &mut mistakes);
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    Ok(tables.into_iter().map(|listed| listed.spec).collect())
}

/// A table, and where it is in the file.
struct Listed {
    path: String,
    spec: TableSpec,
}

fn not_json(text: &str, error: &serde_json::Error) -> Mistake {
    let what = if error.is_eof() {
        "it ends too early: a bracket or a quote is not closed".to_owned()
    } else {
        does_not_fit(text, error.line(), error.column())
    };
    Mistake {
        path: format!("line {}, column {}", error.line(), error.column()),
        table: None,
        message: format!("this is not JSON: {what}"),
    }
}

/// Returns the path of the table in which a place is.
fn table_of(path: &str) -> Option<String> {
    let (table, _) = path.strip_prefix("tables[")?.split_once(']')?;
    Some(format!("tables[{table}]"))
}

/// Describes what stands at the place where a text stops being JSON, by the characters there. Lines and columns count
/// from 1, and a column is a byte.
fn does_not_fit(text: &str, line: usize, column: usize) -> String {
    // The end of a line is the column 0 of the next one.
    if column == 0 {
        return "a text must end in the line that it begins in".to_owned();
    }
    let mut lines = text.lines();
    let above: String = lines.by_ref().take(line.saturating_sub(1)).collect();
    let line = lines.next().unwrap_or_default();
    let (before, rest) = line.split_at_checked(column.saturating_sub(1)).unwrap_or((line, ""));
    let open = |text: &str| {
        text.matches(['[', '{'])
            .count()
            .saturating_sub(text.matches([']', '}']).count())
    };
    if open(&above) + open(before) + 1 >= MOST_BRACKETS {
        return format!("it has {MOST_BRACKETS} brackets within one another, and tables.json has few");
    }
    let Some(character) = rest.chars().next() else {
        return "a value does not end where it must".to_owned();
    };
    let hint = match character {
        _ if before.ends_with('\\') => ": write a backslash in a text twice, or a slash in its place",
        '\'' => ": names and texts are in double quotes",
        '"' | '{' | '[' => ": a comma or a colon may be missing before it",
        'a'..='z' | 'A'..='Z' => ": a name or a text is in double quotes, and a comma is between two values",
        _ => "",
    };
    let shown = one_line(character.encode_utf8(&mut [0; 4])).into_owned();
    format!("`{shown}` does not fit here{hint}")
}

/// Returns the tables, each with the fields of `defaults` that it does not have itself.
fn with_defaults(document: &Value) -> Vec<Value> {
    let empty = Map::new();
    let defaults = document.get("defaults").and_then(Value::as_object).unwrap_or(&empty);
    let tables = document.get("tables").and_then(Value::as_array);
    let tables = tables.map(Vec::as_slice).unwrap_or_default().iter();
    tables
        .map(|table| match table {
            Value::Object(fields) => {
                let mut merged = defaults.clone();
                // Both fields choose columns, so a table that has one does not get the other.
                if fields.contains_key("columns") {
                    merged.remove("exclude");
                }
                merged.extend(fields.clone());
                Value::Object(merged)
            }
            other => other.clone(),
        })
        .collect()
}

/// Reads the table as the steps take it. The core checks here what the form alone cannot ensure.
fn spec_of(table: Value, path: &str) -> Result<TableSpec, Mistake> {
    let name = check::name_of(&table);
    let mistake = |at: String, message: String| Mistake {
        path: if at == "." {
            path.to_owned()
        } else {
            format!("{path}.{at}")
        },
        table: name.clone(),
        message,
    };
    let spec: TableSpec = serde_path_to_error::deserialize(table)
        .map_err(|error| mistake(error.path().to_string(), error.inner().to_string()))?;
    match spec.check() {
        Ok(()) => Ok(spec),
        Err(error) => Err(mistake(".".to_owned(), error.told_of_any())),
    }
}

/// Checks that no table is there twice, and that no two tables share a name in the control table.
fn check_names(tables: &[Listed], mistakes: &mut Vec<Mistake>) {
    let (mut seen, mut stored) = (BTreeMap::new(), BTreeMap::new());
    for Listed { path, spec } in tables {
        let table = spec.table.to_string();
        if let Some(first) = seen.insert(table.to_lowercase(), path) {
            mistakes.push(Mistake {
                path: path.clone(),
                table: Some(table),
                message: format!("the table is at {first} already: name it once"),
            });
            continue;
        }
        let twice = spec.watermark_key().names().into_iter().find_map(|name| {
            let first = stored.insert(name.to_lowercase(), path);
            first.filter(|first| *first != path).map(|first| (name, first))
        });
        if let Some((name, first)) = twice {
            mistakes.push(Mistake {
                path: path.clone(),
                table: Some(table),
                message: format!(
                    "the table at {first} keeps its watermark as '{name}', too: give one a watermark_name"
                ),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(text: &str) -> Vec<String> {
        parse(text).unwrap_err().iter().map(Mistake::to_string).collect()
    }

    #[test]
    fn the_example_is_read_and_so_is_one_with_comments_and_a_mark() {
        assert_eq!(parse(include_str!("../../../infra/tables.json")).unwrap().len(), 4);
        let text = "\u{feff}{ // tables\n\"defaults\": {\"format\": \"csv\", \"exclude\": [\"x\"]}, /* all\n of them */ \"tables\": [
            {\"table\": \"dbo.a\", \"tracking\": {\"change_tracking\": {}},},
            {\"table\": \"dbo.b//c\", \"tracking\": {\"change_tracking\": {}}, \"columns\": [\"k\"]}, ] }";
        let tables = parse(text).unwrap();
        assert_eq!(tables[0].format.extension(), "csv");
        assert_eq!((tables[0].exclude.len(), tables[1].exclude.len()), (1, 0));
        assert_eq!(tables[1].table.name().as_str(), "b//c");
    }

    #[test]
    fn every_mistake_is_found_at_once_with_its_place_and_its_table() {
        let found = mistakes(
            r#"{"tables": [
              {"table": "dbo.a", "tracking": {"watermark": {"column": "m"}, "change_tracking": {}}},
              {"table": "dbo.b", "tracking": "rowversion"},
              {"table": "dbo.c", "tracking": {"watermark": {"colum": "m", "settle_seconds": "30"}}},
              {"table": "dbo.d", "tracking": {"watermark": {"column": "m", "clock": "utz"}}, "colums": ["a"]},
              {"table": 7, "tracking": {"change_traking": {}}},
              {"tracking": {"change_tracking": {}}, "slice_rows": 0, "format": "orc"},
              {"table": "dbo.e", "tracking": {"change_tracking": {}}, "where": "a = 1"},
              {"table": "dbo.f", "tracking": {"change_tracking": {}}, "format": {"csv": {"delimiter": ""}}},
              {"table": "[dbo].[F]", "tracking": {"change_tracking": {}}},
              {"table": "f", "tracking": {"change_tracking": {}}}
            ], "tabels": []}"#,
        );
        let expected = [
            "tabels: there is no such field: did you mean `tables`?",
            "tables[0].tracking (dbo.a): change_tracking and watermark are both there: name exactly one",
            "tables[1].tracking (dbo.b): this is the text \"rowversion\", and an object is expected",
            "tables[2].tracking.watermark (dbo.c): `column` is missing",
            "tables[2].tracking.watermark.colum (dbo.c): there is no such field: did you mean `column`?",
            "tables[2].tracking.watermark.settle_seconds (dbo.c): this is the text \"30\", and a whole number",
            "tables[3].tracking.watermark.clock (dbo.d): this is the text \"utz\", and `utc` or `local` is expected: did you mean `utc`?",
            "tables[3].colums (dbo.d): there is no such field: did you mean `columns`?",
            "tables[4].table: this is the number 7, and the name of a table is expected",
            "tables[4].tracking.change_traking: there is no such field: did you mean `change_tracking`?",
            "tables[5]: `table` is missing",
            "tables[5].slice_rows: this is the number 0",
            "tables[5].format: this is the text \"orc\"",
            "tables[6] (dbo.e): where does not go with change_tracking",
            "tables[7].format.csv.delimiter (dbo.f): \"\" is not one character",
            "tables[9] (dbo.f): the table is at tables[8] already",
        ];
        for expected in expected {
            let is_said = found.iter().any(|found| found.starts_with(expected));
            assert!(is_said, "{expected}\n{}", found.join("\n"));
        }
        assert_eq!(found.len(), expected.len(), "{}", found.join("\n"));
    }

    #[test]
    fn a_field_that_is_there_twice_is_a_mistake_of_its_table() {
        let found = mistakes(
            r#"{"defaults": {"audit": true, "audit": false}, "tables": [
              {"table": "dbo.a", "tracking": {"change_tracking": {}}, "exclude": ["ssn"], "exclude": ["note"]},
              {"table": "dbo.b", "tracking": {"watermark": {"column": "a", "column": "b"}}, "mask": {"c": "hash", "c": "null"}}]}"#,
        );
        let expected = [
            "defaults.audit: this field is there more than once: keep one of them",
            "tables[0].exclude (dbo.a): this field is there more than once: keep one of them",
            "tables[1].tracking.watermark.column (dbo.b): this field is there more than once: keep one of them",
            "tables[1].mask.c (dbo.b): this field is there more than once: keep one of them",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_file_that_is_empty_or_in_another_encoding_is_told_so() {
        let text = "{\"tables\": [\n \"é\"]}";
        let latin: Vec<u8> = text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
        let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = [0xFEFF]
            .into_iter()
            .chain(text.encode_utf16())
            .flat_map(u16::to_be_bytes)
            .collect();
        for (bytes, said) in [
            (latin, "is not UTF-8: line 2"),
            (little, "is UTF-16"),
            (big, "is UTF-16"),
            (b" \n".to_vec(), "is empty"),
            (b"\xEF\xBB\xBF\n".to_vec(), "is empty"),
        ] {
            let error = decoded(bytes, PROPOSED).unwrap_err();
            assert!(error.starts_with(said), "{error}");
        }
        assert_eq!(decoded(text.as_bytes().to_vec(), PROPOSED).unwrap(), text);
    }

    #[test]
    fn what_is_no_json_is_said_with_its_line() {
        assert!(mistakes("{\"tables\": [\n  {\"table\" \"a\"}]}")[0].starts_with("line 2, column "));
        assert!(mistakes("[]")[0].contains("an object with `tables` is expected"));
        assert!(mistakes("{\"tables\": []}")[0].contains("at least one"));
        assert!(mistakes("{}")[0].contains("`tables` is missing"));
    }
}
