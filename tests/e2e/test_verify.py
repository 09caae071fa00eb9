"""`make verify`: what it accepts, and every way a sink can be wrong that it must name."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from conftest import Table, ledger, run

from local import objects
from local.deploy import Deployment
from local.sandbox import Sandbox
from verify.__main__ import verify
from verify.ledger import fingerprint, window_of
from verify.stores import Bucket, Folder

FORMATS: dict[str, Any] = {
    "v_parquet": "parquet",
    "v_csv": {"csv": {"compression": "gzip", "delimiter": ";"}},
    "v_plain": {"csv": {"header": False, "null": "\\N", "quote": "none", "line_end": "\r\n"}},
    "v_jsonl": "jsonl",
}
PREFIX = "lake/raw"
FIRST, SECOND, LAST = "window=initial", "window=2017-09-05T08-06-00.123", "window=2017-09-07T09-01-00"


def _spec(name: str, **other: Any) -> dict[str, Any]:
    tracking = {"watermark": {"column": "at", "settle_seconds": 0}}
    return {"table": f"dbo.{name}", "tracking": tracking, "format": FORMATS[name], **other}


@pytest.fixture(scope="module")
def sink(s3_deployment: Deployment, sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of a sink with four tables of two windows each."""
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
    """In the folder, and in the bucket itself with its ETags."""
    assert verify(Folder(sink), PREFIX) == 0
    out = capsys.readouterr().out
    assert "dbo.v_parquet: 2 windows, 3 rows in 2 objects" in out
    assert out.endswith("4 tables, 0 problems.\n")
    bucket = Bucket(s3_deployment.aws.client("s3"), s3_deployment.bucket)
    assert verify(bucket, f"{PREFIX}/dbo.v_") == 2
    assert verify(bucket, f"{PREFIX}/dbo.v_csv") == 0
    assert verify(Folder(sink), "elsewhere") == 2


Break = Callable[[Path], None]


def _edit(name: str, change: Callable[[dict[str, Any]], object]) -> Break:
    """Changes a JSON document of the table."""

    def edit(table: Path) -> None:
        document = json.loads((table / name).read_text())
        change(document)
        (table / name).write_text(json.dumps(document))

    return edit


def _set(name: str, **values: Any) -> Break:
    return _edit(name, lambda document: document.update(values))


def _set_part(**values: Any) -> Break:
    return _edit(f"{FIRST}/_manifest.json", lambda document: document["parts"][0].update(values))


def _delete(name: str) -> Break:
    return lambda table: (table / name).unlink()


def _copy(name: str, to: str) -> Break:
    def copy(table: Path) -> None:
        (table / to).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(table / name, table / to)

    return copy


