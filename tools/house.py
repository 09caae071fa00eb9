"""Prints the figures of the code base and checks their limits: `make house`.

It reads the sources as text, with no more Rust than it takes to tell code from comments, tests from product, and one
block from another. It ends with 1 when a limit is exceeded.
"""

import json
import re
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STAND_IN = "tests/sandbox/src"
PRODUCT = ("functions", "shared", "cli")

# The type that was added last, and its name in the code of the types. A new one takes changes in the same files.
NEWEST_TYPE = "sql_variant"
NEWEST_IN_CODE = re.compile(r"\bSqlType::Variant\b|\bvariant::|\bis_variant\b|\bS[Ss]Variant\b")
# An option of a type is a setting of a table, and has the files of a setting.
NEWEST_OPTION = re.compile(r"variant_columns|VariantColumns")
ROOM = "shared/sqlserver/src/"

MOST_LINES_OF_THE_STAND_IN = 16_000
MOST_LINES_OF_A_FUNCTION = 70
DEEPEST_NESTING = 5
MOST_FILES_OF_A_TYPE = 6
MOST_RECURSION_LIMITS = 1
MOST_BOTH_WAYS = 12

# The types whose names mean nothing else.
TYPES = (
    NEWEST_TYPE,
    "hierarchyid",
    "geography",
    "uniqueidentifier",
    "datetimeoffset",
    "smallmoney",
    "rowversion",
    "xml",
)

# Where SQL text is: the statements that the product runs, and those that `tidemark sql` prints for the engines of
# readers. A message that advises a person what to grant, to switch on or to make for a login has no such text.
STATEMENTS = "shared/sqlserver/src/statements/"
PRINTED = "cli/src/verbs/sql"
FAKES = "shared/core/src/testing/"
SQL_TEXT = re.compile(
    r"""\b(?:CAST|CONVERT|DATEADD)\( | \bSYS\w*DATETIME | \bN' | \bSELECT\b.*\bFROM\b
    | \b(?:INSERT|UPDATE|DELETE|MERGE|EXEC|EXECUTE|DECLARE|DROP|TRUNCATE|WHERE)\s+[\[@{\w]
    | \b(?:ALTER|CREATE)\s+(?!DATABASE|TABLE|LOGIN|USER)[\[@{\w]""",
    re.DOTALL | re.VERBOSE,
)

# A type of SQL Server as it is declared. `cli/src/verbs/sql` writes those of other engines.
SQL_TYPE = re.compile(
    r"(?:(?:tiny|small|big)?int|bit|decimal|numeric|(?:small)?money|float|real|date|time|(?:small)?datetime2?"
    r"|datetimeoffset|rowversion|timestamp|n?(?:var)?char|n?text|(?:var)?binary|image|xml|uniqueidentifier|sql_variant|hierarchyid"
    r"|geography|geometry|sysname)(?:\([\w, ]*\))?"
)
# The rooms that may not name one, the words that mean something else as well, and a setting that is spelled like one.
OTHERS = ("aws", "core/src", "files", "folder", "lambda")
WITHOUT_TYPES = ("cli/src/", "functions/", *(f"shared/{room}/" for room in OTHERS))
PLAIN_WORDS = {"text", "date", "time", "bit", "image", "real"}
SETTINGS_LIKE_TYPES = {"cli/src/tables_file/fields.rs": {"bigint"}}

# The crates of shared/ in the place of crates of others, as which they are used.
STAND_INS = {"crc-fast", "native-tls", "openssl"}
# The crates of this project that a crate may use, beside itself. Tests may use all.
ROOMS = {"tidemark-aws", "tidemark-files", "tidemark-folder", "tidemark-lambda", "tidemark-sqlserver"}
CORE = "tidemark"
TRUST = "tidemark-trust"


@dataclass
class Function:
    name: str
    place: str
    lines: int
    nesting: int


@dataclass
class Source:
    """A Rust file: its code without comments and literals, line by line, and which lines are tests."""

    path: str
    code: list[str]
    is_test: list[bool]
    functions: list[Function] = field(default_factory=list)

    def lines(self, tests: bool = False) -> int:
        return sum(
            1 for text, is_test in zip(self.code, self.is_test, strict=True) if text.strip() and is_test == tests
        )


