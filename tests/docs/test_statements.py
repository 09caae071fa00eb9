"""Tests `make sql`, which the documentation gives to a reader without a client of SQL Server."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from docs.blocks import ROOT
from local.sandbox import Sandbox
from local.stack import BINARIES

SCRIPT = """CREATE TABLE dbo.t (a int, b varchar(9))
GO
INSERT INTO dbo.t VALUES (1, 'x'), (2, NULL)
go
SELECT a, b FROM dbo.t ORDER BY a
"""


def _run(script: str, login: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "local.statements", "-"]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "tests")} | login
    return subprocess.run(command, input=script, env=environment, capture_output=True, text=True, check=False)


def test_statements_are_run_and_what_is_refused_is_said_without_the_password(tmp_path: Path) -> None:
    """The address and the password are in the two variables that the tutorial sets."""
    sandbox = Sandbox(BINARIES / "tidemark-sandbox", tmp_path, "")
    try:
        it = sandbox.login
        login = {
            "TIDEMARK_SOURCE": f"sqlserver://{it.username}@{it.host}:{it.port}/{it.dbname}",
            "TIDEMARK_PASSWORD": it.password,
        }
        ran = _run(SCRIPT, login)
        assert (ran.returncode, ran.stdout) == (0, "1 | x\n2 | NULL\n"), ran.stderr
        several = _run("SELECT 1; INSERT INTO dbo.t VALUES (3, 'y'); SELECT a FROM dbo.t ORDER BY a", login)
        assert (several.returncode, several.stdout) == (0, "1\n1\n2\n3\n"), several.stderr
        later = _run("SELECT 1; SELECT * FROM dbo.no_such_table", login)
        assert later.returncode == 1 and "208" in later.stderr, later.stdout + later.stderr
        refused = _run("SELECT * FROM dbo.no_such_table", login)
        assert refused.returncode == 1
        assert "208" in refused.stderr
        lost = _run("SELECT 1", {**login, "TIDEMARK_SOURCE": "db.example.com"})
        assert lost.returncode == 1
        assert "sqlserver://user@host:port/database" in lost.stderr
        assert it.password not in refused.stderr + lost.stderr
    finally:
        sandbox.stop()
