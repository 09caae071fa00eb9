"""Compares docs/reference/documents.md with the fields that the code writes, and with the documents of a real run, and
the rule for uploads of docs/how-to/existing-bucket.md with that of the template.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from docs.blocks import ROOT, of_page
from local.sandbox import Sandbox
from local.stack import BINARIES

PAGE = (ROOT / "docs/reference/documents.md").read_text()
MODEL = ROOT / "shared/core/src/model"
# The heading of each document, and the structure that is written into it.
DOCUMENTS = {
    "plan.json": ("plan.rs", "Plan"),
    "record-00000.json": ("record.rs", "Record"),
    "manifest.json": ("manifest.rs", "Manifest"),
    "previous.json": ("manifest.rs", "Previous"),
}


def _section(heading: str) -> str:
    return PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def _rows(heading: str, number: int = 0) -> list[list[str]]:
    """Returns the cells of the section's table of this number, without its head."""
    tables = re.findall(r"(?:^\|.*\n)+", _section(heading), re.MULTILINE)
    lines = tables[number].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def _json(page: str) -> list[dict[str, Any]]:
    """Returns what the blocks of JSON of a page say."""
    return [json.loads(block.text) for block in of_page(ROOT / page) if block.language == "json"]


def _names(text: str) -> set[str]:
    return set(re.findall(r"`([a-z0-9_]+)`", text))


def _body(file: str, kind: str, name: str) -> str:
    code = (MODEL / file).read_text()
    found = re.search(rf"^pub {kind} {name} \{{\n(.*?)^\}}", code, re.MULTILINE | re.DOTALL)
    assert found, f"{file} has no {kind} {name}"
    return found.group(1)


def _fields(file: str, name: str) -> set[str]:
    """Returns the fields of a structure as they are called in JSON."""
    found = set()
    renamed = None
    for line in _body(file, "struct", name).splitlines():
        rename = re.search(r'rename = "(\w+)"', line)
        renamed = rename.group(1) if rename else renamed
        field = re.match(r"    pub (\w+):", line)
        if field:
            found.add(renamed or field.group(1))
            renamed = None
    return found


def _variants(file: str, name: str) -> dict[str, set[str]]:
    """Returns the variants of an enum in snake_case, each with its fields."""
    found: dict[str, set[str]] = {}
    variant = ""
    for line in _body(file, "enum", name).splitlines():
        begins = re.match(r"    (\w+)(?: \{|,|\()", line)
        if begins:
            variant = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", begins.group(1)).lower()
            found[variant] = set()
        field = re.match(r"        (\w+):", line)
        if field:
            found[variant].add(field.group(1))
    return found


@pytest.mark.parametrize("heading", DOCUMENTS)
def test_each_field_of_a_document_has_a_row(heading: str) -> None:
    """The first column of its table names the fields of the structure, and no others."""
    told = set().union(*(_names(cells[0]) for cells in _rows(heading)))
    assert told == _fields(*DOCUMENTS[heading])


@pytest.mark.parametrize(
    ("heading", "enum"), [("plan.json", ("plan.rs", "Content")), ("record-00000.json", ("record.rs", "Decision"))]
)
def test_each_content_and_each_decision_has_a_row_with_its_fields(heading: str, enum: tuple[str, str]) -> None:
    """A name that was changed in the code would be found in no document."""
    rows = _rows(heading, 1)
    variants = _variants(*enum)
    assert {re.findall(r"[a-z_]+", cells[0])[0] for cells in rows} == set(variants)
    for cells in rows:
        variant = re.findall(r"[a-z_]+", cells[0])[0]
        told = set(re.findall(r"[a-z_]+", " ".join(cells)))
        assert variants[variant] <= told, variant


def test_the_reasons_of_a_load_are_those_of_the_code() -> None:
    """The table of contents and the page of change tracking name them."""
    [load] = [cells for cells in _rows("plan.json", 1) if '"load"' in cells[0]]
    reasons = set(_variants("plan.rs", "LoadReason"))
    assert reasons <= set(re.findall(r'\{"(\w+)":', load[1]))
    tracking = (ROOT / "docs/explanation/change-tracking.md").read_text()
    assert set(re.findall(r"content\.load\.because\.(\w+)", tracking)) == reasons


def test_the_documents_of_a_run_have_no_field_that_the_page_does_not_name(tmp_path: Path) -> None:
    """A run writes each of them once, also what a window passes on to the next."""
    sandbox = Sandbox(
        BINARIES / "tidemark-sandbox",
        tmp_path / "server",
        "CREATE TABLE dbo.orders (id int PRIMARY KEY, changed int)\nGO\nINSERT INTO dbo.orders VALUES (1, 1), (2, 2)\n",
    )
    try:
        login = sandbox.login
        tracking = {"watermark": {"column": "changed", "settle_seconds": 0}}
        tables = {"tables": [{"table": "dbo.orders", "tracking": tracking}]}
        (tmp_path / "tables.json").write_text(json.dumps(tables))
        environment = os.environ | {
            "TIDEMARK_SOURCE": f"sqlserver://{login.username}@{login.host}:{login.port}/{login.dbname}",
            "TIDEMARK_PASSWORD": login.password,
            "SSL_CERT_FILE": str(sandbox.ca_file),
        }
        command = [BINARIES / "tidemark", "run", "--sink", "lake", "tables.json"]
        subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=True)
    finally:
        sandbox.stop()
    written = {path.name: json.loads(path.read_text()) for path in (tmp_path / "lake/_ledger").rglob("*.json")}
    assert set(DOCUMENTS) <= set(written)
    for heading in DOCUMENTS:
        assert set(written[heading]) <= _names(_section(heading)), heading
    assert set(written["manifest.json"]["parts"][0]) <= _names(_section("manifest.json"))
    pointer = written["watermark.json"]
    [watermark] = [found for found in _json("docs/reference/documents.md") if "value" in found]
    assert set(watermark) == set(pointer["watermark"])
