"""The output for a person: one line per step, and on a terminal a last line that changes while something runs."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from local.execution import Step

_WIDTH = 24


def say(text: str = "") -> None:
    """Prints one line at once."""
    _clear()
    print(text, flush=True)


@contextmanager
def task(text: str) -> Iterator[None]:
    """Prints a line that ends with the time that its work took."""
    started = time.monotonic()
    if sys.stdout.isatty():
        print(f"{text} …", end="", flush=True)
    yield
    say(f"{text}: {time.monotonic() - started:.1f} s")


def show_step(step: Step) -> None:
    """Prints one step of an execution."""
    say(f"  {'!' if step.failed else ' '} {step.name:<{_WIDTH}}{step.text}")


def show_wait(seconds: float) -> None:
    """Shows the time that has passed, on a terminal."""
    if sys.stdout.isatty():
        print(f"\r    running for {seconds:.1f} s", end="", flush=True)


def _clear() -> None:
    if sys.stdout.isatty():
        print("\r\x1b[K", end="")