# --- reading Rust

TOKENS = re.compile(
    r"""
      (?P<comment> //[^\n]* | /\* )
    | (?P<raw> \bb?c?r(?P<hashes>\#*)" )
    | (?P<text> " )
    | (?P<char> '(?:\\(?:u\{[^}]*\}|x..|.)|[^\\'])' )
    """,
    re.VERBOSE | re.DOTALL,
)


def code_of(text: str) -> str:
    """Returns the same text, with blanks for comments and for the content of literals. Lines stay where they are."""
    out = []
    at = 0
    while match := TOKENS.search(text, at):
        out.append(text[at : match.start()])
        end = end_of(text, match)
        removed = text[match.start() : end]
        blank = re.sub(r"[^\n]", " ", removed)
        # A literal leaves its quotes, so that its line still counts as code, on every line of it.
        out.append(blank if match["comment"] else re.sub(r" +(?=\n|$)|^ ", '"', blank) if removed.strip() else blank)
        at = end
    out.append(text[at:])
    return "".join(out)


def literals_of(text: str) -> list[tuple[int, str]]:
    """Returns the literals of text, each with the number of the line that it begins on."""
    found = []
    at = 0
    while match := TOKENS.search(text, at):
        at = end_of(text, match)
        if match["text"] or match["raw"]:
            found.append((text.count("\n", 0, match.start()), text[match.start() : at]))
    return found


def end_of(text: str, match: re.Match) -> int:
    if match["comment"] == "/*":
        depth, at = 1, match.end()
        while depth:
            mark = re.compile(r"/\*|\*/").search(text, at)
            if not mark:
                return len(text)
            depth += 1 if mark[0] == "/*" else -1
            at = mark.end()
        return at
    if match["raw"]:
        closing = text.find('"' + match["hashes"], match.end())
        return len(text) if closing < 0 else closing + 1 + len(match["hashes"])
    if match["text"]:
        closing = re.compile(r'(?:[^"\\]|\\.)*"', re.DOTALL).match(text, match.end())
        return closing.end() if closing else len(text)
    return match.end()


def closing_brace(code: str, opening: int) -> int:
    depth = 0
    for mark in re.compile(r"[{}]").finditer(code, opening):
        depth += 1 if mark[0] == "{" else -1
        if depth == 0:
            return mark.start()
    return len(code) - 1


def test_lines(path: str, code: str) -> list[bool]:
    count = code.count("\n") + 1
    name = Path(path)
    if name.stem.endswith("tests") or {"tests", "benches"} & set(name.parts[1:-1]):
        return [True] * count
    marked = [False] * count
    for match in re.finditer(r"#\[cfg\(test\)\]", code):
        end = re.compile(r"[;{]").search(code, match.end())
        if not end:
            continue
        last = end.start() if end[0] == ";" else closing_brace(code, end.start())
        for line in range(code.count("\n", 0, match.start()), code.count("\n", 0, last) + 1):
            marked[line] = True
    return marked


# --- functions and what is nested in them

FUNCTION = re.compile(r"\bfn\s+(\w+)")
KEYWORDS = re.compile(
    r"\b(if|match|for|while|let|in|fn|impl|trait|struct|enum|union|mod)\b|(?<![=<>!+\-*/&|^%])=(?![=>])"
)


def functions_of(path: str, code: str) -> list[Function]:
    found = []
    for match in FUNCTION.finditer(code):
        opening = body_of(code, match.end())
        if opening is None:
            continue
        closing = closing_brace(code, opening)
        text = code[match.start() : closing + 1]
        lines = sum(1 for line in text.split("\n") if line.strip())
        place = f"{path}:{code.count(chr(10), 0, match.start()) + 1}"
        found.append(Function(match[1], place, lines, nesting_of(code, opening, closing)))
    return found


