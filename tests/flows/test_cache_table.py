"""What makes a stage run again, and that the comparison names exactly that."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from stix.storage.cache import explain
from stix.tasks.cache import CachePlan, plan_cache
from tests.support.workshop import Workshop
from tests.support.yard import Ended, Yard

TEXT = """
name: table
stages:
  base:
    run: "echo BASE > out"
    outputs: {data: out}
  main:
    cache: {resources: RESOURCES}
    run: |
      # a comment
      cat src/main.sh inputs/x > out
    workdir: .
    file_mounts: {src: code}
    inputs: {x: base.data}
    outputs: {data: out}
    matrix: {seed: [1]}
    envs: {MODE: fast}
    resources: {cpus: 1+, any_of: [{infra: local}, {image_id: 'docker:a:1'}]}
""".replace("    workdir: .\n", "")
KEY = "main[seed=1]"


def _text(old: str, new: str) -> Callable[[Path, str], str]:
    def change(_: Path, text: str) -> str:
        assert old in text
        return text.replace(old, new)

    return change


def _code(work: Callable[[Path], object]) -> Callable[[Path, str], str]:
    def change(folder: Path, text: str) -> str:
        work(folder / "code" / "main.sh")
        return text

    return change


@dataclass(frozen=True)
class Case:
    """One change; ``parts`` is what the comparison must name: nothing where the outputs serve."""

    change: Callable[[Path, str], str]
    parts: tuple[str, ...] = ()
    resources: bool = False
    key: str = KEY


CASES = {
    "nothing": Case(lambda _, text: text),
    "a line of the command": Case(_text("cat src", "cat -u src"), ("run",)),
    "only a comment of the command": Case(_text("# a comment", "# another"), ("run",)),
    "white space in the command": Case(_text("cat src", "cat  src"), ("run",)),
    "white space after the command": Case(_text("> out\n    file", "> out  \n\n    file")),
    "a comment of the file": Case(_text("  main:", "  # said\n  main:")),
    "a line of the code": Case(_code(lambda p: p.write_text("two\n")), ("file_mounts.src",)),
    "only a comment of the code": Case(
        _code(lambda p: p.write_text("one # why\n")), ("file_mounts.src",)
    ),
    "white space in the code": Case(_code(lambda p: p.write_text("one \n")), ("file_mounts.src",)),
    "the time of the code": Case(_code(lambda p: os.utime(p, (1e9, 1e9)))),
    "the x bit of the code": Case(_code(lambda p: p.chmod(0o755)), ("file_mounts.src",)),
    "a variable": Case(_text("MODE: fast", "MODE: slow"), ("envs.MODE",)),
    "a parameter": Case(_text("seed: [1]", "seed: [2]"), ("params",), key="main[seed=2]"),
    "an input": Case(_text("BASE", "OTHER"), ("inputs.x",)),
    "the image": Case(_text("docker:a:1", "docker:a:2"), ("image",)),
    "the image, resources asked for": Case(
        _text("docker:a:1", "docker:a:2"), ("image",), resources=True
    ),
    "resources": Case(_text("cpus: 1+", "cpus: 2+")),
    "resources that are asked for": Case(
        _text("cpus: 1+", "cpus: 2+"), ("resources",), resources=True
    ),
    "an output": Case(_text("{data: out}\n    matrix", "{data: ./src}\n    matrix"), ("outputs",)),
}


def _files(folder: Path) -> None:
    (folder / "code").mkdir()
    (folder / "code" / "main.sh").write_text("one\n")


async def _plan(workshop: Workshop, text: str, key: str) -> CachePlan:
    """As an engine does; the input is what `base` would leave."""
    run = await workshop.context(text)
    made = run.runtime.store.put_bytes((run.specs["base"].run or "").encode(), "out")
    cached = await plan_cache(run, run.points[key], {"x": made.digest})
    if cached.hit is None and cached.key is not None:
        await workshop.ledger.cache_put(run.fence, cached.key, key, {"data": made.digest}, {})
    return cached


@pytest.mark.parametrize("name", CASES)
async def test_one_change_is_a_run_or_a_hit(workshop: Workshop, name: str) -> None:
    case = CASES[name]
    _files(workshop.folder)
    text = TEXT.replace("RESOURCES", str(case.resources).lower())
    before = await _plan(workshop, text, KEY)
    assert before.hit is None
    now = await _plan(workshop, case.change(workshop.folder, text), case.key)
    changed = [part.name for part in explain(now.parts, before.parts) if part.changed]
    assert changed == list(case.parts)
    assert (now.hit is None) is bool(case.parts)


async def _main(yard: Yard, text: str, **how: object) -> tuple[Ended, str, list[str]]:
    """A run; the state of the stage, and what changed since the last time."""
    ended = await yard.run(text, **how)
    (row,) = (row for row in ended.stages.values() if row.stage == "main")
    before = await yard.ledger.last_parts(ended.run.name, row.stage, row.params, row.run_id)
    parts = explain(row.cache_parts, before)
    return ended, str(row.state), [part.name for part in parts if part.changed and before]


@pytest.mark.server
async def test_whole_runs(yard: Yard) -> None:
    folder = yard.workshop.folder
    _files(folder)
    text = TEXT.replace("RESOURCES", "false")
    assert (await _main(yard, text))[1:] == ("succeeded", [])
    told = {"a line of the code", "a variable", "an input", "only a comment of the command"}
    for name in sorted(told | {"the time of the code", "resources"}):
        text = CASES[name].change(folder, text)
        state = "succeeded" if CASES[name].parts else "cached"
        assert (await _main(yard, text))[1:] == (state, list(CASES[name].parts)), name


@pytest.mark.server
async def test_an_accepted_output_serves_from_then_on(yard: Yard) -> None:
    _files(yard.workshop.folder)
    text = TEXT.replace("RESOURCES", "false")
    accept = {"options": {"accept": ["main"]}}
    ran, state, _ = await _main(yard, text, **accept)
    assert state == "succeeded"  # there was nothing to accept
    changed = text.replace("# a comment", "# a better comment")
    blessed, state, parts = await _main(yard, changed, **accept)
    assert (state, parts) == ("cached", ["run"])
    assert (
        blessed.stages[KEY].reason == f"accepted (--accept): the outputs of run {ran.run.id} serve"
    )
    assert blessed.stages[KEY].outputs == ran.stages[KEY].outputs
    after, state, parts = await _main(yard, changed)
    assert (state, parts) == ("cached", [])
    assert after.stages[KEY].reason == f"unchanged since run {blessed.run.id}"
    other = changed.replace("outputs: {data: out}\n    matrix", "outputs: {new: out}\n    matrix")
    assert (await _main(yard, other, **accept))[1] == "succeeded"  # it has other outputs


@pytest.mark.server
async def test_undeclared_outputs_are_never_taken_for_made(yard: Yard) -> None:
    text = "name: bare\nstages:\n  main: {run: 'true', cache: true}\n"
    for _ in range(2):
        assert (await yard.run(text)).states == {"main": "succeeded"}
