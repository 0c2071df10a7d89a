"""A new cloud, in the repository or in a distribution of its own, passes the suite at once."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stix.clouds.testing.suite import CHECKS

ROOT = Path(__file__).resolve().parents[2]
A_THIRD = len(CHECKS) // 3
REACH = """
import stix.clouds
stix.clouds.__path__.append({folder!r})
"""


def new_cloud(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "tools" / "new_cloud.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def passed(folder: Path, test: Path, *paths: Path) -> int:
    """How many checks pass; none may fail."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(test)]
    done = subprocess.run(
        [*command, f"--rootdir={folder}", "-c", os.devnull],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    found = re.search(r"(\d+) passed", done.stdout)
    return int(found[1]) if found else 0


def test_a_cloud_in_the_repository_passes_from_the_first_minute(tmp_path: Path) -> None:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    done = new_cloud("comet", "--root", str(tmp_path))
    assert done.returncode == 0, done.stderr
    entries = (tmp_path / "pyproject.toml").read_text()
    assert 'comet = "stix.clouds.comet:CometCloud"\n' in entries
    group = entries.partition('[project.entry-points."stix.clouds"]\n')[2].partition("\n\n")[0]
    assert group.splitlines() == sorted(group.splitlines())
    (tmp_path / "conftest.py").write_text(REACH.format(folder=str(tmp_path / "clouds")))
    test = tmp_path / "tests" / "clouds" / "test_comet.py"
    assert passed(tmp_path, test, tmp_path, ROOT) >= A_THIRD
    again = new_cloud("comet", "--root", str(tmp_path))
    assert again.returncode == 1 and "nothing was written" in again.stdout


def test_a_cloud_of_another_distribution_needs_no_edit(tmp_path: Path) -> None:
    """Installed beside STIX it is found by its entry point, and held to the shipped suite."""
    project, site = tmp_path / "project", tmp_path / "site"
    assert new_cloud("meteor", "--outside", str(project)).returncode == 0
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*install, "--target", str(site), str(project)], check=True)
    look = (
        "from pathlib import Path; from stix.clouds import registry;"
        "from stix.clouds.config import CloudConfig; home = Path('.');"
        "cloud = registry.open_cloud('meteor', CloudConfig(home, home));"
        "print('meteor' in registry.names(), cloud.name, type(cloud.inner).__module__)"
    )
    env = {**os.environ, "PYTHONPATH": str(site)}
    command = [sys.executable, "-c", look]
    shown = subprocess.run(
        command, cwd=tmp_path, env=env, capture_output=True, text=True, check=True
    )
    assert shown.stdout.split() == ["True", "meteor", "stix_meteor.cloud"]
    shutil.rmtree(project / "stix_meteor")  # what is tested is what was installed
    assert passed(project, project / "test_meteor.py", site, project) >= A_THIRD


@pytest.mark.parametrize("name", ["Comet", "3d", "a-b", "lambda", "x"])
def test_a_name_is_small_letters_and_digits(name: str, tmp_path: Path) -> None:
    done = new_cloud(name, "--root", str(tmp_path))
    assert done.returncode == 2 and "no name for a cloud" in done.stdout
    assert not any(tmp_path.iterdir())
