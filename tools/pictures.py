"""The pictures of the documentation, as SVG.

    python3 tools/pictures.py            writes docs/pictures/flow.svg and docs/pictures/state-machine.svg
    python3 tools/pictures.py --check    ends with 1 when one of them is stale

The state machine is drawn from `infra/incremental-copy.asl.json`: every state, what follows it, and where it goes when
it fails. The flow is drawn from the words below.
"""

import json
import sys
from html import escape
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PICTURES = ROOT / "docs/pictures"
MACHINE = ROOT / "infra/incremental-copy.asl.json"

INK, PAPER, LINE, QUIET = "#1f2933", "#ffffff", "#7b8794", "#52606d"
COLOURS = {
    "Task": "#d9e8fb",
    "Map": "#f5f7fa",
    "Choice": "#fdf3d7",
    "Wait": "#e9e3f8",
    "Pass": "#e4e7eb",
    "Succeed": "#dcf5e3",
    "Fail": "#fbdcdc",
}
MARKER = (
    '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    f'<path d="M0 0L8 4L0 8z" fill="{LINE}"/></marker></defs>'
)
FONT = "font-family=\"-apple-system,'Segoe UI',Helvetica,Arial,sans-serif\""


def text(
    x: float, y: float, words: str, size: int = 13, colour: str = INK, weight: int = 400, at: str = "start"
) -> str:
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="{size}" fill="{colour}" font-weight="{weight}" '
        f'text-anchor="{at}">{escape(words)}</text>'
    )


def box(x: float, y: float, width: float, height: float, fill: str, dashed: bool = False) -> str:
    stroke = f'stroke="{LINE}"' + (' stroke-dasharray="4 3"' if dashed else "")
    return f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="7" fill="{fill}" {stroke}/>'


def arrow(*points: tuple[float, float]) -> str:
    path = "M" + " L".join(f"{x:g} {y:g}" for x, y in points)
    return f'<path d="{path}" fill="none" stroke="{LINE}" stroke-width="1.4" marker-end="url(#tip)"/>'


def drawing(width: float, height: float, title: str, parts: list[str]) -> str:
    """Returns a whole picture on a background of its own, so that it can be read on a dark page too."""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'height="{height:g}" role="img" {FONT}><title>{escape(title)}</title>'
    )
    paper = f'<rect x="1" y="1" width="{width - 2:g}" height="{height - 2:g}" rx="10" fill="{PAPER}" stroke="#cbd2d9"/>'
    return "\n".join([head, MARKER, paper, *parts, "</svg>"]) + "\n"


# ---------------------------------------------------------------------------------------------- the state machine


def follows(state: dict[str, Any]) -> list[str]:
    """Returns the states that follow when nothing fails, in the order in which the state decides."""
    names = [choice["Next"] for choice in state.get("Choices", [])] + [state.get("Default"), state.get("Next")]
    return list(dict.fromkeys(name for name in names if name))


def when_failed(state: dict[str, Any]) -> list[str]:
    """Returns the states that follow an error."""
    return list(dict.fromkeys(catch["Next"] for catch in state.get("Catch", [])))


ROW, GAP, INNER = 34, 16, 26


def column(machine: dict[str, Any], x: float, y: float, width: float) -> tuple[list[str], float]:
    """Returns the states of a machine from top to bottom in their own order, and how far down they reach."""
    parts: list[str] = []
    names = list(machine["States"])
    for number, name in enumerate(names):
        state = machine["States"][name]
        inside: list[str] = []
        bottom = y + ROW
        if "ItemProcessor" in state:
            inside, bottom = column(state["ItemProcessor"], x + INNER, y + ROW + 4, width - 2 * INNER)
            bottom += 12
        parts.append(box(x, y, width, bottom - y, COLOURS[state["Type"]], dashed=state["Type"] == "Map"))
        label = name + (
            " (for each table)" if name == "CopyWindows" else " (for each slice)" if name == "CopySlices" else ""
        )
        parts.append(text(x + 12, y + 22, label, weight=600))
        below = names[number + 1] if number + 1 < len(names) else None
        after = follows(state)
        notes = []
        others = [other for other in after if other != below]
        if others:
            notes.append("→ " + ", ".join(others))
        if when_failed(state):
            notes.append("on an error → " + ", ".join(when_failed(state)))
        if notes:
            parts.append(text(x + width - 12, y + 22, " · ".join(notes), size=11, colour=QUIET, at="end"))
        parts += inside
        if below in after:
            parts.append(arrow((x + 40, bottom), (x + 40, bottom + GAP)))
        y = bottom + GAP
    return parts, y - GAP


