"""Tests the tutorial's three runs through the deployed template, read back by DuckDB or line by line."""

from __future__ import annotations

from pathlib import Path

from conftest import Table, ledger, run

from local import objects, tutorial
from local.deploy import Deployment


def test_three_runs_in_parquet(deployment: Deployment, table: Table, tmp_path: Path) -> None:
    """Run 1 copies five rows, run 2 the two new ones and leaves run 1 alone, run 3 nothing."""
    first = run(deployment, table.spec())
    assert first.succeeded, first.cause
    assert [commit["rows"] for commit in first.committed] == [5]
    assert table.watermark() == tutorial.FIRST_WATERMARK
    before = ledger(deployment, table)
    assert _ids(deployment, set(objects.data_objects(before)), tmp_path) == [1, 2, 3, 4, 5]

    table.add_tutorial_rows()
    second = run(deployment, table.spec())
    assert second.succeeded, second.cause
    assert table.watermark() == tutorial.SECOND_WATERMARK
    after = ledger(deployment, table)
    earlier = objects.written_once(before)
    assert {key: after.get(key) for key in earlier} == earlier
    assert _ids(deployment, set(objects.data_objects(after)) - set(before), tmp_path) == [6, 7]

    third = run(deployment, table.spec())
    assert third.succeeded, third.cause
    assert third.output["unchanged"] == [str(table)]
    assert third.windows == []
    assert table.watermark() == tutorial.SECOND_WATERMARK
    assert ledger(deployment, table) == after


def test_two_runs_in_csv_are_the_tutorials_own_lines(deployment: Deployment, table: Table, tmp_path: Path) -> None:
    """With the tutorial's options the files have its lines, including CRLF and seven digits."""
    spec = table.spec(tutorial.CSV_FORMAT)
    assert run(deployment, spec).succeeded
    first = set(objects.data_objects(ledger(deployment, table)))
    paths = objects.download(deployment, first, tmp_path)
    assert set(objects.read_lines(paths)) == tutorial.FIRST_LINES
    assert all(path.read_bytes().count(b"\r\n") == 5 for path in paths)

    table.add_tutorial_rows()
    assert run(deployment, spec).succeeded
    second = set(objects.data_objects(ledger(deployment, table))) - first
    assert set(objects.read_lines(objects.download(deployment, second, tmp_path))) == tutorial.SECOND_LINES


def test_json_lines_hold_the_same_rows(deployment: Deployment, table: Table, tmp_path: Path) -> None:
    """DuckDB reads them."""
    assert run(deployment, table.spec("jsonl")).succeeded
    keys = set(objects.data_objects(ledger(deployment, table)))
    assert _ids(deployment, keys, tmp_path) == [1, 2, 3, 4, 5]


def _ids(deployment: Deployment, keys: set[str], folder: Path) -> list[int]:
    return sorted(row[0] for row in objects.read_rows(objects.download(deployment, keys, folder)))
