"""Tests that every way to lose rows has an alarm, every alarm has a metric that is emitted, and people are told of
failed runs.
"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from ministack.services.stepfunctions import _apply_jsonata_template
from shipped import EVERYTHING, FUNCTIONS, INFRA, MACHINES, ROOT, Deployed

TEMPLATE = Deployed(**EVERYTHING)
OWN = "Tidemark"
ALARMS = TEMPLATE.of_type("AWS::CloudWatch::Alarm")
HARMLESS = {"RowsCopied", "BytesWritten", "PartsWritten"}
"""The metrics of the code that say how much was done. Any other says that something is lost, late or done again."""

OF_AWS = {
    ("AWS/States", "ExecutionsFailed"): {"StateMachineArn"},
    ("AWS/States", "ExecutionsTimedOut"): {"StateMachineArn"},
    ("AWS/States", "ExecutionsAborted"): {"StateMachineArn"},
    ("AWS/States", "ExecutionsSucceeded"): {"StateMachineArn"},
    ("AWS/States", "ExecutionThrottled"): {"StateMachineArn"},
    ("AWS/SQS", "NumberOfMessagesSent"): {"QueueName"},
    ("AWS/Lambda", "Throttles"): {"FunctionName"},
    ("AWS/Lambda", "Duration"): {"FunctionName"},
}
"""The metrics that AWS emits by itself, with the dimensions that it documents."""


def _metric(alarm: dict[str, Any]) -> tuple[str, str, dict[str, str]]:
    """Returns the namespace, the name and the dimensions of an alarm's metric."""
    dimensions = {dimension["Name"]: dimension["Value"] for dimension in alarm.get("Dimensions", [])}
    return alarm["Namespace"], alarm["MetricName"], dimensions


WATCHED = {_metric(alarm)[:2] for alarm in ALARMS.values()}


def _emitted() -> set[str]:
    """Returns the metrics that the code writes, by the names that it gives them."""
    code = (ROOT / "shared/lambda/src/telemetry.rs").read_text().split("#[cfg(test)]")[0]
    return set(re.findall(r'Metric::\w+\(value\) => \("(\w+)"', code))


def test_every_metric_of_the_code_that_means_loss_has_an_alarm() -> None:
    """A new metric is either named harmless above or gets an alarm."""
    assert _emitted() > HARMLESS
    assert {(OWN, name) for name in _emitted() - HARMLESS} <= WATCHED


@pytest.mark.parametrize(
    "metric",
    list(OF_AWS),
    ids=lambda metric: metric[1],
)
def test_every_other_way_to_lose_something_has_an_alarm(metric: tuple[str, str]) -> None:
    """The others are runs that fail, that are stopped or never start, and invocations that are refused or take nearly
    too long.
    """
    assert metric in WATCHED


@pytest.mark.parametrize("name", ALARMS)
def test_every_alarm_looks_at_a_metric_that_is_emitted_with_just_these_dimensions(name: str) -> None:
    """An alarm on a metric that nobody writes is silent for ever."""
    namespace, metric, dimensions = _metric(ALARMS[name])
    if namespace == OWN:
        assert metric in _emitted()
        assert dimensions == {"Stack": "tidemark"}
    else:
        assert set(dimensions) == OF_AWS[namespace, metric]


@pytest.mark.parametrize("name", ALARMS)
def test_every_alarm_tells_that_it_began_and_that_it_is_over(name: str) -> None:
    """It tells the topic, and its description says what has happened."""
    alarm = ALARMS[name]
    assert alarm["AlarmActions"] == alarm["OKActions"] == ["<Notifications>"]
    assert alarm["AlarmDescription"].endswith(".")
    assert alarm["TreatMissingData"] == ("breaching" if name == "NoSuccessAlarm" else "notBreaching")


def test_the_code_writes_every_metric_with_the_dimension_that_the_alarms_look_at() -> None:
    """The metrics have the dimension of the stack always, and that of each table by choice, which no alarm needs."""
    code = (ROOT / "shared/lambda/src/telemetry.rs").read_text().split("#[cfg(test)]")[0]
    assert f'const NAMESPACE: &str = "{OWN}";' in code
    assert 'vec![json!(["Stack"])]' in code
    variables = TEMPLATE.variables()
    assert (variables["METRICS_STACK"], variables["METRICS_PER_TABLE"]) == ("tidemark", "false")


def test_late_rows_that_cannot_be_counted_are_counted_as_such() -> None:
    """A commit says how many late rows there are, or that nobody knows."""
    code = (ROOT / "shared/core/src/steps/update.rs").read_text()
    arms = re.search(r"match window\.late_rows \{([\s\S]*?)\n        \}", code)
    assert arms and re.findall(r"Metric::(\w+)", arms[1]) == ["LateRows", "LateRowsUnknown"]


