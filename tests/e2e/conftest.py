"""Fixtures: one local stack for the whole session, and the tables and deployments that tests make on it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from local import objects, tutorial
from local.deploy import Deployment
from local.execution import Execution, Outcome
from local.proxy import Proxy
from local.sandbox import Login, Sandbox
from local.stack import Stack

# Retries wait seconds on AWS, and here it matters only that they happen. The tables of these tests settle in no time.
WAIT_SCALE = 0.01


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """Yields the stand-in SQL Server with the tutorial's control table and procedure, and the local AWS."""
    with Stack(f"{tutorial.WATERMARK_TABLE}GO\n{tutorial.WATERMARK_PROCEDURE}", WAIT_SCALE) as running:
        yield running


@pytest.fixture(scope="session")
def sandbox(stack: Stack) -> Sandbox:
    """Returns the stand-in SQL Server."""
    assert stack.sandbox is not None
    return stack.sandbox


@pytest.fixture(scope="session")
def tracking(sandbox: Sandbox) -> None:
    """Switches change tracking on for the database, which can be done once."""
    sandbox.execute("ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 2 DAYS, AUTO_CLEANUP = ON)")


@pytest.fixture(scope="session")
def deployment(stack: Stack) -> Deployment:
    """Returns a deployment of the template as the tutorial needs it, with watermarks in a control table."""
    return stack.deploy()


@pytest.fixture(scope="session")
def s3_deployment(stack: Stack) -> Deployment:
    """Returns a deployment of the template with watermarks in the ledger."""
    return stack.deploy("tidemark-s3", WatermarkStore="s3", SinkPrefix="lake/raw")


@dataclass
class Table:
    """A table of one test, made like the tutorial's unless the test says otherwise."""

    sandbox: Sandbox
    name: str = field(default_factory=lambda: f"t_{uuid.uuid4().hex[:12]}")

    def __str__(self) -> str:
        return f"dbo.{self.name}"

    def create_like_tutorial(self) -> None:
        """Makes the tutorial's source table with its five rows, and its row in the control table, under this name."""
        self.sandbox.execute(tutorial.SOURCE_TABLE.replace("data_source_table", self.name))
        self.track()

    def track(self) -> None:
        """Inserts the row in the control table with which the tutorial begins."""
        self.sandbox.execute(f"INSERT INTO watermarktable VALUES ('{self.name}','1/1/2010 12:00:00 AM')")

    def add_tutorial_rows(self) -> None:
        """Inserts the tutorial's two new rows."""
        self.sandbox.execute(*(sql.replace("data_source_table", self.name) for sql in tutorial.NEW_ROWS))

    def watermark(self) -> str | None:
        """Returns the watermark in the control table."""
        rows = self.sandbox.query("SELECT WatermarkValue FROM watermarktable WHERE TableName = %s", (self.name,))
        return str(rows[0][0].isoformat(timespec="milliseconds")) if rows else None

    def spec(self, file_format: Any = "parquet") -> dict[str, Any]:
        """Returns the settings with which the table is copied."""
        return tutorial.table_spec(str(self), file_format)


BEGINNING = "2010-01-01T00:00:00.000"
"""The watermark of a table that was tracked and never copied."""


@pytest.fixture
def new_table(sandbox: Sandbox) -> Callable[[], Table]:
    """Returns a function that makes tables whose names nobody else uses."""
    return lambda: Table(sandbox)


@pytest.fixture
def table(new_table: Callable[[], Table]) -> Table:
    """Returns the tutorial's table under a name of its own."""
    made = new_table()
    made.create_like_tutorial()
    return made


def run(deployment: Deployment, *specs: dict[str, Any], **other: Any) -> Outcome:
    """Starts one execution and waits for its end."""
    return start(deployment, *specs, **other).wait()


def start(deployment: Deployment, *specs: dict[str, Any], **other: Any) -> Execution:
    """Starts one execution."""
    return Execution.start(deployment, {"tables": list(specs), **other})


def ledger(deployment: Deployment, table: Table) -> dict[str, objects.Object]:
    """Returns everything in the bucket that belongs to the table."""
    found = objects.listing(deployment)
    return {key: entry for key, entry in found.items() if f"/{table}/" in key}


@pytest.fixture
def proxied(stack: Stack, sandbox: Sandbox) -> Iterator[tuple[Deployment, Proxy]]:
    """Yields a deployment that reaches the server through a proxy, which can hold a stream in its middle."""
    direct = sandbox.login
    proxy = Proxy(direct.host, direct.port)
    name = f"proxied-{uuid.uuid4().hex[:8]}"
    login = Login(direct.host, proxy.port, direct.username, direct.password, direct.dbname)
    yield stack.deploy(name, SourceSecretArn=stack.secret(name, login)), proxy
    proxy.close()
