"""Writes infra/terraform from infra/template.yaml: the same resources, policies and parameters, for Terraform.

    .venv/bin/python tools/terraform.py           writes variables.tf, main.tf and outputs.tf
    .venv/bin/python tools/terraform.py --check   says which of them are not as they would be written

The template is what is maintained. A resource of a kind that is not known here stops this script.
"""

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cloudformation

ROOT = Path(__file__).resolve().parents[1]
TEMPLATE = ROOT / "infra/template.yaml"
MODULE = ROOT / "infra/terraform"
HEAD = "# Written by tools/terraform.py from infra/template.yaml (make terraform). Changes belong there.\n\n"

Pairs = list[tuple[str, str]]


NO_VALUE = {"Ref": "AWS::NoValue"}
PSEUDO = {
    "AWS::Partition": "data.aws_partition.current.partition",
    "AWS::Region": "data.aws_region.current.region",
    "AWS::AccountId": "data.aws_caller_identity.current.account_id",
    "AWS::StackName": "var.name",
    "AWS::NoValue": "null",
}
# The names in Terraform of `Ref` and `GetAtt` of a resource.
TYPES = {
    "AWS::S3::Bucket": ("aws_s3_bucket", {"": "id", "Arn": "arn"}),
    "AWS::S3::BucketPolicy": ("aws_s3_bucket_policy", {}),
    "AWS::SecretsManager::Secret": ("aws_secretsmanager_secret", {"Id": "arn"}),
    "AWS::IAM::ManagedPolicy": ("aws_iam_policy", {"": "arn"}),
    "AWS::IAM::Role": ("aws_iam_role", {"": "name", "Arn": "arn"}),
    "AWS::IAM::Policy": ("aws_iam_role_policy", {}),
    "AWS::Serverless::Function": ("aws_lambda_function", {"": "function_name", "Arn": "arn"}),
    "AWS::Logs::LogGroup": ("aws_cloudwatch_log_group", {"": "name", "Arn": "arn"}),
    "AWS::Logs::MetricFilter": ("aws_cloudwatch_log_metric_filter", {}),
    "AWS::StepFunctions::StateMachine": ("aws_sfn_state_machine", {"Arn": "arn", "Name": "name"}),
    "AWS::Scheduler::Schedule": ("aws_scheduler_schedule", {"": "name", "Arn": "arn"}),
    "AWS::SQS::Queue": ("aws_sqs_queue", {"": "id", "Arn": "arn", "QueueName": "name"}),
    "AWS::SQS::QueuePolicy": ("aws_sqs_queue_policy", {}),
    "AWS::SNS::Topic": ("aws_sns_topic", {"": "arn"}),
    "AWS::SNS::TopicPolicy": ("aws_sns_topic_policy", {}),
    "AWS::SNS::Subscription": ("aws_sns_topic_subscription", {}),
    "AWS::Events::Rule": ("aws_cloudwatch_event_rule", {"Arn": "arn"}),
    "AWS::CloudWatch::Alarm": ("aws_cloudwatch_metric_alarm", {}),
    "AWS::CloudWatch::Dashboard": ("aws_cloudwatch_dashboard", {"": "dashboard_name"}),
}


def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def kebab(name: str) -> str:
    return snake(name).replace("_", "-")


def quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return '"' + escaped.replace("${", "$${").replace("%{", "%%{") + '"'


def indented(text: str) -> str:
    return text.replace("\n", "\n  ")


def aligned(pairs: Pairs) -> str:
    """Returns attributes as `terraform fmt` has them: the equals signs of neighbours that take one line stand below one
    another.
    """
    lines: list[str] = []
    group: Pairs = []

    def flush() -> None:
        width = max((len(key) for key, _ in group), default=0)
        lines.extend(f"  {key:{width}} = {value}" for key, value in group)
        group.clear()

    for key, value in pairs:
        if value.startswith("{block}"):
            flush()
            lines.append(f"\n  {key} {indented(value.removeprefix('{block}'))}")
        elif "\n" in value:
            flush()
            lines.append(f"  {key} = {indented(value)}")
        else:
            group.append((key, value))
    flush()
    return "\n".join(lines)


