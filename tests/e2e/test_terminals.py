"""What people met at a terminal with `make` (CASES D): on terminals of 80 and 200 columns, and where there is none."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
from conftest import Table

from local.deploy import ROOT
from local.sandbox import Sandbox
from local.screen import WIDTHS, Screen, Shown, shown
from local.stack import BINARIES
from local.up import Standing

BUILT = ["--old-file=command", "--old-file=ready"]


def _environment(**more: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "CARGO_TARGET_DIR": str(BINARIES.parent), **more}


def _make(columns: int | None, target: str, **variables: str) -> Shown:
    given = [f"{name}={value}" for name, value in variables.items()]
    return shown(["make", *BUILT, target, *given], columns, _environment(), ROOT)


def _own_server(sandbox: Sandbox, tables: list[dict[str, object]], folder: Path) -> dict[str, str]:
    """Returns the variables of `make run` for the stand-in, as if it were somebody's own server."""
    file = folder / "tables.json"
    file.write_text(json.dumps({"tables": tables}))
    login = sandbox.login
    return {
        "SOURCE_URL": f"sqlserver://{login.username}:{login.password}@{login.host}:{login.port}/{login.dbname}",
        "TABLES": str(file),
        "SINK": str(folder / "a lake"),
        "CA_BUNDLE": str(sandbox.ca_file),
    }


@pytest.mark.parametrize("columns", WIDTHS)
def test_tables_of_several_forms_are_read_by_the_command_that_a_run_names(
    sandbox: Sandbox, new_table: Callable[[], Table], tmp_path: Path, columns: int | None
) -> None:
    """D1: two tables with other columns, one as Parquet and one as CSV, each with a statement that reads it."""
    orders, items = new_table(), new_table()
    sandbox.execute(
        f"CREATE TABLE {orders} (id int NOT NULL PRIMARY KEY, note nvarchar(9) NULL, v rowversion NOT NULL)",
        f"CREATE TABLE {items} (code nvarchar(9) NOT NULL PRIMARY KEY, v rowversion NOT NULL)",
        f"INSERT {orders} (id, note) VALUES (1, N'a'), (2, NULL)",
        f"INSERT {items} (code) VALUES (N'x'), (N'y'), (N'z')",
    )
    tracking = {"watermark": {"column": "v", "settle_seconds": 0}}
    tables = [
        {"table": str(orders), "tracking": tracking},
        {"table": str(items), "tracking": tracking, "format": "csv"},
    ]
    seen = _make(columns, "run", **_own_server(sandbox, tables, tmp_path))
    assert seen.code == 0 and "2 copied, 0 unchanged, 0 failed" in seen.words, seen.text
    # On a terminal the command stands alone in its line, whole, so that it can be copied.
    hint = next(line for line in seen.lines if " sql duckdb --sink " in line).rpartition(" by: ")[2]
    statements = subprocess.run(
        hint, shell=True, cwd=ROOT, env=_environment(), capture_output=True, text=True, check=True
    ).stdout
    database = duckdb.connect()
    database.execute(statements)
    for table, rows in ((orders, 2), (items, 3)):
        views = re.findall(rf"VIEW (\S*{table.name}\S*) AS", statements)
        assert views, statements
        for view in views:
            counted = database.execute(f"SELECT COUNT(*) FROM {view}").fetchone()
            assert counted == (rows,), view


def test_two_runs_of_one_second_end_well_and_leave_nothing_in_the_temporary_folder(tmp_path: Path) -> None:
    """D9: one for each width, all at once. The folder of each run is its own."""
    environment = _environment(SETTLE="0", TMPDIR=str(tmp_path))
    started = [Screen.start(["make", *BUILT, "run"], columns, environment, ROOT) for columns in WIDTHS]
    ended = [screen.end(170) for screen in started]
    for seen in ended:
        assert seen.code == 0 and "What the tutorial says came out, came out." in seen.words, seen.text
    folders = [re.findall(r"Files: (\S+)", seen.words) for seen in ended]
    assert len({name for names in folders for name in names}) == len(WIDTHS), folders
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("columns", WIDTHS)
def test_what_make_run_lacks_is_said_wherever_it_is_read(columns: int | None) -> None:
    """D3: nothing is built before."""
    seen = _make(columns, "run", SOURCE_URL="sqlserver://u@h/d")
    assert seen.code and "TABLES is missing: make run SOURCE_URL=... TABLES=tables.json" in seen.words, seen.text


def test_the_output_of_one_step_of_make_invoke_is_the_input_of_the_next() -> None:
    """D6: four steps in one pipe, which begins with no stack, and standard output has the answers alone."""
    was_up = Standing.load() is not None
    steps = ["lookup-old-watermark", "lookup-new-watermark", "copy-delta", "update-watermark"]
    make = f"make {' '.join(BUILT)} invoke"
    made = [f"{make} STEP={steps[0]}", *(f"{make} STEP={step} EVENT=-" for step in steps[1:])]
    try:
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", " | ".join(made)],
            cwd=ROOT,
            env=_environment(),
            capture_output=True,
            text=True,
            timeout=170,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        answer = json.loads(done.stdout)
        assert answer["failed"] == [], answer
        if not was_up:
            assert [table["rows"] for table in answer["committed"]] == [5], answer
    finally:
        if not was_up:
            subprocess.run([sys.executable, "-m", "local.up", "down"], cwd=ROOT / "tests", check=True)
