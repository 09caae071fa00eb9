"""`python -m verify PREFIX --bucket NAME [--owner ACCOUNT]` or `--folder PATH`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from verify.ledger import Verifier, tables
from verify.stores import Bucket, Folder, Store


def verify(store: Store, prefix: str) -> int:
    """Checks every table under the prefix and prints what was found. Returns 0 without problems, 1 with problems, and 2
    when nothing is there.

    The prefix may be the folder of one table, whose ledger is then found beside it.
    """
    prefix = prefix.strip("/")
    listing = store.listing(f"{prefix}/" if prefix else "")
    if prefix:
        above, slash, table = prefix.rpartition("/")
        listing |= store.listing(f"{above}{slash}_ledger/{table}/")
    found = tables(listing)
    if not found:
        print(f"No table was found under '{prefix}'.", file=sys.stderr)
        return 2
    verifier = Verifier(store, listing)
    problems = 0
    for key in sorted(found):
        table = found[key]
        verifier.check(table)
        rows = f"{_count(table.rows, 'row')} in {_count(table.parts, 'object')}"
        counts = f"{_count(table.committed, 'window')}, {rows}, {_count(table.size, 'byte')}"
        print(f"{table.name}: {counts}: {'NOT WELL' if table.problems else 'well'}")
        for note in table.notes:
            print(f"  note: {note}")
        for problem in table.problems:
            print(f"  PROBLEM {problem}")
        problems += len(table.problems)
    print(f"{_count(len(found), 'table')}, {_count(problems, 'problem')}.")
    return 1 if problems else 0


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def main() -> int:
    """Runs the command line."""
    parser = argparse.ArgumentParser(prog="verify", description=__doc__)
    parser.add_argument("prefix", help="what lies above the tables, or one table's folder")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--bucket", help="a bucket, with the usual AWS settings")
    parser.add_argument("--owner", help="the account that owns the bucket, 12 digits")
    where.add_argument("--folder", type=Path, help="a folder with a copy of a bucket")
    arguments = parser.parse_args()
    try:
        if arguments.folder:
            return verify(Folder(arguments.folder), arguments.prefix)
        return verify(Bucket(boto3.client("s3"), arguments.bucket, arguments.owner), arguments.prefix)
    except (BotoCoreError, ClientError, OSError) as error:
        print(f"Cannot read the sink: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
