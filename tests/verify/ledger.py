"""The checks: what a table's ledger says, held against its objects and against itself."""

from __future__ import annotations

import base64
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from awscrt import checksums

from verify.rows import Unreadable, count
from verify.stores import Entry, Store, fetched

KEY = re.compile(
    r"(?P<table>(?:.*/)?[^/]+)/(?:load_date=[^/]+/)?(?:window=(?P<window>[^/]+)/(?P<name>.+)|(?P<pointer>_watermark\.json))"
)


@dataclass
class Table:
    """One table's objects, and what was found out about them."""

    key: str
    windows: dict[str, dict[str, str]] = field(default_factory=dict)
    """Per window the keys of its objects by name."""
    pointer: str | None = None
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    committed: int = 0
    parts: int = 0
    rows: int = 0
    size: int = 0

    @property
    def name(self) -> str:
        """The table as its directory is called."""
        return self.key.rpartition("/")[2]

    def wrong(self, what: str, where: str, detail: str) -> None:
        """A problem, by its name."""
        self.problems.append(f"{what}: {where}: {detail}")


def tables(listing: Iterable[str]) -> dict[str, Table]:
    """The tables that have objects here."""
    found: dict[str, Table] = {}
    for key in listing:
        if not (match := KEY.fullmatch(key)):
            continue
        table = found.setdefault(match["table"], Table(match["table"]))
        if match["pointer"]:
            table.pointer = key
        else:
            table.windows.setdefault(match["window"], {})[match["name"]] = key
    return found


