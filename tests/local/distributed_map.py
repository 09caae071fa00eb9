"""Adds to ministack 1.5.33 what it lacks of a Distributed Map whose query language is JSONata, after AWS's developer
guide.

ministack's own takes JSONPath only and has no ItemBatcher. Here the fields that may be expressions are evaluated, the
items are read and put into batches, and ministack's own runs the batches as child executions. Its Map Run therefore
counts batches where AWS counts items. A failure while reading is States.ItemReaderFailed, which a state may catch.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ministack.services import stepfunctions

State = dict[str, Any]

_run_distributed_map = stepfunctions._run_distributed_map
_run_sub_machine = stepfunctions._run_sub_machine


def install() -> None:
    """Replaces ministack's own functions by these."""
    stepfunctions._run_distributed_map = run_distributed_map
    stepfunctions._run_sub_machine = run_sub_machine


def run_distributed_map(
    state: State, raw_input: Any, effective: Any, iterator: State, execution: State, context: State
) -> tuple[Any, str | None]:
    """Runs a Map state in distributed mode. Returns its output and the state that follows."""
    if stepfunctions._state_query_language(state, context) != "JSONata":
        return _run_distributed_map(state, raw_input, effective, iterator, execution, context)

    def evaluate(value: Any, where: State = context) -> Any:
        return stepfunctions._apply_jsonata_template(value, raw_input, where)

    items = _read(evaluate(state["ItemReader"])) if "ItemReader" in state else evaluate(state["Items"])
    if "ItemSelector" in state:
        items = [
            evaluate(state["ItemSelector"], {**context, "Map": {"Item": {"Index": index, "Value": item}}})
            for index, item in enumerate(items)
        ]
    if "ItemBatcher" in state:
        items = list(_batches(items, evaluate(state["ItemBatcher"])))
    limits = ("MaxConcurrency", "ToleratedFailurePercentage", "ToleratedFailureCount")
    plain = {field: evaluate(state[field]) for field in limits if field in state}
    if "Label" in state:
        plain["Label"] = state["Label"]
    # Without ItemsPath, its input is the items.
    result, _ = _run_distributed_map({**plain, "End": True}, raw_input, items, iterator, execution, context)
    output = stepfunctions._apply_jsonata_output(state, raw_input, context, result=result, default=result)
    stepfunctions._apply_state_assign(state, raw_input, context, result=result)
    return output, stepfunctions._next_or_end(state)


def run_sub_machine(states: State, start_at: str, input_data: Any, execution: State, context: State) -> Any:
    """Runs the states of one iteration, each of which is in the history as on AWS. Those of a child execution have its
    own context.
    """
    if execution["executionArn"] != context["Execution"]["Id"]:
        context["Execution"] = {
            "Id": execution["executionArn"],
            "Input": input_data,
            "Name": execution["name"],
            "StartTime": execution["startDate"],
        }
    return _run_sub_machine(_Recorded(states, execution), start_at, input_data, execution, context)


class _Recorded(dict[str, Any]):
    """States that record an event when they are looked up, which is when they are entered."""

    def __init__(self, states: State, execution: State) -> None:
        super().__init__(states)
        self._execution = execution

    def get(self, name: str, default: Any = None) -> Any:
        state = super().get(name, default)
        if state:
            details = {"stateEnteredEventDetails": {"name": name}}
            stepfunctions._add_event(self._execution, f"{state['Type']}StateEntered", details)
        return state


def _read(reader: State) -> list[Any]:
    """Returns the items of one JSON object in S3."""
    config = reader["ReaderConfig"]
    if not reader["Resource"].endswith("s3:getObject") or config["InputType"] != "JSON":
        raise stepfunctions._ExecutionError("States.Runtime", f"this reader is not known here: {reader}")
    where = reader["Arguments"]
    text = stepfunctions._s3_object_text(where["Bucket"], where["Key"])
    try:
        items = stepfunctions._parse_reader_items(text, config)
    except (ValueError, LookupError, TypeError) as error:
        cause = f"The object is not JSON, or has nothing at {config.get('ItemsPointer', 'its top')}: {error!r}"
        raise stepfunctions._ExecutionError("States.ItemReaderFailed", cause) from error
    if isinstance(items, dict):
        return [{"Key": key, "Value": value} for key, value in items.items()]
    if not isinstance(items, list):
        raise stepfunctions._ExecutionError("States.ItemReaderFailed", "The items are no array and no object")
    return items[: config["MaxItems"]] if "MaxItems" in config else items


def _batches(items: list[Any], batcher: State) -> Iterator[State]:
    """Yields the inputs of the child executions. An item that is larger than a batch may be is one by itself."""
    fixed = {"BatchInput": batcher["BatchInput"]} if "BatchInput" in batcher else {}
    most = batcher.get("MaxItemsPerBatch", len(items))
    room = batcher.get("MaxInputBytesPerBatch", 256 * 1024) - _size({**fixed, "Items": []})
    batch: list[Any] = []
    used = 0
    for item in items:
        size = _size(item) + 1
        if batch and (len(batch) == most or used + size > room):
            yield {**fixed, "Items": batch}
            batch, used = [], 0
        batch.append(item)
        used += size
    if batch:
        yield {**fixed, "Items": batch}


def _size(value: Any) -> int:
    return len(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode())
