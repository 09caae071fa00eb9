"""`make run` as a person starts it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest
from conftest import Table

from local.deploy import ROOT
from local.sandbox import Sandbox
from local.source_url import BadUrl, parse


def _make_run(**environment: str) -> subprocess.CompletedProcess[str]:
    settings = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "tests"), **environment}
    return subprocess.run(
        [sys.executable, "-m", "local.run"],
        env=settings,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_tutorial_in_csv_shows_its_lines_and_says_how_to_read_the_files() -> None:
    """What it prints as the command to read the files works as printed."""
    done = _make_run(FORMAT="csv", SETTLE="0")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "    7,newdata,2017-09-07 09:01:00.0000000" in done.stdout
    command = done.stdout.rpartition("Read them: ")[2].strip()
    shown = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert len(shown.splitlines()) == 7


def test_the_tutorial_on_change_tracking_shows_the_delete() -> None:
    """The other scenario; an unknown one is refused."""
    done = _make_run(SCENARIO="change-tracking", FORMAT="csv")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "    3,\\N,\\N,3,D" in done.stdout
    assert "SCENARIO=cdc" in _make_run(SCENARIO="cdc").stdout


def test_a_server_of_ones_own_is_only_read(sandbox: Sandbox, table: Table, tmp_path: Path) -> None:
    """One run, watermarks in the local bucket, the password nowhere."""
    login = sandbox.login
    tables = tmp_path / "tables.json"
    tables.write_text(json.dumps({"tables": [table.spec()]}))
    address = (
        f"{quote(login.username)}:{quote(login.password, safe='')}@{login.host}:{login.port}/{quote(login.dbname)}"
    )
    before = table.watermark()
    done = _make_run(SOURCE_URL=f"sqlserver://{address}", TABLES=str(tables), CA_BUNDLE=str(sandbox.ca_file))
    assert done.returncode == 0, done.stdout + done.stderr
    assert str(table) in done.stdout
    assert login.password not in done.stdout + done.stderr
    assert table.watermark() == before


@pytest.mark.parametrize(
    "url", ["localhost", "sqlserver://h/db", "sqlserver://u:secret@h:x/db", "sqlserver://u:secret@h/d?tls=no"]
)
def test_a_bad_address_is_refused_without_repeating_it(url: str) -> None:
    """It may hold a password."""
    with pytest.raises(BadUrl) as refusal:
        parse(url)
    assert "secret" not in str(refusal.value)
