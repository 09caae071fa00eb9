"""The local AWS: ministack as a child process, with IAM enforced, so a role that lacks a permission fails here too."""

from __future__ import annotations

import os
import re
import socket
import sys
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from local.process import Child

REGION = "us-east-1"
SERVICES = "s3,lambda,iam,sts,secretsmanager,stepfunctions,cloudformation,scheduler,events,sns,sqs,logs,monitoring,kms"
# ministack takes this pair for the account's root. The functions get sessions of their own roles.
ROOT = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}

# A proxy for the web must not be used for addresses of this machine.
for _name in ("NO_PROXY", "no_proxy"):
    os.environ[_name] = ",".join(filter(None, (os.environ.get(_name), "127.0.0.1")))


class LocalAws:
    """One running ministack. `stop` ends it and the functions that it runs."""

    def __init__(self, directory: Path, wait_scale: float = 1.0, mocks: Path | None = None) -> None:
        """Starts it. `wait_scale` shortens Wait states and retry intervals, and `mocks` has canned answers for
        states.
        """
        directory.mkdir(parents=True, exist_ok=True)
        port = _free_port()
        self.endpoint = f"http://127.0.0.1:{port}"
        self._child = Child(
            [sys.executable, "-m", "local.emulator"],
            _environment(directory, port, self.endpoint, wait_scale)
            | ({"SFN_MOCK_CONFIG": str(mocks)} if mocks else {}),
            directory / "ministack.log",
            cwd=directory,
        )
        try:
            self._child.wait_until(self._answers, 60, "the local AWS (ministack)")
        except BaseException:
            self._child.stop()
            raise

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs in its environment to reach it with the rights of the account's owner."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": REGION,
            # Version 1 of the AWS CLI knows only this one.
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": ROOT["aws_access_key_id"],
            "AWS_SECRET_ACCESS_KEY": ROOT["aws_secret_access_key"],
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    @property
    def pid(self) -> int:
        """The id of ministack's process, and of the group to which its functions belong."""
        return self._child.pid

    def client(self, service: str) -> Any:
        """Returns a boto3 client with the rights of the account's owner."""
        return client(service, self.endpoint)

    def requests(self, bucket: str) -> Counter[str]:
        """Returns the requests to a bucket so far, by their methods."""
        return requests_in(self._child.log.read_text(errors="replace"), bucket)

    def stop(self) -> None:
        """Ends ministack and every function process that it started."""
        self._child.stop()

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.endpoint}/_ministack/health", timeout=2) as response:
                return bool(response.status == 200)
        except (urllib.error.URLError, OSError):
            return False


def requests_in(log: str, bucket: str) -> Counter[str]:
    """Returns the requests to a bucket that `local.emulator` has noted, by their methods."""
    return Counter(re.findall(rf"(?m)^s3 (\w+) /{re.escape(bucket)}(?:[/?]|$)", log))


def client(service: str, endpoint: str) -> Any:
    """Returns a boto3 client for `endpoint` that reads no configuration file and no environment variable."""
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name=REGION,
        config=Config(retries={"max_attempts": 1}, s3={"addressing_style": "path"}, parameter_validation=True),
        **ROOT,
    )


def _environment(directory: Path, port: int, endpoint: str, wait_scale: float) -> dict[str, str]:
    """Returns the environment of ministack, and through it of every function. It has nothing of the user's AWS
    settings.
    """
    return {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "HOME": str(directory),
        "TMPDIR": str(directory),
        "PYTHONPATH": str(Path(__file__).resolve().parents[1]),
        "LANG": "C.UTF-8",
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_HOST": "127.0.0.1",
        "MINISTACK_REGION": REGION,
        "STATE_DIR": str(directory / "state"),
        "S3_DATA_DIR": str(directory / "s3"),
        "SERVICES": SERVICES,
        "AUTH": "true",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "LOG_LEVEL": "WARNING",
        "SFN_WAIT_SCALE": str(wait_scale),
        # Functions call back to this address. Without it they would try the real AWS.
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
