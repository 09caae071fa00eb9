"""The scenarios of `make run`: a script, and runs with the expected result of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from local import change_tracking, tutorial


@dataclass(frozen=True)
class Turn:
    """One run: what happens before it, and what it must leave."""

    what: str
    changes: tuple[str, ...]
    lines: set[str]
    """The rows of its files, as the tutorial's own files have them."""
    stored: str
    """The stored watermark afterwards."""


@dataclass(frozen=True)
class Scenario:
    """A tutorial."""

    title: str
    script: str
    spec: Callable[[Any, int], dict[str, Any]]
    """Returns the settings of the table, for a file format and a time to settle."""
    stored: str
    """The query for the stored watermark."""
    line: Callable[[tuple[Any, ...]], str]
    """Returns a row that was read from a file that is no CSV, as the tutorial's own files have it."""
    turns: tuple[Turn, ...]
    settles: bool
    """Whether a run waits for open transactions."""
    more: str
    """The other things to see."""
    parameters: dict[str, str] = field(default_factory=dict)
    """The parameters of the template."""


def _moment_line(row: tuple[Any, ...]) -> str:
    number, name, value = row
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return f"{number},{name},{moment:%Y-%m-%d %H:%M:%S.%f}0"


SCENARIOS = {
    "watermark": Scenario(
        title="The tutorial's table",
        script=tutorial.SCRIPT,
        spec=lambda file_format, settle: tutorial.table_spec(file_format=file_format, settle_seconds=settle),
        stored="SELECT WatermarkValue FROM watermarktable WHERE TableName = 'data_source_table'",
        line=_moment_line,
        turns=(
            Turn("the table as it is", (), tutorial.FIRST_LINES, tutorial.FIRST_WATERMARK),
            Turn("after two new rows", tutorial.NEW_ROWS, tutorial.SECOND_LINES, tutorial.SECOND_WATERMARK),
            Turn("without a change", (), set(), tutorial.SECOND_WATERMARK),
        ),
        settles=True,
        more="make run SCENARIO=change-tracking shows inserts, updates and deletes without a watermark column.",
    ),
    "change-tracking": Scenario(
        title="The table of the tutorial on change tracking",
        script=change_tracking.SCRIPT,
        spec=lambda file_format, _: change_tracking.table_spec(file_format=file_format),
        stored="SELECT SYS_CHANGE_VERSION FROM table_store_ChangeTracking_version",
        line=lambda row: ",".join("\\N" if value is None else str(value) for value in row),
        turns=(
            Turn("the table as it is", (), change_tracking.LOAD_LINES, "0"),
            Turn("after an insert and an update", change_tracking.CHANGES, change_tracking.CHANGE_LINES, "2"),
            Turn("after a delete", (change_tracking.DELETE,), change_tracking.DELETE_LINES, "3"),
            Turn("without a change", (), set(), "3"),
        ),
        settles=False,
        more="docs/explanation/change-tracking.md says how a reader folds these files into the present table.",
        parameters=change_tracking.PARAMETERS,
    ),
}
