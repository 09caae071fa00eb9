//! What a terminal shows, at 80 and at 200 columns.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use serde_json::json;

use crate::cases::at_a_terminal;
use crate::world::{SCRIPT, World};

/// What a command wrote to its terminal, and how long it took until it wrote something.
struct Seen {
    text: String,
    first: Duration,
    code: Option<i32>,
}

/// Opens a terminal with so many columns. Returns the side of whoever looks at it, and that of the programs on it.
fn terminal(columns: u16) -> (OwnedFd, OwnedFd) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let slave: OwnedFd = rustix::fs::open(name.as_c_str(), OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
    let size = Winsize {
        ws_row: 40,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(&slave, size).unwrap();
    (master, slave)
}

/// Starts the command on a terminal.
fn started(world: &World, arguments: &[&str], settings: &[(&str, &str)], terminal: OwnedFd) -> Child {
    let mut command = world.command(arguments);
    command
        .env("TERM", "xterm-256color")
        .envs(settings.iter().copied())
        .stdin(Stdio::from(terminal.try_clone().unwrap()))
        .stdout(Stdio::from(terminal.try_clone().unwrap()))
        .stderr(Stdio::from(terminal));
    command.spawn().unwrap()
}

/// Runs the command on a terminal of its own with so many columns.
fn on_a_terminal(world: &World, arguments: &[&str], columns: u16, settings: &[(&str, &str)]) -> Seen {
    answered(world, arguments, columns, settings, "")
}

/// Runs the command on such a terminal, while somebody types this.
fn answered(world: &World, arguments: &[&str], columns: u16, settings: &[(&str, &str)], typed: &str) -> Seen {
    let (master, slave) = terminal(columns);
    let began = Instant::now();
    let mut child = started(world, arguments, settings, slave);
    let (mut master, mut text, mut first) = (File::from(master), Vec::new(), None);
    master.write_all(typed.as_bytes()).unwrap();
    let mut buffer = [0; 4096];
    // The end of the last process on a terminal is an error to whoever reads the other side.
    while let Ok(read @ 1..) = master.read(&mut buffer) {
        first.get_or_insert_with(|| began.elapsed());
        text.extend_from_slice(&buffer[..read]);
    }
    Seen {
        text: String::from_utf8_lossy(&text).into_owned(),
        first: first.unwrap(),
        code: child.wait().unwrap().code(),
    }
}

/// Runs the command with a pipe for its standard output and a terminal for its standard error. Returns what came through
/// the pipe.
fn piped_from_a_terminal(world: &World, arguments: &[&str]) -> String {
    let (_master, slave) = terminal(80);
    let mut command = world.command(arguments);
    command.env("TERM", "xterm-256color").stderr(Stdio::from(slave));
    String::from_utf8(command.output().unwrap().stdout).unwrap()
}

/// Returns the lines of a text, without the characters that only colour it or move the cursor.
fn plain_lines(text: &str) -> Vec<String> {
    let mut plain = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character == '\x1b' {
            // A sequence ends with a letter.
            characters.by_ref().skip(1).find(char::is_ascii_alphabetic);
        } else if character == '\r' {
            plain.push('\n');
        } else {
            plain.push(character);
        }
    }
    plain.lines().map(str::to_owned).collect()
}

fn tables_with_a_failure() -> serde_json::Value {
    let mut tables = World::both(2);
    tables.as_array_mut().unwrap().push(json!({
        "table": "sales.a_table_with_a_name_that_is_rather_long_for_a_name_of_a_table", "tracking": {"change_tracking": {}},
    }));
    tables
}

#[test]
fn progress_begins_at_once_and_fits_the_terminal() {
    for columns in [80, 200] {
        let world = World::new(SCRIPT);
        world.tables(&tables_with_a_failure());
        let seen = on_a_terminal(&world, &["run"], columns, &[]);
        assert!(seen.code.is_some_and(|code| code != 0), "{}", seen.text);
        assert!(seen.first < Duration::from_secs(2), "{:?}", seen.first);
        assert!(
            seen.text.contains("for open transactions"),
            "a wait says that it is one: {}",
            seen.text
        );
        assert!(seen.text.contains("\x1b[31m"), "a failure has a colour: {}", seen.text);
        let lines = plain_lines(&seen.text);
        let table = lines.iter().position(|line| line.starts_with("table ")).unwrap();
        for line in &lines[table..table + 4] {
            assert!(line.chars().count() <= columns.into(), "{columns}: {line}");
        }
        assert_eq!(lines[table].contains("watermark"), columns == 200);
    }
}

#[test]
fn no_color_means_none() {
    let world = World::new(SCRIPT);
    world.tables(&tables_with_a_failure());
    let seen = on_a_terminal(&world, &["run"], 80, &[("NO_COLOR", "1")]);
    assert!(
        !seen.text.contains("\x1b[31m") && !seen.text.contains("\x1b[32m"),
        "{}",
        seen.text
    );
}

#[test]
fn what_goes_through_a_pipe_has_no_colours() {
    let world = World::new(SCRIPT);
    world.tables(&World::both(0));
    let out = piped_from_a_terminal(&world, &["doctor"]);
    assert!(out.contains("✓ sink") && !out.contains('\x1b'), "{out}");
}

