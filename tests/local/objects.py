"""The sink bucket from outside: lists it, copies it to a folder, and reads it with an independent reader."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from local.deploy import Deployment


@dataclass(frozen=True)
class Object:
    """One object in a listing. Equal listings mean that it was not written again."""

    key: str
    etag: str
    size: int
    modified: datetime

    @property
    def is_data(self) -> bool:
        """Whether it holds rows, which is so in the folder of a window, where nothing of the ledger is."""
        return "/tidemark_window=" in self.key


def listing(deployment: Deployment, prefix: str = "") -> dict[str, Object]:
    """Returns every object under the prefix."""
    pages = (
        deployment.aws.client("s3").get_paginator("list_objects_v2").paginate(Bucket=deployment.bucket, Prefix=prefix)
    )
    entries = [entry for page in pages for entry in page.get("Contents", [])]
    return {
        entry["Key"]: Object(entry["Key"], entry["ETag"], entry["Size"], entry["LastModified"]) for entry in entries
    }


def data_objects(objects: dict[str, Object]) -> dict[str, Object]:
    """Returns those that hold rows."""
    return {key: entry for key, entry in objects.items() if entry.is_data}


def written_once(objects: dict[str, Object]) -> dict[str, Object]:
    """Returns those that no later run may write again: all except the leases of tables, which runs take and
    give back.
    """
    return {key: entry for key, entry in objects.items() if not key.endswith("/lease.json")}


def uploads(deployment: Deployment, prefix: str = "") -> list[str]:
    """Returns the keys of the uploads that are neither completed nor aborted."""
    reply = deployment.aws.client("s3").list_multipart_uploads(Bucket=deployment.bucket, Prefix=prefix)
    return [upload["Key"] for upload in reply.get("Uploads", [])]


def read_json(deployment: Deployment, key: str) -> dict[str, Any]:
    """Returns a document of the ledger."""
    body = deployment.aws.client("s3").get_object(Bucket=deployment.bucket, Key=key)["Body"].read()
    return dict(json.loads(body))


def download(deployment: Deployment, keys: Iterable[str], folder: Path) -> list[Path]:
    """Copies objects to `folder` under their keys."""
    s3 = deployment.aws.client("s3")
    paths = []
    for key in keys:
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(s3.get_object(Bucket=deployment.bucket, Key=key)["Body"].read())
        paths.append(path)
    return paths


def read_rows(paths: Iterable[Path]) -> list[tuple[Any, ...]]:
    """Returns the rows of Parquet or JSON files, as DuckDB reads them."""
    rows: list[tuple[Any, ...]] = []
    for path in paths:
        reader = "read_parquet" if path.suffix == ".parquet" else "read_json"
        rows += duckdb.execute(f"SELECT * FROM {reader}(?, hive_partitioning = false)", [str(path)]).fetchall()
    return rows


def read_lines(paths: Iterable[Path]) -> list[str]:
    """Returns the lines of CSV files without their ends."""
    lines: list[str] = []
    for path in paths:
        body = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        lines += body.decode().splitlines()
    return lines
