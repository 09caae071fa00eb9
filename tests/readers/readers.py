"""Other people's readers: each takes a folder of Parquet files and returns its rows as dictionaries."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

Rows = list[dict[str, Any]]

EPOCH = datetime(1970, 1, 1)


def _moment(microseconds: int | None, *, utc: bool) -> datetime | None:
    if microseconds is None:
        return None
    moment = EPOCH + timedelta(microseconds=microseconds)
    return moment.replace(tzinfo=UTC) if utc else moment


def from_arrow(table: Any) -> Rows:
    """Returns the rows of an Arrow table. Points in time are taken as numbers, because Python does not convert all of
    them.
    """
    import pyarrow

    columns = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        kind = column.type
        if pyarrow.types.is_timestamp(kind):
            to_micros = column.cast(pyarrow.timestamp("us", kind.tz), safe=False).cast(pyarrow.int64())
            columns[name] = [_moment(value, utc=kind.tz is not None) for value in to_micros.to_pylist()]
        else:
            columns[name] = column.to_pylist()
    names = list(columns)
    return [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def duckdb(folder: Path) -> Rows:
    import duckdb as engine

    connection = engine.connect()
    connection.execute("SET TimeZone = 'UTC'")
    source = f"read_parquet('{folder}/**/*.parquet', hive_partitioning = false)"
    described = connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()
    kinds = {name: kind for name, kind, *_ in described}
    items = []
    for name, kind in kinds.items():
        quoted = '"' + name.replace('"', '""') + '"'
        items.append(f"epoch_us({quoted}) AS {quoted}" if kind.startswith("TIMESTAMP") else quoted)
    rows = connection.execute(f"SELECT {', '.join(items)} FROM {source}").fetchall()

    def value(name: str, raw: Any) -> Any:
        if not kinds[name].startswith("TIMESTAMP"):
            return raw
        return _moment(raw, utc="TIME ZONE" in kinds[name])

    return [{name: value(name, raw) for name, raw in zip(kinds, row, strict=True)} for row in rows]


def pyarrow(folder: Path) -> Rows:
    from pyarrow.dataset import dataset

    return from_arrow(dataset(folder, format="parquet").to_table())


def polars(folder: Path) -> Rows:
    import polars as engine

    return engine.scan_parquet(folder).collect().to_dicts()


def datafusion(folder: Path) -> Rows:
    import pyarrow as arrow
    from datafusion import SessionContext

    frame = SessionContext().read_parquet(f"{folder}/")
    return from_arrow(arrow.Table.from_batches(frame.collect(), schema=frame.schema()))


def clickhouse(folder: Path) -> Rows:
    """Reads with ClickHouse. Its String is bytes, so the file says which are text, and a DateTime64 without a zone
    comes in the server's.
    """
    import chdb
    import pyarrow as arrow
    from pyarrow.parquet import read_schema

    source = f"file('{folder}/*.parquet', Parquet)"
    settings = "SETTINGS output_format_arrow_string_as_string = 0, session_timezone = 'UTC'"
    described = chdb.query(f"DESCRIBE TABLE {source}", "ArrowTable").to_pylist()
    kinds = {_text(row["name"]): _text(row["type"]) for row in described}
    rows = from_arrow(chdb.query(f"SELECT * FROM {source} {settings}", "ArrowTable"))
    schema = read_schema(sorted(folder.glob("*.parquet"))[0])
    for name, kind in kinds.items():
        is_text = arrow.types.is_string(schema.field(name).type)
        for row in rows:
            if is_text and isinstance(row[name], bytes):
                row[name] = row[name].decode()
            elif isinstance(row[name], datetime) and "'" not in kind:
                row[name] = row[name].replace(tzinfo=None)
    return rows


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def daft(folder: Path) -> Rows:
    import daft as engine

    return from_arrow(engine.read_parquet(f"{folder}/*.parquet").to_arrow())


def fastparquet(folder: Path) -> Rows:
    import pandas
    from fastparquet import ParquetFile

    frames = [ParquetFile(str(file)).to_pandas() for file in sorted(folder.glob("*.parquet"))]
    frame = pandas.concat(frames)
    rows = []
    for row in frame.astype(object).to_dict("records"):
        rows.append({name: _from_pandas(value) for name, value in row.items()})
    return rows


def _from_pandas(value: Any) -> Any:
    import pandas

    if value is None or value is pandas.NaT or value is pandas.NA or value != value:
        return None
    if isinstance(value, pandas.Timestamp):
        return value.to_pydatetime()
    return value.item() if hasattr(value, "item") else value


def iceberg(folder: Path) -> Rows:
    from pyarrow.parquet import read_schema
    from pyiceberg.catalog.memory import InMemoryCatalog
    from pyiceberg.io.pyarrow import pyarrow_to_schema

    files = sorted(folder.glob("*.parquet"))
    with tempfile.TemporaryDirectory() as warehouse:
        catalog = InMemoryCatalog("test", warehouse=warehouse)
        catalog.create_namespace("n")
        schema = pyarrow_to_schema(read_schema(files[-1]), downcast_ns_timestamp_to_us=False, format_version=2)
        table = iceberg_table(catalog, schema)
        table.add_files([str(file) for file in files])
        return from_arrow(table.scan().to_arrow())


def iceberg_table(catalog: Any, schema: Any) -> Any:
    """Makes a table whose columns have these ids, as one has that lived through the changes of the source's columns."""
    from pyiceberg.schema import Schema
    from pyiceberg.types import IntegerType, NestedField

    of_id = {column.field_id: column for column in schema.fields}
    gone = [number for number in range(1, max(of_id)) if number not in of_id]
    others = [NestedField(number, f"gone_{number}", IntegerType(), required=False) for number in gone]
    table = catalog.create_table("n.t", Schema(*sorted([*schema.fields, *others], key=lambda one: one.field_id)))
    with table.update_schema(allow_incompatible_changes=True) as update:
        for number in gone:
            update.delete_column(f"gone_{number}")
    return table


