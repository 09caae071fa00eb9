"""One execution of the state machine: starts it, follows its steps as they happen, and gets its outcome."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from local.deploy import Deployment

POLL_SECONDS = 0.1


class Unexpected(RuntimeError):
    """A run had a result that it must not have."""


@dataclass(frozen=True)
class Step:
    """An event of an execution, in words."""

    name: str
    text: str
    failed: bool = False
    window: dict[str, Any] | None = None
    """The frozen window that this step announces."""
    commit: dict[str, Any] | None = None
    """The committed window that this step reports."""


@dataclass(frozen=True)
class Outcome:
    """The end of an execution."""

    run_id: str
    status: str
    output: dict[str, Any]
    error: str
    cause: str
    seconds: float
    windows: list[dict[str, Any]]
    """The windows that lookup-new-watermark froze or adopted, with their bounds."""
    reported: list[dict[str, Any]]
    """The answers of update-watermark, one per committed window, also in a run that failed for other tables."""

    @property
    def succeeded(self) -> bool:
        """Whether every table was copied or had nothing to copy."""
        return self.status == "SUCCEEDED"

    @property
    def committed(self) -> list[dict[str, Any]]:
        """The committed windows in the execution's output. A failed execution has none."""
        return list(self.output.get("committed", []))


@dataclass
class Execution:
    """An execution that was started."""

    deployment: Deployment
    arn: str
    started: float = field(default_factory=time.monotonic)

    @classmethod
    def start(cls, deployment: Deployment, run_input: dict[str, Any]) -> Execution:
        """Starts the state machine with this input."""
        states = deployment.aws.client("stepfunctions")
        reply = states.start_execution(stateMachineArn=deployment.state_machine_arn, input=json.dumps(run_input))
        return cls(deployment, reply["executionArn"])

    def wait(
        self,
        seconds: float = 120,
        on_step: Callable[[Step], None] = lambda _: None,
        on_wait: Callable[[float], None] = lambda _: None,
    ) -> Outcome:
        """Follows the execution to its end. `on_step` is called with every step, and `on_wait` with the time in
        between.
        """
        states = self.deployment.aws.client("stepfunctions")
        steps = self._steps(states)
        windows = []
        reported = []
        while True:
            execution = states.describe_execution(executionArn=self.arn)
            for step in next(steps):
                on_step(step)
                if step.window is not None:
                    windows.append(step.window)
                if step.commit is not None:
                    reported.append(step.commit)
            elapsed = time.monotonic() - self.started
            if execution["status"] != "RUNNING":
                return Outcome(
                    run_id=execution["name"],
                    status=execution["status"],
                    output=json.loads(execution.get("output") or "{}"),
                    error=execution.get("error", ""),
                    cause=execution.get("cause", ""),
                    seconds=elapsed,
                    windows=windows,
                    reported=reported,
                )
            if elapsed > seconds:
                raise TimeoutError(f"execution {execution['name']} still runs after {seconds:g} s")
            on_wait(elapsed)
            time.sleep(POLL_SECONDS)

    def _steps(self, states: Any) -> Iterator[list[Step]]:
        """Yields, at every turn, the steps that are new in the execution's history."""
        seen = 0
        while True:
            pages = states.get_paginator("get_execution_history").paginate(executionArn=self.arn)
            events = [event for page in pages for event in page["events"]]
            yield [step for event in events[seen:] for step in _describe(event)]
            seen = len(events)


def run(deployment: Deployment, run_input: dict[str, Any], seconds: float = 120) -> Outcome:
    """Starts an execution and waits for its end."""
    return Execution.start(deployment, run_input).wait(seconds)


