"""Tests that everything this is made of is known: pinned by hash, listed, and packed so that the same tree gives the
same package.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from shipped import ROOT

from local.packages import ELF, main, pack, paths_of_this_machine


def _pins(path: Path) -> dict[str, str]:
    """Returns the names and versions in a file of requirements."""
    pinned = re.findall(r"(?m)^([A-Za-z0-9_.-]+)(?:\[[^\]]*\])?==(\S+)", path.read_text())
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in pinned}


def _commands() -> str:
    """Returns the Makefile with each command in one line."""
    return re.sub(r"\\\n\s*", "", (ROOT / "Makefile").read_text())


LOCKED = sorted(
    str(path.relative_to(ROOT).with_suffix(""))
    for folder in ("tests", "tools")
    for path in (ROOT / folder).rglob("*.in")
)


def test_every_file_of_wanted_packages_is_locked_by_make_lock() -> None:
    """A new one is named in the Makefile."""
    (listed,) = re.findall(r"^LOCKED := (.*)$", _commands(), re.MULTILINE)
    (sparks,) = re.findall(r"^SPARKS := (.*)$", _commands(), re.MULTILINE)
    named = listed.replace(
        "$(SPARKS:%=tests/readers/spark-%)", " ".join(f"tests/readers/spark-{x}" for x in sparks.split())
    )
    assert sorted(named.split()) == LOCKED


@pytest.mark.parametrize("name", LOCKED)
def test_every_python_package_is_pinned_by_hash(name: str) -> None:
    """The file with the hashes has what is wanted, so `make lock` was not forgotten. It names no index."""
    locked = (ROOT / f"{name}.txt").read_text()
    entries = re.split(r"(?m)^(?=[A-Za-z0-9])", locked)[1:]
    assert entries
    assert all("--hash=sha256:" in entry for entry in entries)
    assert not re.search(r"(?m)^-|://", locked)
    wanted, pins = _pins(ROOT / f"{name}.in"), _pins(ROOT / f"{name}.txt")
    assert wanted and {package: pins.get(package) for package in wanted} == wanted
    if name == "tests/requirements":
        shared = _pins(ROOT / "tests/requirements-run.txt")
        assert {package: pins.get(package) for package in shared} == shared


def test_pip_takes_nothing_without_a_hash() -> None:
    """pip demands hashes wherever the Makefile installs packages, also of what it builds a package with."""
    installs = re.findall(r"pip install [^&;\n]*", _commands())
    told = [line for line in installs if "cargo-lambda" not in line]
    assert len(told) == 10 and len(installs) == 11
    for line in told:
        assert "--require-hashes" in line, line
        (file,) = re.findall(r"--requirement (\S+)", line)
        if "$" not in file:
            assert (ROOT / file).is_file(), line
        assert ("--no-build-isolation" in line) == ("spark-" in file), line
    for line in (ROOT / "tools/requirements.txt").read_text().splitlines():
        assert line.startswith("#") or line in (ROOT / "tests/requirements-run.txt").read_text().splitlines()
    docs = re.sub(r"\\\n\s*", "", (ROOT / "docs/requirements.txt").read_text()).splitlines()
    assert all("--hash=sha256:" in line for line in docs if not line.startswith("#"))


def test_npm_takes_what_was_locked_and_runs_nothing_of_it_at_its_installation() -> None:
    """Every package has a hash, and comes from the registry of everybody."""
    commands = re.findall(r"npm (?:ci|install|i)\b[^&;\n]*|npx [^&;\n]*", _commands())
    assert len(commands) == 1 and commands[0].startswith("npm ci --ignore-scripts")
    packages = json.loads((ROOT / "tools/checks/package-lock.json").read_text())["packages"]
    wanted = json.loads((ROOT / "tools/checks/package.json").read_text())["dependencies"]
    assert packages.pop("")["dependencies"] == wanted
    assert all(re.fullmatch(r"[\d.]+", version) for version in wanted.values())
    for name, facts in packages.items():
        assert facts["integrity"].startswith("sha512-"), name
        assert facts["resolved"].startswith("https://registry.npmjs.org/"), name


def test_actions_are_pinned_by_commit() -> None:
    """A comment has the version, for people and for Dependabot."""
    workflows = list((ROOT / ".github/workflows").glob("*.yml"))
    used = [line for path in workflows for line in path.read_text().splitlines() if "uses:" in line]
    assert used
    assert all(re.search(r"uses: [\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line) for line in used), used


def test_images_are_pinned_by_digest() -> None:
    """The tag has the version. The checks run against the same server that compose.yaml starts."""
    server = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["sqlserver"]["image"]
    jobs = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]
    assert jobs["live"]["services"]["sqlserver"]["image"] == server
    (base,) = re.findall(r"(?m)^FROM (\S+)$", (ROOT / "Containerfile").read_text())
    for image in (server, base):
        assert re.fullmatch(r"[\w./-]+:[\w.-]+@sha256:[0-9a-f]{64}", image), image


def test_the_compiler_is_named_once() -> None:
    """Every crate has the version of the workspace, and the README names no other."""
    workspace = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]
    version = workspace["package"]["rust-version"]
    for member in {path for pattern in workspace["members"] for path in ROOT.glob(f"{pattern}/Cargo.toml")}:
        package = tomllib.loads(member.read_text())["package"]
        assert package["rust-version"] == {"workspace": True}, member
    assert f"You need Rust {version} or later" in (ROOT / "README.md").read_text()


def test_checks_and_releases_are_made_with_one_compiler() -> None:
    """The compiler is named, and no older than the oldest that works. Another one would make other packages."""
    oldest = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["rust-version"]
    workflows = [yaml.safe_load(path.read_text()) for path in sorted((ROOT / ".github/workflows").glob("*.yml"))]
    (used,) = {workflow["env"]["RUSTUP_TOOLCHAIN"] for workflow in workflows}
    named = tomllib.loads((ROOT / "rust-toolchain.toml").read_text())["toolchain"]
    assert named == {"channel": used, "profile": "minimal", "components": ["clippy", "rustfmt"]}
    assert [int(part) for part in used.split(".")] >= [int(part) for part in oldest.split(".")]
    jobs = [job for workflow in workflows for job in workflow["jobs"].values()]
    building = [job for job in jobs if re.search(r"\.ci/run|\bmake |\bcargo ", str(job["steps"]))]
    assert building
    assert all("rustup toolchain install" in str(job["steps"]) for job in building)


def test_checks_are_made_where_the_compiler_is_not_installed_and_cannot_be_fetched(tmp_path: Path) -> None:
    """They are made with the stable compiler, and say so. With the compiler, they are made with it."""
    for name, does in {
        "rustc": 'test "${RUSTUP_TOOLCHAIN:-}" = stable || exit "$MISSING"',
        "make": 'echo "$* with ${RUSTUP_TOOLCHAIN:-the named one}"',
        "dpkg": "exit 0",
    }.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / name).chmod(0o755)
    for missing, made in (("1", "check test with stable"), ("0", "check test with the named one")):
        environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "MISSING": missing}
        done = subprocess.run([ROOT / ".ci/run"], env=environment, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == made
        assert ("made with stable" in done.stderr) == (missing == "1")


def test_updates_are_proposed_for_all_that_is_pinned() -> None:
    """Updates are proposed for crates, the compiler, packages of Python and npm, actions, images, and the provider."""
    updates = yaml.safe_load((ROOT / ".github/dependabot.yml").read_text())["updates"]
    assert {update["package-ecosystem"] for update in updates} == {
        "cargo",
        "pip",
        "github-actions",
        "docker",
        "docker-compose",
        "npm",
        "rust-toolchain",
        "terraform",
    }
    folders = {update["directory"].strip("/") for update in updates if update["package-ecosystem"] == "pip"}
    assert folders == {"docs", *(name.rsplit("/", 1)[0] for name in LOCKED)}
    for update in updates:
        assert (ROOT / update["directory"].strip("/")).is_dir()
        assert update["schedule"]["interval"] in ("weekly", "monthly")


def test_every_check_of_checkov_that_is_left_out_is_explained_in_one_place() -> None:
    """The explanation is the line above it. The README names none of them, so the two cannot differ."""
    text = (ROOT / "infra/checkov.yaml").read_text()
    lines = text.splitlines()
    skipped = yaml.safe_load(text)["skip-check"]
    for number, line in enumerate(lines):
        if "- CKV" in line:
            assert lines[number - 1].startswith("  # "), line
    assert len(skipped) == len(set(skipped)) == text.count("- CKV") > 0
    assert "CKV" not in (ROOT / "infra/README.md").read_text()
    checks = _commands().split("\ncheck:")[1].split("\n.PHONY")[0]
    assert "--framework cloudformation" in checks and "--framework terraform" in checks
    assert "$(MAKE) $(CHECKOV_STAMP)" in checks and "pipx" not in checks


def test_people_know_how_to_report_a_vulnerability() -> None:
    """The file is where GitHub looks for it."""
    text = (ROOT / "SECURITY.md").read_text()
    assert "Report a vulnerability" in text and "do not open a public issue" in text


@pytest.fixture(scope="module")
def bills(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a folder with the bills of materials of two functions."""
    folder = tmp_path_factory.mktemp("bills")
    (folder / "copy-delta").mkdir()
    (folder / "copy-delta/bootstrap").write_bytes(b"binary")
    _write_bills(folder)
    return folder


