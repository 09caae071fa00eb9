"""What `tidemark sql` writes, run by the engine or, where that is a service, parsed as it does and run in another."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest
import sqlglot
from sqlglot import exp

BINARIES = Path(os.environ.get("BINARIES", "target/debug"))
SCRIPT = """
ALTER DATABASE tidemark SET CHANGE_TRACKING = ON;
GO
CREATE TABLE orders (id int NOT NULL PRIMARY KEY, modified_at datetime2(3) NOT NULL, note nvarchar(40) NULL,
    price decimal(9,2) NULL, paid bit NULL, born date NULL, raw varbinary(9) NULL, weight float NULL);
INSERT orders VALUES (1, '2020-01-01', N'one', 1.50, 1, '2001-02-03', 0x01, 1.5),
    (2, '2020-01-02', N'two', NULL, 0, NULL, NULL, NULL);
CREATE TABLE [odd name] (id int NOT NULL, part nvarchar(5) NOT NULL, note nvarchar(20) NULL, PRIMARY KEY (id, part));
GO
ALTER TABLE [odd name] ENABLE CHANGE_TRACKING;
GO
INSERT [odd name] VALUES (1, N'x', N'a'), (2, N'x', N'b'), (3, N'x', N'c');
"""
CHANGES = """
UPDATE orders SET note = N'uno', modified_at = '2020-01-03' WHERE id = 1;
INSERT orders (id, modified_at, note) VALUES (3, '2020-01-02', N'late');
UPDATE [odd name] SET note = N'B' WHERE id = 2;
DELETE [odd name] WHERE id = 3;
"""
ORDERS = [(1, "uno"), (2, "two"), (3, "late")]
ODD = [(1, "a"), (2, "B")]


@dataclass
class Lake:
    """A folder that the pipeline wrote, twice, and copied an interval of again."""

    folder: Path
    environment: dict[str, str]

    def tidemark(self, *arguments: str) -> str:
        """What the command writes."""
        command = [str(BINARIES.resolve() / "tidemark"), *arguments]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def statements(self, engine: str, table: str) -> dict[str, str]:
        """The statement that describes the files, and the view of the present rows."""
        written = json.loads(
            self.tidemark("sql", engine, table, "--json", *(["--key", "id"] if table == "orders" else []))
        )
        return {"ddl": written["ddl"], "view": written["view"]}


@contextmanager
def server(folder: Path, script: str) -> Iterator[dict[str, str]]:
    """The environment of a command that reads from a stand-in on which this was run."""
    init, ready = folder / "init.sql", folder / "ready.json"
    init.write_text(script)
    ready.unlink(missing_ok=True)
    listen = [str(BINARIES.resolve() / "tidemark-sandbox"), "--init", str(init), "--ready-file", str(ready)]
    process = subprocess.Popen(listen, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30
        while not ready.exists() or not ready.read_text():
            assert process.poll() is None and time.monotonic() < deadline, "the stand-in does not start"
            time.sleep(0.02)
        facts = json.loads(ready.read_text())
        address = f"sqlserver://{facts['username']}@{facts['host']}:{facts['port']}/{facts['dbname']}?tls=trust"
        yield {"PATH": os.environ["PATH"], "TIDEMARK_SOURCE": address, "TIDEMARK_PASSWORD": facts["password"]}
    finally:
        process.terminate()
        process.wait(timeout=10)


@pytest.fixture(scope="module", params=["window", "load_date"])
def lake(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    folder = tmp_path_factory.mktemp("lake")
    tables = [
        {"table": "orders", "tracking": {"watermark": {"column": "modified_at", "settle_seconds": 0}}},
        {"table": "dbo.[odd name]", "tracking": {"change_tracking": {}}},
    ]
    (folder / "tables.json").write_text(json.dumps({"defaults": {"layout": request.param}, "tables": tables}))
    with server(folder, SCRIPT) as environment:
        lake = Lake(folder, environment)
        lake.tidemark("run")
    # The same database, later: a stand-in that begins with the same script has the same versions.
    with server(folder, f"{SCRIPT}\nGO\n{CHANGES}") as environment:
        lake = Lake(folder, environment)
        lake.tidemark("run")
        lake.tidemark("backfill", "orders", "--from", "2020-01-02", "--to", "2020-01-02", "--yes")
    return lake


def present(connection: duckdb.DuckDBPyConnection, view: str) -> list[tuple[int, str]]:
    return connection.execute(f'SELECT id, note FROM "{view}" ORDER BY id').fetchall()


@pytest.mark.parametrize(
    ("table", "view", "rows"),
    [("orders", "dbo_orders_current", ORDERS), ("dbo.[odd name]", "dbo_odd name_current", ODD)],
)
def test_duckdb_reads_the_files_and_the_present_rows(
    lake: Lake, table: str, view: str, rows: list[tuple[int, str]]
) -> None:
    written = lake.statements("duckdb", table)
    with duckdb.connect() as connection:
        connection.execute(written["ddl"])
        connection.execute(written["view"])
        assert present(connection, view) == rows


@pytest.mark.parametrize(
    ("table", "name", "rows"), [("orders", "dbo_orders", ORDERS), ("dbo.[odd name]", "dbo_odd name", ODD)]
)
def test_athena_takes_the_statements_and_its_view_has_the_present_rows(
    lake: Lake, table: str, name: str, rows: list[tuple[int, str]]
) -> None:
    written = lake.statements("athena", table)
    ddl = sqlglot.parse_one(written["ddl"], read="athena")
    assert isinstance(ddl, exp.Create) and not list(ddl.find_all(exp.Command))
    files = next(lake.folder.glob(f"lake/{'dbo.orders' if table == 'orders' else 'dbo.odd_name-*'}"))
    with duckdb.connect() as connection:
        source = (
            f"read_parquet('{files}/**/*.parquet', filename = true, union_by_name = true, hive_partitioning = false)"
        )
        connection.execute(f'CREATE VIEW "{name}" AS SELECT * EXCLUDE filename, filename AS "$path" FROM {source}')
        described = [column.name for column in ddl.this.expressions]
        in_files = [row[0] for row in connection.execute(f'DESCRIBE "{name}"').fetchall()]
        assert described == [column for column in in_files if column != "$path"]
        view = sqlglot.transpile(written["view"], read="trino", write="duckdb")[0]
        connection.execute(view)
        assert present(connection, f"{name}_current") == rows


@pytest.mark.parametrize("engine", ["spark", "snowflake", "redshift"])
@pytest.mark.parametrize("table", ["orders", "dbo.[odd name]"])
def test_the_others_take_the_statements_in_their_dialects(lake: Lake, engine: str, table: str) -> None:
    written = lake.statements(engine, table)
    for text in written.values():
        first, *others = sqlglot.parse(text, read=engine)
        assert isinstance(first, exp.Create), text
        # Whatever no dialect knows is kept as it is: only what makes partitions known may be so.
        assert all("REPAIR TABLE" in other.sql(dialect=engine) for other in others if other), text
