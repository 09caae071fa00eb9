"""The stores that a sink is read from: a bucket, or a folder with a copy of one."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Protocol

from awscrt import checksums

CHUNK = 1 << 20


@dataclass(frozen=True)
class Entry:
    """An object in a listing. A folder knows no ETag."""

    size: int
    etag: str | None


class Store(Protocol):
    """A store that can be read, and nothing else."""

    def listing(self, prefix: str) -> dict[str, Entry]:
        """Returns every object whose key begins with the prefix."""
        ...

    def read(self, key: str) -> bytes:
        """Returns a small object."""
        ...

    def chunks(self, key: str) -> Iterator[bytes]:
        """Yields an object of any size, piece by piece."""
        ...


class Folder:
    """A copy of a bucket, in which keys are paths."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def listing(self, prefix: str) -> dict[str, Entry]:
        """Returns every file whose path begins with the prefix."""
        paths = {path.relative_to(self._root).as_posix(): path for path in self._root.rglob("*") if path.is_file()}
        return {key: Entry(path.stat().st_size, None) for key, path in paths.items() if key.startswith(prefix)}

    def read(self, key: str) -> bytes:
        """Returns a small file."""
        return (self._root / key).read_bytes()

    def chunks(self, key: str) -> Iterator[bytes]:
        """Yields a file of any size, piece by piece."""
        with (self._root / key).open("rb") as file:
            while chunk := file.read(CHUNK):
                yield chunk


class Bucket:
    """A bucket, with a boto3 client. With its owner, a bucket of that name which somebody else has is refused."""

    def __init__(self, s3: Any, name: str, owner: str | None = None) -> None:
        self._s3 = s3
        self._where = {"Bucket": name} | ({"ExpectedBucketOwner": owner} if owner else {})

    def listing(self, prefix: str) -> dict[str, Entry]:
        """Returns every object whose key begins with the prefix."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(Prefix=prefix, **self._where)
        entries = [entry for page in pages for entry in page.get("Contents", [])]
        return {entry["Key"]: Entry(entry["Size"], entry["ETag"]) for entry in entries}

    def read(self, key: str) -> bytes:
        """Returns a small object."""
        return bytes(self._s3.get_object(Key=key, **self._where)["Body"].read())

    def chunks(self, key: str) -> Iterator[bytes]:
        """Yields an object of any size, piece by piece."""
        yield from self._s3.get_object(Key=key, **self._where)["Body"].iter_chunks(CHUNK)


@contextmanager
def fetched(store: Store, key: str) -> Iterator[tuple[Path, int, str]]:
    """Yields an object as a file that is gone afterwards, its size, and its CRC-64/NVME as S3 shows it."""
    with NamedTemporaryFile() as file:
        size, crc = 0, 0
        for chunk in store.chunks(key):
            file.write(chunk)
            size += len(chunk)
            crc = checksums.crc64nvme(chunk, crc)
        file.flush()
        yield Path(file.name), size, base64.b64encode(crc.to_bytes(8, "big")).decode()
