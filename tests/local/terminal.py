"""What a person sees: one line per step, and on a terminal a last line that lives while something runs."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
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


def _clear() -> None:
    if sys.stdout.isatty():
        print("\r\x1b[K", end="")
