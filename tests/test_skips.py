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


@pytest.mark.parametrize("name", TESTS)
@pytest.mark.parametrize(
    ("ci", "code", "said"), [("true", 1, "nothing may be skipped"), ("", 0, "")]
)
def test_skip(tmp_path: Path, name: str, ci: str, code: int, said: str) -> None:
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path)
    (tmp_path / name).write_text(TESTS[name])
    (tmp_path / "test_other.py").write_text("def test_b(): assert True\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull]
    env = {**os.environ, "CI": ci}
    done = subprocess.run(
        [*command, "--rootdir", str(tmp_path), str(tmp_path)],
        env=env,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    interrupted = name == "test_module.py" and ci == "true"
    assert done.returncode == (2 if interrupted else code), done.stdout + done.stderr
    assert said in done.stdout
