"""Tests runs that are killed, that meet, or that meet the deadline: the ledger ends as if nothing had happened."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import BEGINNING, Table, ledger, run, start

from local import objects
from local.deploy import Deployment
from local.proxy import Proxy
from verify.__main__ import verify
from verify.stores import Folder

ROWS = 20_000
ROWS_PER_INSERT = 1_000
LAST = "2020-01-01T05:33:19.000"
"""The watermark of the last row. There is one row per second from 2020-01-01."""
HELD_BYTES = 200_000
"""More bytes than any lookup answers, and fewer than the rows of the table take."""


def test_a_killed_copy_is_finished_by_the_next_run(
    proxied: tuple[Deployment, Proxy], new_table: Callable[[], Table], tmp_path: Path
) -> None:
    """SIGKILL in the middle of the stream leaves nothing visible, and the next run ends like an undisturbed one.

    Another `where` is refused as long as the window is pending.
    """
    deployment, proxy = proxied
    disturbed, undisturbed = new_table(), new_table()
    for table in (disturbed, undisturbed):
        _fill(table)

    with proxy.holding(HELD_BYTES):
        execution = start(deployment, disturbed.spec())
        proxy.wait_until_held()
        os.kill(_process_of(deployment, "CopyDelta"), signal.SIGKILL)
        killed = execution.wait()
    assert killed.error == "TablesFailed"
    assert f"{disturbed}: Runtime.ExitError" in killed.cause
    assert objects.data_objects(ledger(deployment, disturbed)) == {}
    assert disturbed.watermark() == BEGINNING

    # The process died and its run did not, so the run has given the table's lease back before it failed.
    assert json.loads(_wait_for(deployment, disturbed, "/lease.json"))["keeper"] is None

    # The condition for a frozen window comes from the event, and must be the one with which it was frozen.
    changed = run(deployment, disturbed.spec() | {"where": "PersonID > 7"})
    assert f"{disturbed}: InvalidInput" in changed.cause
    assert "another where" in changed.cause

    assert run(deployment, disturbed.spec()).succeeded
    assert run(deployment, undisturbed.spec()).succeeded
    assert disturbed.watermark() == undisturbed.watermark() == LAST
    ends = [_end(deployment, table, tmp_path) for table in (disturbed, undisturbed)]
    assert ends[0] == ends[1]
    assert len(ends[0][1]) == ROWS


def test_a_second_run_leaves_a_table_to_the_first_and_succeeds(
    proxied: tuple[Deployment, Proxy], new_table: Callable[[], Table], tmp_path: Path
) -> None:
    """The first is held in a slice. The second copies nothing, says which run has the table, and does not fail."""
    deployment, proxy = proxied
    table = new_table()
    _fill(table)
    with proxy.holding(HELD_BYTES):
        first = start(deployment, table.spec())
        proxy.wait_until_held()
        second = run(deployment, table.spec())
    assert second.succeeded, second.cause
    assert [found["table"] for found in second.output["busy"]] == [str(table)]
    assert (second.output["committed"], second.windows) == ([], [])
    outcome = first.wait()
    assert outcome.succeeded, outcome.cause
    assert second.output["busy"][0]["run_id"] == outcome.run_id
    assert json.loads(_wait_for(deployment, table, "/lease.json"))["keeper"] is None
    keys, rows = _end(deployment, table, tmp_path)
    assert len([key for key in keys if key.endswith("/manifest.json")]) == 1
    assert len(rows) == ROWS
    assert table.watermark() == LAST


TICKS = 5


def test_runs_of_a_schedule_never_pile_up(
    proxied: tuple[Deployment, Proxy], new_table: Callable[[], Table], tmp_path: Path
) -> None:
    """The first is held by a slow source. What the schedule starts meanwhile ends by itself and succeeds: after each
    tick the first run alone is at work, and it alone reads rows.
    """
    deployment, proxy = proxied
    table = new_table()
    _fill(table)
    states = deployment.aws.client("stepfunctions")
    schedule = deployment.aws.client("scheduler").get_schedule(
        Name=deployment.outputs["ScheduleName"].rpartition("|")[2]
    )
    machine = schedule["Target"]["Arn"]
    assert machine == deployment.state_machine_arn
    with proxy.holding(HELD_BYTES):
        first = start(deployment, table.spec())
        proxy.wait_until_held()
        # The next ticks come one by one, and then all at once, as those that were late.
        outcomes = [run(deployment, table.spec()) for _ in range(TICKS)]
        late = [start(deployment, table.spec()) for _ in range(TICKS)]
        outcomes += [tick.wait() for tick in late]
        running = states.list_executions(stateMachineArn=machine, statusFilter="RUNNING")["executions"]
        assert [found["executionArn"] for found in running] == [first.arn]
    for tick in outcomes:
        assert tick.succeeded, tick.cause
        assert [found["table"] for found in tick.output["busy"]] == [str(table)]
        assert (tick.output["committed"], tick.windows) == ([], [])
    outcome = first.wait()
    assert outcome.succeeded, outcome.cause
    assert {tick.output["busy"][0]["run_id"] for tick in outcomes} == {outcome.run_id}
    _, rows = _end(deployment, table, tmp_path)
    assert len(rows) == ROWS
    assert run(deployment, table.spec()).output["unchanged"] == [str(table)]


def test_a_slice_that_meets_its_deadline_is_split_and_the_table_commits(
    proxied: tuple[Deployment, Proxy],
    new_table: Callable[[], Table],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The stream is held until copy-delta has to stop. The same run copies the sub-slices, and every row once."""
    deployment, proxy = proxied
    table = new_table()
    _fill(table)
    # copy-delta keeps 10 s of this back.
    _set_timeout(deployment, "CopyDelta", 13)
    # This condition holds for every row. It has to reach the split and each sub-slice, or the ledger refuses them.
    spec = table.spec() | {"where": "PersonID >= 0"}
    with proxy.holding(HELD_BYTES):
        execution = start(deployment, spec)
        proxy.wait_until_held()
        record = _wait_for(deployment, table, "/record-00000.json")
    outcome = execution.wait()
    assert outcome.succeeded, outcome.cause
    assert table.watermark() == LAST
    keys, rows = _end(deployment, table, tmp_path)
    assert len(rows) == ROWS and len(set(rows)) == ROWS
    sub_slices = len(json.loads(record)["slices"])
    names = {key.rpartition("/")[2] for key in keys if "/part-" in key}
    assert names == {f"part-00000.{number:05}.parquet" for number in range(sub_slices)}
    assert 4 <= sub_slices <= 9
    assert objects.uploads(deployment, f"tidemark/{table}/") == []
    objects.download(deployment, ledger(deployment, table), tmp_path / "sink")
    assert verify(Folder(tmp_path / "sink"), "tidemark") == 0, capsys.readouterr().out
    # The next run begins where this one ended.
    assert run(deployment, spec).output["unchanged"] == [str(table)]


