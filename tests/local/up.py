"""`make up` and `make down`: a local stack that stays until taken down. The command `tidemark` works on it."""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from local import tutorial
from local.deploy import ROOT as REPOSITORY
from local.deploy import DeployFailed, Deployment
from local.process import StartFailed, start_time, stop_group
from local.stack import BINARIES, STACK_NAME, Stack
from local.terminal import say, task

STATE = REPOSITORY / ".local" / "stack.json"
ENVIRONMENT = REPOSITORY / ".local" / "stack.env"


@dataclass(frozen=True)
class Process:
    """A process that was started. The start time tells it from a later one with the same id."""

    pid: int
    started: str

    def lives(self) -> bool:
        """Returns whether it is still that process."""
        return start_time(self.pid) == self.started


@dataclass(frozen=True)
class Standing:
    """A stack that stays up, with what `down` must end."""

    processes: list[Process]
    directory: str

    @classmethod
    def load(cls) -> Standing | None:
        """Returns the stack that is up, if one is."""
        try:
            facts = json.loads(STATE.read_text())
        except FileNotFoundError:
            return None
        processes = [Process(**process) for process in facts.pop("processes")]
        standing = cls(processes, **facts)
        return standing if any(process.lives() for process in processes) else None


@contextmanager
def _alone() -> Iterator[None]:
    """Waits until no other process starts or ends the stack. The steps of a pipe begin at the same time."""
    STATE.parent.mkdir(exist_ok=True)
    with STATE.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def up() -> Standing:
    """Starts and deploys, unless that was done before."""
    with _alone():
        return Standing.load() or _started()


def _started() -> Standing:
    """Starts and deploys."""
    with task("Starting the stand-in SQL Server and the local AWS"):
        stack = Stack(tutorial.SCRIPT)
    try:
        with task("Deploying infra/template.yaml on the local AWS"):
            deployment = stack.deploy()
        standing = _standing(stack)
        STATE.write_text(json.dumps(asdict(standing), indent=2) + "\n")
        _write_environment(stack, deployment)
    except BaseException:
        stack.stop()
        raise
    return standing


def down() -> None:
    """Ends what `up` started."""
    with _alone():
        standing = Standing.load()
        if standing is None:
            say("No local stack is up.")
        else:
            for process in standing.processes:
                if process.lives():
                    stop_group(process.pid)
            shutil.rmtree(standing.directory, ignore_errors=True)
            say("The local stack is down.")
        for file in (STATE, ENVIRONMENT):
            file.unlink(missing_ok=True)


def _standing(stack: Stack) -> Standing:
    pids = [stack.aws.pid] + ([stack.sandbox.pid] if stack.sandbox else [])
    processes = [Process(pid, start_time(pid)) for pid in pids]
    return Standing(processes, str(stack.directory))


def _write_environment(stack: Stack, deployment: Deployment) -> None:
    """Writes what `tidemark --stack` needs, the state machine's ARN, and the login of the stand-in, for a shell to
    read.
    """
    settings = stack.aws.environment | {"STATE_MACHINE_ARN": deployment.state_machine_arn}
    if stack.sandbox:
        login = stack.sandbox.login
        settings |= {"SSL_CERT_FILE": str(stack.sandbox.ca_file)}
        settings |= {"MSSQL_SERVER": f"{login.host},{login.port}", "MSSQL_USER": login.username}
        settings |= {"MSSQL_PASSWORD": login.password, "MSSQL_DATABASE": login.dbname}
    ENVIRONMENT.touch(mode=0o600)
    ENVIRONMENT.write_text("".join(f"{key}={shlex.quote(value)}\n" for key, value in sorted(settings.items())))


def main() -> int:
    """Runs the command line."""
    parser = argparse.ArgumentParser(prog="local.up", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up")
    commands.add_parser("ensure", help="up, without a word if it is")
    commands.add_parser("down")
    arguments = parser.parse_args()
    try:
        if arguments.command == "down":
            down()
        elif arguments.command == "ensure":
            up()
        else:
            up()
            settings = ENVIRONMENT.relative_to(REPOSITORY)
            command = os.path.relpath(BINARIES / "tidemark", Path.cwd())
            say(f"Up, with the tutorial's table. Settings for a shell: set -a; . {settings}; set +a")
            say(f"Then: {command} doctor --stack {STACK_NAME} infra/events/state-machine.json")
            say("Take it down with `make down`.")
    except (StartFailed, DeployFailed) as error:
        say(f"\n{error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
