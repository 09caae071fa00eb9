"""Tests every type at its edges: from a table through the real wire and the deployed functions to what other readers
find.
"""

from __future__ import annotations

import base64
import csv
import json
import struct
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow
import pyarrow.parquet
import pytest
from conftest import Table, ledger, run

from local import objects
from local.deploy import Deployment

DAY = 864_000_000_000
"""A day in units of 100 ns."""
UNIX_EPOCH = 719_162 * DAY


@dataclass(frozen=True)
class Moment:
    """A point in time to 100 ns: since 0001-01-01, or since midnight. With an offset, it is in UTC."""

    ticks: int
    offset: int | None = None


def moment(text: str) -> Moment:
    """Reads `[2017-09-05][ T]08:06:00[.1234567][[ ]+02:00]`, as SQL Server and ISO 8601 write it."""
    offset = None
    if len(text) > 6 and text[-6] in "+-" and text[-3] == ":":
        minutes = int(text[-5:-3]) * 60 + int(text[-2:])
        offset = -minutes if text[-6] == "-" else minutes
        text = text[:-6].rstrip()
    day, _, clock = text.replace("T", " ").rpartition(" ")
    whole, _, fraction = clock.partition(".")
    hours, minutes, seconds = (int(part) for part in whole.split(":"))
    ticks = (hours * 3600 + minutes * 60 + seconds) * 10_000_000 + int(fraction.ljust(7, "0") or 0)
    if day:
        ticks += (date.fromisoformat(day).toordinal() - 1) * DAY
    return Moment(ticks - (offset or 0) * 600_000_000, offset)


def bits(number: float) -> bytes:
    """Returns the bits of a float, which are equal for equal floats."""
    return struct.pack("<d", number)


@dataclass(frozen=True)
class Kind:
    """The way to read the values of some types."""

    json: Callable[[Any], Any]
    csv: Callable[[str], Any]


def _same(value: Any) -> Any:
    return value


def _single(number: float) -> float:
    """Returns what a reader of `real` makes of its shortest text."""
    return float(struct.unpack("<f", struct.pack("<f", number))[0])


def _hex(text: str) -> bytes:
    assert text.startswith("0x")
    return bytes.fromhex(text[2:])


KINDS = {
    "bit": Kind(_same, {"0": False, "1": True}.__getitem__),
    "int": Kind(_same, int),
    "bigint": Kind(int, int),
    "decimal": Kind(Decimal, Decimal),
    "real": Kind(_single, lambda text: _single(float(text))),
    "float": Kind(float, float),
    "text": Kind(_same, _same),
    "binary": Kind(base64.b64decode, _hex),
    "uuid": Kind(uuid.UUID, uuid.UUID),
    "date": Kind(date.fromisoformat, date.fromisoformat),
    "moment": Kind(moment, moment),
}