def state_machine() -> str:
    """Returns the picture of the state machine."""
    machine = json.loads(MACHINE.read_text())
    parts, bottom = column(machine, 24, 60, 780)
    head = [
        text(24, 34, "One run: infra/incremental-copy.asl.json", size=16, weight=700),
        text(804, 34, "begins with " + machine["StartAt"], size=12, colour=QUIET, at="end"),
    ]
    return drawing(828, bottom + 24, "The states of one run", head + parts)


# ---------------------------------------------------------------------------------------------------------- the flow

STEPS = (
    ("lookup-old-watermark", "Where did the last", "window end?"),
    ("lookup-new-watermark", "How far has the table", "grown? Freeze the plan."),
    ("copy-delta", "Copy the rows into an", "upload nobody sees yet."),
    ("update-watermark", "Complete the files, write", "the manifest, move on."),
)


def flow() -> str:
    """Returns the picture of one run from the server to the reader."""
    parts = [
        box(24, 24, 150, 236, "#fdf3d7"),
        text(99, 52, "SQL Server", size=16, weight=700, at="middle"),
        text(99, 74, "or Azure SQL", size=12, colour=QUIET, at="middle"),
        text(99, 126, "a table with a", size=12, at="middle"),
        text(99, 143, "column that grows,", size=12, at="middle"),
        text(99, 166, "or with SQL Server's", size=12, at="middle"),
        text(99, 183, "change tracking", size=12, at="middle"),
        text(99, 240, "Nothing is written here.", size=11, colour=QUIET, at="middle"),
    ]
    left, top, width, height, gap = 214, 24, 216, 50, 12
    for number, (name, first, second) in enumerate(STEPS):
        y = top + number * (height + gap)
        parts += [
            box(left, y, width, height, COLOURS["Task"]),
            text(left + 12, y + 20, f"{number + 1}", size=13, weight=700, colour=QUIET),
            text(left + 30, y + 18, name, size=13, weight=700),
            text(left + 30, y + 32, first, size=11, colour=QUIET),
            text(left + 30, y + 44, second, size=11, colour=QUIET),
        ]
        if number:
            parts.append(arrow((left + 108, y - gap), (left + 108, y)))
    y1, y2, y3, y4 = (top + number * (height + gap) + 25 for number in range(4))
    parts += [
        arrow((174, y2), (left, y2)),
        arrow((174, y3), (left, y3)),
        box(482, 24, 300, 110, "#f5f7fa"),
        text(496, 46, "The ledger: _ledger/dbo.orders/…", size=13, weight=700),
        text(496, 70, "plan.json", size=12, weight=600),
        text(604, 70, "what the window holds", size=12, colour=QUIET),
        text(496, 90, "record.json", size=12, weight=600),
        text(604, 90, "what was decided of a slice", size=12, colour=QUIET),
        text(496, 110, "manifest.json", size=12, weight=600),
        text(604, 110, "the commit: every file of it", size=12, colour=QUIET),
        box(482, 152, 300, 108, "#dcf5e3"),
        text(496, 174, "The files: dbo.orders/…", size=13, weight=700),
        text(496, 198, "tidemark_window=from-2026-11-28T09-15-00/", size=11),
        text(506, 216, "part-00000.parquet", size=12, weight=600),
        text(496, 242, "They appear when their window commits.", size=11, colour=QUIET),
        arrow((482, y1), (left + width, y1)),
        arrow((left + width, y2), (482, y2)),
        arrow((left + width, y3), (456, y3), (456, 118), (482, 118)),
        arrow((left + width, y4), (482, y4)),
        text(482, 284, "Amazon S3, or a folder on your machine", size=12, colour=QUIET),
        text(214, 284, "AWS Lambda, or this one command", size=12, colour=QUIET),
        text(24, 284, "yours", size=12, colour=QUIET),
    ]
    return drawing(806, 302, "One run: from a table in SQL Server to files in S3", parts)


def main() -> int:
    """Writes the pictures, or compares them with what they would be."""
    stale = 0
    PICTURES.mkdir(exist_ok=True)
    for name, made in (("flow.svg", flow()), ("state-machine.svg", state_machine())):
        path = PICTURES / name
        if "--check" not in sys.argv:
            path.write_text(made)
        elif not path.exists() or path.read_text() != made:
            print(f"{path.relative_to(ROOT)} is stale: make reference")
            stale = 1
    return stale


if __name__ == "__main__":
    sys.exit(main())
