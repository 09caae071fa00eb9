"""Tests what a state machine does when AWS refuses, when time runs out, and when a payload is too large."""

from __future__ import annotations

import itertools
import json
import math
import re
from typing import Any

import botocore.session
import pytest
from ministack.services.stepfunctions import _apply_jsonata_template
from shipped import MACHINES, ROOT, Deployed, machine, states

LONGEST_SLICE_SECONDS = 900
DAY = 24 * 3600
THROTTLED = {
    "Lambda.TooManyRequestsException",
    "Lambda.ENILimitReachedException",
    "Lambda.ENINotReadyException",
    "Lambda.EC2ThrottledException",
    "Lambda.EC2UnexpectedException",
    "Lambda.SubnetIPAddressLimitReachedException",
    "Lambda.ResourceNotReadyException",
    "Lambda.ResourceConflictException",
}
PERMANENT = {
    # What an invocation says, what a function is, and what it may: no second try changes them.
    "InvalidParameterValueException",
    "InvalidRequestContentException",
    "RequestTooLargeException",
    "SerializedRequestEntityTooLargeException",
    "UnsupportedMediaTypeException",
    "InvalidRuntimeException",
    "InvalidZipFileException",
    "NoPublishedVersionException",
    "RecursiveInvocationException",
    "ResourceNotFoundException",
    "ServiceQuotaExceededException",
    "EC2AccessDeniedException",
    "InvalidSecurityGroupIDException",
    "InvalidSubnetIDException",
    "KMSAccessDeniedException",
    "KMSDisabledException",
    "KMSInvalidStateException",
    "KMSNotFoundException",
    # What the functions do not use: file systems, CodeArtifact, SnapStart, durable functions.
    "EFSIOException",
    "EFSMountConnectivityException",
    "EFSMountFailureException",
    "EFSMountTimeoutException",
    "S3FilesMountConnectivityException",
    "S3FilesMountFailureException",
    "S3FilesMountTimeoutException",
    "CodeArtifactUserDeletedException",
    "CodeArtifactUserFailedException",
    "CodeArtifactUserPendingException",
    "SnapStartException",
    "SnapStartNotReadyException",
    "SnapStartRegenerationFailureException",
    "SnapStartTimeoutException",
    "DurableExecutionAlreadyStartedException",
    "ModeNotSupportedException",
}
"""The errors of an invocation that are not tried again."""

OF_LISTS = {"StartRun": ("StartExecution", "StepFunctions."), "ReadFailure": ("DescribeExecution", "Sfn.")}
"""The calls of the state machine of lists, and how Step Functions begins the names of their errors.

For calls of an SDK (`Sfn.`), docs.aws.amazon.com/step-functions/latest/dg/supported-services-awssdk.html says: the name
of the service, a point, and the name of the error, which always ends in Exception. No page of AWS names the errors of
startExecution as an integration of its own (`StepFunctions.`). They are seen as StepFunctions.…Exception in machines
that people have published, and so both spellings of a name without that ending are tried again.
"""

MOST_BYTES = 256 * 1024
MOST_EVENTS = 25_000
EVENTS_OF_A_SLICE = 7
"""Of one that is tried once: its iteration has a beginning and an end, and its task five."""

INVOCATIONS = {
    name: state for name, state in states(machine(MACHINES[0])) if state.get("Resource", "").endswith("lambda:invoke")
}


def _waits(retrier: dict[str, Any]) -> list[float]:
    """Returns the longest wait before each try. Jitter makes each wait anything up to that."""
    longest = retrier.get("MaxDelaySeconds", float("inf"))
    return [
        min(longest, retrier["IntervalSeconds"] * retrier["BackoffRate"] ** attempt)
        for attempt in range(retrier["MaxAttempts"])
    ]


@pytest.mark.parametrize("name", INVOCATIONS)
def test_throttling_is_waited_out_for_longer_than_a_slice_takes(name: str) -> None:
    """A slice that finds no room waits for one that is copied, which takes 15 minutes at most."""
    retriers = INVOCATIONS[name]["Retry"]
    (own,) = [retrier for retrier in retriers if THROTTLED & set(retrier["ErrorEquals"])]
    assert set(own["ErrorEquals"]) == THROTTLED
    assert own["JitterStrategy"] == "FULL"
    waits = _waits(own)
    # Waits are spread evenly, so their sum is half of this on average, and hardly ever less than that by three
    # deviations.
    mean, deviation = sum(waits) / 2, sum(wait**2 / 12 for wait in waits) ** 0.5
    assert mean - 3 * deviation > LONGEST_SLICE_SECONDS