def _describe(event: dict[str, Any]) -> list[Step]:
    """Describes an event of the history. Most have no step. Steps are described by their answers, because inside a Map
    no state is named.
    """
    if event["type"] == "TaskFailed":
        details = event["taskFailedEventDetails"]
        return [Step(details["error"], _message(details.get("cause", "")), failed=True)]
    if event["type"] != "TaskSucceeded":
        return []
    answer = json.loads(event["taskSucceededEventDetails"]["output"]).get("Payload", {})
    if "advanced" in answer:
        moved = _count(len(answer["advanced"]), "table")
        step = Step("update-watermark", f"{moved} without changes moved on")
        return [*([step] if answer["advanced"] else []), *_failures("update-watermark", answer)]
    if "windows" in answer:
        return [*_frozen(answer), *_failures("lookup-new-watermark", answer)]
    if "tables" in answer:
        step = Step("lookup-old-watermark", _count(len(answer["tables"]), "table"))
        return [step, *_failures("lookup-old-watermark", answer)]
    if "slice" in answer and "slices" in answer:
        into = _count(len(answer["slices"]), "sub-slice")
        how = f"is split into {into}" if answer["slices"] else "was copied meanwhile"
        return [Step("lookup-new-watermark", f"{answer['table']} slice {answer['slice']}: {how}")]
    if "rows_copied" in answer:
        return [Step("copy-delta", f"{answer['table']} slice {answer['slice']}: left to the next run")]
    if "slice" in answer:
        copied = f"{_count(answer['rows'], 'row')}, {_count(answer['bytes'], 'byte')}"
        how = "was copied before" if answer.get("resumed") else copied
        return [Step("copy-delta", f"{answer['table']} slice {answer['slice']}: {how}")]
    if "status" in answer:
        commit = answer if answer["status"] == "committed" else None
        return [Step("update-watermark", _committed(answer), commit=commit)]
    return []


def _frozen(answer: dict[str, Any]) -> Iterator[Step]:
    name = "lookup-new-watermark"
    for window in answer["windows"]:
        settle = window.get("settle_seconds", 0)
        wait = f", waits {settle} s for open transactions" if settle else ""
        yield Step(
            name, f"{window['table']}: {interval(window)}, {_count(window['slices'], 'slice')}{wait}", window=window
        )
    for window in answer.get("empty", []):
        yield Step(name, f"{window['table']}: no change, its version moves on")
    for table in answer.get("unchanged", []):
        yield Step(name, f"{table}: no change")
    for table in answer.get("waiting", []):
        yield Step(name, f"{table}: its window waits for the next run")
    for busy in answer.get("busy", []):
        yield Step(name, f"{busy['table']}: run {busy['run_id']} is copying it")
    for paused in answer.get("paused", []):
        yield Step(name, f"{paused['table']}: paused by {paused['by']}")
    for note in answer.get("notes", []):
        without = f"{_count(note['null_rows'], 'row')} without a watermark"
        yield Step(name, f"{note['table']}: {without}, {note['future_rows']} with one in the future")
    for plan in answer.get("dry_run", []):
        for query in plan["slices"]:
            yield Step(name, f"{plan['table']}: would run {query['sql']}")


def _failures(name: str, answer: dict[str, Any]) -> Iterator[Step]:
    for failure in answer.get("failed", []):
        yield Step(name, f"{failure['table']}: {failure['error']}: {failure['cause']}", failed=True)


def _committed(answer: dict[str, Any]) -> str:
    if answer["status"] == "split":
        return f"{answer['table']}: {_count(len(answer['slices']), 'sub-slice')} to copy first"
    if answer["status"] == "stopped":
        return f"{answer['table']}: its budget is spent, {_count(answer['slices_left'], 'slice')} left to the next run"
    if answer["status"] == "busy":
        return f"{answer['table']}: run {answer['run_id']} is copying it"
    if answer["status"] == "paused":
        return f"{answer['table']}: paused by {answer['by']}"
    if answer["status"] != "committed":
        return f"{answer['table']}: uploads had expired, copying again"
    watermark = answer["watermark"]["value"]
    objects = _count(answer["objects"], "object")
    if load := answer.get("superseded_by"):
        return f"{answer['table']}: window {answer['window']} is superseded by {load}"
    return f"{answer['table']}: committed {_count(answer['rows'], 'row')} in {objects}, watermark {watermark}"


def interval(window: dict[str, Any]) -> str:
    """Returns a window's interval as text: open below, closed above."""
    bounds = [
        bound["value"] if (bound := window.get(key)) else "the beginning" for key in ("old_watermark", "new_watermark")
    ]
    return f"({bounds[0]}, {bounds[1]}]"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _message(cause: str) -> str:
    """Returns the function's own message inside a Lambda error, or the cause as it is."""
    try:
        return str(json.loads(cause)["errorMessage"])
    except (ValueError, KeyError, TypeError):
        return cause
