"""Tests two thousand tables from a list in the bucket, of which few have changed: what a run does, and what it
costs.
"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local import objects
from local.cost import PAYLOAD_LIMIT, Cost, measure
from local.deploy import Deployment
from local.idle import KEY, fill, name, spec
from local.idle import OF_THE_LIST as TABLES
from local.idle import PER_RUN as TABLES_PER_RUN
from local.role import Role
from local.sandbox import Sandbox
from local.stack import Stack

RUNS = TABLES // TABLES_PER_RUN
AT_ONCE = 2
CHANGED = (3, 201, 202, 777, 1000, 1400, 1999)
"""The changed tables are in six of the ten runs. One of these also has the table that is gone."""
GONE = 1500

# The states entered: by the execution for the list, by each child of its Map with the run it starts, and by a run with
# windows.
OF_THE_LIST = 4
OF_AN_IDLE_RUN = 1 + 4
OF_COPYING = 2
OF_A_WINDOW = 6


@pytest.fixture(scope="module")
def tables(sandbox: Sandbox) -> None:
    """Makes tables of one row that was copied before, with an index on the watermark."""
    fill(sandbox)


@pytest.fixture(scope="module")
def listed(stack: Stack, tables: None) -> Deployment:
    """Returns a deployment of its own, with the list in its bucket."""
    deployment = stack.deploy(
        "tidemark-list", TableListKey=KEY, TablesPerRun=str(TABLES_PER_RUN), RunConcurrency=str(AT_ONCE)
    )
    body = json.dumps([spec(number) for number in range(TABLES)])
    stack.aws.client("s3").put_object(Bucket=deployment.bucket, Key=KEY, Body=body.encode())
    return deployment


def show(what: str, cost: Cost) -> None:
    """Prints one line of the numbers that docs/explanation/cost.md uses."""
    print(f"{what} of {TABLES}: {cost}")


@pytest.mark.timeout(300)
def test_a_run_of_the_list_costs_what_its_changes_cost(listed: Deployment, sandbox: Sandbox) -> None:
    """An idle run comes first. Then few tables have changed and one is gone: the former are copied, and the latter is
    named.
    """
    idle = measure(listed.of_list, sandbox, {}, 250)
    show("idle", idle)
    assert idle.outcome.succeeded, idle.outcome.cause
    assert {key: idle.outcome.output[key] for key in ("runs", "committed", "unchanged")} == {
        "runs": RUNS,
        "committed": 0,
        "unchanged": TABLES,
    }
    assert (idle.runs, idle.states) == (RUNS, OF_THE_LIST + RUNS * OF_AN_IDLE_RUN)
    # There are two lookups a run, with one connection each: the control table's and the source's. The next run finds it
    # open.
    assert idle.invocations == 2 * RUNS
    assert 0 < idle.connections <= 2 * AT_ONCE
    assert idle.largest_payload < PAYLOAD_LIMIT // 2
    assert objects.listing(listed).keys() == {KEY}

    sandbox.execute(*(f"INSERT INTO {name(number)} VALUES (2, '2017-09-02')" for number in CHANGED))
    sandbox.execute(f"DROP TABLE {name(GONE)}")
    busy = measure(listed.of_list, sandbox, {}, 250)
    show(f"{len(CHANGED)} changed and one gone", busy)
    assert (busy.outcome.status, busy.outcome.error) == ("FAILED", "TablesFailed")
    first = GONE // TABLES_PER_RUN * TABLES_PER_RUN
    in_others = [number for number in CHANGED if number not in range(first, first + TABLES_PER_RUN)]
    assert busy.outcome.cause.startswith(
        f"1 of {RUNS} run(s) failed. In the others: {len(in_others)} committed, "
        f"{TABLES - TABLES_PER_RUN - len(in_others)} without change. run {busy.outcome.run_id}-"
    )
    assert f"({name(first)} to {name(first + TABLES_PER_RUN - 1)}): TablesFailed: 1 table(s)" in busy.outcome.cause
    assert f"dbo.{name(GONE)}: SourceRejected" in busy.outcome.cause
    assert set(re.findall(r"(dbo\.\w+): ", busy.outcome.cause)) == {f"dbo.{name(GONE)}"}
    assert manifests(listed) == {f"dbo.{name(number)}" for number in CHANGED}
    with_changes = len({number // TABLES_PER_RUN for number in CHANGED})
    # The failed run costs three more: it gives back the leases of its failed tables, looks whether it tells the topic
    # itself, and is asked by the run of the list why it failed.
    most = idle.states + 3 + with_changes * OF_COPYING + len(CHANGED) * OF_A_WINDOW
    assert busy.states <= most
    # There is a copy and a commit of each, and one that gives back the leases of the failed run.
    assert busy.invocations == idle.invocations + 2 * len(CHANGED) + 1
    # A window takes one to copy, one to count it again and one to move its watermark, unless they are open. After the
    # table that is gone, its lookup goes on with a new one.
    assert busy.connections <= 2 * AT_ONCE + 3 * len(CHANGED) + 1
    assert busy.largest_payload < PAYLOAD_LIMIT // 2


def manifests(deployment: Deployment) -> set[str]:
    """Returns the tables with a committed window."""
    prefix = "tidemark/_ledger/"
    keys = [key for key in objects.listing(deployment) if key.endswith("/manifest.json")]
    return {key.removeprefix(prefix).split("/")[0] for key in keys}


def test_the_schedule_starts_the_list(listed: Deployment, deployment: Deployment) -> None:
    """With a list it starts that machine, and without one the machine for the tables that it passes on."""
    scheduler = listed.aws.client("scheduler")

    def target(of: Deployment) -> dict[str, Any]:
        schedule = scheduler.get_schedule(Name=of.outputs["ScheduleName"].rpartition("|")[2])
        return dict(schedule["Target"])

    assert target(listed)["Arn"] == listed.outputs["ListStateMachineArn"]
    assert target(listed)["Input"] == "{}"
    assert target(deployment)["Arn"] == deployment.outputs["StateMachineArn"]
    assert "ListStateMachineArn" not in deployment.outputs


def test_the_role_of_the_list_reads_the_list_and_starts_its_runs(listed: Deployment, deployment: Deployment) -> None:
    """It may do no more: not read the ledger, call a function or start the state machine of another stack."""
    role = Role.of_machine(listed.of_list)
    states = role.client("stepfunctions")
    own, other = listed.outputs["StateMachineArn"], deployment.outputs["StateMachineArn"]
    function = listed.outputs["CopyDeltaFunctionName"]
    role.s3("get_object", Key=KEY)
    # Without a table it ends at once.
    states.start_execution(stateMachineArn=own, input="{}")
    for refused in (
        lambda: role.s3("put_object", Key=KEY, Body=b"{}"),
        lambda: role.s3("get_object", Key=f"{KEY}.old"),
        lambda: role.s3("get_object", Key="tidemark/_ledger/dbo.t/initial/plan.json"),
        lambda: role.s3("list_objects_v2"),
        lambda: role.client("lambda").invoke(FunctionName=function, Payload=b"{}"),
        lambda: states.start_execution(stateMachineArn=other, input="{}"),
        lambda: states.delete_state_machine(stateMachineArn=own),
    ):
        with pytest.raises(ClientError, match="AccessDenied"):
            refused()
