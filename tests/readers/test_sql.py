"""Tests what `tidemark sql` writes: it is run by the engine or, where that is a service, parsed in its dialect and run
by another.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import duckdb
import pytest
import sqlglot
from lake import Lake, server
from readers import spark_sql
from sqlglot import exp

SPARK_PYTHONS = dict(
    item.strip().split("=", 1) for item in os.environ.get("SPARK_PYTHONS", "").split(";") if item.strip()
)
BARE = {"csv": {"header": False, "quote": "none", "null": "\\N", "line_breaks": "escape", "delimiter": "|"}}
"""CSV for the reader of lines that Athena and Redshift take by default."""
ORDERS_TABLE = """
CREATE TABLE {name} (id int NOT NULL PRIMARY KEY, modified_at datetime2(3) NOT NULL, note nvarchar(40) NULL,
    price decimal(9,2) NULL, paid bit NULL, born date NULL, raw varbinary(9) NULL, weight float NULL);
INSERT {name} VALUES (1, '2020-01-01', N'one', 1.50, 1, '2001-02-03', 0x01, 1.5),
    (2, '2020-01-02', N'two, "2"', NULL, 0, NULL, NULL, NULL);
"""
ORDERS_CHANGES = """
UPDATE {name} SET note = N'uno', modified_at = '2020-01-03' WHERE id = 1;
INSERT {name} (id, modified_at, note) VALUES (3, '2020-01-02', N'late');
"""
FORMATS = {"orders": "parquet", "lines": {"csv": {"null": "\\N"}}, "notes": "jsonl", "bare": BARE}
"""The same rows in every format."""
SCRIPT = (
    "ALTER DATABASE tidemark SET CHANGE_TRACKING = ON;\nGO\n"
    + "".join(ORDERS_TABLE.format(name=name) for name in FORMATS)
    + """
CREATE TABLE [odd name] (id int NOT NULL, part nvarchar(5) NOT NULL, note nvarchar(20) NULL, PRIMARY KEY (id, part));
GO
ALTER TABLE [odd name] ENABLE CHANGE_TRACKING;
GO
INSERT [odd name] VALUES (1, N'x', N'a'), (2, N'x', N'b'), (3, N'x', N'c');
"""
)
CHANGES = (
    "".join(ORDERS_CHANGES.format(name=name) for name in FORMATS)
    + """