MAX38 = "9" * 38
EDGES: list[tuple[str, str, dict[str, Any]]] = [
    ("bit", "bit", {"0": False, "1": True}),
    ("tinyint", "int", {"0": 0, "255": 255}),
    ("smallint", "int", {"-32768": -32768, "32767": 32767}),
    ("int", "int", {"-2147483648": -(2**31), "2147483647": 2**31 - 1}),
    ("bigint", "bigint", {"-9223372036854775808": -(2**63), "9223372036854775807": 2**63 - 1}),
    ("decimal(38,0)", "decimal", {MAX38: Decimal(MAX38), f"-{MAX38}": Decimal(f"-{MAX38}")}),
    ("decimal(38,38)", "decimal", {f"0.{MAX38}": Decimal(f"0.{MAX38}"), "0": Decimal(f"0.{'0' * 38}")}),
    ("numeric(5,2)", "decimal", {"-999.99": Decimal("-999.99"), "1.5": Decimal("1.50")}),
    ("decimal(29,10)", "decimal", {"-7922816251426433759.1234567891": Decimal("-7922816251426433759.1234567891")}),
    (
        "money",
        "decimal",
        {text: Decimal(text) for text in ("922337203685477.5807", "-922337203685477.5808", "79228.1625")},
    ),
    ("smallmoney", "decimal", {text: Decimal(text) for text in ("214748.3647", "-214748.3648")}),
    ("real", "real", {"3.4028235E38": 3.4028234663852886e38, "1.17549435E-38": 1.1754943508222875e-38}),
    (
        "float",
        "float",
        {text: float(text) for text in ("1.7976931348623157E308", "2.2250738585072014E-308", "0.30000000000000004E0")},
    ),
    ("char(5)", "text", {"'ab'": "ab   ", "''": "     "}),
    ("varchar(20)", "text", {"'blanks  '": "blanks  ", "''": "", "'caf\u00e9 \u20ac'": "caf\u00e9 \u20ac"}),
    ("varchar(max)", "text", {"REPLICATE(CAST('x' AS varchar(max)), 9000)": "x" * 9000, "''": ""}),
    ("nchar(3)", "text", {"N'\u00e9'": "\u00e9  "}),
    (
        "nvarchar(40)",
        "text",
        {
            "N'\U0001f600 \u4e2d\u6587 '": "\U0001f600 \u4e2d\u6587 ",
            "N'\"a\", ''b'''": "\"a\", 'b'",
            "N'one' + NCHAR(13) + NCHAR(10) + N'two' + NCHAR(9)": "one\r\ntwo\t",
            "N''": "",
            "N'\\N'": "\\N",
        },
    ),
    ("nvarchar(max)", "text", {"REPLICATE(CAST(N'\U0001f600' AS nvarchar(max)), 5000)": "\U0001f600" * 5000}),
    ("sysname", "text", {"N'name'": "name"}),
    ("text", "text", {"'old'": "old"}),
    ("ntext", "text", {"N'o\u0142d'": "o\u0142d"}),
    ("xml", "text", {"N'<a b=\"\u00e9\">&lt;</a>'": '<a b="\u00e9">&lt;</a>'}),
    ("binary(4)", "binary", {"0x01": b"\x01\x00\x00\x00"}),
    ("varbinary(10)", "binary", {"0x": b"", "0x00FF4D": b"\x00\xffM"}),
    ("varbinary(max)", "binary", {"0x00": b"\x00"}),
    ("image", "binary", {"0xFF": b"\xff"}),
    ("hierarchyid", "binary", {"CAST(0x5AC0 AS hierarchyid)": b"\x5a\xc0", "CAST(0x AS hierarchyid)": b""}),
    ("geometry", "binary", {"CAST(0x00000000010C AS geometry)": bytes.fromhex("00000000010C")}),
    ("geography", "binary", {"CAST(0xE6100000010C AS geography)": bytes.fromhex("E6100000010C")}),
    (
        "uniqueidentifier",
        "uuid",
        {"'6F9619FF-8B86-D011-B42D-00C04FC964FF'": uuid.UUID("6F9619FF-8B86-D011-B42D-00C04FC964FF")},
    ),
    ("date", "date", {f"'{text}'": date.fromisoformat(text) for text in ("0001-01-01", "9999-12-31", "1969-12-31")}),
    ("time(0)", "moment", {f"'{text}'": moment(text) for text in ("00:00:00", "23:59:59")}),
    ("time(7)", "moment", {f"'{text}'": moment(text) for text in ("00:00:00.0000001", "23:59:59.9999999")}),
    ("smalldatetime", "moment", {f"'{text}'": moment(text) for text in ("1900-01-01T00:00:00", "2079-06-06T23:59:00")}),
    (
        "datetime",
        "moment",
        {
            f"'{text}'": moment(text)
            for text in ("1753-01-01T00:00:00", "9999-12-31T23:59:59.997", "2017-09-05T08:06:00.003")
        },
    ),
    ("datetime2(0)", "moment", {f"'{text}'": moment(text) for text in ("0001-01-01T00:00:00", "9999-12-31T23:59:59")}),
    (
        "datetime2(7)",
        "moment",
        {f"'{text}'": moment(text) for text in ("0001-01-01T00:00:00.0000001", "9999-12-31T23:59:59.9999999")},
    ),
    (
        "datetimeoffset(7)",
        "moment",
        {
            f"'{text}'": moment(text)
            for text in (
                "0001-01-01T00:00:00.0000000 +00:00",
                "9999-12-31T23:59:59.9999999 +00:00",
                "2017-09-05T08:06:00.1234567 +14:00",
                "2017-09-05T08:06:00.1234567 -13:59",
            )
        },
    ),
]
ROWS = 1 + max(len(values) for _, _, values in EDGES)
"""The number of rows. Columns with fewer edges are NULL in the other rows, and the last row is NULL in all."""


