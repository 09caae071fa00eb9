"""Records docs/pictures/recording.svg: the command at work on the stand-in, as a terminal shows it.

    .tools/docs/bin/python tools/recording.py target/debug

Nothing in it is made up. The commands run in a pseudo-terminal, what they write goes through a terminal in memory
(pyte), and each line appears in the picture at the time at which it was there, with long waits made short.
"""

import contextlib
import json
import os
import pty
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from html import escape
from pathlib import Path

import pyte

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs/pictures/recording.svg"
COLUMNS, ROWS = 88, 200
LONGEST_WAIT = 1.2
TABLES = """
ALTER DATABASE tidemark SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 7 DAYS, AUTO_CLEANUP = ON)
GO
CREATE TABLE dbo.orders (
    order_id int IDENTITY PRIMARY KEY, customer varchar(40) NOT NULL, amount decimal(9,2) NOT NULL,
    version rowversion NOT NULL)
GO
CREATE INDEX IX_orders_version ON dbo.orders (version)
GO
CREATE TABLE dbo.customer (customer_id int NOT NULL PRIMARY KEY, name nvarchar(80) NOT NULL)
GO
ALTER TABLE dbo.customer ENABLE CHANGE_TRACKING
GO
INSERT INTO dbo.customer (customer_id, name)
SELECT value, CONCAT('customer ', value) FROM GENERATE_SERIES(1, 5000)
GO
INSERT INTO dbo.orders (customer, amount)
SELECT CONCAT('customer ', value), value * 1.25 FROM GENERATE_SERIES(1, 200000)
"""
# The changes that somebody else makes to the database between the two runs.
CHANGES = (
    "UPDATE dbo.orders SET amount = amount + 1 WHERE order_id <= 1500",
    "DELETE dbo.customer WHERE customer_id = 7",
    "INSERT INTO dbo.customer (customer_id, name) VALUES (5001, 'new')",
)
SHOWN = (
    "tidemark init",
    "tidemark run",
    "# … somebody changes 1,500 orders, adds a customer and deletes another …",
    "tidemark run",
    "tidemark status",
)
PALETTE = {
    "green": "#7ee787",
    "red": "#ff7b72",
    "brown": "#e3b341",
    "yellow": "#e3b341",
    "cyan": "#76e3ea",
    "blue": "#79c0ff",
}


