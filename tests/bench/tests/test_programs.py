"""Tests that the programs of the benchmark work, with few rows and the binaries of tests. Their figures mean nothing
then, but a measurement that nobody has run for a while must not fail when somebody does.
"""

from __future__ import annotations

import os
import subprocess

from local.stack import BINARIES


def _run(program: str, **settings: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("BENCH_", "SQLSERVER_"))}
    command = [str(BINARIES / program)]
    done = subprocess.run(
        command,
        env=environment | {"BENCH_WRITE": "no"} | settings,
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_each_layer_each_format_and_the_lines_of_a_server_are_measured() -> None:
    shown = _run("bench", BENCH_ROWS="1000", BENCH_ONLY="mixed")
    lines = {line.split()[0] for line in shown.splitlines() if "/mixed" in line}
    assert {"drain/mixed/paced", "packets/mixed/16383", "decode/mixed", "build/mixed"} <= lines
    assert {f"{layer}/mixed/{form}" for layer in ("encode", "copy") for form in ("parquet", "csv", "jsonl")} <= lines
    assert {"drain/mixed/server", "copy/mixed/parquet/server", "copy/mixed/sqlserver"} <= lines
    assert shown.count("not told by this server: ") == 3
    assert "written to" not in shown


def test_each_function_is_started_and_answers() -> None:
    shown = _run("start-up", BENCH_STARTS="1")
    lines = {line.split()[0] for line in shown.splitlines() if line.startswith("start/")}
    steps = ("lookup-old-watermark", "lookup-new-watermark", "copy-delta", "update-watermark")
    assert lines == {f"start/{step}/{what}" for step in steps for what in ("first-poll", "cold", "warm")}
