"""Compares numbers that several pages have with the one place where each comes from."""

from __future__ import annotations

import re

import cloudformation

from docs.blocks import ROOT

GB_SECOND = 0.0000166667
COPY_MEMORY = 1769 / 1024


def _page(path: str) -> str:
    return (ROOT / path).read_text()


def test_the_cost_of_a_million_rows_is_computed_from_the_page_of_performance() -> None:
    """Machines differ, so the two may differ by a quarter. The dollars follow from `C`."""
    cost = _page("docs/explanation/cost.md")
    said = re.search(r"It is \*\*([0-9.]+)\*\*", cost)
    measured = re.search(
        r"^\| \*\*`copy/mixed/parquet`\*\* \| [0-9,]+ \| ([0-9.]+) \|",
        _page("docs/explanation/performance.md"),
        re.MULTILINE,
    )
    assert said and measured
    cpu = float(said.group(1))
    assert abs(cpu / float(measured.group(1)) - 1) <= 0.25
    rows = re.findall(r"^\| processor alone.*\*by C\* \| ([0-9.]+) \| ([0-9.]+) \|", cost, re.MULTILINE)
    assert [float(seconds) for seconds, _ in rows] == [cpu, round(cpu / 0.153, 1)]
    for seconds, usd in rows:
        assert abs(float(seconds) * COPY_MEMORY * GB_SECOND / float(usd) - 1) < 0.05


def test_an_idle_run_costs_what_the_formula_gives() -> None:
    """A month has 730 hours. The prices are those of the page's first table."""
    cost = _page("docs/explanation/cost.md")
    price = {
        name: float(re.search(rf"^\| `{name}` \|.*\| ([0-9.]+) \|$", cost, re.MULTILINE).group(1))  # type: ignore[union-attr]
        for name in "TRGQS"
    }
    rows = re.findall(
        r"^\| ([0-9,]+)(?:, a \[list\].* of (\d+) runs)? \| (\d+) \| (\d+) \| [^|]+ "
        r"\| ([0-9.]+) \| ([0-9.]+) \| ([0-9.]+) \| ([0-9.]+) \|$",
        cost,
        re.MULTILINE,
    )
    assert len(rows) == 4
    for tables, runs, states, invocations, once, month, of_states, of_reads in rows:
        number, parts = int(tables.replace(",", "")), int(runs or 1)
        transitions, reads = int(states) * price["T"], 2 * number * price["Q"]
        seconds = 0.4 * parts + 0.005 * number
        run = transitions + int(invocations) * price["R"] + seconds * 0.25 * price["G"] + reads + parts * price["S"]
        assert abs(run / float(once) - 1) < 0.05
        for part, told in ((run, month), (transitions, of_states), (reads, of_reads)):
            assert abs(part * 730 * 12 - float(told)) < 0.006


def test_what_alarms_and_metrics_cost_is_the_same_on_every_page() -> None:
    """By list price an alarm is 0.10 USD a month, and a metric 0.30. Counted are the defaults with the schedule on."""
    template = cloudformation.read(ROOT / "infra/template.yaml")
    alarms = [each for each in template["Resources"].values() if each["Type"] == "AWS::CloudWatch::Alarm"]
    defaults = {name: facts.get("Default") for name, facts in template["Parameters"].items()}
    assert defaults["WatermarkLagAlarmSeconds"] == 0 and defaults["NoSuccessAlarmHours"] > 0
    assert {alarm.get("Condition") for alarm in alarms} == {None, "HasLagAlarm", "HasNoSuccessAlarm"}
    number = sum(alarm.get("Condition") != "HasLagAlarm" for alarm in alarms)
    of_alarms = f"{number * 0.10:.2f}"
    listed = _page("docs/reference/metrics.md").partition("\n## Metrics\n")[2].partition("\n## ")[0]
    metrics = len(re.findall(r"`[A-Z]\w+`", "".join(re.findall(r"^\| (`[A-Z].*?) \|", listed, re.MULTILINE))))
    of_metrics = f"{metrics * 0.30:.2f}"
    cost, case = _page("docs/explanation/cost.md"), _page("docs/how-to/cost-of-your-case.md")
    assert metrics == 13 and "Metrics of the stack: thirteen in all" in cost
    assert f"| Alarms, {number} with a schedule that is on;" in cost and f"| {of_alarms} a month |" in cost
    assert f"| {of_metrics} a month at most;" in cost
    assert case.count(f"| alarms, secret | {of_alarms} + 0.40 |") == 2
    assert case.count(f"| {metrics} \u00d7 0.30 | {of_metrics} |") == 2
    tutorial = " ".join(_page("docs/tutorial/aws.md").split())
    assert f"the alarms cost {of_alarms} USD a month, the metrics at most {of_metrics} USD" in tutorial


def test_how_many_windows_fit_into_a_run_is_what_the_code_allows() -> None:
    """The limits are in run_limits.rs."""
    code = (ROOT / "shared/core/src/planner/run_limits.rs").read_text()
    limits: dict[str, int] = {}
    for name, value in re.findall(r"(?m)^const (\w+): usize = ([\w +*]+);", code):
        limits[name] = eval(value, {}, limits)
    windows = limits["EVENTS"] // (limits["EVENTS_OF_A_WINDOW"] + limits["EVENTS_OF_A_SLICE"])
    assert f"{windows} windows of one slice" in _page("docs/explanation/performance.md")
    assert f"{windows} windows of one slice" in _page("functions/lookup-new-watermark/README.md")


def test_the_waits_are_those_of_the_state_machine() -> None:
    """The pages that name them say the longest sum."""
    waits = [min(5 * 2**attempt, 60) for attempt in range(5)]
    machine = _page("infra/incremental-copy.asl.json")
    assert re.search(
        r'"SourceUnavailable".*\n\s*"IntervalSeconds": 5,\n\s*"BackoffRate": 2.0,\n\s*"MaxAttempts": 5,\n'
        r'\s*"MaxDelaySeconds": 60,\n\s*"JitterStrategy": "FULL"',
        machine,
    )
    assert waits == [5, 10, 20, 40, 60]
    assert f"{sum(waits)} seconds at most" in _page("docs/reference/errors.md")
    assert f"{sum(waits)} s at most" in _page("docs/how-to/servers.md")
