"""Tests that the modules of the local stack and of the separate verification can be imported, also those that only
`make bench` uses.
"""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

import pytest

from local import stack

TESTS = Path(__file__).resolve().parents[1]
MODULES = sorted(
    module.name
    for package in ("local", "verify")
    for module in pkgutil.iter_modules([str(TESTS / package)], f"{package}.")
    # A module of this name runs when it is imported under it.
    if not module.name.endswith(".__main__")
)


@pytest.mark.parametrize("name", MODULES)
def test_it_is_imported(name: str) -> None:
    """A module must not import what another one no longer has."""
    importlib.import_module(name)


def test_the_local_stack_is_there_without_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """A measurement on another server starts no stand-in."""

    def refused(*_: object) -> None:
        raise AssertionError("a stand-in was started")

    class Aws:
        def __init__(self, *_: object) -> None: ...

        def stop(self) -> None: ...

    monkeypatch.setattr(stack, "Sandbox", refused)
    monkeypatch.setattr(stack, "LocalAws", Aws)
    monkeypatch.setattr(stack, "Packages", lambda *_: None)
    with stack.Stack(None) as running:
        assert running.sandbox is None
