"""Paths of a stage: on the node, and of its sources."""

from __future__ import annotations

from pathlib import Path

import pytest

from stix.spec.changes.overrides import Overrides
from stix.spec.loader import load_text
from stix.spec.problems import Problem, SpecErrors


@pytest.fixture
def base(tmp_path: Path) -> Path:
    (tmp_path / "dir").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "dir" / "file").write_text("x")
    (tmp_path / "file").write_text("x")
    return tmp_path


def told(text: str, base: Path | None) -> list[Problem]:
    """Errors, or the warnings of a file without errors."""
    try:
        return load_text(f"run: x\n{text}\n", given=Overrides(complete=False), base=base).warnings
    except SpecErrors as refusal:
        return refusal.problems


@pytest.mark.parametrize(
    ("text", "path", "said"),
    [
        ("file_mounts: {/d/: ./dir}", "file_mounts./d/", "write /d"),
        ("file_mounts: {/: ./dir}", "file_mounts./", "name a folder below it"),
        ("file_mounts: {'': ./dir}", "file_mounts.", "is empty"),
        ("file_mounts: {s3://b/x: ./dir}", "file_mounts.s3://b/x", "swap the two"),
        ("file_mounts: {//host/x: ./dir}", "file_mounts.//host/x", "is a URL"),
        (
            "workdir: dir\nfile_mounts: {~/sky_workdir: ./dir}",
            "file_mounts.~/sky_workdir",
            "the place of the workdir",
        ),
        ("file_mounts: {/d: ./dir, /d/./: {name: abc}}", "file_mounts./d/./", "of /d in file_m"),
        ("file_mounts: {/d: ./dir}\nvolumes: {//d: v}", "volumes.//d", "of /d in file_mounts"),
        (
            "file_mounts: {/d/: {name: abc}}\nvolumes: {/d: v}",
            "volumes./d",
            "of /d/ in file_mounts",
        ),
        ("volumes: {rel: v}", "volumes.rel", "write /rel"),
        ("volumes: {/v/: v}", "volumes./v/", "cannot end with a slash"),
        ("file_mounts: {/d: ./gone}", "file_mounts./d", "./gone does not exist"),
        ("file_mounts: {/d: 's3:/b/x'}", "file_mounts./d", "did you mean s3://b/x?"),
        ("file_mounts: {/d: s3//b}", "file_mounts./d", "did you mean s3://b?"),
        (
            "file_mounts: {/d: {name: abc, source: [./dir, ./gone]}}",
            "file_mounts./d.source[1]",
            "./gone does not exist",
        ),
        (
            "file_mounts: {/d: {name: abc, source: ./file}}",
            "file_mounts./d.source",
            "write source: [./file]",
        ),
        ("workdir: gone", "workdir", "is not a folder"),
        ("workdir: file", "workdir", "is not a folder"),
        ("workdir: https://host/a/b", "workdir", "write workdir: {url: https://host/a/b}"),
        ("workdir: ftp://host/a", "workdir", "name a local folder"),
        ("workdir: {url: github.com/a/b}", "workdir.url", "not the address of a repository"),
        ("workdir: {url: 'https://user:w0rd@host/a'}", "workdir.url", "secret GIT_TOKEN"),
        (f"workdir: {{url: 'https://ghp_{'x' * 36}@host/a'}}", "workdir.url", "secret GIT_TOKEN"),
        ("workdir: {url: 'git@h:a', ref: a..b}", "workdir.ref", "cannot be the name"),
        (
            "workdir: {url: 'git@h:a'}\nenvs: {GIT_TOKEN: w0rd}",
            "envs.GIT_TOKEN",
            "--secret GIT_TOKEN",
        ),
        ("workdir: {url: 5, rev: x}", "workdir.url", "must be text"),
    ],
)
def test_refused(text: str, path: str, said: str, base: Path) -> None:
    found = {p.path: f"{p.message} | {p.fix}" for p in told(text, base) if p.severity == "error"}
    assert said in found[path]


@pytest.mark.parametrize(
    "text",
    [
        "file_mounts: {/d: ./dir, ~/e: ./file, rel/x: dir/file, ./y: s3://b/x}",
        "file_mounts: {/d/: {name: abc}, /e: {name: abc, source: [./file]}}",
        "file_mounts: {~/sky_workdir: ./dir}",
        "file_mounts: {/d: 'skypilot:x'}",
        "workdir: dir\nfile_mounts: {~/sky_workdir/data: ./dir}",
        "workdir: ./dir/../other",
        "workdir: {url: 'https://user@host:8443/a/b.git', ref: main}",
        "workdir: {url: 'file:///srv/a.git'}",
        "workdir: {url: 'git@host:a/b.git'}",
        "workdir: {url: 'ssh://git@host:2222/a/b'}",
        "workdir: {url: $REPO}",
        "volumes: {~/v: v, /w: v}",
    ],
)
def test_nothing_to_say(text: str, base: Path) -> None:
    assert told(text, base) == []


def test_files_are_looked_for_where_the_folder_is_known(base: Path) -> None:
    text = "workdir: gone\nfile_mounts: {/d: ./gone, /e: {name: abc, source: ./file}}"
    assert told(text, None) == []
    assert len(told(text, base)) == 3


def test_one_mount_inside_another_is_a_warning(base: Path) -> None:
    text = "file_mounts: {/d/x/y: ./dir, /d: ./other, /dx: ./dir}\nvolumes: {/d/z: v}"
    found = told(text, base)
    assert {(p.severity, p.path) for p in found} == {
        ("warning", "file_mounts./d/x/y"),
        ("warning", "volumes./d/z"),
    }


def test_odd_paths_are_no_traceback(base: Path) -> None:
    for name in ("a" * 5000, "~nobody-of-that-name/x", "a\\0b", "a\\nb"):
        text = (
            f'workdir: "{name}"\nfile_mounts: {{/d: "{name}", /e: {{name: abc, source: "{name}"}}}}'
        )
        assert {p.path for p in told(text, base)} >= {"workdir", "file_mounts./d"}
