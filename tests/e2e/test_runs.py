"""Tests runs with several tables, without writing, from the schedule, and with watermarks in the bucket."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from conftest import BEGINNING, Table, ledger, run

from local import objects, tutorial
from local.deploy import Deployment
from local.execution import Execution
from local.stack import Stack


def test_a_failing_table_does_not_stop_the_others(deployment: Deployment, new_table: Callable[[], Table]) -> None:
    """The run is FAILED and names that table, and the others are committed."""
    good, missing, other = new_table(), new_table(), new_table()
    good.create_like_tutorial()
    missing.track()
    other.create_like_tutorial()
    outcome = run(deployment, good.spec(), missing.spec(), other.spec("jsonl"))
    assert (outcome.status, outcome.error) == ("FAILED", "TablesFailed")
    assert outcome.cause.startswith("1 table(s) failed, 2 committed, 0 without change. ")
    assert f"{missing}: SourceRejected" in outcome.cause
    assert f"{good}: " not in outcome.cause and f"{other}: " not in outcome.cause
    assert good.watermark() == other.watermark() == tutorial.FIRST_WATERMARK
    assert missing.watermark() == BEGINNING


def test_a_dry_run_shows_the_sql_and_writes_nothing(deployment: Deployment, table: Table) -> None:
    """There is no plan, no object and no watermark."""
    outcome = run(deployment, table.spec(), dry_run=True)
    assert outcome.succeeded, outcome.cause
    assert outcome.committed == []
    (plan,) = outcome.output["dry_run"]
    assert plan["table"] == str(table)
    assert table.name in plan["slices"][0]["sql"]
    assert ledger(deployment, table) == {}
    assert table.watermark() == BEGINNING


def test_the_schedule_starts_runs_once_it_is_enabled(stack: Stack, deployment: Deployment, table: Table) -> None:
    """As deployed it is off. With a due time and its tables it starts an execution by itself."""
    schedules = stack.aws.client("scheduler")
    assert schedules.get_schedule(Name=deployment.outputs["ScheduleName"])["State"] == "DISABLED"
    due = datetime.now(UTC) - timedelta(seconds=1)
    scheduled = stack.deploy(
        "scheduled",
        ScheduleEnabled="true",
        ScheduleExpression=f"at({due:%Y-%m-%dT%H:%M:%S})",
        TablesJson=json.dumps({"tables": [table.spec()]}),
    )
    states = stack.aws.client("stepfunctions")
    deadline = time.monotonic() + 60
    while not (begun := states.list_executions(stateMachineArn=scheduled.state_machine_arn)["executions"]):
        assert time.monotonic() < deadline, "the schedule started nothing"
        time.sleep(0.2)
    outcome = Execution(scheduled, begun[0]["executionArn"]).wait()
    assert outcome.succeeded, outcome.cause
    assert table.watermark() == tutorial.FIRST_WATERMARK


def test_watermarks_can_live_in_the_bucket(
    s3_deployment: Deployment, new_table: Callable[[], Table], tmp_path: Path
) -> None:
    """The source grants SELECT only. The first run loads everything and the next what is new, and nothing is in the
    control table.
    """
    table = new_table()
    table.sandbox.execute(tutorial.SOURCE_TABLE.replace("data_source_table", table.name))
    first = run(s3_deployment, table.spec())
    assert first.succeeded, first.cause
    assert first.committed[0]["window"] == "initial"
    before = ledger(s3_deployment, table)
    assert f"lake/raw/_ledger/{table}/watermark.json" in before

    table.add_tutorial_rows()
    second = run(s3_deployment, table.spec())
    assert second.succeeded, second.cause
    new = set(objects.data_objects(ledger(s3_deployment, table))) - set(before)
    assert sorted(row[0] for row in objects.read_rows(objects.download(s3_deployment, new, tmp_path))) == [6, 7]
    assert table.watermark() is None

    third = run(s3_deployment, table.spec())
    assert third.succeeded, third.cause
    assert third.output["unchanged"] == [str(table)]
