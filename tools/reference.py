"""Writes what docs/reference takes from the code: the settings, the command and the parameters of the template.

    .venv/bin/python tools/reference.py target/debug/tidemark            writes it between the marks of the pages
    .venv/bin/python tools/reference.py target/debug/tidemark --check    ends with 1 when a page is stale

The settings come from `tidemark schema`, the command from its own help, and the parameters from infra/template.yaml.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import cloudformation

ROOT = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- {}: written by make reference -->", "<!-- {} end -->"


def said_by(binary: Path, *arguments: str) -> str:
    """Returns what the command writes, on a terminal of 100 columns."""
    environment = os.environ | {"NO_COLOR": "1", "COLUMNS": "100"}
    for name in ("TIDEMARK_SOURCE", "TIDEMARK_SINK", "TIDEMARK_STACK"):
        environment.pop(name, None)
    ran = subprocess.run([binary, *arguments], check=True, capture_output=True, text=True, env=environment)
    return ran.stdout


# ------------------------------------------------------------------------------------------------------- the settings


def allowed(schema: dict[str, Any]) -> str:
    """Returns the values that a setting takes, in a cell of a table."""
    if "enum" in schema:
        return ", ".join(f"`{json.dumps(value)[1:-1]}`" for value in schema["enum"])
    if "oneOf" in schema:
        return "; or ".join(allowed(one) for one in schema["oneOf"])
    kinds = schema.get("type", "")
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if "integer" in kinds:
        least, most = schema.get("minimum"), schema.get("maximum")
        bounds = (
            f", {least:,} to {most:,}" if most is not None else f", at least {least:,}" if least is not None else ""
        )
        return "whole number" + bounds + (", or `null`" if "null" in kinds else "")
    if "array" in kinds:
        items = schema.get("items", {})
        return "list of names" if items.get("type") == "string" else f"list of {allowed(items)}" if items else "list"
    if "object" in kinds and isinstance(schema.get("additionalProperties"), dict):
        return f"object: column to {allowed(schema['additionalProperties'])}"
    if "object" in kinds:
        names = " or ".join(f"`{name}`" for name in schema.get("properties", {}))
        return f"object with {names}" if schema.get("maxProperties") == 1 else "object"
    return {"string": "text", "boolean": "`true`, `false`"}.get(kinds[0] if kinds else "", "any value")


# The fields that every table has come first, and the others after them by their names.
FIRST = ("table", "tracking", "columns", "exclude", "where", "format", "types", "column_types", "timestamps")


def rank(name: str) -> tuple[int, str]:
    """Returns where a field stands in the table."""
    return (FIRST.index(name) if name in FIRST else len(FIRST), name)


def rows_of_settings(properties: dict[str, Any], required: list[str], path: str = "") -> list[str]:
    """Returns a row of the table for each setting, and for the settings inside it."""
    rows = []
    for name, schema in sorted(properties.items(), key=lambda item: rank(item[0])):
        about = schema.get("description", "")
        default = re.search(r" ?Default ([^.]+)\.", about)
        said = "required" if name in required else default.group(1) if default else "none"
        if (path, name) == ("", "tracking"):
            said = "required, here or in `defaults`"
        about = about.replace(default.group(0), "") if default else about
        values = allowed(schema).replace("|", "\\|")
        rows.append(f"| `{path}{name}` | {values} | {said} | {about.strip()} |")
        inner = [schema, *schema.get("oneOf", [])]
        for one in inner:
            if "properties" in one:
                rows += rows_of_settings(one["properties"], one.get("required", []), f"{path}{name}.")
    return rows


def settings(binary: Path) -> str:
    """Returns the table of what tables.json takes."""
    schema = json.loads(said_by(binary, "schema"))
    entry = schema["properties"]["tables"]["items"]
    head = ["| Field of a table | Values | Default | Meaning |", "|---|---|---|---|"]
    top = {name: facts for name, facts in schema["properties"].items() if name != "defaults"}
    top["defaults"] = {key: value for key, value in schema["properties"]["defaults"].items() if key != "properties"}
    top["tables"] = {"type": "array", "description": "The tables of the run."}
    of_file = ["", "| Field of the file | Values | Default | Meaning |", "|---|---|---|---|"]
    of_file += rows_of_settings(top, schema["required"])
    return "\n".join(head + rows_of_settings(entry["properties"], entry["required"]) + of_file)


# -------------------------------------------------------------------------------------------------------- the command


def verbs(binary: Path) -> list[str]:
    """Returns the verbs that the command's help names, without the one that shows the help of the others."""
    listed = said_by(binary, "--help").partition("Commands:\n")[2].partition("\n\n")[0]
    named = [line.split()[0] for line in listed.splitlines() if re.match(r"  \w", line)]
    return [verb for verb in named if verb != "help"]


# The groups of options that several verbs share, and what they are about. They are printed once.
SHARED = {
    "Source": "Where the rows come from",
    "Sink": "Where the files go",
    "Output": "What every verb writes",
    "Deployed": "Every verb, beside a deployment",
}


