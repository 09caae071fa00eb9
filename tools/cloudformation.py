"""Reads a CloudFormation template, with its short forms (`!Ref`) as the long forms that they stand for.

It also evaluates the conditions of a template, and what its rules refuse.
"""

from pathlib import Path
from typing import Any

import yaml


class Loader(yaml.SafeLoader):
    """A loader of YAML with CloudFormation's short forms."""


def short_form(loader: Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


Loader.add_multi_constructor("!", short_form)


def read(path: Path) -> dict[str, Any]:
    """Returns the template in a file."""
    return dict(yaml.load(path.read_text(), Loader))


Parameters = dict[str, Any]


def split(declared: dict[str, Any], given: dict[str, str]) -> Parameters:
    """Returns the values of parameters, those of lists as lists."""
    lists = {name for name, facts in declared.items() if facts["Type"] == "CommaDelimitedList"}
    return {
        name: [part.strip() for part in value.split(",")] if name in lists else value for name, value in given.items()
    }


def holds(expression: Any, parameters: Parameters, conditions: dict[str, Any]) -> bool:
    """Returns whether a condition, or an assertion of a rule, holds with these parameters."""
    ((function, operand),) = expression.items()
    match function:
        case "Condition":
            return holds(conditions[operand], parameters, conditions)
        case "Fn::Equals":
            left, right = (_value(side, parameters) for side in operand)
            return str(left) == str(right)
        case "Fn::Not":
            return not holds(operand[0], parameters, conditions)
        case "Fn::And":
            return all(holds(part, parameters, conditions) for part in operand)
        case "Fn::Or":
            return any(holds(part, parameters, conditions) for part in operand)
        case "Fn::EachMemberEquals":
            return all(member == operand[1] for member in _value(operand[0], parameters))
        case "Fn::Contains":
            return _value(operand[1], parameters) in operand[0]
    raise ValueError(f"{function} is no condition that tools/cloudformation.py knows")


def _value(value: Any, parameters: Parameters) -> Any:
    if not isinstance(value, dict):
        return value
    ((function, operand),) = value.items()
    match function:
        case "Ref":
            return parameters.get(operand, "aws") if operand == "AWS::Partition" else parameters[operand]
        case "Fn::Join":
            return operand[0].join(_value(operand[1], parameters))
    raise ValueError(f"{function} is no value that tools/cloudformation.py knows")


def refused(template: dict[str, Any], parameters: Parameters) -> list[str]:
    """Returns what the rules of a template say against these parameters, as CloudFormation does before it makes
    anything.
    """
    return [
        assertion["AssertDescription"]
        for rule in template["Rules"].values()
        if "RuleCondition" not in rule or holds(rule["RuleCondition"], parameters, {})
        for assertion in rule["Assertions"]
        if not holds(assertion["Assert"], parameters, {})
    ]