def _write_bills(folder: Path) -> None:
    command = [sys.executable, ROOT / "tools/sbom.py", folder, "copy-delta", "update-watermark"]
    subprocess.run(command, check=True, capture_output=True, env=dict(os.environ))


def _bill(folder: Path, name: str) -> dict[str, Any]:
    return dict(json.loads((folder / f"{name}.cdx.json").read_text()))


@pytest.mark.parametrize("name", ["copy-delta", "update-watermark"])
def test_a_bill_of_materials_is_cyclonedx(bills: Path, name: str) -> None:
    """CycloneDX's own schema says so."""
    text = (bills / f"{name}.cdx.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None


@pytest.mark.parametrize(
    ("arch", "machine", "target"),
    [
        ("", "x86_64", "x86_64"),
        ("x86_64", "x86_64", "x86_64"),
        ("arm64", "x86_64", "aarch64"),
        ("", "aarch64", "aarch64"),
        ("", "arm64", "aarch64"),
    ],
)
def test_a_bill_is_of_the_machine_that_is_built_for(arch: str, machine: str, target: str) -> None:
    """`make build ARCH=arm64` passes it on. Otherwise it is the machine that builds."""
    code = f"import platform; platform.machine = lambda: {machine!r}; import sbom; print(sbom.TARGET)"
    environment = os.environ | {"ARCH": arch, "PYTHONPATH": str(ROOT / "tools")}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == f"{target}-unknown-linux-gnu\n"


def test_a_bill_names_what_is_linked_with_its_hash_and_nothing_else(bills: Path) -> None:
    """Crates have the hash of Cargo.lock. What tests need is not in a function, and only copy-delta writes Parquet."""
    locked = {
        (package["name"], package["version"]): package.get("checksum")
        for package in tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]
    }
    copy, update = (_bill(bills, name) for name in ("copy-delta", "update-watermark"))
    for bill in (copy, update):
        for component in bill["components"]:
            hashes = [found["content"] for found in component.get("hashes", [])]
            assert hashes == [found for found in [locked[component["name"], component["version"]]] if found]
            assert component["licenses"][0]["expression"] != "NOASSERTION"
        refs = {bill["metadata"]["component"]["bom-ref"], *(component["bom-ref"] for component in bill["components"])}
        assert {entry["ref"] for entry in bill["dependencies"]} == refs
    names = [{component["name"] for component in bill["components"]} for bill in (copy, update)]
    assert "parquet" in names[0] - names[1]
    assert "tidemark" in names[0] & names[1]
    assert not {"proptest", "rusqlite", "tidemark-sandbox", "serde_derive"} & (names[0] | names[1])
    binary = copy["metadata"]["component"]["hashes"][0]["content"]
    assert binary == "9a3a45d01531a20e89ac6ae10b0b0beb0492acd7216a368aa062d1a5fecaf9cd"


