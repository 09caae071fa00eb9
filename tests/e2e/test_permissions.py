"""Tests the rights of the four roles: their own calls and no more."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from botocore.exceptions import ClientError

from local.deploy import Deployment
from local.role import Role
from local.stack import Stack

OLD, NEW, COPY, UPDATE = "LookupOldWatermark", "LookupNewWatermark", "CopyDelta", "UpdateWatermark"
ALL = (OLD, NEW, COPY, UPDATE)
TABLE = "dbo.permissions"
LEDGER = f"tidemark/_ledger/{TABLE}"
WINDOW = f"{LEDGER}/initial"
DATA = f"tidemark/{TABLE}/tidemark_window=initial"
REFUSED = ("AccessDenied", "AccessDeniedException", "403")


Call = Callable[[Role], None]


def _get(key: str) -> Call:
    return lambda role: role.s3("get_object", Key=key)


def _put(key: str, **condition: str) -> Call:
    """Writes as the functions do, on condition that the object does not exist, or on another condition."""
    how = condition or {"IfNoneMatch": "*"}
    return lambda role: role.s3("put_object", Key=key, Body=b"{}", **how)


def _put_blindly(key: str) -> Call:
    return lambda role: role.s3("put_object", Key=key, Body=b"{}")


def _list(prefix: str) -> Call:
    return lambda role: role.s3("list_objects_v2", Prefix=prefix)


CALLS: dict[str, tuple[Call, tuple[str, ...]]] = {
    "read the ledger": (_get(f"{WINDOW}/plan.json"), ALL),
    "read data": (_get(f"{DATA}/part-00000.parquet"), (UPDATE,)),
    "read outside the prefix": (_get(f"elsewhere/_ledger/{TABLE}/initial/plan.json"), ()),
    "freeze a plan": (_put(f"{WINDOW}/plan.json"), (NEW,)),
    "record a slice": (_put(f"{WINDOW}/record-00000.json"), (NEW, COPY)),
    "record a sub-slice": (_put(f"{WINDOW}/record-00000.00003.json"), (NEW, COPY)),
    "void a record": (_put(f"{WINDOW}/void-00000.json"), (UPDATE,)),
    "write a manifest": (_put(f"{WINDOW}/manifest.json"), (UPDATE,)),
    "leave the columns": (_put(f"{WINDOW}/previous.json"), (UPDATE,)),
    "write a loader's list": (_put(f"{WINDOW}/loader-redshift.json"), (UPDATE,)),
    "write the list of another loader": (
        _put(f"{LEDGER}/symlink/tidemark_window=initial/loader-symlink.txt"),
        (UPDATE,),
    ),
    "replace a loader's list": (_put(f"{WINDOW}/loader-redshift.json", IfMatch='"0"'), ()),
    "take a lease": (_put(f"{LEDGER}/lease.json"), (NEW, COPY, UPDATE)),
    "say that a run is alive": (_put("tidemark/_ledger/_runs/run-1/lease.json"), (NEW, COPY, UPDATE)),
    "say so blindly": (_put_blindly("tidemark/_ledger/_runs/run-1/lease.json"), ()),
    "begin something with a table": (_put(f"{LEDGER}/hold.json"), ()),
    "take a lease blindly": (_put_blindly(f"{LEDGER}/lease.json"), ()),
    # Watermarks are in the control table here.
    "move the pointer": (_put(f"{LEDGER}/watermark.json"), ()),
    "replace a manifest": (_put(f"{WINDOW}/manifest.json", IfMatch='"0"'), ()),
    "write a manifest blindly": (_put_blindly(f"{WINDOW}/manifest.json"), ()),
    "record a slice blindly": (_put_blindly(f"{WINDOW}/record-00000.json"), ()),
    "write a part blindly": (_put_blindly(f"{DATA}/part-00000.parquet"), ()),
    "begin an upload": (lambda role: role.s3("create_multipart_upload", Key=f"{DATA}/part-1.csv"), (COPY, UPDATE)),
    "give an upload up": (
        lambda role: role.s3("abort_multipart_upload", Key=f"{DATA}/part-1.csv", UploadId="none"),
        (COPY,),
    ),
    "write data into the ledger": (_put(f"{WINDOW}/part-00000.parquet"), ()),
    "write a document where data lies": (_put(f"tidemark/{TABLE}/initial/manifest.json"), ()),
    "write beside the windows": (_put(f"tidemark/{TABLE}/part-00000.parquet"), ()),
    "delete data": (lambda role: role.s3("delete_object", Key=f"{DATA}/part-00000.parquet"), ()),
    "delete the ledger": (lambda role: role.s3("delete_object", Key=f"{WINDOW}/plan.json"), ()),
    "list the ledger": (_list(f"{LEDGER}/"), ALL),
    "list data": (_list(f"{DATA}/"), (UPDATE,)),
    "list all data": (_list("tidemark/"), ()),
    "list the whole bucket": (lambda role: role.s3("list_objects_v2"), ()),
    "ask for the bucket's lifecycle": (lambda role: role.s3("get_bucket_lifecycle_configuration"), (OLD,)),
    "ask for the bucket's versions": (lambda role: role.s3("get_bucket_versioning"), (OLD,)),
    "ask for the bucket's policy": (lambda role: role.s3("get_bucket_policy"), (OLD,)),
    "read its secret": (lambda role: role.read_secret(role.deployment.outputs["SourceSecretArn"]), ALL),
    "read another secret": (lambda role: role.read_secret("not-for-them"), ()),
}


@pytest.fixture(scope="module", autouse=True)
def other_secret(stack: Stack) -> None:
    """Makes a secret that no role was given."""
    stack.aws.client("secretsmanager").create_secret(Name="not-for-them", SecretString="x")


def _answer(call: Call, role: Role) -> str:
    try:
        call(role)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return "done"


@pytest.mark.parametrize("function", ALL)
@pytest.mark.parametrize("what", CALLS)
def test_a_role_may_do_its_own_step_and_no_more(deployment: Deployment, function: str, what: str) -> None:
    """Every role is tried with every call. A key that does not exist is answered as such, and not with a refusal."""
    call, allowed = CALLS[what]
    answer = _answer(call, Role.of_function(deployment, function))
    if function in allowed:
        assert answer in ("done", "NoSuchKey", "NoSuchUpload", "PreconditionFailed", "NoSuchLifecycleConfiguration")
    else:
        assert answer in REFUSED


def test_only_the_last_step_moves_a_pointer_and_only_from_where_it_was(s3_deployment: Deployment) -> None:
    """Watermarks are in the bucket. The pointer is made if there is none, and then moved if it is as it was read."""
    pointer = f"lake/raw/_ledger/{TABLE}/watermark.json"
    update = Role.of_function(s3_deployment, UPDATE)
    assert _answer(_put(pointer), update) == "done"
    assert _answer(_put(pointer), update) == "PreconditionFailed"
    etag = s3_deployment.aws.client("s3").head_object(Bucket=s3_deployment.bucket, Key=pointer)["ETag"]
    assert _answer(_put(pointer, IfMatch=etag), update) == "done"
    assert _answer(_put_blindly(pointer), update) in REFUSED
    for other in (OLD, NEW, COPY):
        assert _answer(_put(pointer, IfMatch=etag), Role.of_function(s3_deployment, other)) in REFUSED


def test_the_first_step_gets_no_login_when_watermarks_live_in_the_bucket(s3_deployment: Deployment) -> None:
    """It does not ask the server."""
    with pytest.raises(ClientError, match="AccessDenied"):
        Role.of_function(s3_deployment, OLD).read_secret(s3_deployment.outputs["SourceSecretArn"])
