"""Stages whose working directory is a commit of a repository: real servers, real runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from stix.flows.submit import submit_file
from tests.support.git import TOKEN, GitServer, Repository, repository, serve
from tests.support.workshop import submission
from tests.support.yard import Ended, Yard

pytestmark = pytest.mark.server


@pytest.fixture
def code(tmp_path: Path) -> Repository:
    made = repository(tmp_path / "repository")
    made.commit(main_sh="cat data; env | grep ^GIT_ | sort", data="one\n")
    return made


@pytest.fixture
def server(code: Repository) -> Iterator[GitServer]:
    with serve(code.bare.parent) as made:
        yield made


def pipeline(url: str, ref: str = "main", stages: str = "") -> str:
    return f"""
name: git
secrets: [GIT_TOKEN]
stages:
  main:
    workdir: {{url: "{url}", ref: {ref}}}
    run: sh main.sh > out
    outputs: {{text: out}}
{stages}"""


def text_of(yard: Yard, ended: Ended, name: str = "main") -> dict[str, str]:
    """The first line, and the variables that the commands saw."""
    target = yard.workshop.folder / "read"
    yard.workshop.runtime.store.get(ended.stages[name].outputs["text"], target, replace=True)
    data, *env = target.read_text().splitlines()
    return {"data": data, **dict(line.split("=", 1) for line in env)}


async def test_the_commit_of_the_submission_runs_whatever_is_pushed_later(
    yard: Yard, code: Repository, server: GitServer
) -> None:
    url = f"{server.url}/code.git"
    first = code.git("rev-parse", "main")
    claim, die = await yard.begun_elsewhere(pipeline(url), GIT_TOKEN=TOKEN)
    code.commit(data="two\n")  # while the engine dies
    server.asked.clear()
    ended = await die()
    assert ended.state == "succeeded", ended.message
    seen = text_of(yard, ended)
    assert seen == {
        "data": "one",
        "GIT_URL": url,
        "GIT_COMMIT_HASH": first,
        "GIT_BRANCH": "main",
        "GIT_TOKEN": TOKEN,  # a secret of the stage, as it says
    }
    assert server.asked == []  # nodes and engines need no way to the repository
    row = await yard.ledger.run(claim.run_id)
    told = json.dumps([row.spec, row.source, row.uploads, row.options])
    assert TOKEN not in told and first in told


async def test_content_counts_for_the_cache_and_not_the_address(
    yard: Yard, code: Repository, server: GitServer
) -> None:
    url = f"{server.url}/code.git"
    stage = "    resources: {cpus: 1}\n"
    made = await yard.run(pipeline(url), GIT_TOKEN=TOKEN)
    assert made.states == {"main": "succeeded"}
    code.git("tag", "v1")
    code.commit()  # an empty commit: another name of the same content
    moved = await yard.run(pipeline(code.bare.as_uri(), "v1", stage), GIT_TOKEN="other")
    assert moved.states == {"main": "cached"}
    (yard.workshop.folder / "src").mkdir()
    for name in ("main.sh", "data"):
        (yard.workshop.folder / "src" / name).write_text((code.folder / name).read_text())
    folder = pipeline(url).replace(f'{{url: "{url}", ref: main}}', "src")
    assert (await yard.run(folder, GIT_TOKEN="other")).states == {"main": "cached"}
    code.commit(data="three\n")
    changed = await yard.run(pipeline(url), GIT_TOKEN=TOKEN)
    assert changed.states == {"main": "succeeded"}
    assert text_of(yard, changed)["data"] == "three"


@pytest.mark.full
async def test_stages_share_one_fetch(yard: Yard, code: Repository, server: GitServer) -> None:
    url = f"{server.url}/code.git"
    stages = f"""
  other:
    workdir: {{url: "{url}", ref: main}}
    matrix: {{x: [1, 2]}}
    run: test -e data && ! test -e .git
"""
    await yard.workshop.submit(pipeline(url), GIT_TOKEN=TOKEN)
    of_one = len(server.asked)
    server.asked.clear()
    ended = await yard.run(pipeline(url, stages=stages), GIT_TOKEN=TOKEN)
    assert set(ended.states.values()) == {"succeeded"}, ended.stages
    assert len(ended.run.uploads) == 1 and len(server.asked) == of_one > 0


async def test_a_deployment_takes_the_commit_of_each_of_its_runs(
    yard: Yard, code: Repository
) -> None:
    text = pipeline(code.bare.as_uri()).replace("secrets: [GIT_TOKEN]\n", "")
    wish = submission(yard.workshop, text)
    store = yard.workshop.runtime.store
    runs = []
    for data in ("four", "five"):
        commit = code.commit(data=f"{data}\n")
        run_id = await submit_file(yard.ledger, store, replace(wish))
        runs.append((run_id, commit, data))
    await yard.engine()
    for run_id, commit, data in runs:
        ended = await yard.end(run_id)
        seen = text_of(yard, ended)
        assert (seen["data"], seen["GIT_COMMIT_HASH"]) == (data, commit)
