"""What a command shows: on a terminal with so many columns, or where there is none."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

WIDTHS = (80, 200, None)
"""The widths at which what a person sees is tested. `None` is no terminal."""

_STEERS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass(frozen=True)
class Shown:
    """What a command showed, and how it ended."""

    code: int
    text: str

    @property
    def lines(self) -> list[str]:
        """The lines without what steers a terminal. What was drawn over is a line of its own."""
        return [line for line in re.split(r"[\r\n]+", _STEERS.sub("", self.text)) if line.strip()]

    @property
    def words(self) -> str:
        """The text in one line, because a terminal's lines end where its columns do."""
        return " ".join(" ".join(self.lines).split())


@dataclass
class Screen:
    """A command that runs, and what it shows."""

    process: subprocess.Popen[bytes]
    _source: int
    _read: list[bytes] = field(default_factory=list)
    _thread: threading.Thread | None = None

    @classmethod
    def start(cls, command: Sequence[str], columns: int | None, environment: Mapping[str, str], folder: Path) -> Screen:
        """Starts a command. With `columns` it runs on a terminal of its own."""
        settings = {"TERM": "xterm-256color", **environment}
        if columns is None:
            source, end = os.pipe()
            stdin = subprocess.DEVNULL
        else:
            source, end = pty.openpty()
            fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
            stdin = end
        process = subprocess.Popen(
            list(command), cwd=folder, env=settings, stdin=stdin, stdout=end, stderr=end, start_new_session=True
        )
        os.close(end)
        screen = cls(process, source)
        screen._thread = threading.Thread(target=screen._follow, daemon=True)
        screen._thread.start()
        return screen

    def _follow(self) -> None:
        """Reads all that is shown, because a command waits for whoever does not."""
        while True:
            try:
                part = os.read(self._source, 1 << 16)
            except OSError:  # Nobody writes to the terminal any more.
                part = b""
            if not part:
                os.close(self._source)
                return
            self._read.append(part)

    def end(self, seconds: float = 120) -> Shown:
        """Waits for the end of the command."""
        code = self.process.wait(timeout=seconds)
        if self._thread is not None:
            self._thread.join(timeout=10)
        return Shown(code, b"".join(self._read).decode(errors="replace"))


def shown(
    command: Sequence[str], columns: int | None, environment: Mapping[str, str], folder: Path, seconds: float = 120
) -> Shown:
    """Runs a command to its end."""
    return Screen.start(command, columns, environment, folder).end(seconds)
