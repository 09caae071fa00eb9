"""Tests the bucket that the stack makes: who may write to it and how, and what becomes of earlier versions of
objects.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import cfnlint
import pytest
from ministack.core import iam_evaluator
from shipped import FUNCTIONS, KEY, PARTITION, ROOT, Deployed, as_list

from local import conditions

BUCKET = "arn:aws:s3:::sink"
LEDGER = f"{BUCKET}/tidemark/_ledger/dbo.t"
WINDOW = f"{LEDGER}/initial"
DATA = f"{BUCKET}/tidemark/dbo.t/tidemark_window=initial"
ARCHIVE = f"{BUCKET}/tidemark/_archive/dbo.t/2026-11-29T09-15-00Z"
ROLE = "arn:aws:iam::111122223333:role/"
STRANGER = f"{ROLE}stranger"
OPERATOR = f"{ROLE}operator-of-tidemark"
LIST = {"TableListKey": "lists/all.json"}
CREATE = {"s3:ObjectCreationOperation": "true", "s3:if-none-match": "*"}
REPLACE = {"s3:ObjectCreationOperation": "true", "s3:if-match": '"etag"'}
BLIND = {"s3:ObjectCreationOperation": "true"}
PIECE = {"s3:ObjectCreationOperation": "false"}


@pytest.fixture(autouse=True)
def as_on_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gives the keys of conditions the values that AWS gives them."""
    monkeypatch.setattr(iam_evaluator, "_resolve_condition_key", conditions.resolve_condition_key)


def _of_stack() -> dict[str, Any]:
    """Returns the policy of the stack's own bucket, with names as they would be."""
    template = Deployed(OperatorArns=OPERATOR, **LIST)
    text = json.dumps(template.properties("SinkBucketPolicy")["PolicyDocument"])
    for function in FUNCTIONS:
        text = text.replace(f"<{function}Role.Arn>", f"{ROLE}{function}")
    return dict(json.loads(text.replace("<SinkBucket.Arn>", BUCKET)))


def _of_docs() -> dict[str, Any]:
    """Returns the policy that the documentation offers for a bucket that exists already."""
    text = (ROOT / "docs/how-to/existing-bucket.md").read_text()
    (block,) = [
        found for found in re.findall(r"```json\n(.*?)```", text, re.DOTALL) if "OnlyTheFunctionsWrite" in found
    ]
    for name, value in {
        "${Partition}": "aws",
        "${Bucket}": "sink",
        "${Prefix}": "tidemark",
        "${LookupNewWatermarkRole}": f"{ROLE}LookupNewWatermark",
        "${CopyDeltaRole}": f"{ROLE}CopyDelta",
        "${UpdateWatermarkRole}": f"{ROLE}UpdateWatermark",
        "${Operators}": OPERATOR,
        "${List}": LIST["TableListKey"],
    }.items():
        block = block.replace(name, value)
    return dict(json.loads(block))


POLICIES = {"the stack's": _of_stack, "the documentation's": _of_docs}


def _refused_by(policy: dict[str, Any], who: str, action: str, key: str, how: dict[str, str], tls: bool = True) -> str:
    """Returns the name of the statement that refuses the request, or an empty text if none does."""
    context = iam_evaluator.EvalContext(
        principal_arn=who,
        principal_type="AssumedRole",
        principal_account="111122223333",
        action=action,
        resource_arn=key,
        region="eu-west-1",
        secure_transport=tls,
        service_context={name.lower(): value for name, value in how.items()},
    )
    result = iam_evaluator.evaluate_resource_policy(policy, context)
    return str(result.matched_sid) if result.decision == "Deny" else ""


