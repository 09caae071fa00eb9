"""Tests what README and docs tell a reader to write or to type: it is valid, and what cannot be checked says so."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from functools import cache
from typing import Any

import cloudformation
import jsonschema
import pytest
import yaml

from docs.blocks import ROOT, Block, every
from local import many_tables
from local.stack import BINARIES

BLOCKS = every()
LANGUAGES = {"json", "console", "sql", "yaml", "text"}
# The commands of the shell itself, whose arguments are files of the page.
SHELL = {"export", "cd", "ls", "cat", "sort", "eval", "mkdir", "set", "rm", "grep"}


def _of(language: str, tag: str | None = None) -> list[Any]:
    found = [block for block in BLOCKS if block.language == language and (tag is None or tag in block.tags)]
    return [pytest.param(block, id=str(block)) for block in found]


@cache
def _schema() -> dict[str, Any]:
    """Returns the JSON Schema of tables.json, as the command writes it."""
    return dict(json.loads(_said("schema")))


@cache
def _said(*arguments: str) -> str:
    ran = subprocess.run([BINARIES / "tidemark", *arguments], capture_output=True, text=True, check=False)
    return ran.stdout if ran.returncode == 0 else ""


@pytest.mark.parametrize("block", [pytest.param(block, id=str(block)) for block in BLOCKS])
def test_a_block_that_is_not_checked_says_so(block: Block) -> None:
    """The paragraph after it says so, with the reason."""
    is_checked = {
        "json": True,
        "console": all(_program(command) in SHELL | {"tidemark", "make", "cargo"} for command in block.commands()),
        "sql": bool(block.tags & {"run", "duckdb", "tutorial", "athena"}),
        "yaml": "parameters" in block.tags,
        "text": True,
    }.get(block.language, False)
    assert is_checked or block.is_excused, f"{block}: a paragraph that begins with *Not run by … has to follow"
    assert is_checked or "run" not in block.tags
    if block.language == "console":
        assert block.commands(), f"{block}: no line begins with '$ '"


def test_the_tutorial_of_many_tables_has_the_statements_that_the_tests_run() -> None:
    """The statements are in the same order, from the source to the second run. tests/e2e/test_sql_sink.py runs them."""
    found = [block.text for block in BLOCKS if block.language == "sql" and "tutorial" in block.tags]
    batches = [batch for text in found for batch in text.split("GO\n")]
    scripts = [*many_tables.SOURCE, *many_tables.DESTINATION, *many_tables.CHANGES]
    assert [batch.split() for batch in batches] == [batch.split() for batch in scripts]


@pytest.mark.parametrize("block", _of("json"))
def test_json_is_json(block: Block) -> None:
    """Every block of JSON is checked, whatever it is for."""
    json.loads(block.text)


@pytest.mark.parametrize("block", _of("json", "tables"))
def test_a_table_file_fits_the_schema(block: Block) -> None:
    """Every field and every value is checked, as an editor does it."""
    jsonschema.validate(json.loads(block.text), _schema())


@pytest.mark.parametrize("block", _of("json", "entry"))
def test_an_entry_fits_the_schema(block: Block) -> None:
    """An entry is checked as the only table of a file."""
    jsonschema.validate({"tables": [json.loads(block.text)]}, _schema())


@pytest.mark.parametrize("block", _of("json"))
def test_json_with_tables_is_marked_as_such(block: Block) -> None:
    """Otherwise it would be left unchecked."""
    value = json.loads(block.text)
    if isinstance(value, dict) and "tables" in value and "run_id" not in value and not block.is_excused:
        assert "tables" in block.tags
    if isinstance(value, dict) and {"table", "tracking"} <= set(value):
        assert "entry" in block.tags


@pytest.mark.parametrize("block", _of("json", "secret"))
def test_a_secret_has_fields_that_are_known(block: Block) -> None:
    """The known fields are those for which the page of secrets has a row."""
    known = set(re.findall(r"`([a-z_]+)`", (ROOT / "docs/reference/secrets.md").read_text()))
    assert set(json.loads(block.text)) <= known


def _program(command: str) -> str:
    words = [word for word in command.split() if not re.fullmatch(r"[A-Z_]+=\S*", word)]
    return words[0] if words else "export"


@pytest.mark.parametrize("block", _of("console"))
def test_commands_exist(block: Block) -> None:
    """A page may name only verbs and options of tidemark, targets of make and packages of cargo that exist."""
    for command in block.commands():
        words = shlex.split(command.split(" > ")[0].split(" >> ")[0].split(" | ")[0])
        words = [word for word in words if not re.fullmatch(r"[A-Z_]+=.*", word)] or ["export"]
        if words[0] == "tidemark":
            _check_tidemark(block, words[1:])
        elif words[0] == "make":
            _check_make(block, command, words[1:])
        elif words[0] == "cargo" and "-p" in words:
            name = words[words.index("-p") + 1]
            members = [
                f'name = "{name}"' in path.read_text()
                for path in ROOT.glob("**/Cargo.toml")
                if "target" not in path.parts
            ]
            assert any(members), f"{block}: the workspace has no package {name}"


def _check_tidemark(block: Block, words: list[str]) -> None:
    verb = next((word for word in words if not word.startswith("-")), None)
    text = _said(verb, "--help") if verb else _said("--help")
    assert text, f"{block}: tidemark has no verb {verb}"
    for word in words:
        if word.startswith("--"):
            option = word.partition("=")[0]
            assert re.search(rf"{re.escape(option)}\b", text), f"{block}: tidemark {verb} has no {option}"


def _check_make(block: Block, command: str, words: list[str]) -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    assert set(words) <= targets, f"{block}: make has no target {set(words) - targets}"
    for name in re.findall(r"\b([A-Z][A-Z_]+)=", command):
        assert re.search(rf"\b{name}\b", makefile), f"{block}: make knows no {name}"


@pytest.mark.parametrize("block", _of("yaml", "parameters"))
def test_parameters_are_those_of_the_template(block: Block) -> None:
    """Their values are those that the template takes."""
    known = cloudformation.read(ROOT / "infra/template.yaml")["Parameters"]
    for name, value in yaml.safe_load(block.text).items():
        assert name in known, f"{block}: the template has no parameter {name}"
        facts = known[name]
        if "AllowedValues" in facts:
            assert value in facts["AllowedValues"], f"{block}: {name}: {value}"
        if "AllowedPattern" in facts:
            parts = value.split(",") if facts["Type"] == "CommaDelimitedList" else [str(value)]
            assert all(re.fullmatch(facts["AllowedPattern"], part) for part in parts), f"{block}: {name}: {value}"
        if "MinValue" in facts:
            assert facts["MinValue"] <= int(value), f"{block}: {name}: {value}"
        if "MaxValue" in facts:
            assert int(value) <= facts["MaxValue"], f"{block}: {name}: {value}"


def test_every_language_of_a_block_is_known() -> None:
    """A block without a language would not be checked."""
    unknown = {
        str(block): block.language for block in BLOCKS if block.language not in LANGUAGES and not block.is_excused
    }
    assert unknown == {}
