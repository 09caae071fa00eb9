"""Makes the parameters that `make deploy` gives to the template, and checks them before anything is built.

It reads SECRET_ARN, TABLES, ARCH and PARAMETERS from the environment and writes the file named by the argument. When
something is missing or does not fit, it says what to do and ends with 1.
"""

import json
import os
import re
import shutil
import sys
from pathlib import Path

# The bytes that a parameter of CloudFormation can hold.
MOST_BYTES = 4096


class Refused(Exception):
    """Something is missing or does not fit."""


def tables_json(path: str) -> str:
    """Returns the tables of a file, as short as JSON can be."""
    try:
        tables = json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise Refused(f"TABLES={path} cannot be read as JSON: {error}") from error
    if not isinstance(tables, dict) or not isinstance(tables.get("tables"), list) or not tables["tables"]:
        raise Refused(f'TABLES={path} must be an object with a non-empty array "tables", like infra/tables.json')
    text = json.dumps(tables, separators=(",", ":"), ensure_ascii=False)
    size = len(text.encode())
    if size > MOST_BYTES:
        raise Refused(
            f"TABLES={path} takes {size:,} bytes, and a parameter holds {MOST_BYTES:,}. Put the file into the bucket "
            "and give its key as TableListKey in PARAMETERS=file.yaml without TABLES: docs/how-to/many-tables.md"
        )
    return text


def parameters(environment: dict[str, str]) -> dict[str, str]:
    """Returns the parameters of the template that the Makefile's variables stand for."""
    if not environment.get("SECRET_ARN"):
        raise Refused("SECRET_ARN is missing: the ARN of a secret with host, port, username, password and dbname")
    more = environment.get("PARAMETERS", "")
    try:
        has_list = bool(more) and re.search(r"(?m)^\s*[\"']?TableListKey[\"']?\s*:\s*\S", Path(more).read_text())
    except OSError as error:
        raise Refused(f"PARAMETERS={more} cannot be read: {error}") from error
    tables = environment.get("TABLES", "")
    if has_list and tables:
        raise Refused("TABLES and TableListKey are both given, and a schedule reads one of them: leave TABLES out")
    if not has_list and not tables:
        raise Refused("TABLES is missing: a file with the tables to copy, like infra/tables.json")
    found = {"SourceSecretArn": environment["SECRET_ARN"], "Architecture": environment.get("ARCH") or "x86_64"}
    return found if has_list else {**found, "TablesJson": tables_json(tables)}


def main(target: Path) -> int:
    try:
        if not shutil.which("sam"):
            raise Refused("The AWS SAM CLI is not installed: pipx install aws-sam-cli")
        found = parameters(dict(os.environ))
    except Refused as refusal:
        print(refusal, file=sys.stderr)
        return 1
    target.parent.mkdir(exist_ok=True)
    # JSON is YAML.
    target.write_text(json.dumps(found) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
