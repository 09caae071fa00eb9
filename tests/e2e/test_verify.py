"""Tests the verifier without Tidemark's own code: what it accepts, and every fault of a sink that it must name."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import boto3
import duckdb
import pyarrow.parquet
import pytest
from botocore.response import StreamingBody
from botocore.stub import Stubber
from conftest import Table, ledger, run

from local import objects
from local.deploy import Deployment
from local.sandbox import Sandbox
from verify.__main__ import verify
from verify.ledger import fingerprint, folder_of, window_of
from verify.stores import Bucket, Folder

FORMATS: dict[str, Any] = {
    "v_parquet": "parquet",
    "v_csv": {"csv": {"compression": "gzip", "delimiter": ";"}},
    "v_plain": {"csv": {"header": False, "null": "\\N", "quote": "none", "line_end": "\r\n"}},
    "v_jsonl": "jsonl",
}
PREFIX = "lake/raw"
FIRST, SECOND, LAST = "initial", "from-2017-09-05T08-06-00.123", "from-2017-09-07T09-01-00"


def _spec(name: str, **other: Any) -> dict[str, Any]:
    tracking = {"watermark": {"column": "at", "settle_seconds": 0}}
    return {"table": f"dbo.{name}", "tracking": tracking, "format": FORMATS[name], **other}


@pytest.fixture(scope="module")
def sink(s3_deployment: Deployment, sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a copy of a sink with four tables of two windows each."""
    for name in FORMATS:
        sandbox.execute(f"CREATE TABLE {name} (id int NOT NULL, note nvarchar(40), at datetime2(7))")
        rows = "(1, N'a \"b\"', '2017-09-01'), (2, NULL, '2017-09-05 08:06:00.123'), (3, N'', NULL)"
        sandbox.execute(f"INSERT INTO {name} VALUES {rows}")
    specs = [_spec(name) for name in FORMATS]
    assert run(s3_deployment, *specs).succeeded
    for name in FORMATS:
        sandbox.execute(f"INSERT INTO {name} VALUES (4, N'x', '2017-09-07 09:01')")
    assert run(s3_deployment, *specs).succeeded
    folder = tmp_path_factory.mktemp("sink")
    for name in FORMATS:
        objects.download(s3_deployment, ledger(s3_deployment, Table(sandbox, name)), folder)
    return folder


