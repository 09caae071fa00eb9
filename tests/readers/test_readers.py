"""Tests files of the real encoder with other people's readers, and compares value by value."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from typing import Any

import matrix
import pytest
from cases import TYPES, File, file_of, write
from readers import READERS, spark
from text_readers import TEXT_READERS

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "types.md"
WRITER = Path(os.environ.get("READERS_WRITER", "target/debug/tidemark-readers"))
SPARK_PYTHONS = dict(
    item.strip().split("=", 1) for item in os.environ.get("SPARK_PYTHONS", "").split(";") if item.strip()
)
"""The Python of each Spark, by its name in the matrix."""
WITH_SPARK = SPARK_PYTHONS or [pytest.param("none", marks=pytest.mark.skip(reason="make test-readers has Spark"))]

NATIVE = {"`uniqueidentifier`, native", "`time(0)`, native", "`time(7)`, native"}
OTHERS = {"fastparquet": {"as float", "as timestamp"}, "ClickHouse": {"as instant"}}
"""The types that a reader has otherwise: fastparquet has decimals as floats and dates as points in time, and ClickHouse
has points in time without a zone in UTC.
"""


def edges(*names: str) -> dict[str, tuple[str, list[Any]]]:
    """Returns a column for each type, with the values of its first line."""
    kinds = {kind.name: kind for kind in reversed(TYPES)}
    return {f"c{place}": (name, [edge.wire for edge in kinds[name].edges]) for place, name in enumerate(names)}


CODECS = ["zstd", "snappy", "gzip", "none"]


def _codec(name: str) -> File:
    return file_of(TYPES[3], f"codec-{name}", format={"parquet": {"compression": name}})


NAMES = [
    "a b",
    "a.b",
    'say "no"',
    "it's",
    "`tick`",
    "one\ntwo",
    "tab\there",
    "😀",
    "größe",
    "a,b;c{d}(e)=f",
    "a/b",
    "[x]]",
    "select",
    "1st",
]
"""The names of columns, as SQL Server takes them in brackets."""
NAMES.append("n" * 128)


def _names(folder: str, **settings: Any) -> File:
    columns = {name: ("int", [{"int": place}]) for place, name in enumerate(NAMES)}
    expected = {name: [("int", str(place))] for place, name in enumerate(NAMES)}
    return File(folder, columns, expected, settings)


TEXT = edges("bigint", "decimal(38,10)", "varchar(20)", "nvarchar(40)", "date", "datetime2(7)", "datetimeoffset(7)")


def _all_files() -> list[File]:
    files = [line.file for line in matrix.lines()]
    files += [_codec(name) for name in CODECS]
    files += [_names("names"), _names("names-jsonl", format="jsonl"), _names("names-csv", format="csv")]
    plain = {"header": True, "null": "\\N"}
    for name, settings in {
        "jsonl": {"format": "jsonl"},
        "csv": {"format": "csv"},
        "csv-escape": {"format": {"csv": plain | {"line_breaks": "escape"}}},
        "csv-space": {"format": {"csv": plain | {"line_breaks": "space"}}},
    }.items():
        files.append(File(name, TEXT, settings=settings))
    return files


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a folder with every file."""
    root = tmp_path_factory.mktemp("files")
    write(WRITER, root, _all_files())
    return root


@pytest.fixture(scope="session")
def cells(root: Path) -> dict[str, dict[str, str]]:
    """Returns what was read, and for a Spark that is not here the cells of the page."""
    page = matrix.on_page(PAGE.read_text())
    cells = matrix.measure(root)
    folders = [{"path": str(root / line.file.folder)} for line in matrix.lines()]
    for name in matrix.SPARKS:
        if name in SPARK_PYTHONS:
            column = matrix.with_spark(root, name, spark(Path(SPARK_PYTHONS[name]), folders))
        else:
            column = {label: row.get(name, "?") for label, row in page.items()}
        for label, row in cells.items():
            row[name] = column.get(label, "?")
    return cells


def test_the_matrix_of_the_page_is_what_readers_read(cells: dict[str, dict[str, str]]) -> None:
    """`UPDATE_MATRIX=1` writes it."""
    page = PAGE.read_text()
    if os.environ.get("UPDATE_MATRIX"):
        PAGE.write_text(matrix.replaced(page, cells))
    else:
        assert matrix.on_page(page) == cells, "docs/reference/types.md is stale: UPDATE_MATRIX=1 make test-readers"


def test_every_reader_has_every_portable_value(cells: dict[str, dict[str, str]]) -> None:
    """The exceptions are readers that have some types as others, whatever the file says."""
    bad = {
        (label, name): cell
        for label, row in cells.items()
        for name, cell in row.items()
        if label not in NATIVE and cell not in {"yes", "?"} | OTHERS.get(name, set())
    }
    assert not bad


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("codec", CODECS)
def test_every_codec_is_read(root: Path, codec: str, reader: str) -> None:
    file = _codec(codec)
    assert matrix.judge(file.expected, lambda: READERS[reader](root / file.folder)) == "yes"