@pytest.mark.parametrize("of", POLICIES)
@pytest.mark.parametrize(
    ("who", "action", "key", "how", "refusal"),
    [
        ("LookupNewWatermark", "s3:PutObject", f"{WINDOW}/plan.json", CREATE, ""),
        ("LookupNewWatermark", "s3:PutObject", f"{WINDOW}/plan.json", BLIND, "WrittenOnce"),
        ("LookupNewWatermark", "s3:PutObject", f"{WINDOW}/plan.json", REPLACE, "WrittenOnce"),
        ("CopyDelta", "s3:PutObject", f"{WINDOW}/record-00000.json", CREATE, ""),
        ("CopyDelta", "s3:PutObject", f"{WINDOW}/record-00000.0001.json", BLIND, "WrittenOnce"),
        ("CopyDelta", "s3:PutObject", f"{DATA}/part-00000.parquet", PIECE, ""),
        ("CopyDelta", "s3:PutObject", f"{DATA}/part-00000.parquet", BLIND, "WrittenOnce"),
        ("UpdateWatermark", "s3:PutObject", f"{DATA}/part-00000.parquet", CREATE, ""),
        ("UpdateWatermark", "s3:PutObject", f"{WINDOW}/manifest.json", CREATE, ""),
        ("UpdateWatermark", "s3:PutObject", f"{WINDOW}/loader-redshift.json", CREATE, ""),
        ("UpdateWatermark", "s3:PutObject", f"{WINDOW}/loader-redshift.json", REPLACE, "WrittenOnce"),
        ("UpdateWatermark", "s3:PutObject", f"{WINDOW}/manifest.json", REPLACE, "WrittenOnce"),
        ("UpdateWatermark", "s3:PutObject", f"{WINDOW}/previous.json", BLIND, "WrittenOnce"),
        ("UpdateWatermark", "s3:PutObject", f"{WINDOW}/void-00000.json", BLIND, "WrittenOnce"),
        ("UpdateWatermark", "s3:PutObject", f"{LEDGER}/watermark.json", CREATE, ""),
        ("UpdateWatermark", "s3:PutObject", f"{LEDGER}/watermark.json", REPLACE, ""),
        ("UpdateWatermark", "s3:PutObject", f"{LEDGER}/watermark.json", BLIND, "NeverBlindly"),
        ("UpdateWatermark", "s3:PutObject", f"{LEDGER}/anything-new.json", BLIND, "NeverBlindly"),
        ("LookupOldWatermark", "s3:PutObject", f"{LEDGER}/watermark.json", REPLACE, "OnlyTheFunctionsWrite"),
        ("stranger", "s3:PutObject", f"{WINDOW}/plan.json", CREATE, "OnlyTheFunctionsWrite"),
        ("stranger", "s3:PutObject", f"{DATA}/part-00000.parquet", CREATE, "OnlyTheFunctionsWrite"),
        ("stranger", "s3:DeleteObject", f"{WINDOW}/plan.json", {}, "OnlyTheFunctionsWrite"),
        ("stranger", "s3:ReplicateDelete", f"{WINDOW}/plan.json", {}, "OnlyTheFunctionsWrite"),
        ("stranger", "s3:PutObjectTagging", f"{WINDOW}/plan.json", {}, "OnlyTheFunctionsWrite"),
        ("stranger", "s3:PutObjectRetention", f"{DATA}/part-00000.parquet", {}, "OnlyTheFunctionsWrite"),
        ("stranger", "s3:DeleteObjectVersion", f"{WINDOW}/plan.json", {}, "OnlyTheFunctionsWrite"),
        ("stranger", "s3:AbortMultipartUpload", f"{DATA}/part-1.csv", {}, "OnlyTheFunctionsWrite"),
        ("stranger", "s3:ReplicateObject", f"{WINDOW}/plan.json", {}, "OnlyTheFunctionsWrite"),
        ("stranger", "s3:GetObject", f"{DATA}/part-00000.parquet", {}, ""),
        ("stranger", "s3:PutObject", f"{BUCKET}/lists/all.json", BLIND, "OnlyOperatorsWriteTheList"),
        ("stranger", "s3:DeleteObject", f"{BUCKET}/lists/all.json", {}, "OnlyOperatorsWriteTheList"),
        ("UpdateWatermark", "s3:PutObject", f"{BUCKET}/lists/all.json", BLIND, "OnlyOperatorsWriteTheList"),
        ("stranger", "s3:GetObject", f"{BUCKET}/lists/all.json", {}, ""),
        ("stranger", "s3:PutObject", f"{BUCKET}/lists/other.json", BLIND, ""),
        ("operator-of-tidemark", "s3:PutObject", f"{BUCKET}/lists/all.json", BLIND, ""),
        ("operator-of-tidemark", "s3:DeleteObject", f"{WINDOW}/plan.json", {}, ""),
        ("operator-of-tidemark", "s3:PutObject", f"{LEDGER}/watermark.json", REPLACE, ""),
        ("operator-of-tidemark", "s3:PutObject", f"{ARCHIVE}/data/tidemark_window=initial/part-0.csv", PIECE, ""),
        ("operator-of-tidemark", "s3:PutObject", f"{ARCHIVE}/data/tidemark_window=initial/part-0.csv", CREATE, ""),
        ("operator-of-tidemark", "s3:PutObject", f"{ARCHIVE}/ledger/initial/plan.json", CREATE, ""),
        ("operator-of-tidemark", "s3:PutObject", f"{ARCHIVE}/ledger/initial/plan.json", BLIND, "WrittenOnce"),
        ("operator-of-tidemark", "s3:PutObject", f"{ARCHIVE}/data/anything-else.csv", BLIND, "WrittenOnce"),
        ("operator-of-tidemark", "s3:DeleteObject", f"{DATA}/part-00000.parquet", {}, ""),
        ("operator-of-tidemark", "s3:PutObject", f"{LEDGER}/watermark.json", BLIND, "NeverBlindly"),
    ],
)
def test_the_policy_lets_the_functions_write_as_they_do_and_nobody_else(
    of: str, who: str, action: str, key: str, how: dict[str, str], refusal: str
) -> None:
    """A refusal in a bucket's policy applies whatever else is allowed."""
    assert _refused_by(POLICIES[of](), f"{ROLE}{who}", action, key, how) == refusal


