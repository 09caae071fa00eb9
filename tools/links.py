"""The links of every Markdown page of the repository, and those of the built site.

    python3 tools/links.py               every link to a file or a heading of this repository leads somewhere
    python3 tools/links.py target/docs   and so does every link of the site

Addresses outside are not asked: a page must not fail because another site is down.
"""

import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

ROOT = Path(__file__).resolve().parents[1]
FENCE = re.compile(r"^(```+|~~~+).*?^\1\s*$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^()\s]+)\)|\b(?:src|href)=\"([^\"]+)\"")
HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)


def pages() -> list[Path]:
    """Returns every Markdown file that belongs to the repository."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return sorted(ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).exists())


def anchor(heading: str) -> str:
    """Returns the name of a heading in an address, as GitHub and mdBook make it."""
    words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    return re.sub(r"[^\w\- ]", "", words.strip().lower()).replace(" ", "-")


def anchors(text: str) -> set[str]:
    """Returns the names of all headings of a page. A second heading of one name gets a number."""
    found: list[str] = []
    for heading in HEADING.findall(FENCE.sub("", text)):
        name = anchor(heading)
        found.append(f"{name}-{found.count(name)}" if name in found else name)
    return set(found) | set(re.findall(r"<a (?:id|name)=\"([^\"]+)\"", text))


def broken_links(page: Path) -> list[str]:
    """Returns the links of a page that lead nowhere, each as a sentence."""
    text = page.read_text()
    bare = re.sub(r"`[^`\n]*`", "", FENCE.sub("", text))
    broken = []
    for groups in LINK.findall(bare):
        address = unquote(groups[0] or groups[1])
        if re.match(r"[a-z]+:", address):
            continue
        name, _, heading = address.partition("#")
        place = (page.parent / name).resolve() if name else page
        if not place.exists():
            broken.append(f"{page.relative_to(ROOT)}: {address} leads to no file")
        elif heading and place.suffix == ".md" and heading not in anchors(place.read_text()):
            broken.append(f"{page.relative_to(ROOT)}: {address} leads to no heading")
    return broken


def unlisted() -> list[str]:
    """Returns the pages of docs/ that its table of contents does not name, and so the site does not have."""
    contents = (ROOT / "docs/SUMMARY.md").read_text()
    listed = {(ROOT / "docs" / name).resolve() for name in re.findall(r"\]\(([^)]+)\)", contents)}
    written = set((ROOT / "docs").rglob("*.md")) - {ROOT / "docs/SUMMARY.md"}
    return [f"{page.relative_to(ROOT)} is not in docs/SUMMARY.md" for page in sorted(written - listed)]


def broken_on_site(site: Path) -> list[str]:
    """Returns the links of the built pages that lead nowhere."""
    broken = []
    for page in sorted(site.rglob("*.html")):
        if page.name in ("print.html", "404.html", "toc.html"):
            continue
        text = page.read_text()
        for address in re.findall(r"<a [^>]*href=\"([^\"]+)\"|<img [^>]*src=\"([^\"]+)\"", text):
            name, _, heading = unquote(address[0] or address[1]).partition("#")
            if re.match(r"[a-z]+:", name):
                continue
            place = (page.parent / name).resolve() if name else page
            if not place.exists():
                broken.append(f"{page.relative_to(site)}: {name} is not on the site")
            elif heading and place.suffix == ".html" and f'id="{heading}"' not in place.read_text():
                broken.append(f"{page.relative_to(site)}: {name}#{heading} leads to no heading")
    return broken


def main() -> int:
    """Prints what is broken, and how much was looked at."""
    found = [broken for page in pages() for broken in broken_links(page)] + unlisted()
    if len(sys.argv) > 1:
        found += broken_on_site(Path(sys.argv[1]))
    print("\n".join(found) if found else f"{len(pages())} pages: every link leads somewhere")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
