"""Runs other programs beside Tidemark for `make bench` with SQLSERVER_URL: all read the same table into Parquet.

Each program has an environment of its own under `.tools/peers`. The runs alternate: one of each program after another,
and that several times, so that the other load of the machine falls on all of them. CPU is what the kernel accounts to
the process and those that it started, user and system. A program that cannot be installed or run is a row of the table
that says so. The table goes into docs/explanation/performance.md, with the command, the machine and its load.

Environment: SQLSERVER_URL, BENCH_ROWS (rows of the table, 1,000,000 at most), BENCH_ROUNDS (3), CA_BUNDLE, and
BENCH_WRITE=no to print only. BENCH_ONLY, which chooses other lines of `make bench`, is only named in the command.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet

from local import source_url
from local.deploy import ROOT
from local.machine import load_average, machine
from local.process import peak_memory
from local.sandbox import run_batches, run_query
from local.stack import Stack

TABLE = "dbo.tidemark_bench_peers"
COLUMNS = (
    "id bigint NOT NULL PRIMARY KEY, customer_id bigint, status varchar(20), amount decimal(18,4), name nvarchar(60), "
    "ordered_at datetime2(7), changed_at datetime, weight float, line_id uniqueidentifier, is_paid bit"
)
FILL = """INSERT INTO {table}
SELECT value, value * CAST(7919 AS bigint) % 100000,
    CASE value % 4 WHEN 0 THEN 'new' WHEN 1 THEN 'paid' WHEN 2 THEN 'shipped' ELSE 'returned' END,
    CAST(value * CAST(31 AS bigint) % 10000000 AS decimal(18,4)) / 10,
    CONCAT(N'Customer name ', value * CAST(104729 AS bigint) % 1000003),
    DATEADD(second, value * 97 % 86400000, CAST('2019-01-01' AS datetime2(7))),
    DATEADD(second, value, CAST('2020-01-01' AS datetime)), CAST(value AS float) / 3, NEWID(), CAST(value % 2 AS bit)
FROM GENERATE_SERIES({first}, {last})"""
FILLED_AT_ONCE = 250_000
MOST_ROWS = 1_000_000
PATIENCE = 900
PEERS = ROOT / ".tools" / "peers"
SCRIPTS = ROOT / "tests" / "bench" / "peers"
RELEASE = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").resolve() / "release"
PAGE = ROOT / "docs" / "explanation" / "performance.md"
BEGIN, END = "<!-- peers: written by make bench -->", "<!-- peers end -->"


@dataclass(frozen=True)
class Used:
    """The measurements of a process."""

    cpu: float
    seconds: float
    rss: float
    """The memory in MB."""
    file: float
    """The size of the file in MB."""


@dataclass
class Program:
    """A program, the way to run it, and the measurements of its runs."""

    name: str
    packages: tuple[str, ...]
    run: Callable[[Program, Bench], list[str]] | None = None
    skipped: str = ""
    used: list[Used] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        """The folder of its environment."""
        return PEERS / self.name

    def install(self) -> None:
        """Installs it, once. An error is what the table says of it."""
        if not self.packages or (self.folder / ".installed").is_file():
            return
        pip = [self.folder / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", *self.packages]
        for command in ([sys.executable, "-m", "venv", "--clear", self.folder], pip):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                self.skipped = f"not installed: {_last_line(done.stderr)}"
                return
        (self.folder / ".installed").touch()


@dataclass(frozen=True)
class Bench:
    """The server's table, and the place of files."""

    source: source_url.SourceUrl
    rows: int
    folder: Path

    @property
    def file(self) -> Path:
        """The file into which a program writes its rows."""
        return self.folder / "rows.parquet"

    def environment(self) -> dict[str, str]:
        """Returns the environment of the scripts in `tests/bench/peers`."""
        login = self.source.login
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "PEER_HOST": login.host,
            "PEER_PORT": str(login.port),
            "PEER_USER": login.username,
            "PEER_PASSWORD": login.password,
            "PEER_DATABASE": login.dbname,
            "PEER_TRUST": "yes" if self.source.tls == "trust" else "no",
            "PEER_SQL": f"SELECT * FROM {TABLE}",
            "PEER_TABLE": TABLE,
            "PEER_FILE": str(self.file),
        } | ({"SSL_CERT_FILE": os.environ["CA_BUNDLE"]} if os.environ.get("CA_BUNDLE") else {})

    def fill(self) -> None:
        """Makes the table anew."""
        run_batches(self.source.login, [f"DROP TABLE IF EXISTS {TABLE}", f"CREATE TABLE {TABLE} ({COLUMNS})"])
        for first in range(1, self.rows + 1, FILLED_AT_ONCE):
            last = min(self.rows, first + FILLED_AT_ONCE - 1)
            run_batches(self.source.login, [FILL.format(table=TABLE, first=first, last=last)])
        ((count,),) = run_query(self.source.login, f"SELECT COUNT(*) FROM {TABLE}")
        assert count == self.rows, count

    def drop(self) -> None:
        """Drops the table."""
        run_batches(self.source.login, [f"DROP TABLE IF EXISTS {TABLE}"])