def block(pairs: Pairs) -> str:
    """Returns a nested block, for `aligned`."""
    return "{block}{\n" + aligned(pairs) + "\n}"


class Module:
    """The template in the language of Terraform."""

    def __init__(self, template: dict[str, Any]) -> None:
        self.template = template
        self.parameters: dict[str, Any] = template["Parameters"]
        self.resources: dict[str, Any] = template["Resources"]

    # --- expressions

    def expr(self, value: Any) -> str:
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int | float):
            return str(value)
        if isinstance(value, str):
            return quoted(value)
        if isinstance(value, list):
            return self.listed(value)
        if len(value) == 1:
            ((function, operand),) = value.items()
            if function in ("Ref", "Condition") or function.startswith("Fn::"):
                return self.call(function, operand)
        keys = [key if re.fullmatch(r"[A-Za-z_]\w*", key) else quoted(key) for key in value]
        text = "{\n" + aligned([(key, self.expr(part)) for key, part in zip(keys, value.values(), strict=True)]) + "\n}"
        if any(self.is_optional(part) for part in value.values()):
            return f"{{ for key, value in {text} : key => value if value != null }}"
        return text

    @staticmethod
    def is_optional(value: Any) -> bool:
        return isinstance(value, dict) and NO_VALUE in value.get("Fn::If", [])

    def listed(self, values: list[Any]) -> str:
        items = [self.expr(value) for value in values]
        short = ", ".join(items)
        one_line = "\n" not in short and len(short) < 100
        text = f"[{short}]" if one_line else "[\n" + "".join(f"  {indented(item)},\n" for item in items) + "]"
        return f"[for item in {text} : item if item != null]" if any(map(self.is_optional, values)) else text

    def call(self, function: str, operand: Any) -> str:
        match function:
            case "Ref":
                return self.ref(operand)
            case "Condition":
                return f"local.{snake(operand)}"
            case "Fn::GetAtt":
                return self.attribute(operand[0], operand[1])
            case "Fn::If":
                then, other = (self.expr(part) for part in operand[1:])
                return f"(local.{snake(operand[0])} ? {then} : {other})"
            case "Fn::Join":
                return f"join({quoted(operand[0])}, {self.expr(operand[1])})"
            case "Fn::Split":
                return f"split({quoted(operand[0])}, {self.expr(operand[1])})"
            case "Fn::Select":
                return f"{self.expr(operand[1])}[{operand[0]}]"
            case "Fn::Equals":
                return f"{self.expr(operand[0])} == {self.expr(operand[1])}"
            case "Fn::Not":
                return f"!({self.expr(operand[0])})"
            case "Fn::And" | "Fn::Or":
                return (" && " if function == "Fn::And" else " || ").join(f"({self.expr(part)})" for part in operand)
            case "Fn::EachMemberEquals":
                return f"alltrue([for member in {self.expr(operand[0])} : member == {self.expr(operand[1])}])"
            case "Fn::Contains":
                return f"contains({self.expr(operand[0])}, {self.expr(operand[1])})"
            case "Fn::Sub":
                text, more = (operand, {}) if isinstance(operand, str) else operand
                return self.substituted(text, more)
        raise SystemExit(f"{function} is not known to tools/terraform.py")

    def substituted(self, text: str, more: dict[str, Any]) -> str:
        pieces = re.split(r"\$\{([^}]+)\}", text)
        for index in range(1, len(pieces), 2):
            name = pieces[index]
            value = self.expr(more[name]) if name in more else self.ref(name)
            pieces[index] = f"${{{value}}}"
        pieces[::2] = [quoted(piece)[1:-1] for piece in pieces[::2]]
        return '"' + "".join(pieces) + '"'

    def ref(self, name: str) -> str:
        if name in PSEUDO:
            return PSEUDO[name]
        if name in self.parameters:
            return f"var.{snake(name)}"
        return self.attribute(*(name.split(".", 1) if "." in name else (name, "")))

    def address(self, name: str) -> str:
        kind, _ = TYPES[self.resources[name]["Type"]]
        return f"{kind}.{snake(name)}" + ("[0]" if "Condition" in self.resources[name] else "")

    def attribute(self, name: str, attribute: str) -> str:
        kind, attributes = TYPES[self.resources[name]["Type"]]
        address = f"{self.address(name)}.{attributes[attribute]}"
        # CloudFormation's ARN of a log group includes its streams.
        return f'"${{{address}}}:*"' if (kind, attribute) == ("aws_cloudwatch_log_group", "Arn") else address

    # --- files

    def variables(self) -> str:
        found = []
        for name, facts in self.parameters.items():
            kind = {"String": "string", "Number": "number", "CommaDelimitedList": "list(string)"}[facts["Type"]]
            pairs: Pairs = [("description", self.expr(facts["Description"].strip())), ("type", kind)]
            if "Default" in facts:
                is_list = kind == "list(string)"
                default = [part for part in facts["Default"].split(",") if part] if is_list else facts["Default"]
                pairs.append(("default", self.expr(default)))
            if facts.get("NoEcho"):
                pairs.append(("sensitive", "true"))
            pairs += [("validation", block(rule)) for rule in self.validations(f"var.{snake(name)}", facts)]
            found.append(f'variable "{snake(name)}" {{\n{aligned(pairs)}\n}}\n')
        return "\n".join(found)

    def validations(self, variable: str, facts: dict[str, Any]) -> list[Pairs]:
        rules = []
        if "AllowedPattern" in facts:
            # Terraform's expressions need not match as a whole, CloudFormation's must.
            pattern = f"^(?:{facts['AllowedPattern']})$"
            message = f"The value {facts['ConstraintDescription']}."
            condition = f"can(regex({quoted(pattern)}, {variable}))"
            if facts["Type"] == "CommaDelimitedList":
                condition = f"alltrue([for member in {variable} : can(regex({quoted(pattern)}, member))])"
            rules.append([("condition", condition), ("error_message", quoted(message))])
        if "MaxLength" in facts:
            most_length = facts["MaxLength"]
            message = f"The value must have at most {most_length} characters."
            rules.append([("condition", f"length({variable}) <= {most_length}"), ("error_message", quoted(message))])
        if "AllowedValues" in facts:
            values = facts["AllowedValues"]
            message = f"The value must be one of {', '.join(map(str, values))}."
            condition = f"contains({self.expr(values)}, {variable})"
            rules.append([("condition", condition), ("error_message", quoted(message))])
        least, most = facts.get("MinValue"), facts.get("MaxValue")
        if least is not None:
            condition = f"{variable} >= {least}" + (f" && {variable} <= {most}" if most is not None else "")
            message = f"The value must be at least {least}" + (f" and at most {most}." if most is not None else ".")
            rules.append([("condition", condition), ("error_message", quoted(message))])
        return rules

    def main(self) -> str:
        conditions = [(snake(name), self.expr(test)) for name, test in self.template["Conditions"].items()]
        parts = [f"locals {{\n{aligned(conditions)}\n}}\n", self.rules()]
        for name, resource in self.resources.items():
            make = MAKERS.get(resource["Type"])
            if make is None:
                raise SystemExit(f"{name} is of a kind that tools/terraform.py does not know: {resource['Type']}")
            made = make(self, name, resource["Properties"])
            parts += [self.resource(kind, name + suffix, resource, pairs) for kind, suffix, pairs in made]
        return "\n".join(parts)

    def resource(self, kind: str, name: str, resource: dict[str, Any], pairs: Pairs) -> str:
        if (condition := resource.get("Condition")) and pairs[0][0] != "count":
            pairs = [("count", f"local.{snake(condition)} ? 1 : 0"), *pairs]
        return f'resource "{kind}" "{snake(name)}" {{\n{aligned(pairs)}\n}}\n'

    def rules(self) -> str:
        checks = []
        for rule in self.template["Rules"].values():
            for assertion in rule["Assertions"]:
                condition = self.expr(assertion["Assert"])
                if "RuleCondition" in rule:
                    condition = f"!({self.expr(rule['RuleCondition'])}) || ({condition})"
                message = quoted(assertion["AssertDescription"])
                checks.append(("precondition", block([("condition", condition), ("error_message", message)])))
        return f'resource "terraform_data" "rules" {{\n{aligned([("lifecycle", block(checks))])}\n}}\n'

    def outputs(self) -> str:
        found = []
        for name, output in self.template["Outputs"].items():
            value = self.expr(output["Value"])
            if condition := output.get("Condition"):
                value = f"local.{snake(condition)} ? {value} : null"
            pairs = [("description", self.expr(output["Description"])), ("value", value)]
            found.append(f'output "{snake(name)}" {{\n{aligned(pairs)}\n}}\n')
        return "\n".join(found)

    # --- parts of resources

    def json(self, value: Any) -> str:
        return f"jsonencode({self.expr(value)})"

    def given(self, properties: dict[str, Any], **names: str) -> Pairs:
        """Returns attributes of Terraform by the properties that they are."""
        return [(name, self.expr(properties[key])) for name, key in names.items() if key in properties]

    def optional(self, value: Any, *names: str) -> Pairs:
        """Returns a block that exists on a condition. Its attributes are the properties of the value with that
        condition.
        """
        name, *nested = names
        condition, content, _ = value["Fn::If"]
        pairs = [(snake(key), self.expr(part)) for key, part in content.items()]
        for each, (key, _) in zip(nested, pairs, strict=False):
            pairs = [(each if found == key else found, text) for found, text in pairs]
        for_each = ("for_each", f"local.{snake(condition)} ? [1] : []")
        return [(f'dynamic "{name}"', block([for_each, ("content", block(pairs))]))]


