"""Reads the blocks of code in README and docs, and the tags of their fences.

A fence has a language and tags: ```` ```console run ````. The tests know these:

* `json`: the block is JSON. `json tables` is a whole tables.json, `json entry` one table of it, `json secret` the
  secret of a server, and `json tables file` is written to tables.json where the page is run.
* `console`: lines with `$ ` are commands, whose verbs, options, targets and packages exist. `console run` is run.
* `sql run` is run on the stand-in, `sql duckdb` and `sql duckdb run` by DuckDB. `sql tutorial` is what a script of
  tests/tutorials has.
* `sql athena` is what `tidemark sql athena` writes for the table of the Azure tutorial.
* `yaml parameters`: parameters of the template with values that it takes.
* `text output` and `text rows` are what the block before writes, in which `…` stands for anything.
* `text`: the block is not checked.

A block of anything else, or with commands of other programs, is followed by a paragraph that begins with *Not run by*.
"""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^(?P<indent> *)```(?P<info>[^\n`]*)\n(?P<text>.*?)^(?P=indent)```[ ]*$", re.MULTILINE | re.DOTALL)
NOTE = "*Not run by"


@dataclass(frozen=True)
class Block:
    """One block of code of a page."""

    page: str
    line: int
    language: str
    tags: frozenset[str]
    text: str
    note: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def is_excused(self) -> bool:
        """Whether the page says that the tests do not run it, and why."""
        return self.note.startswith(NOTE) and ":" in self.note

    def commands(self) -> list[str]:
        """Returns the commands of a console, each on one line and without its comment."""
        joined = self.text.replace("\\\n", " ")
        lines = [line[2:] for line in joined.splitlines() if line.startswith("$ ")]
        return [re.sub(r"\s{2,}#.*$|\s+#\s.*$", "", line).strip() for line in lines]


def pages() -> list[Path]:
    """Returns README and every page of docs and examples."""
    found = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")]
    return sorted(page for page in found if page.name != "SUMMARY.md")


def of_page(page: Path) -> list[Block]:
    """Returns the blocks of a page, in its order."""
    text = page.read_text()
    blocks = []
    for found in FENCE.finditer(text):
        words = found["info"].split()
        note = text[found.end() :].lstrip().split("\n\n")[0]
        blocks.append(
            Block(
                page=str(page.relative_to(ROOT)),
                line=text.count("\n", 0, found.start()) + 1,
                language=words[0] if words else "",
                tags=frozenset(words[1:]),
                text=textwrap.dedent(found["text"]),
                note=note,
            )
        )
    return blocks


def every() -> list[Block]:
    """Returns the blocks of all pages."""
    return [block for page in pages() for block in of_page(page)]
