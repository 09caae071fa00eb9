"""Makes the parameters that `make deploy` gives to the template, and checks them before anything is built.

It reads SECRET_ARN, TABLES, ARCH, CA_BUNDLE, STACK, TAGS, TIDEMARK and PARAMETERS from the environment and writes the
file named by the argument, with every parameter of the template: one that is left out of a deployment would keep its
value in the stack. When something is missing or does not fit, it says what to do and ends with 1.
"""

import json
import math
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import cloudformation
import schedules
import yaml

TEMPLATE = Path(__file__).resolve().parents[1] / "infra/template.yaml"

# The bytes that a parameter of CloudFormation can hold.
MOST_BYTES = 4096
# The name of a stack.
STACK = r"[A-Za-z][A-Za-z0-9-]{0,127}"
# A tag of a stack. The names that AWS gives itself begin with aws:.
TAG = r"(?!aws:)[\w .:/+@-]{1,128}=[\w .:/=+@-]{0,256}"
# The first version of the AWS SAM CLI that reads parameters from a file.
OLDEST_SAM = (1, 152)
# Where "make build" puts the file of CA_BUNDLE into a package.
CA_BUNDLE = "/var/task/ca-bundle.pem"
# The ends of names that are no buckets but other ways to one. Their requests take no owner of the bucket, or no
# conditions.
NO_BUCKETS = ("-s3alias", "--ol-s3", "--x-s3", ".mrap")
# What Lambda keeps for functions that reserve nothing.
KEPT_UNRESERVED = 100
# The functions of a run beside its copies: two lookups, and a commit or a split, with one to spare.
OTHERS_OF_A_RUN = 4
# The pieces of an upload that copy-delta has in memory, and the memory in MiB that it takes beside them.
PIECES_IN_MEMORY, MEMORY_BESIDE_PIECES = 4, 192
# The parameters that `make deploy` makes of its variables.
OF_VARIABLES = {"SourceSecretArn": "SECRET_ARN", "TablesJson": "TABLES", "Architecture": "ARCH"}


class Refused(Exception):
    """Something is missing or does not fit."""


def run(*command: str) -> str | None:
    """Returns what a command writes, or `None` if it is not there or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def check_sam() -> None:
    """Refuses an AWS SAM CLI that is missing or too old, with advice."""
    if not shutil.which("sam"):
        raise Refused("The AWS SAM CLI is not installed: pipx install aws-sam-cli")
    found = re.search(r"(\d+)\.(\d+)\.\d+", run("sam", "--version") or "")
    if found and (int(found[1]), int(found[2])) < OLDEST_SAM:
        oldest = ".".join(map(str, OLDEST_SAM))
        raise Refused(f"The AWS SAM CLI is {found[0]}, and {oldest} or later is needed: pipx upgrade aws-sam-cli")


def tables_json(path: str, tidemark: str) -> str:
    """Returns the tables of a file as the state machine takes them, as short as JSON can be."""
    command = shutil.which("tidemark") or tidemark
    if not Path(command).is_file():
        raise Refused("The command tidemark checks the tables, and is not installed: cargo install --locked --path cli")
    done = subprocess.run([command, "tables", "--json", path], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Refused(f"TABLES={path} cannot be deployed.\n{done.stderr}".rstrip())
    text = json.dumps(json.loads(done.stdout), separators=(",", ":"), ensure_ascii=False)
    # SAM takes \" and \' for quotes and a backslash before a space for the space, so no backslash stands before one.
    text = re.sub(r'\\(["\\])', lambda escaped: f"\\u{ord(escaped[1]):04x}", text)
    size = len(text.encode())
    if size > MOST_BYTES:
        raise Refused(
            f"TABLES={path} takes {size:,} bytes, and a parameter holds {MOST_BYTES:,}. Put a list into the bucket "
            "and give its key as TableListKey in PARAMETERS=file.yaml without TABLES: docs/how-to/many-tables.md"
        )
    return text


def text_of(name: str, value: Any) -> str:
    """Returns a value of the YAML file as a parameter's text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ",".join(text_of(name, part).strip() for part in value)
    if isinstance(value, str | int):
        return str(value)
    raise Refused(f"{name} is {value!r} in PARAMETERS, and must be a text: put it into quotes")