def sections(text: str) -> dict[str, str]:
    """Returns the parts of a help by their headings. The part before the first heading has an empty one."""
    parts = re.split(r"^(\w[\w ]*):$\n", text, flags=re.MULTILINE)
    return {"": parts[0]} | dict(zip(parts[1::2], parts[2::2], strict=True))


def options_of(section: str) -> set[str]:
    """Returns the options that a part of a help names."""
    return set(re.findall(r"^ +(?:-\w, )?(--[\w-]+)", section, re.MULTILINE))


def own(text: str) -> str:
    """Returns the help of a verb without what all verbs share, and without the option for the help itself."""
    kept = {name: part for name, part in sections(text).items() if name not in SHARED}
    if "Options" in kept:
        kept["Options"] = re.sub(r"^ +-h, --help.*\n(?: {8,}\S.*\n?)*", "", kept["Options"], flags=re.MULTILINE)
    parts = [f"{name}:\n{part}" if name else part for name, part in kept.items() if part.strip()]
    return tidy("".join(part.rstrip() + "\n\n" for part in parts))


def shared(helps: dict[str, str]) -> dict[str, str]:
    """Returns the shared groups of options. It ends when two verbs have one of them with other options."""
    found: dict[str, str] = {}
    for verb, text in helps.items():
        for name, part in sections(text).items():
            if name in SHARED:
                if name in found and options_of(found[name]) != options_of(part):
                    sys.exit(f"{verb} has other options under {name} than the verbs before it")
                found[name] = max(found.get(name, ""), part, key=len)
    return found


def command(binary: Path) -> str:
    """Returns the help of the command, the options that verbs share, and what each verb has of its own."""
    top = said_by(binary, "--help")
    helps = {verb: said_by(binary, verb, "--help") for verb in verbs(binary)}
    pages = [f"### tidemark\n\n```text\n{own(top)}\n```"]
    groups = shared(helps)
    for name, about in SHARED.items():
        pages.append(f"### {name} options\n\n{about}.\n\n```text\n{tidy(dedent(groups[name]))}\n```")
    for verb, text in helps.items():
        takes = [name for name in ("Source", "Sink") if name in sections(text)]
        links = " and ".join(f"[{name} options](#{name.lower()}-options)" for name in takes)
        also = f"It also takes the {links}." if takes else "It needs neither a source nor a sink."
        pages.append(f"### tidemark {verb}\n\n```text\n{own(text)}\n```\n\n{also}")
    return "\n\n".join(pages)


def tidy(text: str) -> str:
    """Returns the text without blanks at the ends of lines."""
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


# ----------------------------------------------------------------------------------------------------- the parameters


def values_of(parameter: dict[str, Any]) -> str:
    """Returns what a parameter takes, in a cell of a table."""
    if "AllowedValues" in parameter:
        return ", ".join(f"`{value}`" for value in parameter["AllowedValues"])
    if "MinValue" in parameter and "MaxValue" in parameter:
        return f"{parameter['MinValue']:,} to {parameter['MaxValue']:,}"
    if "MinValue" in parameter:
        return f"{parameter['MinValue']:,} or more"
    if "MaxLength" in parameter:
        return f"text of at most {parameter['MaxLength']} characters"
    words = {"Number": "number", "CommaDelimitedList": "list, comma separated"}
    return words.get(parameter["Type"], "text")


def parameters() -> str:
    """Returns a table for each group of parameters of the template."""
    template = cloudformation.read(ROOT / "infra/template.yaml")
    groups = template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    parts = []
    for group in groups:
        rows = ["| Parameter | Values | Default | Meaning |", "|---|---|---|---|"]
        for name in group["Parameters"]:
            facts = template["Parameters"][name]
            default = facts.get("Default", "")
            said = f"`{default}`" if default != "" else "" if "Default" in facts else "required"
            about = " ".join(facts["Description"].split()).replace("|", "\\|").replace("*", "\\*")
            must = facts.get("ConstraintDescription")
            more = f" It {must}." if must else ""
            rows.append(f"| `{name}` | {values_of(facts)} | {said} | {about}{more} |")
        parts.append(f"### {group['Label']['default']}\n\n" + "\n".join(rows))
    return "\n\n".join(parts)


# ------------------------------------------------------------------------------------------------------------ the pages


def replaced(page: str, name: str, made: str) -> str:
    """Returns the page with other text between the marks of this name."""
    begin, end = BEGIN.format(name), END.format(name)
    before, found, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        sys.exit(f"the page has no marks {begin} … {end}")
    return f"{before}{begin}\n\n{made}\n\n{end}{after}"


def main() -> int:
    """Writes the pages, or says which are stale."""
    binary = Path(sys.argv[1]).resolve()
    made = {"settings": settings(binary), "command": command(binary), "parameters": parameters()}
    stale = 0
    for name, text in made.items():
        path = ROOT / f"docs/reference/{name}.md"
        page = path.read_text()
        new = replaced(page, name, text)
        if "--check" not in sys.argv:
            path.write_text(new)
        elif new != page:
            print(f"{path.relative_to(ROOT)} is stale: make reference")
            stale = 1
    return stale


if __name__ == "__main__":
    sys.exit(main())