def delta(folder: Path) -> Rows:
    from deltalake import DeltaTable, QueryBuilder, convert_to_deltalake

    with tempfile.TemporaryDirectory() as copy:
        place = Path(copy) / "t"
        shutil.copytree(folder, place)
        convert_to_deltalake(str(place))
        import pyarrow as arrow

        reader = QueryBuilder().register("t", DeltaTable(str(place))).execute("SELECT * FROM t")
        return from_arrow(arrow.table(reader.read_all() if hasattr(reader, "read_all") else reader))


READERS: dict[str, Callable[[Path], Rows]] = {
    "DuckDB": duckdb,
    "pyarrow": pyarrow,
    "polars": polars,
    "DataFusion": datafusion,
    "ClickHouse": clickhouse,
    "Daft": daft,
    "Iceberg": iceberg,
    "Delta": delta,
    "fastparquet": fastparquet,
}

PACKAGES = {
    "DuckDB": "duckdb",
    "pyarrow": "pyarrow",
    "polars": "polars",
    "DataFusion": "datafusion",
    "ClickHouse": "chdb",
    "Daft": "daft",
    "Iceberg": "pyiceberg",
    "Delta": "deltalake",
    "fastparquet": "fastparquet",
}


def versions() -> dict[str, str]:
    """Returns the version of each reader."""
    return {reader: version(package) for reader, package in PACKAGES.items()}


def spark(python: Path, requests: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns what the Spark of another environment reads from each folder, as `canonical` writes it, or a text where
    it fails.

    A request has the `path` of a folder, and may have the `format` of its files and `options` for it.
    """
    script = Path(__file__).with_name("spark_rows.py")
    done = subprocess.run([python, script], input=json.dumps(requests).encode(), check=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout.splitlines()[-1])


def spark_sql(python: Path, requests: list[dict[str, Any]]) -> list[Any]:
    """Returns the rows of each request's `query`, as texts, after its `statements`, or a text where something fails."""
    script = Path(__file__).with_name("spark_sql.py")
    done = subprocess.run([python, script], input=json.dumps(requests).encode(), check=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout.splitlines()[-1])
