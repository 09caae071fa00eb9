//! The state machines: what they retry, catch and pass on.

use std::collections::BTreeSet;

use serde_json::Value;
use tidemark::error::ErrorCode;

use super::{MACHINES, infra, json};

/// The error names that the state machines raise themselves.
const RAISED_BY_THE_STATE_MACHINES: [&str; 4] = ["ListUnreadable", "RunTooLarge", "TablesFailed", "UploadExpired"];

/// Collects every state of the machine, including those within Maps.
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

/// Returns the states that invoke a function.
fn tasks() -> Vec<(String, Value)> {
    let tasks: Vec<_> = machine(MACHINES[0])
        .into_iter()
        .filter(|(_, state)| state["Resource"] == "arn:${Partition}:states:::lambda:invoke")
        .collect();
    assert_eq!(tasks.len(), 8);
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
            let throttled =
                error_names(&Value::Array(vec![retrier.clone()])).contains("Lambda.TooManyRequestsException");
            let most = if throttled { 15 } else { 6 };
            assert!(
                (1..=most).contains(&retrier["MaxAttempts"].as_u64().unwrap()),
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
            "{name}: what docs/reference/errors.md says"
        );
    }
}

#[test]
fn every_error_name_of_the_machine_is_known() {
    let known = |name: &str| {
        ErrorCode::ALL.iter().any(|code| code.name() == name)
            || [
                "Lambda.",
                "States.",
                "StepFunctions.",
                "Sfn.",
                "SNS.",
                "Sandbox.",
                "Runtime.",
            ]
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

/// Returns, for each state with an item selector, its name and the text of the selector.
fn selectors() -> Vec<(String, String)> {
    let maps = machine(MACHINES[0])
        .into_iter()
        .filter(|(_, state)| state["Type"] == "Map");
    let selectors: Vec<_> = maps
        .map(|(name, state)| (name, state["ItemSelector"].as_str().unwrap().to_owned()))
        .collect();
    assert_eq!(selectors.len(), 2);
    selectors
}

#[test]
fn the_settings_of_a_table_travel_with_its_windows_slices_and_events() {
    let states = machine(MACHINES[0]);
    let text = |state: &str, pointer: &str| {
        let (_, state) = states.iter().find(|(name, _)| name == state).unwrap();
        state.pointer(pointer).unwrap().as_str().unwrap().to_owned()
    };
    let windows = text("LookupNewWatermark", "/Output/windows");
    assert!(windows.contains("'settings': settings}"), "{windows}");
    for (name, selector) in selectors() {
        let passes_all = selector.contains("$merge([$states.context.Map.Item.Value,");
        assert!(
            passes_all || selector.contains("'settings': $states.input.settings"),
            "{name} drops the settings: {selector}"
        );
    }
    // Each of them refuses a window that was frozen with other settings than its event has.
    for task in ["CopyDelta", "SplitSlice", "UpdateWatermark"] {
        let payload = text(task, "/Arguments/Payload");
        assert!(
            payload.contains("'settings': $states.input.settings}"),
            "{task} runs without the settings: {payload}"
        );
    }
    // A state that is repeated keeps all of its input.
    for (name, state) in &states {
        let again = ["CopySlices", "WaitToSettle"].contains(&state["Next"].as_str().unwrap_or_default());
        let output = state["Output"].as_str().unwrap_or_default();
        let keeps_all =
            output.is_empty() || output.contains("$sift($states.input,") || output.contains("$merge([$states.input,");
        assert!(!again || keeps_all, "{name} may drop the settings: {output}");
    }
}