def test_a_run_in_which_tables_failed_counts_them_before_it_fails() -> None:
    """The tables are counted on every way to the failure, and an error of the count cannot prevent it."""
    states = json.loads((INFRA / MACHINES[0]).read_text())["States"]
    assert states["CheckOutcome"]["Default"] == "ReportFailed"
    report = states["ReportFailed"]
    assert report["Arguments"]["Payload"]["failed"] == "{% [$states.input.failed.table] %}"
    assert {report["Next"], *(catch["Next"] for catch in report["Catch"])} == {"WhoTells"}
    assert states["WhoTells"]["Default"] == "Failed"


def test_a_run_that_ends_before_its_tables_do_counts_them_and_gives_their_leases_back() -> None:
    """Otherwise the next run would find its tables busy and succeed."""
    states = json.loads((INFRA / MACHINES[0]).read_text())["States"]
    ended = ("LookupOldWatermark", "LookupNewWatermark", "CopyWindows")
    for name in ended:
        catchers = [catcher["Next"] for catcher in states[name]["Catch"]]
        assert catchers and set(catchers) == {"ReportRunFailed"}, name
    report = states["ReportRunFailed"]
    context = {"Execution": {"Name": "r", "Input": {"tables": [{"table": "dbo.a"}, {"table": "dbo.b"}]}}}
    for step, failed, leases in (
        ("lookup-old-watermark", ["dbo.a", "dbo.b"], []),
        ("lookup-new-watermark", ["dbo.a", "dbo.b"], []),
        # Most of them may have been committed, so none is counted as failed.
        ("copy-windows", [], ["dbo.a", "dbo.b"]),
    ):
        payload = _apply_jsonata_template(report["Arguments"]["Payload"], {"step": step}, context)
        assert payload == {"run_id": "r", "failed": failed, "leases": leases}, step
    assert report["Retry"] == states["ReportFailed"]["Retry"]
    assert report["Output"] == "{% $states.input %}"
    assert {report["Next"], *(catch["Next"] for catch in report["Catch"])} == {"WhoTells"}
    assert states["RunFailed"]["Error"] == "{% $states.input.error %}"


def test_tables_that_stand_still_in_runs_that_succeed_have_alarms() -> None:
    """A budget that is spent is told at once, and a pause once a day at most, because every run meets it again."""
    stopped, paused = (ALARMS[f"Tables{what}Alarm"] for what in ("Stopped", "Paused"))
    assert (stopped["MetricName"], stopped["Period"]) == ("TablesStopped", 300)
    assert (paused["MetricName"], paused["Period"]) == ("TablesPaused", 24 * 3600)
    for alarm in (stopped, paused):
        assert (alarm["Statistic"], alarm["Threshold"], alarm["EvaluationPeriods"]) == ("Sum", 1, 1)
    # A table is busy during a long load, and waits during many. That goes by within a day.
    for what in ("Busy", "Waiting"):
        alarm = ALARMS[f"Tables{what}Alarm"]
        assert (alarm["MetricName"], alarm["Period"]) == (f"Tables{what}", 24 * 3600)
        assert (alarm["Statistic"], alarm["Threshold"], alarm["EvaluationPeriods"]) == ("Sum", 1, 2)


def test_the_alarm_of_dead_letters_rings_again_for_the_next_message() -> None:
    """How many are in the queue does not change its state while the first one is still there. AWS documents that the
    metrics of an idle queue may begin a quarter of an hour late.
    """
    alarm = ALARMS["DeadLettersAlarm"]
    assert (alarm["MetricName"], alarm["Statistic"], alarm["DatapointsToAlarm"]) == ("NumberOfMessagesSent", "Sum", 1)
    assert 15 * 60 < alarm["Period"] * alarm["EvaluationPeriods"] <= 3600


def test_the_pages_of_costs_count_the_alarms_and_the_metrics_as_they_are() -> None:
    """An alarm is 0.10 USD a month, and a metric 0.30. An alarm of a parameter that is off by default is left out."""
    running = {"SourceSecretArn": EVERYTHING["SourceSecretArn"], "ScheduleEnabled": "true"}
    alarms, metrics = len(Deployed(**running).of_type("AWS::CloudWatch::Alarm")), len(_emitted())
    cost = (ROOT / "docs/explanation/cost.md").read_text()
    assert f"| Alarms, {alarms} with a schedule that is on" in cost and f"| {alarms / 10:.2f} a month |" in cost
    cases = (ROOT / "docs/how-to/cost-of-your-case.md").read_text()
    assert f"| {metrics} \u00d7 0.30 | {metrics * 0.3:.2f} |" in cases
    assert f"| alarms, secret | {alarms / 10:.2f} + 0.40 | {alarms / 10 + 0.4:.2f} |" in cases
    reckoned = re.findall(r"\n(\| \|[^#]*\*\*together\*\*[^\n]*)", cases)
    assert len(reckoned) == 2
    for case in reckoned:
        *parts, together = re.findall(r"(\d+\.\d\d)\**\s\|\n", case + "\n")
        assert round(sum(map(float, parts)), 2) == float(together)


