"""A role of a deployment, whose policies the local AWS enforces."""

from __future__ import annotations

from typing import Any

import boto3
from botocore.config import Config

from local.aws import REGION
from local.deploy import Deployment


class Role:
    """Clients with a session of one role."""

    def __init__(self, deployment: Deployment, arn: str) -> None:
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

    @classmethod
    def of_function(cls, deployment: Deployment, function: str) -> Role:
        """Returns the role of a function, by the function's logical name."""
        name = deployment.outputs[f"{function}FunctionName"]
        return cls(deployment, deployment.aws.client("lambda").get_function_configuration(FunctionName=name)["Role"])

    @classmethod
    def of_machine(cls, deployment: Deployment) -> Role:
        """Returns the role of the state machine with which executions are started."""
        states = deployment.aws.client("stepfunctions")
        return cls(deployment, states.describe_state_machine(stateMachineArn=deployment.state_machine_arn)["roleArn"])

    def client(self, service: str) -> Any:
        """Returns a client with the role's rights and no others."""
        return boto3.client(service, **self._settings)

    def s3(self, operation: str, **arguments: object) -> None:
        """Makes one call on the sink bucket."""
        getattr(self.client("s3"), operation)(Bucket=self.deployment.bucket, **arguments)

    def read_secret(self, name: str) -> None:
        """Makes one call to Secrets Manager."""
        self.client("secretsmanager").get_secret_value(SecretId=name)