def test_the_same_tree_gives_the_same_bill_and_the_same_list_of_licences(bills: Path, tmp_path: Path) -> None:
    """There is no time and nothing random in them."""
    (tmp_path / "copy-delta").mkdir()
    (tmp_path / "copy-delta/bootstrap").write_bytes(b"binary")
    _write_bills(tmp_path)
    for name in ("copy-delta.cdx.json", "update-watermark.cdx.json", "licences.txt"):
        assert (tmp_path / name).read_bytes() == (bills / name).read_bytes()
    lines = (bills / "licences.txt").read_text().splitlines()
    assert lines and all(re.fullmatch(r"\S+ \S+  \S.*", line) for line in lines)


def test_the_same_files_give_the_same_package(tmp_path: Path) -> None:
    """It does not matter when and by whom they were made, so what did not change is not deployed again."""
    packages = []
    for mode, moment in ((0o755, 1_700_000_000), (0o700, 1_800_000_000)):
        folder = tmp_path / str(moment) / "copy-delta"
        folder.mkdir(parents=True)
        for name in ("bootstrap", "ca-bundle.pem"):
            (folder / name).write_bytes(name.encode() * 1000)
            (folder / name).chmod(mode)
            os.utime(folder / name, (moment, moment))
        packages.append(pack(folder))
    first, second = packages
    assert first.read_bytes() == second.read_bytes()
    with zipfile.ZipFile(first) as package:
        modes = {entry.filename: oct(entry.external_attr >> 16) for entry in package.infolist()}
    assert modes == {"bootstrap": "0o100755", "ca-bundle.pem": "0o100644"}