def test_a_sink_that_is_well_is_said_to_be_so(
    s3_deployment: Deployment, sink: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The sink is accepted in the folder and in the bucket itself with its ETags, and also for one table alone."""
    assert verify(Folder(sink), PREFIX) == 0
    out = capsys.readouterr().out
    assert "dbo.v_parquet: 2 windows, 3 rows in 2 objects" in out
    assert out.endswith("4 tables, 0 problems.\n")
    bucket = Bucket(s3_deployment.aws.client("s3"), s3_deployment.bucket)
    assert verify(bucket, f"{PREFIX}/dbo.v_") == 2
    assert verify(bucket, f"{PREFIX}/dbo.v_csv") == 0
    assert verify(Folder(sink), "elsewhere") == 2


def test_every_call_of_the_verifier_names_the_owner_that_it_is_given() -> None:
    """A bucket of that name which somebody else has is refused by S3."""
    for owner, named in (("111122223333", {"ExpectedBucketOwner": "111122223333"}), (None, {})):
        client = boto3.client("s3", region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b")
        body = {"Body": StreamingBody(BytesIO(b"{}"), 2)}
        with Stubber(client) as s3:
            s3.add_response("list_objects_v2", {}, {"Bucket": "b", "Prefix": "p/", **named})
            for _ in range(2):
                s3.add_response("get_object", body, {"Bucket": "b", "Key": "k", **named})
            bucket = Bucket(client, "b", owner)
            assert (bucket.listing("p/"), bucket.read("k")) == ({}, b"{}")
            list(bucket.chunks("k"))
            s3.assert_no_pending_responses()


@dataclass(frozen=True)
class Folders:
    """The places of one table in a copy of a sink."""

    data: Path
    ledger: Path

    @property
    def part(self) -> Path:
        """Returns the part of the first window."""
        (part,) = (self.data / f"tidemark_window={FIRST}").glob("part-*")
        return part


Break = Callable[[Folders], object]


def _edit(name: str, change: Callable[[dict[str, Any]], object]) -> Break:
    """Returns a function that changes a document of the ledger."""

    def edit(table: Folders) -> None:
        document = json.loads((table.ledger / name).read_text())
        change(document)
        (table.ledger / name).write_text(json.dumps(document))

    return edit


def _set(name: str, **values: Any) -> Break:
    return _edit(name, lambda document: document.update(values))


def _set_part(**values: Any) -> Break:
    return _edit(f"{FIRST}/manifest.json", lambda document: document["parts"][0].update(values))


def _delete(name: str) -> Break:
    return lambda table: (table.ledger / name).unlink()


def _copy_part(to: str) -> Break:
    """Returns a function that copies the part of the first window to another place in the table's folder."""

    def copy(table: Folders) -> None:
        (table.data / to).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(table.part, table.data / to)

    return copy


def _flip(table: Folders) -> None:
    """Flips one bit in the middle of the first part."""
    data = bytearray(table.part.read_bytes())
    data[len(data) // 2] ^= 1
    table.part.write_bytes(data)


def _falsify(table: Folders) -> None:
    """Replaces a date by one that is as valid."""
    table.part.write_bytes(table.part.read_bytes().replace(b"2017-09-01", b"2017-09-02"))


def _fewer_rows(table: Folders) -> None:
    """Writes a valid file with one row less."""
    rows = pyarrow.parquet.read_table(table.part, partitioning=None)
    pyarrow.parquet.write_table(rows.slice(1), table.part)


def _truncate(table: Folders) -> None:
    table.part.write_bytes(table.part.read_bytes()[:-7])


def _drop_first_window(table: Folders) -> None:
    shutil.rmtree(table.ledger / FIRST)
    shutil.rmtree(table.part.parent)


def _rename_second_window(table: Folders) -> None:
    name = "from-2017-09-05T08-06-00.2"
    (table.ledger / SECOND).rename(table.ledger / name)
    (table.data / f"tidemark_window={SECOND}").rename(table.data / f"tidemark_window={name}")


def _move_part(table: Folders) -> None:
    """Moves the part of the first window to another folder, which its manifest and its record name."""
    key = f"tidemark_window={SECOND}/part-00007.jsonl"
    table.part.rename(table.data / key)
    root = f"{PREFIX}/{table.data.name}"
    _edit(f"{FIRST}/manifest.json", lambda manifest: manifest["parts"][0].update(key=f"{root}/{key}"))(table)
    _edit(f"{FIRST}/record-00000.json", lambda record: record["upload"].update(key=f"{root}/{key}"))(table)


WAYS: dict[str, tuple[str, Break, list[str]]] = {
    "a part is gone": ("v_parquet", lambda table: table.part.unlink(), ["missing"]),
    "a value is another": ("v_jsonl", _falsify, ["checksum"]),
    "a bit flipped in gzip": ("v_csv", _flip, ["checksum", "unreadable"]),
    "a part was cut": ("v_jsonl", _truncate, ["size", "checksum", "unreadable"]),
    "a part was rewritten with fewer rows": ("v_parquet", _fewer_rows, ["size", "checksum", "rows"]),
    "a part is in another folder": ("v_jsonl", _move_part, ["parts", "orphan"]),
    "the manifest has another count": ("v_csv", _set_part(rows=3), ["total", "record", "rows"]),
    "the manifest has another size": ("v_jsonl", _set_part(bytes=3), ["total", "size"]),
    "the manifest has another checksum": ("v_plain", _set_part(crc64nvme="AAAAAAAAAAA="), ["checksum"]),
    "the manifest is another table's": (
        "v_plain",
        _set(f"{FIRST}/manifest.json", table="dbo.other"),
        ["table", "plan"],
    ),
    "the total is wrong": ("v_parquet", _set(f"{FIRST}/manifest.json", rows=7), ["total"]),
    "a manifest is gone": ("v_parquet", _delete(f"{FIRST}/manifest.json"), ["chain"]),
    "a window is gone": ("v_parquet", _drop_first_window, ["chain"]),
    "the last manifest is gone": ("v_parquet", _delete(f"{SECOND}/manifest.json"), ["pointer"]),
    "a plan is gone": ("v_parquet", _delete(f"{FIRST}/plan.json"), ["plan"]),
    "a record is gone": ("v_parquet", _delete(f"{FIRST}/record-00000.json"), ["record"]),
    "a record has another count": ("v_parquet", _set(f"{FIRST}/record-00000.json", rows=5), ["record"]),
    "a record says that nothing was copied": (
        "v_parquet",
        _set(f"{FIRST}/record-00000.json", decision="empty"),
        ["record"],
    ),
    "a record is another slice's": ("v_parquet", _set(f"{FIRST}/record-00000.json", slice=1), ["record"]),
    "an object nobody wrote": ("v_jsonl", _copy_part(f"tidemark_window={FIRST}/part-00001.jsonl"), ["orphan"]),
    "an object that is no part": ("v_jsonl", _copy_part(f"tidemark_window={FIRST}/notes.txt"), ["orphan"]),
    "an object outside of every window": ("v_jsonl", _copy_part("part-00000.jsonl"), ["orphan"]),
    "a window nobody planned": ("v_jsonl", _copy_part("tidemark_window=from-7/part-00000.jsonl"), ["orphan"]),
    "a document is torn": ("v_jsonl", lambda table: (table.ledger / FIRST / "plan.json").write_text("{"), ["document"]),
    "a later release": ("v_jsonl", _set(f"{FIRST}/plan.json", version=2), ["document"]),
    "the plan ends elsewhere": (
        "v_jsonl",
        _edit(f"{FIRST}/plan.json", lambda plan: plan["new_watermark"].update(value="2017-09-06T00:00:00.0000000")),
        ["plan"],
    ),
    "a window leads nowhere": (
        "v_parquet",
        _edit(f"{FIRST}/manifest.json", lambda manifest: manifest["new_watermark"].update(value="2016-01-01T00:00:00")),
        ["plan", "chain", "schema"],
    ),
    "a window is called otherwise": (
        "v_parquet",
        _rename_second_window,
        ["chain", "orphan", "missing", "record", "schema"],
    ),
    "other columns": (
        "v_jsonl",
        _edit(f"{FIRST}/manifest.json", lambda manifest: manifest["columns"].reverse()),
        ["schema", "plan", "unreadable"],
    ),
    "other columns left behind": ("v_jsonl", _set(f"{SECOND}/previous.json", columns=[]), ["schema"]),
    "no columns left behind": ("v_jsonl", _delete(f"{LAST}/previous.json"), ["schema"]),
    "the pointer stands nowhere": (
        "v_jsonl",
        _edit("watermark.json", lambda pointer: pointer["watermark"].update(value="2017-09-06T00:00:00.0000000")),
        ["pointer"],
    ),
    "the pointer lags": (
        "v_jsonl",
        _edit("watermark.json", lambda pointer: pointer["watermark"].update(value="2017-09-05T08:06:00.1230000")),
        [],
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_whatever_is_wrong_is_named(sink: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], way: str) -> None:
    """Each problem is named, and no other. The other tables have none."""
    name, break_it, expected = WAYS[way]
    copy = shutil.copytree(sink, tmp_path / "sink")
    above = copy / PREFIX
    break_it(Folders(above / f"dbo.{name}", above / "_ledger" / f"dbo.{name}"))
    code = verify(Folder(copy), PREFIX)
    out = capsys.readouterr().out
    found = {line.split()[1].rstrip(":") for line in out.splitlines() if line.startswith("  PROBLEM ")}
    assert (sorted(found), code) == (sorted(expected), 1 if expected else 0), out
    assert out.count("NOT WELL") == (1 if expected else 0)


def test_a_table_whose_name_does_not_fit_into_a_key_is_well(
    s3_deployment: Deployment, sandbox: Sandbox, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its folder is named by the letters that do fit, and by a hash. Engines read the partition's value as text."""
    sandbox.execute("CREATE TABLE [v odd größe] (id int NOT NULL, at datetime2(7))")
    sandbox.execute("INSERT INTO [v odd größe] VALUES (1, '2017-09-01')")
    spec = {"table": "[v odd größe]", "tracking": {"watermark": {"column": "at", "settle_seconds": 0}}}
    outcome = run(s3_deployment, spec | {"layout": "load_date"})
    assert outcome.succeeded, outcome.cause
    folder = folder_of("dbo.[v odd größe]")
    assert folder.startswith("dbo.v_odd_gr__e-")
    keys = [key for key in objects.listing(s3_deployment) if f"/{folder}/" in key]
    data = [key for key in objects.download(s3_deployment, keys, tmp_path) if key.name.startswith("part-")]
    assert [re.sub(r"\d{4}-\d\d-\d\d", "DAY", path.relative_to(tmp_path).as_posix()) for path in data] == [
        f"{PREFIX}/{folder}/tidemark_load_date=DAY/tidemark_window=initial/part-00000.parquet"
    ]
    assert verify(Folder(tmp_path), PREFIX) == 0, capsys.readouterr().out
    rows = duckdb.sql(f"SELECT id, tidemark_window FROM read_parquet('{tmp_path}/{PREFIX}/{folder}/**/*.parquet')")
    assert rows.fetchall() == [(1, "initial")]


@pytest.mark.usefixtures("tracking")
def test_a_tracked_table_that_was_loaded_again_is_well(
    s3_deployment: Deployment, sandbox: Sandbox, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The windows are a load, changes, nothing but a later version, and a load in place of a window that expired."""
    sandbox.execute(
        "CREATE TABLE v_tracked (id int PRIMARY KEY, n int)",
        "CREATE TABLE v_other (id int PRIMARY KEY)",
        "ALTER TABLE v_tracked ENABLE CHANGE_TRACKING",
        "ALTER TABLE v_other ENABLE CHANGE_TRACKING",
    )
    spec = {"table": "dbo.v_tracked", "tracking": {"change_tracking": {}}}
    for change in (
        "INSERT INTO v_tracked VALUES (1, 1), (2, 2)",
        "DELETE FROM v_tracked WHERE id = 1",
        "INSERT INTO v_other VALUES (1)",
        "INSERT INTO v_other VALUES (2); TRUNCATE TABLE v_tracked; INSERT INTO v_tracked VALUES (3, 3)",
        "UPDATE v_tracked SET n = 4",
    ):
        sandbox.execute(change)
        assert run(s3_deployment, spec).succeeded
    objects.download(s3_deployment, ledger(s3_deployment, Table(sandbox, "v_tracked")), tmp_path)
    assert verify(Folder(tmp_path), PREFIX) == 0
    assert "dbo.v_tracked: 6 windows, 5 rows in 4 objects" in capsys.readouterr().out


def test_names_and_fingerprints_are_those_of_the_page() -> None:
    """The rules are those of docs/reference/documents.md."""
    for sql_type, value, name in (
        ("datetime2(7)", "2017-09-05T08:06:00.1234567", "from-2017-09-05T08-06-00.1234567"),
        ("datetimeoffset(3)", "2017-09-05T06:06:00.100Z", "from-2017-09-05T06-06-00.1Z"),
        ("date", "2017-09-05", "from-2017-09-05T00-00-00"),
        ("decimal(5,2)", "42.00", "from-42"),
        ("int", "-2017", "from--2017"),
    ):
        assert window_of({"type": sql_type, "value": value}) == name
    assert window_of(None) == "initial"
    assert fingerprint([]) == "AAAAAAAAAAA="
    assert folder_of("sales.Order_lines-2") == "sales.Order_lines-2"
    # The digits are the first 12 of the 16 digits of the CRC-64/NVME of "sales", a zero byte and "order lines".
    assert folder_of("sales.[order lines]") == "sales.order_lines-1bf56be76a66"
    assert folder_of("[a.b].[c]]d]").startswith("a_b.c_d-")
    assert folder_of("dbo.[t-0123456789ab]").startswith("dbo.t-0123456789ab-")
