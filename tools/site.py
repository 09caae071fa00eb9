"""The preprocessor of mdBook for docs/: links that leave docs/ become text, because the site does not have those files.

mdBook runs `python3 tools/site.py supports html`, and then sends `[context, book]` to standard input.
"""

import json
import os
import re
import sys
from pathlib import PurePosixPath
from typing import Any

LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s]+)\)")


def inside(text: str, page: str) -> str:
    """Returns the text of a page, whose path is given from docs/, without links to files outside docs/."""
    folder = PurePosixPath("docs") / PurePosixPath(page).parent

    def replaced(found: re.Match[str]) -> str:
        words, address = found.groups()
        if re.match(r"[a-z]+:", address) or address.startswith("#"):
            return found.group(0)
        place = os.path.normpath(folder / address.partition("#")[0])
        if place.startswith("docs/"):
            return found.group(0)
        return words if place in words else f"{words} (`{place}`)"

    return LINK.sub(replaced, text)


def walk(items: list[Any]) -> None:
    """Goes through the chapters and the chapters in them."""
    for item in items:
        chapter = item.get("Chapter") if isinstance(item, dict) else None
        if chapter and chapter.get("path"):
            chapter["content"] = inside(chapter["content"], chapter["path"])
        if chapter:
            walk(chapter.get("sub_items", []))


def main() -> None:
    """Answers mdBook."""
    if sys.argv[1:2] == ["supports"]:
        return
    _, book = json.load(sys.stdin)
    walk(book.get("sections", book.get("items", [])))
    json.dump(book, sys.stdout)


if __name__ == "__main__":
    main()
