"""Reads what is shipped in infra/ for tests: the template with its functions evaluated, and the state machines."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cloudformation

ROOT = Path(__file__).resolve().parents[2]
INFRA = ROOT / "infra"
MACHINES = ("incremental-copy.asl.json", "incremental-copy-list.asl.json")
FUNCTIONS = ("LookupOldWatermark", "LookupNewWatermark", "CopyDelta", "UpdateWatermark")

SECRET = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:source-AbCdEf"
KEY = "arn:aws:kms:eu-west-1:111122223333:key/"
EVERYTHING = {
    "SourceSecretArn": SECRET,
    "KmsKeyArn": f"{KEY}bucket",
    "SecretKmsKeyArns": f"{KEY}secret",
    "LogKmsKeyArn": f"{KEY}logs",
    "StatesKmsKeyArn": f"{KEY}states",
    "MaskSecretArn": SECRET.replace("source", "masks"),
    "SinkSecretArns": SECRET.replace("source", "sink"),
    "WatermarkStore": "sql",
    "WatermarkSecretArn": SECRET.replace("source", "watermarks"),
    "WebIdentityAudience": "api://AzureADTokenExchange",
    "SinkEncryption": "aws:kms",
    "TableListKey": "lists/all.json",
    "ScheduleEnabled": "true",
    "CopyReservedConcurrency": "40",
    "SubnetIds": "subnet-1,subnet-2",
    "SecurityGroupIds": "sg-1",
    "AccessLogBucket": "access-logs",
    "AlarmEmail": "operators@example.com",
    "WatermarkLagAlarmSeconds": "7200",
}
"""The parameters with which every condition of the template holds, except those of what exists already."""

_ABSENT = object()

PARTITION = "AWS::Partition"


def source() -> dict[str, Any]:
    """Returns the template as it is written."""
    return cloudformation.read(INFRA / "template.yaml")


class Deployed:
    """The template as a deployment with these parameters makes it. What only AWS knows is written
    `<Name.Attribute>`.
    """

    def __init__(self, **parameters: str) -> None:
        self.source = source()
        declared = self.source["Parameters"]
        assert set(parameters) - {PARTITION} <= set(declared), set(parameters) - set(declared)
        given = {name: str(parameters.get(name, facts.get("Default", ""))) for name, facts in declared.items()}
        given |= {PARTITION: parameters.get(PARTITION, "aws")}
        self.parameters = cloudformation.split(declared, given)
        self.resources: dict[str, dict[str, Any]] = {
            name: self._value({key: part for key, part in resource.items() if key != "Metadata"})
            for name, resource in self.source["Resources"].items()
            if self._holds(resource.get("Condition"))
        }

    def properties(self, name: str) -> dict[str, Any]:
        """Returns the properties of one resource."""
        return dict(self.resources[name]["Properties"])

    def of_type(self, kind: str) -> dict[str, dict[str, Any]]:
        """Returns the properties of all resources of a type."""
        return {name: found["Properties"] for name, found in self.resources.items() if found["Type"] == kind}

    def variables(self) -> dict[str, Any]:
        """Returns the environment that all functions have."""
        return dict(self._value(self.source["Globals"]["Function"]["Environment"]["Variables"]))

    def statements(self, role: str) -> list[dict[str, Any]]:
        """Returns all statements of a role's policies, including those of managed policies."""
        properties = self.properties(role)
        documents = [policy["PolicyDocument"] for policy in properties.get("Policies", [])]
        for policy in properties.get("ManagedPolicyArns", []):
            documents.append(self.properties(policy.strip("<>"))["PolicyDocument"])
        for policy in self.of_type("AWS::IAM::Policy").values():
            if f"<{role}>" in policy["Roles"]:
                documents.append(policy["PolicyDocument"])
        return [statement for document in documents for statement in document["Statement"]]

    def refused(self) -> list[str]:
        """Returns the messages of the rules that the parameters violate."""
        return cloudformation.refused(self.source, self.parameters)

    def _holds(self, condition: str | None) -> bool:
        return condition is None or cloudformation.holds(
            {"Condition": condition}, self.parameters, self.source["Conditions"]
        )

    def _value(self, value: Any) -> Any:
        if isinstance(value, list):
            return [found for item in value if (found := self._value(item)) is not _ABSENT]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((function, operand),) = value.items()
            if function == "Ref" or function.startswith("Fn::"):
                return self._call(function, operand)
        found = {key: self._value(part) for key, part in value.items()}
        return {key: part for key, part in found.items() if part is not _ABSENT}

    def _call(self, function: str, operand: Any) -> Any:
        match function:
            case "Ref":
                return self._ref(operand)
            case "Fn::GetAtt":
                return f"<{'.'.join(operand)}>"
            case "Fn::If":
                return self._value(operand[1 if self._holds(operand[0]) else 2])
            case "Fn::Join":
                return operand[0].join(str(item) for item in self._value(operand[1]))
            case "Fn::Split":
                return self._value(operand[1]).split(operand[0])
            case "Fn::Select":
                return self._value(operand[1])[operand[0]]
            case "Fn::Sub":
                text, more = (operand, {}) if isinstance(operand, str) else operand
                more = self._value(more)
                return re.sub(r"\$\{([^!}]+)\}", lambda found: str(more.get(found[1]) or self._ref(found[1])), text)
        raise AssertionError(f"a value with {function}")

    def _ref(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return _ABSENT
        if name in self.parameters:
            return self.parameters[name]
        known = {"AWS::Region": "eu-west-1", "AWS::AccountId": "111122223333"}
        return known.get(name) or ("tidemark" if name == "AWS::StackName" else f"<{name}>")


def as_list(value: Any) -> list[Any]:
    """Returns a list, also where IAM takes one value in place of it."""
    return value if isinstance(value, list) else [value]


def machine(file: str) -> dict[str, Any]:
    """Returns a state machine as it is written."""
    return dict(json.loads((INFRA / file).read_text()))


def states(definition: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields every state, including those within Maps."""
    for name, state in definition["States"].items():
        yield name, state
        if "ItemProcessor" in state:
            yield from states(state["ItemProcessor"])
