"""Runs the command `tidemark` on the sink of a local deployment, as a person would type it."""

from __future__ import annotations

import os
import shlex
import subprocess

from local.deploy import Deployment
from local.execution import Unexpected
from local.stack import BINARIES
from local.terminal import say

BINARY = BINARIES / "tidemark"


def show(deployment: Deployment, *arguments: str) -> None:
    """Runs a verb, and shows the command and its output. It must end well."""
    say(f"\n$ tidemark {shlex.join(arguments)}")
    sink = f"s3://{deployment.bucket}/tidemark"
    environment = {"PATH": os.environ["PATH"], "TERM": os.environ.get("TERM", "dumb"), "TIDEMARK_SINK": sink}
    done = subprocess.run([BINARY, *arguments], env=environment | deployment.aws.environment, check=False)
    if done.returncode != 0:
        raise Unexpected(f"tidemark {arguments[0]} ended with {done.returncode}")