Made = list[tuple[str, str, Pairs]]


def bucket(module: Module, name: str, properties: dict[str, Any]) -> Made:
    bucket_id = ("bucket", f"{module.address(name)}.id")
    (encryption,) = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    by_default = [
        ("sse_algorithm", module.expr(encryption["ServerSideEncryptionByDefault"]["SSEAlgorithm"])),
        ("kms_master_key_id", module.expr(encryption["ServerSideEncryptionByDefault"]["KMSMasterKeyID"])),
    ]
    rule = [
        ("apply_server_side_encryption_by_default", block(by_default)),
        ("bucket_key_enabled", module.expr(encryption["BucketKeyEnabled"])),
    ]
    blocked = properties["PublicAccessBlockConfiguration"]
    (ownership,) = properties["OwnershipControls"]["Rules"]
    is_logged, logging, _ = properties["LoggingConfiguration"]["Fn::If"]
    made: Made = [
        (
            "aws_s3_bucket",
            "",
            [("bucket_prefix", '"${lower(var.name)}-"'), ("lifecycle", block([("prevent_destroy", "true")]))],
        ),
        (
            "aws_s3_bucket_public_access_block",
            "",
            [bucket_id, *((snake(key), module.expr(value)) for key, value in blocked.items())],
        ),
        (
            "aws_s3_bucket_ownership_controls",
            "",
            [bucket_id, ("rule", block([("object_ownership", quoted(ownership["ObjectOwnership"]))]))],
        ),
        ("aws_s3_bucket_server_side_encryption_configuration", "", [bucket_id, ("rule", block(rule))]),
        (
            "aws_s3_bucket_versioning",
            "",
            [
                bucket_id,
                (
                    "versioning_configuration",
                    block([("status", quoted(properties["VersioningConfiguration"]["Status"]))]),
                ),
            ],
        ),
        (
            "aws_s3_bucket_lifecycle_configuration",
            "",
            [
                bucket_id,
                *(("rule", block(lifecycle(module, rule))) for rule in properties["LifecycleConfiguration"]["Rules"]),
                ("depends_on", f"[aws_s3_bucket_versioning.{snake(name)}]"),
            ],
        ),
        (
            "aws_s3_bucket_logging",
            "",
            [
                ("count", f"local.create_bucket && local.{snake(is_logged)} ? 1 : 0"),
                bucket_id,
                *module.given(logging, target_bucket="DestinationBucketName", target_prefix="LogFilePrefix"),
            ],
        ),
    ]
    return made


