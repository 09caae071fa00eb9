"""Deploys infra/template.yaml as it is. Only paths of local files in it become addresses, as with `sam package`."""

from __future__ import annotations

import hashlib
import io
import re
import shutil
import subprocess
import tempfile
import time
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from local.aws import LocalAws

ROOT = Path(__file__).resolve().parents[2]
INFRA = ROOT / "infra"
FUNCTIONS = ("lookup-old-watermark", "lookup-new-watermark", "copy-delta", "update-watermark")
ARTIFACTS = "tidemark-artifacts"


class DeployFailed(RuntimeError):
    """CloudFormation refused the template or rolled it back. The message has the reasons."""


@dataclass(frozen=True)
class Deployment:
    """One deployed stack."""

    aws: LocalAws
    name: str
    outputs: Mapping[str, str]

    @property
    def state_machine_arn(self) -> str:
        """The ARN of the state machine with which executions are started."""
        return self.outputs["StateMachineArn"]

    @property
    def of_list(self) -> Deployment:
        """The same deployment, with the state machine that reads the list of tables for its executions."""
        return replace(self, outputs={**self.outputs, "StateMachineArn": self.outputs["ListStateMachineArn"]})

    @property
    def bucket(self) -> str:
        """The bucket of the data."""
        return self.outputs["BucketName"]

    def environments(self) -> dict[str, dict[str, str]]:
        """Returns the environment of each step where it is deployed, and what reaches the local AWS from outside."""
        functions = self.aws.client("lambda")
        found = {}
        for step in FUNCTIONS:
            output = "".join(word.capitalize() for word in step.split("-")) + "FunctionName"
            configuration = functions.get_function_configuration(FunctionName=self.outputs[output])
            found[step] = configuration["Environment"]["Variables"] | self.aws.environment
        return found

    def delete(self) -> None:
        """Deletes the stack. Its bucket stays, as the template says."""
        self.aws.client("cloudformation").delete_stack(StackName=self.name)


class Packages:
    """The functions and the state machine, uploaded once for any number of stacks."""

    def __init__(self, aws: LocalAws, binaries: Path) -> None:
        self._aws = aws
        self._s3 = aws.client("s3")
        self._s3.create_bucket(Bucket=ARTIFACTS)
        self._uris = {name: self._upload(zip_bootstrap(binaries / name), ".zip") for name in FUNCTIONS}

    def deploy(self, name: str, parameters: Mapping[str, str]) -> Deployment:
        """Creates a stack from the template and waits for it."""
        cloudformation = self._aws.client("cloudformation")
        cloudformation.create_stack(
            StackName=name,
            # It is too large to be sent as it is. The SAM CLI puts it into the bucket as well.
            TemplateURL=f"{self._aws.endpoint}/{ARTIFACTS}/{self._put(self._template().encode(), '.yaml')}",
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        )
        return Deployment(self._aws, name, _outputs(cloudformation, name))

    def _template(self) -> str:
        text = (INFRA / "template.yaml").read_text()
        text = re.sub(r"(?m)(?<=CodeUri: )\.\./target/lambda/([a-z-]+)\.zip$", lambda found: self._uris[found[1]], text)
        return re.sub(
            r"(?m)(?<=DefinitionS3Location: )(\S+)$",
            lambda found: f"{{Bucket: {ARTIFACTS}, Key: {self._put((INFRA / found[1]).read_bytes(), '.json')}}}",
            text,
        )

    def _upload(self, body: bytes, suffix: str) -> str:
        return f"s3://{ARTIFACTS}/{self._put(body, suffix)}"

    def _put(self, body: bytes, suffix: str) -> str:
        key = hashlib.sha256(body).hexdigest() + suffix
        self._s3.put_object(Bucket=ARTIFACTS, Key=key, Body=body)
        return key


def zip_bootstrap(binary: Path) -> bytes:
    """Returns a function's package: the binary under the name that the runtime looks for, without the symbols of a
    debug build.
    """
    if not binary.is_file():
        raise DeployFailed(f"{binary} does not exist; build it with `cargo build`")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as package:
        entry = zipfile.ZipInfo("bootstrap")
        entry.external_attr = 0o755 << 16
        package.writestr(entry, _stripped(binary))
    return archive.getvalue()


def _stripped(binary: Path) -> bytes:
    if not shutil.which("strip") or _is_script(binary):
        return binary.read_bytes()
    # The folder is new, because another deployment may strip the same binary at this moment.
    with tempfile.TemporaryDirectory() as folder:
        stripped = Path(folder) / "bootstrap"
        subprocess.run(["strip", "-o", stripped, binary], check=True)
        return stripped.read_bytes()


def _is_script(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"#!"


def _outputs(cloudformation: Any, name: str) -> dict[str, str]:
    deadline = time.monotonic() + 120
    while True:
        stack = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
        if stack["StackStatus"] == "CREATE_COMPLETE":
            return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
        if not stack["StackStatus"].endswith("_IN_PROGRESS") or time.monotonic() > deadline:
            events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
            reasons = [
                f"{event['LogicalResourceId']}: {event['ResourceStatusReason']}"
                for event in events
                if event["ResourceStatus"].endswith("_FAILED") and event.get("ResourceStatusReason")
            ]
            raise DeployFailed(f"stack {name} is {stack['StackStatus']}: " + "; ".join(reasons))
        time.sleep(0.1)
