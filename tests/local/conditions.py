"""Adds the keys to ministack 1.5.33 that bucket policies ask for and it lacks, after AWS's user guides.

A role's session is known by its role (`aws:PrincipalArn`). S3 tells whether a write is conditional (`s3:if-none-match`,
`s3:if-match`) and whether it makes an object (`s3:ObjectCreationOperation`), which the beginning of an upload and its
pieces do not. A role is assumed for the account it is in (`aws:SourceAccount`), as its services do. The local address
stands for HTTPS, so every request counts as one over TLS.
"""

from __future__ import annotations

from typing import Any

from ministack import app
from ministack.core import iam_actions, iam_evaluator

_context_of = iam_actions.s3_service_context
_resolve = iam_evaluator._resolve_condition_key
_pin_origin = iam_evaluator.pin_request_origin


def install() -> None:
    """Replaces ministack's own functions by these."""
    iam_actions.s3_service_context = s3_service_context
    iam_evaluator._resolve_condition_key = resolve_condition_key
    app.pin_request_origin = lambda source_ip, _: _pin_origin(source_ip, True)


def s3_service_context(
    action: str, query: dict[str, Any] | None, path: str = "", headers: dict[str, str] | None = None
) -> dict[str, Any]:
    """Returns the keys that a request to S3 carries, including those of conditional writes."""
    context = dict(_context_of(action, query, path, headers))
    if action == "s3:PutObject":
        for name in ("if-none-match", "if-match"):
            if value := (headers or {}).get(name):
                context[f"s3:{name}"] = value
        parameters = query or {}
        makes_none = "uploads" in parameters or "partNumber" in parameters
        context["s3:ObjectCreationOperation"] = "false" if makes_none else "true"
    return context


def resolve_condition_key(key: str, context: iam_evaluator.EvalContext) -> Any:
    """Returns the value of a global key."""
    value = _resolve(key, context)
    if key.lower() == "aws:sourceaccount" and context.action == "sts:AssumeRole":
        return value or context.principal_account
    if key.lower() == "aws:principalarn" and ":assumed-role/" in str(value):
        partition, account = value.split(":")[1], value.split(":")[4]
        return f"arn:{partition}:iam::{account}:role/{value.split('/')[1]}"
    return value