UPDATE [odd name] SET note = N'B' WHERE id = 2;
DELETE [odd name] WHERE id = 3;
"""
)
ORDERS = [(1, "uno"), (2, 'two, "2"'), (3, "late")]
ODD = [(1, "a"), (2, "B")]


@pytest.fixture(scope="module", params=["window", "load_date"])
def lake(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    folder = tmp_path_factory.mktemp("lake")
    tracking = {"watermark": {"column": "modified_at", "settle_seconds": 0}}
    tables: list[dict[str, object]] = [
        {"table": name, "tracking": tracking, "format": form} for name, form in FORMATS.items()
    ]
    tables.append({"table": "dbo.[odd name]", "tracking": {"change_tracking": {}}})
    (folder / "tables.json").write_text(json.dumps({"defaults": {"layout": request.param}, "tables": tables}))
    with server(folder, SCRIPT) as environment:
        lake = Lake(folder, environment)
        lake.tidemark("run")
    # This is the same database, later: a stand-in that begins with the same script has the same versions.
    with server(folder, f"{SCRIPT}\nGO\n{CHANGES}") as environment:
        lake = Lake(folder, environment)
        lake.tidemark("run")
        for name in FORMATS:
            lake.tidemark("backfill", name, "--from", "2020-01-02", "--to", "2020-01-02", "--yes")
    return lake


def statements(lake: Lake, engine: str, table: str) -> dict[str, str]:
    return lake.statements(engine, table, *(["--key", "id"] if table in FORMATS else []))


TABLES = [*((name, ORDERS) for name in FORMATS), ("dbo.[odd name]", ODD)]


def _view(text: str) -> str:
    """Returns the view that a statement makes, as it is quoted there."""
    return text.partition("VIEW ")[2].partition(" AS\n")[0]


@pytest.mark.parametrize(("table", "rows"), TABLES)
def test_duckdb_reads_the_files_and_the_present_rows(lake: Lake, table: str, rows: list[tuple[int, str]]) -> None:
    written = statements(lake, "duckdb", table)
    with duckdb.connect() as connection:
        connection.execute(written["ddl"])
        connection.execute(written["view"])
        found = connection.execute(f"SELECT id, note FROM {_view(written['view'])} ORDER BY id").fetchall()
        assert found == rows
        if table in FORMATS:
            described = connection.execute(f"DESCRIBE {_view(written['view'])}").fetchall()
            assert [kind for name, kind, *_ in described if name in {"id", "price", "paid", "born"}] == [
                "INTEGER",
                "DECIMAL(9,2)",
                "BOOLEAN",
                "DATE",
            ]


def _in_duckdb(table: str) -> str:
    """Returns the files of a table as the statements of Athena have them: a text for every column of CSV with
    quotes.
    """
    files = {"lines": "csv", "bare": "csv", "notes": "jsonl"}.get(table, "parquet")
    if files == "parquet":
        return "read_parquet('{files}/**/*.parquet', {options})"
    if files == "jsonl":
        return "read_json('{files}/**/*.jsonl', {options})"
    if table == "lines":
        return "read_csv('{files}/**/*.csv', header = true, all_varchar = true, {options})"
    names = "'id', 'modified_at', 'note', 'price', 'paid', 'born', 'raw', 'weight'"
    options = f"header = false, delim = '|', nullstr = '\\N', quote = '', names = [{names}]"
    return f"read_csv('{{files}}/**/*.csv', {options}, {{options}})"


@pytest.mark.parametrize(("table", "rows"), TABLES)
def test_athena_takes_the_statements_and_its_view_has_the_present_rows(
    lake: Lake, table: str, rows: list[tuple[int, str]]
) -> None:
    written = statements(lake, "athena", table)
    ddl = sqlglot.parse_one(written["ddl"], read="athena")
    assert isinstance(ddl, exp.Create) and not list(ddl.find_all(exp.Command))
    name = ddl.find(exp.Table).name
    assert name.replace("_", "").isalnum()
    files = next(lake.folder.glob(f"lake/{f'dbo.{table}' if table in FORMATS else 'dbo.odd_name-*'}"))
    with duckdb.connect() as connection:
        options = "filename = true, union_by_name = true, hive_partitioning = false"
        source = _in_duckdb(table).format(files=files, options=options)
        connection.execute(f'CREATE VIEW "{name}" AS SELECT * EXCLUDE filename, filename AS "$path" FROM {source}')
        described = [column.name for column in ddl.this.expressions]
        in_files = [row[0] for row in connection.execute(f'DESCRIBE "{name}"').fetchall()]
        assert described == [column for column in in_files if column != "$path"]
        view = sqlglot.transpile(written["view"], read="trino", write="duckdb")[0]
        connection.execute(view)
        found = connection.execute(f'SELECT id, note FROM "{name}_current" ORDER BY id').fetchall()
        assert found == rows


@pytest.mark.parametrize("engine", ["spark", "snowflake", "redshift"])
@pytest.mark.parametrize("table", [table for table, _ in TABLES])
def test_the_others_take_the_statements_in_their_dialects(lake: Lake, engine: str, table: str) -> None:
    written = statements(lake, engine, table)
    if engine == "redshift" and "csv" in FORMATS.get(table, ""):
        # The dialect does not know the properties of a SerDe. Hive's own readers take this statement in the test below.
        del written["ddl"]
    for text in written.values():
        first, *others = sqlglot.parse(text, read=engine)
        assert isinstance(first, exp.Create), text
        # Statements that a dialect does not know are kept as they are. Only those that make partitions known may be so.
        assert all("REPAIR TABLE" in other.sql(dialect=engine) for other in others if other), text


WITH_SPARK = SPARK_PYTHONS or [pytest.param("none", marks=pytest.mark.skip(reason="make test-readers has Spark"))]


@pytest.mark.parametrize("version", WITH_SPARK)
def test_spark_runs_the_statements_and_has_the_present_rows(lake: Lake, version: str) -> None:
    requests = []
    for table, _ in TABLES:
        written = statements(lake, "spark", table)
        texts = [*written["ddl"].rstrip(";").split(";\n"), written["view"].rstrip(";")]
        requests.append({"statements": texts, "query": f"SELECT id, note FROM {_view(written['view'])} ORDER BY id"})
        if table in FORMATS:
            first = f"SELECT price, paid, born, weight FROM {_view(written['view'])} WHERE id = 1"
            requests.append({"statements": [], "query": first})
    answers = iter(spark_sql(Path(SPARK_PYTHONS[version]), requests))
    for table, rows in TABLES:
        assert next(answers) == [[str(cell) for cell in row] for row in rows], table
        if table in FORMATS:
            paid = "1" if "csv" in FORMATS[table] else "True"
            assert next(answers) == [["1.50", paid, "2001-02-03", "1.5"]], table


@pytest.mark.parametrize("version", WITH_SPARK)
@pytest.mark.parametrize("engine", ["athena", "redshift"])
def test_hives_readers_of_lines_have_the_rows_of_csv(lake: Lake, version: str, engine: str) -> None:
    """Athena and Redshift read CSV by Hive's classes, which Spark brings. Their views are in another language."""
    requests = []
    for table in ("lines", "bare"):
        ddl = statements(lake, engine, table)["ddl"].rstrip(";")
        # These statements differ from Hive's in a projected partition, names in quotes, a schema and properties.
        ddl = re.sub(r"PARTITIONED BY [^\n]*\n", "", ddl)
        ddl = re.sub(r",?\n *'(projection|storage)\.[^\n]*", "", ddl)
        ddl = re.sub(r'^( *(?:CREATE EXTERNAL TABLE )?(?:tidemark\.)?)"([^"]+)"', r"\1`\2`", ddl, flags=re.M)
        ddl = re.sub(r"TBLPROPERTIES \(\s*\)", "", ddl).replace("double precision", "double")
        ddl = ddl.replace("tidemark.", "").replace("TABLE PROPERTIES", "TBLPROPERTIES")
        name = f"{engine}_{table}"
        ddl = ddl.replace(f"`dbo_{table}`", name)
        # Spark does not know the property by which Athena and Redshift leave the names in the first line out.
        rows = f"(SELECT * FROM {name} WHERE note <> 'note')"
        query = f"SELECT id, note, price, paid, born FROM {rows} ORDER BY id, modified_at"
        requests.append({"statements": [ddl], "query": query})
    by_quotes, by_delimiter = spark_sql(Path(SPARK_PYTHONS[version]), requests)
    null, none = "\\N", "None"
    for found, missing in ((by_quotes, null), (by_delimiter, none)):
        late = ["3", "late", missing, missing, missing]
        two = ["2", 'two, "2"', missing, "0", missing]
        one = ["1", "one", "1.50", "1", "2001-02-03"]
        assert found == [one, ["1", "uno", *one[2:]], two, two, late], found