#[test]
fn a_row_of_verify_is_one_line_of_a_terminal() {
    let table = "a_table_with_a_name_that_is_rather_long_for_a_name_of_a_table";
    let world = World::new(&format!(
        "CREATE TABLE {table} (id int PRIMARY KEY, stamp rowversion); INSERT {table} (id) VALUES (1);"
    ));
    world.tables(&json!([{"table": table, "tracking": {"watermark": {"column": "stamp"}}}]));
    world.succeeds(&["run"]);
    let seen = on_a_terminal(&world, &["verify"], 80, &[("NO_COLOR", "1")]);
    let lines = plain_lines(&seen.text);
    let row = lines.iter().find(|line| line.starts_with("dbo.a_")).unwrap();
    assert!(row.contains('…') && row.ends_with("as they must be"), "{}", seen.text);
}

/// A server that takes connections and says nothing keeps every verb waiting that asks it.
#[test]
fn a_verb_that_waits_says_what_for() {
    let world = World::new(SCRIPT);
    world.tables(&World::both(0));
    world.succeeds(&["run"]);
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("sqlserver://sa@{}/tidemark?tls=trust", silent.local_addr().unwrap());
    for (arguments, said) in [
        (
            &["status", "--watermark-table", "dbo.w"][..],
            "Reading the ledger: 0 tables, ",
        ),
        (&["run", "again.json"], "Connecting to 127.0.0.1"),
    ] {
        std::fs::copy(
            world.folder.path().join("tables.json"),
            world.folder.path().join("again.json"),
        )
        .unwrap();
        let (master, slave) = terminal(80);
        let mut child = started(&world, arguments, &[("TIDEMARK_SOURCE", &address)], slave);
        let (mut master, mut text, mut buffer) = (File::from(master), String::new(), [0; 4096]);
        while !text.contains(said) {
            let read = master.read(&mut buffer).unwrap_or_default();
            assert!(read > 0, "{arguments:?}: {text}");
            text.push_str(&String::from_utf8_lossy(&buffer[..read]));
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

/// What is asked is about to be done is seen by whoever is asked, also where the results are for machines.
#[test]
fn whoever_is_asked_sees_what_about_though_the_results_are_json() {
    let world = World::new(SCRIPT);
    world.tables(&World::both(0));
    world.succeeds(&["run"]);
    for (verb, event, shown) in [
        (
            &["pause", "orders", "--json"][..],
            "to_pause",
            "no run copies it until you resume it",
        ),
        (&["reset", "orders", "--json"], "to_reset", "1 window, 1 file, 3 rows"),
    ] {
        let seen = answered(&world, verb, 200, &[], "n\n");
        assert_eq!(seen.code, Some(5), "{}", seen.text);
        for said in [
            shown,
            &format!(r#""event":"{event}""#),
            r#""asked":true,"event":"not_confirmed""#,
        ] {
            assert!(seen.text.contains(said), "{said}: {}", seen.text);
        }
    }
}

#[test]
fn what_changes_something_is_shown_and_asked_before() {
    let world = World::new(SCRIPT);
    world.tables(&World::both(0));
    world.succeeds(&["run"]);
    for (verb, question) in [
        (&["pause", "orders"][..], "Pause? [y/N]"),
        (&["resume", "orders"], "Resume? [y/N]"),
        (&["reset", "orders"], "Start over? [y/N]"),
    ] {
        let seen = answered(&world, verb, 80, &[], "n\n");
        assert_eq!(seen.code, Some(5), "{}", seen.text);
        assert!(
            seen.text.contains(question) && seen.text.contains("Nothing is changed."),
            "{}",
            seen.text
        );
    }
    assert_eq!(world.lines("dbo.orders").len(), 3);
    let seen = answered(&world, &["reset", "orders"], 200, &[], "YES\n");
    assert_eq!(seen.code, Some(0), "{}", seen.text);
    assert!(seen.text.contains("is started over"), "{}", seen.text);
    assert_eq!(world.lines("dbo.orders"), Vec::<String>::new());
}

#[test]
fn the_table_of_every_verb_fits_the_terminal() {
    let world = World::new(&format!(
        "{SCRIPT} CREATE TABLE a_table_with_a_name_that_is_rather_long_for_a_name_of_a_table (id int PRIMARY KEY, stamp rowversion);
         INSERT a_table_with_a_name_that_is_rather_long_for_a_name_of_a_table (id) VALUES (1);"
    ));
    let mut tables = World::both(0);
    tables.as_array_mut().unwrap().push(json!({
        "table": "a_table_with_a_name_that_is_rather_long_for_a_name_of_a_table", "tracking": {"watermark": {"column": "stamp"}},
    }));
    world.tables(&tables);
    for columns in [80, 200] {
        for verb in [
            &["plan"][..],
            &["run"],
            &["status"],
            &["history", "orders"],
            &["verify"],
            &["reconcile", "--counts"],
        ] {
            let seen = on_a_terminal(&world, verb, columns, &[("NO_COLOR", "1")]);
            assert_eq!(seen.code, Some(0), "{verb:?}: {}", seen.text);
            let lines = plain_lines(&seen.text);
            // What a run draws before its table is drawn over and over, and other tests check it.
            let is_head = |line: &String| ["table ", "committed "].iter().any(|head| line.starts_with(head));
            let head = lines.iter().rposition(is_head).unwrap_or_default();
            let is_of_table = |line: &&String| {
                let begins = is_head(line) || line.starts_with("dbo.") || line.starts_with("20");
                begins && !line.contains(": ")
            };
            let rows: Vec<&String> = lines[head..].iter().filter(is_of_table).collect();
            assert!(rows.len() > 1, "{verb:?}: {}", seen.text);
            for line in rows {
                assert!(line.chars().count() <= columns.into(), "{verb:?} at {columns}: {line}");
            }
        }
    }
}

#[test]
fn every_line_of_doctor_and_init_fits_the_terminal() {
    let table = "a_table_with_a_name_that_is_rather_long_for_a_name_of_a_table";
    let world = World::new(&format!(
        "{SCRIPT} CREATE TABLE {table} (id int PRIMARY KEY, at datetime2 NULL);"
    ));
    let mut tables = World::both(0);
    tables[0]["where"] = json!("no_such = 1");
    world.tables(&tables);
    for columns in [80, 200] {
        let proposed = format!("proposed-{columns}.json");
        for (verb, code, said) in [
            (&["doctor"][..], 1, "✗ dbo.orders: the `where` of the table"),
            (&["init", "--output", &proposed], 0, "dbo.items"),
        ] {
            let seen = on_a_terminal(&world, verb, columns, &[("NO_COLOR", "1")]);
            assert_eq!(seen.code, Some(code), "{verb:?}: {}", seen.text);
            let lines = plain_lines(&seen.text);
            assert!(
                lines.iter().any(|line| line.starts_with(said)),
                "{verb:?}: {}",
                seen.text
            );
            for line in lines {
                assert!(line.chars().count() <= columns.into(), "{verb:?} at {columns}: {line}");
            }
        }
    }
}

#[test]
fn the_help_of_every_verb_fits_the_terminal() {
    let world = World::new(SCRIPT);
    let commands = plain_lines(&on_a_terminal(&world, &["--help"], 80, &[]).text);
    let verbs: Vec<&str> = commands
        .iter()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| *line != "Options:")
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(verbs.len() > 15 && verbs.contains(&"backfill"), "{verbs:?}");
    for verb in verbs.into_iter().filter(|verb| *verb != "help") {
        for asked in [[verb, "--help"], ["help", verb]] {
            let seen = on_a_terminal(&world, &asked, 80, &[]);
            assert_eq!(seen.code, Some(0), "{asked:?}: {}", seen.text);
            for line in plain_lines(&seen.text) {
                assert!(line.chars().count() <= 80, "{asked:?}: {line}");
            }
        }
    }
}

#[test]
fn what_people_met_is_said_on_a_terminal_of_any_width() {
    for columns in [80, 200] {
        let world = World::new(SCRIPT);
        for case in at_a_terminal(&world) {
            world.tables(&case.tables.clone().unwrap_or_else(|| World::both(0)));
            let settings: Vec<_> = case
                .settings
                .iter()
                .map(|(name, value)| (*name, value.as_str()))
                .collect();
            let seen = on_a_terminal(&world, case.arguments, columns, &settings);
            let (arguments, text) = (case.arguments, &seen.text);
            assert_eq!(seen.code, Some(case.code), "{arguments:?}: {text}");
            let lines = plain_lines(text);
            let said: Vec<&str> = lines.iter().flat_map(|line| line.split_whitespace()).collect();
            assert!(said.join(" ").contains(case.said), "{arguments:?} at {columns}: {text}");
            // What a run draws before is drawn over and over, and other tests check it.
            let told = lines.iter().skip_while(|line| !line.starts_with("error"));
            let is_too_long = |line: &&String| line.chars().count() > columns.into() && line.trim().contains(' ');
            let long = told.into_iter().find(is_too_long);
            assert_eq!(long, None, "{arguments:?} at {columns}");
        }
    }
}

#[test]
fn what_went_wrong_is_broken_between_words_on_a_terminal_and_one_line_elsewhere() {
    let world = World::new(SCRIPT);
    world.tables(&tables_with_a_failure());
    let seen = on_a_terminal(&world, &["run"], 80, &[]);
    let mut lines = plain_lines(&seen.text);
    // A line ends with two characters on a terminal.
    lines.retain(|line| !line.is_empty());
    let error = lines
        .iter()
        .position(|line| line.starts_with("error: sales.a_table"))
        .unwrap();
    assert!(lines[error + 1].starts_with("  "), "{}", seen.text);
    for line in &lines[error..] {
        assert!(line.chars().count() <= 80, "{line}");
    }
    let done = world.run(&["run"]);
    let said: Vec<&str> = done
        .err
        .lines()
        .filter(|line| line.starts_with("error: sales.a_table"))
        .collect();
    assert!(said.len() == 1 && said[0].ends_with(')'), "{}", done.all());
}
