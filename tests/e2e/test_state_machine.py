"""Tests the state machine alone. The answers of its functions are canned, so every path can be taken."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ministack.services.stepfunctions import _apply_jsonata_template

from local.aws import LocalAws
from local.deploy import INFRA, Deployment
from local.execution import Outcome, run

NAME = "canned"
TELLING = "telling"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "states.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
TABLES = [{"table": "dbo.a", "tracking": {"watermark": {"column": "m"}}}]

# Canned answers have the format of Step Functions Local: for each state, by attempt, something returned or thrown.
OLD = {"tables": [{"spec": TABLES[0]}], "failed": [], "paused": [], "notes": []}
WINDOW = {"table": "dbo.a", "window": "initial", "slices": 1, "settle_seconds": 0, "adopted": False}
NOTES = [{"table": "dbo.a", "null_rows": 1, "future_rows": 0}]
NEW = {
    "windows": [WINDOW],
    "empty": [],
    "unchanged": [],
    "waiting": ["dbo.z"],
    "busy": [],
    "paused": [],
    "notes": NOTES,
    "dry_run": [],
    "failed": [],
}
COMMIT = {
    "table": "dbo.a",
    "window": "initial",
    "status": "committed",
    "rows": 2,
    "bytes": 9,
    "objects": 2,
    "slices": 2,
}
COPIED = {"table": "dbo.a", "slice": 0, "rows": 1, "bytes": 9}
BUSY = {"table": "dbo.a", "run_id": "other", "until": "2026-11-29T12:05:00Z"}
PAUSED = {"table": "dbo.p", "by": "operator", "since": "2026-11-29T12:00:00Z"}
STOPPED = {"table": "dbo.a", "window": "initial", "rows": 4, "bytes": 8, "usd": 0.0004, "slices_left": 3}
EMPTY = [{"table": "dbo.c", "window": "from-7"}, {"table": "dbo.d", "window": "from-7"}]
RECOPY = {"table": "dbo.a", "window": "initial", "status": "recopy", "slices": [0]}
SPLIT = {"table": "dbo.a", "window": "initial", "status": "split", "slices": ["0.0", "0.1"]}


def _returns(payload: object) -> dict[str, Any]:
    return {"Return": {"StatusCode": 200, "Payload": payload}}


def _throws(error: str, message: str) -> dict[str, Any]:
    return {"Throw": {"Error": error, "Cause": json.dumps({"errorType": error, "errorMessage": message})}}


ANSWERS: dict[str, dict[str, Any]] = {
    "old": {"0": _returns(OLD)},
    "old-failed-for-b": {
        "0": _returns({**OLD, "failed": [{"table": "dbo.b", "error": "SourceRejected", "cause": "no"}]})
    },
    "old-paused": {"0": _returns({**OLD, "paused": [PAUSED]})},
    "old-fails": {"0": _throws("WatermarkRejected", "login failed")},
    "new": {"0": _returns(NEW)},
    "new-idle": {"0": _returns({**NEW, "windows": [], "unchanged": ["dbo.a"]})},
    "new-taken": {"0": _returns({**NEW, "windows": [], "busy": [BUSY], "paused": [{**PAUSED, "table": "dbo.q"}]})},
    "new-tracked": {"0": _returns({**NEW, "empty": EMPTY})},
    "new-tracked-idle": {"0": _returns({**NEW, "windows": [], "empty": EMPTY, "unchanged": ["dbo.a"]})},
    "new-tracked-dry-run": {"0": _returns({**NEW, "windows": [], "empty": EMPTY})},
    "new-pointer-lags": {"0": _returns({**NEW, "windows": [{**WINDOW, "slices": 0}]})},
    "new-dry-run": {"0": _returns({**NEW, "dry_run": [{"table": "dbo.a", "slices": [{"sql": "SELECT 1"}]}]})},
    "copied": {"0-99": _returns(COPIED)},
    "copy-stays-unavailable": {"0-99": _throws("SinkUnavailable", "slow down")},
    "copy-fails": {"0-99": _throws("SchemaMismatch", 'column "a" is gone')},
    "copy-times-out": {"0-99": {"Throw": {"Error": "States.Timeout", "Cause": ""}}},
    "copy-takes-too-long": {"0-99": _throws("DeadlineExceeded", "too large")},
    "copy-takes-too-long-once": {
        "0": _throws("DeadlineExceeded", "too large"),
        "1-2": _returns(COPIED),
    },
    # The local AWS gives a retry the answer of the attempt before.
    "copy-is-killed-twice": {"0": _throws("Sandbox.Timedout", "900 s"), "1-2": _returns(COPIED)},
    "second-sub-slice-fails": {
        "0": _throws("DeadlineExceeded", "too large"),
        "1": _returns(COPIED),
        "2": _throws("SchemaMismatch", "gone"),
    },
    "copied-12-times": {"0-11": _returns(COPIED)},
    "copied-11-times": {"0-10": _returns(COPIED), "11": _throws("SchemaMismatch", "gone")},
    "split": {"0-99": _returns({"table": "dbo.a", "window": "initial", "slice": 0, "slices": ["0.0", "0.1"]})},
    "split-fails": {"0-99": _throws("SourceRejected", "no such column")},
    "split-once": {"0": _returns(SPLIT), "1-99": _returns(COMMIT)},
    "split-often": {"0": _returns({**SPLIT, "slices": ["0.0"]}), "1-5": _returns(SPLIT), "6-99": _returns(COMMIT)},
    "committed": {"0-99": _returns(COMMIT)},
    "taken-meanwhile": {"0-99": _returns({"status": "busy", **BUSY})},
    "paused-meanwhile": {"0-99": _returns({"status": "paused", **PAUSED})},
    "budget-spent": {"0-99": _returns({"status": "stopped", **STOPPED})},
    "expired-once": {"0": _returns(RECOPY), "1-99": _returns(COMMIT)},
    "expires-always": {"0-99": _returns(RECOPY)},
    "advanced": {"0": _returns({"advanced": ["dbo.c", "dbo.d"], "failed": []})},
    "advanced-but-d": {
        "0": _returns(
            {"advanced": ["dbo.c"], "failed": [{"table": "dbo.d", "error": "WatermarkConflict", "cause": "moved"}]}
        )
    },
    "reported": {"0": _returns({"reported": 1})},
    "advance-fails": {"0": _throws("WatermarkRejected", "login failed")},
}

CASES: dict[str, tuple[str, ...]] = {
    "busy": ("old", "new", "copied", "committed"),
    "idle": ("old", "new-idle", "copied", "committed"),
    "taken": ("old-paused", "new-taken", "copy-fails", "committed"),
    "taken-meanwhile": ("old", "new", "copied", "taken-meanwhile"),
    "paused-meanwhile": ("old", "new", "copied", "paused-meanwhile"),
    "budget-spent": ("old", "new", "copied", "budget-spent"),
    "pointer-lags": ("old", "new-pointer-lags", "copy-fails", "committed"),
    "tracked": ("old", "new-tracked", "copied", "committed", "advanced"),
    "tracked-idle": ("old", "new-tracked-idle", "copied", "committed", "advanced"),
    "tracked-dry-run": ("old", "new-tracked-dry-run", "copied", "committed", "advance-fails"),
    "one-not-advanced": ("old", "new-tracked", "copied", "committed", "advanced-but-d"),
    "none-advanced": ("old", "new-tracked", "copied", "committed", "advance-fails"),
    "dry-run": ("old", "new-dry-run", "copy-fails", "committed"),
    "lookup-fails": ("old-fails", "new", "copied", "committed"),
    "one-table-failed-early": ("old-failed-for-b", "new", "copied", "committed"),
    "stays-unavailable": ("old", "new", "copy-stays-unavailable", "committed"),
    "permanent": ("old", "new", "copy-fails", "committed"),
    "timeout": ("old", "new", "copy-times-out", "committed"),
    "expired-once": ("old", "new", "copied", "expired-once"),
    "expires-always": ("old", "new", "copied", "expires-always"),
    "split": ("old", "new", "copy-takes-too-long-once", "split-once", "advanced", "split"),
    "killed": ("old", "new", "copy-is-killed-twice", "split-once", "advanced", "split"),
    "sub-slice-fails": ("old", "new", "second-sub-slice-fails", "split-once", "advanced", "split"),
    "split-often": ("old", "new", "copied-12-times", "split-often", "advanced", "split-fails"),
    "split-often-fails": ("old", "new", "copied-11-times", "split-often", "advanced", "split-fails"),
    "split-fails": ("old", "new", "copy-takes-too-long", "committed", "advanced", "split-fails"),
}
STATES = ("LookupOldWatermark", "LookupNewWatermark", "CopyDelta", "UpdateWatermark", "CommitEmpty", "SplitSlice")

Case = Callable[..., tuple[Outcome, list[str]]]


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    """Yields a function that runs a case by name. It returns the outcome and the types of its history's events, or what
    the machine that tells a topic has told it.
    """
    directory = tmp_path_factory.mktemp("canned")
    mocks = directory / "mocks.json"
    mocks.write_text(
        json.dumps(
            {
                "StateMachines": {
                    name: {
                        "TestCases": {
                            case: {"ReportFailed": "reported", "ReportRunFailed": "reported"}
                            | dict(zip(STATES, row, strict=False))
                            for case, row in CASES.items()
                        }
                    }
                    for name in (NAME, TELLING)
                },
                "MockedResponses": ANSWERS,
            }
        )
    )
    aws = LocalAws(directory / "aws", wait_scale=0, mocks=mocks)
    try:
        states = aws.client("stepfunctions")
        role = aws.client("iam").create_role(RoleName=NAME, AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
        told, topic = _queue_of_a_topic(aws)
        arns = {
            name: states.create_state_machine(name=name, definition=_definition(to), roleArn=role)["stateMachineArn"]
            for name, to in ((NAME, "none"), (TELLING, topic))
        }

        def walk(name: str, machine: str = NAME, **other: object) -> tuple[Outcome, list[str]]:
            arn = arns[machine]
            outcome = run(Deployment(aws, machine, {"StateMachineArn": f"{arn}#{name}"}), {"tables": TABLES, **other})
            executions = states.list_executions(stateMachineArn=arn)["executions"]
            (execution,) = [found for found in executions if found["name"] == outcome.run_id]
            pages = states.get_paginator("get_execution_history").paginate(executionArn=execution["executionArn"])
            types = [event["type"] for page in pages for event in page["events"]]
            if machine == TELLING:
                got = aws.client("sqs").receive_message(QueueUrl=told, MaxNumberOfMessages=10, WaitTimeSeconds=5)
                messages = got.get("Messages", [])
                for message in messages:
                    aws.client("sqs").delete_message(QueueUrl=told, ReceiptHandle=message["ReceiptHandle"])
                return outcome, [json.loads(message["Body"])["Message"] for message in messages]
            return outcome, types

        yield walk
    finally:
        aws.stop()


AT_ONCE = {"TableConcurrency": "2", "SliceConcurrency": "1", "CopyReservedConcurrency": "0", "RunsAtOnce": "1"}


def _queue_of_a_topic(aws: LocalAws) -> tuple[str, str]:
    """Makes a topic, and a queue that gets its messages."""
    sqs, sns = aws.client("sqs"), aws.client("sns")
    queue = sqs.create_queue(QueueName="told")["QueueUrl"]
    topic = sns.create_topic(Name="failures")["TopicArn"]
    of_queue = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    may = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": of_queue}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [may]})
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=of_queue)
    return str(queue), str(topic)


def _definition(topic: str) -> str:
    text = (INFRA / "incremental-copy.asl.json").read_text()
    for state in STATES:
        text = text.replace(f"${{{state}FunctionArn}}", f"arn:aws:lambda:us-east-1:000000000000:function:{state}")
    text = text.replace("${Partition}", "aws").replace("${FailureTopicArn}", topic)
    for name, number in AT_ONCE.items():
        text = text.replace(f"${{{name}}}", number)
    return text


@pytest.mark.parametrize("reserved", [0, 1, 2, 3, 7, 10, 49, 50, 99, 100, 1000])
@pytest.mark.parametrize("at_once", [(10, 5, 1), (10, 5, 2), (3, 2, 1), (40, 1, 40), (1, 40, 3)])
def test_no_more_slices_are_copied_at_once_than_copies_are_reserved(
    reserved: int, at_once: tuple[int, int, int]
) -> None:
    """Or Lambda would refuse those beyond, and their tables fail. Without a number the parameters hold as they are."""
    (tables, slices, runs) = at_once
    given = {"TableConcurrency": tables, "SliceConcurrency": slices, "RunsAtOnce": runs, "RunConcurrency": runs}

    def most(state: dict[str, Any]) -> int:
        text = state["MaxConcurrency"]
        for name, number in (given | {"CopyReservedConcurrency": reserved}).items():
            text = text.replace(f"${{{name}}}", str(number))
        return int(_apply_jsonata_template(text, {}, {}))

    of_tables = json.loads((INFRA / "incremental-copy.asl.json").read_text())["States"]["CopyWindows"]
    of_slices = of_tables["ItemProcessor"]["States"]["CopySlices"]
    of_runs = json.loads((INFRA / "incremental-copy-list.asl.json").read_text())["States"]["StartRuns"]
    found = (most(of_tables), most(of_slices), most(of_runs))
    assert all(1 <= number <= limit for number, limit in zip(found, at_once, strict=True))
    if reserved == 0:
        assert found == at_once
    else:
        assert found[0] * found[1] * found[2] <= reserved


@pytest.mark.parametrize("settings", [{"where": "n > 1"}, None])
def test_the_settings_of_a_window_reach_every_step_that_acts_on_it(settings: dict[str, Any] | None) -> None:
    """The settings are in every answer from the one that names the window. Without any there is no field, because a
    null would be refused.
    """
    extra = {} if settings is None else {"settings": settings}
    machine = json.loads(_definition("none"))["States"]
    window = machine["CopyWindows"]["ItemProcessor"]["States"]
    slice_states = window["CopySlices"]["ItemProcessor"]["States"]

    def evaluate(template: object, data: object, item: object = None, result: object = None) -> Any:
        context = {"Execution": {"Name": "r", "Input": {}}, "Map": {"Item": {"Value": item}}}
        return _apply_jsonata_template(template, data, context, result=result)

    named = {"Payload": NEW | {"windows": [WINDOW | extra, WINDOW]}}
    (copied, other) = evaluate(machine["LookupNewWatermark"]["Output"]["windows"], {}, result=named)
    assert "settings" not in other
    found = {"windows": [copied, other], "failed": []}
    item = evaluate(machine["CopyWindows"]["ItemSelector"], found, item=copied)
    commit = evaluate(window["UpdateWatermark"]["Arguments"]["Payload"], item)
    assert commit == {"run_id": "r", "table": "dbo.a", "window": "initial"} | extra
    again = item | {"commit": SPLIT}
    (choice,) = [found for found in window["CheckCommit"]["Choices"] if "'split'" in found["Condition"]]
    for state in (item, evaluate(choice["Output"], again)):
        slice_item = evaluate(window["CopySlices"]["ItemSelector"], state, item="0.1")
        assert slice_item == {"table": "dbo.a", "window": "initial", "slice": "0.1"} | extra
    assert evaluate(slice_states["CopyDelta"]["Arguments"]["Payload"], slice_item) == {"run_id": "r"} | slice_item
    split = evaluate(slice_states["SplitSlice"]["Arguments"]["Payload"], slice_item)
    of_slice = {"table": "dbo.a", "window": "initial", "slice": "0.1"}
    assert split == {"run_id": "r", "split": of_slice} | extra


def test_an_encrypted_run_that_fails_tells_its_topic_which_tables_and_fails_as_it_would_have(case: Case) -> None:
    """The message has no cause, which may name what the execution's key is for."""
    outcome, messages = case("permanent", machine=TELLING)
    assert outcome.error == "TablesFailed" and "gone" in outcome.cause
    (message,) = map(json.loads, messages)
    assert (message["tables"], message["error"], message["run"]) == (
        "dbo.a: SchemaMismatch",
        "TablesFailed",
        outcome.run_id,
    )
    assert "gone" not in json.dumps(message)
    outcome, messages = case("lookup-fails", machine=TELLING)
    assert outcome.error == "WatermarkRejected"
    (message,) = map(json.loads, messages)
    assert (message["tables"], message["error"]) == ("", "lookup-old-watermark: WatermarkRejected")


