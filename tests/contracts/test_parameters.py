"""Tests that parameters that do not fit are refused before anything is built or deployed."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import deploy_parameters
import pytest
import schedules
import yaml
from shipped import EVERYTHING, FUNCTIONS, KEY, ROOT, SECRET, Deployed, source

from local.screen import WIDTHS, shown

PARAMETERS = source()["Parameters"]
ROLE = "arn:aws:iam::111122223333:role/"
TOPIC = "arn:aws:sns:eu-west-1:111122223333:mine"


def _command(
    folder: Path,
    sam: str = "1.152.0",
    stack: dict[str, str] | None = None,
    unreserved: int | None = None,
    **variables: str,
) -> tuple[list[str], dict[str, str]]:
    """Returns `make deploy` and its environment: a cargo that only says that it was called, a compiler that takes
    everything, a sam that has a version, and an aws that knows the parameters of the stack and how many functions the
    account can run at once.
    """
    told = json.dumps([{"ParameterKey": name, "ParameterValue": value} for name, value in (stack or {}).items()])
    of_lambda = f"echo {unreserved}" if unreserved is not None else "exit 254"
    of_stack = f"echo '{told}'" if stack else "exit 255"
    for name, does in {
        "cargo": "echo called: cargo $*; exit 1",
        # With another HOME, the real one would first be downloaded.
        "rustc": "cat > /dev/null",
        "sam": f"echo SAM CLI, version {sam}",
        "aws": f'case "$1" in lambda) {of_lambda};; *) {of_stack};; esac',
    }.items():
        (folder / name).write_text(f"#!/bin/sh\n{does}\n")
        (folder / name).chmod(0o755)
    given = [f"{name}={value}" for name, value in ({"SECRET_ARN": SECRET} | variables).items()]
    environment = {"PATH": f"{folder}:{os.environ['PATH']}", "HOME": str(folder)}
    return ["make", "-C", str(ROOT), "deploy", *given], environment


def _make_deploy(folder: Path, **given: Any) -> subprocess.CompletedProcess[str]:
    """Runs `make deploy` with those."""
    command, environment = _command(folder, **given)
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def _deployed(result: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """Returns the parameters with which the build began."""
    assert "called: cargo" in result.stdout, result.stdout + result.stderr
    return dict(json.loads((ROOT / ".local/parameters.yaml").read_text()))


def _refused(result: subprocess.CompletedProcess[str]) -> str:
    """Returns why nothing was built."""
    assert result.returncode and "called: cargo" not in result.stdout, result.stdout
    return result.stderr


def _parameters(folder: Path, text: str) -> str:
    (folder / "more.yaml").write_text(text)
    return str(folder / "more.yaml")


def _tables(folder: Path, count: int) -> str:
    path = folder / "tables.json"
    tables = [{"table": f"dbo.t{i:03}", "tracking": {"watermark": {"column": "modified_at"}}} for i in range(count)]
    path.write_text(json.dumps({"tables": tables}, indent=2))
    return str(path)


def test_a_deployment_needs_tables(tmp_path: Path) -> None:
    """It does not copy the tables of the example."""
    result = _make_deploy(tmp_path)
    assert result.returncode and "TABLES is missing" in result.stderr
    assert "called: cargo" not in result.stdout


def test_tables_that_do_not_fit_are_refused_before_the_build_with_advice(tmp_path: Path) -> None:
    """A parameter holds 4,096 bytes, which is some fifty tables."""
    result = _make_deploy(tmp_path, TABLES=_tables(tmp_path, 80))
    assert result.returncode
    assert re.search(r"takes 5,\d{3} bytes, and a parameter holds 4,096.*TableListKey", result.stderr), result.stderr
    assert "called: cargo" not in result.stdout


@pytest.mark.parametrize("columns", WIDTHS)
def test_tables_that_are_missing_or_do_not_fit_are_said_before_the_build_wherever_it_is_read(
    tmp_path: Path, columns: int | None
) -> None:
    """40 tables, each with the settings of a real one, are more than a parameter holds."""
    path = tmp_path / "tables.json"
    tracking = {"watermark": {"column": "LastModifiedDateTime", "clock": "local", "settle_seconds": 60}}
    tables = [{"table": f"Sales.OrderLines{i:02}", "tracking": tracking} for i in range(40)]
    path.write_text(json.dumps({"tables": tables}))
    for variables, said in (
        ({}, "TABLES is missing: a file with the tables to copy, like infra/tables.json"),
        ({"TABLES": str(path)}, "bytes, and a parameter holds 4,096"),
        ({"TABLES": str(tmp_path / "none.json")}, "there is no such file"),
    ):
        command, environment = _command(tmp_path, **variables)
        seen = shown(command, columns, environment, ROOT)
        assert seen.code and said in seen.words, seen.text
        assert "called: cargo" not in seen.text, seen.text


def test_tables_that_fit_are_built_and_deployed(tmp_path: Path) -> None:
    """The bytes are counted as they are given, without the file's spaces."""
    given = _deployed(_make_deploy(tmp_path, TABLES=_tables(tmp_path, 55)))
    assert len(json.loads(given["TablesJson"])["tables"]) == 55
    assert len(given["TablesJson"]) <= 4096


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("{", "this is not JSON"),
        ("[]", "an object with `tables` is expected"),
        ('{"tables": []}', "the list is empty"),
        ('{"tables": [{"table": "a", "traking": {}}]}', "did you mean `tracking`?"),
    ],
)
def test_a_file_that_holds_no_tables_is_refused(tmp_path: Path, text: str, word: str) -> None:
    """It would be the input of every scheduled run."""
    (tmp_path / "t.json").write_text(text)
    assert word in _refused(_make_deploy(tmp_path, TABLES=str(tmp_path / "t.json")))