def _set_timeout(deployment: Deployment, function: str, seconds: int) -> None:
    functions = deployment.aws.client("lambda")
    pages = functions.get_paginator("list_functions").paginate()
    names = [found["FunctionName"] for page in pages for found in page["Functions"]]
    (name,) = [name for name in names if name.startswith(f"{deployment.name}-{function}")]
    functions.update_function_configuration(FunctionName=name, Timeout=seconds)


def _wait_for(deployment: Deployment, table: Table, end: str, seconds: float = 60) -> bytes:
    """Returns the object of the table's ledger whose key ends so, as soon as it exists."""
    store = deployment.aws.client("s3")
    give_up = time.monotonic() + seconds
    while not (found := [key for key in ledger(deployment, table) if key.endswith(end)]):
        assert time.monotonic() < give_up, f"no {end}"
        time.sleep(0.1)
    return bytes(store.get_object(Bucket=deployment.bucket, Key=found[0])["Body"].read())


def _fill(table: Table) -> None:
    """Makes a table whose rows take more than one network packet to read."""
    table.sandbox.execute(f"create table {table.name} (PersonID int, Name varchar(255), LastModifytime datetime)")
    table.track()
    table.sandbox.execute(*(_insert(table.name, first) for first in range(0, ROWS, ROWS_PER_INSERT)))


def _insert(name: str, first: int) -> str:
    values = ", ".join(
        f"({number}, 'row {number:05} {number * 2_654_435_761 % 2**32:032b}', '2020-01-01T{_clock(number)}')"
        for number in range(first, first + ROWS_PER_INSERT)
    )
    return f"INSERT INTO {name} (PersonID, Name, LastModifytime) VALUES {values}"


def _clock(second: int) -> str:
    return f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"


def _end(deployment: Deployment, table: Table, folder: Path) -> tuple[set[str], list[tuple[object, ...]]]:
    """Returns the keys of a table's ledger without its name, and the rows of its data."""
    entries = ledger(deployment, table)
    paths = objects.download(deployment, objects.data_objects(entries), folder)
    return {key.replace(str(table), "table") for key in entries}, sorted(objects.read_rows(paths))


def _process_of(deployment: Deployment, function: str) -> int:
    """Returns the one process of that function among those that the local AWS started."""
    found = []
    for status in Path("/proc").glob("[0-9]*"):
        try:
            group = int((status / "stat").read_text().rpartition(")")[2].split()[2])
            environment = (status / "environ").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        name = f"AWS_LAMBDA_FUNCTION_NAME={deployment.name}-{function}".encode()
        if group == deployment.aws.pid and any(variable.startswith(name) for variable in environment):
            found.append(int(status.name))
    assert len(found) == 1, f"{function} runs in {len(found)} processes"
    return found[0]
