"""The whole local stack: the stand-in SQL Server, the local AWS, the functions' packages, and any number of
deployments.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from types import TracebackType

from local.aws import LocalAws
from local.deploy import ROOT, Deployment, Packages
from local.sandbox import Login, Sandbox

BINARIES = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").resolve() / "debug"
STACK_NAME = "tidemark"


class Stack:
    """A stack that starts on construction, and stops on `stop` or at the end of a `with`. Nothing stays except what was
    copied out.
    """

    def __init__(self, script: str | None, wait_scale: float = 1.0, binaries: Path = BINARIES) -> None:
        """Starts it. `script` runs on the stand-in server first. Without one there is no stand-in, only the
        local AWS.
        """
        self.directory = Path(tempfile.mkdtemp(prefix="tidemark-"))
        self.sandbox: Sandbox | None = None
        self._aws: LocalAws | None = None
        try:
            if script is not None:
                self.sandbox = Sandbox(binaries / "tidemark-sandbox", self.directory / "sandbox", script)
            self._aws = LocalAws(self.directory / "aws", wait_scale)
            self.packages = Packages(self._aws, binaries)
        except BaseException:
            self.stop()
            raise

    @property
    def aws(self) -> LocalAws:
        """The local AWS."""
        if self._aws is None:
            raise RuntimeError("the stack is stopped")
        return self._aws

    def secret(self, name: str, login: Login) -> str:
        """Stores a login. Returns the secret's ARN."""
        return str(self.aws.client("secretsmanager").create_secret(Name=name, SecretString=login.secret())["ARN"])

    def deploy(self, name: str = STACK_NAME, **overrides: str) -> Deployment:
        """Deploys the template against the stand-in server, which has the tutorials' control table. `overrides` are
        parameters of the template.
        """
        parameters: dict[str, str] = {}
        if self.sandbox is not None:
            parameters["CaBundle"] = str(self.sandbox.ca_file)
            parameters["WatermarkStore"] = "sql"
            if "SourceSecretArn" not in overrides:
                parameters["SourceSecretArn"] = self.secret(f"{name}-source", self.sandbox.login)
        return self.packages.deploy(name, parameters | overrides)

    def keep_logs(self, directory: Path) -> None:
        """Copies the logs of both processes and of the functions to `directory`."""
        directory.mkdir(parents=True, exist_ok=True)
        for log in self.directory.glob("*/*.log"):
            shutil.copy(log, directory)
        logs = self.aws.client("logs")
        for group in logs.describe_log_groups(logGroupNamePrefix="/tidemark/")["logGroups"]:
            name = group["logGroupName"]
            lines = [
                event["message"].rstrip("\n")
                for page in logs.get_paginator("filter_log_events").paginate(logGroupName=name)
                for event in page["events"]
            ]
            if lines:
                _, stack, function = name.strip("/").split("/")
                (directory / f"{stack}-{function}.log").write_text("\n".join(lines) + "\n")

    def stop(self) -> None:
        """Ends what was started, in any state of starting."""
        if self._aws is not None:
            self._aws.stop()
            self._aws = None
        if self.sandbox is not None:
            self.sandbox.stop()
            self.sandbox = None
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> Stack:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