def body_of(code: str, at: int) -> int | None:
    """Returns where a function's body begins, or `None` if it has none."""
    depth = 0
    for mark in re.compile(r"[()\[\]{;]").finditer(code, at):
        if mark[0] in "([":
            depth += 1
        elif mark[0] in ")]":
            depth -= 1
        elif depth == 0:
            return mark.start() if mark[0] == "{" else None
    return None


def nesting_of(code: str, opening: int, closing: int) -> int:
    """Returns how many blocks of conditions, loops, arms and closures stand within one another below the body. Values
    do not count.
    """
    deepest = depth = 0
    stack = []
    for mark in re.compile(r"[{}]").finditer(code, opening + 1, closing):
        if mark[0] == "{":
            is_block = begins_a_block(code, opening, mark.start())
            stack.append(is_block)
            depth += is_block
            deepest = max(deepest, depth)
        elif stack:
            depth -= stack.pop()
    return deepest


def begins_a_block(code: str, body: int, brace: int) -> bool:
    before = code[body:brace].rstrip()
    if before.endswith("::"):
        return False
    if re.search(r"(=>|\||;|\{|\}|[^=!<>]=|\(|,|\b(else|loop|unsafe|async|move|const))$", before):
        return True
    words = [found[0] for found in KEYWORDS.finditer(head_of(before))]
    for word in reversed(words):
        if word in ("if", "match", "while"):
            return True
        if word == "let":
            # This is a pattern, until its `=`.
            return False
        if word == "=":
            return "if" in words or "while" in words or "match" in words
        if word == "in":
            return True
        if word == "for":
            return False
        if word == "fn":
            return True
    return False


def head_of(before: str) -> str:
    """Returns the text before a brace, back to the beginning of its statement, arm or argument."""
    depth = 0
    for at in range(len(before) - 1, -1, -1):
        mark = before[at]
        if mark in ")]}":
            depth += 1
        elif mark in "([{":
            if depth == 0:
                return before[at + 1 :]
            depth -= 1
        elif depth == 0 and (mark in ";," or before[at : at + 2] == "=>"):
            return before[at + 1 :]
    return before


# --- modules and who uses whom


# A module passes on some of what it takes in.
PASSED_ON = r"\bpub(?:\([^)]*\))?\s+use\s+"
IMPORT = r"\buse\s+"


def module_of(path: Path) -> tuple[str, ...]:
    parts = path.with_suffix("").parts
    if parts[-1] in ("lib", "main", "mod"):
        parts = parts[:-1]
    return parts


def uses_of(code: str) -> list[str]:
    """Returns every path that begins with `crate`, `self` or `super`, with the groups of `use` taken apart."""
    found = []
    for match in re.finditer(r"(?<![\w:$])(crate|self|super)::", code):
        found.extend(paths_at(code, match.start()))
    return found


def paths_at(code: str, at: int) -> list[str]:
    head = re.compile(r"(?:\s*\w+\s*::)*").match(code, at)
    prefix = re.sub(r"\s", "", head[0])
    rest = code[head.end() :].lstrip()
    if not rest.startswith("{"):
        last = re.match(r"\w+", rest)
        return [prefix + (last[0] if last else "")]
    begin = head.end() + code[head.end() :].index("{")
    inner = code[begin + 1 : closing_brace(code, begin)]
    items, depth, start = [], 0, 0
    for index, mark in enumerate(inner + ","):
        depth += mark == "{"
        depth -= mark == "}"
        if mark == "," and depth == 0:
            items.append(inner[start:index])
            start = index + 1
    return [prefix + path for item in items if item.strip() for path in paths_at(item, 0)]


def modules_of(folder: Path) -> dict[tuple, str]:
    """Returns the code of every module of a crate, without its tests."""
    sources = {}
    for file in sorted(folder.rglob("*.rs")):
        path = str(file.relative_to(ROOT))
        code = code_of(file.read_text())
        kept = ["" if is_test else text for text, is_test in zip(code.split("\n"), test_lines(path, code), strict=True)]
        module = module_of(file.relative_to(folder))
        sources[module] = sources.get(module, "") + "\n".join(kept)
    return sources


