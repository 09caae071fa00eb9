"""Windows in the readers: masks, an audit, other decimals, and changes of columns in text."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from pathlib import Path
from typing import Any

import pytest
from cases import TYPES, File, canonical, file_of, write
from readers import READERS

WRITER = Path(os.environ.get("READERS_WRITER", "target/debug/tidemark-readers"))
KEY = b"k" * 32
"""The writer's key of hashes."""
SECRETS = ["123-45-6789", "four", "café €"]
MASKED = {
    "h": ("varchar(20)", [{"text": text} for text in SECRETS]),
    "n": ("int", [{"int": 42}, {"int": -1}, {"int": 7}]),
    "l": ("varchar(20)", [{"text": text} for text in SECRETS]),
    "x": ("nvarchar(max)", [{"text": text} for text in SECRETS]),
}
MASKS = {"mask": {"h": "hash", "n": "hash", "l": "last4", "x": "null"}, "audit": True}
DECIMALS = [kind for kind in TYPES if kind.name in {"decimal(9,2)", "decimal(18,4)", "decimal(38,10)", "smallmoney"}]
FIXED = {"format": {"parquet": {"decimals": "fixed"}}}
LOOSE = {"fastparquet"}
"""It has decimals as floats and points in time without a zone."""


def _hash(text: str) -> str:
    return hmac.new(KEY, text.encode(), hashlib.sha256).hexdigest()


def _expected(number: int) -> dict[str, Any]:
    """A masked row, but for its point in time."""
    last = ["6789", "", "fé €"][number]
    return {
        "id": number + 1,
        "h": _hash(SECRETS[number]),
        "n": _hash(["42", "-1", "7"][number]),
        "l": last,
        "x": None,
        "_tidemark_window": "from-42",
        "_tidemark_operation": "U",
    }


CHANGES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a new column": (
        {"v": ("int", [{"int": 1}])},
        {"v": ("int", [{"int": 2}]), "w": ("varchar(9)", [{"text": "new"}])},
    ),
    "smallint to int": ({"v": ("smallint", [{"smallint": 1}])}, {"v": ("int", [{"int": 2**31 - 1}])}),
    "longer text": (
        {"v": ("varchar(5)", [{"text": "abc"}])},
        {"v": ("nvarchar(max)", [{"text": "中文, and more"}])},
    ),
}
"""Changes that go on by themselves in files of lines."""
FORMATS: dict[str, Any] = {"jsonl": "jsonl", "csv": {"csv": {"null": "\\N"}}}


