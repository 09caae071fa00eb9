"""Compares the rights of the roles with the calls that the code makes: no call without a right, no right without a
call.

A step can call what the bounds of its store allow and no more, so the bounds say what a function needs. The one adapter
of the bucket shows which calls of the SDK a port makes.
"""

from __future__ import annotations

import fnmatch
import re
from typing import Any

import pytest
from ministack.core import iam_evaluator
from shipped import EVERYTHING, FUNCTIONS, KEY, ROOT, Deployed, as_list

ACTIONS = {
    "get_object": "s3:GetObject",
    "head_object": "s3:GetObject",
    "list_objects_v2": "s3:ListBucket",
    "put_object": "s3:PutObject",
    "create_multipart_upload": "s3:PutObject",
    "upload_part": "s3:PutObject",
    "complete_multipart_upload": "s3:PutObject",
    "abort_multipart_upload": "s3:AbortMultipartUpload",
    "get_bucket_lifecycle_configuration": "s3:GetLifecycleConfiguration",
    "get_bucket_versioning": "s3:GetBucketVersioning",
    "get_bucket_policy": "s3:GetBucketPolicy",
}
"""The right that AWS documents for each operation of the SDK."""

HELPERS = {"head": "head_object", "put": "put_object", "begin_upload": "create_multipart_upload"}
"""The functions of the adapter that make a request for others of it."""

LOOKUP_OLD, LOOKUP_NEW, COPY, UPDATE = FUNCTIONS

WRITERS = {
    "watermark": {UPDATE},
    "lease": {LOOKUP_NEW, COPY, UPDATE},
    "run_lease": {LOOKUP_NEW, COPY, UPDATE},
    "plan": {LOOKUP_NEW},
    "record": {LOOKUP_NEW, COPY},
    "void": {UPDATE},
    "previous": {UPDATE},
    "loader": {UPDATE},
    "manifest": {UPDATE},
    "part": {COPY, UPDATE},
    # A person writes it, with the command.
    "hold": set(),
}
"""The functions that write what has each kind of key, by the functions of `keys.rs`."""

IN_KEYS = {
    "ledger": "tidemark/_ledger/dbo.t",
    "self.ledger": "tidemark/_ledger/dbo.t",
    "self.runs": "tidemark/_ledger/_runs",
    "data": "tidemark/dbo.t",
    "day": "",
    "window": "initial",
    "window_segment(window)": "tidemark_window=initial",
    "WINDOW_KEY": "tidemark_window",
    "run_segment(run_id)": "run-1",
    "slice": "00000",
    "again": "-1",
    "extension": "csv",
    "later": "1",
}
"""What `keys.rs` puts into its keys."""

ENI = {
    "ec2:CreateNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:DeleteNetworkInterface",
    "ec2:AssignPrivateIpAddresses",
    "ec2:UnassignPrivateIpAddresses",
}


def _code(path: str) -> str:
    """Returns the code of a file of the product, without its tests and comments."""
    text = (ROOT / path).read_text().split("#[cfg(test)]")[0]
    return re.sub(r"//.*", "", text)


def _operations(code: str) -> set[str]:
    """Returns the SDK's operations in a piece of the adapter, those of its own helpers among them."""
    found = set(re.findall(r"self\s*\.client\s*\.(\w+)\(\)", code))
    return found | {operation for helper, operation in HELPERS.items() if re.search(rf"self\s*\.{helper}\(", code)}


def _calls_of_ports() -> dict[str, set[str]]:
    """Returns the operations that each port makes."""
    blocks = re.split(r"\nimpl (\w+) for S3Store \{", _code("shared/aws/src/bucket.rs"))
    calls = {port: _operations(block) for port, block in zip(blocks[1::2], blocks[2::2], strict=True)}
    return calls | {"AskBucket": _operations(_code("shared/aws/src/bucket/checks.rs"))}


def _bounds(code: str, what: str, name: str) -> set[str]:
    """Returns the ports that a generic item asks of a type, in its list of parameters or after `where`."""
    head = re.search(rf"{what}[\s\S]*?\{{", code)
    assert head, f"{what} is not to be found"
    listed = re.search(rf"\b{name}: ([\w\s+]+)", head[0])
    return set(re.findall(r"\w+Objects|AskBucket", listed[1])) if listed else set()


