"""Tests of what the benchmarks count and write: the table of other programs, the machine, and the requests of a run."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

import pytest

from local import peers
from local.aws import requests_in
from local.machine import machine
from local.peers import Bench, Program, Used
from local.source_url import parse

URL = "sqlserver://reader:secret@server/db?tls=verify"


def _bench(rows: int) -> Bench:
    return Bench(parse(URL), rows, Path("/nowhere"))


def test_the_table_says_the_command_the_machine_the_load_and_each_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_ROUNDS", "5")
    monkeypatch.setenv("BENCH_ONLY", "server")
    tidemark = Program("Tidemark", (), used=[Used(1.0, 3, 60, 50), Used(3.0, 3, 80, 50), Used(2.0, 3, 70, 50)])
    peer = Program("peer", ("peer-cli==1.2.3", "other==9"), used=[Used(5.0, 9, 200, 60)] * 3)
    skipped = Program("gone", ("gone==7",), skipped="not installed: no such package")
    caption, _, *lines = peers.table([tidemark, peer, skipped], _bench(2_000_000), "a server", "1.0 to 2.5").split("\n")
    assert caption.startswith(
        "`SQLSERVER_URL=… BENCH_ROWS=2000000 BENCH_ROUNDS=5 BENCH_ONLY=server make bench`, ",
    )
    assert f", {machine()}, load 1.0 to 2.5. The server was a server. Each program ran 3 times" in caption
    assert "secret" not in caption
    assert lines[2:] == [
        "| Tidemark | 1.00 | 70 | 50 | 1.0 |",
        "| peer 1.2.3 | 2.50 | 200 | 60 | 2.5 |",
        "| gone 7 | SKIPPED: not installed: no such package | | | |",
    ]


def test_the_command_names_only_what_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BENCH_ROUNDS", raising=False)
    monkeypatch.delenv("BENCH_ONLY", raising=False)
    caption = peers.table([Program("Tidemark", (), used=[Used(1, 1, 1, 1)])], _bench(1_000), "s", "1").split("\n")[0]
    assert caption.startswith("`SQLSERVER_URL=… BENCH_ROWS=1000 BENCH_ROUNDS=3 make bench`, ")


def test_the_page_keeps_everything_but_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "performance.md"
    page.write_text(f"before\n\n{peers.BEGIN}\n\nold\n\n{peers.END}\n\nafter\n")
    monkeypatch.setattr(peers, "PAGE", page)
    for text in ("| new |", "| newer |"):
        peers.write(text)
        assert page.read_text() == f"before\n\n{peers.BEGIN}\n\n{text}\n\n{peers.END}\n\nafter\n"
    page.write_text("before\n")
    with pytest.raises(ValueError, match="no place for the table"):
        peers.write("| lost |")
    assert page.read_text() == "before\n"


def test_nothing_that_is_written_by_hand_stands_where_the_table_is_written() -> None:
    written = peers.PAGE.read_text().partition(peers.BEGIN)[2].partition(peers.END)[0]
    for line in filter(None, written.splitlines()):
        assert line.startswith(("|", "`SQLSERVER_URL=")), line


def test_the_machine_is_named_by_its_processor_or_by_what_is_known(tmp_path: Path) -> None:
    cpus = tmp_path / "cpuinfo"
    cpus.write_text("processor\t: 0\nmodel name\t: Some CPU @ 3.00GHz\nmodel name\t: Some CPU @ 3.00GHz\n")
    rest = f"{platform.machine()}, {os.cpu_count()} cores"
    assert machine(cpus) == f"Some CPU @ 3.00GHz, {rest}"
    assert machine(tmp_path / "missing") == f"a processor without a name, {rest}"


def test_requests_to_a_bucket_are_counted_by_their_methods_and_others_are_not() -> None:
    log = "s3 GET /lake/a\ns3 GET /lake?list-type=2\ns3 PUT /lake/b\ns3 PUT /lake-of-others/b\nWARNING s3 GET /lake/c\n"
    assert requests_in(log, "lake") == {"GET": 2, "PUT": 1}


def test_the_help_of_make_names_the_defaults_of_a_first_load() -> None:
    makefile = (peers.ROOT / "Makefile").read_text()
    program = (peers.ROOT / "tests/local/first_load.py").read_text()
    pace = re.search(r"(?m)^PACE = ([0-9_]+)$", program)
    slices = re.search(r'"BENCH_SLICES", "([0-9 ]+)"', program)
    assert pace and slices
    assert f'BENCH_SLICES="{slices[1]}": slices at once' in makefile
    assert f"rows/s of a connection ({pace[1].replace('_', '')}, 0 " in makefile
