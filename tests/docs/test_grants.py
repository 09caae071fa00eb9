"""Runs infra/sql/grants.sql as its own head says, on the stand-in."""

from __future__ import annotations

import re
from pathlib import Path

import pymssql
import pytest

from docs.blocks import ROOT
from local.sandbox import Sandbox
from local.stack import BINARIES

GRANTS = (ROOT / "infra/sql/grants.sql").read_text()
CONTROL_TABLE = (ROOT / "infra/sql/control-table.sql").read_text()
TABLES = """CREATE SCHEMA sales
GO
CREATE TABLE dbo.orders (id int PRIMARY KEY)
CREATE TABLE sales.invoice_line (id int PRIMARY KEY)
CREATE TABLE dbo.customer (id int PRIMARY KEY)
GO
"""
CHANGE_TRACKING = "Only with change tracking"
CONTROL = "Only with WatermarkStore=sql"
POLICIES = "Only where the database has security policies"


def _batches(script: str) -> list[str]:
    batches = re.split(r"^GO$", script, flags=re.MULTILINE)
    return [batch for batch in batches if re.search(r"^(?!--)\s*\S", batch, re.MULTILINE)]


def _with(part: str) -> str:
    """Returns the script without the comment signs of the statements below this head."""
    before, head, rest = GRANTS.partition(f"-- {part}")
    assert head, part
    text, end, after = rest.partition("\nGO\n")
    return before + head + re.sub(r"^-- (?=GRANT )", "", text, flags=re.MULTILINE) + end + after


def _runs(sandbox: Sandbox, script: str) -> None:
    for batch in _batches(script):
        sandbox.execute(batch)


@pytest.mark.parametrize("part", ["", CHANGE_TRACKING, CONTROL, POLICIES])
def test_the_grants_run_as_they_are_and_with_each_part(tmp_path: Path, part: str) -> None:
    """Nothing that only some deployments have is granted unless its comment signs are removed."""
    sandbox = Sandbox(BINARIES / "tidemark-sandbox", tmp_path, "")
    try:
        _runs(sandbox, TABLES)
        if part == CONTROL:
            _runs(sandbox, CONTROL_TABLE)
        _runs(sandbox, _with(part) if part else GRANTS)
        login = sandbox.login
        reader = pymssql.connect(
            server=login.host,
            port=str(login.port),
            user="tidemark",
            password="<a long random password>",
            database=login.dbname,
        )
        may = reader.cursor()
        may.execute("SELECT id FROM dbo.orders")
        may.execute("SELECT id FROM sales.invoice_line")
        if part == CONTROL:
            may.execute("EXEC dbo.tidemark_write_watermark N'1', N'dbo.orders', NULL")
            may.execute("SELECT WatermarkValue FROM dbo.tidemark_watermark")
            assert may.fetchall() == [("1",)]
        may.execute("SELECT HAS_PERMS_BY_NAME(NULL, N'DATABASE', N'VIEW DEFINITION')")
        assert may.fetchall() == [(int(part == POLICIES),)]
        if part == CHANGE_TRACKING:
            may.execute("SELECT id FROM dbo.customer")
        else:
            with pytest.raises(pymssql.Error, match="permission"):
                may.execute("SELECT id FROM dbo.customer")
        with pytest.raises(pymssql.Error, match="permission"):
            may.execute("INSERT INTO dbo.orders VALUES (1)")
        reader.close()
    finally:
        sandbox.stop()


def test_the_part_with_change_tracking_grants_both_rights() -> None:
    """SQL Server says that a table is not tracked to a login that lacks one."""
    part = _with(CHANGE_TRACKING)
    assert "\nGRANT SELECT ON OBJECT::dbo.customer" in part
    assert "\nGRANT VIEW CHANGE TRACKING ON OBJECT::dbo.customer" in part