def test_a_busy_run_reports_what_it_committed(case: Case) -> None:
    """Its output has nothing else, such as the windows and slices on the way."""
    outcome, _ = case("busy")
    assert outcome.succeeded, outcome.cause
    assert outcome.output == {
        "run_id": outcome.run_id,
        "committed": [COMMIT],
        "unchanged": [],
        "waiting": ["dbo.z"],
        "busy": [],
        "paused": [],
        "stopped": [],
        "notes": NOTES,
        "dry_run": [],
    }


def test_tables_of_other_runs_and_paused_ones_are_reported_and_fail_nothing(case: Case) -> None:
    """It does not matter which function finds them, and when."""
    outcome, _ = case("taken")
    assert outcome.succeeded, outcome.cause
    assert outcome.output["busy"] == [BUSY]
    assert outcome.output["paused"] == [PAUSED, {**PAUSED, "table": "dbo.q"}]
    taken, _ = case("taken-meanwhile")
    assert taken.succeeded, taken.cause
    assert (taken.output["busy"], taken.output["committed"]) == ([BUSY], [])
    paused, _ = case("paused-meanwhile")
    assert paused.succeeded, paused.cause
    assert (paused.output["paused"], paused.output["committed"]) == ([PAUSED], [])


def test_a_table_whose_budget_is_spent_is_reported_with_what_is_left(case: Case) -> None:
    """The next run goes on with it, and nothing has failed."""
    stopped, _ = case("budget-spent")
    assert stopped.succeeded, stopped.cause
    assert (stopped.output["stopped"], stopped.output["committed"]) == ([STOPPED], [])


