"""The matrix of the page of types: what each reader makes of each type."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cases import TYPES, File, Type, canonical, file_of
from readers import READERS, Rows

BEGIN, END = "<!-- readers: written by make test-readers -->", "<!-- readers end -->"
SPARKS = ["Spark 3.5", "Spark 4.0"]
"""The releases of Spark, which have environments of their own and are read only by `make test-readers`."""


@dataclass(frozen=True)
class Line:
    """A line of the matrix: a type in a form."""

    label: str
    file: File


def _label(kind: Type) -> str:
    return kind.label or f"`{kind.name}`"


def lines() -> list[Line]:
    """Returns every type in its portable form, then the forms that are asked for."""
    found = []
    for number, kind in enumerate(TYPES):
        found.append(Line(_label(kind), file_of(kind, f"portable-{number}")))
    for number, kind in enumerate(TYPES):
        if any(edge.native for edge in kind.edges):
            found.append(Line(f"{_label(kind)}, native", file_of(kind, f"native-{number}", native=True)))
    return found


def judge(expected: dict[str, list[Any]], read: Callable[[], Rows | list[dict[str, Any]]]) -> str:
    """Returns one cell: `yes`, `as …` for the right values of another type, `wrong`, or `fails`."""
    try:
        rows = sorted(read(), key=lambda row: _number(row["id"]))
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        return "fails"
    others = set()
    for name, wanted in expected.items():
        if len(rows) != len(wanted):
            return "wrong"
        for row, value in zip(rows, wanted, strict=True):
            found = row[name] if isinstance(row[name], tuple | list) else canonical(row[name])
            found = tuple(found) if found is not None else None
            if found == value:
                continue
            if found is None or value is None or found[0] == value[0]:
                return "wrong"
            others.add(found[0])
    return f"as {', '.join(sorted(others))}" if others else "yes"


def _number(value: Any) -> int:
    return int(value[1]) if isinstance(value, tuple | list) else int(value)


def measure(root: Path) -> dict[str, dict[str, str]]:
    """Returns a cell for every line and every reader that this environment has."""
    return {
        line.label: {
            name: judge(line.file.expected, lambda read=read, line=line: read(root / line.file.folder))
            for name, read in READERS.items()
        }
        for line in lines()
    }


def with_spark(root: Path, name: str, answers: dict[str, Any]) -> dict[str, str]:
    """Returns the cells of a Spark, from what it read."""

    def read(folder: Path) -> list[dict[str, Any]]:
        answer = answers[str(folder)]
        if isinstance(answer, str):
            raise ValueError(answer)
        return answer

    return {line.label: judge(line.file.expected, lambda line=line: read(root / line.file.folder)) for line in lines()}


def on_page(page: str) -> dict[str, dict[str, str]]:
    """Returns the cells that the page has."""
    table = page.partition(BEGIN)[2].partition(END)[0].strip().splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    if not rows:
        return {}
    names = rows[0][1:]
    return {row[0]: dict(zip(names, row[1:], strict=True)) for row in rows[2:]}


def written(cells: dict[str, dict[str, str]]) -> str:
    """Returns the matrix as the page has it."""
    names = [*READERS, *SPARKS]
    out = [f"| type | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    out += [f"| {label} | {' | '.join(row.get(name, '?') for name in names)} |" for label, row in cells.items()]
    return "\n".join(out)


def replaced(page: str, cells: dict[str, dict[str, str]]) -> str:
    """Returns the page with another matrix."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{written(cells)}\n{END}{after}"
