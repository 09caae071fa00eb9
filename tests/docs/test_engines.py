"""Compares the statements for an engine that a page shows with those that `tidemark sql` writes."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

from docs.blocks import every
from local.sandbox import Sandbox
from local.stack import BINARIES

TABLE = """ALTER DATABASE tidemark SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 7 DAYS, AUTO_CLEANUP = ON)
CREATE TABLE dbo.data_source_table (PersonID int NOT NULL PRIMARY KEY, Name varchar(255), Age int)
ALTER TABLE dbo.data_source_table ENABLE CHANGE_TRACKING
INSERT INTO dbo.data_source_table VALUES (1, 'aaaa', 21)
"""


def test_the_statements_for_athena_are_those_that_the_command_writes(tmp_path: Path) -> None:
    """The page has the place of a bucket where a run of this test has a folder."""
    [block] = [block for block in every() if "athena" in block.tags]
    sandbox = Sandbox(BINARIES / "tidemark-sandbox", tmp_path / "server", TABLE)
    try:
        login = sandbox.login
        tables = {"tables": [{"table": "dbo.data_source_table", "tracking": {"change_tracking": {}}}]}
        (tmp_path / "tables.json").write_text(json.dumps(tables))
        environment = os.environ | {
            "TIDEMARK_SOURCE": f"sqlserver://{login.username}@{login.host}:{login.port}/{login.dbname}",
            "TIDEMARK_PASSWORD": login.password,
            "SSL_CERT_FILE": str(sandbox.ca_file),
        }
        said = ""
        for verb in (["run"], ["sql", "athena", "dbo.data_source_table"]):
            command = [BINARIES / "tidemark", *verb]
            said = subprocess.run(
                command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
            ).stdout
    finally:
        sandbox.stop()
    said = re.sub(r"LOCATION '.*/(dbo\.)", r"LOCATION 's3://my-bucket/tidemark/\1", said)
    said = re.sub(r"^--.*\n", "", said)
    assert block.text.split() == said.split()
