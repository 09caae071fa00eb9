"""What a person sees: one line per step, and on a terminal a last line that lives while something runs."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from local.execution import Step

_WIDTH = 24


def say(text: str = "") -> None:
    """One line, at once."""
    _clear()
    print(text, flush=True)


@contextmanager
def task(text: str) -> Iterator[None]:
    """A line that ends with how long its work took."""
    started = time.monotonic()
    if sys.stdout.isatty():
        print(f"{text} …", end="", flush=True)
    yield
    say(f"{text}: {time.monotonic() - started:.1f} s")


def show_step(step: Step) -> None:
    """One step of an execution."""
    say(f"  {'!' if step.failed else ' '} {step.name:<{_WIDTH}}{step.text}")


def show_wait(seconds: float) -> None:
    """The time that passes, where someone watches."""
    if sys.stdout.isatty():
        print(f"\r    running for {seconds:.1f} s", end="", flush=True)


def show_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table with aligned columns; what looks like a number is aligned to the right."""
    widths = [max(len(line[column]) for line in (header, *rows)) for column in range(len(header))]
    for line in (header, *rows):
        cells = [
            cell.rjust(width) if rows and all(_is_number(row[column]) for row in rows) else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        say("  ".join(cells).rstrip())


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdigit()


def _clear() -> None:
    if sys.stdout.isatty():
        print("\r\x1b[K", end="")
