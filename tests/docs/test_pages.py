"""Tests the pages by themselves: links, contents, first lines, length, and the parts that are generated from
the code.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import links
import pytest

from docs.blocks import ROOT, pages
from local.stack import BINARIES

PAGES = [pytest.param(page, id=str(page.relative_to(ROOT))) for page in pages()]


@pytest.mark.parametrize("page", [pytest.param(page, id=str(page.relative_to(ROOT))) for page in links.pages()])
def test_links_lead_somewhere(page: Path) -> None:
    """A link leads to a file and a heading of this repository."""
    assert links.broken_links(page) == []


def test_every_page_is_in_the_contents() -> None:
    """Otherwise the site would not have it."""
    assert links.unlisted() == []


def test_the_readme_is_short() -> None:
    """It links to pages and does not repeat them."""
    assert len((ROOT / "README.md").read_text().splitlines()) <= 250


@pytest.mark.parametrize("page", PAGES)
def test_a_page_says_first_what_it_is_for(page: Path) -> None:
    """It begins with a title, and then a sentence."""
    lines = [line for line in page.read_text().splitlines() if line]
    assert lines[0].startswith("# ")
    assert lines[1][0].isalpha(), lines[1]


@pytest.mark.parametrize("script", ["reference.py", "pictures.py"])
def test_what_is_made_from_the_code_is_not_stale(script: str) -> None:
    """`make reference` writes it."""
    command = [sys.executable, ROOT / "tools" / script, BINARIES / "tidemark", "--check"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_every_verb_is_in_both_tables_of_the_command() -> None:
    """One table says what a verb does, and the other which rights it needs."""
    page = (ROOT / "docs/reference/command.md").read_text()
    said = subprocess.run([BINARIES / "tidemark", "--help"], capture_output=True, text=True, check=True).stdout
    verbs = set(re.findall(r"^  (\w[\w-]*)  ", said.partition("Commands:\n")[2].partition("\n\n")[0], re.MULTILINE))
    verbs.remove("help")
    does, _, needs = page.partition("## Verbs\n")[2].partition("\n## ")[0].partition("### What each verb needs")
    for table in (does, needs):
        rows = re.findall(r"^\| (`[^|]*) \|", table, re.MULTILINE)
        assert {verb for row in rows for verb in re.findall(r"`([\w-]+)`", row)} == verbs
