"""The tutorial of many tables, which copies into another SQL database with the watermarks in it, and the expected
results.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from local.sandbox import Login, run_batches, run_query

_SCRIPTS = Path(__file__).parent.parent / "tutorials"


def _batches(name: str) -> list[str]:
    return (_SCRIPTS / name).read_text().removesuffix("GO\n").split("GO\n")


SOURCE = _batches("many_tables_source.sql")
CHANGES = _batches("many_tables_changes.sql")
DESTINATION = _batches("many_tables_destination.sql")

Rows = list[tuple[Any, ...]]


@dataclass(frozen=True)
class Expected:
    """The content of the destination after a run."""

    customers: Rows
    projects: Rows
    watermarks: Rows


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)


FIRST = Expected(
    customers=[
        (1, "John", _at("2017-09-01T00:56:00")),
        (2, "Mike", _at("2017-09-02T05:23:00")),
        (3, "Alice", _at("2017-09-03T02:36:00")),
        (4, "Andy", _at("2017-09-04T03:21:00")),
        (5, "Anny", _at("2017-09-05T08:06:00")),
    ],
    projects=[
        ("project1", _at("2015-01-01T00:00:00")),
        ("project2", _at("2016-02-02T01:23:00")),
        ("project3", _at("2017-03-04T05:16:00")),
    ],
    watermarks=[
        ("customer_table", _at("2017-09-05T08:06:00")),
        ("project_table", _at("2017-03-04T05:16:00")),
    ],
)
SECOND = Expected(
    customers=[
        *FIRST.customers[:2],
        (3, "NewName", _at("2017-09-08T00:00:00")),
        *FIRST.customers[3:],
    ],
    projects=[*FIRST.projects, ("NewProject", _at("2017-10-01T00:00:00"))],
    watermarks=[
        ("customer_table", _at("2017-09-08T00:00:00")),
        ("project_table", _at("2017-10-01T00:00:00")),
    ],
)


def create(login: Login, batches: list[str], database: str) -> Login:
    """Runs the batches in a database of their own on the same server. Returns its login."""
    run_batches(login, [f"CREATE DATABASE [{database}]"])
    own = Login(login.host, login.port, login.username, login.password, database)
    run_batches(own, batches)
    return own


def found(sink: Login) -> Expected:
    """Returns the content of the destination."""
    return Expected(
        customers=run_query(sink, "SELECT * FROM customer_table ORDER BY PersonID"),
        projects=run_query(sink, "SELECT * FROM project_table ORDER BY Creationtime"),
        watermarks=run_query(sink, "SELECT * FROM watermarktable ORDER BY TableName"),
    )


def specs(secret_arn: str, procedures: bool, settle_seconds: int = 0) -> list[dict[str, Any]]:
    """Returns the settings of both tables, merged by keys or by the tutorial's procedures."""

    def spec(table: str, column: str, key: str, kind: str) -> dict[str, Any]:
        sink: dict[str, Any] = {"secret_arn": secret_arn}
        if procedures:
            sink |= {"procedure": f"usp_upsert_{table}", "table_type": f"DataTypefor{kind}Table"}
        else:
            sink |= {"keys": [key]}
        return {
            "table": table,
            "tracking": {"watermark": {"column": column, "settle_seconds": settle_seconds}},
            "sink": {"sqlserver": sink},
        }

    return [
        spec("customer_table", "LastModifytime", "PersonID", "Customer"),
        spec("project_table", "Creationtime", "Project", "Project"),
    ]