def _limits() -> dict[str, int]:
    """Returns the constants by which lookup-new-watermark decides how much a run copies."""
    code = (ROOT / "shared/core/src/planner/run_limits.rs").read_text()
    found: dict[str, int] = {}
    for name, value in re.findall(r"(?m)^const (\w+): usize = ([^;]+);", code):
        terms = [
            [found.get(part) or int(part.replace("_", "")) for part in term.split(" * ")] for term in value.split(" + ")
        ]
        found[name] = sum(math.prod(term) for term in terms)
    return found


@pytest.mark.parametrize("slices", [1, 2, 10, 100, 500])
def test_a_run_whose_slices_all_wait_for_as_long_as_a_slice_takes_has_room_in_its_history(slices: int) -> None:
    """A try that is refused is three events: scheduled, started, failed. A history of 25,000 events ends the run, which
    nothing can catch.
    """
    limits = _limits()
    windows = limits["EVENTS"] // (limits["EVENTS_OF_A_WINDOW"] + slices * limits["EVENTS_OF_A_SLICE"])
    assert windows
    (throttling,) = [found for found in INVOCATIONS["CopyDelta"]["Retry"] if THROTTLED & set(found["ErrorEquals"])]
    # A wait is half of its longest on average.
    waited = itertools.accumulate(longest / 2 for longest in _waits(throttling))
    tries = 1 + sum(seconds < LONGEST_SLICE_SECONDS for seconds in waited)
    events = windows * (limits["EVENTS_OF_A_WINDOW"] + slices * (EVENTS_OF_A_SLICE + 3 * tries))
    # Some are those of the lookups and of the end.
    assert events < MOST_EVENTS - 100


def test_a_lease_outlasts_the_longest_wait_of_a_retrier() -> None:
    """A copy renews it once a minute is gone, and a minute after that at the latest."""
    code = (ROOT / "shared/core/src/model/lease.rs").read_text()
    lease, renewed = (
        int(re.findall(rf"pub const {name}: Duration = Duration::from_secs\((\d+)\);", code)[0])
        for name in ("LEASE", "RENEWED_EVERY")
    )
    longest = max(max(_waits(retrier)) for state in INVOCATIONS.values() for retrier in state["Retry"])
    assert lease - 2 * renewed > longest


def test_a_run_has_room_for_all_tables_that_a_list_gives_it() -> None:
    """Each has one slice as a rule, so none of them waits for the next run."""
    limits = _limits()
    most = Deployed().source["Parameters"]["TablesPerRun"]["MaxValue"]
    assert most * (limits["EVENTS_OF_A_WINDOW"] + limits["EVENTS_OF_A_SLICE"]) <= limits["EVENTS"]


@pytest.mark.parametrize("name", INVOCATIONS)
def test_our_own_errors_are_retried_apart_from_throttling(name: str) -> None:
    """Otherwise a source that is down would be asked for as long as a busy account is."""
    retriers = INVOCATIONS[name]["Retry"]
    names = [error for retrier in retriers for error in retrier["ErrorEquals"]]
    assert len(names) == len(set(names))
    (ours,) = [retrier for retrier in retriers if "SourceUnavailable" in retrier["ErrorEquals"]]
    assert not THROTTLED & set(ours["ErrorEquals"])
    assert sum(_waits(ours)) < 5 * 60


def _errors(service: str, operation: str) -> set[str]:
    """Returns the errors that AWS's own model of an operation has."""
    model = botocore.session.get_session().get_service_model(service)
    return {shape.name for shape in model.operation_model(operation).error_shapes}


