//! The template: what it gives to the state machines and the functions, and what those read.

use std::collections::{BTreeMap, BTreeSet};

use tidemark::model::bucket::Encryption;
use tidemark_lambda::config::{CopyConfig, Environment, LookupNewConfig, LookupOldConfig, UpdateConfig};

use super::{MACHINES, infra};

#[test]
fn the_template_replaces_every_substitution() {
    for file in MACHINES {
        substitutions(file);
    }
}

/// Compares the substitutions of one machine with the block that follows its name in the template.
fn substitutions(file: &str) {
    let (machine, template) = (infra(file), infra("template.yaml"));
    let used: BTreeSet<_> = machine
        .split("${")
        .skip(1)
        .filter_map(|rest| rest.split('}').next())
        .collect();
    let resource = template
        .split(&format!("DefinitionS3Location: {file}\n"))
        .nth(1)
        .unwrap();
    let block = resource.split("DefinitionSubstitutions:").nth(1).unwrap();
    let mut lines = block.lines().skip(1).peekable();
    let depth = indent(lines.peek().unwrap());
    let given: BTreeSet<_> = lines
        .take_while(|line| indent(line) >= depth)
        .filter(|line| indent(line) == depth)
        .filter_map(|line| line.trim().split(':').next())
        .collect();
    assert_eq!(used, given, "{file}");
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// Returns the block of a resource.
fn resource<'a>(template: &'a str, name: &str) -> &'a str {
    let block = template.split(&format!("\n  {name}:\n")).nth(1).unwrap();
    let end = block.match_indices('\n').find(|&(at, _)| {
        block[at + 1..]
            .lines()
            .next()
            .is_some_and(|line| !line.is_empty() && indent(line) <= 2)
    });
    end.map_or(block, |(at, _)| &block[..at])
}