def edges_of(sources: dict[tuple, str]) -> dict[tuple, set[tuple]]:
    """Returns which module of a crate uses which of its neighbours, at every level. A parent and its children do not
    count: see `of_parents`.
    """
    exported = {module: exports_of(text) for module, text in sources.items()}
    edges = defaultdict(set)
    for module, text in sources.items():
        for path in uses_of(text):
            target = resolve(module, path.split("::"), sources, exported)
            common = 0
            while common < min(len(module), len(target)) and module[common] == target[common]:
                common += 1
            if common < len(module) and common < len(target):
                edges[module[: common + 1]].add(target[: common + 1])
    return edges


def of_parents(sources: dict[tuple, str]) -> list[tuple]:
    """Returns the modules that take something which their parent itself has, while the parent uses them or passes on
    what they have. What it has from a third module is not its own.
    """
    taken_in = {module: exports_of(text, IMPORT) for module, text in sources.items()}
    found = []
    for child in sources:
        parent = child[:-1]
        if not parent or parent not in sources:
            continue
        if not re.search(rf"(?<!\w::)\b{child[-1]}::", uses_only(sources[parent])):
            continue
        below = [module for module in sources if module[: len(child)] == child]
        paths = [(module, path.split("::")) for module in below for path in uses_of(sources[module])]
        if any(resolve(module, path, sources, taken_in) == parent for module, path in paths):
            found.append(child)
    return found


def uses_only(code: str) -> str:
    """Returns the code without paths of other modules and crates, in which a child's name may stand."""
    paths = re.compile(r"\b\w+::(?:\w+::)*")
    return paths.sub(lambda path: path[0].split("::")[0] + "::", code.replace("self::", ""))


def exports_of(code: str, marked: str = PASSED_ON) -> dict[str, list[str]]:
    """Returns the children that a module exports: the name, and the path from which it comes."""
    names = {}
    for match in re.finditer(marked, code):
        for path in paths_at(code, match.end()):
            parts = path.split("::")
            names[parts[-1]] = parts
    return names


def resolve(module: tuple, path: list[str], sources: dict, exported: dict) -> tuple:
    at = module
    for step, name in enumerate(path):
        if name == "crate":
            at = ()
        elif name == "super":
            at = at[:-1]
        elif name != "self":
            if (*at, name) in sources:
                at = (*at, name)
                continue
            origin = exported.get(at, {}).get(name)
            if origin and origin != path and step < 8:
                inner = resolve(at, origin, sources, {**exported, at: {}})
                return inner if len(inner) > len(at) else at
            break
    return at


def circles_of(edges: dict[tuple, set[tuple]]) -> list[list[tuple]]:
    """Returns the groups of modules each of which reaches itself through the others."""
    reach = {}
    for start in edges:
        seen, todo = set(), list(edges[start])
        while todo:
            at = todo.pop()
            if at not in seen:
                seen.add(at)
                todo.extend(edges.get(at, ()))
        reach[start] = seen
    groups = {tuple(sorted(b for b in reach[a] if a in reach.get(b, ()))) for a in reach if a in reach[a]}
    return [list(group) for group in sorted(groups)]


# --- the report


def tracked(*under: str) -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *under],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return sorted(path for path in set(listed.stdout.split("\n")) if path and (ROOT / path).is_file())


def read_sources() -> list[Source]:
    sources = []
    for path in tracked(*PRODUCT, "tests"):
        if not path.endswith(".rs"):
            continue
        code = code_of((ROOT / path).read_text())
        is_test = test_lines(path, code)
        source = Source(path, code.split("\n"), is_test)
        source.functions = functions_of(path, code)
        sources.append(source)
    return sources


def crate_of(path: str) -> str:
    folder = Path(path).parent
    while not (ROOT / folder / "Cargo.toml").is_file():
        folder = folder.parent
    return str(folder)


class Report:
    def __init__(self) -> None:
        self.exceeded: list[str] = []

    def limit(self, what: str, value: int, most: int) -> None:
        print(f"  {what}: {value:,} of at most {most:,}{'' if value <= most else '   TOO MANY'}")
        if value > most:
            self.exceeded.append(what)


