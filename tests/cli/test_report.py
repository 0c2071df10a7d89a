"""The conformance report as a table."""

from __future__ import annotations

from stix.cli.report import MOST, table
from stix.spec.conformance import report


def test_text_of_a_file_is_not_markup() -> None:
    found = report('run: x\nenvs: {A: b}\nfile_mounts: {"/[red]d": "gs://bucket"}\n')
    shown = table("file.yaml", found.rows)
    assert "file_mounts./[red]d" in shown


def test_a_long_report_is_cut_and_says_so() -> None:
    entries = ", ".join(["{priority: 1}"] * (MOST + 20))
    found = report(f"run: x\nresources: {{any_of: [{entries}]}}\n")
    lines = table("file.yaml", found.rows).splitlines()
    assert lines[0] == f"file.yaml: {MOST + 23} keys: 3 used, 0 mapped, {MOST + 20} refused"
    assert len(lines) == MOST + 3
    assert lines[-1] == "... and 21 more rows; --output json has all"


def test_what_holds_others_is_left_out() -> None:
    found = report("run: x\nresources: {any_of: [{cpus: 1}, {cpus: 2}]}\n")
    names = [line.split()[1] for line in table("f", found.rows).splitlines()[2:]]
    assert names == ["run", "resources.any_of[0].cpus", "resources.any_of[1].cpus"]
