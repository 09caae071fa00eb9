"""Builds functions twice, and says whether the packages are the same to the byte: `make reproducible`.

    .venv/bin/python tools/reproducible.py lookup-old-watermark …

Each build has the tree's files in a folder of its own, a folder of Cargo of its own with a copy of what the registry
gave, and no network. So both differ in what differs between two machines of one kind: in their folders, in the order in
which files were made, and in what happened when. The compiler is the same one, which rust-toolchain.toml names.

Both builds run at once, with their output in a file each. When their packages differ, everything is kept, so that `cmp`
and `readelf -S` can say in what.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from local.packages import pack, paths_of_this_machine

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Place:
    """The folders of one of the builds."""

    tree: Path
    cargo: Path
    output: Path


def places(folder: Path) -> list[Place]:
    """Returns the places of the two builds. Their folders differ in their length, too."""
    return [
        Place(folder / "one/tidemark", folder / "one/cargo", folder / "one.log"),
        Place(folder / "the-other/folder/of-somebody-else", folder / "the-other/home/.cargo", folder / "the-other.log"),
    ]


def copy_of_tree(target: Path, is_reversed: bool) -> None:
    """Copies the files that git knows, and those that it would take, as they are now."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    for name in sorted(set(names), reverse=is_reversed):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name)


def copy_of_cargo(source: Path, target: Path) -> None:
    """Copies what the registry and git gave, so that Cargo needs no network, and the settings that say where it was."""
    target.mkdir(parents=True)
    for name in ("registry/cache", "registry/index", "git/db"):
        if (source / name).is_dir():
            shutil.copytree(source / name, target / name)
    for name in ("config.toml", "config"):
        if (source / name).is_file():
            shutil.copy(source / name, target / name)


def build(place: Place, functions: list[str]) -> dict[str, bytes]:
    """Returns the packages of functions that were built in a place."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CARGO_", "MAKE", "MFLAGS"))}
    environment = kept | {"CARGO_HOME": str(place.cargo), "CARGO_NET_OFFLINE": "true"}
    command = ["make", "-C", place.tree, "release", f"FUNCTIONS={' '.join(functions)}"]
    with place.output.open("w") as log:
        if subprocess.run(command, env=environment, stdout=log, stderr=log, check=False).returncode:
            raise SystemExit(f"The build failed: {place.output}")
    packages = {}
    for name in functions:
        folder = place.tree / "target/lambda" / name
        folder.mkdir(parents=True)
        shutil.copy(place.tree / "target/release" / name, folder / "bootstrap")
        if named := paths_of_this_machine((folder / "bootstrap").read_bytes(), place.cargo, place.tree):
            print(f"{name} names {' and '.join(named)}")
        packages[name] = pack(folder).read_bytes()
    return packages


def differences(one: bytes, other: bytes) -> str:
    """Says where two packages differ."""
    if one == other:
        return f"the same {len(one):,} bytes"
    first = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    return f"DIFFERENT: {len(one):,} and {len(other):,} bytes, the first difference at {first:,}"


def main(functions: list[str]) -> int:
    folder = Path(tempfile.mkdtemp(prefix="tidemark-reproducible-"))
    both = places(folder)
    # The files of both builds are copied before either begins, so that they are of the same moment.
    for place in both:
        copy_of_tree(place.tree, is_reversed=place is not both[0])
        copy_of_cargo(Path(os.environ.get("CARGO_HOME") or Path.home() / ".cargo"), place.cargo)
    print(f"Two builds of {', '.join(functions)}. Their output: {folder}/*.log", flush=True)
    with ThreadPoolExecutor() as pool:
        one, other = pool.map(lambda place: build(place, functions), both)
    for name in functions:
        print(f"{name}.zip  {differences(one[name], other[name])}")
    if one == other:
        shutil.rmtree(folder)
        return 0
    print("The binaries:", *(place.tree / "target/release" for place in both))
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