def test_an_idle_run_enters_four_states(case: Case) -> None:
    """A run is billed by its transitions."""
    outcome, events = case("idle")
    assert outcome.output["unchanged"] == ["dbo.a"]
    entered = [event for event in events if event.endswith("StateEntered")]
    assert entered == ["TaskStateEntered", "TaskStateEntered", "ChoiceStateEntered", "SucceedStateEntered"]


def test_windows_without_changes_are_committed_by_one_task(case: Case) -> None:
    """Any number of them takes two states more than none. Their tables are reported as unchanged."""
    outcome, events = case("tracked-idle")
    assert outcome.succeeded, outcome.cause
    assert outcome.output["unchanged"] == ["dbo.a", "dbo.c", "dbo.d"]
    assert outcome.output["committed"] == []
    assert len([event for event in events if event.endswith("StateEntered")]) == 6
    busy, _ = case("tracked")
    assert (busy.committed, busy.output["unchanged"]) == ([COMMIT], ["dbo.c", "dbo.d"])


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("one-not-advanced", "1 table(s) failed, 1 committed, 1 without change. dbo.d: WatermarkConflict: moved"),
        (
            "none-advanced",
            "2 table(s) failed, 1 committed, 0 without change. "
            "dbo.c: WatermarkRejected: login failed | dbo.d: WatermarkRejected: login failed",
        ),
    ],
)
def test_tables_that_do_not_advance_fail_the_run_after_the_others(case: Case, name: str, cause: str) -> None:
    """The tables fail by name, and the other window is copied and committed."""
    outcome, _ = case(name)
    assert (outcome.error, outcome.cause) == ("TablesFailed", cause)


