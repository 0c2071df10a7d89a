"""A skip in CI is a failure; elsewhere it stays a skip."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parent.parent
SUITE = "import pytest\ndef test_a(record_property): {}\n"

TESTS = {
    "test_call": "import pytest\ndef test_a(): pytest.skip('no host')\n",
    "test_mark": "import pytest\n@pytest.mark.skipif(True, reason='x')\ndef test_a(): 1/0\n",
    "test_module": "import pytest\npytest.importorskip('no_such_module')\n",
    "test_check": SUITE.format(
        "record_property('stix-check', 'x'); pytest.skip('does not apply: no spot')"
    ),
    "test_no_check": SUITE.format("pytest.skip('does not apply: no spot')"),
    "test_lame_check": SUITE.format("record_property('stix-check', 'x'); pytest.skip('no server')"),
    "test_other": "def test_a(): assert True\n",
}
CORPUS = (
    "import pytest\n@pytest.mark.corpus\n@pytest.mark.skipif(True, reason='x')\ndef test_a(): 1/0\n"
)


@dataclass(frozen=True)
class Told:
    """What pytest made of a folder: exit code, output, and the outcome by file."""

    code: int
    output: str
    outcomes: dict[str, str]


@pytest.fixture(scope="module", params=["true", ""], ids=["ci", "elsewhere"])
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Told:
    folder = tmp_path_factory.mktemp("skips")
    for name, text in TESTS.items():
        (folder / f"{name}.py").write_text(text)
    return run(folder, request.param)


@pytest.mark.parametrize(
    ("name", "in_ci"),
    [
        ("test_call", "failed"),
        ("test_mark", "failed"),
        ("test_module", "failed"),
        ("test_check", "skipped"),
        ("test_no_check", "failed"),
        ("test_lame_check", "failed"),
        ("test_other", "passed"),
    ],
)
def test_skip(told: Told, name: str, in_ci: str, request: pytest.FixtureRequest) -> None:
    elsewhere = "passed" if name == "test_other" else "skipped"
    ci = request.node.callspec.params["told"] == "true"
    assert told.outcomes[name] == (in_ci if ci else elsewhere), told.output


def test_the_whole_run_fails_in_ci_and_says_why(told: Told, request: pytest.FixtureRequest) -> None:
    ci = request.node.callspec.params["told"] == "true"
    assert (told.code != 0) == ci, told.output
    assert ("nothing may be skipped" in told.output) == ci


@pytest.mark.parametrize("ci", ["true", ""])
def test_documents_of_third_parties_may_be_absent_and_it_is_said(tmp_path: Path, ci: str) -> None:
    (tmp_path / "test_corpus.py").write_text(CORPUS)
    done = run(tmp_path, ci)
    assert done.code == 0, done.output
    assert "NOT CHECKED" in done.output
    assert "test_corpus.py::test_a" in done.output


def run(folder: Path, ci: str) -> Told:
    """pytest over a folder, with the rules of this project."""
    shutil.copy(ROOT / "tests" / "conftest.py", folder)
    report = folder / "report.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull]
    options = ["--continue-on-collection-errors", f"--junitxml={report}"]
    done = subprocess.run(
        [*command, *options, "--rootdir", str(folder), str(folder)],
        env={**os.environ, "CI": ci},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    outcomes = {}
    for case in ElementTree.parse(report).iter("testcase"):
        name = (case.get("classname") or case.get("name") or "").split(".")[0]
        said = {child.tag for child in case} & {"failure", "error", "skipped"}
        outcomes[name] = "passed" if not said else "skipped" if said == {"skipped"} else "failed"
    return Told(done.returncode, done.stdout + done.stderr, outcomes)
