"""The lines for machines that a page lists are those that the command writes."""

import re

from docs.blocks import ROOT

# How the code of the command says the name of an event.
NAMED = [
    r'"event": "(\w+)"',
    r'\["event"\] = "(\w+)"',
    r'named_event\(\s*"(\w+)"',
    r'tell\(terminal, "(\w+)", &state\)',
]


def test_every_event_of_the_command_has_a_row_and_every_row_an_event() -> None:
    """The table of events in the reference is compared with the code."""
    code = "".join(path.read_text().partition("#[cfg(test)]")[0] for path in (ROOT / "cli/src").rglob("*.rs"))
    written = {name for pattern in NAMED for name in re.findall(pattern, code)}
    page = (ROOT / "docs/reference/command.md").read_text()
    listed = page.partition("## For machines\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| [^|]+ \| (`[^|]+) \|", listed, re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} - {"event"} == written
