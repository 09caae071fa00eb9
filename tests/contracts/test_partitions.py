"""Tests that nothing that is shipped works only in the standard partition of AWS."""

from __future__ import annotations

import re
import subprocess

import pytest
from shipped import INFRA, MACHINES, ROOT, Deployed, machine, states

FIXED = re.compile(r"arn:aws(-cn|-us-gov)?:|\.amazonaws\.com\.cn\b|\$\{[\w:]+\}\.amazonaws\.com\b")
SHIPPED = ("infra", "docs", "functions", "examples", "cli", "shared", "README.md", "Makefile")


def test_no_shipped_file_names_a_partition() -> None:
    """ARNs are made from the partition that the stack is in. Examples say `arn:…` or `${Partition}`."""
    listed = subprocess.run(["git", "ls-files", *SHIPPED], cwd=ROOT, check=True, capture_output=True, text=True)
    found = [
        f"{path}:{number}: {line.strip()}"
        for path in listed.stdout.split()
        if path.endswith((".json", ".yaml", ".md", ".tf", ".sql", "Makefile"))
        for number, line in enumerate((ROOT / path).read_text().splitlines(), start=1)
        if FIXED.search(line)
    ]
    assert found == []


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