def test_a_binary_that_names_a_folder_of_this_machine_is_refused() -> None:
    """Somebody else's build of the same tree would be another package. The recipe says what the folders are called in
    it, for the compilers of Rust and of C.
    """
    cargo, checkout = Path("/home/a/.cargo"), Path("/src/tidemark")
    for text, named in (
        ("/cargo/registry/src/x/lib.rs /tidemark/shared/core/src/lib.rs /rustc/5/library/core/src/lib.rs", []),
        ("at /home/a/.cargo/registry/src/x/lib.rs:5", ["/home/a/.cargo/"]),
        ("/src/tidemark/functions/x.rs /home/a/.cargo/y", ["/home/a/.cargo/", "/src/tidemark/"]),
    ):
        assert paths_of_this_machine(b"\x7fELF\0" + text.encode(), cargo, checkout) == named
    made = subprocess.run(
        ["make", "-C", ROOT, "--dry-run", "release", f"HOME={cargo.parent}", "CARGO_HOME=", "CARGO_TARGET_DIR=/t"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    builds = [line for line in made.splitlines() if "cargo build" in line]
    assert len(builds) == 2
    for build in builds:
        for folder in (f"{cargo}=/cargo", f"{ROOT}=/tidemark", "/t=/tidemark/target"):
            assert f"--remap-path-prefix={folder}" in build and f"-ffile-prefix-map={folder}" in build, build
        assert '"${RUSTFLAGS:-} ' in build and '"${CFLAGS:-} ' in build


def _made(*arguments: str) -> list[str]:
    """Returns the lines that make would run."""
    command = ["make", "-C", str(ROOT), "--dry-run", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


@pytest.mark.parametrize(("machine", "folds"), [("x86_64", True), ("aarch64", False)])
def test_functions_are_folded_by_every_linker_of_rustc_on_x86_64_and_by_no_other(
    tmp_path: Path, machine: str, folds: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same tree gives the same packages on every machine of a kind. The linker of cargo lambda refuses to fold."""
    _commands_of(tmp_path, uname=f"echo {machine}")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    native = [line for line in _made("release") if "cargo build" in line]
    assert len(native) == 2 and all(("--icf=all" in line) == folds for line in native), native
    cross = [line for line in _made("build", "ARCH=arm64") if "cargo lambda build" in line]
    assert len(cross) == 2 and not any("icf" in line for line in cross), cross
    assert all("--remap-path-prefix=" in line for line in cross)
    page = (ROOT / "docs/how-to/deploy.md").read_text()
    assert re.search(r"`cargo-lambda` \d+\.\d+\.\d+ or later", page)


def _commands_of(folder: Path, **commands: str) -> None:
    """Puts scripts into a folder that stand in for commands."""
    for name, does in commands.items():
        (folder / name).write_text(f"#!/bin/sh\n{does}\n")
        (folder / name).chmod(0o755)


def test_a_linker_that_cannot_fold_is_refused_with_advice(tmp_path: Path) -> None:
    """Without folding, the packages would be others than everybody else's."""
    _commands_of(tmp_path, uname="echo x86_64", rustc='case "$*" in *icf*) exit 1;; esac', cargo="echo called $*")
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    command = ["make", "-C", str(ROOT), "release", f"CARGO_TARGET_DIR={tmp_path}/target"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode and "called" not in done.stdout
    assert "cannot fold functions" in done.stderr and "Use rustc's own" in done.stderr


@pytest.mark.parametrize(("machine", "is_refused"), [(62, True), (183, False)])
def test_the_budgets_are_of_x86_64(
    tmp_path: Path, machine: int, is_refused: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another machine's binaries are larger or smaller, and a release of them must not fail for that. What else is
    wrong with one is still refused.
    """
    (tmp_path / "copy-delta").mkdir()
    header = ELF + bytes(14) + machine.to_bytes(2, "little")
    binary = tmp_path / "copy-delta/bootstrap"
    binary.write_bytes(header + b"/mssql-tds-" + os.urandom(8 * 1024 * 1024))
    assert main(tmp_path, ["copy-delta"]) == int(is_refused)
    assert ("more than its 7 MB" in capsys.readouterr().out) == is_refused
    binary.write_bytes(header + b"/mssql-tds-" + f"{Path.home()}/.cargo/".encode())
    assert main(tmp_path, ["copy-delta"]) == 1


@pytest.mark.parametrize(
    ("writes", "verdict"),
    [("one", "the same"), ("$PWD", "DIFFERENT"), ("$CARGO_HOME", "DIFFERENT"), ("$CARGO_NET_OFFLINE", "the same")],
)
def test_a_package_is_built_in_two_places_and_compared(tmp_path: Path, writes: str, verdict: str) -> None:
    """`make reproducible` does so with the compiler, which takes minutes. Here what is built is a text."""
    _commands_of(
        tmp_path, rustc="cat > /dev/null", cargo=f'd=target/release-lookup; mkdir -p $d; echo "{writes}" > $d/one'
    )
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT / "tests")}
    environment |= {"HOME": str(tmp_path), "CARGO_TARGET_DIR": "/elsewhere", "TMPDIR": str(tmp_path)}
    command = [sys.executable, str(ROOT / "tools/reproducible.py"), "one"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert verdict in done.stdout, done.stdout + done.stderr
    assert done.returncode == int(verdict != "the same")
    assert "reproducible" in (ROOT / "Makefile").read_text() and "`make reproducible`" in _contributing()


def _contributing() -> str:
    return (ROOT / "CONTRIBUTING.md").read_text()


def test_what_is_deployed_is_what_was_packed() -> None:
    """The template names the packages, and the build writes them and their bills."""
    template = (ROOT / "infra/template.yaml").read_text()
    assert len(re.findall(r"CodeUri: \.\./target/lambda/[a-z-]+\.zip\n", template)) == template.count("CodeUri:") == 4
    build = (ROOT / "Makefile").read_text().split("\nbuild:")[1].split("\n.PHONY")[0]
    assert build.index("local.packages target/lambda") < build.index("tools/sbom.py target/lambda")
