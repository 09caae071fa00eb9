"""Tests transactions that are open while a run freezes its windows, with the Wait state and the functions as
deployed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from conftest import Table, ledger, run, start

from local.deploy import Deployment

# The stack scales this to 3 s.
SETTLE_SECONDS = 300


def _spec(table: Table, column: str, settle_seconds: int) -> dict[str, Any]:
    return {"table": str(table), "tracking": {"watermark": {"column": column, "settle_seconds": settle_seconds}}}


def _wait_for(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_transaction_that_commits_during_the_wait_is_copied(
    s3_deployment: Deployment, new_table: Callable[[], Table]
) -> None:
    """Its row is below the frozen bound, and no transaction of others waits for the run."""
    table = new_table()
    table.sandbox.execute(f"CREATE TABLE {table.name} (id int PRIMARY KEY, at datetime2(3) NOT NULL)")
    begun = time.monotonic()
    with table.sandbox.transaction(f"INSERT INTO {table.name} VALUES (1, '2017-09-01')"):
        table.sandbox.execute(f"INSERT INTO {table.name} VALUES (2, '2017-09-02')")
        execution = start(s3_deployment, _spec(table, "at", SETTLE_SECONDS))
        _wait_for(lambda: any(key.endswith("/plan.json") for key in ledger(s3_deployment, table)))
    outcome = execution.wait()
    assert outcome.succeeded, outcome.cause
    assert time.monotonic() - begun >= SETTLE_SECONDS * 0.01
    assert [(window["rows"], window["late_rows"]) for window in outcome.committed] == [(2, 0)]
    assert outcome.committed[0]["watermark"]["value"] == "2017-09-02T00:00:00.000"


def test_a_rowversion_waits_for_the_open_transaction_itself(
    s3_deployment: Deployment, new_table: Callable[[], Table]
) -> None:
    """No wait is configured. The window ends below what is open, and the run says so."""
    table = new_table()
    spec = {"table": str(table), "tracking": {"watermark": {"column": "rv"}}}
    table.sandbox.execute(
        f"CREATE TABLE {table.name} (id int PRIMARY KEY, rv rowversion)", f"INSERT INTO {table.name} (id) VALUES (1)"
    )
    with table.sandbox.transaction(f"INSERT INTO {table.name} (id) VALUES (2)"):
        table.sandbox.execute(f"INSERT INTO {table.name} (id) VALUES (3)")
        held = run(s3_deployment, spec)
        assert held.succeeded, held.cause
        assert [window["rows"] for window in held.committed] == [1]
        note = {
            "table": str(table),
            "null_rows": 0,
            "future_rows": 0,
            "held_back": True,
            "filtered": False,
            "veiled": False,
        }
        # The local AWS makes no lifecycle rule of the template's, which the first run of a table reports.
        assert [found for found in held.output["notes"] if "bucket" not in found] == [note]
    after = run(s3_deployment, spec)
    assert [window["rows"] for window in after.committed] == [2]
    assert after.output["notes"] == []
