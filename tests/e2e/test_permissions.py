"""What the four roles may do, asked of the local AWS, which enforces their policies: their own calls and no more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from local.aws import REGION
from local.deploy import Deployment
from local.stack import Stack

OLD, NEW, COPY, UPDATE = "LookupOldWatermark", "LookupNewWatermark", "CopyDelta", "UpdateWatermark"
ALL = (OLD, NEW, COPY, UPDATE)
WINDOW = "tidemark/dbo.permissions/window=initial"
REFUSED = ("AccessDenied", "AccessDeniedException", "403")


class Role:
    """Clients with a session of one function's role."""

    def __init__(self, deployment: Deployment, function: str) -> None:
        name = deployment.outputs[f"{function}FunctionName"]
        arn = deployment.aws.client("lambda").get_function_configuration(FunctionName=name)["Role"]
        session = deployment.aws.client("sts").assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
        self.deployment = deployment
        self._settings: dict[str, Any] = {
            "endpoint_url": deployment.aws.endpoint,
            "region_name": REGION,
            "aws_access_key_id": session["AccessKeyId"],
            "aws_secret_access_key": session["SecretAccessKey"],
            "aws_session_token": session["SessionToken"],
            "config": Config(retries={"max_attempts": 1}, s3={"addressing_style": "path"}),
        }

    def s3(self, operation: str, **arguments: object) -> None:
        """One call on the sink bucket."""
        client = boto3.client("s3", **self._settings)
        getattr(client, operation)(Bucket=self.deployment.bucket, **arguments)

    def read_secret(self, name: str) -> None:
        """One call to Secrets Manager."""
        boto3.client("secretsmanager", **self._settings).get_secret_value(SecretId=name)


Call = Callable[[Role], None]


def _get(key: str) -> Call:
    return lambda role: role.s3("get_object", Key=key)


def _put(key: str) -> Call:
    return lambda role: role.s3("put_object", Key=key, Body=b"{}")


CALLS: dict[str, tuple[Call, tuple[str, ...]]] = {
    "read the ledger": (_get(f"{WINDOW}/_plan.json"), ALL),
    "read data": (_get(f"{WINDOW}/part-00000.parquet"), (UPDATE,)),
    "read outside the prefix": (_get("elsewhere/dbo.t/window=initial/_plan.json"), ()),
    "freeze a plan": (_put(f"{WINDOW}/_plan.json"), (NEW,)),
    "record a slice": (_put(f"{WINDOW}/_parts/00000.json"), (NEW, COPY)),
    "void a record": (_put(f"{WINDOW}/_parts/00000.void"), (UPDATE,)),
    "write a manifest": (_put(f"{WINDOW}/_manifest.json"), (UPDATE,)),
    "leave the columns": (_put(f"{WINDOW}/_previous.json"), (UPDATE,)),
    "move the pointer": (_put("tidemark/dbo.permissions/_watermark.json"), (UPDATE,)),
    "begin an upload": (lambda role: role.s3("create_multipart_upload", Key=f"{WINDOW}/part-1.csv"), (COPY, UPDATE)),
    "delete data": (lambda role: role.s3("delete_object", Key=f"{WINDOW}/part-00000.parquet"), ()),
    "delete the ledger": (lambda role: role.s3("delete_object", Key=f"{WINDOW}/_plan.json"), ()),
    "list the whole bucket": (lambda role: role.s3("list_objects_v2"), ()),
    "read its secret": (lambda role: role.read_secret(role.deployment.outputs["SourceSecretArn"]), ALL),
    "read another secret": (lambda role: role.read_secret("not-for-them"), ()),
}


@pytest.fixture(scope="module", autouse=True)
def other_secret(stack: Stack) -> None:
    """A secret that no role was given."""
    stack.aws.client("secretsmanager").create_secret(Name="not-for-them", SecretString="x")


@pytest.mark.parametrize("function", ALL)
@pytest.mark.parametrize("what", CALLS)
def test_a_role_may_do_its_own_step_and_no_more(deployment: Deployment, function: str, what: str) -> None:
    """Every role against every call; a key that is not there is answered as such, and not with a refusal."""
    call, allowed = CALLS[what]
    try:
        call(Role(deployment, function))
        answer = "done"
    except ClientError as error:
        answer = error.response["Error"]["Code"]
    if function in allowed:
        assert answer in ("done", "NoSuchKey")
    else:
        assert answer in REFUSED


def test_the_first_step_gets_no_login_when_watermarks_live_in_the_bucket(s3_deployment: Deployment) -> None:
    """It has nothing to ask the server."""
    with pytest.raises(ClientError, match="AccessDenied"):
        Role(s3_deployment, OLD).read_secret(s3_deployment.outputs["SourceSecretArn"])
