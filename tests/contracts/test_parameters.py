"""Tests that parameters that do not fit are refused before anything is built or deployed."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from shipped import EVERYTHING, FUNCTIONS, KEY, ROOT, Deployed, source

PARAMETERS = source()["Parameters"]


def _make_deploy(folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs `make deploy` with a sam and a cargo that only say that they were called."""
    for name in ("sam", "cargo"):
        (folder / name).write_text(f"#!/bin/sh\necho called: {name} $*\nexit 1\n")
        (folder / name).chmod(0o755)
    given = [f"{name}={value}" for name, value in variables.items()]
    environment = {"PATH": f"{folder}:{os.environ['PATH']}", "HOME": str(folder)}
    command = ["make", "-C", str(ROOT), "deploy", *given]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def _tables(folder: Path, count: int) -> str:
    path = folder / "tables.json"
    tables = [{"table": f"dbo.t{i:03}", "tracking": {"watermark": {"column": "modified_at"}}} for i in range(count)]
    path.write_text(json.dumps({"tables": tables}, indent=2))
    return str(path)


def test_a_deployment_needs_tables(tmp_path: Path) -> None:
    """It does not copy the tables of the example."""
    result = _make_deploy(tmp_path, SECRET_ARN="arn:x")
    assert result.returncode and "TABLES is missing" in result.stderr
    assert "called: cargo" not in result.stdout


def test_tables_that_do_not_fit_are_refused_before_the_build_with_advice(tmp_path: Path) -> None:
    """A parameter holds 4,096 bytes, which is some fifty tables."""
    result = _make_deploy(tmp_path, SECRET_ARN="arn:x", TABLES=_tables(tmp_path, 80))
    assert result.returncode
    assert re.search(r"takes 5,\d{3} bytes, and a parameter holds 4,096.*TableListKey", result.stderr), result.stderr
    assert "called: cargo" not in result.stdout


def test_tables_that_fit_are_built_and_deployed(tmp_path: Path) -> None:
    """The bytes are counted as they are given, without the file's spaces."""
    result = _make_deploy(tmp_path, SECRET_ARN="arn:x", TABLES=_tables(tmp_path, 55))
    assert "called: cargo" in result.stdout, result.stderr
    given = json.loads((ROOT / ".local/parameters.yaml").read_text())
    assert len(json.loads(given["TablesJson"])["tables"]) == 55
    assert len(given["TablesJson"]) <= 4096


@pytest.mark.parametrize(
    ("text", "word"),
    [("{", "cannot be read as JSON"), ("[]", "non-empty array"), ('{"tables": []}', "non-empty array")],
)
def test_a_file_that_holds_no_tables_is_refused(tmp_path: Path, text: str, word: str) -> None:
    """It would be the input of every scheduled run."""
    (tmp_path / "t.json").write_text(text)
    result = _make_deploy(tmp_path, SECRET_ARN="arn:x", TABLES=str(tmp_path / "t.json"))
    assert result.returncode and word in result.stderr


def test_a_list_in_the_bucket_takes_the_place_of_tables(tmp_path: Path) -> None:
    """A deployment takes either of them, not both."""
    more = tmp_path / "more.yaml"
    more.write_text("TableListKey: lists/all.json\n")
    assert "called: cargo" in _make_deploy(tmp_path, SECRET_ARN="arn:x", PARAMETERS=str(more)).stdout
    assert "TablesJson" not in json.loads((ROOT / ".local/parameters.yaml").read_text())
    both = _make_deploy(tmp_path, SECRET_ARN="arn:x", PARAMETERS=str(more), TABLES=_tables(tmp_path, 1))
    assert both.returncode and "leave TABLES out" in both.stderr


def test_a_first_deployment_works_with_a_login_that_may_only_read() -> None:
    """Watermarks are in the bucket unless somebody asks for a control table."""
    assert PARAMETERS["WatermarkStore"]["Default"] == "s3"


@pytest.mark.parametrize(
    ("parameters", "refusal"),
    [
        ({"SubnetIds": "subnet-1"}, "SubnetIds and SecurityGroupIds together"),
        ({"SecurityGroupIds": "sg-1"}, "SubnetIds and SecurityGroupIds together"),
        ({"SubnetIds": "subnet-1", "SecurityGroupIds": "sg-1"}, ""),
        ({"ScheduleEnabled": "true"}, "A schedule that is on needs tables"),
        ({"ScheduleEnabled": "true", "TableListKey": "lists/all.json"}, ""),
        ({"ScheduleEnabled": "true", "TablesJson": '{"tables":[{}]}'}, ""),
        ({"SourceSecretArn": ""}, "Give SourceSecretArn"),
        ({}, ""),
    ],
)
def test_parameters_that_need_each_other_are_refused_apart(parameters: dict[str, str], refusal: str) -> None:
    """CloudFormation refuses them before it makes anything."""
    refused = Deployed(**{"SourceSecretArn": EVERYTHING["SourceSecretArn"]} | parameters).refused()
    assert [refusal in found for found in refused] == [True] * bool(refusal), refused