def test_a_dry_run_commits_no_empty_window(case: Case) -> None:
    """The task would fail."""
    outcome, _ = case("tracked-dry-run", dry_run=True)
    assert outcome.succeeded, outcome.cause


def test_a_window_without_slices_only_moves_its_pointer(case: Case) -> None:
    """copy-delta is not called. It would fail."""
    outcome, _ = case("pointer-lags")
    assert outcome.committed == [COMMIT]


@pytest.mark.parametrize("asked", [True, False])
def test_a_dry_run_copies_nothing_even_if_windows_are_announced(case: Case, asked: bool) -> None:
    """The same answers with dry_run false go on to copy-delta, and fail there."""
    outcome, _ = case("dry-run", dry_run=asked)
    assert outcome.succeeded == asked
    if asked:
        assert outcome.output["dry_run"] == [{"table": "dbo.a", "slices": [{"sql": "SELECT 1"}]}]


def test_a_failed_lookup_ends_the_run_with_its_own_error(case: Case) -> None:
    """The name and the message are the function's."""
    outcome, events = case("lookup-fails")
    assert (outcome.error, outcome.cause) == ("WatermarkRejected", "lookup-old-watermark: login failed")
    # The lookup, and the report that counts the tables and gives their leases back.
    assert events.count("TaskStateEntered") == 2


