"""Tests that independent clients log in to the stand-in over TLS and read the common types.

The program is taken from TIDEMARK_SANDBOX_BIN, or from target/debug. pymssql (FreeTDS) verifies the stand-in's
authority, through freetds.conf. mssql-python (Microsoft's ODBC driver) looks only at the system's authorities: it
refuses the stand-in, and is then told to trust it, still over TLS.
"""

import ctypes
import datetime
import decimal
import json
import os
import pathlib
import subprocess
import sys
import textwrap
import uuid
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

# The stand-in's ready line: host, port, username, password, dbname, ca_file.
Server = dict[str, Any]

ROOT = pathlib.Path(__file__).resolve().parents[3]
TUTORIAL = ROOT / "tests/tutorials/one_table.sql"

COMMON_TYPES = """
SELECT CAST({p} AS int), CAST(-9223372036854775808 AS bigint), CAST(1 AS bit), CAST(255 AS tinyint),
       CAST(12345678901234567890.1234 AS decimal(38,4)), CAST(-1.5 AS money), CAST(2.25 AS float),
       CAST('2020-02-29' AS date), CAST('2017-09-05T08:06:00.997' AS datetime),
       CAST('2020-02-29T01:02:03.456789' AS datetime2(6)), CAST('2020-02-29 01:02:03 +05:30' AS datetimeoffset(0)),
       CAST({p} AS nvarchar(20)), CAST('x' AS char(3)), REPLICATE(CAST(N'\u00e4' AS nvarchar(max)), 5000),
       CAST(0x0102FF AS varbinary(10)), CAST('6F9619FF-8B86-D011-B42D-00C04FC964FF' AS uniqueidentifier),
       CAST(NULL AS int), CAST(NULL AS nvarchar(max))
"""