def test_a_stand_still_is_noticed_unless_that_is_switched_off() -> None:
    """Only a schedule that is on needs the alarm, because without one nobody expects a run."""
    running = {"SourceSecretArn": EVERYTHING["SourceSecretArn"], "ScheduleEnabled": "true"}
    alarm = Deployed(**running).properties("NoSuccessAlarm")
    assert (alarm["Period"], alarm["EvaluationPeriods"]) == (3600, "26")
    assert "NoSuccessAlarm" not in Deployed(**running, NoSuccessAlarmHours="0").resources
    assert "NoSuccessAlarm" not in Deployed(**running | {"ScheduleEnabled": "false"}).resources


@pytest.mark.parametrize("function", FUNCTIONS)
def test_each_function_has_an_alarm_for_throttles_and_one_for_nine_tenths_of_its_time(function: str) -> None:
    """The time is the function's own timeout, in milliseconds."""
    for name in ("Throttles", "NearTimeout"):
        _, _, dimensions = _metric(ALARMS[f"{function}{name}Alarm"])
        assert dimensions == {"FunctionName": f"<{function}Function>"}
    timeout = TEMPLATE.properties(f"{function}Function")["Timeout"]
    alarm = ALARMS[f"{function}NearTimeoutAlarm"]
    assert alarm["Threshold"] == timeout * 1000 * 9 / 10
    # A duration is stamped with the beginning of its invocation. The alarm still looks at that period when the
    # invocation has taken all of its time, and one period after it.
    assert alarm["DatapointsToAlarm"] == 1
    assert (alarm["EvaluationPeriods"] - 1) * alarm["Period"] >= timeout


ENDED = {
    "tables": {"failed": [{"table": "dbo.a", "error": "SourceRejected", "cause": "no column secret"}]},
    "the run": {"step": "lookup-old-watermark", "error": "WatermarkRejected", "cause": "login of secret failed"},
}


@pytest.mark.parametrize(
    ("topic", "what"), [(topic, what) for topic in ("none", "arn:aws:sns:x:1:t") for what in ENDED]
)
def test_an_encrypted_run_tells_its_tables_itself_and_no_cause(topic: str, what: str) -> None:
    """EventBridge leaves them out where executions have a key. A topic that takes no message does not keep a run from
    failing.
    """
    text = (INFRA / MACHINES[0]).read_text().replace("${FailureTopicArn}", topic)
    states = json.loads(text)["States"]
    context = {"Execution": {"Name": "r", "Id": "arn:r", "Input": {}}, "StateMachine": {"Name": "m"}}

    def follows(given: dict[str, Any]) -> str:
        for choice in states["WhoTells"]["Choices"]:
            if _apply_jsonata_template(choice["Condition"], given, context):
                return str(choice["Next"])
        return str(states["WhoTells"]["Default"])

    end = "RunFailed" if what == "the run" else "Failed"
    assert follows(ENDED[what]) == ("TellTables" if topic != "none" else end)
    tell = states["TellTables"]
    # SNS takes 256 KiB, and the emulator escapes whatever is not ASCII, as JSON may be written.
    long = "dbo." + 100 * "\u8868"
    many = {"failed": [{"table": f"{long}{i}", "error": "SourceRejected"} for i in range(500)]}
    message = _apply_jsonata_template(tell["Arguments"]["Message"], ENDED[what] | many, context)
    assert 180_000 < len(message.encode()) < 256 * 1024
    assert tell["Arguments"]["TopicArn"] == topic
    message = json.loads(_apply_jsonata_template(tell["Arguments"]["Message"], ENDED[what], context))
    named = {
        "tables": ("dbo.a: SourceRejected", "TablesFailed"),
        "the run": ("", "lookup-old-watermark: WatermarkRejected"),
    }
    assert (message["tables"], message["error"]) == named[what]
    assert (message["run"], message["execution"]) == ("r", "arn:r") and message["what_to_do"]
    assert "secret" not in json.dumps(message)
    for after in (tell, *tell["Catch"]):
        assert after["Next"] == "WhoTells"
        assert follows(_apply_jsonata_template(after["Output"], ENDED[what], context)) == end


