"""Tests that nothing that is shipped works only in the standard partition of AWS."""

from __future__ import annotations

import re
import subprocess

import pytest
from shipped import INFRA, MACHINES, ROOT, Deployed, machine, states

ARN = re.compile(r"arn:aws(-cn|-us-gov)?:")
HOST = re.compile(r"(\}|\b[a-z]{2}(-[a-z]+)+-\d)\.amazonaws\.com\b")
"""The address of a service in a region, a real one or one to be put in. That of a database is its owner's."""


def _fixed(path: str) -> list[str]:
    """Returns the lines of a file, without the tests in it, that hold in one partition only. An address is fine beside
    that of China.
    """
    try:
        lines = (ROOT / path).read_text().split("#[cfg(test)]")[0].splitlines()
    except UnicodeDecodeError:
        return []
    fixed = [line for line in lines if ARN.search(line) or (HOST.search(line) and ".amazonaws.com.cn" not in line)]
    return [f"{path}: {line.strip()}" for line in fixed]


def test_no_shipped_file_names_a_partition() -> None:
    """ARNs are made from the partition that the stack is in. Examples say `arn:…` or `${Partition}`."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    shipped = [path for path in listed.splitlines() if not re.search(r"(^|/)tests/|tests\.rs$", path)]
    assert {"infra/template.yaml", "tools/terraform.py", ".github/workflows/ci.yml"} <= set(shipped)
    assert [line for path in shipped for line in _fixed(path)] == []


@pytest.mark.parametrize("file", MACHINES)
def test_every_resource_of_a_state_machine_is_in_the_partition_it_is_given(file: str) -> None:
    """The resources are those of tasks and of readers."""
    resources = [
        part["Resource"]
        for _, state in states(machine(file))
        for part in (state, state.get("ItemReader", {}))
        if "Resource" in part
    ]
    assert resources
    assert all(resource.startswith("arn:${Partition}:states:::") for resource in resources)


def test_the_template_gives_the_partition() -> None:
    """Both state machines get it."""
    template = Deployed(TableListKey="lists/all.json")
    for name in ("IncrementalCopy", "IncrementalCopyList"):
        assert template.properties(name)["DefinitionSubstitutions"]["Partition"] == "aws"
    assert "DefinitionUri" not in (INFRA / "template.yaml").read_text()