def lifecycle(module: Module, rule: dict[str, Any]) -> Pairs:
    """Returns a rule of a bucket's lifecycle. Without an action that it knows, it would delete nothing and say so
    nowhere.
    """
    known = {"Id", "Status", "Prefix", "ExpirationInDays", "ExpiredObjectDeleteMarker"}
    nested = {"NoncurrentVersionExpiration": "NoncurrentDays", "AbortIncompleteMultipartUpload": "DaysAfterInitiation"}
    for key in rule:
        if key not in known | set(nested) or (key in nested and set(rule[key]) != {nested[key]}):
            raise SystemExit(f"{key} of a lifecycle's rule is not known to tools/terraform.py")
    prefix = module.given(rule, prefix="Prefix")
    pairs: Pairs = [
        ("id", quoted(rule["Id"])),
        ("status", quoted(rule["Status"])),
        ("filter", block(prefix) if prefix else "{block}{}"),
    ]
    if expiration := module.given(
        rule, days="ExpirationInDays", expired_object_delete_marker="ExpiredObjectDeleteMarker"
    ):
        pairs.append(("expiration", block(expiration)))
    for key, days in nested.items():
        if key in rule:
            pairs.append((snake(key), block([(snake(days), module.expr(rule[key][days]))])))
    return pairs