def test_a_list_in_the_bucket_takes_the_place_of_tables(tmp_path: Path) -> None:
    """A deployment takes either of them, not both."""
    more, tables = _parameters(tmp_path, "TableListKey: lists/all.json\n"), _tables(tmp_path, 1)
    found = _deployed(_make_deploy(tmp_path, PARAMETERS=more))
    assert (found["TableListKey"], found["TablesJson"]) == ("lists/all.json", PARAMETERS["TablesJson"]["Default"])
    assert "leave TABLES out" in _refused(_make_deploy(tmp_path, PARAMETERS=more, TABLES=tables))
    unset = _parameters(tmp_path, 'TableListKey: ""\n')
    assert _deployed(_make_deploy(tmp_path, PARAMETERS=unset, TABLES=tables))["TableListKey"] == ""


def test_comments_and_defaults_are_resolved_before_the_state_machine_sees_them(tmp_path: Path) -> None:
    """The state machine knows neither, so a mask among the defaults would be lost without a word."""
    path = tmp_path / "t.json"
    path.write_text(
        '{"$schema": "tables.schema.json", // masked\n"defaults": {"mask": {"email": "null"}},'
        '"tables": [{"table": "dbo.a", "tracking": {"change_tracking": {}}},]}'
    )
    tables = json.loads(_deployed(_make_deploy(tmp_path, TABLES=str(path)))["TablesJson"])
    assert tables == {"tables": [{"table": "dbo.a", "tracking": {"change_tracking": {}}, "mask": {"email": "null"}}]}


def _as_sam_reads(value: str) -> str:
    """Returns what becomes of a value in SAM, as `_unquote_wrapped_quotes` of samcli/cli/types.py has it (1.170)."""
    if value and value[0] == value[-1] and value[0] in ('"', "'"):
        value = value[1:-1]
    return value.replace("\\ ", " ").replace('\\"', '"').replace("\\'", "'")


def test_tables_reach_the_stack_as_they_are_although_sam_takes_backslashes_away(tmp_path: Path) -> None:
    """SAM reads a parameter's text as a shell's word, also from a file."""
    tables = {"tables": [{
        "table": "dbo.a",
        "tracking": {"watermark": {"column": "m"}},
        "where": "a <> '\\' AND b <> '\\ \"x\" \\\" \\\\n\n'",
        "format": {"csv": {"null": "\\N", "line_end": "\r\n"}},
    }]}  # fmt: skip
    (tmp_path / "t.json").write_text(json.dumps(tables))
    given = _deployed(_make_deploy(tmp_path, TABLES=str(tmp_path / "t.json")))
    assert json.loads(_as_sam_reads(given["TablesJson"])) == tables
    assert {name: _as_sam_reads(value) for name, value in given.items()} == given