def _flip(table: Path) -> None:
    """One bit in the middle of the first part."""
    (part,) = (table / FIRST).glob("part-*")
    data = bytearray(part.read_bytes())
    data[len(data) // 2] ^= 1
    part.write_bytes(data)


def _falsify(table: Path) -> None:
    """A date that is as good as the one that was copied."""
    (part,) = (table / FIRST).glob("part-*")
    part.write_bytes(part.read_bytes().replace(b"2017-09-01", b"2017-09-02"))


def _fewer_rows(table: Path) -> None:
    """A valid file with one row less."""
    (part,) = (table / FIRST).glob("part-*")
    rows = pyarrow.parquet.read_table(part, partitioning=None)
    pyarrow.parquet.write_table(rows.slice(1), part)


def _truncate(table: Path) -> None:
    (part,) = (table / FIRST).glob("part-*")
    part.write_bytes(part.read_bytes()[:-7])


def _drop_first_window(table: Path) -> None:
    shutil.rmtree(table / FIRST)


WAYS: dict[str, tuple[str, Break, list[str]]] = {
    "a part is gone": ("v_parquet", _delete(f"{FIRST}/part-00000.parquet"), ["missing"]),
    "a value is another": ("v_jsonl", _falsify, ["checksum"]),
    "a bit flipped in gzip": ("v_csv", _flip, ["checksum", "unreadable"]),
    "a part was cut": ("v_jsonl", _truncate, ["size", "checksum", "unreadable"]),
    "a part was rewritten with fewer rows": ("v_parquet", _fewer_rows, ["size", "checksum", "rows"]),
    "the manifest has another count": ("v_csv", _set_part(rows=3), ["total", "record", "rows"]),
    "the manifest has another size": ("v_jsonl", _set_part(bytes=3), ["total", "size"]),
    "the manifest has another checksum": ("v_plain", _set_part(crc64nvme="AAAAAAAAAAA="), ["checksum"]),
    "the total is wrong": ("v_parquet", _set(f"{FIRST}/_manifest.json", rows=7), ["total"]),
    "a manifest is gone": ("v_parquet", _delete(f"{FIRST}/_manifest.json"), ["chain"]),
    "a window is gone": ("v_parquet", _drop_first_window, ["chain"]),
    "the last manifest is gone": ("v_parquet", _delete(f"{SECOND}/_manifest.json"), ["pointer"]),
    "a plan is gone": ("v_parquet", _delete(f"{FIRST}/_plan.json"), ["plan"]),
    "a record is gone": ("v_parquet", _delete(f"{FIRST}/_parts/00000.json"), ["record"]),
    "a record has another count": ("v_parquet", _set(f"{FIRST}/_parts/00000.json", rows=5), ["record"]),
    "an object nobody wrote": ("v_jsonl", _copy(f"{FIRST}/part-00000.jsonl", f"{FIRST}/part-00001.jsonl"), ["orphan"]),
    "a window nobody planned": ("v_jsonl", _copy(f"{FIRST}/part-00000.jsonl", "window=7/part-00000.jsonl"), ["orphan"]),
    "a document is torn": ("v_jsonl", lambda table: (table / FIRST / "_plan.json").write_text("{"), ["document"]),
    "a later release": ("v_jsonl", _set(f"{FIRST}/_plan.json", version=2), ["document"]),
    "the plan ends elsewhere": (
        "v_jsonl",
        _edit(f"{FIRST}/_plan.json", lambda plan: plan["new_watermark"].update(value="2017-09-06T00:00:00.0000000")),
        ["plan"],
    ),
    "a window leads nowhere": (
        "v_parquet",
        _edit(
            f"{FIRST}/_manifest.json", lambda manifest: manifest["new_watermark"].update(value="2016-01-01T00:00:00")
        ),
        ["plan", "chain", "schema"],
    ),
    "a window is called otherwise": (
        "v_parquet",
        lambda table: (table / SECOND).rename(table / "window=2017-09-05T08-06-00.2"),
        ["chain", "orphan", "missing", "schema"],
    ),
    "other columns": (
        "v_jsonl",
        _edit(f"{FIRST}/_manifest.json", lambda manifest: manifest["columns"].reverse()),
        ["schema", "plan", "unreadable"],
    ),
    "other columns left behind": ("v_jsonl", _set(f"{SECOND}/_previous.json", columns=[]), ["schema"]),
    "no columns left behind": ("v_jsonl", _delete(f"{LAST}/_previous.json"), ["schema"]),
    "the pointer stands nowhere": (
        "v_jsonl",
        _edit("_watermark.json", lambda pointer: pointer["watermark"].update(value="2017-09-06T00:00:00.0000000")),
        ["pointer"],
    ),
    "the pointer lags": (
        "v_jsonl",
        _edit("_watermark.json", lambda pointer: pointer["watermark"].update(value="2017-09-05T08:06:00.1230000")),
        [],
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_whatever_is_wrong_is_named(sink: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], way: str) -> None:
    """Each problem by its name, and no other; the other tables stay well."""
    name, break_it, expected = WAYS[way]
    copy = shutil.copytree(sink, tmp_path / "sink")
    break_it(copy / PREFIX / f"dbo.{name}")
    code = verify(Folder(copy), PREFIX)
    out = capsys.readouterr().out
    found = {line.split()[1].rstrip(":") for line in out.splitlines() if line.startswith("  PROBLEM ")}
    assert (sorted(found), code) == (sorted(expected), 1 if expected else 0), out
    assert out.count("NOT WELL") == (1 if expected else 0)


@pytest.mark.usefixtures("tracking")
def test_a_tracked_table_that_was_loaded_again_is_well(
    s3_deployment: Deployment, sandbox: Sandbox, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A load, changes, nothing but a later version, and a load in place of a window that expired."""
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
    """The rules as docs/semantics.md has them."""
    for sql_type, value, name in (
        ("datetime2(7)", "2017-09-05T08:06:00.1234567", "2017-09-05T08-06-00.1234567"),
        ("datetimeoffset(3)", "2017-09-05T06:06:00.100Z", "2017-09-05T06-06-00.1Z"),
        ("date", "2017-09-05", "2017-09-05T00-00-00"),
        ("decimal(5,2)", "42.00", "42"),
        ("int", "-2017", "-2017"),
    ):
        assert window_of({"type": sql_type, "value": value}) == name
    assert window_of(None) == "initial"
    assert fingerprint([]) == "AAAAAAAAAAA="