def _ports(function: str) -> set[str]:
    """Returns the ports of the bucket that a function's steps need."""
    name = re.sub(r"(?<!^)([A-Z])", r"-\1", function).lower()
    code = _code(f"functions/{name}/src/main.rs") + _code(f"functions/{name}/src/event.rs")
    imported = re.findall(r"use tidemark::steps::(\w+)::(?:\{([^}]*)\}|(\w+));", code)
    found: set[str] = set()
    for module, names, one in imported:
        # The function that is the step has the name of its module.
        if module in re.split(r"[,\s]+", names or one):
            found |= _bounds(_code(f"shared/core/src/steps/{module}.rs"), rf"pub async fn {module}\b", "S")
    if "Pointers::new" in code:
        pointers = _code("shared/core/src/ledger/pointers.rs")
        trait = "MoveWatermarks" if "steps::update" in code else "ReadWatermarks"
        bound = re.search(rf"impl<S: ([\w\s+]+)> {trait} for Pointers", pointers)
        assert bound
        found |= set(re.findall(r"\w+Objects", bound[1]))
    return found


def test_every_call_of_the_adapter_has_a_documented_right() -> None:
    """A new call needs a line above, and then a statement in a role."""
    used = set().union(*_calls_of_ports().values()) | _operations(_code("shared/aws/src/bucket.rs"))
    assert used == set(ACTIONS)


def test_the_ports_of_the_functions_are_found() -> None:
    """The ports are found, so the tests below compare something."""
    assert _ports("LookupOldWatermark") == {"ReadObjects", "AskBucket"}
    assert _ports("LookupNewWatermark") == {"ReadObjects", "CreateObjects", "ReplaceObjects"}
    assert _ports("CopyDelta") == {"ReadObjects", "CreateObjects", "ReplaceObjects", "UploadObjects"}
    assert _ports("UpdateWatermark") == {"ReadObjects", "CreateObjects", "CompleteObjects", "ReplaceObjects"}


def _example(text: str, arguments: str, document: str) -> str:
    """Returns a key that a format makes of its arguments."""
    given = iter(arguments.strip(", ").split(", "))
    known = IN_KEYS | {"document": document}
    return re.sub(r"\{(.*?)\}", lambda part: known[part[1] or next(given)], text)


def _examples() -> dict[str, set[str]]:
    """Returns keys of each kind that `keys.rs` makes for objects and documents, by the name of its function."""
    functions = re.split(r"\n    (?:pub )?fn (\w+)", _code("shared/core/src/ledger/keys.rs"))
    bodies = dict(zip(functions[1::2], functions[2::2], strict=True))
    of_attempt = bodies.pop("of_attempt")
    made = re.compile(r'format!\(\s*"([^"]+\.(?:json|txt|\{extension\}))"([^;]*?)\)[\s,]*[}\n]')
    found: dict[str, set[str]] = {}
    for name, body in bodies.items():
        document = re.search(r'self\.of_attempt\("(\w+)"', body)
        formats = made.findall(of_attempt if document else body)
        if formats:
            found[name] = {_example(*parts, document[1] if document else "") for parts in formats}
    return found


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_role_writes_the_keys_that_its_function_writes_and_no_others(function: str) -> None:
    """Each key of the function is in one statement, no other key is in any, and no statement is without a key. A new
    key needs a line above.
    """
    examples = _examples()
    assert set(examples) == set(WRITERS)
    granted = {
        resource.removeprefix("arn:aws:s3:::<SinkBucket>/")
        for statement in Deployed().statements(f"{function}Role")
        if "s3:PutObject" in as_list(statement["Action"])
        for resource in as_list(statement["Resource"])
    }
    used = set()
    for name, keys in examples.items():
        for key in keys:
            matching = {pattern for pattern in granted if fnmatch.fnmatchcase(key, pattern)}
            assert bool(matching) == (function in WRITERS[name]), key
            used |= matching
    assert used == granted


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_role_has_the_rights_that_its_functions_calls_need_and_no_others(function: str) -> None:
    """This compares the actions on the bucket. The test above compares the keys of what is written, and
    test_permissions.py tries every role with every call.
    """
    calls = _calls_of_ports()
    needed = {ACTIONS[operation] for port in _ports(function) for operation in calls[port]}
    granted = {
        action
        for statement in Deployed().statements(f"{function}Role")
        if statement["Effect"] == "Allow"
        for action in as_list(statement["Action"])
        if action.startswith("s3:")
    }
    assert granted == needed