def given(path: str) -> dict[str, str]:
    """Returns the parameters in the file of the user's."""
    if not path:
        return {}
    try:
        found = yaml.safe_load(Path(path).read_text(encoding="utf-8-sig")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise Refused(f"PARAMETERS={path} cannot be read as YAML: {error}") from error
    if not isinstance(found, dict):
        raise Refused(f'PARAMETERS={path} must hold lines like ScheduleEnabled: "true"')
    return {str(name): text_of(str(name), value) for name, value in found.items()}


def check(name: str, value: str, declared: dict[str, Any]) -> None:
    """Refuses a value that CloudFormation would refuse, or that SAM would change on its way."""
    if name not in declared:
        raise Refused(f"{name} is no parameter of infra/template.yaml: docs/reference/parameters.md lists them")
    facts = declared[name]
    parts = [part.strip() for part in value.split(",")] if facts["Type"] == "CommaDelimitedList" else [value]
    must = facts.get("ConstraintDescription")
    if "AllowedPattern" in facts and not all(re.fullmatch(facts["AllowedPattern"], part) for part in parts):
        raise Refused(f"{name} {must or 'has another form'}. It is {value!r}")
    if "AllowedValues" in facts and value not in map(str, facts["AllowedValues"]):
        raise Refused(f"{name} must be one of {', '.join(map(str, facts['AllowedValues']))}. It is {value!r}")
    if len(value) > facts.get("MaxLength", MOST_BYTES):
        raise Refused(f"{name} must have at most {facts.get('MaxLength', MOST_BYTES)} characters, and has {len(value)}")
    if facts["Type"] == "Number":
        least, most = facts.get("MinValue", 0), facts.get("MaxValue", 10**15)
        if not re.fullmatch(r"[0-9]{1,15}", value) or not least <= int(value) <= most:
            raise Refused(f"{name} must be a whole number from {least} to {most}. It is {value!r}")
    if re.search(r"""\\["' ]|^(["']).*\1$""", value, re.DOTALL):
        raise Refused(f"{name} has a quote around it or a backslash before a quote or a space, which SAM takes away")


def check_variables(environment: dict[str, str]) -> None:
    """Refuses what CloudFormation would refuse after the build, and a bundle that could not be packed."""
    stack, tags, bundle = (environment.get(name, "") for name in ("STACK", "TAGS", "CA_BUNDLE"))
    if stack and not re.fullmatch(STACK, stack):
        raise Refused(
            f"STACK={stack} is no name of a stack: it has letters, digits and hyphens, at most 128 characters, and "
            "begins with a letter"
        )
    try:
        words = shlex.split(tags)
    except ValueError:
        words = [tags]
    if wrong := [word for word in words if not re.fullmatch(TAG, word)]:
        raise Refused(
            f"TAGS has {wrong[0]!r}, and is a list of name=value with spaces between, like 'team=data env=prod'"
        )
    if bundle and not Path(bundle).is_file():
        raise Refused(f"CA_BUNDLE={bundle} is no file: it is a PEM file with the authority of the server")


def check_together(found: dict[str, str], more: dict[str, str], environment: dict[str, str]) -> None:
    """Refuses what fits by itself and not together."""
    for name, variable in OF_VARIABLES.items():
        if name in more:
            raise Refused(f"{name} is in PARAMETERS, and make deploy has {variable}= for it: leave {name} out")
    if more.get("CaBundle") and not environment.get("CA_BUNDLE"):
        raise Refused("CaBundle names a file in the packages, which CA_BUNDLE=file.pem puts there: give CA_BUNDLE")
    if more.get("CaBundle", CA_BUNDLE) not in ("", CA_BUNDLE):
        raise Refused(f"CaBundle is {more['CaBundle']}, and CA_BUNDLE is packed as {CA_BUNDLE}: leave CaBundle out")
    if found["SinkBucketName"].endswith(NO_BUCKETS):
        raise Refused(
            "SinkBucketName is an access point or a directory bucket: give the name of a general purpose bucket"
        )
    if f"{found['TableListKey']}/".startswith(f"{found['SinkPrefix']}/"):
        raise Refused("TableListKey is below SinkPrefix, where only the functions write: take a key outside of it")
    needed = math.ceil(int(found["PartBytes"]) * PIECES_IN_MEMORY / 2**20) + MEMORY_BESIDE_PIECES
    if int(found["CopyMemory"]) < needed:
        raise Refused(
            f"PartBytes is {found['PartBytes']}, and CopyMemory {found['CopyMemory']}: copy-delta needs {needed} MB "
            f"for {PIECES_IN_MEMORY} pieces of that size. Raise CopyMemory, or lower PartBytes"
        )
    wait, hours = schedules.longest_wait(found["ScheduleExpression"]), int(found["NoSuccessAlarmHours"])
    if found["ScheduleEnabled"] == "true" and wait and 0 < hours <= wait:
        raise Refused(
            f"{found['ScheduleExpression']} starts no run for up to {wait:g} hours, and NoSuccessAlarmHours is {hours}:"
            " the alarm rings without a cause. Give more hours than that, or 0 for no alarm"
        )


def parameters(environment: dict[str, str], template: dict[str, Any]) -> dict[str, str]:
    """Returns all parameters of the template, those that nothing is given for with their defaults."""
    if not environment.get("SECRET_ARN"):
        raise Refused("SECRET_ARN is missing: the ARN of a secret with host, port, username, password and dbname")
    declared = template["Parameters"]
    more = given(environment.get("PARAMETERS", ""))
    tables, has_list = environment.get("TABLES", ""), bool(more.get("TableListKey"))
    if has_list and tables:
        raise Refused("TABLES and TableListKey are both given, and a schedule reads one of them: leave TABLES out")
    if not has_list and not tables:
        raise Refused("TABLES is missing: a file with the tables to copy, like infra/tables.json")
    found = {name: str(facts.get("Default", "")) for name, facts in declared.items()} | more
    found["SourceSecretArn"] = environment["SECRET_ARN"]
    found["Architecture"] = environment.get("ARCH") or "x86_64"
    found["CaBundle"] = CA_BUNDLE if environment.get("CA_BUNDLE") else ""
    for name, value in found.items():
        check(name, value, declared)
    check_together(found, more, environment)
    if not has_list:
        found["TablesJson"] = tables_json(tables, environment.get("TIDEMARK", ""))
    if against := cloudformation.refused(template, cloudformation.split(declared, found)):
        raise Refused("\n".join(against))
    return found


def of_stack(stack: str) -> dict[str, str] | None:
    """Returns the parameters of the stack as it is, none if there is no stack, or `None` if they cannot be read."""
    query = ("--query", "Stacks[0].Parameters", "--output", "json")
    answer = run("aws", "cloudformation", "describe-stacks", "--stack-name", stack, *query)
    if answer is None:
        return None
    return {each["ParameterKey"]: each["ParameterValue"] for each in json.loads(answer) or []}


def tell_what_is_unset(
    stack: str, before: dict[str, str] | None, found: dict[str, str], declared: dict[str, Any], named: set[str]
) -> None:
    """Says which parameters of the stack go back to their defaults, because nothing is given for them."""
    if before is None:
        print(
            f"The parameters of the stack {stack} could not be read, if there is one. What is not given is its default."
        )
        return
    for name, value in sorted(before.items()):
        if name in declared and name not in named and not declared[name].get("NoEcho") and value != found[name]:
            print(f"{name} goes back to its default, {found[name]!r}. It is {value!r} in the stack {stack}.")


def unreserved() -> int | None:
    """Returns how many invocations the account has for functions that reserve nothing, or `None` if it does not say."""
    query = ("--query", "AccountLimit.UnreservedConcurrentExecutions", "--output", "json")
    answer = run("aws", "lambda", "get-account-settings", *query)
    return int(answer) if answer and answer.strip().isdigit() else None


def check_concurrency(found: dict[str, str], before: dict[str, str] | None, free: int | None) -> None:
    """Refuses to reserve more than the account has, and says what to set where a run would ask for more than that.

    What the stack reserves already is free for it, and `free` does not have it. A new account has 10 invocations.
    """
    if free is None:
        print(
            "How many functions this account can run at once could not be read (lambda:GetAccountSettings). "
            "Compare it with TableConcurrency times SliceConcurrency."
        )
        return
    reserved = int(found["CopyReservedConcurrency"])
    free += int((before or {}).get("CopyReservedConcurrency", "0"))
    if reserved > max(0, free - KEPT_UNRESERVED):
        advice = "leave it out" if free <= KEPT_UNRESERVED else f"give {free - KEPT_UNRESERVED} at most"
        raise Refused(
            f"CopyReservedConcurrency is {reserved}. This account has {free} invocations that nobody has reserved, and "
            f"Lambda keeps {KEPT_UNRESERVED} of them: {advice}, or ask AWS for a higher limit of concurrent executions"
        )
    tables, slices = int(found["TableConcurrency"]), int(found["SliceConcurrency"])
    runs = int(found["RunConcurrency"]) if found["TableListKey"] else 1
    room = max(1, free - OTHERS_OF_A_RUN)
    if reserved or tables * slices * runs <= room:
        return
    # Tables come first, as in the state machine.
    fit_runs = min(runs, room)
    fit_tables = min(tables, room // fit_runs)
    fit = {"TableConcurrency": fit_tables, "SliceConcurrency": min(slices, room // fit_runs // fit_tables)}
    if fit_runs < runs:
        fit["RunConcurrency"] = fit_runs
    advice = ", ".join(f'{name}: "{value}"' for name, value in fit.items())
    wanted = f"TableConcurrency {tables} times SliceConcurrency {slices}"
    wanted += f" times RunConcurrency {runs}" if runs > 1 else ""
    print(
        f"{wanted} is {tables * slices * runs} copies at once. This account can run {free} functions at once that have "
        f"reserved nothing, and a run needs {OTHERS_OF_A_RUN} beside its copies. Lambda refuses the others, which "
        f"wait, and may fail in the end. Set {advice} in PARAMETERS, or ask AWS for a higher limit of concurrent "
        "executions."
    )


def main(target: Path) -> int:
    environment = dict(os.environ)
    template = cloudformation.read(TEMPLATE)
    declared = template["Parameters"]
    stack = environment.get("STACK") or "tidemark"
    try:
        check_sam()
        check_variables(environment)
        found = parameters(environment, template)
        before = of_stack(stack)
        check_concurrency(found, before, unreserved())
    except Refused as refusal:
        print(refusal, file=sys.stderr)
        return 1
    variables = OF_VARIABLES | {"CaBundle": "CA_BUNDLE"}
    named = {name for name, variable in variables.items() if environment.get(variable)}
    named |= {"TablesJson", *given(environment.get("PARAMETERS", ""))}
    tell_what_is_unset(stack, before, found, declared, named)
    target.parent.mkdir(exist_ok=True)
    # A password may be among them. JSON is YAML.
    target.touch(mode=0o600)
    target.chmod(0o600)
    target.write_text(json.dumps(found) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
