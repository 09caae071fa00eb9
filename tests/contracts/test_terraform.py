"""Parses the module for Terraform and compares it with the template: resources, policies, parameters and state
machines.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import hcl2
import pytest
import terraform
from shipped import INFRA, MACHINES, ROOT, as_list, source

MODULE = INFRA / "terraform"
TEMPLATE = source()
KINDS = {
    "AWS::S3::Bucket": "aws_s3_bucket",
    "AWS::S3::BucketPolicy": "aws_s3_bucket_policy",
    "AWS::SecretsManager::Secret": "aws_secretsmanager_secret",
    "AWS::IAM::ManagedPolicy": "aws_iam_policy",
    "AWS::IAM::Role": "aws_iam_role",
    "AWS::IAM::Policy": "aws_iam_role_policy",
    "AWS::Serverless::Function": "aws_lambda_function",
    "AWS::Logs::LogGroup": "aws_cloudwatch_log_group",
    "AWS::Logs::MetricFilter": "aws_cloudwatch_log_metric_filter",
    "AWS::StepFunctions::StateMachine": "aws_sfn_state_machine",
    "AWS::Scheduler::Schedule": "aws_scheduler_schedule",
    "AWS::SQS::Queue": "aws_sqs_queue",
    "AWS::SQS::QueuePolicy": "aws_sqs_queue_policy",
    "AWS::SNS::Topic": "aws_sns_topic",
    "AWS::SNS::TopicPolicy": "aws_sns_topic_policy",
    "AWS::SNS::Subscription": "aws_sns_topic_subscription",
    "AWS::Events::Rule": "aws_cloudwatch_event_rule",
    "AWS::CloudWatch::Alarm": "aws_cloudwatch_metric_alarm",
    "AWS::CloudWatch::Dashboard": "aws_cloudwatch_dashboard",
}


def _blocks(file: str, kind: str) -> Iterator[tuple[list[str], dict[str, Any]]]:
    """Yields the blocks of a kind: their labels and what is in them."""
    with (MODULE / file).open() as text:
        parsed = hcl2.load(text)
    for found in parsed.get(kind, []):
        labels = []
        while "__is_block__" not in found:
            ((label, found),) = ((key, value) for key, value in found.items() if key != "__comments__")
            labels.append(label.strip('"'))
        yield labels, found


RESOURCES = {tuple(labels): body for labels, body in _blocks("main.tf", "resource")}
VARIABLES = {labels[0]: body for labels, body in _blocks("variables.tf", "variable")}


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _text(value: Any) -> str:
    """Returns the text of a quoted string of HCL."""
    return str(json.loads(value.replace("$${", "${")))


def test_the_module_is_as_the_template_says() -> None:
    """The files are those that `make terraform` writes, so it was not forgotten."""
    command = [sys.executable, ROOT / "tools/terraform.py", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Yields every text, number and truth below a value, with the way to it."""
    if isinstance(value, dict | list):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _leaves(part, (*path, key))
    else:
        yield path, value


def _changed(value: Any) -> Any:
    """Returns another value of the same kind."""
    if isinstance(value, bool):
        return not value
    return value + 1 if isinstance(value, int | float) else f"{value}zz"


def _is_of_cloudformation_only(path: tuple[Any, ...], value: Any) -> bool:
    """Returns whether Terraform says this in another way: what a deleted stack keeps, what cfn-lint is told, and that a
    property is not there.
    """
    return (
        path[2:] in (("DeletionPolicy",), ("UpdateReplacePolicy",))
        or "Metadata" in path
        or (path[-3:], value) == (("Fn::If", 2, "Ref"), "AWS::NoValue")
    )


def test_nothing_of_the_template_is_left_out() -> None:
    """Whatever is changed in the template changes the module, or is refused."""
    template = source()
    written = _written(template)
    sections = ("Parameters", "Rules", "Conditions", "Globals", "Resources", "Outputs")
    without_effect = []
    for path, value in [found for section in sections for found in _leaves(template[section], (section,))]:
        *way, last = path
        holder = template
        for key in way:
            holder = holder[key]
        holder[last] = _changed(value)
        if not _is_of_cloudformation_only(path, value) and _written(template) == written:
            without_effect.append((path, value))
        holder[last] = value
    assert without_effect == []


def _written(template: dict[str, Any]) -> str:
    """Returns the module that is written from a template, or why none is."""
    module = terraform.Module(template)
    try:
        return module.variables() + module.main() + module.outputs()
    except (SystemExit, KeyError) as refusal:
        return repr(refusal)


