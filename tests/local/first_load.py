"""Runs `make bench-load`: a first load through the whole state machine, from a server that replays rows.

The server has one narrow table of BENCH_ROWS rows (20,000,000 unless told otherwise), and sends each connection
BENCH_PACE rows a second at most (1,100,000, and 0 for as many as are taken), as a real server does. So the time falls
with the slices at once, up to what the machine has. The AWS is the local one, and the functions are the release
binaries. The load is made once for each number of concurrent slices in BENCH_SLICES ("1 2 4"), and once more with a
part of the table that is read slowly, so that its slice meets its deadline and is split. It prints how long the
planning and the whole took, rows per second, how many times as fast as the first load that is, the states entered,
what was asked of the source and of the bucket, and what states and functions would cost in us-east-1.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.cost import Requests
from local.deploy import ROOT, Deployment
from local.execution import Execution, Outcome, Unexpected
from local.machine import load_average, machine
from local.sandbox import Login
from local.stack import Stack

TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").resolve()
TABLE = "dbo.large"
SLICES = 10
PACE = 1_100_000
"""The rows per second that others have published for one connection to SQL Server."""
PATIENCE = 3600
SLOW_SECONDS = 60
"""The seconds that the slow part would take."""
DEADLINE = 30
"""The seconds that copy-delta has in the load with a slow part. It keeps ten of them back."""
PLANNED_WITHIN = 5

# The prices of us-east-1, for Standard workflows and x86_64 functions (docs/explanation/cost.md).
USD_PER_STATE = 0.025 / 1000
USD_PER_GB_S = 0.0000166667
USD_PER_INVOCATION = 0.20 / 1_000_000
COPY_MEMORY = 1.73
"""The memory of copy-delta in GB, which nearly all of the time is billed for."""


@dataclass(frozen=True)
class Load:
    """The measurements of a first load."""

    outcome: Outcome
    planned: float
    states: int
    invocations: int
    at_once: int
    split: int
    connections: int
    statements: int
    """The requests to the source after the logins."""
    reads: int
    writes: int
    """The requests to the bucket."""

    @property
    def usd(self) -> float:
        """Returns what it would cost there at most, except for requests to S3: as if all copies had taken all
        the time.
        """
        seconds = self.outcome.seconds * self.at_once
        functions = seconds * COPY_MEMORY * USD_PER_GB_S + self.invocations * USD_PER_INVOCATION
        return self.states * USD_PER_STATE + functions


class LargeTable:
    """The replaying server as a child process."""

    def __init__(self, *arguments: int) -> None:
        command = [str(TARGET / "release" / "large-table"), *map(str, arguments)]
        self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._child.stdout is not None
        facts = json.loads(self._child.stdout.readline())
        self.login = Login("127.0.0.1", facts["port"], "reader", "replay", "db")
        self.ca_file = str(facts["ca_file"])

    def counts(self) -> tuple[int, int]:
        """Returns how many connections and statements there were so far."""
        assert self._child.stdin is not None and self._child.stdout is not None
        self._child.stdin.write("\n")
        self._child.stdin.flush()
        told = json.loads(self._child.stdout.readline())
        return told["connections"], told["statements"]

    def stop(self) -> None:
        """Ends it."""
        self._child.communicate()


def load(stack: Stack, server: LargeTable, rows: int, at_once: int, deadline: int | None = None) -> Load:
    """Runs one first load in a deployment of its own."""
    name = f"load-{at_once}{'-slow' if deadline else ''}"
    secret = stack.secret(name, server.login)
    deployment = stack.deploy(
        name, SourceSecretArn=secret, CaBundle=server.ca_file, WatermarkStore="s3", SliceConcurrency=str(at_once)
    )
    if deadline:
        _set_timeout(deployment, deadline)
    watermark = {"column": "id", "settle_seconds": 0}
    spec = {"table": TABLE, "tracking": {"watermark": watermark}, "slice_rows": max(1, rows // SLICES)}
    connections, statements = server.counts()
    bucket = Requests(deployment)
    execution = Execution.start(deployment, {"tables": [spec]})
    outcome = execution.wait(PATIENCE)
    reads, writes = bucket.since()
    after = server.counts()
    found = Load(
        outcome,
        **_looked_up(deployment, execution.arn),
        at_once=at_once,
        connections=after[0] - connections,
        statements=after[1] - statements,
        reads=reads,
        writes=writes,
    )
    if not outcome.succeeded or [window["rows"] for window in outcome.committed] != [rows]:
        raise Unexpected(f"{rows} rows were not loaded: {outcome.status} {outcome.cause} {outcome.committed}")
    # The next load must not find the files of this one.
    _empty(deployment)
    return found


def _looked_up(deployment: Deployment, arn: str) -> dict[str, Any]:
    """Reads the history of an execution: when its windows were planned, and how many states, invocations and splits it
    has.
    """
    states = deployment.aws.client("stepfunctions")
    pages = states.get_paginator("get_execution_history").paginate(executionArn=arn)
    events = [event for page in pages for event in page["events"]]
    begun = events[0]["timestamp"]
    planned, split, invocations = 0.0, 0, 0
    for event in events:
        if event["type"] != "TaskSucceeded":
            continue
        answer = json.loads(event["taskSucceededEventDetails"]["output"]).get("Payload", {})
        invocations += 1
        split += answer.get("status") == "split"
        if "windows" in answer:
            planned = (event["timestamp"] - begun).total_seconds()
    entered = sum(event["type"].endswith("StateEntered") for event in events)
    return {"planned": planned, "states": entered, "invocations": invocations, "split": split}


def _set_timeout(deployment: Deployment, seconds: int) -> None:
    functions = deployment.aws.client("lambda")
    functions.update_function_configuration(FunctionName=deployment.outputs["CopyDeltaFunctionName"], Timeout=seconds)


def _empty(deployment: Deployment) -> None:
    s3: Any = deployment.aws.client("s3")
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=deployment.bucket):
        for entry in page.get("Contents", []):
            s3.delete_object(Bucket=deployment.bucket, Key=entry["Key"])


def show(what: str, rows: int, found: Load, faster: str = "") -> None:
    """Prints one line."""
    seconds = found.outcome.seconds
    print(
        f"{what}: planned after {found.planned:.1f} s, {seconds:.1f} s in all, {rows / seconds / 1000:,.0f} k rows/s, "
        f"{faster}{found.states} states, {found.invocations} invocations, {found.split} split, "
        f"{found.connections} connections and {found.statements} statements to the source, {found.reads} reads and "
        f"{found.writes} writes of the bucket, USD {found.usd:.4f} at most, load {load_average():.1f}",
        flush=True,
    )


def main() -> int:
    """Runs the loads, and prints a line for each."""
    rows = int(os.environ.get("BENCH_ROWS", "20000000").replace("_", ""))
    at_once = [int(number) for number in os.environ.get("BENCH_SLICES", "1 2 4").split()]
    pace = int(os.environ.get("BENCH_PACE", str(PACE)).replace("_", ""))
    sent = f"{pace:,} rows/s of a connection at most" if pace else "as fast as they are read"
    print(f"{rows:,} narrow rows in {SLICES} slices, {sent}; {machine()}, load {load_average():.1f}", flush=True)
    with Stack(None, binaries=TARGET / "release") as stack:
        server = LargeTable(rows, pace)
        first = 0.0
        try:
            for number in at_once:
                found = load(stack, server, rows, number)
                first = first or found.outcome.seconds
                faster = f"{first / found.outcome.seconds:.2f} times as fast as the first, "
                show(f"{number} slice(s) at once", rows, found, faster)
                if found.planned > PLANNED_WITHIN:
                    raise Unexpected(f"planned after {found.planned:.1f} s, not {PLANNED_WITHIN}")
        finally:
            server.stop()
        # The slow part is one slice, so that the others are as fast as before.
        few = min(rows, 10_000_000)
        slowly = max(1, few // SLICES // SLOW_SECONDS)
        server = LargeTable(few, pace, 1, few // SLICES, slowly)
        try:
            found = load(stack, server, few, max(at_once), DEADLINE)
            show(f"{few:,} rows, of which a slice is read at {slowly:,} rows/s", few, found)
            if not found.split:
                raise Unexpected("the slow slice was not split")
        finally:
            server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