def bucket_policy(module: Module, _: str, properties: dict[str, Any]) -> Made:
    pairs = [("bucket", module.expr(properties["Bucket"])), ("policy", module.json(properties["PolicyDocument"]))]
    return [("aws_s3_bucket_policy", "", pairs)]


def secret(module: Module, name: str, properties: dict[str, Any]) -> Made:
    pairs = [
        ("name_prefix", '"${var.name}-source-"'),
        *module.given(properties, description="Description", kms_key_id="KmsKeyId"),
    ]
    version = [
        ("secret_id", f"{module.address(name)}.id"),
        ("secret_string", module.expr(properties["SecretString"])),
    ]
    return [("aws_secretsmanager_secret", "", pairs), ("aws_secretsmanager_secret_version", "", version)]


def managed_policy(module: Module, name: str, properties: dict[str, Any]) -> Made:
    pairs = [
        ("name_prefix", f'"${{var.name}}-{kebab(name)}-"'),
        *module.given(properties, description="Description"),
        ("policy", module.json(properties["PolicyDocument"])),
    ]
    return [("aws_iam_policy", "", pairs)]


def role(module: Module, name: str, properties: dict[str, Any]) -> Made:
    trust = module.json(properties["AssumeRolePolicyDocument"])
    short = kebab(name.removesuffix("Role"))
    made: Made = [
        (
            "aws_iam_role",
            "",
            [("name", f'"${{var.name}}-{short}-${{{PSEUDO["AWS::Region"]}}}"'), ("assume_role_policy", trust)],
        )
    ]
    of_role = ("role", f"{module.address(name)}.name")
    for policy in properties["Policies"]:
        pairs = [("name", quoted(policy["PolicyName"])), of_role, ("policy", module.json(policy["PolicyDocument"]))]
        made.append(("aws_iam_role_policy", "", pairs))
    for arn in properties.get("ManagedPolicyArns", []):
        made.append(("aws_iam_role_policy_attachment", "", [of_role, ("policy_arn", module.expr(arn))]))
    return made


