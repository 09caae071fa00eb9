"""Runs `make bench-idle`: how long a run takes that finds nothing to copy, with the release binaries on the local
stack.

There are 300 tables in one run, with watermarks in the bucket and in a control table, and 2,000 of a list in runs of
200. Every table has one row, which was copied before. Each is run a few times, and the fastest is printed, because the
other load of the machine only adds to the time.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from local import tutorial
from local.cost import Cost, measure
from local.deploy import ROOT, Deployment
from local.machine import load_average, machine
from local.sandbox import Sandbox
from local.stack import Stack

RELEASE = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").resolve() / "release"
OF_ONE_RUN = 300
STATES = 4
"""The states of one run without changes, whatever the number of its tables."""
OF_THE_LIST = 2000
PER_RUN = 200
TURNS = int(os.environ.get("BENCH_ROUNDS", "5"))
KEY = "lists/all.json"


def name(number: int) -> str:
    """Returns the name of a table by its number."""
    return f"idle_{number:04}"


def spec(number: int) -> dict[str, Any]:
    """Returns the settings with which it is copied."""
    return {"table": name(number), "tracking": {"watermark": {"column": "modified_at", "settle_seconds": 0}}}


def fill(sandbox: Sandbox) -> None:
    """Makes tables of one row that was copied before, with an index on the watermark."""
    for script in (
        "CREATE TABLE {0} (id int NOT NULL PRIMARY KEY, modified_at datetime NOT NULL);"
        "CREATE INDEX ix_{0} ON {0} (modified_at)",
        "INSERT INTO {0} VALUES (1, '2017-09-01')",
        "INSERT INTO watermarktable VALUES ('{0}', '2017-09-01')",
    ):
        sandbox.execute(";".join(script.format(name(number)) for number in range(OF_THE_LIST)))


def point(deployment: Deployment, prefix: str) -> None:
    """Writes the pointers of the tables of one run into the bucket."""
    watermark = {"type": "datetime", "value": "2017-09-01T00:00:00.000"}
    body = json.dumps({"version": 1, "watermark": watermark}).encode()
    s3 = deployment.aws.client("s3")
    for number in range(OF_ONE_RUN):
        s3.put_object(Bucket=deployment.bucket, Key=f"{prefix}/_ledger/dbo.{name(number)}/watermark.json", Body=body)


def cpu(stack: Stack) -> dict[str, float]:
    """Returns the CPU seconds so far of the functions, of the local AWS on which they run, and of the stand-in
    server.
    """
    assert stack.sandbox is not None
    groups = {stack.aws.pid: "local AWS", stack.sandbox.pid: "server"}
    used = {"functions": 0.0, "local AWS": 0.0, "server": 0.0}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = status.read_text().rpartition(")")
        except OSError:
            continue
        fields = rest.split()
        who = groups.get(int(fields[3]))
        if who:
            who = "functions" if name.endswith("(bootstrap") else who
            used[who] += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return used


def show(stack: Stack, what: str, tables: int, run: Callable[[], Cost], states: int | None = None) -> None:
    """Prints the fastest of a few runs, after one that starts the functions, and the CPU of one. No table may fail, and
    each run enters so many `states`, if they are given.
    """
    run()
    before = cpu(stack)
    costs = [run() for _ in range(TURNS)]
    used = ", ".join(f"{who} {(after - before[who]) / TURNS:.2f}" for who, after in cpu(stack).items())
    for cost in costs:
        assert cost.outcome.succeeded, cost.outcome.cause
        assert not cost.outcome.output.get("failed"), cost.outcome.output["failed"]
        assert states is None or cost.states == states, f"{cost.states} states and not {states}"
        unchanged = cost.outcome.output["unchanged"]
        assert (unchanged if isinstance(unchanged, int) else len(unchanged)) == tables, cost.outcome.output
    fastest = min(costs, key=lambda cost: cost.outcome.seconds)
    print(f"{what}: {fastest}; CPU s of a run: {used}; load {load_average():.1f}", flush=True)


def main() -> int:
    """Deploys, fills and measures."""
    print(f"{machine()}, the fastest of {TURNS} runs", flush=True)
    script = f"{tutorial.WATERMARK_TABLE}GO\n{tutorial.WATERMARK_PROCEDURE}"
    with Stack(script, binaries=RELEASE) as stack:
        assert stack.sandbox is not None
        sandbox = stack.sandbox
        fill(sandbox)
        one = {"tables": [spec(number) for number in range(OF_ONE_RUN)]}
        in_bucket = stack.deploy("idle-s3", WatermarkStore="s3", SinkPrefix="idle")
        point(in_bucket, "idle")
        show(
            stack,
            f"{OF_ONE_RUN} tables, watermarks in the bucket",
            OF_ONE_RUN,
            lambda: measure(in_bucket, sandbox, one),
            STATES,
        )
        in_table = stack.deploy(
            "idle-list", TableListKey=KEY, TablesPerRun=str(PER_RUN), RunConcurrency=os.environ.get("BENCH_RUNS", "2")
        )
        show(
            stack,
            f"{OF_ONE_RUN} tables, watermarks in a table",
            OF_ONE_RUN,
            lambda: measure(in_table, sandbox, one),
            STATES,
        )
        listed = json.dumps([spec(number) for number in range(OF_THE_LIST)]).encode()
        in_table.aws.client("s3").put_object(Bucket=in_table.bucket, Key=KEY, Body=listed)
        show(stack, f"{OF_THE_LIST} tables of a list", OF_THE_LIST, lambda: measure(in_table.of_list, sandbox, {}, 250))
    return 0


if __name__ == "__main__":
    sys.exit(main())
