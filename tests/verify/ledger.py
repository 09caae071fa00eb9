"""Compares a table's ledger with its objects and with itself."""

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

# The keys of a window's documents, of the pointer, and of the lease, which says nothing of what is copied. A table's
# folder has a dot. That of the runs' leases has none.
LEDGER_KEY = re.compile(
    r"(?P<root>(?:.*/)?)_ledger/(?P<table>[^/]*\.[^/]*)/"
    r"(?:(?P<window>[^/]+)/(?P<name>[^/]+)|(?P<pointer>watermark\.json)|lease\.json)"
)
# The keys in a window's partition, in the folder of the table or of one of its later generations (`.g1`, …).
DATA_KEY = re.compile(
    r"(?P<root>(?:.*/)?)(?P<table>[^/=.]+\.[^/=.]+)(?:\.g[1-9]\d*)?/"
    r"(?:tidemark_load_date=[^/]+/)?tidemark_window=(?P<window>[^/]+)/[^/]+"
)
# One part of a table's name as manifests have it, in brackets where it has to be.
NAME_PART = r"(?:\[((?:[^\]]|\]\])+)\]|([^.\[\]]+))"
TABLE_NAME = re.compile(rf"{NAME_PART}\.{NAME_PART}")
HASH_DIGITS = 12


@dataclass
class Window:
    """The keys of one window's objects."""

    documents: dict[str, str] = field(default_factory=dict)
    """The keys, by the name of the document."""
    data: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Frozen:
    """A plan: its folder, and what tells it from another one that was frozen there."""

    window: str
    author: dict[str, Any]


@dataclass
class Table:
    """The objects of one table, and what was found out about them."""

    key: str
    """The folder of its data."""
    windows: dict[str, Window] = field(default_factory=dict)
    strays: list[str] = field(default_factory=list)
    """The keys in the folder of its data that are in no window."""
    pointer: str | None = None
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    committed: int = 0
    parts: int = 0
    rows: int = 0
    size: int = 0

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.key.rpartition("/")[2]

    def window(self, name: str) -> Window:
        """Returns the window of this name, which is made if it is new."""
        return self.windows.setdefault(name, Window())

    def wrong(self, what: str, where: str, detail: str) -> None:
        """Notes a problem, by its name."""
        self.problems.append(f"{what}: {where}: {detail}")


def tables(listing: Iterable[str]) -> dict[str, Table]:
    """Returns the tables that have objects here, by the folder of their data."""
    found: dict[str, Table] = {}
    others: list[str] = []
    for key in listing:
        in_ledger = LEDGER_KEY.fullmatch(key)
        if not (match := in_ledger or DATA_KEY.fullmatch(key)):
            others.append(key)
            continue
        folder = match["root"] + match["table"]
        table = found.setdefault(folder, Table(folder))
        if in_ledger and match["pointer"]:
            table.pointer = key
        elif in_ledger and not match["window"]:
            continue
        elif in_ledger:
            table.window(match["window"]).documents[match["name"]] = key
        else:
            table.window(match["window"]).data.append(key)
    for key in others:
        segments = key.split("/")
        folders = ("/".join(segments[:depth]) for depth in range(1, len(segments)))
        if folder := next((folder for folder in folders if folder in found), None):
            found[folder].strays.append(key)
    return found


