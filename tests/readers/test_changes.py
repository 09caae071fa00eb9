"""Tests every kind of change of a table's columns between two windows, in every format, through the real command.

Either the table goes on, and each reader has the right values of both windows together. Or the run says what to do, and
a reload leaves a folder in which all files are alike.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cases import canonical
from lake import run
from readers import READERS, Rows, spark
from text_readers import TEXT_READERS

SPARK_PYTHONS = dict(
    item.strip().split("=", 1) for item in os.environ.get("SPARK_PYTHONS", "").split(";") if item.strip()
)
FORMATS: dict[str, Any] = {"parquet": "parquet", "csv": {"csv": {"null": "\\N"}}, "jsonl": "jsonl"}
ALL = frozenset(FORMATS)


@dataclass
class Change:
    """A table before and after, as T-SQL declares its columns and gives its values."""

    before: str
    after: str
    old: str
    """The values of the row of the first window. The same row is in the table at the second window."""
    new: str
    """The values of the row of the second window."""
    goes_on: frozenset[str] = ALL
    """The formats whose files of both windows are one table."""
    said: str = ""
    """The text of the error about the change, where the table does not go on."""
    rows: list[dict[str, Any]] = field(default_factory=list)
    """Both rows as a reader has them, in a table that goes on."""
    types: dict[str, str] = field(default_factory=dict)
    """The columns of lines whose type a reader has to be told, because it finds none in NULL, and a number in a short
    `0x01`.
    """
    later: str = ""
    """The first row as the changed table has it, where that differs from `old`."""


def _pair(name: str, old: Any, new: Any) -> list[dict[str, Any]]:
    return [{"id": 1, name: old}, {"id": 2, name: new}]


PARQUET = frozenset({"parquet"})
NONE: frozenset[str] = frozenset()
LONG = '中文, and "more"'
GUID = "6F9619FF-8B86-D011-B42D-00C04FC964FF"
CHANGES = {
    "added": Change(
        "v int",
        "v int, w varchar(9) NULL",
        "10",
        "20, 'new'",
        rows=[{"id": 1, "v": 10, "w": None}, {"id": 2, "v": 20, "w": "new"}],
        later="10, NULL",
    ),
    "dropped": Change("v int, w int", "v int", "10, 1", "20", NONE, "w is gone", later="10"),
    "renamed": Change("v int", "u int", "10", "20", NONE, "v is gone"),
    "renamed in case": Change("v int", "V int", "10", "20", NONE, "v is gone"),
    "widened to int": Change("v smallint", "v int", "-32768", "2147483647", rows=_pair("v", -32768, 2**31 - 1)),
    "narrowed to smallint": Change(
        "v int", "v smallint", "2147483647", "-32768", rows=_pair("v", 2**31 - 1, -32768), later="1"
    ),
    "narrowed to tinyint": Change("v smallint", "v tinyint", "-32768", "255", rows=_pair("v", -32768, 255), later="1"),
    "widened to bigint": Change("v int", "v bigint", "42", "5000000000", NONE, "v is bigint and was int"),
    "narrowed to int": Change("v bigint", "v int", "5000000000", "42", NONE, "v is int and was bigint", later="1"),
    "wider decimal": Change(
        "v decimal(9,2)", "v decimal(12,2)", "1.25", "1234567890.25", NONE, "v is decimal(12,2) and was decimal(9,2)"
    ),
    "other scale": Change(
        "v decimal(9,2)", "v decimal(10,3)", "1.25", "1.505", NONE, "v is decimal(10,3) and was decimal(9,2)"
    ),
    "money to decimal": Change(
        "v smallmoney", "v decimal(19,4)", "1.25", "1.505", NONE, "v is decimal(19,4) and was smallmoney"
    ),
    "datetime2 precision": Change(
        "v datetime2(3)",
        "v datetime2(7)",
        "'2017-09-05T08:06:00.123'",
        "'0001-01-01T00:00:00.1234567'",
        PARQUET,
        "v is datetime2(7) and was datetime2(3)",
        rows=_pair("v", ("timestamp", "2017-09-05T08:06:00.123000"), ("timestamp", "0001-01-01T00:00:00.123456")),
    ),
    "datetime to datetime2": Change(
        "v datetime",
        "v datetime2(7)",
        "'2017-09-05T08:06:00.003'",
        "'9999-12-31T23:59:59.9999999'",
        PARQUET,
        "v is datetime2(7) and was datetime",
        rows=_pair("v", ("timestamp", "2017-09-05T08:06:00.003000"), ("timestamp", "9999-12-31T23:59:59.999999")),
    ),
    "time precision": Change(
        "v time(0)",
        "v time(7)",
        "'08:06:00'",
        "'23:59:59.9999999'",
        PARQUET,
        "v is time(7) and was time(0)",
        rows=_pair("v", "08:06:00", "23:59:59.9999999"),
    ),
    "date to datetime2": Change(
        "v date", "v datetime2(0)", "'2017-09-05'", "'2017-09-05T08:06:00'", NONE, "v is datetime2(0) and was date"
    ),
    "zone": Change(
        "v datetime2(0)",
        "v datetimeoffset(0)",
        "'2017-09-05T08:06:00'",
        "'2017-09-05T08:06:00+05:30'",
        NONE,
        "v is datetimeoffset(0) and was datetime2(0)",
    ),
    "real to float": Change("v real", "v float", "0.1", "0.1", NONE, "v is float and was real"),
    "float to real": Change("v float", "v real", "0.1", "0.1", NONE, "v is real and was float"),
    "NOT NULL to NULL": Change(
        "v int NOT NULL", "v int NULL", "10", "NULL", rows=_pair("v", 10, None), types={"v": "int"}
    ),
    "NULL to NOT NULL": Change(
        "v int NULL", "v int NOT NULL", "NULL", "20", rows=_pair("v", None, 20), types={"v": "int"}, later="1"
    ),
    "longer text": Change("v varchar(5)", "v varchar(50)", "'abc'", "'abcdefgh'", rows=_pair("v", "abc", "abcdefgh")),
    "shorter text": Change(
        "v varchar(50)", "v varchar(5)", "'abcdefgh'", "'abc'", rows=_pair("v", "abcdefgh", "abc"), later="'x'"
    ),
    "Unicode": Change("v varchar(9)", "v nvarchar(max)", "'café'", f"N'{LONG}'", rows=_pair("v", "café", LONG)),
    "collation": Change(
        "v varchar(9) COLLATE Latin1_General_CI_AS",
        "v varchar(9) COLLATE Latin1_General_BIN",
        "'Ä'",
        "'ä'",
        rows=_pair("v", "Ä", "ä"),
    ),
    "identity": Change("v int NOT NULL", "v int IDENTITY", "10", "20", rows=_pair("v", 10, 20)),
    "no identity": Change("v int IDENTITY", "v int NOT NULL", "10", "20", rows=_pair("v", 10, 20)),
    "number to text": Change("v int", "v varchar(9)", "42", "'42'", NONE, "v is varchar(9) and was int"),
    "bit to int": Change("v bit", "v int", "1", "2", NONE, "v is int and was bit"),
    "uniqueidentifier to text": Change(
        "v uniqueidentifier",
        "v varchar(36)",
        f"'{GUID}'",
        "'none'",
        PARQUET,
        "v is varchar(36) and was uniqueidentifier",
        rows=_pair("v", GUID, "none"),
    ),
    "longer binary": Change(
        "v binary(2)",
        "v varbinary(9)",
        "0x0001",
        "0x00FF4D",
        rows=_pair("v", b"\x00\x01", b"\x00\xff\x4d"),
        types={"v": "text"},
    ),
}


def _name(change: str, kind: str) -> str:
    return f"c{list(CHANGES).index(change)}_{kind}"


def _script(*, is_changed: bool) -> str:
    statements = []
    for name, change in CHANGES.items():
        for kind in FORMATS:
            table, columns = _name(name, kind), change.after if is_changed else change.before
            rows = [change.later or change.old, change.new] if is_changed else [change.old]
            statements.append(f"CREATE TABLE {table} (id int NOT NULL PRIMARY KEY, at int NOT NULL, {columns});")
            names = ", ".join(["id", "at", *(column.split()[0] for column in _columns(columns))])
            values = ", ".join(f"({place}, {place}, {row})" for place, row in enumerate(rows, 1))
            insert = f"INSERT {table} ({names}) VALUES {values};"
            if "IDENTITY" in columns:
                insert = f"SET IDENTITY_INSERT {table} ON; {insert} SET IDENTITY_INSERT {table} OFF;"
            statements.append(insert)
    return "\n".join(statements)


def _columns(declared: str) -> list[str]:
    """Returns the declarations, in which a type may have a comma."""
    return [column.strip() for column in declared.replace(", w", "; w").split("; ")]


def _tables(**more: Any) -> dict[str, Any]:
    tables = [
        {
            "table": _name(name, kind),
            "tracking": {"watermark": {"column": "at", "settle_seconds": 0}},
            "exclude": ["at"],
            "format": FORMATS[kind],
        }
        for name in CHANGES
        for kind in FORMATS
    ]
    return {"defaults": more, "tables": tables}


@dataclass
class Runs:
    """The result of three runs: the first, one after the changes, and one with reloads."""

    lake: Path
    second: dict[str, dict[str, Any]]
    third: dict[str, dict[str, Any]]

    def folder(self, change: str, kind: str, generation: str = "") -> Path:
        """Returns a folder of a table's files alone, the older first, because not every reader looks into folders of
        folders.
        """
        table = self.lake / f"dbo.{_name(change, kind)}{generation}"
        flat = self.lake / "flat" / table.name
        if not flat.exists():
            flat.mkdir(parents=True)
            windows = sorted(table.iterdir(), key=lambda window: window.name != "tidemark_window=initial")
            for place, window in enumerate(windows):
                for file in window.iterdir():
                    (flat / f"part-{place}-{file.name}").hardlink_to(file)
        return flat


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    folder = tmp_path_factory.mktemp("changes")

    def one(lines: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
        return {line["table"]: line for line in lines if line.get("event") in {"committed", "failed", "unchanged"}}

    first = one(run(folder, _script(is_changed=False), _tables()))
    bad = {table: line for table, line in first.items() if line["event"] != "committed"}
    assert not bad and len(first) == len(CHANGES) * len(FORMATS), bad
    second = one(run(folder, _script(is_changed=True), _tables()))
    third = one(run(folder, _script(is_changed=True), _tables(on_schema_change="reload")))
    return Runs(folder / "lake", second, third)


def _cases(*, goes_on: bool) -> list[Any]:
    return [
        pytest.param(name, kind, id=f"{name}, {kind}")
        for name, change in CHANGES.items()
        for kind in FORMATS
        if (kind in change.goes_on) == goes_on
    ]


def _told(row: dict[str, Any], names: list[str], kind: str) -> tuple[Any, ...]:
    return (int(row["id"]), *(_value(row[name], kind) for name in names))


def _value(value: Any, kind: str) -> Any:
    """Returns the text of a point in time, whatever the reader says of its zone, and bytes as files of lines
    have them.
    """
    if isinstance(value, bytes) and kind != "parquet":
        import base64

        return base64.b64encode(value).decode() if kind == "jsonl" else f"0x{value.hex().upper()}"
    told = value if isinstance(value, tuple | list) else canonical(value)
    return None if told is None else told[1]


def _check(change: str, kind: str, rows: Rows) -> None:
    wanted = CHANGES[change].rows
    names = [name for name in wanted[0] if name != "id"]
    found = sorted((_told(row, names, kind) for row in rows), key=lambda row: row[0])
    assert found == [_told(row, names, kind) for row in wanted]


@pytest.mark.parametrize(("change", "kind"), _cases(goes_on=True))
def test_a_change_that_goes_on_by_itself_goes_on(runs: Runs, change: str, kind: str) -> None:
    line = runs.second[f"dbo.{_name(change, kind)}"]
    assert line["event"] == "committed" and line["rows"] == 1, line


@pytest.mark.parametrize(("change", "kind"), _cases(goes_on=False))
def test_a_change_that_does_not_says_what_it_is_and_what_to_do(runs: Runs, change: str, kind: str) -> None:
    line = runs.second[f"dbo.{_name(change, kind)}"]
    assert (line["event"], line["error"]) == ("failed", "SchemaMismatch"), line
    assert CHANGES[change].said in line["message"]
    for advice in ("a view that casts columns", "on_schema_change to reload"):
        assert advice in line["advice"]


@pytest.mark.parametrize("change", [name for name, change in CHANGES.items() if "parquet" in change.goes_on])
@pytest.mark.parametrize("reader", READERS)
def test_parquet_files_of_both_windows_are_read_as_one_table(runs: Runs, change: str, reader: str) -> None:
    folder = runs.folder(change, "parquet")
    read = ADDED.get(reader, READERS[reader]) if change == "added" else READERS[reader]
    _check(change, "parquet", read(folder))


@pytest.mark.parametrize(("change", "kind"), [case for case in _cases(goes_on=True) if case.values[1] != "parquet"])
@pytest.mark.parametrize("reader", TEXT_READERS["csv"])
def test_files_of_lines_of_both_windows_are_read_as_one_table(runs: Runs, change: str, kind: str, reader: str) -> None:
    _check(change, kind, TEXT_READERS[kind][reader](runs.folder(change, kind), CHANGES[change].types))


@pytest.mark.parametrize(("change", "kind"), _cases(goes_on=False))
def test_a_reload_leaves_a_folder_of_its_own_that_every_reader_reads(runs: Runs, change: str, kind: str) -> None:
    line = runs.third[f"dbo.{_name(change, kind)}"]
    assert line["event"] == "committed" and line["rows"] == 2, line
    folder, name = runs.folder(change, kind, ".g1"), CHANGES[change].after.split()[0]
    for reader in READERS if kind == "parquet" else TEXT_READERS[kind]:
        read = READERS[reader](folder) if kind == "parquet" else TEXT_READERS[kind][reader](folder, {})
        rows = sorted(read, key=lambda row: int(row["id"]))
        assert [int(row["id"]) for row in rows] == [1, 2], reader
        assert all(row[name] is not None for row in rows), reader


def _duckdb_added(folder: Path) -> Rows:
    import duckdb

    found = duckdb.sql(f"FROM read_parquet('{folder}/*.parquet', union_by_name = true)")
    return [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]


def _schema(folder: Path) -> Any:
    from pyarrow.parquet import read_schema

    return read_schema(sorted(folder.glob("*.parquet"))[-1])


def _pyarrow_added(folder: Path) -> Rows:
    from pyarrow.dataset import dataset

    return dataset(folder, schema=_schema(folder)).to_table().to_pylist()


def _polars_added(folder: Path) -> Rows:
    import polars

    schema = polars.Schema(_schema(folder))
    return polars.scan_parquet(folder, schema=schema, missing_columns="insert").collect().to_dicts()


def _daft_added(folder: Path) -> Rows:
    import daft

    schema = {column.name: daft.DataType.from_arrow_type(column.type) for column in _schema(folder)}
    return daft.read_parquet(f"{folder}/*.parquet", schema=schema).to_arrow().to_pylist()


def _clickhouse_added(folder: Path) -> Rows:
    import chdb

    query = f"SELECT * FROM file('{folder}/*.parquet', Parquet) SETTINGS schema_inference_mode = 'union'"
    return json.loads(str(chdb.query(query, "JSON")))["data"]


ADDED = {
    "DuckDB": _duckdb_added,
    "pyarrow": _pyarrow_added,
    "polars": _polars_added,
    "ClickHouse": _clickhouse_added,
    "Daft": _daft_added,
}
"""How these are told of a column that the first file does not have."""


@pytest.mark.parametrize(
    "version", SPARK_PYTHONS or [pytest.param("none", marks=pytest.mark.skip(reason="make test-readers has Spark"))]
)
def test_spark_reads_the_files_of_both_windows_as_one_table(runs: Runs, version: str) -> None:
    """All changes are in one session, because Spark takes seconds to begin."""
    cases = [case.values for case in _cases(goes_on=True)]
    options = {"csv": {"header": "true", "multiLine": "true", "escape": '"', "nullValue": "\\N"}}
    requests = [
        {"path": str(runs.folder(change, kind)), "format": "json" if kind == "jsonl" else kind}
        | {"options": options.get(kind, {})}
        for change, kind in cases
    ]
    answers = spark(Path(SPARK_PYTHONS[version]), requests)
    for (change, kind), request in zip(cases, requests, strict=True):
        answer = answers[request["path"]]
        assert not isinstance(answer, str), f"{change}, {kind}: {answer}"
        rows = [{name: None if cell is None else tuple(cell) for name, cell in row.items()} for row in answer]
        found = [{**row, "id": row["id"][1]} for row in rows]
        _check(change, kind, found)