def _expected() -> list[dict[str, Any]]:
    columns = [list(values.values()) for _, _, values in EDGES]
    return [
        {"id": row + 1, "twice": row * 2 + 2}
        | {f"c{index}": values[row] if row < len(values) else None for index, values in enumerate(columns)}
        for row in range(ROWS)
    ]


@pytest.fixture
def edges(new_table: Callable[[], Table]) -> Callable[[], Table]:
    """Returns a function that makes a table with an identity, a computed column and one column per type, filled with
    the edges.
    """

    def make() -> Table:
        table = new_table()
        declared = ", ".join(f"c{index} {sql_type}" for index, (sql_type, _, _) in enumerate(EDGES))
        table.sandbox.execute(f"CREATE TABLE {table} (id int IDENTITY, twice AS id * 2, {declared})")
        for row in range(ROWS):
            literals = [list(values)[row] if row < len(values) else "NULL" for _, _, values in EDGES]
            names = ", ".join(f"c{index}" for index in range(len(EDGES)))
            table.sandbox.execute(f"INSERT INTO {table} ({names}) VALUES ({', '.join(literals)})")
        return table

    return make


def _spec(table: Table, file_format: Any = "parquet", **other: Any) -> dict[str, Any]:
    tracking = {"watermark": {"column": "id", "settle_seconds": 0}}
    return {"table": str(table), "tracking": tracking, "format": file_format, **other}


def _part(deployment: Deployment, table: Table, folder: Path) -> Path:
    (key,) = objects.data_objects(ledger(deployment, table))
    (path,) = objects.download(deployment, [key], folder)
    return path


def _same_rows(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    """Compares value by value, so that a failure names the type."""
    types = {f"c{index}": sql_type for index, (sql_type, _, _) in enumerate(EDGES)}
    assert len(found) == len(expected)
    for row, wanted in zip(sorted(found, key=lambda row: row["id"]), expected, strict=True):
        assert row.keys() == wanted.keys()
        for name, value in wanted.items():
            got = row[name]
            if isinstance(value, float):
                got, value = bits(got), bits(value)
            assert (type(got), got) == (type(value), value), f"{types.get(name, name)} in row {wanted['id']}"
            if isinstance(value, Decimal):
                assert str(got) == str(value), "a digit too many or too few"


def _microseconds(expected: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns what `"timestamps": "us"` keeps: the seventh digit and the offset are cut off."""
    return [
        {name: Moment(value.ticks // 10 * 10) if isinstance(value, Moment) else value for name, value in row.items()}
        for row in expected
    ]


def _arrow_value(scalar: Any) -> Any:
    """Returns a value of pyarrow in this test's terms."""
    kind = scalar.type
    if not scalar.is_valid:
        return None
    if pyarrow.types.is_timestamp(kind) or pyarrow.types.is_time64(kind):
        units = scalar.cast(pyarrow.int64()).as_py()
        ticks = units * 10 if kind.unit == "us" else units // 100
        return Moment(ticks + (UNIX_EPOCH if pyarrow.types.is_timestamp(kind) else 0))
    return scalar.as_py()


def _arrow_rows(path: Path) -> list[dict[str, Any]]:
    table = pyarrow.parquet.read_table(path, partitioning=None)
    return [{name: _arrow_value(table[name][row]) for name in table.column_names} for row in range(table.num_rows)]


def _duck_rows(path: Path) -> list[dict[str, Any]]:
    """Returns the rows of a Parquet file as DuckDB reads them, with times as microseconds."""
    source = f"read_parquet('{path}', hive_partitioning = false)"
    columns = duckdb.sql(f"DESCRIBE SELECT * FROM {source}").fetchall()
    items = []
    for name, kind, *_ in columns:
        if kind == "TIME" or kind.startswith("TIMESTAMP"):
            items.append(f"epoch_us({name}) AS {name}")
        else:
            items.append(name)
    rows = duckdb.sql(f"SELECT {', '.join(items)} FROM {source}").fetchall()
    kinds = {name: kind for name, kind, *_ in columns}

    def value(name: str, raw: Any) -> Any:
        if raw is None or not kinds[name].startswith("TIME"):
            return raw
        return Moment(raw * 10 + (0 if kinds[name] == "TIME" else UNIX_EPOCH))

    return [{name: value(name, raw) for name, raw in zip(kinds, row, strict=True)} for row in rows]


def test_every_type_at_its_edges_in_every_format(
    s3_deployment: Deployment, edges: Callable[[], Table], tmp_path: Path
) -> None:
    """The readers are pyarrow and DuckDB for Parquet, Python's json, and Python's csv, with DuckDB for what is NULL."""
    parquet, text, jsonl, lines = (edges() for _ in range(4))
    outcome = run(
        s3_deployment,
        _spec(parquet, types="native"),
        _spec(text, timestamps="text"),
        _spec(jsonl, "jsonl"),
        _spec(lines, "csv"),
    )
    assert outcome.succeeded, outcome.cause
    expected = _expected()

    path = _part(s3_deployment, parquet, tmp_path)
    _same_rows(_arrow_rows(path), _microseconds(expected))
    _same_rows(_duck_rows(path), _microseconds(expected))
    _same_rows(_from_text(_arrow_rows(_part(s3_deployment, text, tmp_path))), expected)

    with _part(s3_deployment, jsonl, tmp_path).open() as file:
        _same_rows([_read(json.loads(line), lambda kind: kind.json) for line in file], expected)

    path = _part(s3_deployment, lines, tmp_path)
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file, strict=True))
    for row, is_null in zip(rows, _nulls(path), strict=True):
        for name in is_null:
            assert row[name] == ""
            row[name] = None
    _same_rows([_read(row, lambda kind: kind.csv) for row in rows], expected)


