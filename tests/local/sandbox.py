"""The stand-in SQL Server as a child process, and a real client (pymssql, over TLS) for it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymssql

from local.process import Child


@dataclass(frozen=True)
class Login:
    """The address of a SQL Server and a login there. `repr` leaves the password out."""

    host: str
    port: int
    username: str
    password: str
    dbname: str

    def __repr__(self) -> str:
        return f"Login({self.username}@{self.host}:{self.port}/{self.dbname})"

    def secret(self) -> str:
        """Returns the secret's text, in the shape that RDS uses."""
        return json.dumps(
            {
                "host": self.host,
                "port": self.port,
                "username": self.username,
                "password": self.password,
                "dbname": self.dbname,
            }
        )


class Sandbox:
    """One running stand-in. `stop` ends it, and then its tables are gone."""

    def __init__(self, binary: Path, directory: Path, script: str) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        init = directory / "init.sql"
        init.write_text(script)
        ready = directory / "ready.json"
        command = [
            str(binary),
            *("--listen", "127.0.0.1:0"),
            *("--tls-dir", str(directory / "tls")),
            *("--init", str(init)),
            *("--ready-file", str(ready)),
            "--faults",
        ]
        self._child = Child(command, {"LANG": "C.UTF-8"}, directory / "sandbox.log", told=True)
        self._orders = 0
        try:
            self._child.wait_until(lambda: _is_complete(ready), 60, "the stand-in SQL Server")
            facts = json.loads(ready.read_text())
            self.login = Login(**{key: facts[key] for key in ("host", "port", "username", "password", "dbname")})
            self.ca_file = Path(facts["ca_file"])
        except BaseException:
            self._child.stop()
            raise

    @property
    def pid(self) -> int:
        """The id of the process and of its group."""
        return self._child.pid

    def stop(self) -> None:
        """Ends the process."""
        self._child.stop()

    def raise_error(self, text: str, number: int, message: str, times: int = 1, after_rows: int | None = None) -> None:
        """Lets the next requests whose text contains `text` meet this error, after so many rows or before they
        are run.
        """
        order = {"text": text, "number": number, "message": message, "times": times, "after_rows": after_rows}
        self._child.tell(json.dumps(order))
        self._orders += 1
        self._child.wait_until(self._has_ordered, 10, "the stand-in SQL Server")

    def statements(self) -> int:
        """Returns the number of requests of clients since the last call, without logins. The first call begins to
        count.
        """
        told = self._told()
        self._child.tell('"statements"')
        self._child.wait_until(lambda: len(self._told()) > len(told), 10, "the stand-in SQL Server")
        return self._told()[-1]

    def _told(self) -> list[int]:
        """Returns the numbers of requests that it has told so far."""
        log = self._child.log.read_text(errors="replace")
        return [int(number) for number in re.findall(r"(?m)^statements (\d+)$", log)]

    def _has_ordered(self) -> bool:
        return self._child.log.read_text(errors="replace").count("\nordered") >= self._orders

    def execute(self, *batches: str) -> None:
        """Runs batches, each of which is committed by itself."""
        run_batches(self.login, batches)

    @contextmanager
    def transaction(self, *batches: str) -> Iterator[None]:
        """Runs these batches in a transaction that is open while the context is, and commits it at the end."""
        with _connect(self.login) as connection, connection.cursor() as cursor:
            for batch in ("BEGIN TRANSACTION", *batches):
                cursor.execute(batch)
            yield
            cursor.execute("COMMIT TRANSACTION")

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Returns the rows of one SELECT."""
        return run_query(self.login, sql, parameters)


def run_batches(login: Login, batches: Sequence[str]) -> None:
    """Runs batches on any server, each of which is committed by itself."""
    with _connect(login) as connection, connection.cursor() as cursor:
        for batch in batches:
            cursor.execute(batch)


def run_script(login: Login, batches: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """Runs batches on any server, each of which is committed by itself, and yields the rows of all their results."""
    with _connect(login) as connection, connection.cursor() as cursor:
        for batch in batches:
            cursor.execute(batch)
            # The error of a later statement is told when its result is asked for.
            has_more = True
            while has_more:
                yield from (tuple(row) for row in (cursor.fetchall() if cursor.description else ()))
                has_more = bool(cursor.nextset())


def run_query(login: Login, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """Returns the rows of one SELECT on any server."""
    with _connect(login) as connection, connection.cursor() as cursor:
        cursor.execute(sql, tuple(parameters))
        return [tuple(row) for row in cursor.fetchall()]


def _connect(login: Login) -> Any:
    return pymssql.connect(
        server=login.host,
        port=str(login.port),
        user=login.username,
        password=login.password,
        database=login.dbname,
        autocommit=True,
        login_timeout=10,
        encryption="require",
    )


def _is_complete(ready: Path) -> bool:
    """Returns whether the ready file exists and is whole."""
    try:
        return bool(json.loads(ready.read_text()))
    except (FileNotFoundError, json.JSONDecodeError):
        return False
