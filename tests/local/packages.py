"""The packaged functions and what they weigh, in the folder named by the argument: `make build` ends with it.

Lambda fetches and unpacks a package before it starts a function, so each has a budget for its zipped binary.
"""

import sys
import zipfile
from pathlib import Path
from tempfile import TemporaryFile

# As Lambda counts in its limits.
MB = 1024 * 1024
BUDGETS_MB = {
    "copy-delta": 7,
    "lookup-new-watermark": 3,
    "lookup-old-watermark": 3,
    "update-watermark": 3,
}


def zipped_bytes(binary: Path) -> int:
    with TemporaryFile() as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as package:
            package.write(binary, binary.name)
        return file.tell()


def main(folder: Path) -> int:
    is_too_large = False
    for name, budget in BUDGETS_MB.items():
        binary = folder / name / "bootstrap"
        zipped = zipped_bytes(binary) / MB
        is_too_large |= zipped > budget
        verdict = f"more than its {budget} MB" if zipped > budget else f"of {budget} MB"
        print(f"{binary}  {binary.stat().st_size / MB:.1f} MB, zipped {zipped:.2f} {verdict}")
    return int(is_too_large)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