def test_an_unknown_part_of_a_lifecycle_is_refused() -> None:
    """A rule without what it does would keep every object for ever."""
    template = source()
    (*_, rule) = template["Resources"]["SinkBucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
    rule["ObjectSizeLessThan"] = "1"
    with pytest.raises(SystemExit, match="ObjectSizeLessThan"):
        terraform.Module(template).main()


def test_every_resource_of_the_template_is_there_on_the_same_condition() -> None:
    """There is no other, except what Terraform has as a resource of its own, under the name of what it belongs to."""
    for name, resource in TEMPLATE["Resources"].items():
        body = RESOURCES[KINDS[resource["Type"]], _snake(name)]
        condition = resource.get("Condition")
        expected = f"${{local.{_snake(condition)} ? 1 : 0}}" if condition else None
        assert body.get("count") == expected, name
    names = {_snake(name) for name in TEMPLATE["Resources"]}
    assert {name for _, name in RESOURCES} - names == {"rules"}
    assert len(RESOURCES) == len(list(_blocks("main.tf", "resource")))


def test_the_conditions_are_the_templates() -> None:
    """The conditions have the same names, and each stands for one of the template's."""
    with (MODULE / "main.tf").open() as text:
        (found,) = hcl2.load(text)["locals"]
    assert {name for name in found if not name.startswith("__")} == {_snake(name) for name in TEMPLATE["Conditions"]}


@pytest.mark.parametrize("parameter", TEMPLATE["Parameters"])
def test_every_parameter_is_a_variable_with_the_same_default_and_limits(parameter: str) -> None:
    """The description is the same too."""
    facts, variable = TEMPLATE["Parameters"][parameter], VARIABLES[_snake(parameter)]
    assert _text(variable["description"]) == facts["Description"].strip()
    default = variable["default"]
    if facts["Type"] == "CommaDelimitedList":
        assert (variable["type"], default) == ("${list(string)}", [])
    elif facts["Type"] == "Number":
        assert (variable["type"], default) == ("number", facts["Default"])
    else:
        assert (variable["type"], _text(default)) == ("string", facts["Default"])
    assert bool(variable.get("sensitive")) == bool(facts.get("NoEcho"))
    conditions = [rule["condition"] for rule in variable.get("validation", [])]
    limits = sum(key in facts for key in ("AllowedPattern", "AllowedValues", "MinValue", "MaxLength"))
    assert len(conditions) == limits
    if pattern := facts.get("AllowedPattern"):
        assert json.dumps(f"^(?:{pattern})$") in conditions[0].replace("$${", "${")
    for value in facts.get("AllowedValues", []):
        assert str(value) in " ".join(conditions)


def test_there_is_no_variable_besides_but_the_modules_own() -> None:
    """The other two, `name` and `packages`, are in names.tf."""
    assert set(VARIABLES) == {_snake(parameter) for parameter in TEMPLATE["Parameters"]}
    assert {labels[0] for labels, _ in _blocks("names.tf", "variable")} == {"name", "packages"}


def _documents() -> Iterator[tuple[str, str, Any]]:
    """Yields every policy of the template, with the kind and the name of Terraform's resource for it."""
    for name, resource in TEMPLATE["Resources"].items():
        properties, kind = resource["Properties"], KINDS[resource["Type"]]
        if "PolicyDocument" in properties:
            yield kind, _snake(name), properties["PolicyDocument"]
        if "AssumeRolePolicyDocument" in properties:
            yield kind, _snake(name), properties["AssumeRolePolicyDocument"]
            for policy in properties["Policies"]:
                yield "aws_iam_role_policy", _snake(name), policy["PolicyDocument"]


def _statements(document: Any) -> Iterator[dict[str, Any]]:
    for statement in document["Statement"]:
        branches = statement["Fn::If"][1:] if "Fn::If" in statement else [statement]
        yield from (branch for branch in branches if "Effect" in branch)


def _pattern(resource: Any) -> str:
    """Returns a resource with a star in place of all that is substituted, as far as it is written out."""
    if isinstance(resource, dict) and "Fn::Sub" in resource:
        text = as_list(resource["Fn::Sub"])[0]
        return re.sub(r"\$\{[^}]*\}", "*", str(text))
    return str(resource) if isinstance(resource, str) else ""


def _actions(statement: dict[str, Any]) -> list[str]:
    """Returns the actions of a statement, those that hang on a condition too."""
    actions = as_list(statement["Action"])
    return [action["Fn::If"][1] if isinstance(action, dict) else action for action in actions]


@pytest.mark.parametrize(("kind", "name", "document"), list(_documents()), ids=lambda value: str(value)[:40])
def test_every_policy_says_the_same(kind: str, name: str, document: Any) -> None:
    """The effect, the actions, the resources and the keys of conditions are compared statement by statement."""
    body = RESOURCES[kind, name]
    is_trust = kind == "aws_iam_role"
    text = str(body["assume_role_policy" if is_trust else "policy"])
    assert text.startswith("${jsonencode(")
    parts = re.split(r"(?=\{(?:Sid = \"\w+\", )?Effect = )", text)[1:]
    statements = list(_statements(document))
    assert len(parts) == len(statements)
    for part, statement in zip(parts, statements, strict=True):
        if "Sid" in statement:
            assert f'Sid = "{statement["Sid"]}"' in part
        assert f'Effect = "{statement["Effect"]}"' in part
        listed = re.search(r"Action = (\[[^\]]*\]|\"[^\"]*\")", part)
        assert listed and re.findall(r'"([^"]+)"', listed[1]) == _actions(statement)
        plain = re.sub(r"\$\{[^{}]*\}", "*", part)
        for resource in as_list(statement.get("Resource", [])):
            assert _pattern(resource) in plain
        condition = statement.get("Condition", {})
        assert ("Condition = {" in part) == bool(condition)
        for operator, keys in condition.items():
            assert f"{operator} = {{" in part or f'"{operator}" = {{' in part
            assert all(f'"{key}"' in part for key in keys)


@pytest.mark.parametrize("file", MACHINES)
def test_the_state_machines_are_the_same_files_with_the_same_substitutions(file: str) -> None:
    """Terraform reads `${…}` in them as CloudFormation does, and finds no directive of its own."""
    text = (INFRA / file).read_text()
    assert "%{" not in text
    (body,) = [
        found
        for (kind, _), found in RESOURCES.items()
        if kind == "aws_sfn_state_machine" and f"/{file}" in found["definition"]
    ]
    values = body["definition"].split(file, 1)[1]
    assert set(re.findall(r"\$\{(\w+)\}", text)) == set(re.findall(r"(\w+) = ", values))


def test_functions_have_the_same_settings() -> None:
    """The settings are time, memory and variables. The packages are those of the build."""
    for name, resource in TEMPLATE["Resources"].items():
        if resource["Type"] != "AWS::Serverless::Function":
            continue
        body, properties = RESOURCES["aws_lambda_function", _snake(name)], resource["Properties"]
        assert body["timeout"] == properties["Timeout"]
        assert properties["CodeUri"].rsplit("/", 1)[1] in body["filename"]
        own = properties.get("Environment", {}).get("Variables", {})
        wanted = set(TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]) | set(own)
        (environment,) = body["environment"]
        assert set(re.findall(r"([A-Z_]{4,}) = ", str(environment["variables"]))) == wanted


