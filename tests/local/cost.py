"""Counts what a run is billed for and what the source serves, from the histories of its executions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from local.deploy import Deployment
from local.execution import Execution, Outcome
from local.sandbox import Sandbox

PAYLOAD_LIMIT = 256 * 1024
"""The limit of Step Functions for what a state passes on, in bytes. The local AWS does not enforce it."""


@dataclass(frozen=True)
class Cost:
    """The cost of an execution and of those it started."""

    outcome: Outcome
    runs: int
    """The executions of the state machine that copies tables."""
    states: int
    """The states entered, which are the transitions that are billed. A retry would be one more, and there are none
    here.
    """
    invocations: int
    """The invocations of functions."""
    connections: int
    """The logins on the source, which keeps the watermarks too if they are not in the bucket."""
    statements: int
    """The requests to it after the logins."""
    reads: int
    """The requests to the bucket that read: GET and HEAD."""
    writes: int
    """The other requests to the bucket."""
    largest_payload: int
    """The bytes of the largest result of a task."""

    def __str__(self) -> str:
        return (
            f"runs {self.runs}, states entered {self.states}, invocations {self.invocations}, "
            f"connections {self.connections}, statements {self.statements}, reads of the bucket {self.reads}, "
            f"writes {self.writes}, largest payload {self.largest_payload} bytes, "
            f"{self.outcome.seconds:.1f} s"
        )


def measure(deployment: Deployment, sandbox: Sandbox, run_input: dict[str, Any], seconds: float = 120) -> Cost:
    """Runs one execution, and returns its cost."""
    before = connections(sandbox)
    sandbox.statements()
    bucket = Requests(deployment)
    execution = Execution.start(deployment, run_input)
    outcome = execution.wait(seconds)
    statements = sandbox.statements()
    reads, writes = bucket.since()
    # The question itself is a connection too.
    used = connections(sandbox) - before - 1
    states = deployment.aws.client("stepfunctions")
    events = []
    runs = 0
    for arn in _executions(states, execution.arn):
        history = states.get_paginator("get_execution_history").paginate(executionArn=arn)
        found = [event for page in history for event in page["events"]]
        runs += any("LookupOldWatermark" in str(event.get("stateEnteredEventDetails")) for event in found)
        events += found
    results = [event["taskSucceededEventDetails"]["output"] for event in events if event["type"] == "TaskSucceeded"]
    return Cost(
        outcome=outcome,
        runs=runs,
        states=sum(event["type"].endswith("StateEntered") for event in events),
        invocations=sum("Payload" in json.loads(result) for result in results),
        connections=used,
        statements=statements,
        reads=reads,
        writes=writes,
        largest_payload=max(len(result.encode()) for result in results),
    )


class Requests:
    """The requests to a deployment's bucket from now on."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._before = deployment.aws.requests(deployment.bucket)

    def since(self) -> tuple[int, int]:
        """Returns how many have read since then, and how many have not."""
        new = self._deployment.aws.requests(self._deployment.bucket) - self._before
        reads = new["GET"] + new["HEAD"]
        return reads, new.total() - reads


def connections(sandbox: Sandbox) -> int:
    """Returns the number of logins since the server started, this one included."""
    return int(sandbox.query("SELECT @@CONNECTIONS")[0][0])


def _executions(states: Any, arn: str) -> Iterator[str]:
    """Yields an execution, the children of its Map Runs, and the runs that those started."""
    yield arn
    for map_run in states.list_map_runs(executionArn=arn)["mapRuns"]:
        pages = states.get_paginator("list_executions").paginate(mapRunArn=map_run["mapRunArn"])
        for child in (child for page in pages for child in page["executions"]):
            yield child["executionArn"]
    for run in runs_of(states, arn):
        yield run["executionArn"]


def runs_of(states: Any, arn: str) -> list[dict[str, Any]]:
    """Returns the runs that an execution for a list of tables started, whose names begin with its own."""
    name = arn.rpartition(":")[2]
    machines = [machine["stateMachineArn"] for machine in states.list_state_machines()["stateMachines"]]
    pages = [
        page
        for machine in machines
        for page in states.get_paginator("list_executions").paginate(stateMachineArn=machine)
    ]
    return [run for page in pages for run in page["executions"] if run["name"].startswith(f"{name[:39]}-")]
