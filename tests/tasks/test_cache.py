"""Whether an earlier run's outputs serve."""

from __future__ import annotations

import json
import shutil
from typing import Any

import pytest

from stix.engine.runtime import RunContext
from stix.spec.folders.sources import sources
from stix.tasks.cache import CachePlan, plan_cache
from tests.support.workshop import Workshop

TEXT = """
name: c
stages:
  main:
    run: %s
    workdir: src
    outputs: {data: out}
    file_mounts: {data: one.txt}
    matrix: {x: [1, 2]}
    envs: {MODE: %s}
    %s
"""
KEY = "main[x=1]"


def pipeline(run: str = "make", mode: str = "a", more: str = "") -> str:
    return TEXT % (json.dumps(run), mode, more)


@pytest.fixture
def files(workshop: Workshop) -> Workshop:
    (workshop.folder / "src").mkdir()
    (workshop.folder / "src" / "main.py").write_text("1")
    (workshop.folder / "one.txt").write_text("one")
    return workshop


async def plan(
    workshop: Workshop, text: str, key: str = KEY, *, inputs: Any = None, options: Any = None
) -> tuple[RunContext, CachePlan]:
    run = await workshop.context(text, options=options)
    return run, await plan_cache(run, run.points[key], inputs or {})


async def made(workshop: Workshop, text: str) -> str:
    """A run that left outputs for its key; the digest."""
    run, cached = await plan(workshop, text)
    digest = workshop.runtime.store.put_bytes(b"output", "f").digest
    assert cached.key is not None and cached.hit is None and cached.wanted
    outputs, result = {"data": digest}, {"score": 1}
    await workshop.ledger.cache_put(run.fence, cached.key, KEY, outputs, result)
    return digest


async def test_the_same_again_is_a_hit(files: Workshop) -> None:
    digest = await made(files, pipeline())
    _, cached = await plan(files, pipeline())
    assert cached.hit is not None
    assert (cached.hit.outputs, cached.hit.result) == ({"data": digest}, {"score": 1})


async def test_each_part_that_changes_changes_the_key(files: Workshop) -> None:
    _, first = await plan(files, pipeline())
    keys = {first.key}
    others = [
        await plan(files, pipeline(run="make all")),
        await plan(files, pipeline(mode="b")),
        await plan(files, pipeline(), "main[x=2]"),
        await plan(files, pipeline(), inputs={"in": "d" * 64}),
    ]
    (files.folder / "src" / "main.py").write_text("2")
    others.append(await plan(files, pipeline()))
    (files.folder / "one.txt").write_text("two")
    others.append(await plan(files, pipeline()))
    keys |= {cached.key for _, cached in others}
    assert len(keys) == 1 + len(others)
    changed = {
        tuple(part for part in cached.parts if cached.parts[part] != first.parts.get(part))
        for _, cached in others
    }
    assert all(changed) and len(changed) >= 4


async def test_the_name_of_the_run_does_not_matter(files: Workshop) -> None:
    _, first = await plan(files, pipeline())
    _, second = await plan(files, pipeline().replace("name: c", "name: other"))
    assert first.key == second.key


@pytest.mark.parametrize(
    "options", [{"no_cache": True}, {"force": ["main"]}, {"force": ["x", "main"]}]
)
async def test_force_runs_again_and_leaves_its_outputs(
    files: Workshop, options: dict[str, Any]
) -> None:
    await made(files, pipeline())
    _, cached = await plan(files, pipeline(), options=options)
    assert cached.hit is None and cached.wanted


async def test_force_of_another_stage_does_not_matter(files: Workshop) -> None:
    await made(files, pipeline())
    _, cached = await plan(files, pipeline(), options={"force": ["other"]})
    assert cached.hit is not None


async def test_a_stage_that_is_not_cached_neither_takes_nor_leaves(files: Workshop) -> None:
    await made(files, pipeline())
    _, cached = await plan(files, pipeline(more="cache: false"))
    assert cached.hit is None and not cached.wanted


async def test_outputs_that_the_store_lost_do_not_serve(files: Workshop) -> None:
    await made(files, pipeline())
    shutil.rmtree(files.runtime.config.home / "artifacts" / "manifests")
    _, cached = await plan(files, pipeline())
    assert cached.hit is None and cached.wanted


async def test_only_local_paths_are_copied(files: Workshop) -> None:
    text = pipeline().replace("one.txt}", "one.txt, far: s3://bucket/x}")
    run, _ = await plan(files, pipeline())
    assert sources(run.specs["main"]) == ["src", "one.txt"]
    far = text.replace("    workdir: src\n", "")
    stage = (await files.context(far)).specs["main"]
    assert sources(stage) == ["one.txt"]