def test_alarms_look_at_the_same_metrics_in_the_same_way() -> None:
    """Every number is compared."""
    names = {
        "namespace": "Namespace",
        "metric_name": "MetricName",
        "statistic": "Statistic",
        "comparison_operator": "ComparisonOperator",
        "treat_missing_data": "TreatMissingData",
        "period": "Period",
        "threshold": "Threshold",
        "evaluation_periods": "EvaluationPeriods",
        "datapoints_to_alarm": "DatapointsToAlarm",
    }
    for name, resource in TEMPLATE["Resources"].items():
        if resource["Type"] != "AWS::CloudWatch::Alarm":
            continue
        body, properties = RESOURCES["aws_cloudwatch_metric_alarm", _snake(name)], resource["Properties"]
        for attribute, key in names.items():
            if not isinstance(properties.get(key), dict):
                found = body.get(attribute)
                assert (_text(found) if isinstance(found, str) else found) == properties.get(key), (name, key)
        assert body["alarm_actions"] == body["ok_actions"]


def test_what_the_rules_refuse_is_refused() -> None:
    """The words are the same."""
    (lifecycle,) = RESOURCES["terraform_data", "rules"]["lifecycle"]
    told = {_text(each["error_message"]) for each in lifecycle["precondition"]}
    rules = TEMPLATE["Rules"].values()
    assert told == {assertion["AssertDescription"] for rule in rules for assertion in rule["Assertions"]}


def test_every_output_is_there() -> None:
    """Its name is in snake case."""
    assert {labels[0] for labels, _ in _blocks("outputs.tf", "output")} == {
        _snake(name) for name in TEMPLATE["Outputs"]
    }


def test_the_provider_is_of_one_major_version() -> None:
    """The next one may name attributes otherwise, as every one before it did."""
    (settings,) = [body for _, body in _blocks("versions.tf", "terraform")]
    (providers,) = settings["required_providers"]
    assert providers["aws"]["version"].strip('"') == "~> 6.0"