@pytest.mark.parametrize(
    "parameters",
    [{}, {"TableListKey": "lists/all.json"}, {"StatesKmsKeyArn": EVERYTHING["StatesKmsKeyArn"]}],
    ids=["one run", "a list", "encrypted"],
)
def test_a_failed_run_sends_a_message_with_its_tables_and_what_to_do(parameters: dict[str, str]) -> None:
    """Every end other than success, of each state machine, is told once. The cause of a failed run names its tables.

    An encrypted execution's cause is not told to EventBridge, so its message points to the history, and the run names
    its tables in one of its own.
    """
    template = Deployed(**parameters)
    rules = template.of_type("AWS::Events::Rule")
    told = []
    for rule in rules.values():
        detail = rule["EventPattern"]["detail"]
        machines = {"<IncrementalCopy.Arn>"} | (
            {"<IncrementalCopyList.Arn>"} if "TableListKey" in parameters else set()
        )
        assert set(detail["stateMachineArn"]) == machines
        told += detail["status"]
        (target,) = rule["Targets"]
        assert target["DeadLetterConfig"] == {"Arn": "<ScheduleDeadLetters.Arn>"}
        assert target["Arn"] == "<Notifications>"
        transformer = target["InputTransformer"]
        names = set(re.findall(r"<(\w+)>", transformer["InputTemplate"]))
        assert names == set(transformer["InputPathsMap"])
        # Values are put in as JSON, so quotes and line breaks in a cause do no harm.
        message = json.loads(re.sub(r"<(\w+)>", r'"\1"', transformer["InputTemplate"]))
        assert message["what_to_do"] and "tidemark" in message["what"]
        assert ("cause" in message) == (detail["status"] == ["FAILED"])
        # Of a run of a list there is no other message, so this one says where the error is.
        assert ("cause" in message) != ("describe-execution" in message["what_to_do"])
    assert sorted(told) == ["ABORTED", "FAILED", "TIMED_OUT"]
    (statement,) = template.properties("ScheduleDeadLettersPolicy")["PolicyDocument"]["Statement"]
    assert (statement["Principal"], statement["Action"]) == ({"Service": "events.amazonaws.com"}, "sqs:SendMessage")
    assert set(statement["Condition"]["ArnEquals"]["aws:SourceArn"]) == {f"<{name}.Arn>" for name in rules}
    fail = json.loads((INFRA / MACHINES[0]).read_text())["States"]["Failed"]
    ended = {"failed": [{"table": "dbo.a", "error": "SourceUnavailable", "cause": "no answer"}]}
    cause = _apply_jsonata_template(fail["Cause"], ended | {"committed": [], "unchanged": []}, {})
    assert cause.endswith("dbo.a: SourceUnavailable: no answer")


def test_alarms_and_events_may_publish_and_nobody_else() -> None:
    """Both may publish to the topic that the stack makes. A topic of the user's has a policy of the user's."""
    statements = TEMPLATE.properties("NotificationsPolicy")["PolicyDocument"]["Statement"]
    alarms, events, tls = statements
    assert alarms["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert alarms["Condition"] == {"StringEquals": {"aws:SourceAccount": "111122223333"}}
    assert events["Principal"] == {"Service": "events.amazonaws.com"} and "Condition" not in events
    assert tls["Effect"] == "Deny"
    assert TEMPLATE.properties("NotificationsEmail")["Endpoint"] == EVERYTHING["AlarmEmail"]
    own = Deployed(AlarmTopicArn="arn:aws:sns:eu-west-1:111122223333:mine", AlarmEmail="a@b.c")
    assert not {"Notifications", "NotificationsPolicy", "NotificationsEmail"} & set(own.resources)
    assert own.properties("RunsFailedAlarm")["AlarmActions"] == ["arn:aws:sns:eu-west-1:111122223333:mine"]


def test_the_dashboard_is_whole_and_shows_what_people_ask_for() -> None:
    """The dashboard is JSON that names the stack's own resources: rows, bytes, lag per table, duration, failures and
    cost per day.
    """
    body = json.loads(TEMPLATE.properties("Dashboard")["DashboardBody"])
    text = json.dumps(body)
    for what in ("RowsCopied", "BytesWritten", "WatermarkLagSeconds", "by Table", "ExecutionTime", "ExecutionsFailed"):
        assert what in text
    (cost,) = [widget for widget in body["widgets"] if "USD" in json.dumps(widget)]
    assert cost["properties"]["period"] == 24 * 3600
    # Time and requests of every function are in it.
    (expression, *series) = [metric[-1] for metric in cost["properties"]["metrics"]]
    assert set(re.findall(r"FILL\((\w+), 0\)", expression["expression"])) == {each["id"] for each in series}
    assert len(series) == 2 * len(FUNCTIONS)
    places = [(widget["x"], widget["y"]) for widget in body["widgets"]]
    assert len(places) == len(set(places))
    for widget in body["widgets"]:
        for metric in widget["properties"].get("metrics", []):
            if metric[0] == OWN:
                assert metric[1] in _emitted()
                assert metric[2:4] == ["Stack", "tidemark"]
    for field in re.findall(r"(?:sum|max|latest|ispresent)\((\w+)\)", text):
        assert field in _emitted()