CHANGE_NOTHING = {"initiatereplication", "restoreobject"}
"""Actions on objects that neither read nor change one: they ask S3 to copy it elsewhere, or back from an archive."""


@pytest.mark.parametrize("of", POLICIES)
def test_every_action_that_changes_an_object_is_for_the_functions_only(of: str) -> None:
    """Whoever can change an object's access, tags or key can hide it, and a retention keeps it from being replaced. AWS
    tells capitals and small letters in an action apart nowhere, and its list, which cfn-lint has, is in small ones.
    """
    listed = Path(cfnlint.__file__).parent / "data/AdditionalSpecs/Policies.json"
    actions = json.loads(listed.read_text())["s3"]["Actions"]
    on_objects = {name for name, facts in actions.items() if "object" in (facts.get("Resources") or [])}
    writes = {name for name in on_objects if not name.startswith(("get", "list"))} - CHANGE_NOTHING
    assert {"putobject", "putobjectacl", "deleteobjecttagging", "updateobjectencryption"} <= writes
    policy = POLICIES[of]()
    for statement in policy["Statement"]:
        statement["Action"] = [action.lower() for action in as_list(statement["Action"])]
    allowed = {
        name for name in writes if not _refused_by(policy, STRANGER, f"s3:{name}", f"{DATA}/part-00000.parquet", {})
    }
    assert allowed == set()
    for name in ("getobject", "getobjecttagging", *CHANGE_NOTHING):
        assert not _refused_by(policy, STRANGER, f"s3:{name}", f"{DATA}/part-00000.parquet", {}), name


@pytest.mark.parametrize("partition", ["aws", "aws-cn", "aws-us-gov"])
def test_the_policy_has_no_action_that_a_partition_may_not_know(partition: str) -> None:
    """S3 refuses a policy with an unknown action, and with it the whole stack."""
    policy = Deployed(**{PARTITION: partition}).properties("SinkBucketPolicy")["PolicyDocument"]
    (writers,) = [found for found in policy["Statement"] if found["Sid"] == "OnlyTheFunctionsWrite"]
    assert ("s3:UpdateObjectEncryption" in writers["Action"]) == (partition == "aws")


def test_a_session_of_a_role_counts_as_the_role() -> None:
    """AWS compares the role, and functions have sessions of it."""
    session = "arn:aws:sts::111122223333:assumed-role/CopyDelta/session"
    assert _refused_by(_of_stack(), session, "s3:PutObject", f"{WINDOW}/record-00000.json", CREATE) == ""


@pytest.mark.parametrize("of", POLICIES)
@pytest.mark.parametrize("action", ["s3:GetObject", "s3:PutObject", "s3:ListBucket"])
def test_nothing_goes_without_tls(of: str, action: str) -> None:
    """Nobody can read or write without it."""
    where = BUCKET if action == "s3:ListBucket" else f"{DATA}/part-00000.parquet"
    assert _refused_by(POLICIES[of](), f"{ROLE}UpdateWatermark", action, where, CREATE, tls=False) == "OnlyOverTls"


def test_without_operators_only_the_functions_write() -> None:
    """The list of those who may write has no empty entry and no `*`."""
    statements = Deployed().properties("SinkBucketPolicy")["PolicyDocument"]["Statement"]
    (writers,) = [statement for statement in statements if statement["Sid"] == "OnlyTheFunctionsWrite"]
    allowed = set(as_list(writers["Condition"]["ArnNotLike"]["aws:PrincipalArn"]))
    assert allowed == {f"<{function}Role.Arn>" for function in FUNCTIONS if function != "LookupOldWatermark"}


