"""Tests a release by its files: the workflow, the image and the changelog."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from shipped import ROOT

WORKFLOW: dict[str, Any] = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())
STEPS = [step for job in WORKFLOW["jobs"].values() for step in job["steps"]]
SCRIPT = "\n".join(step.get("run", "") for step in STEPS)
OF_OTHERS = r"\b(cargo|rustup|make|pip3?|python3?|npm|npx|curl|wget|bash|sh|docker (build|run))\b|\.ci/"
"""What the job that writes may not run: whatever compiles, installs or fetches code of other people."""

CONTAINERFILE = (ROOT / "Containerfile").read_text()


def _instructions() -> list[tuple[str, str]]:
    lines = re.sub(r"\\\n\s*", "", CONTAINERFILE).splitlines()
    return [tuple(line.split(maxsplit=1)) for line in lines if line and not line.startswith("#")]  # type: ignore[misc]


def test_only_a_job_that_runs_nothing_of_others_may_write() -> None:
    """A crate, a package of Python or npm, or a test could otherwise change a release with the token of its job."""
    assert WORKFLOW["permissions"] == {"contents": "read"}
    writing = set()
    for name, job in WORKFLOW["jobs"].items():
        assert job["timeout-minutes"] <= 90
        script = "\n".join(step.get("run", "") for step in job["steps"])
        if "write" in job["permissions"].values():
            writing.add(name)
            assert not re.search(OF_OTHERS, script), re.findall(OF_OTHERS, script)
            used = {step["uses"].split("@")[0] for step in job["steps"] if "uses" in step}
            assert used == {"actions/checkout", "actions/download-artifact"}
        else:
            assert job["permissions"] == {"contents": "read"}, name
    assert writing == {"publish"}


def test_no_job_keeps_a_token_where_what_it_runs_can_read_it() -> None:
    """A checkout leaves none in the folder of git, and only the steps that need one have it."""
    for path in sorted((ROOT / ".github/workflows").glob("*.yml")):
        workflow = yaml.safe_load(path.read_text())
        assert "token" not in str(workflow.get("env"))
        for job in workflow["jobs"].values():
            assert "token" not in str(job.get("env", {})).lower()
            for step in job["steps"]:
                if "actions/checkout" in step.get("uses", ""):
                    assert step["with"]["persist-credentials"] is False, path.name
                needs_one = re.search(r"\bgh release\b|\bdocker login\b", step.get("run", ""))
                assert bool(needs_one) == ("GH_TOKEN" in step.get("env", {})), step
                assert "secrets." not in str(step)


def test_a_release_begins_with_all_checks() -> None:
    """Nothing is built before they have passed, and nothing is published before all is built."""
    jobs = WORKFLOW["jobs"]
    assert any(step.get("run") == ".ci/run" for step in jobs["check"]["steps"])
    assert jobs["build"]["needs"] == "check" and jobs["publish"]["needs"] == "build"


def test_what_is_built_is_what_is_published() -> None:
    """The artifacts that one job takes are those that the others leave, and their checksums are compared."""

    def artifacts(job: str, action: str, field: str) -> set[tuple[str, str]]:
        steps = [step["with"] for step in WORKFLOW["jobs"][job]["steps"] if action in step.get("uses", "")]
        return {(step[field], step["path"]) for step in steps}

    made = artifacts("build", "upload-artifact", "name")
    taken = artifacts("publish", "download-artifact", "pattern")
    assert {(name.replace("${{ matrix.machine }}", "*"), path) for name, path in made} == taken
    published = "\n".join(step.get("run", "") for step in WORKFLOW["jobs"]["publish"]["steps"])
    assert published.index("sha256sum --check --strict") < published.index("gh release")
    assert "docker load" in published and "docker build " not in published


def test_a_release_has_both_machines_bills_and_checksums() -> None:
    """A release has archives, an image, bills in CycloneDX and checksums in SHA-256."""
    machines = [entry["machine"] for entry in WORKFLOW["jobs"]["build"]["strategy"]["matrix"]["include"]]
    assert machines == ["x86_64", "arm64"]
    for wanted in (
        "tidemark-cli",
        "make build",
        "tools/sbom.py",
        "sha256sum",
        "Containerfile",
        "completions",
        "tidemark man",
    ):
        assert wanted in SCRIPT
    for script in re.findall(r"python3 (\S+)", SCRIPT):
        assert (ROOT / script).is_file()


def test_the_same_files_give_the_same_archive(tmp_path: Path) -> None:
    """It does not matter when, by whom and in which order they were made."""
    archives = []
    for mode, moment, names in ((0o755, 1_700_000_000, ("a", "b")), (0o700, 1_800_000_000, ("b", "a"))):
        folder = tmp_path / str(moment) / "tidemark-v0"
        folder.mkdir(parents=True)
        for name in names:
            (folder / name).write_text(name)
            (folder / name).chmod(mode)
            os.utime(folder / name, (moment, moment))
        subprocess.run([ROOT / "tools/archive", folder.parent, folder.name], cwd=ROOT, check=True)
        archives.append((tmp_path / str(moment) / "tidemark-v0.tar.gz").read_bytes())
    assert archives[0] == archives[1]
    assert SCRIPT.count("tools/archive dist") == 2 and "tar " not in SCRIPT


def test_no_expression_is_put_into_a_script() -> None:
    """The text of a tag or a title must not become a command, so scripts take it from variables."""
    assert "${{" not in SCRIPT


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_the_scripts_are_bash() -> None:
    """bash can parse them, which it tells without running them."""
    for step in STEPS:
        if "run" in step:
            subprocess.run(["bash", "-n", "-c", step["run"]], check=True)


def test_the_image_runs_as_nobody_from_a_base_that_is_pinned() -> None:
    """The image has the roots by which servers are verified, and nothing that is left over."""
    instructions = _instructions()
    names = [name for name, _ in instructions]
    said = dict(instructions)
    assert names[0] == "FROM" and "@sha256:" in said["FROM"]
    assert "ADD" not in names
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", said["USER"])
    assert names.index("USER") > names.index("RUN")
    assert "--no-install-recommends ca-certificates" in said["RUN"] and "rm -rf /var/lib/apt/lists/*" in said["RUN"]
    assert said["ENTRYPOINT"].startswith("[") and said["CMD"].startswith("[")


def test_the_changelog_has_what_is_not_released() -> None:
    """Changes that are not released are under the heading that a release renames."""
    text = (ROOT / "CHANGELOG.md").read_text()
    assert re.search(r"^## Unreleased$", text, re.MULTILINE)


def test_issue_forms_can_be_read() -> None:
    """Each has a name, a description and a body with labels."""
    forms = sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml"))
    assert len(forms) == 4
    for path in forms:
        form = yaml.safe_load(path.read_text())
        if path.name == "config.yml":
            continue
        assert form["name"] and form["description"]
        asked = [field for field in form["body"] if field["type"] != "markdown"]
        assert asked and all(field["attributes"]["label"] and field["id"] for field in asked)