def test_a_control_table_without_a_secret_of_its_own_is_reached_as_the_source_is() -> None:
    """The defaults of its own parameters do not replace those of the source."""
    gaps = {"WATERMARK_HOST", "WATERMARK_PORT", "WATERMARK_DATABASE"}
    shared = {"SourceSecretArn": EVERYTHING["SourceSecretArn"], "SourcePort": "1500", "WatermarkStore": "sql"}
    for secret, expected in (("", set()), (EVERYTHING["SourceSecretArn"], gaps)):
        deployed = Deployed(**shared, WatermarkSecretArn=secret)
        for function in ("LookupOldWatermarkFunction", "UpdateWatermarkFunction"):
            variables = deployed.properties(function)["Environment"]["Variables"]
            assert gaps & set(variables) == expected, function


def _accepts(parameter: str, value: str) -> bool:
    return re.fullmatch(PARAMETERS[parameter]["AllowedPattern"], value) is not None


@pytest.mark.parametrize("parameter", ["SourceHost", "SourceDatabase", "SourceUsername", "SourcePassword"])
def test_what_goes_into_the_json_of_a_secret_cannot_break_it(parameter: str) -> None:
    """CloudFormation puts the text in as it is."""
    sane = "sql-1.example.com"
    assert _accepts(parameter, sane) and _accepts(parameter, "")
    for wrong in ('a"b', "a\\b", "a\nb", "a\tb"):
        assert not _accepts(parameter, wrong), wrong
    text = Deployed(SourceHost=sane, SourceDatabase="d", SourceUsername="u", SourcePassword="p{}$'").properties(
        "SourceSecret"
    )["SecretString"]
    assert json.loads(text) == {"host": sane, "port": 1433, "dbname": "d", "username": "u", "password": "p{}$'"}


@pytest.mark.parametrize(
    ("parameter", "right", "wrong"),
    [
        ("SourceHost", "10.0.0.7", "host\\SQLEXPRESS"),
        ("SourceHost", "db.internal", "tcp:db.internal,1433"),
        ("TablesJson", '{"tables": []}', "tables.json"),
        ("ScheduleExpression", "cron(0 6 * * ? *)", "every hour"),
        ("ScheduleTimezone", "America/Argentina/Buenos_Aires", "UTC +1"),
        ("AlarmEmail", "a@example.com", "somebody"),
        ("AlarmTopicArn", "arn:aws-cn:sns:cn-north-1:1:t", "topic"),
        ("LogKmsKeyArn", f"{KEY}a", "alias/logs"),
        ("StatesKmsKeyArn", f"{KEY}a", "arn:aws:kms:eu-west-1:111122223333:alias/a"),
    ],
)
def test_values_of_another_form_are_refused(parameter: str, right: str, wrong: str) -> None:
    """The refusal is a sentence that says what is wanted."""
    assert _accepts(parameter, right)
    assert not _accepts(parameter, wrong)
    assert PARAMETERS[parameter]["ConstraintDescription"].startswith(("must", "cannot"))


def test_every_parameter_is_described_and_has_a_group() -> None:
    """The groups are those of the console and of the documentation."""
    groups = source()["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    grouped = [name for group in groups for name in group["Parameters"]]
    assert sorted(grouped) == sorted(PARAMETERS)
    documentation = (ROOT / "docs/reference/parameters.md").read_text()
    for name, facts in PARAMETERS.items():
        assert facts["Description"].rstrip().endswith("."), name
        assert f"`{name}`" in documentation, f"{name} is not in docs/reference/parameters.md"


def test_a_schedule_has_a_time_zone() -> None:
    """The zone is UTC unless another is given."""
    zone = "ScheduleExpressionTimezone"
    assert Deployed().properties("Schedule")[zone] == "UTC"
    assert Deployed(ScheduleTimezone="Europe/Berlin").properties("Schedule")[zone] == "Europe/Berlin"


def test_logs_and_state_machines_have_keys_of_their_own() -> None:
    """The keys are those that are asked for, everywhere."""
    template = Deployed(**EVERYTHING)
    groups = template.of_type("AWS::Logs::LogGroup")
    assert len(groups) == len(FUNCTIONS) + 1
    assert {group["KmsKeyId"] for group in groups.values()} == {f"{KEY}logs"}
    machines: dict[str, Any] = template.of_type("AWS::StepFunctions::StateMachine")
    assert len(machines) == 2
    for machine in machines.values():
        assert machine["EncryptionConfiguration"]["KmsKeyId"] == f"{KEY}states"
    assert not any("KmsKeyId" in group for group in Deployed().of_type("AWS::Logs::LogGroup").values())


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_level_of_logs_is_a_parameter_that_keeps_what_alarms_read(function: str) -> None:
    """Lines of metrics count as INFO, so there is no level above it."""
    assert PARAMETERS["LogLevel"]["AllowedValues"] == ["TRACE", "DEBUG", "INFO"]
    logging = Deployed(LogLevel="DEBUG").properties(f"{function}Function")["LoggingConfig"]
    assert logging["ApplicationLogLevel"] == "DEBUG"
    assert logging["LogFormat"] == "JSON"


def test_tags_reach_the_stack() -> None:
    """CloudFormation passes a stack's tags on to what it makes."""
    recipe = (ROOT / "Makefile").read_text().split("\ndeploy:")[1]
    assert "--tags $(TAGS)" in recipe
