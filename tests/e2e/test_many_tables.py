"""Tests hundreds of tables of which few have changed: the cost of a run depends on those few."""

from __future__ import annotations

from typing import Any

import pytest

from local.cost import PAYLOAD_LIMIT, measure
from local.deploy import Deployment
from local.sandbox import Sandbox

TABLES = 300
CHANGED = 5


@pytest.fixture(scope="module")
def specs(sandbox: Sandbox) -> list[dict[str, Any]]:
    """Returns the settings of empty tables with an index on their watermark."""
    names = [f"many_{number:03}" for number in range(TABLES)]
    sandbox.execute(
        ";".join(
            f"CREATE TABLE {name} (id int NOT NULL PRIMARY KEY, modified_at datetime2(3) NOT NULL);"
            f"CREATE INDEX ix_{name} ON {name} (modified_at)"
            for name in names
        )
    )
    watermark = {"column": "modified_at", "settle_seconds": 0}
    return [{"table": name, "tracking": {"watermark": watermark}} for name in names]


def test_unchanged_tables_cost_no_transitions_and_no_connections(
    s3_deployment: Deployment, sandbox: Sandbox, specs: list[dict[str, Any]]
) -> None:
    """An idle run costs as much with 300 tables as with 10, over one connection for both. One with 5 changed tables of
    300 costs as much as with those 5 alone.
    """
    few = measure(s3_deployment, sandbox, {"tables": specs[:10]})
    idle = measure(s3_deployment, sandbox, {"tables": specs})
    assert idle.outcome.succeeded, idle.outcome.cause
    assert (len(idle.outcome.output["unchanged"]), idle.outcome.committed) == (TABLES, [])
    assert (idle.states, idle.invocations) == (few.states, few.invocations) == (4, 2)
    assert few.connections <= 1
    assert idle.connections == 0, "the function was warm, and kept its connection"

    change(sandbox, specs[:CHANGED], 1)
    alone = measure(s3_deployment, sandbox, {"tables": specs[:CHANGED]})
    change(sandbox, specs[:CHANGED], 2)
    among = measure(s3_deployment, sandbox, {"tables": specs})
    assert len(alone.outcome.committed) == len(among.outcome.committed) == CHANGED, among.outcome.cause
    assert [window["rows"] for window in among.outcome.committed] == [1] * CHANGED
    assert (among.states, among.invocations) == (alone.states, alone.invocations)
    assert among.connections <= alone.connections + 1
    assert max(idle.largest_payload, among.largest_payload) < PAYLOAD_LIMIT // 2
    for name, cost in (("idle, 10 tables", few), ("idle, 300 tables", idle), ("5 of 5", alone), ("5 of 300", among)):
        print(f"{name}: {cost}")


def change(sandbox: Sandbox, specs: list[dict[str, Any]], number: int) -> None:
    """Inserts one row more in each."""
    rows = (f"INSERT INTO {spec['table']} VALUES ({number}, '2017-09-0{number}')" for spec in specs)
    sandbox.execute(";".join(rows))


def test_failing_tables_are_named_and_the_others_commit(
    s3_deployment: Deployment, sandbox: Sandbox, specs: list[dict[str, Any]]
) -> None:
    """One is missing, one has no such column, and one has a type that is refused. Each is named, beside one that is
    copied.
    """
    sandbox.execute(
        "CREATE TABLE many_text (id int NOT NULL, modified_at varchar(20)); INSERT many_text VALUES (1, 'x')"
    )
    good = specs[CHANGED]
    change(sandbox, [good], 3)
    watermark = good["tracking"]
    no_column = {"watermark": {"column": "changed_at", "settle_seconds": 0}}
    bad = [
        {"table": "many_missing", "tracking": watermark},
        {"table": "many_text", "tracking": watermark},
        {"table": specs[6]["table"], "tracking": no_column},
    ]
    cost = measure(s3_deployment, sandbox, {"tables": [bad[0], good, *bad[1:]]})
    outcome = cost.outcome
    assert (outcome.status, outcome.error) == ("FAILED", "TablesFailed")
    assert outcome.cause.startswith("3 table(s) failed, 1 committed, 0 without change. ")
    for expected in (
        "dbo.many_missing: SourceRejected",
        "dbo.many_text: UnsupportedType",
        f"dbo.{specs[6]['table']}: SourceRejected",
    ):
        assert expected in outcome.cause
    assert [window["table"] for window in outcome.reported] == [f"dbo.{good['table']}"]