def print_lines(report: Report, sources: list[Source]) -> None:
    print("Lines without blanks and comments (code, and tests beside it)")
    sums = defaultdict(lambda: [0, 0])
    for source in sources:
        for tests in (False, True):
            sums[crate_of(source.path)][tests] += source.lines(tests)
    for crate, (code, tests) in sorted(sums.items()):
        print(f"  {crate:30} {code:7,} {tests:7,}")
    product = [count for crate, count in sums.items() if crate.startswith(PRODUCT)]
    print(f"  {'product':30} {sum(code for code, _ in product):7,} {sum(tests for _, tests in product):7,}")
    lines = sum(each.lines() + each.lines(True) for each in sources if each.path.startswith(STAND_IN))
    report.limit(f"lines of the stand-in ({STAND_IN})", lines, MOST_LINES_OF_THE_STAND_IN)
    # A module that lies elsewhere would not be counted.
    elsewhere = [each.path for each in sources if each.path.startswith(STAND_IN) and "#[path" in "\n".join(each.code)]
    report.limit("modules of the stand-in that lie elsewhere", len(elsewhere), 0)
    files = sorted(((source.lines() + source.lines(True), source.path) for source in sources), reverse=True)[:5]
    print("  largest files: " + ", ".join(f"{path} {lines}" for lines, path in files))


def print_functions(report: Report, sources: list[Source]) -> None:
    functions = [function for source in sources for function in source.functions]
    print("\nLongest functions")
    for function in sorted(functions, key=lambda each: -each.lines)[:10]:
        print(f"  {function.lines:4} {function.name}  {function.place}")
    report.limit("lines of a function", max(each.lines for each in functions), MOST_LINES_OF_A_FUNCTION)
    print("\nDeepest nesting (blocks within a function's body)")
    for function in sorted(functions, key=lambda each: -each.nesting)[:10]:
        print(f"  {function.nesting:4} {function.name}  {function.place}")
    report.limit("blocks within one another", max(each.nesting for each in functions), DEEPEST_NESTING)


def print_types(report: Report) -> None:
    print("\nFiles that name a SQL Server type (product, tests, docs; and the stand-in)")
    texts = {}
    for path in tracked():
        is_read = path.endswith((".rs", ".md", ".py", ".sql", ".json", ".yaml"))
        if is_read and path not in ("tools/house.py", "CONTRIBUTING.md", "Cargo.lock"):
            texts[path] = (ROOT / path).read_text()
    for name in TYPES:
        camel = name.replace("_", "")
        word = re.compile(rf"(?<![a-z]){name}(?![a-z])|{camel}(?![a-z])", re.IGNORECASE)
        in_code = NEWEST_IN_CODE if name == NEWEST_TYPE else word
        is_in_code = {path for path, text in texts.items() if path.startswith(ROOM) and in_code.search(text)}
        files = [path for path, text in texts.items() if word.search(text) or path in is_in_code]
        house = [path for path in files if not path.startswith("tests/sandbox/")]
        product = [path for path in house if path.startswith(PRODUCT)]
        print(f"  {name:18} {len(house):3} ({len(product)} of the product), {len(files) - len(house)} of the stand-in")
        if name == NEWEST_TYPE:
            for path in files:
                print(f"      {path}")
            report.limit(f"files of {name}", len(house), MOST_FILES_OF_A_TYPE)
            report.limit("files in which CONTRIBUTING.md differs from these", len(listed("type") ^ set(house)), 0)
            option = [path for path, text in texts.items() if NEWEST_OPTION.search(text)]
            print("  the option of that type, which is a setting of a table, is besides in")
            beside = [path for path in option if path not in house]
            for path in beside:
                print(f"      {path}")
            report.limit("files in which CONTRIBUTING.md differs from these", len(listed("setting") ^ set(beside)), 0)


def listed(what: str) -> set[str]:
    """Returns the files that CONTRIBUTING.md lists in its table of how to add something."""
    guide = (ROOT / "CONTRIBUTING.md").read_text().split(f"## How to add a {what}\n")[1].split("\n## ")[0]
    return set(re.findall(r"^\| `([^`]+)` \|", guide, re.MULTILINE))


