"""Packs the functions in the folder named by the argument, and checks what the packages weigh: `make build` ends with
it.

The package NAME.zip has the files of the folder NAME, and nothing of when and by whom they were made. The same files
give the same package, so a function whose code did not change is not deployed again. A binary that names a folder of
the machine that it was built on would be another one elsewhere, so it is refused. Lambda fetches and unpacks a package
before it starts a function, so each has a budget for its zipped binary.
"""

import os
import sys
import zipfile
from pathlib import Path

# Lambda counts so in its limits.
MB = 1024 * 1024
BUDGETS_MB = {
    "copy-delta": 7,
    "lookup-new-watermark": 3,
    "lookup-old-watermark": 3,
    "update-watermark": 3,
}


def pack(folder: Path) -> Path:
    """Zips what is in a folder."""
    target = folder.with_name(f"{folder.name}.zip")
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as package:
        for path in sorted(folder.iterdir()):
            # An entry that is made in this way has the first moment that a zip can have.
            entry = zipfile.ZipInfo(path.name)
            entry.create_system = 3
            entry.external_attr = (0o100755 if path.name == "bootstrap" else 0o100644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            package.writestr(entry, path.read_bytes(), compresslevel=9)
    return target


def paths_of_this_machine(binary: bytes, cargo: Path, checkout: Path) -> list[str]:
    """Returns the folders of Cargo and of this checkout that a binary names."""
    return [f"{folder}/" for folder in (cargo, checkout) if f"{folder}/".encode() in binary]


def main(folder: Path) -> int:
    is_refused = False
    cargo = Path(os.environ.get("CARGO_HOME") or Path.home() / ".cargo")
    checkout = Path(__file__).resolve().parents[2]
    for name, budget in BUDGETS_MB.items():
        package = pack(folder / name)
        binary = (folder / name / "bootstrap").stat().st_size / MB
        with zipfile.ZipFile(package) as packed:
            zipped = packed.getinfo("bootstrap").compress_size / MB
        is_refused |= zipped > budget
        verdict = f"more than its {budget} MB" if zipped > budget else f"of {budget} MB"
        print(f"{package}  {binary:.1f} MB, zipped {zipped:.2f} {verdict}")
        if named := paths_of_this_machine((folder / name / "bootstrap").read_bytes(), cargo, checkout):
            is_refused = True
            print(f"{folder / name}/bootstrap names {' and '.join(named)}: build it with make release")
    return int(is_refused)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