def script(name: str) -> Callable[[Program, Bench], list[str]]:
    """Returns the command of a script in `tests/bench/peers`, run by the environment's own Python."""
    return lambda program, _: [str(program.folder / "bin" / "python"), "-P", str(SCRIPTS / name)]


def rivet(program: Program, bench: Bench) -> list[str]:
    """Returns the command of Rivet with a configuration of one export. JSON is YAML."""
    login, ca_file = bench.source.login, os.environ.get("CA_BUNDLE")
    trusting = {"mode": "require"} if bench.source.tls == "trust" else {"mode": "verify-full"}
    source = {
        "type": "mssql",
        "host": login.host,
        "port": login.port,
        "user": login.username,
        "password_env": "PEER_PASSWORD",
        "database": login.dbname,
        "tls": trusting | ({"ca_file": ca_file} if ca_file else {}),
    }
    out = bench.folder / "rivet"
    out.mkdir(exist_ok=True)
    export = {
        "name": "rows",
        "query": f"SELECT * FROM {TABLE}",
        "mode": "full",
        "format": "parquet",
        "compression": "zstd",
        "compression_level": 1,
        "destination": {"type": "local", "path": str(out)},
    }
    config = bench.folder / "rivet.yaml"
    config.write_text(json.dumps({"source": source, "exports": [export]}))
    return [str(program.folder / "bin" / "rivet"), "run", "-c", str(config)]


def odbc2parquet(program: Program, bench: Bench) -> list[str]:
    """Returns the command of odbc2parquet, which needs Microsoft's ODBC driver on the machine."""
    login = bench.source.login
    trust = "yes" if bench.source.tls == "trust" else "no"
    target = (
        f"Driver={{ODBC Driver 18 for SQL Server}};Server={login.host},{login.port};Database={login.dbname};"
        f"Encrypt=yes;TrustServerCertificate={trust};"
    )
    binary = str(program.folder / "bin" / "odbc2parquet")
    options = ["--connection-string", target, "--user", login.username, "--password", login.password]
    return [
        binary,
        "query",
        *options,
        "--column-compression-default",
        "zstd",
        str(bench.file),
        f"SELECT * FROM {TABLE}",
    ]


PROGRAMS = (
    ("mssql-python", ("mssql-python==1.16.0", "pyarrow==22.0.0"), script("read_mssql_python.py")),
    ("odbc2parquet", ("odbc2parquet==11.0.1",), odbc2parquet),
    ("rivet", ("rivet-cli==0.32.2",), rivet),
    ("connectorx", ("connectorx==0.4.6", "pyarrow==22.0.0"), script("read_connectorx.py")),
    ("dlt", ("dlt[parquet]==1.31.0", "connectorx==0.4.6", "pyarrow==22.0.0"), script("read_dlt.py")),
)