def print_sql(report: Report, sources: list[Source]) -> None:
    print(f"\nSQL text of the product outside of {STATEMENTS}")
    found = []
    for source in sources:
        if source.path.startswith(PRODUCT) and not source.path.startswith((STATEMENTS, PRINTED)):
            for line, literal in literals_of((ROOT / source.path).read_text()):
                if SQL_TEXT.search(literal) and not source.is_test[line]:
                    found.append(f"{source.path}:{line + 1}")
    report.limit("literals with SQL text", len(found), 0)
    for place in found:
        print(f"      {place}")


def print_type_names(report: Report, sources: list[Source]) -> None:
    print("\nTypes of SQL Server that are named outside of its room")
    found = []
    for source in sources:
        if source.path.startswith(WITHOUT_TYPES) and not source.path.startswith((PRINTED, FAKES)):
            allowed = PLAIN_WORDS | SETTINGS_LIKE_TYPES.get(source.path, set())
            for line, literal in literals_of((ROOT / source.path).read_text()):
                name = literal.strip('"')
                if SQL_TYPE.fullmatch(name) and name not in allowed and not source.is_test[line]:
                    found.append(f"{source.path}:{line + 1} {name}")
    report.limit("names of types", len(found), 0)
    for place in found:
        print(f"      {place}")


def print_circles(report: Report) -> None:
    print("\nCircles")
    metadata = subprocess.run(
        ["cargo", "metadata", "--format-version", "1", "--no-deps", "--offline"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    packages = json.loads(metadata.stdout)["packages"]
    names = {package["name"] for package in packages} - STAND_INS
    wrong = []
    for package in packages:
        used = {need["name"] for need in package["dependencies"] if need["kind"] is None and need["name"] in names}
        folder = Path(package["manifest_path"]).relative_to(ROOT).parts[0]
        name = package["name"]
        allowed = {CORE, TRUST} if name in ROOMS else {CORE, *ROOMS} if folder in ("functions", "cli") else set()
        allowed |= {TRUST} if name in STAND_INS else set()
        if folder in PRODUCT:
            wrong.extend(f"{name} → {need}" for need in sorted(used - allowed))
    report.limit("arrows between crates that point the wrong way", len(wrong), 0)
    for arrow in wrong:
        print(f"      {arrow}")
    circles = {True: [], False: []}
    both_ways = []
    for package in packages:
        folder = Path(package["manifest_path"]).relative_to(ROOT).parent / "src"
        if (ROOT / folder).is_dir():
            modules = modules_of(ROOT / folder)
            for circle in circles_of(edges_of(modules)):
                line = f"{package['name']}: " + " ↔ ".join("::".join(module) for module in circle)
                circles[str(folder).startswith(PRODUCT)].append(line)
            if str(folder).startswith(PRODUCT):
                both_ways.extend(f"{package['name']}: {'::'.join(child)}" for child in of_parents(modules))
    report.limit("circles of the product's modules", len(circles[True]), 0)
    for line in circles[True]:
        print(f"      {line}")
    report.limit("children of the product that use their parent and are used by it", len(both_ways), MOST_BOTH_WAYS)
    for line in both_ways:
        print(f"      {line}")
    print(f"  circles of modules that only test: {len(circles[False])}")
    for line in circles[False]:
        print(f"      {line}")


def print_recursion_limits(report: Report) -> None:
    places = [path for path in tracked() if path.endswith(".rs") and "#![recursion_limit" in (ROOT / path).read_text()]
    print("\nPlaces that raise the compiler's recursion limit")
    report.limit("recursion_limit", len(places), MOST_RECURSION_LIMITS)
    for path in places:
        print(f"      {path}")


def main() -> int:
    report = Report()
    sources = read_sources()
    print_lines(report, sources)
    print_functions(report, sources)
    print_types(report)
    print_sql(report, sources)
    print_type_names(report, sources)
    print_circles(report)
    print_recursion_limits(report)
    if report.exceeded:
        print("\nExceeded: " + "; ".join(report.exceeded))
    return int(bool(report.exceeded))


if __name__ == "__main__":
    sys.exit(main())
