"""Compares docs/reference/errors.md with the errors that the code and the state machines name."""

from __future__ import annotations

import json
import re

from docs.blocks import ROOT

PAGE = (ROOT / "docs/reference/errors.md").read_text()
HEADINGS = re.findall(r"^### (\w+)$", PAGE, re.MULTILINE)


def test_every_error_of_the_code_has_a_heading_and_no_other_has() -> None:
    """A link to an error leads to its causes."""
    code = (ROOT / "shared/core/src/error.rs").read_text()
    [listed] = re.findall(r"pub const ALL: \[Self; \d+\] = \[(.*?)\];", code, re.DOTALL)
    codes = re.findall(r"Self::(\w+)", listed)
    of_runs = {"TablesFailed", "RunTooLarge", "ListUnreadable", "UploadExpired"}
    assert sorted(HEADINGS) == sorted([*codes, *of_runs])


def test_every_error_that_the_state_machines_raise_has_a_heading() -> None:
    """These are the names in `Error` of their Fail states."""
    raised = set()
    for machine in (ROOT / "infra").glob("*.asl.json"):
        raised |= set(re.findall(r'"Error": "([A-Z]\w+)"', json.dumps(json.loads(machine.read_text()))))
    assert raised and raised <= set(HEADINGS)
