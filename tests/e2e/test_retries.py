"""Tests errors of the server by number, met by the functions as deployed: only those that pass are retried."""

from __future__ import annotations

import pytest
from conftest import BEGINNING, Table, ledger, run

from local import objects
from local.deploy import Deployment
from local.execution import Outcome
from local.sandbox import Sandbox


def _failed_invocations(deployment: Deployment, outcome: Outcome) -> int:
    """Returns how often a function failed in that execution."""
    states = deployment.aws.client("stepfunctions")
    arn = deployment.outputs["StateMachineArn"]
    executions = states.list_executions(stateMachineArn=arn)["executions"]
    (execution,) = [found for found in executions if found["name"] == outcome.run_id]
    pages = states.get_paginator("get_execution_history").paginate(executionArn=execution["executionArn"])
    events = [event["type"] for page in pages for event in page["events"]]
    return events.count("TaskFailed")


@pytest.mark.parametrize(
    ("request_text", "after_rows", "number"),
    [
        # The errors meet the query for rows, before the first row and after the third, and the control table's
        # procedure.
        ("SELECT [PersonID]", None, 40613),
        ("SELECT [PersonID]", 3, 1205),
        ("EXEC [dbo].[usp_write_watermark]", None, 40501),
    ],
)
def test_a_transient_error_is_tried_again_until_it_passes(
    deployment: Deployment, sandbox: Sandbox, table: Table, request_text: str, after_rows: int | None, number: int
) -> None:
    """The state machine calls the function again, twice, and the run ends as if nothing had happened."""
    sandbox.raise_error(request_text, number, "Try again.", times=2, after_rows=after_rows)
    outcome = run(deployment, table.spec())
    assert outcome.succeeded, outcome.cause
    assert _failed_invocations(deployment, outcome) == 2
    assert [window["rows"] for window in outcome.committed] == [5]
    assert len(objects.data_objects(ledger(deployment, table))) == 1
    assert table.watermark() == "2017-09-05T08:06:00.000"
    assert objects.uploads(deployment, f"tidemark/{table}/") == []


def test_a_permanent_error_is_not_tried_again(deployment: Deployment, sandbox: Sandbox, table: Table) -> None:
    """One invocation fails, and the cause has the number and what to do about it."""
    sandbox.raise_error("SELECT [PersonID]", 229, "The SELECT permission was denied on the object 't'.")
    outcome = run(deployment, table.spec())
    assert (outcome.status, outcome.error) == ("FAILED", "TablesFailed")
    assert f"{table}: SourceRejected" in outcome.cause
    assert "229" in outcome.cause and "grant" in outcome.cause
    assert _failed_invocations(deployment, outcome) == 1
    assert table.watermark() == BEGINNING
    # The next run resumes the same window.
    assert run(deployment, table.spec()).succeeded