EXPECTED = [
    7,
    -9223372036854775808,
    True,
    255,
    decimal.Decimal("12345678901234567890.1234"),
    decimal.Decimal("-1.5"),
    2.25,
    datetime.date(2020, 2, 29),
    datetime.datetime(2017, 9, 5, 8, 6, 0, 997000),
    datetime.datetime(2020, 2, 29, 1, 2, 3, 456789),
    datetime.datetime(2020, 2, 29, 1, 2, 3, tzinfo=datetime.timezone(datetime.timedelta(hours=5, minutes=30))),
    "\u6f22\u5b57",
    "x  ",
    "\u00e4" * 5000,
    b"\x01\x02\xff",
    uuid.UUID("6F9619FF-8B86-D011-B42D-00C04FC964FF"),
    None,
    None,
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    program = os.environ.get("TIDEMARK_SANDBOX_BIN", str(ROOT / "target/debug/tidemark-sandbox"))
    folder = tmp_path_factory.mktemp("tls")
    process = subprocess.Popen(
        [program, "--tls-dir", str(folder), "--init", str(TUTORIAL)], stdout=subprocess.PIPE, text=True
    )
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.terminate()
        assert process.wait(timeout=10) == 0


def run(code: str, server: Server, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a client in a process of its own, because both read their configuration once per process."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), json.dumps(server)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done


def freetds(tmp_path: pathlib.Path, ca_file: str) -> str:
    conf = tmp_path / "freetds.conf"
    conf.write_text(
        f"[global]\ntds version = 7.4\nencryption = require\nca file = {ca_file}\ncheck certificate hostname = yes\n"
    )
    return str(conf)


PYMSSQL = """
    import json, sys, pymssql
    server = json.loads(sys.argv[1])
    connection = pymssql.connect(server="localhost", port=str(server["port"]), user=server["username"],
                                 password=server["password"], database=server["dbname"])
    cursor = connection.cursor()
    cursor.execute("SELECT 42")
    print(cursor.fetchone()[0])
"""


def test_pymssql_verifies_the_authority(server: Server, tmp_path: pathlib.Path) -> None:
    good = run(PYMSSQL, server, FREETDSCONF=freetds(tmp_path, server["ca_file"]))
    assert good.stdout.strip() == "42", good.stderr
    public = run("import certifi; print(certifi.where())", server).stdout.strip()
    bad = run(PYMSSQL, server, FREETDSCONF=freetds(tmp_path, public or "system"))
    assert bad.returncode != 0 and "42" not in bad.stdout


def test_pymssql_reads_the_common_types(server: Server) -> None:
    import pymssql

    connection = pymssql.connect(
        server="127.0.0.1",
        port=str(server["port"]),
        user=server["username"],
        password=server["password"],
        database=server["dbname"],
        encryption="require",
        tds_version="7.4",
    )
    cursor = connection.cursor()
    cursor.execute(COMMON_TYPES.format(p="%s"), (7, "\u6f22\u5b57"))
    assert list(cursor.fetchone()) == EXPECTED
    cursor.callproc("usp_write_watermark", (datetime.datetime(2017, 9, 5, 8, 6), "data_source_table"))
    connection.commit()
    cursor.execute("select * from watermarktable")
    assert cursor.fetchall() == [("data_source_table", datetime.datetime(2017, 9, 5, 8, 6))]
    with pytest.raises(pymssql.ProgrammingError) as error:
        cursor.execute("SELECT * FROM nosuch")
    assert error.value.args[0] == 208
    connection.close()


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


@pytest.fixture(scope="module")
def mssql_python() -> ModuleType:
    """Returns Microsoft's client, whose ODBC driver needs libraries of the system that no package of PyPI has."""
    packages = {"libltdl.so.7": "libltdl7", "libkrb5.so.3": "libkrb5-3", "libgssapi_krb5.so.2": "libgssapi-krb5-2"}
    missing = [package for library, package in packages.items() if sys.platform == "linux" and not _loads(library)]
    if missing:
        pytest.skip(f"mssql-python cannot be loaded: apt install {' '.join(missing)}")
    import mssql_python

    return mssql_python


def odbc(server: Server, extra: str) -> str:
    return (
        f"Server=tcp:127.0.0.1,{server['port']};Database={server['dbname']};UID={server['username']};"
        f"PWD={server['password']};Encrypt=yes;{extra}"
    )


def test_mssql_python_reads_the_common_types(server: Server, mssql_python: ModuleType) -> None:
    connection = mssql_python.connect(odbc(server, "TrustServerCertificate=yes;"))
    cursor = connection.cursor()
    cursor.execute(COMMON_TYPES.format(p="?"), (7, "\u6f22\u5b57"))
    got = list(cursor.fetchone())
    assert got == EXPECTED
    cursor.execute(
        "SELECT PersonID, Name FROM data_source_table WHERE LastModifytime > ? ORDER BY PersonID",
        (datetime.datetime(2017, 9, 4),),
    )
    assert [tuple(row) for row in cursor.fetchall()] == [(4, "dddd"), (5, "eeee")]
    cursor.execute("CREATE TABLE py (a int, b decimal(10,2), c nvarchar(20), d datetime2(7))")
    rows = [(1, decimal.Decimal("1.25"), "x", datetime.datetime(2020, 1, 2, 3, 4, 5)), (2, None, None, None)]
    cursor.executemany("INSERT INTO py VALUES (?, ?, ?, ?)", rows)
    connection.commit()
    cursor.execute("SELECT * FROM py ORDER BY a")
    assert [tuple(row) for row in cursor.fetchall()] == rows
    with pytest.raises(mssql_python.DatabaseError, match="Invalid column name 'nope'"):
        cursor.execute("SELECT nope FROM py")
    cursor.execute("SELECT COUNT(*) FROM py")
    assert cursor.fetchone()[0] == 2
    connection.close()


def test_mssql_python_refuses_an_unknown_authority(server: Server, mssql_python: ModuleType) -> None:
    with pytest.raises(mssql_python.DatabaseError):
        mssql_python.connect(odbc(server, "TrustServerCertificate=no;"))


def test_a_wrong_password_is_refused(server: Server, mssql_python: ModuleType) -> None:
    with pytest.raises(mssql_python.DatabaseError, match="Login failed"):
        mssql_python.connect(odbc({**server, "password": "wrong"}, "TrustServerCertificate=yes;"))