@contextlib.contextmanager
def stand_in(binaries: Path, folder: Path) -> Iterator[dict[str, str]]:
    """Yields what the stand-in for SQL Server, which has the tables, says in its line of JSON."""
    script, ready = folder / "tables.sql", folder / "ready.json"
    script.write_text(TABLES)
    command = [binaries / "tidemark-sandbox", "--init", script, "--ready-file", ready, "--tls-dir", folder / "tls"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            while not ready.exists():
                if server.poll() is not None:
                    sys.exit("the stand-in did not start")
                time.sleep(0.1)
            yield json.loads(ready.read_text())
        finally:
            server.terminate()


def changed(login: dict[str, str]) -> None:
    """Runs the changes, with the client that the project's tests use."""
    program = (
        "import sys, json; sys.path.insert(0, 'tests'); from local.sandbox import Login, run_batches; "
        "login, batches = json.load(sys.stdin); run_batches(Login(**login), batches)"
    )
    facts = {name: login[name] for name in ("host", "port", "username", "password", "dbname")}
    subprocess.run(
        [ROOT / ".venv/bin/python", "-c", program], cwd=ROOT, input=json.dumps([facts, CHANGES]), text=True, check=True
    )


class Recording:
    """A terminal in memory, and the time at which each of its lines was written last."""

    def __init__(self) -> None:
        self.screen = pyte.Screen(COLUMNS, ROWS)
        self.stream = pyte.ByteStream(self.screen)
        self.clock = 0.0
        self.times: dict[int, float] = {}

    def feed(self, data: bytes) -> None:
        before = {row: self._line(row) for row in range(self.screen.cursor.y, min(ROWS, self.screen.cursor.y + 12))}
        self.screen.dirty.clear()
        self.stream.feed(data.replace(b"\n", b"\r\n").replace(b"\r\r\n", b"\r\n"))
        for row in self.screen.dirty:
            if self._line(row).strip() and self._line(row) != before.get(row):
                self.times[row] = self.clock

    def _line(self, row: int) -> str:
        return "".join(self.screen.buffer[row][column].data for column in range(COLUMNS))

    def lines(self) -> list[tuple[float, list[tuple[str, str, bool]]]]:
        """Returns each line with its time, and its text in runs of one colour."""
        last = max((row for row in range(ROWS) if self._line(row).strip()), default=0)
        out, when = [], 0.0
        for row in range(last + 1):
            when = max(when, self.times.get(row, when))
            runs: list[tuple[str, str, bool]] = []
            for column in range(COLUMNS):
                cell = self.screen.buffer[row][column]
                if runs and runs[-1][1:] == (cell.fg, cell.bold):
                    runs[-1] = (runs[-1][0] + cell.data, cell.fg, cell.bold)
                else:
                    runs.append((cell.data, cell.fg, cell.bold))
            out.append((when, runs))
        return out


def record(recording: Recording, command: str, environment: dict[str, str], folder: Path) -> None:
    """Runs one command in a pseudo-terminal."""
    recording.feed(b"\x1b[1m$ \x1b[0m" + command.encode() + b"\n")
    recording.clock += 0.7
    child, descriptor = pty.fork()
    if child == 0:
        os.chdir(folder)
        os.execvpe("sh", ["sh", "-c", f"stty rows 24 cols {COLUMNS}; exec {command}"], environment)
    begun = time.monotonic()
    while True:
        readable, _, _ = select.select([descriptor], [], [], 60)
        try:
            data = os.read(descriptor, 65536) if readable else b""
        except OSError:
            data = b""
        recording.clock += min(LONGEST_WAIT, time.monotonic() - begun)
        begun = time.monotonic()
        if not data:
            break
        recording.feed(data)
    _, status = os.waitpid(child, 0)
    if status:
        sys.exit(f"{command} failed:\n" + "\n".join(recording.screen.display[:40]))
    recording.feed(b"\n")
    recording.clock += 0.9


def svg(recording: Recording) -> str:
    """Returns the picture: a dark terminal whose lines appear one after the other, once."""
    lines = recording.lines()
    size, height, left, top = 8.0, 18, 18, 52
    width, tall = COLUMNS * size + 2 * left, len(lines) * height + top + 8
    style = (
        "text{font:13.2px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;white-space:pre;fill:#c9d1d9}"
        "g{animation:seen .01s both}@keyframes seen{from{opacity:0}to{opacity:1}}"
        "@media (prefers-reduced-motion:reduce){g{animation:none}}"
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {tall:g}" width="{width:g}" height="{tall:g}" '
        'role="img"><title>Three commands: tidemark init, run, run again</title>',
        f"<style>{style}</style>",
        f'<rect width="{width:g}" height="{tall:g}" rx="10" fill="#0d1117"/>',
        *(
            f'<circle cx="{22 + 18 * n}" cy="22" r="5.5" fill="{c}"/>'
            for n, c in enumerate(("#ff5f56", "#ffbd2e", "#27c93f"))
        ),
    ]
    for number, (when, runs) in enumerate(lines):
        spans, column = "", 0
        for words, colour, bold in runs:
            shown = words.rstrip() if words is runs[-1][0] else words
            if shown.strip():
                start = column + len(shown) - len(shown.lstrip())
                fill = f' fill="{PALETTE[colour]}" style="fill:{PALETTE[colour]}"' if colour in PALETTE else ""
                weight = ' font-weight="700"' if bold else ""
                stretch = f' textLength="{len(shown.strip()) * size:g}"'
                spans += f'<tspan x="{left + start * size:g}"{fill}{weight}{stretch}>{escape(shown.strip())}</tspan>'
            column += len(words)
        if spans:
            text = f'<text xml:space="preserve" y="{top + number * height:g}">{spans}</text>'
            parts.append(f'<g style="animation-delay:{when:.2f}s">{text}</g>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def main() -> None:
    """Records the commands."""
    binaries = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as name, stand_in(binaries, Path(name)) as login:
        folder = Path(name) / "work"
        folder.mkdir()
        shutil.copy(binaries / "tidemark", folder / "tidemark")
        environment = {
            "PATH": f"{folder}:{os.environ['PATH']}",
            "HOME": name,
            "LANG": "C.UTF-8",
            "TERM": "xterm-256color",
            "TIDEMARK_SOURCE": f"sqlserver://{login['username']}@{login['host']}:{login['port']}/{login['dbname']}",
            "TIDEMARK_PASSWORD": login["password"],
            "SSL_CERT_FILE": login["ca_file"],
        }
        recording = Recording()
        for command in SHOWN:
            if command.startswith("#"):
                changed(login)
                recording.feed(b"\x1b[34m" + command.encode() + b"\x1b[0m\n\n")
                recording.clock += 1.5
            else:
                record(recording, command, environment, folder)
        PICTURE.write_text(svg(recording))
        print(f"{PICTURE.relative_to(ROOT)}: {recording.clock:.0f} s")


if __name__ == "__main__":
    main()
