"""Runs statements on the server of TIDEMARK_SOURCE, for a machine without a client of SQL Server.

    python -m local.statements file.sql     - is standard input

Lines that say GO separate batches, as for sqlcmd. The rows of a batch are printed with ` | ` between the columns.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from urllib.parse import quote

import pymssql

from local import source_url
from local.sandbox import run_script

SHAPE = "TIDEMARK_SOURCE must look like sqlserver://user@host:port/database, with the password in TIDEMARK_PASSWORD"


def main(name: str) -> int:
    """Runs a script, and says what the server refuses."""
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8-sig")
        login = source_url.parse(_address()).login
        batches = [
            batch for batch in re.split(r"^\s*GO\s*$", text, flags=re.MULTILINE | re.IGNORECASE) if batch.strip()
        ]
        for row in run_script(login, batches):
            print(" | ".join("NULL" if value is None else str(value) for value in row))
    except OSError as error:
        return _failed(f"{name} cannot be read: {error}")
    except source_url.BadUrl:
        return _failed(
            "TIDEMARK_SOURCE must look like sqlserver://user@host:port/database, with the password in TIDEMARK_PASSWORD"
        )
    except pymssql.Error as error:
        number, message = error.args if len(error.args) == 2 else ("", error)
        return _failed(f"the server refused {number}: {message.decode() if isinstance(message, bytes) else message}")
    print("1 batch was run" if len(batches) == 1 else f"{len(batches)} batches were run", file=sys.stderr)
    return 0


def _address() -> str:
    """Returns the address with the password that is in a variable of its own."""
    address, password = os.environ.get("TIDEMARK_SOURCE", ""), os.environ.get("TIDEMARK_PASSWORD", "")
    before, at, after = address.rpartition("@")
    return f"{before}:{quote(password, safe='')}{at}{after}" if password and before.count(":") == 1 else address


def _failed(why: str) -> int:
    print(why, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