@pytest.mark.parametrize("name", INVOCATIONS)
def test_every_error_of_an_invocation_is_tried_again_or_known_to_be_permanent(name: str) -> None:
    """A new one, or one that was forgotten, has to be decided about."""
    retried = {error for retrier in INVOCATIONS[name]["Retry"] for error in retrier["ErrorEquals"]}
    errors = _errors("lambda", "Invoke")
    assert {error for error in errors if f"Lambda.{error}" not in retried} == PERMANENT
    documentation = (ROOT / "docs/reference/errors.md").read_text()
    assert all(f"`{error}`" in documentation for error in THROTTLED)


@pytest.mark.parametrize("name", OF_LISTS)
def test_a_run_of_a_list_that_is_refused_for_now_is_started_later(name: str) -> None:
    """Every run of the list is started by such a call. The errors of both kinds of names that AWS gives are there."""
    operation, prefix = OF_LISTS[name]
    task = machine(MACHINES[1])["States"]["StartRuns"]["ItemProcessor"]["States"][name]
    (retrier,) = task["Retry"]
    passing = {
        error for error in _errors("stepfunctions", operation) if "Throttling" in error or "LimitExceeded" in error
    }
    assert "KmsThrottlingException" in passing
    wanted = passing | {"ThrottlingException", "SdkClientException"}
    assert {f"{prefix}{error}" for error in wanted} <= set(retrier["ErrorEquals"])
    assert not {"States.ALL", "States.TaskFailed", "States.Timeout"} & set(retrier["ErrorEquals"])
    assert retrier["JitterStrategy"] == "FULL"
    assert sum(_waits(retrier)) > 60


def test_a_run_of_a_list_that_an_unanswered_try_started_is_no_failure() -> None:
    """It may have ended before the next try, which finds its name taken."""
    state = machine(MACHINES[1])["States"]["StartRuns"]["ItemProcessor"]["States"]["ReadFailure"]
    asked = {"run_id": "r-1", "first": "dbo.a", "last": "dbo.b", "error": "ExecutionAlreadyExists", "cause": "exists"}

    def told(result: dict[str, str]) -> Any:
        return _apply_jsonata_template(state["Output"], asked, {}, result=result)

    output = json.dumps({"run_id": "r-1", "committed": [{"table": "dbo.a"}], "unchanged": [], "notes": []})
    assert told({"Status": "SUCCEEDED", "Output": output}) == {"committed": 1}
    failed = told({"Status": "FAILED", "Error": "TablesFailed", "Cause": "1 table(s) failed"})
    assert failed == {"failed": "run r-1 (dbo.a to dbo.b): TablesFailed: 1 table(s) failed"}
    assert told({"Status": "ABORTED"}) == {"failed": "run r-1 (dbo.a to dbo.b): ABORTED: exists"}


def test_the_outcomes_of_thousands_of_runs_fit_a_payload() -> None:
    """All of them are one, with which the run of the list goes on. docs/how-to/many-tables.md has the numbers."""
    top = machine(MACHINES[1])["States"]
    runs = top["StartRuns"]["ItemProcessor"]["States"]
    answer = {"committed": ["dbo.t"] * 3, "unchanged": ["dbo.t"] * 190, "waiting": ["dbo.t"] * 7, "notes": []}
    succeeded = _apply_jsonata_template(runs["StartRun"]["Output"], {}, {}, result={"Output": answer})
    assert succeeded == {"committed": 3, "unchanged": 190, "waiting": 7}
    items = [{"table": "s" * 300}, {"table": "t" * 300}]
    asked = {"BatchInput": {"run_id": "r" * 80}, "Items": items}
    error = {"Error": "States.TaskFailed", "Cause": "x" * 30_000}
    for catcher in runs["StartRun"]["Catch"]:
        caught = _apply_jsonata_template(catcher["Output"], asked, {}, error_output=error)
        unknown = _apply_jsonata_template(runs["RunUnknown"]["Output"], caught, {})
        result = {"Status": "FAILED", "Error": "TablesFailed", "Cause": "x" * 30_000}
        failed = _apply_jsonata_template(runs["ReadFailure"]["Output"], caught, {}, result=result)
        for told in (unknown, failed):
            assert told["failed"].endswith("xxx") and len(told["failed"]) == 600
            outcomes = [told] * 400 + [succeeded] * 10
            assert len(json.dumps(outcomes, separators=(",", ":"))) < MOST_BYTES
            cause = _apply_jsonata_template(top["Failed"]["Cause"], {"runs": outcomes}, {})
            assert cause.startswith("400 of 410 run(s) failed. In the others: 30 committed, 1900 without change. run ")
            assert cause.count("run r") == 400 and len(cause) < 32_768
    assert len(json.dumps([succeeded] * 4_000, separators=(",", ":"))) < MOST_BYTES
    (catcher,) = [found for found in top["StartRuns"]["Catch"] if found["ErrorEquals"] == ["States.DataLimitExceeded"]]
    ended = _apply_jsonata_template(catcher["Output"], {}, {}, error_output=error)
    assert "were stopped" not in ended["cause"] and "TablesPerRun" in ended["cause"]


