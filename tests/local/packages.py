"""Packs the functions in the folder named by the first argument, all of them or those that the others name, and checks
what the packages weigh: `make build` ends with it.

The package NAME.zip has the files of the folder NAME, and nothing of when and by whom they were made. The same files
give the same package, so a function whose code did not change is not deployed again. A binary that names a folder of
the machine that it was built on would be another one elsewhere, so it is refused. Lambda fetches and unpacks a package
before it starts a function, so each has a budget for its zipped binary. The budgets are those of x86_64. What another
machine's binaries weigh is told and not judged.

A function has one driver of SQL Server: copy-delta reads rows with mssql-tds, and the others look up with tiberius. The
code of a crate is known by the places of its panics, which keep the crate's path.
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

# How a file of x86_64 begins, and where its header names the machine.
ELF, MACHINE, X86_64 = b"\x7fELF", slice(18, 20), (62).to_bytes(2, "little")

TIBERIUS, MSSQL_TDS = b"/tiberius-", b"/mssql-tds-"


def wrong_driver(name: str, binary: bytes) -> str | None:
    """Says what is wrong with the drivers of a function, if anything is."""
    own, other = (MSSQL_TDS, TIBERIUS) if name == "copy-delta" else (TIBERIUS, MSSQL_TDS)
    if own not in binary:
        # Nothing would follow from the absence of the other one.
        return f"{name} does not show its own driver: its binary has no {own.decode()}, so nothing is known"
    if other in binary:
        return f"{name} links both drivers: its binary has {other.decode()}, too"
    return None


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


def has_budget(binary: bytes) -> bool:
    """Returns whether a binary is of the machine that the budgets are for."""
    return binary.startswith(ELF) and binary[MACHINE] == X86_64


def main(folder: Path, names: list[str]) -> int:
    is_refused = False
    cargo = Path(os.environ.get("CARGO_HOME") or Path.home() / ".cargo")
    checkout = Path(__file__).resolve().parents[2]
    wrong = []
    for name in names or BUDGETS_MB:
        budget = BUDGETS_MB[name]
        package = pack(folder / name)
        content = (folder / name / "bootstrap").read_bytes()
        binary = len(content) / MB
        wrong.append(wrong_driver(name, content))
        with zipfile.ZipFile(package) as packed:
            zipped = packed.getinfo("bootstrap").compress_size / MB
        is_too_large = zipped > budget and has_budget(content)
        is_refused |= is_too_large
        verdict = f"more than its {budget} MB" if is_too_large else f"of {budget} MB"
        if not has_budget(content):
            verdict = "(the budgets are of x86_64)"
        print(f"{package}  {binary:.1f} MB, zipped {zipped:.2f} {verdict}")
        if named := paths_of_this_machine(content, cargo, checkout):
            is_refused = True
            print(f"{folder / name}/bootstrap names {' and '.join(named)}: build it with make release")
    wrong = [what for what in wrong if what]
    print("\n".join(wrong or ["Each function has one driver."]))
    return int(is_refused or bool(wrong))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
