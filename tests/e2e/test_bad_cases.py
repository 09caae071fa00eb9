"""Tests mistakes on the user's side: each has a documented outcome or an error that says what to change, and no
watermark moves.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import BEGINNING, Table, ledger, run, start

from local import objects
from local.deploy import Deployment
from local.sandbox import Login, Sandbox
from local.stack import Stack


def test_an_empty_table_has_no_window(deployment: Deployment, new_table: Callable[[], Table]) -> None:
    """Nothing to copy is success."""
    table = new_table()
    table.sandbox.execute(f"create table {table.name} (PersonID int, Name varchar(255), LastModifytime datetime)")
    table.track()
    outcome = run(deployment, table.spec())
    assert outcome.succeeded, outcome.cause
    assert outcome.output["unchanged"] == [str(table)]
    _nothing_happened(deployment, table)


def test_a_column_full_of_nulls_has_no_window(deployment: Deployment, new_table: Callable[[], Table]) -> None:
    """Rows without a watermark are never selected, and the NULL maximum moves nothing."""
    table = new_table()
    table.sandbox.execute(
        f"create table {table.name} (PersonID int, Name varchar(255), LastModifytime datetime)",
        f"INSERT INTO {table.name} (PersonID, Name, LastModifytime) VALUES (1, 'a', NULL), (2, 'b', NULL)",
    )
    table.track()
    outcome = run(deployment, table.spec())
    assert outcome.succeeded, outcome.cause
    assert outcome.output["unchanged"] == [str(table)]
    _nothing_happened(deployment, table)


def test_a_missing_table_is_named(deployment: Deployment, new_table: Callable[[], Table]) -> None:
    """The error is the server's answer, with the table's name."""
    table = new_table()
    table.track()
    outcome = run(deployment, table.spec())
    assert (outcome.status, outcome.error) == ("FAILED", "TablesFailed")
    assert f"{table}: SourceRejected" in outcome.cause
    _nothing_happened(deployment, table)


def test_a_missing_column_is_named(deployment: Deployment, table: Table) -> None:
    """The error is the server's answer, with the column's name."""
    spec = table.spec() | {"tracking": {"watermark": {"column": "changed_at", "settle_seconds": 0}}}
    outcome = run(deployment, spec)
    assert (outcome.status, outcome.error) == ("FAILED", "TablesFailed")
    assert f"{table}: SourceRejected" in outcome.cause
    assert "changed_at" in outcome.cause
    _nothing_happened(deployment, table)


def test_a_value_that_the_server_quotes_is_in_no_history_and_no_log(
    stack: Stack, deployment: Deployment, table: Table, tmp_path: Path
) -> None:
    """Error 245 names the value that is no number. Not all who may read executions and logs may read rows."""
    table.sandbox.execute(f"UPDATE {table.name} SET Name = 'm4rk3d'")
    execution = start(deployment, table.spec() | {"where": "CAST(Name AS int) > 0"})
    outcome = execution.wait()
    assert (outcome.status, outcome.error) == ("FAILED", "TablesFailed")
    assert "245" in outcome.cause
    states = deployment.aws.client("stepfunctions")
    pages = states.get_paginator("get_execution_history").paginate(executionArn=execution.arn)
    history = json.dumps([event for page in pages for event in page["events"]], default=str)
    assert "245" in history and "m4rk3d" not in history
    stack.keep_logs(tmp_path)
    logs = {path.name: path.read_text() for path in tmp_path.glob(f"{deployment.name}-*.log")}
    assert logs
    assert [name for name, text in logs.items() if "m4rk3d" in text] == []


def test_a_wrong_password_ends_the_run(stack: Stack, sandbox: Sandbox, table: Table) -> None:
    """The login is not retried, and no message has the password."""
    good = sandbox.login
    login = Login(good.host, good.port, good.username, "not-the-password", good.dbname)
    deployment = stack.deploy("wrong-password", SourceSecretArn=stack.secret("wrong-password", login))
    outcome = run(deployment, table.spec())
    assert (outcome.status, outcome.error) == ("FAILED", "TablesFailed")
    assert f"{table}: WatermarkRejected" in outcome.cause
    assert "18456" in outcome.cause
    assert "not-the-password" not in outcome.cause
    _nothing_happened(deployment, table)


def test_a_certificate_that_does_not_verify_ends_the_run(stack: Stack, table: Table) -> None:
    """Without the authority's certificate the server's is refused, and the message says what to configure."""
    deployment = stack.deploy("untrusted", CaBundle="")
    outcome = run(deployment, table.spec())
    assert (outcome.status, outcome.error) == ("FAILED", "TablesFailed")
    assert "certificate" in outcome.cause
    _nothing_happened(deployment, table)


def test_a_server_is_trusted_when_told_so(stack: Stack, table: Table) -> None:
    """This is the other way to connect to a server whose authority is unknown."""
    deployment = stack.deploy("trusted", CaBundle="", SourceTls="trust")
    outcome = run(deployment, table.spec())
    assert outcome.succeeded, outcome.cause


def test_a_missing_bucket_is_named(stack: Stack, table: Table) -> None:
    """The bucket's name is in the error."""
    deployment = stack.deploy("no-bucket", SinkBucketName="no-such-bucket-anywhere")
    outcome = run(deployment, table.spec())
    assert (outcome.status, outcome.error) == ("FAILED", "TablesFailed")
    assert f"{table}: SinkRejected" in outcome.cause
    assert "no-such-bucket-anywhere" in outcome.cause
    assert table.watermark() == BEGINNING


@pytest.mark.parametrize("place", ["input", "table", "tracking"])
def test_an_unknown_field_is_refused_by_name(deployment: Deployment, table: Table, place: str) -> None:
    """A misspelt setting must not be ignored, wherever it is."""
    spec = table.spec()
    other = {}
    if place == "input":
        other["dryrun"] = True
    elif place == "table":
        spec["colums"] = ["PersonID"]
    else:
        spec["tracking"]["watermark"]["setle_seconds"] = 5
    outcome = run(deployment, spec, **other)
    assert (outcome.status, outcome.error) == ("FAILED", "InvalidInput")
    assert {"input": "dryrun", "table": "colums", "tracking": "setle_seconds"}[place] in outcome.cause
    _nothing_happened(deployment, table)


@pytest.mark.parametrize("layout", ["window", "load_date"])
def test_a_column_called_like_a_partition_is_refused_by_name(
    s3_deployment: Deployment, new_table: Callable[[], Table], layout: str
) -> None:
    """Engines would read the folder's name in its place. Without the column the table is copied."""
    table = new_table()
    column = "Tidemark_Window" if layout == "window" else "tidemark_load_date"
    table.sandbox.execute(f"CREATE TABLE {table.name} (id int NOT NULL, {column} int)")
    table.sandbox.execute(f"INSERT INTO {table.name} VALUES (1, 2)")
    spec = {"table": str(table), "tracking": {"watermark": {"column": "id", "settle_seconds": 0}}, "layout": layout}
    refused = run(s3_deployment, spec)
    assert f"{table}: InvalidInput" in refused.cause
    assert column in refused.cause
    assert ledger(s3_deployment, table) == {}
    assert run(s3_deployment, spec | {"exclude": [column]}).succeeded


def _nothing_happened(deployment: Deployment, table: Table) -> None:
    assert table.watermark() == BEGINNING
    assert ledger(deployment, table) == {}
    assert objects.uploads(deployment, f"tidemark/{table}/") == []