@pytest.mark.parametrize("count", [1, 187, 400, 1000])
def test_a_run_whose_windows_all_fail_names_every_table(count: int) -> None:
    """What they report fits a payload, however many they are and however much each has to say."""
    run = machine(MACHINES[0])["States"]
    iteration = run["CopyWindows"]["ItemProcessor"]["States"]
    windows = [{"table": f"a_schema.table_{i:04}", "window": "initial"} for i in range(count)]
    before = {"run_id": "r", "windows": windows, "failed": []}
    failed = []
    for window in windows[:1]:
        item = _apply_jsonata_template(run["CopyWindows"]["ItemSelector"], before, {"Map": {"Item": {"Value": window}}})
        for state in ("CopySlices", "UpdateWatermark"):
            for catcher in iteration[state]["Catch"]:
                error = {"Error": "SourceUnavailable", "Cause": json.dumps({"errorMessage": "é" * 5000})}
                caught = _apply_jsonata_template(catcher["Output"], item, {}, error_output=error)
                failed.append(_apply_jsonata_template(iteration["TableFailed"]["Output"], caught, {}))
    assert all(found == failed[0] for found in failed)
    assert 60 <= len(failed[0]["cause"]) <= 600
    assert (len(failed[0]["cause"]) == 600) == (count < 188)
    answers = [failed[0] | {"table": window["table"]} for window in windows]
    assert len(json.dumps(answers, ensure_ascii=False).encode()) < MOST_BYTES
    cause = _apply_jsonata_template(
        run["Failed"]["Cause"], before | {"failed": answers, "committed": [], "unchanged": []}, {}
    )
    assert all(window["table"] in cause for window in windows)
    assert len(cause) <= 30_000


@pytest.mark.parametrize("count", [1, 400, 1000])
def test_windows_without_changes_that_fail_together_fit_a_payload(count: int) -> None:
    """One invocation commits all of them, so all fail with its error."""
    state = machine(MACHINES[0])["States"]["CommitEmpty"]
    empty = [{"table": f"a_schema.table_{i:04}", "window": "from-41"} for i in range(count)]
    error = {"Error": "SourceUnavailable", "Cause": json.dumps({"errorMessage": "é" * 5000})}
    for catcher in state["Catch"]:
        before = {"empty": empty, "windows": [], "failed": []}
        answer = _apply_jsonata_template(catcher["Output"], before, {}, error_output=error)
        assert len(answer["failed"]) == count and answer["empty"] == []
        assert len(json.dumps(answer, ensure_ascii=False).encode()) < MOST_BYTES


def test_an_expired_upload_says_as_much_as_any_other_failure() -> None:
    """Its report comes from a choice and not from a catcher."""
    iteration = machine(MACHINES[0])["States"]["CopyWindows"]["ItemProcessor"]["States"]
    (choice,) = [found for found in iteration["CheckCommit"]["Choices"] if found["Next"] == "TableFailed"]
    before = {"table": "dbo.a", "window": "initial", "round": 3, "room": 60}
    told = _apply_jsonata_template(choice["Output"], before, {})
    report = _apply_jsonata_template(iteration["TableFailed"]["Output"], told, {})
    assert report["error"] == "UploadExpired" and len(report["cause"]) == 60


