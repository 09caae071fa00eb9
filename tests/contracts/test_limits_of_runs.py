"""Tests what a state machine does when AWS refuses, when time runs out, and when a payload is too large."""

from __future__ import annotations

from typing import Any

import pytest
from shipped import MACHINES, Deployed, machine, states

LONGEST_SLICE_SECONDS = 900
DAY = 24 * 3600
THROTTLED = {
    "Lambda.TooManyRequestsException",
    "Lambda.ENILimitReachedException",
    "Lambda.EC2ThrottledException",
    "Lambda.EC2UnexpectedException",
    "Lambda.SubnetIPAddressLimitReachedException",
    "Lambda.ResourceNotReadyException",
    "Lambda.ResourceConflictException",
}
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


@pytest.mark.parametrize("name", INVOCATIONS)
def test_our_own_errors_are_retried_apart_from_throttling(name: str) -> None:
    """Otherwise a source that is down would be asked for as long as a busy account is."""
    retriers = INVOCATIONS[name]["Retry"]
    names = [error for retrier in retriers for error in retrier["ErrorEquals"]]
    assert len(names) == len(set(names))
    (ours,) = [retrier for retrier in retriers if "SourceUnavailable" in retrier["ErrorEquals"]]
    assert not THROTTLED & set(ours["ErrorEquals"])
    assert sum(_waits(ours)) < 5 * 60


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
        assert all("States.ALL" not in names or (names == ["States.ALL"] and names is caught[-1]) for names in caught)


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
