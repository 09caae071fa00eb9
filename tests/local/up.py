"""`make up`, `make down`, `make invoke`: a local stack that stays until taken down, and single steps against it."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass
from pathlib import Path

from local import tutorial
from local.aws import REGION, ROOT
from local.deploy import FUNCTIONS, DeployFailed, Deployment
from local.deploy import ROOT as REPOSITORY
from local.process import StartFailed, start_time, stop_group
from local.stack import BINARIES, Stack
from local.terminal import say, task

STATE = REPOSITORY / ".local" / "stack.json"
ENVIRONMENT = REPOSITORY / ".local" / "stack.env"


@dataclass(frozen=True)
class Process:
    """A process that was started; the start time tells it from a later one with the same id."""

    pid: int
    started: str

    def lives(self) -> bool:
        """Whether it is still that process."""
        return start_time(self.pid) == self.started


@dataclass(frozen=True)
class Standing:
    """A stack that stays up: what `down` must end, and what `invoke` must know."""

    processes: list[Process]
    directory: str
    environments: dict[str, dict[str, str]]

    @classmethod
    def load(cls) -> Standing | None:
        """The stack that is up, if one is."""
        try:
            facts = json.loads(STATE.read_text())
        except FileNotFoundError:
            return None
        processes = [Process(**process) for process in facts.pop("processes")]
        standing = cls(processes, **facts)
        return standing if any(process.lives() for process in processes) else None


def up() -> Standing:
    """Starts and deploys, unless that was done before."""
    if standing := Standing.load():
        return standing
    with task("Starting the stand-in SQL Server and the local AWS"):
        stack = Stack(tutorial.SCRIPT)
    try:
        with task("Deploying infra/template.yaml on the local AWS"):
            deployment = stack.deploy()
        standing = _standing(stack, deployment)
        STATE.parent.mkdir(exist_ok=True)
        STATE.write_text(json.dumps(asdict(standing), indent=2) + "\n")
        _write_environment(stack, deployment, standing)
    except BaseException:
        stack.stop()
        raise
    return standing


def down() -> None:
    """Ends what `up` started."""
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


def invoke(step: str, event: Path) -> int:
    """Runs one step's binary by hand, with the environment it has where it is deployed."""
    # What the step prints on stdout is its result, and nothing else may be.
    with redirect_stdout(sys.stderr):
        standing = up()
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")} | standing.environments[step]
    return subprocess.run([BINARIES / step, event], env=environment, check=False).returncode


def _standing(stack: Stack, deployment: Deployment) -> Standing:
    pids = [stack.aws.pid] + ([stack.sandbox.pid] if stack.sandbox else [])
    processes = [Process(pid, start_time(pid)) for pid in pids]
    return Standing(processes, str(stack.directory), environments(deployment))


def environments(deployment: Deployment) -> dict[str, dict[str, str]]:
    """What each step needs in its environment to run by hand as it does where it is deployed."""
    functions = deployment.aws.client("lambda")
    found = {}
    for step in FUNCTIONS:
        output = "".join(word.capitalize() for word in step.split("-")) + "FunctionName"
        configuration = functions.get_function_configuration(FunctionName=deployment.outputs[output])
        found[step] = configuration["Environment"]["Variables"] | _aws_environment(deployment.aws.endpoint)
    return found


def _aws_environment(endpoint: str) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": ROOT["aws_access_key_id"],
        "AWS_SECRET_ACCESS_KEY": ROOT["aws_secret_access_key"],
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _write_environment(stack: Stack, deployment: Deployment, standing: Standing) -> None:
    """What every step sees, the state machine's ARN, and the login of the stand-in server, for a shell to read."""
    settings = {key: value for environment in standing.environments.values() for key, value in environment.items()}
    settings["STATE_MACHINE_ARN"] = deployment.state_machine_arn
    if stack.sandbox:
        login = stack.sandbox.login
        settings |= {"MSSQL_SERVER": f"{login.host},{login.port}", "MSSQL_USER": login.username}
        settings |= {"MSSQL_PASSWORD": login.password, "MSSQL_DATABASE": login.dbname}
    ENVIRONMENT.touch(mode=0o600)
    ENVIRONMENT.write_text("".join(f"{key}={shlex.quote(value)}\n" for key, value in sorted(settings.items())))


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="local.up", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up")
    commands.add_parser("down")
    one = commands.add_parser("invoke")
    one.add_argument("step", choices=FUNCTIONS)
    one.add_argument("event", type=Path)
    arguments = parser.parse_args()
    try:
        if arguments.command == "invoke":
            return invoke(arguments.step, arguments.event)
        if arguments.command == "down":
            down()
        else:
            up()
            settings = ENVIRONMENT.relative_to(REPOSITORY)
            say(f"Up, with the tutorial's table. Settings for a shell: set -a; . {settings}; set +a")
            say("Take it down with `make down`.")
    except (StartFailed, DeployFailed) as error:
        say(f"\n{error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
