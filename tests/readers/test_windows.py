"""Tests windows in the readers: masks, an audit, and other decimals."""

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
"""The readers that have decimals as floats and points in time without a zone."""


def _hash(text: str) -> str:
    return hmac.new(KEY, text.encode(), hashlib.sha256).hexdigest()


def _expected(number: int) -> dict[str, Any]:
    """Returns a masked row, except for its point in time."""
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


FORMATS: dict[str, Any] = {"jsonl": "jsonl", "csv": {"csv": {"null": "\\N"}}}


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a folder with every file."""
    root = tmp_path_factory.mktemp("windows")
    files = [File("masked", MASKED, settings=MASKS)]
    files += [File(f"masked-{kind}", MASKED, settings=MASKS | {"format": form}) for kind, form in FORMATS.items()]
    files += [file_of(kind, f"fixed-{number}", **FIXED) for number, kind in enumerate(DECIMALS)]
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
