"""The keeper of an attempt's checkpoints, on a real node, store and ledger."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from pathlib import Path

import pytest

from stix.engine.runtime import Attempt
from stix.ledger import Fenced
from stix.recovery.events import NodeLost, UserError
from stix.tasks.checkpoint import Keeper, copy_path, last_checkpoint, latest_checkpoint
from tests.support.workshop import Workshop
from tests.tasks.test_steps import begin, do, stage, work

pytestmark = pytest.mark.usefixtures("no_run_logger")

TEXT = stage("true", "    checkpoint: {path: state, every: 1h, keep: 2}\n")


async def numbers(attempt: Attempt) -> list[str]:
    """The checkpoints that are kept."""
    found = await attempt.run.runtime.ledger.artifacts(attempt.run.run_id)
    return sorted(row.name for row in found if row.kind == "checkpoint")


def copies(attempt: Attempt) -> list[Path]:
    """What the agent left beside the working directory, but for its lock."""
    (node,) = attempt.nodes
    copy = Path(copy_path(node))
    return [path for path in copy.parent.glob(f"{copy.name}*") if path.suffix != ".lock"]


async def test_only_news_is_copied_and_no_copy_stays(workshop: Workshop) -> None:
    attempt = await begin(workshop, TEXT)
    keeper, state = Keeper(attempt), work(attempt) / "state"
    assert not await keeper.take(), "there is no such directory yet"
    state.mkdir()
    (state / "a").write_text("1")
    assert await keeper.take()
    assert copies(attempt) == []
    assert not await keeper.take()
    (state / "a").write_text("1")
    assert not await keeper.take(), "written again, with the same content"
    for text in ("2", "3"):
        (state / "a").write_text(text)
        assert await keeper.take()
    assert await numbers(attempt) == ["00000002", "00000003"]
    latest = await latest_checkpoint(attempt)
    assert latest is not None
    assert (latest.attempt, latest.bytes, latest.files) == (1, 1, 1)


async def test_the_next_attempt_finds_it_and_counts_on(workshop: Workshop) -> None:
    first = await begin(workshop, TEXT)
    state = work(first) / "state"
    (state / "sub").mkdir(parents=True)
    (state / "sub" / "a").write_text("x")
    (state / "latest").symlink_to("sub")
    assert await Keeper(first).take()
    await do(first, "release")
    second = await workshop.attempt(first.run, number=2)
    await do(second, "provision", "sync")
    state = work(second) / "state"
    assert os.readlink(state / "latest") == "sub"
    assert (state / "latest" / "a").read_text() == "x"
    facts = second.steps["sync"]["checkpoint"]
    assert (facts["number"], facts["attempt"], facts["bytes"]) == (1, 1, 1)
    assert not await Keeper(second).take(), "it is what there is"
    (state / "sub" / "a").write_text("y")
    assert await Keeper(second).take()
    assert await numbers(second) == ["00000001", "00000002"]


async def test_what_fails_is_told_and_ends_nothing(
    workshop: Workshop, caplog: pytest.LogCaptureFixture
) -> None:
    attempt = await begin(workshop, TEXT)
    state = work(attempt) / "state"
    state.mkdir()
    os.mkfifo(state / "pipe")
    assert not await Keeper(attempt).take()
    assert "no checkpoint: pipe is neither a file nor a link" in caplog.text
    (state / "pipe").unlink()
    (state / "out").symlink_to("/etc/passwd")
    assert not await Keeper(attempt).take()
    assert copies(attempt) == [], "also one that the store refused"
    assert await numbers(attempt) == []


async def test_a_lost_lease_records_nothing(workshop: Workshop) -> None:
    attempt = await begin(workshop, TEXT)
    (work(attempt) / "state").mkdir()
    (work(attempt) / "state" / "a").touch()
    await workshop.ledger.retire_engine(workshop.runtime.engine_id)
    with pytest.raises(Fenced):
        await Keeper(attempt).take()
    assert await numbers(attempt) == []


async def test_two_at_once_are_one_after_the_other(workshop: Workshop) -> None:
    attempt = await begin(workshop, TEXT)
    (work(attempt) / "state").mkdir()
    (work(attempt) / "state" / "a").write_bytes(os.urandom(1 << 20))
    keeper = Keeper(attempt)
    taken = await asyncio.gather(*(keeper.take() for _ in range(3)))
    assert sorted(taken) == [False, False, True]
    others = await asyncio.gather(*(Keeper(attempt).take() for _ in range(3)))
    assert others == [False, False, False]
    assert await numbers(attempt) == ["00000001"]


async def test_a_last_one_only_while_somebody_answers(workshop: Workshop) -> None:
    attempt = await begin(workshop, TEXT)
    (work(attempt) / "state").mkdir()
    (work(attempt) / "state" / "a").write_text("1")
    await last_checkpoint(attempt, NodeLost(detail="gone"))
    assert await numbers(attempt) == []
    await last_checkpoint(attempt, UserError(exit_code=1, detail="x"))
    assert await numbers(attempt) == ["00000001"]


async def test_a_cloud_out_of_reach_is_no_end(workshop: Workshop) -> None:
    attempt = await begin(workshop, TEXT)
    shutil.rmtree(work(attempt).parent)
    assert not await Keeper(attempt).take()
    assert json.dumps(await numbers(attempt)) == "[]"
