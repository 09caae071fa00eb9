"""Tests of what the benchmarks of runs count and demand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from local import idle
from local.aws import LocalAws
from local.cost import Cost
from local.execution import Outcome
from local.sandbox import Sandbox
from local.stack import BINARIES

UNCHANGED = Cost(
    outcome=Outcome("run", "SUCCEEDED", {"unchanged": ["t"] * 300}, "", "", 1.5, [], []),
    runs=1,
    states=idle.STATES,
    invocations=2,
    connections=0,
    statements=301,
    reads=600,
    writes=0,
    largest_payload=1000,
)


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    """A stand-in with one table."""
    running = Sandbox(BINARIES / "tidemark-sandbox", tmp_path, "CREATE TABLE t (id int)")
    yield running
    running.stop()


def test_the_stand_in_counts_the_requests_of_clients_since_it_was_asked(sandbox: Sandbox) -> None:
    sandbox.statements()
    sandbox.execute()
    of_a_connection = sandbox.statements()
    sandbox.execute("INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (2)", "DELETE FROM t")
    assert sandbox.statements() == of_a_connection + 3
    assert sandbox.statements() == 0


def test_a_fault_is_still_ordered_between_two_counts(sandbox: Sandbox) -> None:
    sandbox.statements()
    sandbox.raise_error("INTO t", 8115, "too large")
    with pytest.raises(Exception, match="too large"):
        sandbox.execute("INSERT INTO t VALUES (1)")
    assert sandbox.statements() > 0


def test_the_local_aws_counts_the_requests_to_a_bucket(tmp_path: Path) -> None:
    aws = LocalAws(tmp_path)
    try:
        s3 = aws.client("s3")
        for bucket in ("lake", "lake-of-others"):
            s3.create_bucket(Bucket=bucket)
            s3.put_object(Bucket=bucket, Key="a", Body=b"1")
        before = aws.requests("lake")
        s3.get_object(Bucket="lake", Key="a")
        s3.list_objects_v2(Bucket="lake")
        s3.get_object(Bucket="lake-of-others", Key="a")
        s3.put_object(Bucket="lake", Key="b/c", Body=b"2")
        assert aws.requests("lake") - before == {"GET": 2, "PUT": 1}
    finally:
        aws.stop()


def _show(monkeypatch: pytest.MonkeyPatch, cost: Cost) -> None:
    stack: Any = None
    monkeypatch.setattr(idle, "cpu", lambda _: {"functions": 1.0})
    idle.show(stack, "300 tables", 300, lambda: cost, idle.STATES)


def test_an_idle_run_is_shown_with_what_it_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _show(monkeypatch, UNCHANGED)
    shown = capsys.readouterr().out
    assert "states entered 4," in shown and "statements 301, reads of the bucket 600, writes 0," in shown
    assert "1.5 s;" in shown and "; load " in shown


def test_an_idle_run_with_another_state_or_a_failure_is_no_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AssertionError, match="5 states and not 4"):
        _show(monkeypatch, replace(UNCHANGED, states=5))
    outcome = replace(UNCHANGED.outcome, output={"unchanged": ["t"] * 300, "failed": [{"table": "t"}]})
    with pytest.raises(AssertionError, match="table"):
        _show(monkeypatch, replace(UNCHANGED, outcome=outcome))
    with pytest.raises(AssertionError):
        _show(monkeypatch, replace(UNCHANGED, outcome=replace(UNCHANGED.outcome, output={"unchanged": ["t"] * 299})))