def test_a_table_that_failed_in_a_lookup_fails_the_run_after_the_others(case: Case) -> None:
    """The other one is committed first."""
    outcome, _ = case("one-table-failed-early")
    assert outcome.error == "TablesFailed"
    assert outcome.cause == "1 table(s) failed, 1 committed, 0 without change. dbo.b: SourceRejected: no"


@pytest.mark.parametrize(
    ("name", "attempts", "cause"),
    [
        ("stays-unavailable", 6, "dbo.a: SinkUnavailable: slice 0: slow down"),
        ("permanent", 1, 'dbo.a: SchemaMismatch: slice 0: column "a" is gone'),
        ("timeout", 1, "dbo.a: States.Timeout: slice 0: "),
    ],
)
def test_only_errors_that_pass_are_tried_again(case: Case, name: str, attempts: int, cause: str) -> None:
    """The calls are retried five times, and then they fail the table like the others."""
    outcome, events = case(name)
    assert outcome.cause == f"1 table(s) failed, 0 committed, 0 without change. {cause}"
    assert events.count("TaskFailed") == attempts


def test_expired_uploads_are_copied_again(case: Case) -> None:
    """The second round commits."""
    outcome, _ = case("expired-once")
    assert outcome.committed == [COMMIT]


def test_uploads_that_expire_every_time_are_given_up_after_three_rounds(case: Case) -> None:
    """Then the table fails, and the cause says what to look at."""
    outcome, _ = case("expires-always")
    assert "dbo.a: UploadExpired: the uploads of window initial expired" in outcome.cause
    assert "3 times in a row" in outcome.cause