def role_policy(module: Module, _: str, properties: dict[str, Any]) -> Made:
    (of_role,) = properties["Roles"]
    pairs = [
        ("name", quoted(properties["PolicyName"])),
        ("role", module.expr(of_role)),
        ("policy", module.json(properties["PolicyDocument"])),
    ]
    return [("aws_iam_role_policy", "", pairs)]


def function(module: Module, name: str, properties: dict[str, Any]) -> Made:
    shared = module.template["Globals"]["Function"]
    short = kebab(name.removesuffix("Function"))
    package = f'"${{local.packages}}/{Path(properties["CodeUri"]).name}"'
    variables = shared["Environment"]["Variables"] | properties.get("Environment", {}).get("Variables", {})
    logging = properties["LoggingConfig"]
    of_role = snake(properties["Role"]["Fn::GetAtt"][0])
    pairs = [
        ("function_name", f'"${{var.name}}-{short}"'),
        *module.given(properties, description="Description", role="Role"),
        ("filename", package),
        ("source_code_hash", f"filebase64sha256({package})"),
        *module.given(shared, runtime="Runtime", handler="Handler", architectures="Architectures"),
        *module.given(properties, memory_size="MemorySize", timeout="Timeout"),
    ]
    if "ReservedConcurrentExecutions" in properties:
        # Terraform says with -1 that nothing is reserved.
        condition, number, _ = properties["ReservedConcurrentExecutions"]["Fn::If"]
        reserved = f"(local.{snake(condition)} ? {module.expr(number)} : -1)"
        pairs.append(("reserved_concurrent_executions", reserved))
    pairs += [
        ("tracing_config", block([("mode", quoted(shared["Tracing"]))])),
        ("logging_config", block([(snake(key), module.expr(value)) for key, value in logging.items()])),
        ("environment", block([("variables", module.expr(variables))])),
        *module.optional(shared["VpcConfig"], "vpc_config"),
        # Lambda uses the role's rights, which are attached by other resources.
        ("depends_on", f"[aws_iam_role_policy.{of_role}, aws_iam_role_policy_attachment.{of_role}]"),
    ]
    return [("aws_lambda_function", "", pairs)]


def log_group(module: Module, _: str, properties: dict[str, Any]) -> Made:
    names = {"name": "LogGroupName", "retention_in_days": "RetentionInDays", "kms_key_id": "KmsKeyId"}
    return [("aws_cloudwatch_log_group", "", module.given(properties, **names))]


def metric_filter(module: Module, name: str, properties: dict[str, Any]) -> Made:
    (transformation,) = properties["MetricTransformations"]
    names = {"name": "MetricName", "namespace": "MetricNamespace", "value": "MetricValue", "unit": "Unit"}
    pairs = [
        ("name", quoted(kebab(name))),
        *module.given(properties, log_group_name="LogGroupName", pattern="FilterPattern"),
        ("metric_transformation", block(module.given(transformation, **names))),
    ]
    return [("aws_cloudwatch_log_metric_filter", "", pairs)]


