"""Compares docs/reference/metrics.md with the alarms of the template and the metrics of the code."""

from __future__ import annotations

import re

import cloudformation

from docs.blocks import ROOT

PAGE = (ROOT / "docs/reference/metrics.md").read_text()


def _section(heading: str) -> str:
    return PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def test_every_alarm_has_a_row_and_steps() -> None:
    """The row of an alarm leads to the heading with its steps."""
    resources = cloudformation.read(ROOT / "infra/template.yaml")["Resources"]
    alarms = {name for name, facts in resources.items() if facts["Type"] == "AWS::CloudWatch::Alarm"}
    functions = {name.removesuffix("Function") for name in resources if name.endswith("Function")}
    rows = re.findall(r"^\| `([\w{}]+)` \|.*\| \[[^\]]+\]\(#([\w-]+)\) \|$", _section("Alarms"), re.MULTILINE)
    told = set()
    for name, _ in rows:
        told |= {name.replace("{Function}", function) for function in functions} if "{" in name else {name}
    assert told == alarms
    headings = {
        re.sub(r"[^a-z ]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^### (.*)$", _section("What to do about an alarm"), re.MULTILINE)
    }
    assert {anchor for _, anchor in rows} == headings


def test_every_metric_has_a_row() -> None:
    """Their names are in telemetry.rs."""
    code = (ROOT / "shared/lambda/src/telemetry.rs").read_text()
    metrics = set(re.findall(r'Metric::\w+\(value\) => \("(\w+)"', code))
    told = {
        name
        for row in re.findall(r"^\| (`.*?) \|", _section("Metrics"), re.MULTILINE)
        for name in re.findall(r"`(\w+)`", row)
    }
    assert metrics and told == metrics
