"""Tests the state machine for a list of tables alone. The runs that it starts are those of a machine that only
pretends.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from local.cost import runs_of
from local.deploy import INFRA, Deployment
from local.execution import Execution, Outcome
from local.stack import Stack

TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "states.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
KEY = "lists/tables.json"
BAD = "1 table(s) failed, 0 committed, 0 without change. dbo.bad: SourceRejected: no such table. " + "x" * 2000
# The machine commits the tables whose name begins with "new", and fails as a real run does if one is called "bad".
PRETENDER = {
    "QueryLanguage": "JSONata",
    "StartAt": "Look",
    "States": {
        "Look": {
            "Type": "Choice",
            "Choices": [{"Condition": "{% 'bad' in $states.input.tables.table %}", "Next": "Bad"}],
            "Default": "Good",
        },
        "Bad": {"Type": "Fail", "Error": "TablesFailed", "Cause": BAD},
        "Good": {
            "Type": "Pass",
            "Output": {
                "committed": "{% [$states.input.tables[$substring(table, 0, 3) = 'new']] %}",
                "unchanged": "{% [$states.input.tables[$substring(table, 0, 3) != 'new'].table] %}",
                "waiting": [],
                "busy": [],
                "paused": [],
                "stopped": [],
                "notes": [],
                "dry_run": [],
            },
            "Next": "Done",
        },
        "Done": {"Type": "Succeed"},
    },
}


@dataclass(frozen=True)
class Copied:
    """The end of a run of the list, and the runs that it started, by the first table of each."""

    outcome: Outcome
    runs: list[dict[str, Any]]

    @property
    def inputs(self) -> list[dict[str, Any]]:
        """Returns the inputs of those runs, in the order of the list."""
        return sorted((json.loads(run["input"]) for run in self.runs), key=lambda found: found["tables"][0]["table"])


CopyList = Callable[..., Copied]


@pytest.fixture(scope="module")
def copy_list(stack: Stack) -> CopyList:
    """Yields a function that puts a list into a bucket of its own and runs it. Without a `list_text` there is
    no list.
    """
    states = stack.aws.client("stepfunctions")
    s3 = stack.aws.client("s3")
    role = stack.aws.client("iam").create_role(RoleName="lists", AssumeRolePolicyDocument=json.dumps(TRUST))
    pretender = states.create_state_machine(
        name="pretender", definition=json.dumps(PRETENDER), roleArn=role["Role"]["Arn"]
    )

    def copy(
        list_text: str | None,
        run_input: dict[str, Any] | None = None,
        runs_are: str = str(pretender["stateMachineArn"]),
        tables_per_run: int = 2,
        run_concurrency: int = 2,
    ) -> Copied:
        name = f"list-{uuid.uuid4().hex[:8]}"
        s3.create_bucket(Bucket=name)
        if list_text is not None:
            s3.put_object(Bucket=name, Key=KEY, Body=list_text.encode())
        definition = (INFRA / "incremental-copy-list.asl.json").read_text()
        for variable, value in {
            "Partition": "aws",
            "SinkBucket": name,
            "TableListKey": KEY,
            "TablesPerRun": str(tables_per_run),
            "RunConcurrency": str(run_concurrency),
            "CopyReservedConcurrency": "0",
            "IncrementalCopyArn": runs_are,
        }.items():
            definition = definition.replace(f"${{{variable}}}", value)
        machine = states.create_state_machine(name=name, definition=definition, roleArn=role["Role"]["Arn"])
        deployment = Deployment(stack.aws, name, {"StateMachineArn": machine["stateMachineArn"]})
        execution = Execution.start(deployment, run_input or {})
        outcome = execution.wait()
        started = [
            states.describe_execution(executionArn=run["executionArn"]) for run in runs_of(states, execution.arn)
        ]
        return Copied(outcome, started)

    return copy


def listing(*names: str, **other: object) -> str:
    """Returns a list of tables with these names."""
    return json.dumps([{"table": name, **other} for name in names])


def names(run_input: dict[str, Any]) -> list[str]:
    """Returns the tables of a run."""
    return [table["table"] for table in run_input["tables"]]


def test_every_so_many_tables_are_a_run(copy_list: CopyList) -> None:
    """The tables of a run are in the order of the list, each as it is there, and the output counts them."""
    copied = copy_list(listing("a", "b", "c", "new1", "new2", format="csv"))
    assert copied.outcome.output == {
        "run_id": copied.outcome.run_id,
        "runs": 3,
        "committed": 2,
        "unchanged": 3,
        "waiting": 0,
        "busy": 0,
        "paused": 0,
        "stopped": 0,
        "notes": 0,
        "dry_run": 0,
    }
    assert [names(run_input) for run_input in copied.inputs] == [["a", "b"], ["c", "new1"], ["new2"]]
    assert copied.inputs[2] == {"tables": [{"table": "new2", "format": "csv"}]}


def test_a_run_is_named_after_the_one_that_started_it(copy_list: CopyList) -> None:
    """The name makes it possible to find the run. It has the tables in it, so that two runs of one list never share a
    name.
    """
    copied = copy_list(listing("a", "b", "c"))
    found = [run["name"] for run in copied.runs]
    assert len(set(found)) == 2
    assert all(name.startswith(f"{copied.outcome.run_id}-") and len(name) <= 80 for name in found)


def test_long_entries_make_smaller_runs(copy_list: CopyList) -> None:
    """A run answers with its input and more, and that must fit 256 KiB."""
    columns = [f"column_{number}" for number in range(1500)]
    copied = copy_list(listing("a", "b", "c", "d", columns=columns), tables_per_run=250)
    assert [names(run_input) for run_input in copied.inputs] == [["a", "b"], ["c", "d"]]
    assert all(len(run["input"].encode()) < 49152 for run in copied.runs)


def test_dry_run_reaches_every_run(copy_list: CopyList) -> None:
    """It arrives as it was given, and the first function checks its value."""
    copied = copy_list(listing("a", "b", "c"), {"dry_run": True})
    assert [run_input["dry_run"] for run_input in copied.inputs] == [True, True]


@pytest.mark.parametrize("field", ["dryrun", "tables"])
def test_other_input_is_refused_by_its_name(copy_list: CopyList, field: str) -> None:
    """A misspelt dry_run would copy."""
    copied = copy_list(listing("a"), {"dry_run": True, field: True})
    assert (copied.outcome.error, copied.runs) == ("InvalidInput", [])
    assert f"unknown field {field}:" in copied.outcome.cause
    assert f"/{KEY}" in copied.outcome.cause


@pytest.mark.parametrize("text", [None, "tables", '"tables"'], ids=str)
def test_a_list_that_cannot_be_read_says_what_it_should_be(copy_list: CopyList, text: str | None) -> None:
    """The list is missing, not JSON, or no array. Nothing is started."""
    copied = copy_list(text)
    assert (copied.outcome.error, copied.runs) == ("ListUnreadable", [])
    assert f"/{KEY}, cannot be read: put a JSON array of tables there" in copied.outcome.cause
    assert "not below SinkPrefix" in copied.outcome.cause


@pytest.mark.parametrize(
    "text",
    [
        '{"defaults": {"mask": {"email": "hash"}}, "tables": [{"table": "a"}]}',
        '{"tables": [{"table": "a"}]}',
        '[{"table": "a"}, {"defaults": {"exclude": ["email"]}}]',
    ],
    ids=["defaults", "an object", "defaults in the array"],
)
def test_a_list_with_defaults_copies_nothing(copy_list: CopyList, text: str) -> None:
    """Nothing would read them, so columns would be copied that are to be masked or left out."""
    copied = copy_list(text)
    assert (copied.outcome.error, copied.runs) == ("TablesFailed", [])
    assert "the list must be an array of tables" in copied.outcome.cause
    assert "tidemark tables --list" in copied.outcome.cause


def test_an_empty_list_is_refused(copy_list: CopyList) -> None:
    """A run without tables is refused too."""
    outcome = copy_list(listing()).outcome
    assert (outcome.error, outcome.cause.endswith(f"/{KEY}, names no table")) == ("InvalidInput", True)


def test_a_failed_run_does_not_stop_the_others(copy_list: CopyList) -> None:
    """The others are started after it. The cause names the failed run, its tables and its own cause."""
    copied = copy_list(listing("bad", "b", "new1", "d", "new2"), run_concurrency=1)
    outcome = copied.outcome
    (failed,) = [run for run in copied.runs if run["status"] == "FAILED"]
    assert len(copied.runs) == 3
    assert (outcome.status, outcome.error) == ("FAILED", "TablesFailed")
    assert outcome.cause.startswith(
        "1 of 3 run(s) failed. In the others: 2 committed, 1 without change. "
        f"run {failed['name']} (bad to b): TablesFailed: 1 table(s) failed, 0 committed, 0 without change. "
        "dbo.bad: SourceRejected: no such table."
    )


def test_the_cause_of_many_failed_runs_names_them_all(copy_list: CopyList) -> None:
    """Step Functions takes 32,768 characters."""
    tables = [name for number in range(30) for name in ("bad", f"other{number}")]
    copied = copy_list(listing(*tables), run_concurrency=30)
    assert copied.outcome.cause.startswith("30 of 30 run(s) failed. In the others: 0 committed, 0 without change. ")
    assert copied.outcome.cause.count("dbo.bad: SourceRejected") == 30
    assert len(copied.outcome.cause) < 32_768


def test_a_run_that_cannot_be_started_fails_the_run(copy_list: CopyList) -> None:
    """There is no run to ask then, so the answer to its start is reported."""
    nowhere = "arn:aws:states:us-east-1:000000000000:stateMachine:nowhere"
    outcome = copy_list(listing("a"), runs_are=nowhere).outcome
    assert outcome.error == "TablesFailed"
    assert "(a to a): StateMachineDoesNotExist" in outcome.cause
