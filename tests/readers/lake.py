"""Folders that the command `tidemark` writes from a stand-in of SQL Server, run after run."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BINARIES = Path(os.environ.get("BINARIES", "target/debug"))


@contextmanager
def server(folder: Path, script: str) -> Iterator[dict[str, str]]:
    """Yields the environment of a command that reads from a stand-in on which this script was run."""
    init, ready = folder / "init.sql", folder / "ready.json"
    init.write_text(script)
    ready.unlink(missing_ok=True)
    listen = [str(BINARIES.resolve() / "tidemark-sandbox"), "--init", str(init), "--ready-file", str(ready)]
    process = subprocess.Popen(listen, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30
        while not ready.exists() or not ready.read_text():
            assert process.poll() is None and time.monotonic() < deadline, "the stand-in does not start"
            time.sleep(0.02)
        facts = json.loads(ready.read_text())
        address = f"sqlserver://{facts['username']}@{facts['host']}:{facts['port']}/{facts['dbname']}?tls=trust"
        yield {"PATH": os.environ["PATH"], "TIDEMARK_SOURCE": address, "TIDEMARK_PASSWORD": facts["password"]}
    finally:
        process.terminate()
        process.wait(timeout=10)


@dataclass
class Lake:
    """A folder that the command writes."""

    folder: Path
    environment: dict[str, str]

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs the command, whatever becomes of it."""
        command = [str(BINARIES.resolve() / "tidemark"), *arguments]
        return subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )

    def tidemark(self, *arguments: str) -> str:
        """Runs the command, which must succeed, and returns what it writes."""
        done = self.command(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def statements(self, engine: str, table: str, *more: str) -> dict[str, str]:
        """Returns the statement that describes the files, and the view of the present rows."""
        written = json.loads(self.tidemark("sql", engine, table, "--json", *more))
        return {"ddl": written["ddl"], "view": written["view"]}


def run(folder: Path, script: str, tables: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns the lines that a run writes about the tables of a database that this script makes."""
    (folder / "tables.json").write_text(json.dumps(tables))
    with server(folder, script) as environment:
        done = Lake(folder, environment).command("run", "--json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines, done.stderr
    return lines
