"""Other people's readers of CSV and JSON lines: each takes a folder and returns the rows of all its files as one table.

They find the types of columns by themselves, except those that are declared: by name, `int` or `text`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Rows = list[dict[str, Any]]
Types = dict[str, str]
NULL = "\\N"
"""The text of NULL in the files that these read as CSV."""


def _files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("part-*") if file.is_file())


def _duckdb(source: str) -> Rows:
    import duckdb

    found = duckdb.sql(f"FROM {source}")
    return [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]


def duckdb_csv(folder: Path, types: Types) -> Rows:
    declared = ", ".join(f"'{name}': '{'BIGINT' if kind == 'int' else 'VARCHAR'}'" for name, kind in types.items())
    return _duckdb(
        f"read_csv('{folder}/**/part-*.csv', union_by_name = true, nullstr = '{NULL}', header = true, "
        f"allow_quoted_nulls = false, hive_partitioning = false{f', types = {{{declared}}}' if types else ''})"
    )


def duckdb_json(folder: Path, _types: Types) -> Rows:
    return _duckdb(f"read_json('{folder}/**/part-*.jsonl', union_by_name = true, hive_partitioning = false)")


def _arrow(tables: list[Any]) -> Rows:
    import pyarrow

    return pyarrow.concat_tables(tables, promote_options="default").to_pylist()


def pyarrow_csv(folder: Path, types: Types) -> Rows:
    import pyarrow
    from pyarrow.csv import ConvertOptions, ParseOptions, read_csv

    convert = ConvertOptions(
        null_values=[NULL],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
        column_types={name: pyarrow.int64() if kind == "int" else pyarrow.string() for name, kind in types.items()},
    )
    parse = ParseOptions(newlines_in_values=True)
    return _arrow([read_csv(file, convert_options=convert, parse_options=parse) for file in _files(folder)])


def pyarrow_json(folder: Path, _types: Types) -> Rows:
    from pyarrow.json import read_json

    return _arrow([read_json(file) for file in _files(folder)])


def _polars(frames: list[Any]) -> Rows:
    import polars

    return polars.concat(frames, how="diagonal").to_dicts()


def _polars_types(types: Types) -> dict[str, Any]:
    import polars

    return {name: polars.Int64 if kind == "int" else polars.String for name, kind in types.items()}


def polars_csv(folder: Path, types: Types) -> Rows:
    import polars

    declared = _polars_types(types)
    return _polars([polars.read_csv(file, null_values=[NULL], schema_overrides=declared) for file in _files(folder)])


def polars_json(folder: Path, types: Types) -> Rows:
    import polars

    return _polars([polars.read_ndjson(file, schema_overrides=_polars_types(types)) for file in _files(folder)])


def _clickhouse(folder: Path, end: str, form: str, types: Types) -> Rows:
    import chdb

    settings = "SETTINGS schema_inference_mode = 'union', input_format_csv_allow_variable_number_of_columns = 1"
    settings += ", output_format_json_quote_64bit_integers = 0, output_format_json_quote_decimals = 1"
    kinds = {"int": "Nullable(Int64)", "text": "Nullable(String)"}
    declared = ", ".join(f"{name} {kinds[kind]}" for name, kind in {"id": "int", **types}.items())
    structure = f", '{declared}'" if types else ""
    answer = chdb.query(f"SELECT * FROM file('{folder}/**/part-*.{end}', {form}{structure}) {settings}", "JSON")
    return json.loads(str(answer))["data"]


def clickhouse_csv(folder: Path, types: Types) -> Rows:
    return _clickhouse(folder, "csv", "CSVWithNames", types)


def clickhouse_json(folder: Path, types: Types) -> Rows:
    return _clickhouse(folder, "jsonl", "JSONEachRow", types)


TEXT_READERS: dict[str, dict[str, Callable[[Path, Types], Rows]]] = {
    "csv": {"DuckDB": duckdb_csv, "pyarrow": pyarrow_csv, "polars": polars_csv, "ClickHouse": clickhouse_csv},
    "jsonl": {"DuckDB": duckdb_json, "pyarrow": pyarrow_json, "polars": polars_json, "ClickHouse": clickhouse_json},
}
