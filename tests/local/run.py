"""Runs `make run`: a tutorial's runs on a stack of its own, through the deployed state machine.

Environment: SCENARIO, FORMAT, SETTLE. Exits 1 when anything is not as it must be, and says what. The command `tidemark`
shows and checks what the runs left, and every row is compared with the tutorial.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local import command, objects, sql_sink, tutorial
from local.deploy import ROOT, DeployFailed, Deployment
from local.execution import Execution, Outcome, Unexpected
from local.process import StartFailed
from local.scenario import SCENARIOS, Scenario, Turn
from local.stack import Stack
from local.terminal import say, show_step, show_wait, task

FORMATS: dict[str, Any] = {"parquet": "parquet", "csv": tutorial.CSV_FORMAT, "jsonl": "jsonl"}


def main() -> int:
    """Runs one of the scenarios. Whatever was started is stopped before it returns."""
    for signum in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, lambda *_: sys.exit(1))
    # Two runs of one second have a folder each.
    folder = ROOT / ".local" / f"run-{datetime.now():%Y%m%d-%H%M%S}-{os.getpid()}"
    try:
        _run_scenario(folder)
    except (
        Unexpected,
        StartFailed,
        DeployFailed,
        TimeoutError,
        ClientError,
        BotoCoreError,
    ) as error:
        say(f"\nNot as expected: {error}")
        if folder.exists():
            say(f"Logs: {_relative(folder / 'logs')}")
        return 1
    except KeyboardInterrupt:
        say("\nStopped.")
        return 130
    return 0


SQL_SINK = "sql-sink"
"""The scenario that has a database for its sink, and no files to show."""


def _run_sql_sink(folder: Path) -> None:
    settle = _seconds("SETTLE", 1)
    say(
        "The tutorial of many tables, into another SQL Server database. Every run waits "
        f"{settle} s for open transactions; the default is 30."
    )
    with _running("", folder) as stack:
        sql_sink.run(stack, settle)


def _run_scenario(folder: Path) -> None:
    choice = _one_of("SCENARIO", [*SCENARIOS, SQL_SINK])
    if choice == SQL_SINK:
        _run_sql_sink(folder)
        return
    scenario = SCENARIOS[choice]
    name = _one_of("FORMAT", FORMATS)
    settle = _seconds("SETTLE", 1) if scenario.settles else 0
    run_input = {"tables": [scenario.spec(FORMATS[name], settle)]}
    waits = f" Every run waits {settle} s for open transactions; the default is 30." if scenario.settles else ""
    say(f"{scenario.title}, as {name}.{waits}")
    with _running(scenario.script, folder) as stack:
        with task("Deploying infra/template.yaml on the local AWS"):
            deployment = stack.deploy(**scenario.parameters)
        for number, turn in enumerate(scenario.turns, start=1):
            _turn(number, turn, scenario, stack, deployment, run_input, folder)
        command.show(deployment, "history", run_input["tables"][0]["table"])
        command.show(deployment, "verify")
    say("\nThe stand-in server and the local AWS are stopped. What the tutorial says came out, came out.")
    say(scenario.more)
    _show_folder(folder)


def _turn(
    number: int,
    turn: Turn,
    scenario: Scenario,
    stack: Stack,
    deployment: Deployment,
    run_input: dict[str, Any],
    folder: Path,
) -> None:
    """Does one run, and checks what it leaves."""
    sandbox = stack.sandbox
    if sandbox is None:
        raise Unexpected("the stand-in SQL Server is not there")
    sandbox.execute(*turn.changes)
    before = objects.listing(deployment)
    say(f"\nRun {number}: {turn.what}")
    outcome = Execution.start(deployment, run_input).wait(300, show_step, show_wait)
    _must_succeed(outcome)
    after = objects.listing(deployment)
    new = {key: entry for key, entry in after.items() if key not in before}
    objects.download(deployment, new, folder)
    paths = [folder / key for key in objects.data_objects(new)]
    lines = _lines(paths, scenario)
    for line in lines if any(path.suffix == ".csv" for path in paths) else ():
        say(f"    {line}")
    rows = sum(window["rows"] for window in outcome.committed)
    stored = _text(sandbox.query(scenario.stored)[0][0])
    _expect(f"the number of rows that run {number} reports", rows, len(lines))
    _expect(f"rows of run {number}", set(lines), turn.lines)
    _expect(f"the watermark after run {number}", stored, turn.stored)
    earlier = objects.written_once(before)
    _expect(f"the earlier objects after run {number}", {key: after.get(key) for key in earlier}, earlier)
    if not turn.lines:
        _expect(f"the objects that run {number} wrote", new, {})


def _lines(paths: list[Path], scenario: Scenario) -> list[str]:
    """Returns the rows as the tutorial's own files have them, whatever the format is."""
    if all(path.suffix == ".csv" for path in paths):
        return objects.read_lines(paths)
    return [scenario.line(row) for row in objects.read_rows(paths)]


def _text(value: Any) -> str:
    return value.isoformat(timespec="milliseconds") if isinstance(value, datetime) else str(value)


@contextmanager
def _running(script: str, folder: Path) -> Iterator[Stack]:
    """Yields a stack whose logs are kept, and which is stopped whatever happens."""
    with task("Starting the stand-in SQL Server and the local AWS"):
        stack = Stack(script)
    try:
        yield stack
    finally:
        try:
            stack.keep_logs(folder / "logs")
        finally:
            stack.stop()


def _must_succeed(outcome: Outcome) -> None:
    if not outcome.succeeded:
        raise Unexpected(f"run {outcome.run_id} is {outcome.status}: {outcome.error}: {outcome.cause}")


def _expect(what: str, found: Any, expected: Any) -> None:
    if found != expected:
        raise Unexpected(f"{what}\n  expected {expected}\n  found    {found}")


def _one_of(name: str, choices: Iterable[str]) -> str:
    """Returns the choice in an environment variable, or the first choice when it is not set."""
    known = list(choices)
    choice = os.environ.get(name) or known[0]
    if choice not in known:
        raise Unexpected(f"{name}={choice}; it is one of {', '.join(known)}")
    return choice


def _seconds(name: str, default: int) -> int:
    text = os.environ.get(name) or str(default)
    if not text.isdigit():
        raise Unexpected(f"{name}={text}; it is a number of seconds")
    return int(text)


def _show_folder(folder: Path) -> None:
    files = sorted(path for path in folder.rglob("part-*"))
    if not files:
        return
    say(f"Files: {_relative(folder)}")
    # Everything in the folder of a table is data, and no document of the ledger has this extension.
    extension = re.sub(r"^part-[\d.]*\.", "", files[0].name)
    pattern = f"{_relative(folder)}/**/*.{extension}"
    if extension.startswith("csv"):
        tool = "zcat -f" if extension.endswith(".gz") else "cat"
        say(f"Read them: {tool} {' '.join(shlex.quote(_relative(path)) for path in files)}")
    else:
        python = shlex.quote(_relative(Path(sys.executable)))
        say(f'Read them: {python} -c "import duckdb; duckdb.sql(\\"FROM \'{pattern}\'\\").show()"')


def _relative(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


if __name__ == "__main__":
    sys.exit(main())
