"""Runs `make run SCENARIO=sql-sink`: the tutorial of many tables, from one SQL database into another."""

from __future__ import annotations

from local import command, many_tables, objects
from local.deploy import Deployment
from local.execution import Execution, Outcome, Unexpected
from local.sandbox import Login, run_batches
from local.stack import Stack
from local.terminal import say, show_step, show_wait, task


def run(stack: Stack, settle_seconds: int) -> None:
    """Does three runs by keys: with the tables as they are, after the tutorial's changes, and without a change."""
    if stack.sandbox is None:
        raise Unexpected("the stand-in SQL Server is not there")
    with task("Making the tutorial's two databases"):
        source = many_tables.create(stack.sandbox.login, many_tables.SOURCE, "shop")
        sink = many_tables.create(stack.sandbox.login, many_tables.DESTINATION, "warehouse")
        secret = stack.secret("warehouse", sink)
    with task("Deploying infra/template.yaml on the local AWS"):
        deployment = stack.deploy(
            SourceSecretArn=stack.secret("shop", source), SinkSecretArns=secret, WatermarkSecretArn=secret
        )
    run_input = {"tables": many_tables.specs(secret, procedures=False, settle_seconds=settle_seconds)}
    runs = (
        ("1", "the tables as they are", [], many_tables.FIRST),
        ("2", "after one row was changed and one added", many_tables.CHANGES, many_tables.SECOND),
        ("3", "without a change", [], many_tables.SECOND),
    )
    for number, what, changes, expected in runs:
        if changes:
            run_batches(source, changes)
        say(f"\nRun {number}: {what}")
        outcome = Execution.start(deployment, run_input).wait(300, show_step, show_wait)
        _check(outcome, sink, expected)
    _show(sink)
    for table in run_input["tables"]:
        command.show(deployment, "history", table["table"])
    _no_files(deployment)
    say("\nThe stand-in server and the local AWS are stopped. What the tutorial says came out, came out.")


def _check(outcome: Outcome, sink: Login, expected: many_tables.Expected) -> None:
    if not outcome.succeeded:
        raise Unexpected(f"run {outcome.run_id} is {outcome.status}: {outcome.error}: {outcome.cause}")
    found = many_tables.found(sink)
    if found != expected:
        raise Unexpected(f"the destination\n  expected {expected}\n  found    {found}")


def _show(sink: Login) -> None:
    found = many_tables.found(sink)
    for table, rows in (("customer_table", found.customers), ("project_table", found.projects)):
        say(f"\n{table} in the destination:")
        for row in rows:
            say("    " + "  ".join(str(value) for value in row))


def _no_files(deployment: Deployment) -> None:
    data = objects.data_objects(objects.listing(deployment))
    if data:
        raise Unexpected(f"files were written: {data}")