def test_the_pointer_is_the_buckets_only_where_watermarks_are_kept_in_it() -> None:
    """With a control table, nobody writes watermark.json."""
    for store, is_written in (("s3", True), ("sql", False)):
        statements = Deployed(WatermarkStore=store).statements("UpdateWatermarkRole")
        assert any("watermark.json" in str(statement["Resource"]) for statement in statements) == is_written


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_right_of_a_function_has_a_purpose(function: str) -> None:
    """The purposes are the bucket, the secrets, the keys of both, tokens, its own log, traces and the network. No
    action is a pattern.
    """
    purposes = ("s3:", "secretsmanager:GetSecretValue", "sts:GetWebIdentityToken", "kms:", "logs:", "xray:", "ec2:")
    for statement in Deployed(**EVERYTHING).statements(f"{function}Role"):
        for action in as_list(statement["Action"]):
            assert action.startswith(purposes) and "*" not in action, statement["Sid"]
        on_everything = statement["Resource"] == "*" and statement["Effect"] == "Allow"
        assert not on_everything or statement["Sid"] in ("Trace", "JoinVpc", "AskForTokens"), statement["Sid"]


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("store", ["s3", "sql"])
def test_a_function_signs_in_to_the_servers_that_it_connects_to_and_no_others(function: str, store: str) -> None:
    """lookup-old-watermark has only the control table; that of the control table has its own secret."""
    statements = {
        found["Sid"]: found
        for found in Deployed(**(EVERYTHING | {"WatermarkStore": store})).statements(f"{function}Role")
    }
    connects = function != "LookupOldWatermark" or store == "sql"
    assert ("AskForTokens" in statements) == ("DecryptSecrets" in statements) == connects
    reads_watermarks = store == "sql" and function in ("LookupOldWatermark", "UpdateWatermark")
    assert ("ReadWatermarkSecret" in statements) == reads_watermarks
    secrets = [found for found in statements.values() if "secretsmanager:GetSecretValue" in as_list(found["Action"])]
    assert bool(secrets) == connects
    if connects:
        asked = statements["AskForTokens"]["Condition"]["ForAllValues:StringEquals"]
        assert asked == {"sts:IdentityTokenAudience": "api://AzureADTokenExchange"}


def test_every_role_is_assumed_for_this_account_only() -> None:
    """A service that acts for somebody else's resources cannot use it."""
    roles = Deployed(**EVERYTHING).of_type("AWS::IAM::Role")
    assert len(roles) >= len(FUNCTIONS) + 3
    for name, role in roles.items():
        for statement in role["AssumeRolePolicyDocument"]["Statement"]:
            assert statement["Condition"]["StringEquals"] == {"aws:SourceAccount": "111122223333"}, name


def _on_keys(role: str) -> list[dict[str, Any]]:
    """Returns the statements of a role about keys."""
    statements = Deployed(**EVERYTHING).statements(role)
    return [found for found in statements if any(action.startswith("kms:") for action in as_list(found["Action"]))]


@pytest.mark.parametrize("role", ["IncrementalCopyRole", "IncrementalCopyListRole"])
def test_executions_use_their_key_for_state_machines_and_logs_and_not_through_a_service(role: str) -> None:
    """AWS documents that a condition on the service in an execution role can keep executions from starting."""
    statements = {found["Sid"]: found for found in _on_keys(role) if found["Resource"] == f"{KEY}states"}
    executions, logs = statements.pop("UseKey"), statements.pop("EncryptLogs")
    assert set(executions["Action"]) == {"kms:Decrypt", "kms:GenerateDataKey"}
    arn = "arn:aws:states:eu-west-1:111122223333:stateMachine:*"
    context = "kms:EncryptionContext:aws:states:stateMachineArn"
    assert executions["Condition"] == {"StringLike": {context: arn}}
    assert logs["Action"] == "kms:GenerateDataKey"
    source_arn = {"kms:EncryptionContext:SourceArn": "arn:aws:logs:eu-west-1:111122223333:*"}
    assert logs["Condition"] == {"StringEquals": source_arn}
    # The role that follows runs asks for their answers as any caller does, and that is through the service.
    assert list(statements) == ["DecryptAnswers"] * (role == "IncrementalCopyListRole")