def _read(row: dict[str, Any], reader: Callable[[Kind], Callable[[Any], Any]]) -> dict[str, Any]:
    kinds = {f"c{index}": KINDS[kind] for index, (_, kind, _) in enumerate(EDGES)}
    plain = KINDS["int"]
    return {name: None if value is None else reader(kinds.get(name, plain))(value) for name, value in row.items()}


def _from_text(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """With `"timestamps": "text"`, times are ISO 8601. Without `"types": "native"`, a GUID is its text."""
    readers = {"moment": moment, "uuid": _guid}
    texts = {f"c{index}": readers[kind] for index, (_, kind, _) in enumerate(EDGES) if kind in readers}
    return [
        {name: texts[name](value) if name in texts and value is not None else value for name, value in row.items()}
        for row in rows
    ]


def _guid(text: str) -> uuid.UUID:
    assert text == text.upper()
    return uuid.UUID(text)


def _nulls(path: Path) -> list[set[str]]:
    """Returns the columns that are NULL in each row of a CSV file. For DuckDB, these are empty fields without
    quotes.
    """
    source = (
        f"read_csv('{path}', all_varchar = true, header = true, allow_quoted_nulls = false, max_line_size = 10000000)"
    )
    reply = duckdb.sql(f"SELECT * FROM {source}")
    return [{name for name, value in zip(reply.columns, row, strict=True) if value is None} for row in reply.fetchall()]


def test_nanoseconds_are_exact_and_refused_by_name_outside_their_range(
    s3_deployment: Deployment, new_table: Callable[[], Table], tmp_path: Path
) -> None:
    """A value that nanoseconds cannot hold fails with its column before anything is visible."""
    good, bad = new_table(), new_table()
    inside = ["1677-09-22T00:00:00.0000001", "2262-04-11T23:47:16.8547758", "1969-12-31T23:59:59.9999999"]
    for table in (good, bad):
        table.sandbox.execute(f"CREATE TABLE {table} (id int, at datetime2(7), o datetimeoffset(7), t time(7))")
        for row, text in enumerate(inside):
            values = f"{row}, '{text}', '{text} +01:00', '23:59:59.9999999'"
            table.sandbox.execute(f"INSERT INTO {table} VALUES ({values})")
    bad.sandbox.execute(f"INSERT INTO {bad} VALUES (9, '2262-04-12', NULL, NULL)")
    outcome = run(s3_deployment, _spec(good, timestamps="ns", types="native"), _spec(bad, timestamps="ns"))
    assert outcome.status == "FAILED"
    assert f"{bad}: UnsupportedType" in outcome.cause
    assert "'at'" in outcome.cause
    assert "2262" not in outcome.cause.replace("2262-04-11", ""), "the value is shown"
    assert objects.data_objects(ledger(s3_deployment, bad)) == {}
    assert objects.uploads(s3_deployment, f"lake/raw/{bad}/") == []

    rows = _arrow_rows(_part(s3_deployment, good, tmp_path))
    found = [(row["at"], row["o"], row["t"]) for row in sorted(rows, key=lambda row: row["id"])]
    expected = [(moment(text), Moment(moment(f"{text} +01:00").ticks), moment("23:59:59.9999999")) for text in inside]
    assert found == expected


def test_sql_server_types_are_in_the_files_metadata(
    s3_deployment: Deployment, edges: Callable[[], Table], tmp_path: Path
) -> None:
    """The reader of a Parquet part can find out what the columns were."""
    table = edges()
    assert run(s3_deployment, _spec(table)).succeeded
    footer = pyarrow.parquet.read_metadata(_part(s3_deployment, table, tmp_path))
    schema = footer.schema.to_arrow_schema()
    types = json.loads(footer.metadata[b"sqlserver.types"])
    found = [types[f"c{index}"] for index in range(len(EDGES))]
    same = {"numeric(5,2)": "decimal(5,2)", "sysname": "nvarchar(128)"}
    assert found == [same.get(sql_type, sql_type) for sql_type, _, _ in EDGES]
    assert types["id"] == "int"
    assert [int(field.metadata[b"PARQUET:field_id"]) for field in schema] == list(range(1, len(schema) + 1))
    assert all(field.nullable for field in schema)


def test_a_parquet_part_is_as_engines_like_it(
    s3_deployment: Deployment, new_table: Callable[[], Table], tmp_path: Path
) -> None:
    """It has zstd, dictionaries where values repeat, statistics and a page index to skip by, and row groups of bounded
    rows.
    """
    table, rows = new_table(), 270_000
    declared = "id int NOT NULL, label varchar(9), price decimal(9,2), at datetime2(3)"
    table.sandbox.execute(
        f"CREATE TABLE {table} ({declared})",
        f"INSERT INTO {table} SELECT value, CASE value % 2 WHEN 0 THEN 'even' ELSE 'odd' END, value / 100.0, "
        f"DATEADD(second, value, CAST('2017-09-05' AS datetime2(3))) FROM GENERATE_SERIES(1, {rows})",
    )
    outcome = run(s3_deployment, _spec(table))
    assert outcome.succeeded, outcome.cause
    path = _part(s3_deployment, table, tmp_path)
    footer = pyarrow.parquet.ParquetFile(path).metadata
    groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
    assert [group.num_rows for group in groups] == [131_072, 131_072, rows - 262_144]
    for group in groups:
        for number in range(group.num_columns):
            chunk = group.column(number)
            name = chunk.path_in_schema
            assert chunk.compression == "ZSTD", name
            assert chunk.is_stats_set and chunk.statistics.has_min_max and chunk.statistics.null_count == 0, name
            assert chunk.has_column_index and chunk.has_offset_index, name
            assert chunk.has_dictionary_page == (name == "label"), name
    least = groups[2].column(0).statistics
    assert (least.min, least.max) == (262_145, rows)

    source = f"read_parquet('{path}', hive_partitioning = false)"
    found = duckdb.sql(
        f"SELECT count(*), count(DISTINCT id), sum(price), max(\"at\")::VARCHAR FROM {source} WHERE label = 'odd'"
    ).fetchall()
    odd = range(1, rows + 1, 2)
    assert found == [(len(odd), len(odd), Decimal(sum(odd)) / 100, "2017-09-08 02:59:59")]
    chunks = duckdb.sql(f"SELECT DISTINCT compression, bloom_filter_offset FROM parquet_metadata('{path}')").fetchall()
    assert chunks == [("ZSTD", None)]
