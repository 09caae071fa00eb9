//! Contracts between the code and what is deployed beside it: the state machine's error names, the template's
//! environment, the example events.

// The futures of the steps nest deeper than the default of 128.
#![recursion_limit = "256"]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;
use tidemark::error::ErrorCode;
use tidemark::runner::decode;
use tidemark::sqlserver_errors::code_of;
use tidemark::table::{TableSpec, check_all};

/// Names of our own that the state machine raises, not a function.
const RAISED_BY_THE_STATE_MACHINES: [&str; 3] = ["ListUnreadable", "TablesFailed", "UploadExpired"];

/// The one that copies the tables it is given, and the one that starts it for a list of tables.
const MACHINES: [&str; 2] = ["incremental-copy.asl.json", "incremental-copy-list.asl.json"];

fn infra(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra").join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn json(file: &str) -> Value {
    serde_json::from_str(&infra(file)).unwrap()
}

/// Every state of the machine, those within Maps included.
fn states(machine: &Value, found: &mut Vec<(String, Value)>) {
    for (name, state) in machine["States"].as_object().unwrap() {
        found.push((name.clone(), state.clone()));
        if state["ItemProcessor"].is_object() {
            states(&state["ItemProcessor"], found);
        }
    }
}

fn machine(file: &str) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    states(&json(file), &mut found);
    found
}

fn tasks() -> Vec<(String, Value)> {
    let tasks: Vec<_> = machine(MACHINES[0])
        .into_iter()
        .filter(|(_, state)| state["Type"] == "Task")
        .collect();
    assert_eq!(tasks.len(), 6);
    tasks
}