def measured(command: list[str], environment: dict[str, str], folder: Path) -> tuple[float, float, float, str]:
    """Runs a process to its end. Returns its CPU, its time, its memory in MB, and its message when it failed."""
    log, answer = folder / "peer.log", folder / "peer.out"
    begun, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    with log.open("w") as errors, answer.open("w") as output:
        child = subprocess.Popen(command, env=environment, cwd=folder, stdout=output, stderr=errors)
        memory = 0
        while child.poll() is None:
            memory = max(memory, peak_memory(child.pid))
            time.sleep(0.02)
            if time.monotonic() - begun > PATIENCE:
                child.kill()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    said = _last_line(log.read_text(errors="replace") or answer.read_text(errors="replace"))
    said = said or f"ended with {child.returncode}"
    return cpu, time.monotonic() - begun, memory / (1 << 20), said if child.returncode else ""


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:120].replace("|", "/") if lines else ""


def run_peer(program: Program, bench: Bench) -> None:
    """Runs a program once into a file, whose rows are counted."""
    assert program.run is not None
    shutil.rmtree(bench.folder)
    bench.folder.mkdir()
    cpu, seconds, rss, failed = measured(program.run(program, bench), bench.environment(), bench.folder)
    files = list(bench.folder.rglob("*.parquet"))
    rows = sum(pyarrow.parquet.ParquetFile(file).metadata.num_rows for file in files)
    if failed or rows != bench.rows:
        program.skipped = failed or f"{rows} rows of {bench.rows} in {len(files)} file(s)"
        return
    size = sum(file.stat().st_size for file in files)
    program.used.append(Used(cpu, seconds, rss, size / 1e6))


class Tidemark:
    """The deployed functions, run by hand against the local AWS. copy-delta is measured, upload included."""

    def __init__(self, bench: Bench, stack: Stack) -> None:
        secret = json.loads(bench.source.login.secret())
        if bench.source.tls == "trust":
            secret["tls"] = "trust"
        name = stack.aws.client("secretsmanager").create_secret(Name="peers", SecretString=json.dumps(secret))["ARN"]
        parameters = {"SourceSecretArn": str(name), "WatermarkStore": "s3"}
        if bundle := os.environ.get("CA_BUNDLE"):
            parameters["CaBundle"] = bundle
        self._bench = bench
        deployment = stack.deploy(**parameters)
        self._environments = {
            step: found | {"PATH": os.environ["PATH"]} for step, found in deployment.environments().items()
        }
        self._runs = 0

    def run(self, program: Program) -> None:
        """Runs one first load under a prefix of its own: every slice of it, one after another."""
        self._runs += 1
        prefix = {"SINK_PREFIX": f"peers/{self._runs}"}
        tracking = {"watermark": {"column": "id", "settle_seconds": 0}}
        event: dict[str, Any] = {"run_id": "peers", "tables": [{"table": TABLE, "tracking": tracking}]}
        event["tables"] = self._step("lookup-old-watermark", event, prefix)[0]["tables"]
        (window,) = self._step("lookup-new-watermark", event, prefix)[0]["windows"]
        slices = range(window["slices"])
        event = {"run_id": "peers", "table": TABLE, "window": window["window"]}
        copied = [self._step("copy-delta", event | {"slice": number}, prefix) for number in slices]
        rows = sum(answer["rows"] for answer, _ in copied)
        assert rows == self._bench.rows, rows
        size = sum(answer["bytes"] for answer, _ in copied) / 1e6
        used = [used for _, used in copied]
        whole = Used(sum(u.cpu for u in used), sum(u.seconds for u in used), max(u.rss for u in used), size)
        program.used.append(whole)

    def _step(self, step: str, event: dict[str, Any], prefix: dict[str, str]) -> tuple[dict[str, Any], Used]:
        file, folder = self._bench.folder / "event.json", self._bench.folder
        file.write_text(json.dumps(event))
        command = [str(RELEASE / step), str(file)]
        cpu, seconds, rss, failed = measured(command, self._environments[step] | prefix, folder)
        assert not failed, f"{step}: {(folder / 'peer.log').read_text()}"
        return json.loads((folder / "peer.out").read_text()), Used(cpu, seconds, rss, 0)


