"""The files that the page about releases names are those that the release workflow makes."""

import re

from docs.blocks import ROOT


def test_the_files_of_a_release_are_those_of_the_workflow() -> None:
    """Each name of the table is made by a step, with the version and the machine in their places."""
    page = (ROOT / "docs/how-to/install-from-a-release.md").read_text()
    workflow = (ROOT / ".github/workflows/release.yml").read_text()
    listed = page.partition("## The files\n")[2].partition("\n## ")[0]
    names = re.findall(r"^\| `([^`]+)` \|", listed, re.MULTILINE)
    assert len(names) == 6
    for name in names:
        made = name.replace("vX.Y.Z", "$TAG").replace("x86_64", "$MACHINE")
        stem = made.removesuffix(".tar.gz")
        assert made in workflow or f'name="{stem}"' in workflow, name
    # All that is made goes from one job to the other, and is uploaded.
    assert re.search(r"(?m)^ +path: dist$", workflow) and 'gh release upload "$TAG" --clobber dist/*' in workflow
