"""Builds functions twice, and says whether the packages are the same to the byte: `make reproducible`.

    .venv/bin/python tools/reproducible.py lookup-old-watermark …

Each build has the tree's files in a folder of its own, a folder of Cargo of its own with a copy of what the registry
gave, and no network. So both differ in what differs between two machines of one kind: in their folders, in the moment,
and in the order in which files were made. The compiler is the same one, which rust-toolchain.toml names.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from local.packages import pack, paths_of_this_machine

ROOT = Path(__file__).resolve().parents[1]
# The folders of the two builds differ in their length, too.
TREES = ("one/tidemark", "the-other/folder/of-somebody-else")
CARGO_FOLDERS = ("one/cargo", "the-other/home/.cargo")


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


def build(tree: Path, cargo: Path, functions: list[str]) -> dict[str, bytes]:
    """Returns the packages of functions that were built in a folder."""
    copy_of_cargo(Path(os.environ.get("CARGO_HOME") or Path.home() / ".cargo"), cargo)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CARGO_", "MAKE", "MFLAGS"))}
    environment = kept | {"CARGO_HOME": str(cargo), "CARGO_NET_OFFLINE": "true"}
    command = ["make", "-C", tree, "release", f"FUNCTIONS={' '.join(functions)}"]
    subprocess.run(command, env=environment, stdout=sys.stderr, check=True)
    packages = {}
    for name in functions:
        folder = tree / "target/lambda" / name
        folder.mkdir(parents=True)
        shutil.copy(tree / "target/release" / name, folder / "bootstrap")
        if named := paths_of_this_machine((folder / "bootstrap").read_bytes(), cargo, tree):
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
    with tempfile.TemporaryDirectory(prefix="tidemark-reproducible-") as folder:
        built = []
        for tree, cargo in zip(TREES, CARGO_FOLDERS, strict=True):
            copy_of_tree(Path(folder) / tree, is_reversed=bool(built))
            built.append(build(Path(folder) / tree, Path(folder) / cargo, functions))
    one, other = built
    for name in functions:
        print(f"{name}.zip  {differences(one[name], other[name])}")
    return int(one != other)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