def test_the_schedule_starts_runs_and_keeps_what_it_could_not_start_and_no_more() -> None:
    """To start an encrypted execution, its caller needs no right on the key."""
    actions = [found["Action"] for found in Deployed(**EVERYTHING).statements("ScheduleRole")]
    assert actions == ["states:StartExecution", "sqs:SendMessage"]


@pytest.mark.parametrize("role", ["IncrementalCopyRole", "IncrementalCopyListRole"])
def test_every_right_of_a_state_machine_is_one_that_its_definition_needs(role: str) -> None:
    """The rights of logs, traces, keys and the rule by which Step Functions hears of runs are AWS's own."""
    own = ("logs:", "xray:", "kms:", "events:")
    granted = {
        action
        for found in Deployed(**EVERYTHING).statements(role)
        for action in as_list(found["Action"])
        if not action.startswith(own)
    }
    expected = {
        "IncrementalCopyRole": {"lambda:InvokeFunction", "sns:Publish"},
        "IncrementalCopyListRole": {
            "s3:GetObject",
            "states:StartExecution",
            "states:DescribeExecution",
            "states:StopExecution",
        },
    }
    assert granted == expected[role]


def test_a_run_may_tell_its_topic_only_where_eventbridge_cannot_tell_of_it() -> None:
    """The topic is the stack's or the one that is given, and no other."""
    key = {"StatesKmsKeyArn": f"{KEY}states"}
    mine = "arn:aws:sns:eu-west-1:111122223333:mine"
    for parameters, topic in (({}, None), (key, "<Notifications>"), (key | {"AlarmTopicArn": mine}, mine)):
        template = Deployed(**parameters)
        told = [found for found in template.statements("IncrementalCopyRole") if found["Sid"] == "TellTables"]
        assert [(found["Action"], found["Resource"]) for found in told] == [("sns:Publish", topic)] * bool(topic)
        given = template.properties("IncrementalCopy")["DefinitionSubstitutions"]["FailureTopicArn"]
        assert given == (topic or "none")


def test_a_run_may_use_the_key_of_a_topic_for_its_messages_to_that_topic_only() -> None:
    """SNS uses the key in the name of who publishes, and names the topic as the context of encryption."""
    topic = {"AlarmTopicArn": "arn:aws:sns:eu-west-1:111122223333:mine", "AlarmTopicKmsKeyArn": f"{KEY}topic"}
    for parameters, is_given in (
        (topic | {"StatesKmsKeyArn": f"{KEY}states"}, True),
        (topic, False),
        ({"StatesKmsKeyArn": f"{KEY}states"}, False),
    ):
        found = [
            each
            for each in Deployed(**parameters).statements("IncrementalCopyRole")
            if each["Sid"] == "EncryptMessages"
        ]
        assert len(found) == is_given
        for statement in found:
            assert statement["Resource"] == f"{KEY}topic"
            assert set(statement["Action"]) == {"kms:Decrypt", "kms:GenerateDataKey"}
            assert statement["Condition"] == {
                "StringLike": {"kms:ViaService": "sns.eu-west-1.*"},
                "StringEquals": {"kms:EncryptionContext:aws:sns:topicArn": topic["AlarmTopicArn"]},
            }
    # The owner of the topic, or of its key, has to name the role.
    assert Deployed().source["Outputs"]["StateMachineRoleArn"]["Value"] == {
        "Fn::GetAtt": ["IncrementalCopyRole", "Arn"]
    }


def test_the_list_is_read_from_a_bucket_of_this_account_only() -> None:
    """A Distributed Map cannot name the owner of the bucket, so the role does, and a bucket of another account is
    refused.
    """
    (read,) = [
        found
        for found in Deployed(**EVERYTHING).statements("IncrementalCopyListRole")
        if found["Sid"] == "ReadTableList"
    ]
    assert read["Condition"] == {"StringEquals": {"aws:ResourceAccount": "111122223333"}}
    elsewhere = {"SinkBucketName": "lake", "SinkBucketOwner": "222222222222", "AccessLogBucket": ""}
    (refused,) = Deployed(**EVERYTHING | elsewhere).refused()
    assert "leave SinkBucketOwner empty" in refused