@pytest.mark.parametrize("file", MACHINES)
def test_a_payload_that_is_too_large_is_caught(file: str) -> None:
    """The error is caught by its name and before anything else, because States.ALL does not catch it and must stand
    alone and last.
    """
    for name, state in states(machine(file)):
        if state["Type"] not in ("Task", "Map"):
            continue
        caught = [catcher["ErrorEquals"] for catcher in state["Catch"]]
        assert ["States.DataLimitExceeded"] in caught, name
        assert caught[-1] == ["States.ALL"], f"{name} ends the run with whatever else goes wrong, and nobody reports it"
        assert all("States.ALL" not in names or (names == ["States.ALL"] and names is caught[-1]) for names in caught)


@pytest.mark.parametrize("file", MACHINES)
def test_every_call_of_aws_is_tried_again(file: str) -> None:
    """Each task has a retrier for what AWS says for now. Retries are few enough to end before the task's time."""
    for name, state in states(machine(file)):
        assert state["Type"] != "Task" or state["Retry"], name
    (names, anything) = machine(MACHINES[0])["States"]["TellTables"]["Retry"]
    passing = {error for error in _errors("sns", "Publish") if "Throttling" in error or "Internal" in error}
    assert passing and {f"SNS.{error}" for error in passing} <= set(names["ErrorEquals"])
    # No page of AWS says how Step Functions names the errors of SNS.
    assert anything["ErrorEquals"] == ["States.TaskFailed"] and anything["MaxAttempts"] <= 2


@pytest.mark.parametrize("file", MACHINES)
def test_an_error_without_a_cause_is_caught_as_any_other(file: str) -> None:
    """A cause is optional, and an expression that finds nothing would end the run with an error of its own."""
    written = json.dumps(machine(file))
    assert written.count("errorOutput.Cause") == written.count("' & $string($states.errorOutput.Cause)") > 0
    given = {
        "table": "dbo.a", "window": "initial", "slice": 0, "room": 60, "error": "E", "cause": "c", "run_id": "r",
        "empty": [{"table": "dbo.a"}], "windows": [], "failed": [], "BatchInput": {"run_id": "r"},
        "Items": [{"table": "a"}],
    }  # fmt: skip
    for name, state in states(machine(file)):
        for catcher in state.get("Catch", []):
            output = _apply_jsonata_template(
                catcher.get("Output", "{% $states.input %}"), given, {}, error_output={"Error": "X"}
            )
            report = output["failed"][-1] if output.get("failed") else output
            assert isinstance(report["cause"], str) or name == "TellTables", name


@pytest.mark.parametrize("state", ["LookupOldWatermark", "LookupNewWatermark"])
def test_a_run_that_is_too_large_says_what_to_do(state: str) -> None:
    """The error has a name of its own, and the cause gives the advice."""
    (catcher,) = [
        found
        for found in machine(MACHINES[0])["States"][state]["Catch"]
        if found["ErrorEquals"] == ["States.DataLimitExceeded"]
    ]
    assert catcher["Output"]["error"] == "RunTooLarge"
    assert "fewer tables" in catcher["Output"]["cause"] and "TableListKey" in catcher["Output"]["cause"]


def test_a_run_ends_before_the_uploads_it_waits_for_are_gone() -> None:
    """The bucket aborts uploads after seven days. A run of a list waits for its runs, so it has more time."""
    template = Deployed()
    rules = template.properties("SinkBucket")["LifecycleConfiguration"]["Rules"]
    (uploads,) = [rule["AbortIncompleteMultipartUpload"] for rule in rules if "AbortIncompleteMultipartUpload" in rule]
    run, runs = (machine(file)["TimeoutSeconds"] for file in MACHINES)
    assert run < uploads["DaysAfterInitiation"] * DAY
    assert run < machine(MACHINES[1])["States"]["StartRuns"]["ItemProcessor"]["States"]["StartRun"]["TimeoutSeconds"]
    assert runs > run


def test_copy_delta_can_be_kept_from_taking_all_of_the_account_and_the_source() -> None:
    """Nothing is reserved unless it is asked for."""
    assert "ReservedConcurrentExecutions" not in Deployed().properties("CopyDeltaFunction")
    asked_for = Deployed(CopyReservedConcurrency="40").properties("CopyDeltaFunction")
    assert asked_for["ReservedConcurrentExecutions"] == "40"
