"""A skip in CI is a failure; elsewhere it stays a skip."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

TESTS = {
    "test_call.py": "import pytest\ndef test_a(): pytest.skip('no host')\n",
    "test_mark.py": "import pytest\n@pytest.mark.skipif(True, reason='x')\ndef test_a(): 1/0\n",
    "test_module.py": "import pytest\npytest.importorskip('no_such_module')\n",
}
CORPUS = (
    "import pytest\n@pytest.mark.corpus\n@pytest.mark.skipif(True, reason='x')\ndef test_a(): 1/0\n"
)


@pytest.mark.parametrize("name", TESTS)
@pytest.mark.parametrize(
    ("ci", "code", "said"), [("true", 1, "nothing may be skipped"), ("", 0, "")]
)
def test_skip(tmp_path: Path, name: str, ci: str, code: int, said: str) -> None:
    (tmp_path / name).write_text(TESTS[name])
    done = run(tmp_path, ci)
    interrupted = name == "test_module.py" and ci == "true"
    assert done.returncode == (2 if interrupted else code), done.stdout + done.stderr
    assert said in done.stdout


@pytest.mark.parametrize(
    ("body", "ci", "code"),
    [
        ("record_property('stix-check', 'x'); pytest.skip('does not apply: no spot')", "true", 0),
        ("pytest.skip('does not apply: no spot')", "true", 1),
        ("record_property('stix-check', 'x'); pytest.skip('no server')", "true", 1),
        ("pytest.skip('no server')", "", 0),
    ],
)
def test_only_a_check_of_a_suite_may_say_that_it_does_not_apply(
    tmp_path: Path, body: str, ci: str, code: int
) -> None:
    text = f"import pytest\ndef test_a(record_property): {body}\n"
    (tmp_path / "test_suite.py").write_text(text)
    assert run(tmp_path, ci).returncode == code


@pytest.mark.parametrize("ci", ["true", ""])
def test_documents_of_third_parties_may_be_absent_and_it_is_said(tmp_path: Path, ci: str) -> None:
    (tmp_path / "test_corpus.py").write_text(CORPUS)
    done = run(tmp_path, ci)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "NOT CHECKED" in done.stdout
    assert "test_corpus.py::test_a" in done.stdout


def run(folder: Path, ci: str) -> subprocess.CompletedProcess[str]:
    """pytest over a folder, with the rules of this project."""
    shutil.copy(ROOT / "tests" / "conftest.py", folder)
    (folder / "test_other.py").write_text("def test_b(): assert True\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull]
    return subprocess.run(
        [*command, "--rootdir", str(folder), str(folder)],
        env={**os.environ, "CI": ci},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