/// Returns the variables of the first environment in a block, and how each is made.
fn variables(block: &str) -> BTreeMap<String, String> {
    let Some(variables) = block.split(" Variables:\n").nth(1) else {
        return BTreeMap::new();
    };
    let depth = indent(variables.lines().next().unwrap());
    let lines = variables.lines().take_while(|line| indent(line) >= depth);
    let pairs = lines.filter_map(|line| line.trim().split_once(": "));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Returns the variables of a function: those of all functions, and its own.
fn environment(template: &str, function: &str) -> BTreeMap<String, String> {
    let mut all = variables(template.split("\nGlobals:").nth(1).unwrap());
    all.extend(variables(resource(template, function)));
    all
}

/// Returns the environment of a function in a deployment with every parameter.
fn deployed(template: &str, function: &str) -> Environment {
    let value = |name: &str| match name {
        "SOURCE_TLS" => "verify",
        "SOURCE_READ_INTENT" => "false",
        "SOURCE_PORT" | "SINK_PORT" | "WATERMARK_PORT" => "1433",
        "WATERMARK_STORE" => "sql",
        "METRICS_PER_TABLE" | "SINK_SIGNED_PAYLOADS" => "false",
        "RUN_BUDGET_ROWS" | "RUN_BUDGET_BYTES" | "RUN_BUDGET_USD" => "0",
        "SINK_BUCKET_OWNER" => "111122223333",
        "SINK_ENCRYPTION" => "aws:kms",
        "COPY_MEMORY" => "1769",
        "PART_BYTES" => "8388608",
        "SOURCE_SILENCE_SECONDS" => "300",
        "WATERMARK_TABLE" => "dbo.deployed_table",
        "WATERMARK_PROCEDURE" => "dbo.deployed_procedure",
        "SINK_SECRET_ARNS" => "arn:one,arn:two",
        "WATERMARK_SECRET_ARN" => "arn:watermarks",
        _ => "deployed",
    };
    let names = environment(template, function).into_keys();
    Environment::new(names.map(|name| (name.clone(), value(&name).to_owned())))
}

#[test]
fn every_function_is_given_what_it_reads() {
    let template = infra("template.yaml");
    let old = LookupOldConfig::read(deployed(&template, "LookupOldWatermarkFunction")).unwrap();
    let new = LookupNewConfig::read(deployed(&template, "LookupNewWatermarkFunction")).unwrap();
    let copy = CopyConfig::read(deployed(&template, "CopyDeltaFunction")).unwrap();
    let update = UpdateConfig::read(deployed(&template, "UpdateWatermarkFunction")).unwrap();
    for sink in [&old.sink, &new.sink, &copy.sink, &update.sink] {
        assert_eq!((sink.bucket.as_str(), sink.prefix.as_str()), ("deployed", "deployed"));
        assert_eq!(sink.facts.encryption, Encryption::Kms(Some("deployed".to_owned())));
    }
    assert_eq!(copy.sink_secret_arns, ["arn:one", "arn:two"]);
    let tidemark_lambda::config::WatermarkConfig::Sql(store) = update.watermarks else {
        panic!("the template's store is not read")
    };
    assert_eq!(store.server.secret, "arn:watermarks");
    assert_eq!(
        (store.table.to_string(), store.procedure.to_string()),
        ("dbo.deployed_table".to_owned(), "dbo.deployed_procedure".to_owned())
    );
}

#[test]
fn the_template_sets_the_variables_that_the_code_reads_and_no_others() {
    let template = infra("template.yaml");
    let of_ours = |name: &str| {
        let is_name = name.chars().all(|c| c.is_ascii_uppercase() || c == '_');
        is_name
            && [
                "SOURCE_",
                "SINK_",
                "WATERMARK_",
                "COPY_",
                "PART_",
                "MASK_",
                "METRICS_",
                "RUN_",
            ]
            .iter()
            .any(|prefix| name.starts_with(prefix))
    };
    let functions = [
        "LookupOldWatermarkFunction",
        "LookupNewWatermarkFunction",
        "CopyDeltaFunction",
        "UpdateWatermarkFunction",
    ];
    let set: BTreeSet<String> = functions
        .iter()
        .flat_map(|function| environment(&template, function).into_keys())
        .filter(|name| of_ours(name))
        .collect();
    let code = infra("../shared/lambda/src/config.rs");
    let code = code.split("#[cfg(test)]").next().unwrap();
    let read: BTreeSet<String> = code
        .split('"')
        .filter(|text| of_ours(text))
        .map(str::to_owned)
        .collect();
    assert!(read.len() >= 8, "{read:?}");
    assert_eq!(set, read);
}

/// Only the secrets of sinks that the deployment names are opened, and the function may read no others.
#[test]
fn copy_delta_alone_is_told_the_secrets_of_sinks_and_may_read_just_those() {
    let template = infra("template.yaml");
    let variable = "SINK_SECRET_ARNS";
    let set = environment(&template, "CopyDeltaFunction")[variable].clone();
    assert!(set.contains(r#"!Join [",", !Ref SinkSecretArns]"#), "{set}");
    for other in [
        "LookupOldWatermarkFunction",
        "LookupNewWatermarkFunction",
        "UpdateWatermarkFunction",
    ] {
        assert!(!environment(&template, other).contains_key(variable), "{other}");
        assert!(
            !resource(&template, &other.replace("Function", "Role")).contains("SinkSecretArns"),
            "{other}"
        );
    }
    let role = resource(&template, "CopyDeltaRole");
    let statements: Vec<_> = role
        .split("- Effect: Allow")
        .filter(|statement| statement.contains("SinkSecretArns"))
        .collect();
    let [statement] = statements[..] else {
        panic!("{statements:?}")
    };
    assert!(statement.contains("secretsmanager:GetSecretValue"), "{statement}");
    assert!(statement.contains("Resource: !Ref SinkSecretArns"), "{statement}");
}

/// The functions that plan windows know whether there is a key, and only the one that hashes values may read it.
#[test]
fn copy_delta_alone_may_read_the_key_of_hashes() {
    let template = infra("template.yaml");
    for (function, is_told, may_read) in [
        ("LookupOldWatermark", false, false),
        ("LookupNewWatermark", true, false),
        ("CopyDelta", true, true),
        ("UpdateWatermark", false, false),
    ] {
        let environment = environment(&template, &format!("{function}Function"));
        assert_eq!(environment.contains_key("MASK_SECRET_ARN"), is_told, "{function}");
        let role = resource(&template, &format!("{function}Role")).to_owned();
        assert_eq!(role.contains("MaskSecretArn"), may_read, "{function}");
    }
    let role = resource(&template, "CopyDeltaRole");
    let (_, statement) = role.split_once("Sid: ReadMaskSecret").unwrap();
    let statement = statement.split("- Sid:").next().unwrap();
    assert!(
        statement.contains("Action: secretsmanager:GetSecretValue"),
        "{statement}"
    );
    assert!(statement.contains("Resource: !Ref MaskSecretArn"), "{statement}");
}
