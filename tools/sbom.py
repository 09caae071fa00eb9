"""The bill of materials of each function: what is linked into its binary, as CycloneDX 1.6, and the list of licences.

    python3 tools/sbom.py target/lambda copy-delta lookup-old-watermark …

Writes NAME.cdx.json for each and licences.txt for all of them. Cargo says what a binary is made of, and Cargo.lock has
the hashes. There is no time and no random number in them, so the same tree gives the same files.
"""

import hashlib
import json
import os
import platform
import re
import subprocess
import sys
import tomllib
import uuid
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
# What is linked differs between machines. ARCH=arm64 is built on any of them, and everything else for this one.
MACHINE = "aarch64" if "arm64" in (os.environ.get("ARCH"), platform.machine()) else platform.machine()
TARGET = f"{MACHINE}-unknown-linux-gnu"
Key = tuple[str, str]


def cargo(*arguments: str) -> str:
    command = ["cargo", *arguments, "--locked", "--offline"]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def packages() -> dict[Key, dict[str, Any]]:
    """Returns what Cargo knows of every package of the workspace, by name and version."""
    metadata = json.loads(cargo("metadata", "--format-version", "1", "--filter-platform", TARGET))
    checksums = {
        (package["name"], package["version"]): package.get("checksum")
        for package in tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]
    }
    return {
        (found["name"], found["version"]): found | {"checksum": checksums.get((found["name"], found["version"]))}
        for found in metadata["packages"]
    }


def tree(name: str) -> dict[Key, set[Key]]:
    """Returns what is linked into a binary, and what of it uses what. Macros and build scripts are run and not
    linked.
    """
    lines = cargo(
        "tree", "--package", name, "--target", TARGET, "--edges", "normal,no-proc-macro", "--prefix", "depth"
    )  # fmt: skip
    edges: dict[Key, set[Key]] = {}
    above: list[Key] = []
    for line in lines.splitlines():
        found = re.match(r"(\d+)(\S+) v(\S+)", line)
        if not found:
            continue
        depth, key = int(found[1]), (found[2], found[3])
        above = [*above[:depth], key]
        edges.setdefault(key, set())
        if depth:
            edges[above[depth - 1]].add(key)
    return edges


def purl(key: Key) -> str:
    return f"pkg:cargo/{key[0]}@{key[1].replace('+', '%2B')}"


def licence(package: dict[str, Any]) -> str:
    """Returns the licence as an SPDX expression. Some crates still write the slash that Cargo took before."""
    return (package["license"] or "NOASSERTION").replace("/", " OR ")


def component(key: Key, package: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "type": "library",
        "bom-ref": purl(key),
        "name": key[0],
        "version": key[1],
        "licenses": [{"expression": licence(package)}],
        "purl": purl(key),
    }
    if package["checksum"]:
        found["hashes"] = [{"alg": "SHA-256", "content": package["checksum"]}]
    if package["repository"]:
        found["externalReferences"] = [{"type": "vcs", "url": package["repository"]}]
    return found


def bill(name: str, edges: dict[Key, set[Key]], known: dict[Key, dict[str, Any]], binary: Path) -> dict[str, Any]:
    """Returns the bill of materials of a function."""
    (root,) = [key for key in edges if key[0] == name]
    described = component(root, known[root]) | {"type": "application"}
    if binary.is_file():
        described["hashes"] = [{"alg": "SHA-256", "content": hashlib.sha256(binary.read_bytes()).hexdigest()}]
    compiler = subprocess.run(["rustc", "--version"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    content: dict[str, Any] = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "lifecycles": [{"phase": "build"}],
            "component": described,
            "properties": [{"name": "rustc", "value": compiler.strip()}],
        },
        "components": [component(key, known[key]) for key in sorted(edges) if key != root],
        "dependencies": [{"ref": purl(key), "dependsOn": sorted(map(purl, edges[key]))} for key in sorted(edges)],
    }
    serial = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(content, sort_keys=True))
    return {**content, "serialNumber": f"urn:uuid:{serial}"}


def main(folder: Path, names: list[str]) -> int:
    known = packages()
    linked: set[Key] = set()
    for name in names:
        edges = tree(name)
        linked |= set(edges)
        content = bill(name, edges, known, folder / name / "bootstrap")
        (folder / f"{name}.cdx.json").write_text(json.dumps(content, indent=1) + "\n")
        print(f"{folder / name}.cdx.json  {len(edges)} crates")
    lines = [f"{name} {version}  {licence(known[name, version])}\n" for name, version in sorted(linked)]
    (folder / "licences.txt").write_text("".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