def _may_read(key: str, **parameters: str) -> bool:
    """Returns whether the role of the list may read a key of the bucket."""
    statements = Deployed(SinkBucketName="lake", **parameters).statements("IncrementalCopyListRole")
    context = iam_evaluator.EvalContext(
        principal_arn="arn:aws:iam::111122223333:role/list",
        principal_type="AssumedRole",
        principal_account="111122223333",
        action="s3:GetObject",
        resource_arn=f"arn:aws:s3:::lake/{key}",
        region="eu-west-1",
        service_context={"aws:resourceaccount": "111122223333"},
    )
    asked = [found for found in statements if "s3:GetObject" in as_list(found["Action"])]
    for found in asked:
        # The evaluator knows the account of nothing.
        found.pop("Condition", None)
    result = iam_evaluator.evaluate_resource_policy(
        {"Version": "2012-10-17", "Statement": [found | {"Principal": "*"} for found in asked]}, context
    )
    return str(result.decision) == "Allow"


@pytest.mark.parametrize(
    ("key", "prefix", "is_read"),
    [
        ("lists/all.json", "tidemark", True),
        ("tidemark.json", "tidemark", True),
        ("lake/all.json", "lake/x", True),
        ("tidemark/all.json", "tidemark", False),
        ("tidemark/_ledger/dbo.t/initial/manifest.json", "tidemark", False),
    ],
)
def test_the_list_is_not_read_where_the_functions_write(key: str, prefix: str, is_read: bool) -> None:
    """Whoever can write below the prefix, as a function can, could otherwise choose what is copied. No rule of the
    template can compare the two, so the role does.
    """
    assert _may_read(key, TableListKey=key, SinkPrefix=prefix) == is_read


@pytest.mark.parametrize("role", [*(f"{function}Role" for function in FUNCTIONS), "IncrementalCopyListRole"])
def test_keys_are_used_through_their_services_only(role: str) -> None:
    """The key of the bucket is used through S3, and that of the secrets through Secrets Manager, each in a statement of
    its own.
    """
    services = {f"{KEY}bucket": "s3", f"{KEY}secret": "secretsmanager", f"{KEY}states": "states"}
    seen = set()
    for statement in _on_keys(role):
        if statement["Sid"] not in ("UseKey", "EncryptLogs") or role != "IncrementalCopyListRole":
            (key,) = as_list(statement["Resource"])
            # The address of a service ends differently in each partition.
            assert statement["Condition"] == {"StringLike": {"kms:ViaService": f"{services[key]}.eu-west-1.*"}}
            seen.add(key)
    assert f"{KEY}bucket" in seen
    assert (f"{KEY}secret" in seen) == (role != "IncrementalCopyListRole")


def test_a_function_that_only_reads_the_bucket_cannot_encrypt_for_it() -> None:
    """lookup-old-watermark writes nothing."""
    statements = Deployed(**EVERYTHING).statements("LookupOldWatermarkRole")
    assert not any("kms:GenerateDataKey" in as_list(statement["Action"]) for statement in statements)


def test_a_secret_the_stack_makes_has_the_secrets_key_and_the_bucket_its_own() -> None:
    """Different people manage them."""
    template = Deployed(
        SourceHost="h", SourceDatabase="d", SourceUsername="u", SourcePassword="p",
        KmsKeyArn=f"{KEY}bucket", SecretKmsKeyArns=f"{KEY}secret,{KEY}other",
    )  # fmt: skip
    assert template.properties("SourceSecret")["KmsKeyId"] == f"{KEY}secret"
    encryption = template.properties("SinkBucket")["BucketEncryption"]["ServerSideEncryptionConfiguration"][0]
    assert encryption["ServerSideEncryptionByDefault"]["KMSMasterKeyID"] == f"{KEY}bucket"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_code_cannot_use_the_rights_with_which_lambda_joins_the_network(function: str) -> None:
    """Requests from the code carry its function's ARN, and those of Lambda itself do not."""
    statements = {found["Sid"]: found for found in Deployed(**EVERYTHING).statements(f"{function}Role")}
    assert set(statements["JoinVpc"]["Action"]) == set(statements["CodeDoesNotJoinVpc"]["Action"]) == ENI
    refusal = statements["CodeDoesNotJoinVpc"]
    assert (refusal["Effect"], refusal["Resource"]) == ("Deny", "*")
    arn = refusal["Condition"]["ArnLike"]["lambda:SourceFunctionArn"]
    assert arn == "arn:aws:lambda:eu-west-1:111122223333:function:*"
    assert not any("Vpc" in found["Sid"] for found in Deployed().statements(f"{function}Role"))
