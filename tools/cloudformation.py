"""Reads a CloudFormation template, with its short forms (`!Ref`) as the long forms that they stand for."""

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