class Verifier:
    """Checks tables of one store, whose listing it has."""

    def __init__(self, store: Store, listing: dict[str, Entry]) -> None:
        self._store = store
        self._listing = listing

    def check(self, table: Table) -> None:
        """Fills in the table's problems and notes."""
        manifests = {}
        for window, names in sorted(table.windows.items()):
            where = f"window={window}"
            data = {name: key for name, key in names.items() if name.startswith("part-")}
            if "_manifest.json" not in names:
                if "_plan.json" in names:
                    table.notes.append(f"{where} is planned and not committed")
                if data and "_plan.json" not in names:
                    table.wrong("orphan", where, f"{', '.join(sorted(data))} without a plan")
                elif data:
                    table.notes.append(
                        f"{where} has objects and no manifest: its commit is under way or was interrupted"
                    )
                continue
            manifest = self._document(table, names["_manifest.json"])
            if manifest is None:
                continue
            manifests[window] = manifest
            table.committed += 1
            try:
                self._manifest(table, window, manifest, names)
            except (KeyError, TypeError, ValueError) as error:
                table.wrong("document", f"{where}/_manifest.json", f"is not as documented: {error!r}")
        self._chain(table, manifests)

    def _document(self, table: Table, key: str) -> dict[str, Any] | None:
        try:
            document = json.loads(self._store.read(key))
            # The record of a slice that was split has a version of its own.
            if document["version"] == (2 if "split" in document else 1):
                return dict(document)
            table.wrong("document", key, f"has version {document['version']}")
        except (ValueError, KeyError, TypeError) as error:
            table.wrong("document", key, f"cannot be read: {error}")
        return None

    def _manifest(self, table: Table, window: str, manifest: dict[str, Any], names: dict[str, str]) -> None:
        where = f"window={window}"
        started = re.sub(r"^(reinit-)+", "", window)
        if manifest["window"] != window or started != window_of(manifest["old_watermark"]):
            table.wrong("chain", where, f"the manifest is that of a window from {manifest['old_watermark']}")
        if (schema := manifest.get("schema")) and schema != fingerprint(manifest["columns"]):
            table.wrong("schema", where, "the fingerprint is not that of the columns")
        parts = manifest["parts"]
        if load := manifest.get("superseded_by"):
            if parts or load != f"reinit-{window}" or manifest["new_watermark"] != manifest["old_watermark"]:
                table.wrong("superseded", where, f"it is said to be copied as {load}, and is more than a way there")
        else:
            self._plan(table, where, manifest, names)
        # Rows that went into a table of another database are in no object.
        for total in ("bytes",) if manifest.get("sink") else ("rows", "bytes"):
            if manifest[total] != (found := sum(part[total] for part in parts)):
                table.wrong("total", where, f"{total} is {manifest[total]}, its parts have {found}")
        for slice_number, times in Counter(part["slice"] for part in parts).items():
            if times > 1:
                table.wrong("parts", where, f"slice {slice_number} has {times} parts")
        listed = {part["key"] for part in parts}
        for name, key in sorted(names.items()):
            if name.startswith("part-") and key not in listed:
                table.wrong("orphan", f"{where}/{name}", "no manifest names it")
        for part in parts:
            self._part(table, part, manifest)

    def _plan(self, table: Table, where: str, manifest: dict[str, Any], names: dict[str, str]) -> None:
        if "_plan.json" not in names:
            table.wrong("plan", where, "there is no _plan.json")
            return
        plan = self._document(table, names["_plan.json"])
        if plan is None:
            return
        for name in ("table", "window", "old_watermark", "new_watermark", "columns", "format"):
            if plan[name] != manifest[name]:
                table.wrong("plan", where, f"{name} is not the same in plan and manifest")
        parts = {part["slice"]: part for part in manifest["parts"]}
        slices = dict(self._slices(table, names, plan["slices"]))
        if manifest.get("sink"):
            if not all(slices.values()) or sum(r[-1]["rows"] for r in slices.values()) != manifest["rows"]:
                table.wrong("record", where, f"the records do not have the {manifest['rows']} rows of the manifest")
            return
        for name, records in slices.items():
            rows, key = parts.get(name, {}).get("rows", 0), parts.get(name, {}).get("key")
            if not any((record["rows"], (record["staged"] or {}).get("key")) == (rows, key) for record in records):
                found = [record["rows"] for record in records] or "no record"
                table.wrong("record", where, f"slice {name} has {rows} rows in the manifest, and in _parts {found}")
        for name in parts.keys() - slices.keys():
            table.wrong("record", where, f"the plan has no slice {name}")
        if [name for name in slices if name in parts] != [part["slice"] for part in manifest["parts"]]:
            table.wrong("parts", where, "the parts are not in the order of their slices")

    def _slices(
        self, table: Table, names: dict[str, str], slices: list[Any], within: str = ""
    ) -> Iterator[tuple[int | str, list[dict[str, Any]]]]:
        """What is copied as one, by its name, with its records; in place of a slice that was split its sub-slices."""
        for number in range(len(slices)):
            name = f"{within}{number}"
            records = self._records(table, name, names)
            if records and (sub_slices := records[-1].get("split")):
                yield from self._slices(table, names, sub_slices, f"{name}.")
            else:
                yield (name if within else number), records

    def _records(self, table: Table, slice_name: str, names: dict[str, str]) -> list[dict[str, Any]]:
        """The records of all attempts at a slice; one of a voided one may be the part's, too."""
        stem = re.escape(".".join(f"{int(number):05}" for number in slice_name.split(".")))
        matches = [name for name in names if re.fullmatch(rf"_parts/{stem}(-\d+)?\.json", name)]
        matches.sort(key=lambda name: int(name.removesuffix(".json").partition("-")[2] or 0))
        documents = [self._document(table, names[name]) for name in matches]
        return [document for document in documents if document is not None]

    def _part(self, table: Table, part: dict[str, Any], manifest: dict[str, Any]) -> None:
        key = part["key"]
        where = key.removeprefix(f"{table.key}/")
        entry = self._listing.get(key)
        if entry is None:
            table.wrong("missing", where, "the manifest names it, and it is not there")
            return
        if part["rows"] == 0 or part["bytes"] == 0:
            table.wrong("empty", where, "an object without rows")
        if entry.etag is not None and entry.etag.strip('"') != part["etag"].strip('"'):
            table.wrong("etag", where, f"is {entry.etag}, the manifest says {part['etag']}")
        with fetched(self._store, key) as (path, size, checksum):
            if size != part["bytes"]:
                table.wrong("size", where, f"has {size} bytes, the manifest says {part['bytes']}")
            if checksum != part["crc64nvme"]:
                table.wrong("checksum", where, f"CRC-64/NVME is {checksum}, the manifest says {part['crc64nvme']}")
            try:
                rows = count(path, manifest["format"], [column["name"] for column in manifest["columns"]])
            except Unreadable as error:
                table.wrong("unreadable", where, str(error))
            else:
                if rows != part["rows"]:
                    table.wrong("rows", where, f"has {rows} rows, the manifest says {part['rows']}")
                table.rows += rows
        table.parts += 1
        table.size += size

    def _chain(self, table: Table, manifests: dict[str, dict[str, Any]]) -> None:
        """Each window begins where another ends, but for the first."""
        ends = {window: end_of(manifest) for window, manifest in manifests.items()}
        for end, times in Counter(ends.values()).items():
            if times > 1:
                table.wrong("chain", f"window={end}", f"{times} windows end where it begins")
        starts = sorted(manifests.keys() - set(ends.values()))
        if len(starts) > 1 or (manifests and not starts):
            table.wrong("chain", table.name, f"windows that no other leads to: {', '.join(starts) or 'none'}")
        for window, end in sorted(ends.items()):
            self._left(table, window, manifests[window], end)
        for window in sorted(manifests):
            self._came_from(table, window, manifests)
        if table.pointer is not None:
            pointer = self._document(table, table.pointer)
            if pointer is not None:
                at = window_of(pointer.get("watermark"))
                if manifests and at not in ends.values():
                    table.wrong("pointer", "_watermark.json", f"stands at {at}, where no window ends")
                elif at in manifests:
                    table.notes.append(f"the pointer lags at {at}: the next run moves it")

    def _came_from(self, table: Table, window: str, manifests: dict[str, dict[str, Any]]) -> None:
        """The window that a committed one says it follows is committed, too."""
        key = table.windows[window].get("_previous.json")
        previous = self._document(table, key) if key else None
        if previous is not None and previous.get("window") not in manifests:
            table.wrong("chain", f"window={window}", f"window {previous.get('window')} before it has no manifest")

    def _left(self, table: Table, window: str, manifest: dict[str, Any], end: str) -> None:
        """What a window leaves for the next: its columns. One that is superseded has none."""
        if manifest.get("superseded_by"):
            return
        key = table.windows.get(end, {}).get("_previous.json")
        if key is None:
            if "schema" in manifest:
                table.wrong("schema", f"window={end}", f"there is no _previous.json of window {window}")
            return
        previous = self._document(table, key)
        columns = manifest["columns"] or (previous or {}).get("columns")
        if previous is not None and (previous.get("window"), previous.get("columns")) != (window, columns):
            table.wrong("schema", f"window={end}/_previous.json", f"has not the columns of window {window}")


def end_of(manifest: dict[str, Any]) -> str:
    """The window after this one."""
    return str(manifest.get("superseded_by") or window_of(manifest["new_watermark"]))


def window_of(watermark: dict[str, Any] | None) -> str:
    """The name of the window that starts at a watermark (docs/semantics.md, The ledger)."""
    if watermark is None:
        return "initial"
    text = str(watermark["value"])
    zone = "Z" if text.endswith("Z") else ""
    whole, _, fraction = text.removesuffix("Z").partition(".")
    midnight = "T00-00-00" if re.fullmatch(r"\d{4}-\d\d-\d\d", whole) else ""
    fraction = fraction.rstrip("0")
    return whole.replace(":", "-") + midnight + (f".{fraction}" if fraction else "") + zone


def fingerprint(columns: list[dict[str, Any]]) -> str:
    """The name of a column list (docs/semantics.md, Fields)."""
    lines = "".join(
        f"{column['name']}\t{column['sql_type']}\t{'null' if column['nullable'] else 'not null'}\n"
        for column in columns
    )
    return base64.b64encode(checksums.crc64nvme(lines.encode()).to_bytes(8, "big")).decode()