class Verifier:
    """The checks of tables in one store, whose listing it has."""

    def __init__(self, store: Store, listing: dict[str, Entry]) -> None:
        self._store = store
        self._listing = listing

    def check(self, table: Table) -> None:
        """Fills in the table's problems and notes."""
        for key in sorted(table.strays):
            table.wrong("orphan", key.removeprefix(f"{table.key}/"), "it is in no window, and readers take it for data")
        manifests = {}
        for name, window in sorted(table.windows.items()):
            if "manifest.json" not in window.documents:
                self._pending(table, name, window)
                continue
            manifest = self._document(table, window.documents["manifest.json"])
            if manifest is None:
                continue
            if not self._commits(table, window, manifest):
                table.wrong("plan", name, "the manifest is of another plan than the folder's, and commits nothing")
                continue
            manifests[name] = manifest
            table.committed += 1
            try:
                self._manifest(table, name, manifest)
            except (KeyError, TypeError, ValueError) as error:
                table.wrong("document", f"{name}/manifest.json", f"is not as documented: {error!r}")
        self._chain(table, manifests)

    def _pending(self, table: Table, name: str, window: Window) -> None:
        """Checks a window without a manifest."""
        is_planned = "plan.json" in window.documents
        if is_planned:
            table.notes.append(f"{name} is planned and not committed")
        if window.data and not is_planned:
            names = ", ".join(key.removeprefix(f"{table.key}/") for key in sorted(window.data))
            table.wrong("orphan", name, f"{names} without a plan")
        elif window.data:
            table.notes.append(f"{name} has objects and no manifest: its commit is under way or was interrupted")

    def _commits(self, table: Table, window: Window, manifest: dict[str, Any]) -> bool:
        """Returns whether the manifest is of the plan beside it.

        A run that was held up may write one of a plan that is gone.
        """
        plan = self._document(table, window.documents["plan.json"]) if "plan.json" in window.documents else None
        return plan is None or manifest.get("plan") == author_of(plan)

    def _document(self, table: Table, key: str) -> dict[str, Any] | None:
        try:
            document = json.loads(self._store.read(key))
            if document["version"] == 1:
                return dict(document)
            table.wrong("document", key, f"has version {document['version']}")
        except (ValueError, KeyError, TypeError) as error:
            table.wrong("document", key, f"cannot be read: {error}")
        return None

    def _manifest(self, table: Table, name: str, manifest: dict[str, Any]) -> None:
        started = re.sub(r"^(reinit-)+", "", name)
        if manifest["window"] != name or started != window_of(manifest["old_watermark"]):
            table.wrong("chain", name, f"the manifest is that of a window from {manifest['old_watermark']}")
        if folder_of(manifest["table"]) != table.name:
            table.wrong("table", name, f"the manifest is that of {manifest['table']}")
        if (schema := manifest.get("schema")) and schema != fingerprint(manifest["columns"]):
            table.wrong("schema", name, "the fingerprint is not that of the columns")
        parts = manifest["parts"]
        if load := manifest.get("superseded_by"):
            if parts or load != f"reinit-{name}" or manifest["new_watermark"] != manifest["old_watermark"]:
                table.wrong("superseded", name, f"it is said to be copied as {load}, and is more than a way there")
        else:
            self._plan(table, name, manifest)
        # Rows that went into a table of another database are in no object.
        for total in ("bytes",) if manifest.get("sink") else ("rows", "bytes"):
            if manifest[total] != (found := sum(part[total] for part in parts)):
                table.wrong("total", name, f"{total} is {manifest[total]}, its parts have {found}")
        for slice_name, times in Counter(part["slice"] for part in parts).items():
            if times > 1:
                table.wrong("parts", name, f"slice {slice_name} has {times} parts")
        listed = {part["key"] for part in parts}
        for key in sorted(set(table.windows[name].data) - listed):
            table.wrong("orphan", key.removeprefix(f"{table.key}/"), "no manifest names it")
        for part in parts:
            if part["key"] in self._listing and part["key"] not in table.windows[name].data:
                table.wrong("parts", name, f"{part['key']} is not in the folder of the window")
            self._part(table, part, manifest)

    def _plan(self, table: Table, name: str, manifest: dict[str, Any]) -> None:
        documents = table.windows[name].documents
        if "plan.json" not in documents:
            table.wrong("plan", name, "there is no plan.json")
            return
        plan = self._document(table, documents["plan.json"])
        if plan is None:
            return
        for same in ("table", "window", "old_watermark", "new_watermark", "columns", "generation", "format"):
            if plan.get(same) != manifest.get(same):
                table.wrong("plan", name, f"{same} is not the same in plan and manifest")
        parts = {part["slice"]: part for part in manifest["parts"]}
        frozen = Frozen(name, author_of(plan))
        slices = dict(self._slices(table, frozen, plan["slices"]))
        if manifest.get("sink"):
            merged = [copied(records[-1]) for records in slices.values() if records]
            rows = sum(rows for rows, key in merged if key is None)
            if len(merged) != len(slices) or rows != manifest["rows"]:
                table.wrong("record", name, f"the records do not have the {manifest['rows']} rows of the manifest")
            return
        for slice_name, records in slices.items():
            part = parts.get(slice_name, {"rows": 0, "key": None})
            if (part["rows"], part["key"]) not in [copied(record) for record in records]:
                found = [copied(record)[0] for record in records] or "no record"
                table.wrong(
                    "record", name, f"slice {slice_name} has {part['rows']} rows in the manifest; found {found}"
                )
        for slice_name in parts.keys() - slices.keys():
            table.wrong("record", name, f"the plan has no slice {slice_name}")
        if [slice_name for slice_name in slices if slice_name in parts] != [
            part["slice"] for part in manifest["parts"]
        ]:
            table.wrong("parts", name, "the parts are not in the order of their slices")

    def _slices(
        self, table: Table, frozen: Frozen, slices: list[Any], within: str = ""
    ) -> Iterator[tuple[int | str, list[dict[str, Any]]]]:
        """Yields each slice that is copied as one, by its name, with its records. A slice that was split is replaced by
        its sub-slices.
        """
        for number in range(len(slices)):
            name = f"{within}{number}"
            records = self._records(table, frozen, name)
            if records and records[-1]["decision"] == "split":
                yield from self._slices(table, frozen, records[-1]["slices"], f"{name}.")
            else:
                yield (name if within else number), records

    def _records(self, table: Table, frozen: Frozen, slice_name: str) -> list[dict[str, Any]]:
        """Returns the records of all attempts at a slice. The record of a voided attempt may be the part's too.

        Records of another plan are left out: a window that was given up is frozen again, and its old records do not
        count.
        """
        window = frozen.window
        stem = ".".join(f"{int(number):05}" for number in slice_name.split("."))
        documents = table.windows[window].documents
        names = [name for name in documents if re.fullmatch(rf"record-{re.escape(stem)}(-\d+)?\.json", name)]
        names.sort(key=_attempt)
        records = []
        for name in names:
            record = self._document(table, documents[name])
            if record is None:
                continue
            place = (record["window"], str(record["slice"]), record["attempt"])
            if place != (window, slice_name, _attempt(name)):
                table.wrong("record", f"{window}/{name}", f"is the record of {place}")
            if record["plan"] == frozen.author:
                records.append(record)
        return records

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
        """Checks that each window begins where another ends, except the first."""
        ends = {window: end_of(manifest) for window, manifest in manifests.items()}
        for end, times in Counter(ends.values()).items():
            if times > 1:
                table.wrong("chain", end, f"{times} windows end where it begins")
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
                if at in manifests:
                    table.notes.append(f"the pointer lags at {at}: the next run moves it")
                elif manifests and at not in ends.values():
                    table.wrong("pointer", "watermark.json", f"stands at {at}, where no window ends")

    def _came_from(self, table: Table, window: str, manifests: dict[str, dict[str, Any]]) -> None:
        """Checks that the window that a committed one says it follows is committed too."""
        key = table.windows[window].documents.get("previous.json")
        previous = self._document(table, key) if key else None
        if previous is not None and previous.get("window") not in manifests:
            table.wrong("chain", window, f"window {previous.get('window')} before it has no manifest")

    def _left(self, table: Table, window: str, manifest: dict[str, Any], end: str) -> None:
        """Checks what a window leaves for the next, which is its columns. One that is superseded leaves nothing."""
        if manifest.get("superseded_by"):
            return
        key = table.windows.get(end, Window()).documents.get("previous.json")
        if key is None:
            if "schema" in manifest:
                table.wrong("schema", end, f"there is no previous.json of window {window}")
            return
        previous = self._document(table, key)
        columns = manifest["columns"] or (previous or {}).get("columns")
        if previous is not None and (previous.get("window"), previous.get("columns")) != (window, columns):
            table.wrong("schema", f"{end}/previous.json", f"has not the columns of window {window}")
        elif previous is not None and previous.get("plan") != manifest.get("plan"):
            table.wrong("plan", f"{end}/previous.json", f"is of another plan of window {window}")