def state_machine(module: Module, name: str, properties: dict[str, Any]) -> Made:
    values = module.expr(properties["DefinitionSubstitutions"])
    file = properties["DefinitionS3Location"]
    logging = properties["LoggingConfiguration"]
    (destination,) = logging["Destinations"]
    group = module.expr(destination["CloudWatchLogsLogGroup"]["LogGroupArn"])
    condition, key, _ = properties["EncryptionConfiguration"]["Fn::If"]
    encryption = [
        ("type", quoted(key["Type"])),
        ("kms_key_id", module.expr(key["KmsKeyId"])),
        ("kms_data_key_reuse_period_seconds", module.expr(key["KmsDataKeyReusePeriodSeconds"])),
    ]
    for_each = ("for_each", f"local.{snake(condition)} ? [1] : []")
    logs = [
        ("level", quoted(logging["Level"])),
        ("include_execution_data", module.expr(logging["IncludeExecutionData"])),
        ("log_destination", group),
    ]
    pairs = [
        ("name", f'"${{var.name}}-{kebab(name)}"'),
        ("role_arn", module.expr(properties["RoleArn"])),
        ("definition", f'templatefile("${{path.module}}/../{file}", {values})'),
        ("logging_configuration", block(logs)),
        ("tracing_configuration", block([("enabled", module.expr(properties["TracingConfiguration"]["Enabled"]))])),
        ('dynamic "encryption_configuration"', block([for_each, ("content", block(encryption))])),
        ("depends_on", f"[aws_iam_role_policy_attachment.{snake(properties['RoleArn']['Fn::GetAtt'][0])}]"),
    ]
    return [("aws_sfn_state_machine", "", pairs)]


def schedule(module: Module, _: str, properties: dict[str, Any]) -> Made:
    target = properties["Target"]
    retries = target["RetryPolicy"]
    of_target = [
        *module.given(target, arn="Arn", role_arn="RoleArn", input="Input"),
        ("retry_policy", block([(snake(key), module.expr(value)) for key, value in retries.items()])),
        ("dead_letter_config", block([("arn", module.expr(target["DeadLetterConfig"]["Arn"]))])),
    ]
    names = {
        "description": "Description",
        "schedule_expression": "ScheduleExpression",
        "schedule_expression_timezone": "ScheduleExpressionTimezone",
        "state": "State",
    }
    pairs = [
        ("name", '"${var.name}"'),
        *module.given(properties, **names),
        ("flexible_time_window", block([("mode", quoted(properties["FlexibleTimeWindow"]["Mode"]))])),
        ("target", block(of_target)),
    ]
    return [("aws_scheduler_schedule", "", pairs)]


def queue(module: Module, name: str, properties: dict[str, Any]) -> Made:
    names = {"message_retention_seconds": "MessageRetentionPeriod", "sqs_managed_sse_enabled": "SqsManagedSseEnabled"}
    pairs = [("name_prefix", f'"${{var.name}}-{kebab(name)}-"'), *module.given(properties, **names)]
    return [("aws_sqs_queue", "", pairs)]


def queue_policy(module: Module, _: str, properties: dict[str, Any]) -> Made:
    (url,) = properties["Queues"]
    pairs = [("queue_url", module.expr(url)), ("policy", module.json(properties["PolicyDocument"]))]
    return [("aws_sqs_queue_policy", "", pairs)]


def topic(module: Module, name: str, properties: dict[str, Any]) -> Made:
    pairs = [("name_prefix", f'"${{var.name}}-{kebab(name)}-"'), *module.given(properties, display_name="DisplayName")]
    return [("aws_sns_topic", "", pairs)]


def topic_policy(module: Module, _: str, properties: dict[str, Any]) -> Made:
    (arn,) = properties["Topics"]
    return [
        ("aws_sns_topic_policy", "", [("arn", module.expr(arn)), ("policy", module.json(properties["PolicyDocument"]))])
    ]


def subscription(module: Module, _: str, properties: dict[str, Any]) -> Made:
    names = {"topic_arn": "TopicArn", "protocol": "Protocol", "endpoint": "Endpoint"}
    return [("aws_sns_topic_subscription", "", module.given(properties, **names))]