@pytest.mark.parametrize(("name", "failed"), [("split", 1), ("killed", 2)])
def test_a_slice_that_takes_too_long_is_split(case: Case, name: str, failed: int) -> None:
    """The slice is split at once where the function said so. One that was killed is retried once before."""
    outcome, events = case(name)
    assert outcome.committed == [COMMIT], outcome.cause
    assert events.count("TaskFailed") == failed


def test_sub_slices_are_copied_by_name_and_fail_by_name(case: Case) -> None:
    """The sub-slices are those that update-watermark says are missing."""
    outcome, _ = case("sub-slice-fails")
    assert outcome.cause.endswith("dbo.a: SchemaMismatch: slice 0.1: gone")


def test_slices_that_were_split_are_copied_in_as_many_rounds_as_it_takes(case: Case) -> None:
    """One slice, one sub-slice and five times two make 12 calls of copy-delta, of which the last is needed."""
    outcome, _ = case("split-often")
    assert outcome.committed == [COMMIT], outcome.cause
    outcome, _ = case("split-often-fails")
    assert outcome.cause.endswith("dbo.a: SchemaMismatch: slice 0.1: gone")


def test_a_slice_that_cannot_be_split_fails_its_table_with_what_it_failed_with(case: Case) -> None:
    """The cause also says why it could not be split."""
    outcome, _ = case("split-fails")
    assert outcome.cause == (
        "1 table(s) failed, 0 committed, 0 without change. dbo.a: DeadlineExceeded: slice 0: too large; "
        "splitting it failed: SourceRejected: no such column"
    )