@pytest.mark.parametrize("reader", READERS)
def test_columns_of_any_name_are_read(root: Path, reader: str) -> None:
    file = _names("names")
    assert matrix.judge(file.expected, lambda: READERS[reader](root / "names")) == "yes"


@pytest.mark.parametrize("version", WITH_SPARK)
def test_spark_reads_columns_of_any_name(root: Path, version: str) -> None:
    answers = spark(Path(SPARK_PYTHONS[version]), [{"path": str(root / "names")}])
    assert matrix.judge(_names("names").expected, lambda: answers[str(root / "names")]) == "yes"


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
@pytest.mark.parametrize("reader", TEXT_READERS["csv"])
def test_columns_of_any_name_are_read_from_lines(root: Path, kind: str, reader: str) -> None:
    row = TEXT_READERS[kind][reader](root / f"names-{kind}", {})[0]
    names = NAMES
    if (reader, kind) == ("polars", "csv"):
        # polars leaves the quotes of a header's names as they are in the file.
        names = [name.replace('"', '""') for name in NAMES]
    assert [(name, int(value)) for name, value in row.items()] == [("id", 1), *((n, p) for p, n in enumerate(names))]


def _expected_text(name: str) -> list[str]:
    place = [sql_type for sql_type, _ in TEXT.values()].index(name)
    wires = list(TEXT.values())[place][1]
    return [wire["text"] for wire in wires]


def test_json_lines_have_exact_numbers_for_every_engine(root: Path) -> None:
    import duckdb
    import polars
    import pyarrow.json

    path = root / "jsonl" / "part-00000.jsonl"
    expected = [-(2**63), 2**63 - 1, 2**53 + 1, None, None]
    by_json = [json.loads(line)["c0"] for line in path.read_text().splitlines()]
    by_duckdb = [row[0] for row in duckdb.sql(f"SELECT c0 FROM read_json('{path}') ORDER BY id").fetchall()]
    by_arrow = pyarrow.json.read_json(path).column("c0").to_pylist()
    by_polars = polars.read_ndjson(path)["c0"].to_list()
    assert by_json == by_duckdb == by_arrow == by_polars == expected


def test_csv_texts_are_the_same_in_clickhouse_duckdb_and_python(root: Path) -> None:
    """Blanks at the ends, `\\N` and `NULL` are texts. The offset is one that DuckDB casts."""
    import chdb
    import duckdb

    path = root / "csv" / "part-00000.csv"
    expected = _expected_text("varchar(20)")
    by_clickhouse = chdb.query(
        f"SELECT c2 FROM file('{path}', CSVWithNames, 'id Int32, c0 Nullable(Int64), "
        "c1 Nullable(String), c2 Nullable(String), c3 Nullable(String), c4 Nullable(String), c5 Nullable(String), "
        "c6 Nullable(String)') ORDER BY id",
        "JSONCompact",
    )
    found = [row[0] for row in json.loads(str(by_clickhouse))["data"]]
    assert found[: len(expected)] == expected
    rows = duckdb.sql(
        f"SELECT c2, CAST(c6 AS TIMESTAMPTZ) FROM read_csv('{path}', header = true, all_varchar = true, "
        "allow_quoted_nulls = false) ORDER BY CAST(id AS INT)"
    )
    found = rows.fetchall()
    assert [row[0] for row in found][: len(expected)] == expected
    assert found[0][1] is not None
    with path.open(newline="") as file:
        assert [row["c2"] for row in csv.DictReader(file, strict=True)][: len(expected)] == expected


@pytest.mark.parametrize("folder", ["csv-escape", "csv-space"])
def test_a_reader_of_lines_finds_as_many_lines_as_rows(root: Path, folder: str) -> None:
    """Hive and Athena split lines in this way, before they look at quotes."""
    lines = (root / folder / "part-00000.csv").read_bytes().split(b"\n")
    assert lines.pop() == b""
    assert len(lines) == 1 + max(len(values) for _, values in TEXT.values())
    assert not any(b"\r" in line for line in lines)


def test_escaped_texts_can_be_had_back(root: Path) -> None:
    with (root / "csv-escape" / "part-00000.csv").open(newline="") as file:
        found = [row["c3"] for row in csv.DictReader(file, strict=True)]
    back = [_unescaped(text) for text in found if text != "\\N"]
    assert back == _expected_text("nvarchar(40)")


def _unescaped(text: str) -> str:
    characters = iter(text)
    names = {"n": "\n", "r": "\r", "\\": "\\"}
    return "".join(names[next(characters)] if one == "\\" else one for one in characters)