def event_rule(module: Module, name: str, properties: dict[str, Any]) -> Made:
    rule = [
        ("name", f'"${{var.name}}-{kebab(name)}"'),
        *module.given(properties, description="Description"),
        ("event_pattern", module.json(properties["EventPattern"])),
    ]
    (target,) = properties["Targets"]
    transformer = target["InputTransformer"]
    transformed = [
        ("input_paths", module.expr(transformer["InputPathsMap"])),
        ("input_template", module.expr(transformer["InputTemplate"])),
    ]
    of_target = [
        ("rule", f"{module.address(name)}.name"),
        ("target_id", quoted(target["Id"])),
        ("arn", module.expr(target["Arn"])),
        ("dead_letter_config", block([("arn", module.expr(target["DeadLetterConfig"]["Arn"]))])),
        ("input_transformer", block(transformed)),
    ]
    return [("aws_cloudwatch_event_rule", "", rule), ("aws_cloudwatch_event_target", "", of_target)]


def alarm(module: Module, name: str, properties: dict[str, Any]) -> Made:
    names = {
        "alarm_description": "AlarmDescription",
        "namespace": "Namespace",
        "metric_name": "MetricName",
        "statistic": "Statistic",
        "period": "Period",
        "evaluation_periods": "EvaluationPeriods",
        "datapoints_to_alarm": "DatapointsToAlarm",
        "threshold": "Threshold",
        "comparison_operator": "ComparisonOperator",
        "treat_missing_data": "TreatMissingData",
        "alarm_actions": "AlarmActions",
        "ok_actions": "OKActions",
    }
    dimensions = {each["Name"]: each["Value"] for each in properties.get("Dimensions", [])}
    pairs = [("alarm_name", f'"${{var.name}}-{kebab(name)}"'), *module.given(properties, **names)]
    if dimensions:
        pairs.append(("dimensions", module.expr(dimensions)))
    return [("aws_cloudwatch_metric_alarm", "", pairs)]


def dashboard(module: Module, _: str, properties: dict[str, Any]) -> Made:
    names = {"dashboard_name": "DashboardName", "dashboard_body": "DashboardBody"}
    return [("aws_cloudwatch_dashboard", "", module.given(properties, **names))]


MAKERS: dict[str, Callable[[Module, str, dict[str, Any]], Made]] = {
    "AWS::S3::Bucket": bucket,
    "AWS::S3::BucketPolicy": bucket_policy,
    "AWS::SecretsManager::Secret": secret,
    "AWS::IAM::ManagedPolicy": managed_policy,
    "AWS::IAM::Role": role,
    "AWS::IAM::Policy": role_policy,
    "AWS::Serverless::Function": function,
    "AWS::Logs::LogGroup": log_group,
    "AWS::Logs::MetricFilter": metric_filter,
    "AWS::StepFunctions::StateMachine": state_machine,
    "AWS::Scheduler::Schedule": schedule,
    "AWS::SQS::Queue": queue,
    "AWS::SQS::QueuePolicy": queue_policy,
    "AWS::SNS::Topic": topic,
    "AWS::SNS::TopicPolicy": topic_policy,
    "AWS::SNS::Subscription": subscription,
    "AWS::Events::Rule": event_rule,
    "AWS::CloudWatch::Alarm": alarm,
    "AWS::CloudWatch::Dashboard": dashboard,
}


def files() -> dict[str, str]:
    """Returns the files of the module."""
    module = Module(cloudformation.read(TEMPLATE))
    texts = {"variables.tf": module.variables(), "main.tf": module.main(), "outputs.tf": module.outputs()}
    # There are neither spaces at the end of a line nor an empty line at the beginning of a block.
    return {name: HEAD + re.sub(r"(?<=\{\n)\n", "", re.sub(r"(?m) +$", "", text)) for name, text in texts.items()}


def main(arguments: list[str]) -> int:
    stale = []
    for name, text in files().items():
        path = MODULE / name
        if arguments == ["--check"]:
            stale += [name] if not path.is_file() or path.read_text() != text else []
        else:
            path.write_text(text)
    if stale:
        print(f"not as the template says (make terraform): {', '.join(stale)}", file=sys.stderr)
    return int(bool(stale))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