def test_duckdb_reads_line_breaks_in_values_of_csv_without_a_header(tmp_path: Path) -> None:
    """A later file has a column more, so earlier lines lack one."""
    notes = "CREATE TABLE notes (id int NOT NULL PRIMARY KEY, note nvarchar(40) NULL);"
    first = (
        f"{notes}\nINSERT notes VALUES (1, N'one\nline'), (2, N'a \"b\"' + NCHAR(13) + NCHAR(10)), (3, N''), (4, NULL)"
    )
    more = "GO\nALTER TABLE notes ADD more int NULL;\nGO\nINSERT notes VALUES (5, N'x\ny', 9);"
    table = {"table": "notes", "tracking": {"watermark": {"column": "id", "settle_seconds": 0}}}
    table["format"] = {"csv": {"header": False}}
    (tmp_path / "tables.json").write_text(json.dumps({"tables": [table]}))
    for script in (first, f"{first}\n{more}"):
        with server(tmp_path, script) as environment:
            lake = Lake(tmp_path, environment)
            lake.tidemark("run")
    written = lake.statements("duckdb", "notes", "--key", "id")
    with duckdb.connect() as connection:
        connection.execute(written["ddl"])
        found = connection.execute("SELECT id, note, more FROM dbo_notes ORDER BY id").fetchall()
    notes_of = ["one\nline", 'a "b"\r\n', "", None, "x\ny"]
    assert found == [(number, note, 9 if number == 5 else None) for number, note in enumerate(notes_of, 1)]


PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "query.md"


@pytest.mark.parametrize("engine", ["snowflake", "redshift", "bigquery"])
def test_statements_that_load_files_are_taken_in_their_dialects(engine: str) -> None:
    """The statements are those of the page, which nobody can run here."""
    sections = {part.partition("\n")[0].lower(): part for part in PAGE.read_text().split("\n## ")}
    blocks = re.findall(r"```sql\n(.*?)```", sections[engine], re.S)
    loads = [block for block in blocks if block.startswith(("COPY", "LOAD"))]
    assert loads
    for block in loads:
        (statement,) = sqlglot.parse(block, read=engine)
        assert isinstance(statement, exp.LoadData if engine == "bigquery" else exp.Copy), block