def _change(name: str, kind: str) -> list[File]:
    files = []
    for number, columns in enumerate(CHANGES[name]):
        folder = f"{kind}-{list(CHANGES).index(name)}"
        file = File(folder, columns, settings={"format": FORMATS[kind]}, name=f"part-{number}")
        file.first_id = number + 1
        files.append(file)
    return files


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every file."""
    root = tmp_path_factory.mktemp("windows")
    files = [File("masked", MASKED, settings=MASKS)]
    files += [File(f"masked-{kind}", MASKED, settings=MASKS | {"format": form}) for kind, form in FORMATS.items()]
    files += [file_of(kind, f"fixed-{number}", **FIXED) for number, kind in enumerate(DECIMALS)]
    files += [file for name in CHANGES for kind in FORMATS for file in _change(name, kind)]
    write(WRITER, root, files)
    return root


@pytest.mark.parametrize("reader", READERS)
def test_masked_and_audited_columns_are_read(root: Path, reader: str) -> None:
    rows = sorted(READERS[reader](root / "masked"), key=lambda row: int(row["id"]))
    for number, row in enumerate(rows):
        for name, value in _expected(number).items():
            assert (row[name] if name != "id" else int(row[name])) == value, name
        moment = canonical(row["_tidemark_copied_at"])
        assert moment is not None
        assert moment[1] == "2026-11-29T12:00:00.000001"
        assert moment[0] == "instant" or reader in LOOSE


def test_masked_and_audited_columns_are_the_same_in_files_of_lines(root: Path) -> None:
    import csv

    lines = (root / "masked-jsonl" / "part-00000.jsonl").read_text().splitlines()
    by_json = [json.loads(line) for line in lines]
    with (root / "masked-csv" / "part-00000.csv").open(newline="") as file:
        by_csv = list(csv.DictReader(file, strict=True))
    for number, (one, other) in enumerate(zip(by_json, by_csv, strict=True)):
        for name, value in _expected(number).items():
            assert one[name] == value, name
            assert other[name] == ("\\N" if value is None else str(value)), name
        assert one["_tidemark_copied_at"] == "2026-11-29T12:00:00.000001+00:00"
        assert other["_tidemark_copied_at"] == "2026-11-29 12:00:00.000001+00:00"


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("number", range(len(DECIMALS)))
def test_decimals_of_a_fixed_length_are_read(root: Path, number: int, reader: str) -> None:
    expected = [edge.canonical for edge in DECIMALS[number].edges] + [None]
    rows = sorted(READERS[reader](root / f"fixed-{number}"), key=lambda row: int(row["id"]))
    found = [canonical(row["v"]) for row in rows]
    if reader in LOOSE:
        assert [value is None for value in found] == [value is None for value in expected]
    else:
        assert found == expected


@pytest.mark.parametrize("name", CHANGES)
def test_json_lines_of_two_windows_are_read_in_one_table(root: Path, name: str) -> None:
    import duckdb
    import polars
    import pyarrow
    import pyarrow.json

    folder = root / f"jsonl-{list(CHANGES).index(name)}"
    expected = _lines_of(name)
    by_duckdb = duckdb.sql(f"FROM read_json('{folder}/*.jsonl', union_by_name = true) ORDER BY id")
    assert _tuples(by_duckdb.columns, by_duckdb.fetchall()) == expected
    tables = [pyarrow.json.read_json(file) for file in sorted(folder.iterdir())]
    assert _rows(pyarrow.concat_tables(tables, promote_options="default").to_pylist()) == expected
    frames = [polars.read_ndjson(file) for file in sorted(folder.iterdir())]
    assert _rows(polars.concat(frames, how="diagonal").to_dicts()) == expected


@pytest.mark.parametrize("name", CHANGES)
def test_csv_of_two_windows_is_read_in_one_table(root: Path, name: str) -> None:
    import duckdb
    import polars
    import pyarrow
    import pyarrow.csv

    folder = root / f"csv-{list(CHANGES).index(name)}"
    expected = _lines_of(name)
    by_duckdb = duckdb.sql(
        f"FROM read_csv('{folder}/*.csv', union_by_name = true, nullstr = '\\N', header = true) ORDER BY id"
    )
    assert _tuples(by_duckdb.columns, by_duckdb.fetchall()) == expected
    options = pyarrow.csv.ConvertOptions(
        null_values=["\\N"], strings_can_be_null=True, quoted_strings_can_be_null=False
    )
    tables = [pyarrow.csv.read_csv(file, convert_options=options) for file in sorted(folder.iterdir())]
    assert _rows(pyarrow.concat_tables(tables, promote_options="default").to_pylist()) == expected
    frames = [polars.read_csv(file, null_values=["\\N"]) for file in sorted(folder.iterdir())]
    assert _rows(polars.concat(frames, how="diagonal").to_dicts()) == expected


def _lines_of(name: str) -> list[dict[str, Any]]:
    """The rows of both windows, as one table has them."""
    rows = []
    names = list(CHANGES[name][1])
    for number, columns in enumerate(CHANGES[name]):
        row: dict[str, Any] = {"id": number + 1}
        for column in names:
            wire = columns[column][1][0] if column in columns else {"null": None}
            row[column] = next(iter(wire.values()))
        rows.append(row)
    return rows


def _tuples(columns: list[str], rows: list[tuple[Any, ...]]) -> list[dict[str, Any]]:
    return [dict(zip(columns, row, strict=True)) for row in rows]


def _rows(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: row["id"])