def author_of(plan: dict[str, Any]) -> dict[str, Any]:
    """Returns what tells a plan from another one of its window, as the documents made for it have it."""
    return {"run_id": plan.get("run_id"), "created_at": plan.get("created_at")}


def end_of(manifest: dict[str, Any]) -> str:
    """Returns the name of the window after this one."""
    return str(manifest.get("superseded_by") or window_of(manifest["new_watermark"]))


def window_of(watermark: dict[str, Any] | None) -> str:
    """Returns the name of the window that starts at a watermark (docs/reference/documents.md, The keys)."""
    if watermark is None:
        return "initial"
    text = str(watermark["value"])
    zone = "Z" if text.endswith("Z") else ""
    whole, _, fraction = text.removesuffix("Z").partition(".")
    midnight = "T00-00-00" if re.fullmatch(r"\d{4}-\d\d-\d\d", whole) else ""
    fraction = fraction.rstrip("0")
    return "from-" + whole.replace(":", "-") + midnight + (f".{fraction}" if fraction else "") + zone


def folder_of(table: str) -> str:
    """Returns the folder of a table's data, and of its ledger (docs/reference/documents.md, The keys)."""
    match = TABLE_NAME.fullmatch(table)
    if match is None:
        raise ValueError(f"{table} is not the name of a table")
    schema, name = ((match[part] or match[part + 1]).replace("]]", "]") for part in (1, 3))
    folder = ".".join(re.sub(r"[^A-Za-z0-9_-]", "_", part) for part in (schema, name))
    looks_like_one_with_a_hash = re.search(rf"-[0-9a-f]{{{HASH_DIGITS}}}$", name)
    if folder == f"{schema}.{name}" and not looks_like_one_with_a_hash:
        return folder
    crc = checksums.crc64nvme(f"{schema}\0{name}".encode())
    return f"{folder}-{crc:016x}"[: len(folder) + 1 + HASH_DIGITS]


def copied(record: dict[str, Any]) -> tuple[int, str | None]:
    """Returns the rows that a record says are copied, and the key of the object they are in."""
    match record["decision"]:
        case "uploaded":
            return record["rows"], record["upload"]["key"]
        case "merged":
            return record["rows"], None
        case "empty" | "superseded" | "split":
            return 0, None
        case decision:
            raise ValueError(f"a record has the decision {decision}")


def _attempt(name: str) -> int:
    """Returns the number of the attempt in the name of a record, `record-00000-1.json`, or 0 when there is none."""
    return int(name.removesuffix(".json").split("-")[2]) if name.count("-") == 2 else 0


def fingerprint(columns: list[dict[str, Any]]) -> str:
    """Returns the name of a column list (docs/reference/documents.md, plan.json)."""
    lines = "".join(
        f"{column['name']}\t{column['sql_type']}\t{'null' if column['nullable'] else 'not null'}\n"
        for column in columns
    )
    return base64.b64encode(checksums.crc64nvme(lines.encode()).to_bytes(8, "big")).decode()