def table(programs: list[Program], bench: Bench, server: str, busy: str) -> str:
    """Returns the table as the page has it."""
    own = statistics.median(used.cpu for used in programs[0].used)
    lines = [
        f"`{_command(bench.rows)}`, {datetime.now(UTC):%-d %B %Y}, {machine()}, "
        f"load {busy}. The server was {server}. Each program ran {len(programs[0].used)} times, in turns.",
        "",
        "| | CPU s per million rows | peak RSS, MB | file, MB | CPU against Tidemark |",
        "|---|---|---|---|---|",
    ]
    for program in programs:
        name = " ".join((program.name, *(package.partition("==")[2] for package in program.packages[:1])))
        if program.skipped:
            lines.append(f"| {name} | SKIPPED: {program.skipped} | | | |")
            continue
        cpu, rss, size = (statistics.median(getattr(u, part) for u in program.used) for part in ("cpu", "rss", "file"))
        lines.append(f"| {name} | {cpu / bench.rows * 1e6:.2f} | {rss:.0f} | {size:.0f} | {cpu / own:.1f} |")
    return "\n".join(lines)


def _command(rows: int) -> str:
    """Returns the command that measures the same again, without what it says of the server."""
    given = {"BENCH_ROWS": str(rows), "BENCH_ROUNDS": str(_rounds()), "BENCH_ONLY": os.environ.get("BENCH_ONLY", "")}
    words = [f"{name}={value}" for name, value in given.items() if value]
    return " ".join(["SQLSERVER_URL=…", *words, "make bench"])


def _rounds() -> int:
    return int(os.environ.get("BENCH_ROUNDS", "3"))


def write(text: str) -> None:
    """Puts the table in its place on the page, and keeps everything outside of it."""
    page = PAGE.read_text()
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{PAGE} has no place for the table: {BEGIN} and {END}")
    PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}")


def main() -> int:
    """Installs, fills, measures in turns, and writes the table."""
    url = os.environ.get("SQLSERVER_URL")
    if not url:
        print("SKIPPED: other programs are compared on a real server only: SQLSERVER_URL is missing")
        return 0
    rows = min(int(os.environ.get("BENCH_ROWS", str(MOST_ROWS)).replace("_", "")), MOST_ROWS)
    programs = [Program("Tidemark", ()), *(Program(name, packages, run) for name, packages, run in PROGRAMS)]
    for program in programs:
        program.install()
    before = load_average()
    with tempfile.TemporaryDirectory(prefix="tidemark-peers-") as folder, Stack(None, binaries=RELEASE) as stack:
        bench = Bench(source_url.parse(url), rows, Path(folder))
        print(f"Filling {TABLE} with {rows} rows")
        bench.fill()
        try:
            server = _last_line(str(run_query(bench.source.login, "SELECT @@VERSION")[0][0]).splitlines()[0])
            tidemark = Tidemark(bench, stack)
            for turn in range(_rounds()):
                for program in (program for program in programs if not program.skipped):
                    print(f"turn {turn + 1}: {program.name}")
                    if program.run is None:
                        tidemark.run(program)
                    else:
                        run_peer(program, bench)
        finally:
            bench.drop()
    text = table(programs, bench, server, f"{before:.1f} to {load_average():.1f}")
    print(text)
    if os.environ.get("BENCH_WRITE") != "no":
        write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
