"""Child processes that are stopped by the process that started them, together with everything that they started."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path


class StartFailed(RuntimeError):
    """A process ended or was silent before it was ready."""


def peak_memory(pid: int) -> int:
    """Returns the most memory that a process has had so far, in bytes. `wait4` would count that of this process with
    it.
    """
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:")), 0)


class Child:
    """A process in a session of its own. Ctrl-C does not reach it, and stopping it stops its whole group."""

    def __init__(
        self, command: Sequence[str], env: Mapping[str, str], log: Path, cwd: Path | None = None, told: bool = False
    ) -> None:
        """Starts it. With `told`, lines can be written to its standard input."""
        self.log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                list(command),
                env=dict(env),
                cwd=cwd,
                stdin=subprocess.PIPE if told else subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process id, which is also the id of its group."""
        return self._process.pid

    def tell(self, line: str) -> None:
        """Writes a line to its standard input."""
        if self._process.stdin is None:
            raise RuntimeError("nobody listens")
        self._process.stdin.write(f"{line}\n".encode())
        self._process.stdin.flush()

    def wait_until(self, ready: Callable[[], bool], seconds: float, what: str) -> None:
        """Waits for `ready`. Raises `StartFailed` with the end of the log when the process ends or time runs out."""
        deadline = time.monotonic() + seconds
        while not ready():
            if self._process.poll() is not None:
                raise StartFailed(f"{what} ended with code {self._process.returncode}:\n{self.tail()}")
            if time.monotonic() > deadline:
                raise StartFailed(f"{what} was not ready after {seconds:g} s:\n{self.tail()}")
            time.sleep(0.02)

    def tail(self, lines: int = 20) -> str:
        """Returns the last lines that the process wrote."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def stop(self) -> None:
        """Ends the group, by SIGTERM, and by SIGKILL after two seconds."""
        stop_group(self.pid)
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()


def stop_group(pgid: int) -> None:
    """Ends the process group `pgid`, which must be one that `Child` made."""
    for signum, patience in ((signal.SIGTERM, 2.0), (signal.SIGKILL, 2.0)):
        try:
            os.killpg(pgid, signum)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if not _group_lives(pgid):
                return
            time.sleep(0.02)


def start_time(pid: int) -> str:
    """Returns when the process began, in ticks since boot, or an empty text when there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _group_lives(pgid: int) -> bool:
    """Returns whether the group still has a process that is not merely waiting to be reaped."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _parent, group = stat.read_text().rpartition(")")[2].split()[:3]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(group) == pgid and state not in "ZX":
            return True
    return False
