"""Tests the five setups of examples/: their files are valid, and what can run here is run."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import cloudformation
import duckdb
import jsonschema
import pytest
import yaml

from docs.blocks import ROOT
from local.sandbox import Sandbox
from local.stack import BINARIES

EXAMPLES = sorted(path.parent for path in (ROOT / "examples").glob("*/README.md"))
TABLES = (
    "CREATE TABLE dbo.orders (order_id int IDENTITY PRIMARY KEY, customer varchar(40) NOT NULL,"
    " amount decimal(9,2) NOT NULL, row_version rowversion NOT NULL)",
    "CREATE TABLE dbo.customer (customer_id int NOT NULL PRIMARY KEY, name varchar(40) NOT NULL, notes varchar(max))",
    "CREATE TABLE dbo.contract (contract_id int NOT NULL PRIMARY KEY, customer_id int NOT NULL)",
    "INSERT INTO dbo.orders (customer, amount) VALUES ('Ada', 12.50), ('Ada', 5.00)",
    "INSERT INTO dbo.customer (customer_id, name) VALUES (1, 'Ada'), (2, 'Grace')",
)


def _each(name: str) -> list[object]:
    found = [example / name for example in EXAMPLES if (example / name).exists()]
    return [pytest.param(path, id=path.parent.name) for path in found]


def test_there_are_five() -> None:
    """Each has tables, and the page of examples names it."""
    page = (ROOT / "examples/README.md").read_text()
    assert len(EXAMPLES) == 5
    for example in EXAMPLES:
        assert (example / "tables.json").exists()
        assert f"({example.name}/README.md)" in page


@pytest.mark.parametrize("path", _each("tables.json"))
def test_tables_fit_the_schema_and_the_state_machine(path: Path) -> None:
    """The tables have nothing that only the command understands."""
    schema = json.loads(subprocess.run([BINARIES / "tidemark", "schema"], capture_output=True, check=True).stdout)
    tables = json.loads(path.read_text())
    jsonschema.validate(tables, schema)
    assert set(tables) == {"tables"}


def test_a_list_is_made_of_the_tables_as_the_example_says() -> None:
    """The example of many tables copies its list into the bucket, which has to be an array."""
    folder = ROOT / "examples/on-premises-vpn"
    assert "tidemark tables --list examples/on-premises-vpn/tables.json |" in (folder / "README.md").read_text()
    command = [BINARIES / "tidemark", "tables", "--list", folder / "tables.json"]
    listed = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    assert [entry["table"] for entry in listed] == [
        entry["table"] for entry in json.loads((folder / "tables.json").read_text())["tables"]
    ]


@pytest.mark.parametrize("path", _each("parameters.yaml"))
def test_parameters_are_those_of_the_template(path: Path) -> None:
    """Their values are those that it takes."""
    known = cloudformation.read(ROOT / "infra/template.yaml")["Parameters"]
    for name, value in yaml.safe_load(path.read_text()).items():
        facts = known[name]
        assert isinstance(value, str), f"{name} has to be text"
        assert value in facts.get("AllowedValues", [value]), name
        parts = value.split(",") if facts["Type"] == "CommaDelimitedList" else [value]
        assert all(re.fullmatch(facts.get("AllowedPattern", ".*"), part) for part in parts), name
        if "MinValue" in facts:
            assert facts["MinValue"] <= int(value) <= facts.get("MaxValue", int(value)), name


@pytest.mark.parametrize("path", _each("secret.json"))
def test_secrets_have_known_fields_and_no_password(path: Path) -> None:
    """A file in the repository must not have one."""
    secret = json.loads(path.read_text())
    known = set(re.findall(r"`([a-z_]+)`", (ROOT / "docs/reference/secrets.md").read_text()))
    assert set(secret) <= known
    assert secret.get("password", "…") == "…"


def test_the_tables_of_the_laptop_can_be_made_and_copied(tmp_path: Path) -> None:
    """Its script makes what its tables.json names, on a server that has neither."""
    sandbox = Sandbox(BINARIES / "tidemark-sandbox", tmp_path / "server", "")
    try:
        script = (ROOT / "examples/laptop-duckdb/source.sql").read_text()
        sandbox.execute(*re.split(r"^GO$", script, flags=re.MULTILINE))
        login = sandbox.login
        environment = os.environ | {
            "TIDEMARK_SOURCE": f"sqlserver://{login.username}@{login.host}:{login.port}/{login.dbname}",
            "TIDEMARK_PASSWORD": login.password,
            "SSL_CERT_FILE": str(sandbox.ca_file),
        }
        command = [BINARIES / "tidemark", "run", "--json", ROOT / "examples/laptop-duckdb/tables.json"]
        ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
        lines = [json.loads(line) for line in ran.stdout.splitlines()]
        assert {line["table"]: line["rows"] for line in lines if line["event"] == "committed"} == {
            "dbo.orders": 2,
            "dbo.customer": 2,
        }
    finally:
        sandbox.stop()


@pytest.mark.parametrize("example", ["azure-sql-athena", "rds-snowflake"])
def test_every_table_has_its_line_of_tidemark_sql(example: str) -> None:
    """Otherwise a reader would miss it in the engine."""
    page = (ROOT / "examples" / example / "README.md").read_text()
    for entry in json.loads((ROOT / "examples" / example / "tables.json").read_text())["tables"]:
        assert re.search(rf"\$ tidemark sql .* {re.escape(entry['table'])}$", page, re.MULTILINE), entry["table"]


def test_the_laptop_and_the_tracked_source_run(tmp_path: Path) -> None:
    """On the stand-in it runs the script of the source, a run, a change, another run, and the queries in DuckDB."""
    sandbox = Sandbox(BINARIES / "tidemark-sandbox", tmp_path / "server", "")
    try:
        sandbox.execute(*TABLES)
        script = (ROOT / "examples/change-tracking-athena/source.sql").read_text()
        sandbox.execute(*re.split(r"^GO$", script, flags=re.MULTILINE))
        login = sandbox.login
        environment = os.environ | {
            "TIDEMARK_SOURCE": f"sqlserver://{login.username}@{login.host}:{login.port}/{login.dbname}",
            "TIDEMARK_PASSWORD": login.password,
            "SSL_CERT_FILE": str(sandbox.ca_file),
        }

        def tidemark(*arguments: str) -> str:
            command = [BINARIES / "tidemark", *arguments]
            return subprocess.run(
                command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
            ).stdout

        for example in ("laptop-duckdb", "change-tracking-athena"):
            tidemark("run", "--sink", example, str(ROOT / "examples" / example / "tables.json"))
        sandbox.execute(
            "UPDATE dbo.orders SET amount = 20 WHERE order_id = 1", "DELETE FROM dbo.customer WHERE customer_id = 2"
        )
        tidemark("run", "--sink", "laptop-duckdb", str(ROOT / "examples/laptop-duckdb/tables.json"))
        views = tidemark("sql", "duckdb", "--sink", "laptop-duckdb", "--key", "order_id", "dbo.orders")
        views += tidemark("sql", "duckdb", "--sink", "laptop-duckdb", "dbo.customer")
        assert "dbo_contract" in tidemark("sql", "athena", "--sink", "change-tracking-athena")
        connection = duckdb.connect()
        connection.execute(views)
        first, second, _ = (ROOT / "examples/laptop-duckdb/questions.sql").read_text().split(";")
        assert [(name, count, str(amount)) for name, count, amount in connection.execute(first).fetchall()] == [
            ("Ada", 2, "25.00")
        ]
        assert [str(amount) for _, amount in connection.execute(second).fetchall()] == ["12.50", "20.00"]
    finally:
        sandbox.stop()
