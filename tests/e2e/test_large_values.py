"""Tests values of several megabytes, copied by the binary as a process of its own, so that its memory can be
measured.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from conftest import Table

from local import objects
from local.deploy import Deployment
from local.process import peak_memory
from local.stack import BINARIES

MB = 1 << 20
VALUE = 4 * MB
"""The characters of the text and the bytes of the binary value in one row."""


def _by_hand(step: str, environment: dict[str, str], event: dict[str, Any], folder: Path) -> tuple[dict[str, Any], int]:
    """Runs a step by hand. Returns its answer, and the most memory that it had, in bytes."""
    file = folder / f"{step}.json"
    file.write_text(json.dumps(event))
    with (folder / f"{step}.out").open("w+") as out, (folder / f"{step}.err").open("w+") as err:
        child = subprocess.Popen([BINARIES / step, file], env=environment, stdout=out, stderr=err)
        memory = 0
        while child.poll() is None:
            memory = max(memory, peak_memory(child.pid))
            time.sleep(0.02)
        out.seek(0)
        err.seek(0)
        assert child.returncode == 0, err.read()
        return json.loads(out.read()), memory


def _copy(deployment: Deployment, table: Table, file_format: str, folder: Path) -> tuple[str, int]:
    """Copies the whole table under a prefix of its own. Returns the key of its part, and the memory of copy-delta."""
    folder.mkdir()
    shared = {"PATH": os.environ["PATH"], "SINK_PREFIX": f"large/{file_format}"}
    found = {step: settings | shared for step, settings in deployment.environments().items()}
    tracking = {"watermark": {"column": "id", "settle_seconds": 0}}
    spec = {"table": str(table), "tracking": tracking, "format": file_format}
    event = {"run_id": "by-hand", "tables": [spec]}
    looked_up, _ = _by_hand("lookup-old-watermark", found["lookup-old-watermark"], event, folder)
    event = {"run_id": "by-hand", "tables": looked_up["tables"]}
    planned, _ = _by_hand("lookup-new-watermark", found["lookup-new-watermark"], event, folder)
    assert [window["window"] for window in planned["windows"]] == ["initial"], planned
    window = {"run_id": "by-hand", "table": str(table), "window": "initial"}
    copied, memory = _by_hand("copy-delta", found["copy-delta"], window | {"slice": 0}, folder)
    committed, _ = _by_hand("update-watermark", found["update-watermark"], window, folder)
    assert committed["rows"] == copied["rows"]
    return str(copied["key"]), memory


@pytest.fixture
def filled(new_table: Callable[[], Table]) -> Iterator[Callable[[int], Table]]:
    """Yields a function that makes tables of so many large rows, which are dropped afterwards."""
    made = []

    def make(rows: int) -> Table:
        table = new_table()
        made.append(table)
        table.sandbox.execute(f"CREATE TABLE {table} (id int NOT NULL, t nvarchar(max), b varbinary(max))")
        for row in range(1, rows + 1):
            text = f"REPLICATE(CAST(N'{_letter(row)}bcdefgh' AS nvarchar(max)), {VALUE // 8})"
            binary = f"CAST(REPLICATE(CAST('{row:08}' AS varchar(max)), {VALUE // 8}) AS varbinary(max))"
            table.sandbox.execute(f"INSERT INTO {table} VALUES ({row}, {text}, {binary})")
        return table

    yield make
    for table in made:
        table.sandbox.execute(f"DROP TABLE {table}")


def _letter(row: int) -> str:
    return chr(0x430 + row)


@pytest.mark.timeout(600)
def test_memory_is_that_of_a_few_values_however_many_there_are(
    s3_deployment: Deployment, filled: Callable[[int], Table], tmp_path: Path
) -> None:
    """Rows are of a dozen megabytes. What is read, waits and is encoded at once counts, and not what was before.

    Four rows are on their way at most: one that is read, two that wait and one that is encoded. The smaller table has
    more, so that all places are taken in both, whichever of reader, encoder and upload is slow.
    """
    few, many = filled(5), filled(10)
    for file_format in ("parquet", "jsonl"):
        _, memory_few = _copy(s3_deployment, few, file_format, tmp_path / f"{file_format}-few")
        key, memory = _copy(s3_deployment, many, file_format, tmp_path / f"{file_format}-many")
        assert memory < memory_few * 1.25, f"{file_format}: {memory_few // MB} MB for 5 rows, {memory // MB} MB for 10"
        (path,) = objects.download(s3_deployment, [key], tmp_path)
        if file_format == "parquet":
            _check_parquet(path)
        else:
            lines = path.read_bytes().splitlines()
            for row, line in enumerate(lines, start=1):
                assert line.count(f"{_letter(row)}bcdefgh".encode()) == VALUE // 8


def _check_parquet(path: Path) -> None:
    file = pyarrow.parquet.ParquetFile(path)
    assert file.metadata.num_rows == 10
    # Statistics do not repeat the values.
    assert file.metadata.serialized_size < 64 * 1024
    for batch in file.iter_batches(batch_size=1):
        (row,) = batch.to_pylist()
        assert row["t"] == f"{_letter(row['id'])}bcdefgh" * (VALUE // 8)
        assert row["b"] == f"{row['id']:08}".encode() * (VALUE // 8)