def test_every_parameter_is_given_so_that_none_keeps_an_earlier_value(tmp_path: Path) -> None:
    """SAM keeps the values of a stack's parameters that are left out. What goes back to its default is told."""
    stack = {"TableListKey": "lists/all.json", "CaBundle": "/var/task/ca-bundle.pem", "SourcePassword": "****",
             "ScheduleEnabled": "true", "SinkPrefix": "tidemark", "AlarmEmail": "a@example.com"}  # fmt: skip
    more = _parameters(tmp_path, "AlarmEmail: b@example.com\nSubnetIds: [subnet-1, subnet-2]\nSecurityGroupIds: sg-1\n")
    result = _make_deploy(tmp_path, stack=stack, PARAMETERS=more, TABLES=_tables(tmp_path, 1))
    found = _deployed(result)
    assert set(found) == set(PARAMETERS)
    changed = {name for name, facts in PARAMETERS.items() if found[name] != str(facts["Default"])}
    assert changed == {"SourceSecretArn", "TablesJson", "AlarmEmail", "SubnetIds", "SecurityGroupIds"}
    assert found["SubnetIds"] == "subnet-1,subnet-2"
    told = [line.split()[0] for line in result.stdout.splitlines() if "goes back to its default" in line]
    assert told == ["CaBundle", "ScheduleEnabled", "TableListKey"]
    unknown = _make_deploy(tmp_path, TABLES=_tables(tmp_path, 1))
    assert "could not be read" in unknown.stdout


def test_the_bundle_is_named_where_it_is_packed(tmp_path: Path) -> None:
    """A function whose bundle is not there reaches nothing, and one that does not know of it trusts nothing new."""
    tables, bundle = _tables(tmp_path, 1), tmp_path / "b.pem"
    assert "is no file" in _refused(_make_deploy(tmp_path, TABLES=tables, CA_BUNDLE=str(bundle)))
    bundle.write_text("-----BEGIN CERTIFICATE-----\n")
    packed = _deployed(_make_deploy(tmp_path, TABLES=tables, CA_BUNDLE=str(bundle)))
    assert packed["CaBundle"] == "/var/task/ca-bundle.pem"
    named = _parameters(tmp_path, "CaBundle: /var/task/ca-bundle.pem\n")
    assert "give CA_BUNDLE" in _refused(_make_deploy(tmp_path, TABLES=tables, PARAMETERS=named))
    other = _parameters(tmp_path, "CaBundle: /opt/bundle.pem\n")
    assert "leave CaBundle out" in _refused(
        _make_deploy(tmp_path, TABLES=tables, PARAMETERS=other, CA_BUNDLE=str(bundle))
    )


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ("SchedulEnabled: true", "SchedulEnabled is no parameter"),
        ("ScheduleEnabled: yes please", "must be one of true, false"),
        ("TableConcurrency: 1.5", "must be a text"),
        ('TableConcurrency: "1.5"', "must be a whole number from 1 to 40"),
        ("SinkBucketName: s3://lake", "without s3://"),
        ("SinkBucketName: lake-abc-s3alias", "is an access point"),
        ("SourceSecretArn: arn:x", "SECRET_ARN="),
        ('SinkBucketOwner: "444455556666"', "SinkBucketOwner is the owner of SinkBucketName"),
        ("SubnetIds: subnet-1", "SubnetIds and SecurityGroupIds together"),
        ("AlarmEmail: a@example.com\nAlarmTopicArn: arn:aws:sns:eu-west-1:111122223333:mine", "nobody would get"),
        ("SourceDatabase: '\"quoted\"'", "cannot hold a quote"),
        ("ScheduleExpression: rate(1\\ hour)", "SAM takes away"),
        ('PartBytes: "67108864"\nCopyMemory: "447"', "copy-delta needs 448 MB"),
        ("ScheduleEnabled: true\nScheduleExpression: cron(0 6 ? * MON-FRI *)", "no run for up to 72 hours"),
        ('ScheduleEnabled: true\nScheduleExpression: rate(1 day)\nNoSuccessAlarmHours: "24"', "up to 24 hours"),
        ("SinkHost: sql.example.com", "Give SinkSecretArns"),
        ("- a", "must hold lines"),
        ("a: [", "cannot be read as YAML"),
    ],
)
def test_parameters_that_cannot_be_deployed_are_refused_before_the_build(
    tmp_path: Path, text: str, refusal: str
) -> None:
    """CloudFormation would refuse them after the build, or SAM would change them."""
    result = _make_deploy(tmp_path, PARAMETERS=_parameters(tmp_path, text), TABLES=_tables(tmp_path, 1))
    assert refusal in _refused(result)


