"""Which commit a folder is, and what a run takes along."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from stix.spec.folders.code import facts_of
from stix.spec.folders.git import GitError
from stix.spec.folders.sources import packed, sources
from stix.spec.stage import StageSpec
from tests.support.git import TOKEN, repository, serve


def test_facts_of_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = repository(tmp_path)
    folder = made.folder
    assert facts_of(folder) == {}  # no commit yet
    (folder / "sub").mkdir()
    commit = made.commit(a="1", **{"sub/b": "2", "_gitignore": "*.log\n"})
    made.git("remote", "add", "origin", "https://user:w0rd@host/a.git")
    clean = {"commit": commit, "dirty": False, "branch": "main", "url": "https://host/a.git"}
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    assert facts_of(folder) == clean
    (folder / "run.log").write_text("ignored")
    assert facts_of(folder) == clean
    (folder / "a").write_text("changed")
    assert facts_of(folder) == {**clean, "dirty": True}
    assert facts_of(folder / "sub") == clean  # what changed lies elsewhere
    (folder / "sub" / "new").write_text("")
    assert facts_of(folder / "sub") == {**clean, "dirty": True}
    monkeypatch.delenv("GIT_DIR")
    made.git("checkout", "-q", "--detach")
    assert "branch" not in facts_of(folder)
    assert facts_of(tmp_path) == {} == facts_of(folder / "a")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert facts_of(folder) == {}


def stage(**fields: object) -> StageSpec:
    return StageSpec.model_validate({"run": "true", **fields})


def test_every_source_is_packed_once(tmp_path: Path) -> None:
    made = repository(tmp_path)
    made.commit(a="1")
    for name in ("x", "y", "z"):
        (tmp_path / name).mkdir()
    (tmp_path / "x" / "f").write_text("f")
    (tmp_path / "one").write_text("1")
    git = {"url": made.bare.as_uri(), "ref": "main"}
    first = stage(
        workdir=git,
        file_mounts={
            "/a": "./x",
            "/b": "s3://bucket/x",
            "/c": {"name": "bucket", "source": ["./y", "one"]},
            "/d": {"name": "disk", "store": "volume", "source": "./disk"},
        },
    )
    second = stage(workdir="./x", file_mounts={"/b": "one"})
    key = f"git+{made.bare.as_uri()}#main"
    assert sources(first) == [key, "./x", "./y", "one"]
    seen = {}
    for source in packed([first, second, first], tmp_path, {}):
        assert source.key not in seen
        with tarfile.open(fileobj=io.BytesIO(source.content.read())) as archive:
            seen[source.key] = (archive.getnames(), dict(source.facts))
    facts = {"url": git["url"], "commit": made.git("rev-parse", "HEAD"), "branch": "main"}
    assert seen == {
        key: ([".", "a"], facts),
        "./x": ([".", "f"], {}),
        "./y": (["."], {}),
        "one": (["one"], {}),
    }


def test_a_repository_is_asked_with_the_secrets_of_its_stages(tmp_path: Path) -> None:
    made = repository(tmp_path)
    made.commit(a="1")
    with serve(made.bare.parent) as server:
        git = {"url": f"{server.url}/code.git"}
        named = stage(workdir=git, secrets=["GIT_TOKEN"])
        (source,) = packed([stage(workdir=git), named], tmp_path, {"GIT_TOKEN": TOKEN})
        assert source.facts["branch"] == "main"
        (source,) = packed([stage(workdir=git)], tmp_path, {}, {"GIT_TOKEN": TOKEN})
        assert source.facts["branch"] == "main"
        for secrets in ({"GIT_TOKEN": TOKEN}, {}):  # a secret of other stages is not this one's
            with pytest.raises(GitError, match="does not let us in"):
                list(packed([stage(workdir=git)], tmp_path, secrets))
