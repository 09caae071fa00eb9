"""Counts the rows of a part and checks its columns, with a reader of its format."""

from __future__ import annotations

import csv
import gzip
import io
import json
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import pyarrow
import pyarrow.parquet


class Unreadable(Exception):
    """The part is not a file of its format, or not with these columns."""


def count(path: Path, file_format: dict[str, Any], columns: list[str]) -> int:
    """Returns the number of rows of a part, every one of which is read."""
    ((name, options),) = file_format.items()
    try:
        if name == "parquet":
            return _parquet(path, columns)
        with _text(path, options) as file:
            return _csv(file, options, columns) if name == "csv" else _jsonl(file, columns)
    except (pyarrow.ArrowException, OSError, EOFError, ValueError, csv.Error, zlib.error) as error:
        raise Unreadable(f"{name}: {error}") from error


def _parquet(path: Path, columns: list[str]) -> int:
    with pyarrow.parquet.ParquetFile(path) as file:
        found = file.schema_arrow.names
        if found != columns:
            raise Unreadable(f"its columns are {found}")
        read = sum(batch.num_rows for batch in file.iter_batches())
        if read != file.metadata.num_rows:
            raise Unreadable(f"its footer says {file.metadata.num_rows} rows and {read} can be read")
        return read


@contextmanager
def _text(path: Path, options: dict[str, Any]) -> Iterator[TextIO]:
    if options["compression"] == "gzip":
        with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
            yield file
    elif options["compression"] == "zstd":
        with pyarrow.input_stream(path, compression="zstd") as packed:
            yield io.TextIOWrapper(packed, encoding="utf-8", newline="")
    else:
        with path.open(encoding="utf-8", newline="") as file:
            yield file


def _csv(file: TextIO, options: dict[str, Any], columns: list[str]) -> int:
    csv.field_size_limit(sys.maxsize)
    quoting = csv.QUOTE_NONE if options["quote"] == "none" else csv.QUOTE_MINIMAL
    reader = csv.reader(file, delimiter=options["delimiter"], quoting=quoting, strict=True)
    if options["line_breaks"] == "escape":
        columns = [name.replace("\\", "\\\\") for name in columns]
    if options["header"] and (header := next(reader, None)) != columns:
        raise Unreadable(f"its header is {header}")
    rows = 0
    for rows, row in enumerate(reader, start=1):
        if len(row) != len(columns):
            raise Unreadable(f"row {rows} has {len(row)} fields instead of {len(columns)}")
    return rows


def _jsonl(file: TextIO, columns: list[str]) -> int:
    rows = 0
    for rows, line in enumerate(_lines(file), start=1):
        found = list(json.loads(line))
        if found != columns:
            raise Unreadable(f"row {rows} has the keys {found}")
    return rows


def _lines(file: TextIO) -> Iterator[str]:
    """Yields lines that end with a line feed, as the last one must too."""
    for line in file:
        if not line.endswith("\n"):
            raise Unreadable("its last line has no end")
        yield line