def test_a_list_is_not_where_the_functions_write(tmp_path: Path) -> None:
    """Whoever may write there could choose what is copied."""
    for key, prefix, is_refused in (("lake/x/all.json", "lake/x", True), ("lake/all.json", "lake/x", False)):
        more = _parameters(tmp_path, f"TableListKey: {key}\nSinkPrefix: {prefix}\n")
        result = _make_deploy(tmp_path, PARAMETERS=more)
        assert ("below SinkPrefix" in result.stderr) == is_refused


def test_an_old_sam_and_a_long_name_are_refused_before_the_build(tmp_path: Path) -> None:
    """An older SAM takes the name of the file for a parameter."""
    tables = _tables(tmp_path, 1)
    assert "pipx upgrade aws-sam-cli" in _refused(_make_deploy(tmp_path, sam="1.151.9", TABLES=tables))
    assert _deployed(_make_deploy(tmp_path, sam="2.0.0", TABLES=tables))
    assert _deployed(_make_deploy(tmp_path, TABLES=tables, STACK="s" * 128, TAGS='team=data owner="the team" a:b=x=y'))
    for wrong in ({"STACK": "s" * 129}, {"STACK": "my_stack"}, {"STACK": "1st"}, {"STACK": "a b"}):
        assert "is no name of a stack" in _refused(_make_deploy(tmp_path, TABLES=tables, **wrong))
    for tags in ("data", "=data", "team=data; env=prod", "team='data", "aws:x=y"):
        assert "a list of name=value" in _refused(_make_deploy(tmp_path, TABLES=tables, TAGS=tags)), tags


def test_make_deploy_and_copy_delta_reckon_with_the_same_memory() -> None:
    """What one takes, the other does not refuse."""
    code = (ROOT / "shared/lambda/src/config.rs").read_text()
    found = [
        re.findall(rf"const {name}: usize = (\d+);", code) for name in ("PIECES_IN_MEMORY", "MEMORY_BESIDE_PIECES")
    ]
    assert found == [[str(deploy_parameters.PIECES_IN_MEMORY)], [str(deploy_parameters.MEMORY_BESIDE_PIECES)]]


@pytest.mark.parametrize(
    ("expression", "hours"),
    [
        ("rate(90 minutes)", 1.5),
        ("rate(2 days)", 48),
        ("cron(0 6 * * ? *)", 24),
        ("cron(15 0/6 * * ? *)", 6),
        ("cron(0 8-17 ? * * *)", 15),
        ("cron(0 6,18 ? * MON-FRI *)", 60),
        ("cron(0 6 ? * SUN *)", 168),
        ("cron(0 6 1 * ? *)", 672),
        ("cron(0 6 ? * 6L *)", None),
        ("at(2026-12-01T06:00:00)", None),
    ],
)
def test_the_longest_wait_of_a_schedule_is_known(expression: str, hours: float | None) -> None:
    """The alarm for runs that are missing has to be longer."""
    assert schedules.longest_wait(expression) == hours


@pytest.mark.parametrize(
    ("unreserved", "text", "advice"),
    [
        # What AWS gives to a new account.
        (10, "", ["50 copies at once", "can run 10 functions", 'TableConcurrency: "6", SliceConcurrency: "1"']),
        (30, "", ['TableConcurrency: "10", SliceConcurrency: "2"']),
        (54, "", []),
        (53, "", ["50 copies at once"]),
        (104, "TableListKey: l.json", []),
        (100, 'TableListKey: l.json\nRunConcurrency: "4"', ["200 copies", '"10", SliceConcurrency: "2" in']),
        (10, 'TableListKey: l.json\nRunConcurrency: "8"', ['SliceConcurrency: "1", RunConcurrency: "6"']),
        (1, "", ['TableConcurrency: "1", SliceConcurrency: "1"']),
        (140, 'CopyReservedConcurrency: "40"', []),
    ],
)  # fmt: skip
def test_an_account_that_cannot_run_as_many_copies_at_once_is_told_what_to_set(
    tmp_path: Path, unreserved: int, text: str, advice: list[str]
) -> None:
    """The defaults ask for fifty. The deployment goes on, because copies that are refused wait."""
    more = {"PARAMETERS": _parameters(tmp_path, text)} if text else {}
    tables = {} if "TableListKey" in text else {"TABLES": _tables(tmp_path, 1)}
    result = _make_deploy(tmp_path, unreserved=unreserved, **more, **tables)
    _deployed(result)
    assert all(word in result.stdout for word in advice), result.stdout
    assert ("copies at once" in result.stdout) == bool(advice), result.stdout
    assert "could not be read (lambda" not in result.stdout


