"""Compares what pages say of the functions with the template and the code: their rights and their environment."""

from __future__ import annotations

import re

import pytest
from shipped import EVERYTHING, FUNCTIONS, ROOT, Deployed, as_list

SECURITY = (ROOT / "docs/explanation/security.md").read_text()
CONFIG = (ROOT / "shared/lambda/src/config.rs").read_text().split("#[cfg(test)]")[0]
# The structure in which a function reads its settings.
SETTINGS = {
    "LookupOldWatermark": "LookupOldConfig",
    "LookupNewWatermark": "LookupNewConfig",
    "CopyDelta": "CopyConfig",
    "UpdateWatermark": "UpdateConfig",
}
# What every function reads, outside its own settings.
OF_THE_PROCESS = {"SSL_CERT_FILE", "AWS_LAMBDA_LOG_LEVEL", "AWS_LAMBDA_LOG_FORMAT"}


def _binary(function: str) -> str:
    return re.sub(r"(?<!^)([A-Z])", r"-\1", function).lower()


def _told(function: str, table: int) -> list[str]:
    """Returns the cells of the function's row in the first or second table of the functions' rights."""
    section = SECURITY.partition("## The functions' rights")[2].partition("\n## ")[0]
    rows = re.findall(rf"^\| {_binary(function)} \|.*$", section, re.MULTILINE)
    return [cell.strip() for cell in rows[table].strip("|").split("|")][1:]


def _puts(function: str, **parameters: str) -> set[str]:
    """Returns the documents of the ledger that a role may write."""
    found = set()
    for statement in Deployed(**(EVERYTHING | parameters)).statements(f"{function}Role"):
        if statement["Effect"] == "Allow" and "s3:PutObject" in as_list(statement["Action"]):
            found |= {
                resource.rpartition("/_ledger/*/")[2]
                for resource in as_list(statement["Resource"])
                if "/_ledger/" in resource
            }
    return found


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_page_of_security_names_what_a_role_may_write(function: str) -> None:
    """These are the documents of the ledger, with both stores of watermarks."""
    ledger, _, _ = _told(function, 0)
    told = {name for name in re.findall(r"`([^`]+)`", ledger) if name != "s3"}
    assert told == _puts(function, WatermarkStore="s3") | _puts(function, WatermarkStore="sql")


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_page_of_security_names_the_other_actions_on_the_bucket(function: str) -> None:
    """A get, a put, an abort and a list are told in words."""
    _, files, bucket = _told(function, 0)
    actions: dict[str, set[str]] = {"files": set(), "bucket": set()}
    for statement in Deployed(**EVERYTHING).statements(f"{function}Role"):
        for resource in as_list(statement["Resource"]):
            is_file = resource.endswith("/part-*")
            is_bucket = re.fullmatch(r"arn:aws:s3:::[^/]+", resource) and statement["Sid"] != "ListLedger"
            for kind in ["files"] * is_file + ["bucket"] * bool(is_bucket):
                actions[kind] |= set(as_list(statement["Action"]))
    words = {"s3:GetObject": "get", "s3:PutObject": "put", "s3:AbortMultipartUpload": "abort"}
    assert set(re.findall(r"\b(get|put|abort)\b", files)) == {words[action] for action in actions["files"]}
    asked = {action for action in actions["bucket"] if action != "s3:ListBucket"}
    assert set(re.findall(r"`(s3:\w+)`", bucket)) == asked
    assert ("lists" in bucket) == ("s3:ListBucket" in actions["bucket"])


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_page_of_security_names_the_secrets_of_a_role(function: str) -> None:
    """The source's is told in words, and each other one by its parameter."""
    secrets = {
        secret
        for statement in Deployed(**EVERYTHING).statements(f"{function}Role")
        if "secretsmanager:GetSecretValue" in as_list(statement["Action"])
        for secret in as_list(statement["Resource"])
    }
    names = {EVERYTHING[name]: name for name in ("SinkSecretArns", "MaskSecretArn", "WatermarkSecretArn")}
    told = _told(function, 1)[0]
    assert set(re.findall(r"`(\w+Arns?)`", told)) == {names[secret] for secret in secrets if secret in names}
    assert told.startswith("the source's") == (EVERYTHING["SourceSecretArn"] in secrets)


def test_the_page_of_security_names_the_rights_that_have_no_resource_of_ours() -> None:
    """These are traces and tokens, whose actions are told by name."""
    for function in FUNCTIONS:
        for statement in Deployed(**EVERYTHING).statements(f"{function}Role"):
            for action in as_list(statement["Action"]):
                assert not action.startswith(("xray:", "sts:")) or f"`{action}`" in SECURITY, action


# ------------------------------------------------------------------------------------------------- the environment


def _functions_of_config() -> dict[str, str]:
    found = re.findall(r"^fn (\w+)\(.*?\n\}", CONFIG, re.MULTILINE | re.DOTALL)
    return {
        name: re.search(rf"^fn {name}\(.*?\n\}}", CONFIG, re.MULTILINE | re.DOTALL)[0]  # type: ignore[index]
        for name in found
    }


def _variables(code: str, seen: frozenset[str] = frozenset()) -> set[str]:
    """Returns the variables that a piece of the settings reads, itself and through the functions that it calls."""
    found = set(re.findall(r'"([A-Z]+(?:_[A-Z]+)+)"', code))
    for gaps in re.findall(r"&(SOURCE|SINK|WATERMARK)\b", code):
        block = re.search(rf"const {gaps}: Gaps = Gaps \{{(.*?)\}};", CONFIG, re.DOTALL)
        assert block
        found |= set(re.findall(r'"([A-Z]+(?:_[A-Z]+)+)"', block.group(1)))
    for name, body in _functions_of_config().items():
        if name not in seen and re.search(rf"\b(?<!\.){name}\(", code):
            found |= _variables(body.partition("{")[2], seen | {name})
    return found


def _read_by(structure: str) -> set[str]:
    block = re.search(rf"^impl {structure} \{{\n(.*?)^\}}", CONFIG, re.MULTILINE | re.DOTALL)
    assert block, structure
    return _variables(block.group(1))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_documents_every_variable_that_it_reads(function: str) -> None:
    """The first column of the table of its README has these variables, and no others."""
    readme = (ROOT / "functions" / _binary(function) / "README.md").read_text()
    table = readme.partition("\n## Environment\n")[2].partition("\n## ")[0]
    told = {
        name
        for row in re.findall(r"^\| `.*$", table, re.MULTILINE)
        for name in re.findall(r"`([A-Z_]+)`", row.split("|")[1])
    }
    read = _read_by(SETTINGS[function]) | _read_by("MetricsConfig") | OF_THE_PROCESS
    assert told == read


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_template_gives_no_variable_that_no_function_reads(function: str) -> None:
    """Those of `Globals` are for all functions, so each is read by one of them."""
    everything = set().union(*(_read_by(structure) for structure in (*SETTINGS.values(), "MetricsConfig")))
    given = Deployed(**EVERYTHING)
    own = given.properties(f"{function}Function")["Environment"]["Variables"]
    assert set(own) <= _read_by(SETTINGS[function]), function
    assert set(given.variables()) <= everything | OF_THE_PROCESS