def test_the_list_is_guarded_where_somebody_may_write_it() -> None:
    """Without operators nobody could, and without a list there is nothing to guard."""
    operators = {"OperatorArns": f"{ROLE}operator-of-tidemark"}
    for given, is_guarded in ((operators | LIST, True), (operators, False), (LIST, False)):
        statements = Deployed(**given).properties("SinkBucketPolicy")["PolicyDocument"]["Statement"]
        assert any(found["Sid"] == "OnlyOperatorsWriteTheList" for found in statements) == is_guarded


def test_what_was_there_before_can_be_brought_back_for_a_while() -> None:
    """It does not stay for ever."""
    bucket = Deployed(KeepOldVersionsDays="9").properties("SinkBucket")
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    rules = {rule["Id"]: rule for rule in bucket["LifecycleConfiguration"]["Rules"]}
    assert rules["expire-old-versions"]["NoncurrentVersionExpiration"] == {"NoncurrentDays": "9"}
    assert all(rule["Status"] == "Enabled" for rule in rules.values())


def test_the_page_of_an_existing_bucket_has_the_rules_of_the_stacks_own() -> None:
    """The rule for old versions depends on whether that bucket keeps any, so the page says it in words."""
    text = (ROOT / "docs/how-to/existing-bucket.md").read_text()
    (block,) = [found for found in re.findall(r"```json\n(.*?)```", text, re.DOTALL) if "DaysAfterInitiation" in found]
    told = {rule.pop("ID"): rule for rule in json.loads(block)["Rules"]}
    rules = {
        rule.pop("Id"): rule
        for rule in Deployed().properties("SinkBucket")["LifecycleConfiguration"]["Rules"]
        if "NoncurrentVersionExpiration" not in rule
    }
    for rule in rules.values():
        # The words of CloudFormation, and those of S3. In a bucket with other objects, a rule is for the prefix only.
        rule["Filter"] = {"Prefix": rule.pop("Prefix", "tidemark/")}
        if "ExpirationInDays" in rule:
            rule["Expiration"] = {"Days": rule.pop("ExpirationInDays")}
    assert told == rules
    assert "`NoncurrentVersionExpiration`" in text


def test_access_is_logged_where_that_is_asked_for() -> None:
    """The log goes into a bucket of the user's, below the stack's name."""
    assert "LoggingConfiguration" not in Deployed().properties("SinkBucket")
    logging = Deployed(AccessLogBucket="logs").properties("SinkBucket")["LoggingConfiguration"]
    assert logging == {"DestinationBucketName": "logs", "LogFilePrefix": "tidemark/"}


def test_a_bucket_that_is_there_already_is_left_as_it_is() -> None:
    """Its policy is its owner's."""
    template = Deployed(SinkBucketName="mine")
    assert not {"SinkBucket", "SinkBucketPolicy"} & set(template.resources)


def test_every_call_names_the_buckets_owner_and_the_key() -> None:
    """The owner is the account of the stack, unless another is given. The key is named where there is one."""
    plain = Deployed().variables()
    assert (plain["SINK_BUCKET_OWNER"], plain["SINK_KMS_KEY_ARN"]) == ("111122223333", "")
    assert plain["SINK_SIGNED_PAYLOADS"] == "false"
    given = Deployed(SinkBucketOwner="444455556666", KmsKeyArn=f"{KEY}bucket", SinkSignedPayloads="true").variables()
    assert given["SINK_BUCKET_OWNER"] == "444455556666"
    assert (given["SINK_KMS_KEY_ARN"], given["SINK_SIGNED_PAYLOADS"]) == (f"{KEY}bucket", "true")
    assert (plain["SINK_ENCRYPTION"], Deployed(SinkEncryption="AES256").variables()["SINK_ENCRYPTION"]) == (
        "",
        "AES256",
    )
    for path, count in (("bucket.rs", 8), ("bucket/archive.rs", 5), ("bucket/checks.rs", 3)):
        code = (ROOT / "shared/aws/src" / path).read_text()
        calls = re.findall(r"self\s*\.client\s*\.\w+\(\)", code)
        assert len(calls) == code.count("set_expected_bucket_owner(self.owner())") == count, path


def test_every_write_of_the_command_takes_a_condition() -> None:
    """The policy demands a condition, and S3 takes none for CopyObject."""
    code = (ROOT / "shared/aws/src/bucket/archive.rs").read_text()
    assert "copy_object" not in code
    writes = re.findall(r"self\.(?:client\.complete_multipart_upload\(\)|put\()", code)
    assert len(writes) == code.count('.if_none_match("*")') == 2
