"""Tests the third tutorial through the deployed template, the recipe of the docs, and many tables without changes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from conftest import WAIT_SCALE, run

from local import change_tracking, objects, tutorial
from local.cost import measure
from local.deploy import ROOT, Deployment
from local.execution import Outcome
from local.sandbox import Sandbox
from local.stack import Stack
from verify.__main__ import verify
from verify.stores import Folder

TABLE = "dbo.data_source_table"
FAIL = {"tracking": {"change_tracking": {"on_expired": "fail"}}}


@pytest.fixture
def fresh() -> Iterator[tuple[Deployment, Sandbox]]:
    """Yields a stack of its own, because versions are counted by the database and the tutorial's begin at 0."""
    with Stack(change_tracking.SCRIPT, WAIT_SCALE) as stack:
        assert stack.sandbox is not None
        yield stack.deploy(**change_tracking.PARAMETERS), stack.sandbox


def _run(deployment: Deployment, folder: Path, spec: dict[str, Any]) -> tuple[Outcome, set[str]]:
    """Runs once. Returns the outcome and the lines of its new files."""
    known = objects.listing(deployment)
    outcome = run(deployment, spec)
    assert outcome.succeeded, outcome.cause
    new = set(objects.data_objects(objects.listing(deployment))) - set(known)
    return outcome, set(objects.read_lines(objects.download(deployment, new, folder)))


def test_the_tutorial_comes_out_with_the_delete_it_leaves_out(
    fresh: tuple[Deployment, Sandbox], tmp_path: Path
) -> None:
    """The runs are a load, changes, a delete and nothing. Then a truncation is loaded again or fails by name."""
    deployment, sandbox = fresh
    spec = change_tracking.table_spec(file_format=tutorial.CSV_FORMAT)

    def stored() -> int:
        return int(sandbox.query("SELECT SYS_CHANGE_VERSION FROM table_store_ChangeTracking_version")[0][0])

    assert (_run(deployment, tmp_path, spec)[1], stored()) == (change_tracking.LOAD_LINES, 0)
    sandbox.execute(*change_tracking.CHANGES)
    assert (_run(deployment, tmp_path, spec)[1], stored()) == (change_tracking.CHANGE_LINES, 2)
    sandbox.execute(change_tracking.DELETE)
    assert (_run(deployment, tmp_path, spec)[1], stored()) == (change_tracking.DELETE_LINES, 3)
    before = objects.listing(deployment)
    idle, lines = _run(deployment, tmp_path, spec)
    assert (idle.output["unchanged"], lines, stored()) == ([TABLE], set(), 3)
    assert objects.listing(deployment) == before

    sandbox.execute("TRUNCATE TABLE data_source_table", "INSERT INTO data_source_table VALUES (7, 'alone', 1)")
    failed = run(deployment, spec | FAIL)
    assert failed.error == "TablesFailed"
    assert f"{TABLE}: ChangeTrackingInvalid" in failed.cause
    assert objects.listing(deployment) == before
    loaded, lines = _run(deployment, tmp_path, spec)
    assert (loaded.committed[0]["window"], loaded.committed[0]["supersedes"]) == ("reinit-from-3", "from-3")
    assert (lines, stored()) == ({"7,alone,1,4,I"}, 4)


def test_the_recipe_gives_the_present_table(fresh: tuple[Deployment, Sandbox], tmp_path: Path) -> None:
    """The recipe is the DuckDB query of docs/explanation/change-tracking.md, word for word, after every kind of
    change.
    """
    deployment, sandbox = fresh
    text = (ROOT / "docs" / "explanation" / "change-tracking.md").read_text()
    (recipe,) = re.findall(r"```sql duckdb\n(.*?)```", text, re.DOTALL)
    query = recipe.replace("s3://bucket", str(tmp_path))
    table = "data_source_table"
    turns = (
        (),
        (*change_tracking.CHANGES, change_tracking.DELETE),
        (f"UPDATE {table} SET PersonID = 12 WHERE PersonID = 2", f"INSERT INTO {table} VALUES (3, 'again', NULL)"),
        (f"INSERT INTO {table} VALUES (8, 'gone', 1)", f"DELETE {table} WHERE PersonID = 8"),
        (f"TRUNCATE TABLE {table}", f"INSERT INTO {table} VALUES (4, NULL, 4)"),
        (f"UPDATE {table} SET Age = 5", f"INSERT INTO {table} VALUES (1, 'back', 1)"),
    )
    for changes in turns:
        sandbox.execute(*changes)
        assert run(deployment, change_tracking.table_spec()).succeeded
        objects.download(deployment, objects.listing(deployment), tmp_path)
        present = sandbox.query(f"SELECT PersonID, Name, Age FROM {table} ORDER BY PersonID")
        assert duckdb.sql(query).fetchall() == present, changes
    sandbox.execute(
        f"TRUNCATE TABLE {table}", "CREATE TABLE o (id int PRIMARY KEY)", "ALTER TABLE o ENABLE CHANGE_TRACKING"
    )
    sandbox.execute("INSERT INTO o VALUES (1)")
    loaded = run(deployment, change_tracking.table_spec())
    assert (loaded.committed[0]["rows"], loaded.committed[0]["objects"]) == (0, 0)
    objects.download(deployment, objects.listing(deployment), tmp_path)
    assert duckdb.sql(query).fetchall() == [], "an empty load is a load"
    assert verify(Folder(tmp_path), "tidemark") == 0, "two windows are superseded, and the chain leads on"


@pytest.mark.usefixtures("tracking")
def test_unchanged_tables_cost_one_task_however_many_they_are(stack: Stack, sandbox: Sandbox) -> None:
    """Their versions move on, nothing else is written, and they are reported as unchanged."""
    names = [f"tracked_{number:02}" for number in range(40)]
    sandbox.execute(
        ";".join(
            f"CREATE TABLE {name} (id int PRIMARY KEY); ALTER TABLE {name} ENABLE CHANGE_TRACKING" for name in names
        )
    )
    deployment = stack.deploy("tracked", WatermarkStore="s3", SinkPrefix="tracked")
    specs = [change_tracking.table_spec(name) for name in names]
    assert run(deployment, *specs).succeeded

    def others_change(number: int) -> None:
        sandbox.execute(f"INSERT INTO {names[0]} VALUES ({number})")

    others_change(1)
    few = measure(deployment, sandbox, {"tables": specs[1:3]})
    many = measure(deployment, sandbox, {"tables": specs[1:]})
    assert many.outcome.succeeded, many.outcome.cause
    assert sorted(many.outcome.output["unchanged"]) == sorted(f"dbo.{name}" for name in names[1:])
    assert (many.states, many.invocations) == (few.states, few.invocations) == (6, 3)
    assert many.connections <= few.connections
    others_change(2)
    both = measure(deployment, sandbox, {"tables": specs})
    assert [window["table"] for window in both.outcome.committed] == [f"dbo.{names[0]}"]
    assert len(both.outcome.output["unchanged"]) == len(names) - 1
    data = objects.data_objects(objects.listing(deployment, f"tracked/dbo.{names[1]}/"))
    assert data == {}
    pointer = objects.read_json(deployment, f"tracked/_ledger/dbo.{names[1]}/watermark.json")
    again = measure(deployment, sandbox, {"tables": specs})
    assert (again.states, again.invocations) == (4, 2), "when no version has moved"
    assert objects.read_json(deployment, f"tracked/_ledger/dbo.{names[1]}/watermark.json") == pointer
