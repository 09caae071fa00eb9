"""Tests the template with every option, as the local AWS makes it, and what it refuses to make."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.deploy import DeployFailed, Deployment
from local.execution import Execution
from local.stack import Stack

NAME = "everything"
OPERATOR = "arn:aws:iam::000000000000:role/operator"


@pytest.fixture(scope="module")
def keys(stack: Stack) -> dict[str, str]:
    """Returns a key for each parameter that takes one."""
    kms = stack.aws.client("kms")
    names = ("KmsKeyArn", "SecretKmsKeyArns", "LogKmsKeyArn", "StatesKmsKeyArn")
    return {name: kms.create_key(Description=name)["KeyMetadata"]["Arn"] for name in names}


@pytest.fixture(scope="module")
def everything(stack: Stack, keys: dict[str, str]) -> Deployment:
    """Returns a deployment with every option except those of what exists already."""
    stack.aws.client("s3").create_bucket(Bucket="access-logs")
    return stack.deploy(
        NAME,
        **keys,
        AccessLogBucket="access-logs",
        OperatorArns=OPERATOR,
        KeepOldVersionsDays="9",
        CopyReservedConcurrency="40",
        TableListKey="lists/all.json",
        ScheduleEnabled="true",
        ScheduleExpression="cron(0 6 * * ? *)",
        ScheduleTimezone="Europe/Berlin",
        AlarmEmail="operators@example.com",
        WatermarkLagAlarmSeconds="7200",
        LogLevel="DEBUG",
    )


def test_the_bucket_is_as_it_is_asked_for(everything: Deployment) -> None:
    """The versions and the policy are compared. The local AWS leaves out expiry, key and access log."""
    s3, bucket = everything.aws.client("s3"), everything.bucket
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    policy = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])
    (writers,) = [found for found in policy["Statement"] if found["Sid"] == "OnlyTheFunctionsWrite"]
    allowed = writers["Condition"]["ArnNotLike"]["aws:PrincipalArn"]
    assert sorted(allowed) == sorted([*everything.outputs["WriterRoleArns"].split(", "), OPERATOR])


def test_logs_machines_and_functions_have_their_settings(everything: Deployment, keys: dict[str, str]) -> None:
    """All have keys of their own, the functions have the level of logs, and the schedule is on."""
    groups = everything.aws.client("logs").describe_log_groups(logGroupNamePrefix=f"/tidemark/{NAME}/")["logGroups"]
    assert [group.get("kmsKeyId") for group in groups] == [keys["LogKmsKeyArn"]] * 4
    states = everything.aws.client("stepfunctions")
    for machine in (everything.state_machine_arn, everything.of_list.state_machine_arn):
        found = states.describe_state_machine(stateMachineArn=machine)
        assert found["encryptionConfiguration"]["kmsKeyId"] == keys["StatesKmsKeyArn"]
    functions = everything.aws.client("lambda")
    copy = everything.outputs["CopyDeltaFunctionName"]
    logging = functions.get_function_configuration(FunctionName=copy)["LoggingConfig"]
    assert logging["ApplicationLogLevel"] == "DEBUG"
    schedule = everything.aws.client("scheduler").get_schedule(Name=everything.outputs["ScheduleName"])
    assert schedule["State"] == "ENABLED"


def test_every_alarm_and_the_dashboard_are_made(everything: Deployment) -> None:
    """Alarms tell the topic when they begin and when they end, and the dashboard is JSON."""
    watch = everything.aws.client("cloudwatch")
    alarms = [found for found in watch.describe_alarms()["MetricAlarms"] if found["AlarmName"].startswith(NAME)]
    assert len(alarms) == 24
    topic = [everything.outputs["NotificationsTopicArn"]]
    assert all((found["AlarmActions"], found["OKActions"]) == (topic, topic) for found in alarms)
    body = watch.get_dashboard(DashboardName=everything.outputs["DashboardName"])["DashboardBody"]
    assert len(json.loads(body)["widgets"]) == 9


def _hear(deployment: Deployment, name: str) -> tuple[Any, str]:
    """Returns a queue that gets what the topic gets."""
    sqs = deployment.aws.client("sqs")
    queue = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    topic = deployment.outputs["NotificationsTopicArn"]
    allow = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})
    deployment.aws.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    return sqs, queue


def _listen(deployment: Deployment) -> None:
    """Makes the rules again for a source that may be pretended, because only AWS may send events as `aws.states`."""
    events = deployment.aws.client("events")
    rules = [found for found in events.list_rules()["Rules"] if found["Name"].startswith(f"{deployment.name}-Run")]
    assert rules
    for rule in rules:
        pattern = json.loads(rule["EventPattern"])
        assert pattern["source"] == ["aws.states"]
        name = f"pretended-{rule['Name']}"[:64]
        events.put_rule(Name=name, EventPattern=json.dumps(pattern | {"source": ["local.states"]}))
        targets = events.list_targets_by_rule(Rule=rule["Name"])["Targets"]
        events.put_targets(Rule=name, Targets=targets)


def _tell(deployment: Deployment, **detail: str) -> None:
    """Sends the event that Step Functions sends to EventBridge about an execution, which the local AWS does not."""
    whole = {"stateMachineArn": deployment.state_machine_arn, "name": "run-1", "executionArn": "arn:run-1", **detail}
    entry = {
        "Source": "local.states",
        "DetailType": "Step Functions Execution Status Change",
        "Detail": json.dumps(whole),
    }
    assert deployment.aws.client("events").put_events(Entries=[entry])["FailedEntryCount"] == 0


def _messages(sqs: Any, queue: str, count: int) -> list[dict[str, Any]]:
    deadline, found = time.monotonic() + 20, []
    while len(found) < count:
        assert time.monotonic() < deadline, f"{len(found)} of {count} messages came"
        for message in sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1).get("Messages", []):
            found.append(json.loads(json.loads(message["Body"])["Message"]))
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    return found


def test_a_message_names_the_tables_of_a_failed_run_and_what_to_do(deployment: Deployment) -> None:
    """Any characters may be in the cause. A run that succeeded and one of another machine send no message."""
    sqs, queue = _hear(deployment, "failed-runs")
    _listen(deployment)
    cause = (
        '2 table(s) failed, 1 committed. dbo.a: SourceRejected: "x"\n | dbo.[b\\c]: SchemaMismatch: column "ä" is gone'
    )
    _tell(deployment, status="SUCCEEDED")
    _tell(deployment, status="FAILED", stateMachineArn="arn:aws:states:us-east-1:000000000000:stateMachine:other")
    _tell(deployment, status="FAILED", error="TablesFailed", cause=cause)
    _tell(deployment, status="TIMED_OUT")
    failed, timed_out = sorted(_messages(sqs, queue, 2), key=lambda message: "status" in message)
    assert (failed["run"], failed["error"], failed["cause"]) == ("run-1", "TablesFailed", cause)
    assert "docs/reference/errors.md" in failed["what_to_do"] and deployment.name in failed["what"]
    assert (timed_out["status"], timed_out["execution"]) == ("TIMED_OUT", "arn:run-1")
    assert "Messages" not in sqs.receive_message(QueueUrl=queue)


def test_an_encrypted_run_that_failed_is_told_without_its_cause(everything: Deployment) -> None:
    """AWS leaves it out of the event."""
    sqs, queue = _hear(everything, "encrypted-runs")
    _listen(everything)
    _tell(everything, status="FAILED")
    (message,) = _messages(sqs, queue, 1)
    assert (message["status"], message["run"]) == ("FAILED", "run-1")


@pytest.mark.parametrize(
    ("parameters", "refusal"),
    [
        ({"SubnetIds": "subnet-1"}, "SubnetIds and SecurityGroupIds"),
        ({"ScheduleEnabled": "true"}, "needs tables"),
        ({"SourceHost": "host\\SQLEXPRESS"}, "host name"),
    ],
)
def test_parameters_that_cannot_work_are_refused(stack: Stack, parameters: dict[str, str], refusal: str) -> None:
    """The parameters are refused before anything is made."""
    with pytest.raises((ClientError, DeployFailed), match=refusal):
        stack.deploy(f"refused-{len(refusal)}", **parameters)


def test_a_run_with_every_option_reaches_its_functions(everything: Deployment) -> None:
    """Its roles may use the keys. A wrong input is refused by the first function, and by nothing before it."""
    outcome = Execution.start(everything, {"tables": [], "wrong": 1}).wait()
    assert (outcome.status, outcome.error) == ("FAILED", "InvalidInput"), outcome.cause
