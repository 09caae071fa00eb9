"""Compares docs/reference/events.md with what the state machine gives."""

from __future__ import annotations

import json
import re

from docs.blocks import ROOT

PAGE = (ROOT / "docs/reference/events.md").read_text()


def test_the_output_of_a_run_has_the_fields_that_the_page_names() -> None:
    """The state that ends a run with success gives what leads to it."""
    states = json.loads((ROOT / "infra/incremental-copy.asl.json").read_text())["States"]
    assert states["Succeeded"]["Type"] == "Succeed" and "Output" not in states["Succeeded"]
    [given] = [choice["Output"] for choice in states["CheckOutcome"]["Choices"] if choice["Next"] == "Succeeded"]
    section = PAGE.partition("## The state machine\n")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == list(given)