fn error_names(handlers: &Value) -> BTreeSet<String> {
    let handlers = handlers.as_array().into_iter().flatten();
    let names = handlers.flat_map(|handler| handler["ErrorEquals"].as_array().unwrap().clone());
    names.map(|name| name.as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_errors_retried_are_the_retryable_codes_and_lambdas_own() {
    let retryable: BTreeSet<_> = ErrorCode::ALL
        .into_iter()
        .filter(|code| code.is_retryable())
        .map(|code| code.name().to_owned())
        .collect();
    for (name, task) in tasks() {
        let retried = error_names(&task["Retry"]);
        let ours: BTreeSet<_> = retried
            .iter()
            .filter(|name| !name.starts_with("Lambda.") && *name != "Sandbox.Timedout")
            .cloned()
            .collect();
        assert_eq!(ours, retryable, "{name}");
        for never in ["States.ALL", "States.Timeout", "States.TaskFailed"] {
            assert!(!retried.contains(never), "{name} retries {never}");
        }
    }
}

#[test]
fn what_is_retried_is_retried_later_and_later_and_not_by_all_at_once() {
    for (name, task) in tasks() {
        for retrier in task["Retry"].as_array().unwrap() {
            assert!(retrier["IntervalSeconds"].as_u64().unwrap() >= 2, "{name}: {retrier}");
            assert!(retrier["BackoffRate"].as_f64().unwrap() >= 2.0, "{name}: {retrier}");
            assert_eq!(retrier["JitterStrategy"], "FULL", "{name}: {retrier}");
            assert!(
                (1..=6).contains(&retrier["MaxAttempts"].as_u64().unwrap()),
                "{name}: {retrier}"
            );
        }
        let ours = &task["Retry"][0];
        assert!(
            ours["ErrorEquals"]
                .as_array()
                .unwrap()
                .contains(&"SourceUnavailable".into())
        );
        assert_eq!(
            (ours["MaxAttempts"].as_u64(), ours["MaxDelaySeconds"].as_u64()),
            (Some(5), Some(60)),
            "{name}: what docs/operations.md says"
        );
    }
}

#[test]
fn the_documented_numbers_are_those_that_are_retried() {
    let docs = infra("../docs/operations.md");
    let section = docs
        .split("### What is tried again")
        .nth(1)
        .unwrap()
        .split("\n#")
        .next()
        .unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| ")).skip(1);
    let mut documented = BTreeSet::new();
    for numbers in rows.map(|row| row.split('|').nth(1).unwrap()) {
        for range in numbers.split(',') {
            let (first, last) = range.trim().split_once(" to ").unwrap_or((range.trim(), range.trim()));
            documented.extend(first.parse::<u32>().unwrap()..=last.parse().unwrap());
        }
    }
    let retried = (0..70_000).filter(|&number| code_of(number).is_retryable()).collect();
    assert_eq!(documented, retried);
}

#[test]
fn every_error_name_of_the_machine_is_known() {
    let known = |name: &str| {
        ErrorCode::ALL.iter().any(|code| code.name() == name)
            || ["Lambda.", "States.", "Sandbox.", "Runtime."]
                .iter()
                .any(|prefix| name.starts_with(prefix))
            || RAISED_BY_THE_STATE_MACHINES.contains(&name)
    };
    for (state, definition) in MACHINES.into_iter().flat_map(machine) {
        let mut names = error_names(&definition["Retry"]);
        names.extend(error_names(&definition["Catch"]));
        names.extend(
            definition["Error"]
                .as_str()
                .filter(|name| !name.starts_with("{%"))
                .map(str::to_owned),
        );
        for name in names {
            assert!(known(&name), "{state} speaks of {name}, which nothing raises");
        }
    }
}

#[test]
fn every_task_has_a_timeout_and_a_catch_and_outlives_its_function() {
    let template = infra("template.yaml");
    for (name, task) in tasks() {
        assert!(task["Catch"].is_array(), "{name} has no Catch");
        let timeout = task["TimeoutSeconds"]
            .as_u64()
            .unwrap_or_else(|| panic!("{name} has no TimeoutSeconds"));
        let function = task["Arguments"]["FunctionName"].as_str().unwrap();
        let function = function.trim_start_matches("${").trim_end_matches("Arn}");
        let resource = template
            .split(&format!("\n  {function}:"))
            .nth(1)
            .unwrap_or_else(|| panic!("no {function}"));
        let own = resource
            .lines()
            .find_map(|line| line.trim().strip_prefix("Timeout: "))
            .unwrap();
        assert!(
            timeout > own.parse::<u64>().unwrap(),
            "{name}: {timeout} s is not above {function}'s {own} s"
        );
    }
}

#[test]
fn every_path_ends_in_success_or_failure_and_says_why_it_exists() {
    for (name, state) in MACHINES.into_iter().flat_map(machine) {
        assert!(state["Comment"].is_string(), "{name} has no Comment");
    }
    for machine in MACHINES.map(json) {
        for (name, state) in machine["States"].as_object().unwrap() {
            assert_ne!(state["End"], true, "{name} ends the execution without Succeed or Fail");
        }
    }
}

#[test]
fn every_task_of_the_list_has_a_timeout_and_a_catch() {
    let tasks: Vec<_> = machine(MACHINES[1])
        .into_iter()
        .filter(|(_, state)| state["Type"] == "Task")
        .collect();
    assert_eq!(tasks.len(), 2);
    for (name, task) in tasks {
        assert!(task["TimeoutSeconds"].is_u64(), "{name} has no TimeoutSeconds");
        assert!(
            error_names(&task["Catch"]).contains("States.ALL"),
            "{name} has no Catch"
        );
    }
}

#[test]
fn the_template_replaces_every_substitution() {
    for file in MACHINES {
        substitutions(file);
    }
}

/// Those of one machine, held against the block that follows its name in the template.
fn substitutions(file: &str) {
    let (machine, template) = (infra(file), infra("template.yaml"));
    let used: BTreeSet<_> = machine
        .split("${")
        .skip(1)
        .filter_map(|rest| rest.split('}').next())
        .collect();
    let resource = template.split(&format!("DefinitionUri: {file}\n")).nth(1).unwrap();
    let block = resource.split("DefinitionSubstitutions:").nth(1).unwrap();
    let indent = |line: &str| line.len() - line.trim_start().len();
    let mut lines = block.lines().skip(1).peekable();
    let depth = indent(lines.peek().unwrap());
    let given: BTreeSet<_> = lines
        .take_while(|line| indent(line) >= depth)
        .filter(|line| indent(line) == depth)
        .filter_map(|line| line.trim().split(':').next())
        .collect();
    assert_eq!(used, given, "{file}");
}

#[test]
fn the_template_sets_only_variables_the_code_reads() {
    let template = infra("template.yaml");
    let code = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/src/config.rs")).unwrap();
    let mut set = BTreeSet::new();
    for line in template.lines().map(str::trim) {
        let Some((name, _)) = line.split_once(':') else {
            continue;
        };
        if ["SOURCE_", "SINK_", "WATERMARK_", "PART_"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
        {
            set.insert(name.to_owned());
        }
    }
    assert!(set.len() >= 8, "{set:?}");
    for name in set {
        assert!(
            code.contains(&format!("\"{name}\"")),
            "the template sets {name}, which nothing reads"
        );
    }
}

#[test]
fn the_example_events_decode() {
    decode::<lookup_old_watermark::Request>(json("events/lookup-old-watermark.json")).unwrap();
    decode::<lookup_new_watermark::Request>(json("events/lookup-new-watermark.json")).unwrap();
    let split = lookup_new_watermark::Event::decode(json("events/lookup-new-watermark-split.json")).unwrap();
    assert!(matches!(split, lookup_new_watermark::Event::Split(_)));
    decode::<copy_delta::Request>(json("events/copy-delta.json")).unwrap();
    decode::<update_watermark::Request>(json("events/update-watermark.json")).unwrap();
    let empty = update_watermark::Event::decode(json("events/update-watermark-empty.json")).unwrap();
    assert!(matches!(empty, update_watermark::Event::All(_)));
    let wrong = serde_json::json!({ "run_id": "r", "windows": [{ "table": "t", "widow": "4" }] });
    let error = update_watermark::Event::decode(wrong).unwrap_err().to_string();
    assert!(error.contains("windows[0]") && error.contains("widow"), "{error}");
    for file in ["tables.json", "events/state-machine.json"] {
        let tables: Vec<TableSpec> = decode(json(file)["tables"].clone()).unwrap();
        check_all(tables.iter()).unwrap();
    }
}