def test_more_than_the_account_has_is_not_reserved(tmp_path: Path) -> None:
    """Lambda keeps 100 for functions that reserve nothing. What the stack has already is not reserved again."""
    tables, reserved = _tables(tmp_path, 1), _parameters(tmp_path, 'CopyReservedConcurrency: "40"')

    def deploy(unreserved: int, stack: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        return _make_deploy(tmp_path, unreserved=unreserved, stack=stack, TABLES=tables, PARAMETERS=reserved)

    told = _refused(deploy(139))
    assert "is 40. This account has 139" in told and "give 39 at most" in told
    assert "leave it out" in _refused(deploy(10))
    assert _deployed(deploy(140))
    assert _deployed(deploy(100, {"CopyReservedConcurrency": "40"}))
    assert "give 30 at most" in _refused(deploy(100, {"CopyReservedConcurrency": "30"}))


def test_an_account_that_does_not_say_what_it_can_run_is_deployed_to(tmp_path: Path) -> None:
    """The right to ask is not needed for anything else."""
    result = _make_deploy(tmp_path, TABLES=_tables(tmp_path, 1))
    assert _deployed(result) and "could not be read (lambda:GetAccountSettings)" in result.stdout


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
        ({"ScheduleEnabled": "true", "TablesJson": '{"tables":[]}'}, "A schedule that is on needs tables"),
        ({"SinkBucketOwner": "444455556666"}, "SinkBucketOwner is the owner of SinkBucketName"),
        ({"SinkBucketOwner": "444455556666", "SinkBucketName": "lake"}, ""),
        ({"OperatorArns": f"{ROLE}a,{ROLE}b", "SinkBucketName": "lake"}, "leave OperatorArns empty"),
        ({"OperatorArns": f"{ROLE}a,{ROLE}b"}, ""),
        ({"AccessLogBucket": "logs", "SinkBucketName": "lake"}, "leave AccessLogBucket empty"),
        ({"AccessLogBucket": "logs"}, ""),
        ({"AlarmTopicArn": TOPIC, "AlarmEmail": "a@example.com"}, "leave AlarmEmail empty"),
        ({"AlarmTopicArn": TOPIC}, ""),
        ({"AlarmTopicKmsKeyArn": f"{KEY}topic"}, "the key of the topic of AlarmTopicArn"),
        ({"AlarmTopicArn": TOPIC, "AlarmTopicKmsKeyArn": f"{KEY}topic"}, ""),
        ({"WatermarkSecretArn": SECRET}, "leave WatermarkSecretArn empty"),
        ({"WatermarkSecretArn": SECRET, "WatermarkStore": "sql"}, ""),
        ({"SinkEncryption": "AES256", "KmsKeyArn": f"{KEY}a"}, "give one of them"),
        ({"SinkEncryption": "AES256"}, ""),
        ({"SinkEncryption": "aws:kms:dsse", "KmsKeyArn": f"{KEY}a"}, ""),
        ({"SinkHost": "h"}, "Give SinkSecretArns"),
        ({"SinkDatabase": "d"}, "Give SinkSecretArns"),
        ({"SinkHost": "h", "SinkDatabase": "d", "SinkSecretArns": f"{SECRET},{SECRET}"}, ""),
        ({"SourceSecretArn": ""}, "Give SourceSecretArn"),
        ({}, ""),
    ],
)
def test_parameters_that_need_each_other_are_refused_apart(parameters: dict[str, str], refusal: str) -> None:
    """CloudFormation refuses them before it makes anything."""
    refused = Deployed(**{"SourceSecretArn": EVERYTHING["SourceSecretArn"]} | parameters).refused()
    assert [refusal in found for found in refused] == [True] * bool(refusal), refused


def test_the_parameters_of_the_tests_and_of_the_examples_violate_no_rule() -> None:
    """What every test of the template is made of could be deployed, and so could the examples."""
    assert Deployed(**EVERYTHING).refused() == []
    examples = list((ROOT / "examples").glob("*/parameters.yaml"))
    assert examples
    for path in examples:
        # make deploy gives the tables and the secret.
        given = {"SourceSecretArn": SECRET, "TablesJson": '{"tables":[{}]}'}
        for name, value in yaml.safe_load(path.read_text()).items():
            given[name] = ",".join(value) if isinstance(value, list) else str(value)
        assert Deployed(**given).refused() == [], path


