"""Tests `make run` and `make verify` as a person starts them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from conftest import Table, ledger, run

from local import tutorial
from local.deploy import ROOT, Deployment
from local.sandbox import Sandbox
from local.stack import BINARIES


def _make_run(**environment: str) -> subprocess.CompletedProcess[str]:
    settings = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "tests"), **environment}
    return subprocess.run(
        [sys.executable, "-m", "local.run"],
        env=settings,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_tutorial_in_csv_shows_its_lines_and_says_how_to_read_the_files() -> None:
    """The command that it prints for reading the files works as printed."""
    done = _make_run(FORMAT="csv", SETTLE="0")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "    7,newdata,2017-09-07 09:01:00.0000000" in done.stdout
    command = done.stdout.rpartition("Read them: ")[2].strip()
    shown = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert len(shown.splitlines()) == 7


def test_the_tutorial_on_change_tracking_shows_the_delete() -> None:
    """This is the other scenario. An unknown one is refused."""
    done = _make_run(SCENARIO="change-tracking", FORMAT="csv")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "    3,\\N,\\N,3,D" in done.stdout
    assert "SCENARIO=cdc" in _make_run(SCENARIO="cdc").stdout


def test_a_proxy_for_the_web_is_not_in_the_way() -> None:
    """Nobody listens at the address of the proxy."""
    proxies = {name: "http://127.0.0.1:9" for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY")}
    done = _make_run(SETTLE="0", **proxies)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "$ tidemark verify" in done.stdout and "as they must be" in done.stdout


def _make(target: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs make on a target, with everything built."""
    given = [f"{name}={value}" for name, value in variables.items()]
    built = ["--old-file=command", "--old-file=ready"]
    environment = {"PATH": os.environ["PATH"], "CARGO_TARGET_DIR": str(BINARIES.parent)}
    return subprocess.run(
        ["make", *built, target, *given],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_server_of_ones_own_is_copied_by_the_command(sandbox: Sandbox, table: Table, tmp_path: Path) -> None:
    """A password with text that make and shells would expand arrives as it is, and the second run is an increment.
    Nothing is written to the server.
    """
    password = "Pa$$w0rd-$(HOME)-`id`"
    sandbox.execute(
        f"CREATE LOGIN dollars WITH PASSWORD = '{password}'",
        f"CREATE USER dollars FOR LOGIN dollars; GRANT SELECT ON {table} TO dollars",
    )
    login = sandbox.login
    tables = tmp_path / "tables.json"
    tables.write_text(json.dumps({"tables": [table.spec()]}))
    address = f"sqlserver://dollars:{password}@{login.host}:{login.port}/{login.dbname}"
    given = {
        "SOURCE_URL": address,
        "TABLES": str(tables),
        "SINK": str(tmp_path / "lake"),
        "CA_BUNDLE": str(sandbox.ca_file),
    }
    before = table.watermark()
    for said in ("1 copied, 0 unchanged, 0 failed", "0 copied, 1 unchanged, 0 failed"):
        done = _make("run", **given)
        assert done.returncode == 0, done.stdout + done.stderr
        assert said in done.stdout
        assert "w0rd" not in done.stdout + done.stderr
    assert table.watermark() == before
    verified = _make("verify", SINK=given["SINK"])
    assert verified.returncode == 0 and "as they must be" in verified.stdout, verified.stdout + verified.stderr


def _of_stack(deployment: Deployment, sandbox: Sandbox, tables: Path) -> tuple[int, list[dict[str, Any]]]:
    """Runs the tables of a file with the source and the sink of a stack. Returns the exit code, and the lines."""
    done = subprocess.run(
        [BINARIES / "tidemark", "run", "--json", "--stack", deployment.name, tables],
        env={"PATH": os.environ["PATH"], "SSL_CERT_FILE": str(sandbox.ca_file)} | deployment.aws.environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode in (0, 2), done.stdout + done.stderr
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def test_the_command_and_the_executions_of_a_stack_go_on_from_one_another(
    s3_deployment: Deployment, sandbox: Sandbox, new_table: Callable[[], Table], tmp_path: Path
) -> None:
    """They share the ledger, and the lease of a table: what the one has copied is unchanged for the other."""
    table = new_table()
    sandbox.execute(tutorial.SOURCE_TABLE.replace("data_source_table", table.name))
    first = run(s3_deployment, table.spec())
    assert first.succeeded, first.cause
    table.add_tutorial_rows()
    tables = tmp_path / "tables.json"
    tables.write_text(json.dumps({"tables": [table.spec()]}))
    code, lines = _of_stack(s3_deployment, sandbox, tables)
    assert code == 0
    assert [line["rows"] for line in lines if line["event"] == "committed"] == [2]
    second = run(s3_deployment, table.spec())
    assert second.succeeded, second.cause
    assert second.output["unchanged"] == [str(table)]

    sandbox.execute(f"INSERT INTO {table} VALUES (8, 'eight', '2017-09-08 09:01:00.000')")
    (lease,) = [key for key in ledger(s3_deployment, table) if key.endswith("/lease.json")]
    until = (datetime.now(UTC) + timedelta(minutes=4)).strftime("%Y-%m-%dT%H:%M:%SZ")
    keeper = {"run": {"run_id": "another", "until": until}}
    held = {"version": 1, "table": str(table), "keeper": keeper}
    s3_deployment.aws.client("s3").put_object(Bucket=s3_deployment.bucket, Key=lease, Body=json.dumps(held))
    code, lines = _of_stack(s3_deployment, sandbox, tables)
    assert code == 2
    assert [(line["table"], line["run_id"]) for line in lines if line["event"] == "busy"] == [(str(table), "another")]


def test_what_make_run_lacks_is_said() -> None:
    """The message has the name of what is missing."""
    assert "TABLES" in _make("run", SOURCE_URL="sqlserver://u@h/d").stderr


def test_what_is_given_to_make_arrives_as_it_is(tmp_path: Path) -> None:
    """Make would take a $ with what follows it for a variable, in a password as well."""
    names = ("SOURCE_URL", "SQLSERVER_URL", "SINK", "TABLES", "CA_BUNDLE", "STEP", "EVENT")
    given = {name: f"{name} Pa$$w0rd-$(HOME)-$x" for name in names}
    file = tmp_path / "print.mk"
    file.write_text("include Makefile\n.PHONY: told\ntold:\n\t@env -0\n")
    for arguments, environment in (([f"{name}={value}" for name, value in given.items()], {}), ([], given)):
        done = subprocess.run(
            ["make", "--file", str(file), *arguments, "told"],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], **environment},
            capture_output=True,
            text=True,
            check=True,
        )
        told = dict(entry.partition("=")[::2] for entry in done.stdout.split("\0"))
        assert {name: told.get(name) for name in names} == given


def test_what_make_installs_is_not_said_where_one_step_is_piped_into_the_next() -> None:
    """`make invoke` may have to install something first, and its standard output is the answer of the step."""
    makefile = (ROOT / "Makefile").read_text()
    said = [line for line in makefile.splitlines() if line.startswith('\t@echo "Installing')]
    assert said and all(line.endswith(">&2") for line in said), said
