"""Tests the tutorial of many tables through the deployed template: it copies into another database, which also has the
watermarks.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from botocore.exceptions import ClientError
from conftest import run
from test_permissions import ALL, COPY

from local import many_tables, objects
from local.deploy import Deployment
from local.role import Role
from local.sandbox import Login, Sandbox, run_batches
from local.stack import Stack


@dataclass
class Pair:
    """A source database, a destination database, and the deployment between them."""

    source: Login
    sink: Login
    secret: str
    deployment: Deployment


@pytest.fixture
def pair(stack: Stack, sandbox: Sandbox) -> Iterator[Pair]:
    """Yields both databases as the tutorial makes them. The watermarks are in the destination."""
    name = f"pair-{uuid.uuid4().hex[:8]}"
    source = many_tables.create(sandbox.login, many_tables.SOURCE, f"{name}-source")
    sink = many_tables.create(sandbox.login, many_tables.DESTINATION, f"{name}-sink")
    secret = stack.secret(f"{name}-sink", sink)
    deployment = stack.deploy(
        name,
        SourceSecretArn=stack.secret(f"{name}-source", source),
        SinkSecretArns=secret,
        WatermarkSecretArn=secret,
    )
    yield Pair(source, sink, secret, deployment)
    deployment.delete()


@pytest.mark.parametrize("procedures", [False, True], ids=["by keys", "by procedures"])
def test_two_tables_come_out_as_the_tutorial_says(pair: Pair, procedures: bool) -> None:
    """There are 5 and 3 rows, then one of each, and no file."""
    specs = many_tables.specs(pair.secret, procedures)
    first = run(pair.deployment, *specs)
    assert first.succeeded, first.cause
    assert sorted(commit["rows"] for commit in first.committed) == [3, 5]
    assert many_tables.found(pair.sink) == many_tables.FIRST

    run_batches(pair.source, many_tables.CHANGES)
    second = run(pair.deployment, *specs)
    assert second.succeeded, second.cause
    assert [commit["rows"] for commit in second.committed] == [1, 1]
    assert many_tables.found(pair.sink) == many_tables.SECOND

    third = run(pair.deployment, *specs)
    assert third.succeeded and not third.windows
    assert objects.data_objects(objects.listing(pair.deployment)) == {}


def test_a_run_that_ended_between_merge_and_record_is_repeated_without_harm(pair: Pair) -> None:
    """The records and all documents after them are gone, and the rows exist. The next run ends equal."""
    specs = many_tables.specs(pair.secret, procedures=False)
    assert run(pair.deployment, *specs).succeeded
    s3 = pair.deployment.aws.client("s3")
    for key in objects.listing(pair.deployment):
        if not key.endswith("/plan.json"):
            s3.delete_object(Bucket=pair.deployment.bucket, Key=key)
    reset = "UPDATE watermarktable SET WatermarkValue = '1/1/2010 12:00:00 AM'"
    run_batches(pair.sink, [reset])
    again = run(pair.deployment, *specs)
    assert again.succeeded, again.cause
    assert sorted(commit["rows"] for commit in again.committed) == [3, 5]
    assert many_tables.found(pair.sink) == many_tables.FIRST


def test_a_sink_column_that_is_too_narrow_fails_its_table_and_no_other(pair: Pair) -> None:
    """The error names the column and the types, and nothing of that table is written."""
    columns = "PersonID int, Name varchar(3), LastModifytime datetime"
    run_batches(pair.sink, [f"DROP TABLE customer_table; CREATE TABLE customer_table ({columns})"])
    outcome = run(pair.deployment, *many_tables.specs(pair.secret, procedures=False))
    assert not outcome.succeeded
    for word in ("SchemaMismatch", "Name", "varchar(3)", "varchar(255)"):
        assert word in outcome.cause
    found = many_tables.found(pair.sink)
    assert found.customers == []
    assert found.projects == many_tables.FIRST.projects


def test_a_secret_that_is_not_among_the_sinks_is_refused_by_name(pair: Pair, stack: Stack) -> None:
    """The error says which parameter has to name it."""
    other = stack.secret(f"other-{uuid.uuid4().hex[:8]}", pair.sink)
    outcome = run(pair.deployment, *many_tables.specs(other, procedures=False))
    assert not outcome.succeeded
    for word in ("InvalidConfig", "SinkSecretArns", other):
        assert word in outcome.cause


@pytest.mark.parametrize("function", ALL)
def test_only_the_functions_that_write_there_may_read_the_sinks_secret(stack: Stack, function: str) -> None:
    """That is copy-delta alone where the watermarks are not in the sink."""
    name = f"secret-{uuid.uuid4().hex[:8]}"
    secret = stack.aws.client("secretsmanager").create_secret(Name=name, SecretString="{}")["ARN"]
    deployment = stack.deploy(name, WatermarkStore="s3", SinkSecretArns=f"{secret},{secret}-other1")
    role = Role.of_function(deployment, function)
    if function == COPY:
        role.read_secret(secret)
    else:
        with pytest.raises(ClientError, match="AccessDenied"):
            role.read_secret(secret)
    deployment.delete()