def test_a_parameter_that_another_makes_useless_says_so() -> None:
    """No rule refuses these, because their defaults cannot be told from what somebody gave."""
    for name, by in {
        "SourceUsername": "SourceSecretArn",
        "SourcePassword": "SourceSecretArn",
        "WatermarkHost": "WatermarkSecretArn",
        "WatermarkPort": "WatermarkSecretArn",
        "WatermarkDatabase": "WatermarkSecretArn",
        "SinkPort": "SinkSecretArns",
        "KeepOldVersionsDays": "SinkBucketName",
        "TablesJson": "TableListKey",
        "AlarmTopicKmsKeyArn": "StatesKmsKeyArn",
    }.items():
        text = " ".join(PARAMETERS[name]["Description"].split())
        assert re.search(rf"{by}\b[^.]* not used", text), name


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
        ("TablesJson", '{"dry_run": true, "tables" : [ {"table": "a"}]}', '{"tables": [ ]}'),
        ("TablesJson", '{"tables":[{"table":"a"}]}', '{"dry_run": true}'),
        ("ScheduleExpression", "cron(0 6 * * ? *)", "every hour"),
        ("ScheduleTimezone", "America/Argentina/Buenos_Aires", "UTC +1"),
        ("AlarmEmail", "a@example.com", "somebody"),
        ("AlarmTopicArn", "arn:aws-cn:sns:cn-north-1:1:t", "topic"),
        ("AlarmTopicArn", TOPIC, f"{TOPIC}.fifo"),
        ("SinkPrefix", "lake/tidemark", "lake/../tidemark"),
        ("SinkPrefix", "lake/v1.0", "."),
        ("SinkPrefix", "team=a/x_y", "_ledger"),
        ("SinkPrefix", "a", "a/_b"),
        ("TableListKey", "lists/all.json", "lists/../all.json"),
        ("TableListKey", "_lists/all.json", ".."),
        ("KmsKeyArn", f"{KEY}a", f"{KEY}a,{KEY}b"),
        ("LogKmsKeyArn", f"{KEY}a", f"{KEY}a b"),
        ("StatesKmsKeyArn", f"{KEY}a", f" {KEY}a"),
        ("AlarmTopicKmsKeyArn", f"{KEY}a", "alias/topics"),
        ("LogKmsKeyArn", f"{KEY}a", "alias/logs"),
        ("StatesKmsKeyArn", f"{KEY}a", "arn:aws:kms:eu-west-1:111122223333:alias/a"),
        ("SecretKmsKeyArns", f"{KEY}a", "arn:aws:kms:eu-west-1:111122223333:alias/a"),
        ("SourceSecretArn", SECRET, SECRET.removesuffix("-AbCdEf")),
        ("WatermarkSecretArn", SECRET, "source"),
        ("MaskSecretArn", SECRET, SECRET.removesuffix("-AbCdEf")),
        ("SinkSecretArns", SECRET, SECRET.removesuffix("-AbCdEf")),
        ("SinkBucketName", "my.lake-1", "s3://lake"),
        ("SinkBucketName", "lake", "lake/tidemark"),
        ("AccessLogBucket", "logs", "Logs"),
        ("WatermarkTable", "[etl].[water marks]", "db.dbo.watermarks"),
        ("WatermarkProcedure", "dbo.usp_write_watermark", 'dbo."usp"'),
        ("CaBundle", "/var/task/ca-bundle.pem", "ca-bundle.pem"),
        ("OperatorArns", "arn:aws:iam::111122223333:role/ops-*", "ops"),
        ("RunBudgetRows", "1000000", "1e6"),
        ("RunBudgetBytes", "1000000", "1.5"),
        ("SubnetIds", "subnet-0a1b2c3d", "vpc-1"),
        ("SecurityGroupIds", "sg-0a1b2c3d", "default"),
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


def test_a_topic_has_a_name_that_sns_takes_whatever_the_stack_is_called() -> None:
    """SNS takes 100 characters, and CloudFormation gives the name of a stack up to 128."""
    assert Deployed().properties("Notifications")["DisplayName"] == "Tidemark"


def test_who_may_write_the_list_is_said_where_that_is_chosen() -> None:
    """Without operators nothing guards the list but IAM."""
    text = " ".join(PARAMETERS["OperatorArns"]["Description"].split())
    assert "When empty, everybody to whom IAM gives the right may write the list." in text


def test_tags_reach_the_stack() -> None:
    """CloudFormation passes a stack's tags on to what it makes."""
    recipe = (ROOT / "Makefile").read_text().split("\ndeploy:")[1]
    assert "--tags $(TAGS)" in recipe
