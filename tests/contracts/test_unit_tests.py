"""Tests that `make test-unit` leaves out the modules that start the stand-in, and only those."""

from __future__ import annotations

import re

from shipped import ROOT

SOURCES = ROOT / "shared/sqlserver/src"


def test_the_modules_that_start_the_stand_in_are_left_out() -> None:
    makefile = (ROOT / "Makefile").read_text()
    listed = re.search(r"(?m)^ON_THE_STAND_IN := (.+)$", makefile)
    assert listed
    starting = set()
    for path in SOURCES.rglob("*.rs"):
        if "Sandbox::start(" in path.read_text():
            module = "::".join(path.relative_to(SOURCES).with_suffix("").parts)
            starting.add(module if path.stem.endswith("tests") else f"{module}::tests")
    assert starting == set(listed[1].split())


def test_no_other_crate_of_the_unit_tests_starts_the_stand_in() -> None:
    # The command's own tests in cli/tests start it, and are left out as a whole.
    for manifest in [*ROOT.glob("shared/*/Cargo.toml"), *ROOT.glob("functions/*/Cargo.toml"), ROOT / "cli/Cargo.toml"]:
        crate = manifest.parent
        if crate.name not in ("sqlserver", "cli"):
            assert "tidemark-sandbox" not in manifest.read_text(), crate
        if crate.name != "sqlserver":
            for path in (crate / "src").rglob("*.rs"):
                assert "tidemark_sandbox" not in path.read_text(), path
