"""Follows the pages whose blocks are tagged `run`, from the first block to the last, on the stand-in."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import duckdb
import pytest

from docs.blocks import Block, of_page, pages
from local.sandbox import Sandbox
from local.stack import BINARIES

RUN = [page for page in pages() if any("run" in block.tags for block in of_page(page))]


class Reader:
    """A reader who does what a page says, with a server, a folder to work in, and the output of the last block."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "work"
        self.folder.mkdir()
        self.sandbox = Sandbox(BINARIES / "tidemark-sandbox", folder / "server", "")
        self.last = ""
        login = self.sandbox.login
        self._environment = {
            "PATH": f"{BINARIES}:{os.environ['PATH']}",
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "TIDEMARK_SOURCE": f"sqlserver://{login.username}@{login.host}:{login.port}/{login.dbname}",
            "TIDEMARK_PASSWORD": login.password,
            "SSL_CERT_FILE": str(self.sandbox.ca_file),
        }

    def does(self, block: Block) -> None:
        """Does what a block says, or compares it with the output of the block before."""
        if {"tables", "file"} <= block.tags:
            (self.folder / "tables.json").write_text(block.text)
        elif block.language == "json" and "tables" in block.tags and (self.folder / "tables.json").exists():
            assert json.loads(block.text) == json.loads((self.folder / "tables.json").read_text()), block
        elif block.language == "console" and "run" in block.tags:
            self.last = "".join(self._types(block, command) for command in block.commands())
        elif block.language == "sql" and {"duckdb", "run"} <= block.tags:
            self.last = _rows(self._asks_duckdb(block.text))
        elif block.language == "sql" and "run" in block.tags:
            self._asks_server(block.text)
        elif block.language == "text" and block.tags & {"output", "rows"}:
            _compare(block, self.last)

    def _types(self, block: Block, command: str) -> str:
        ran = subprocess.run(
            ["sh", "-c", command],
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert ran.returncode == 0, f"{block}: {command}\n{ran.stdout}\n{ran.stderr}"
        return ran.stdout + ran.stderr

    def _asks_server(self, text: str) -> None:
        for batch in re.split(r"^GO$", text, flags=re.MULTILINE):
            if batch.lstrip().upper().startswith("SELECT"):
                self.last = _rows(self.sandbox.query(batch))
            else:
                self.sandbox.execute(batch)

    def _asks_duckdb(self, query: str) -> list[tuple[Any, ...]]:
        connection = duckdb.connect()
        connection.execute((self.folder / "views.sql").read_text())
        return connection.execute(query).fetchall()


def _rows(rows: list[tuple[Any, ...]]) -> str:
    return "\n".join(" | ".join(str(value) for value in row) for row in rows)


def _compare(block: Block, given: str) -> None:
    """Finds each line of the page in the output, one after the other. `…` stands for anything."""
    lines = [" ".join(line.split()) for line in given.splitlines()]
    at = 0
    for expected in (" ".join(line.split()) for line in block.text.splitlines()):
        if expected in ("", "…"):
            continue
        pattern = re.compile(".*".join(re.escape(part) for part in expected.split("…")))
        found = next((number for number in range(at, len(lines)) if pattern.fullmatch(lines[number])), None)
        assert found is not None, f"{block}: {expected!r} is not in\n{given}"
        at = found + 1


@pytest.mark.parametrize("page", [pytest.param(page, id=page.stem) for page in RUN])
def test_a_page_can_be_followed(page: Path, tmp_path: Path) -> None:
    """Every tagged block of it works, in its order, and gives the output that it shows."""
    reader = Reader(tmp_path)
    try:
        for block in of_page(page):
            reader.does(block)
    finally:
        reader.sandbox.stop()


def test_the_tutorials_are_among_the_pages_that_are_run() -> None:
    """A tag that is forgotten must not leave a tutorial untested."""
    assert {"laptop", "azure-one-table", "azure-change-tracking"} <= {page.stem for page in RUN}
