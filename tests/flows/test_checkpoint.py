"""A stage that is interrupted goes on from its last whole checkpoint."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
from pathlib import Path
from typing import Any, cast

import pytest

from stix.clouds.base import CanChaos
from stix.clouds.errors import CloudError
from tests.support.yard import Yard

pytestmark = pytest.mark.server

STEPS = 240
EVERY_S = 0.4
TRAIN = """\
import hashlib, json, os, pathlib, sys, time
log = pathlib.Path(sys.argv[1])
place = pathlib.Path(os.environ["STIX_CHECKPOINT_DIR"])
place.mkdir(exist_ok=True)
saved = place / "state.json"
state = json.loads(saved.read_text()) if saved.exists() else {"step": 0, "weights": ""}
with log.open("a") as out:
    print("start", state["step"], file=out, flush=True)
while state["step"] < STEPS:
    state["step"] += 1
    state["weights"] = hashlib.sha256((state["weights"] + str(state["step"])).encode()).hexdigest()
    time.sleep(0.02)
    if state["step"] % 5 == 0:
        (place / "new").write_text(json.dumps(state))
        os.replace(place / "new", saved)
pathlib.Path("final.json").write_text(json.dumps(state))
"""


def pipeline(folder: Path) -> tuple[str, Path]:
    """A training that knows nothing of STIX but the directory it is to write to."""
    source, log = folder / "source", folder / "starts.log"
    source.mkdir()
    (source / "train.py").write_text(TRAIN.replace("STEPS", str(STEPS)))
    text = {
        "name": "training",
        "stages": {
            "main": {
                "workdir": str(source),
                "run": f"python train.py {log}",
                "outputs": {"final": "final.json"},
                "checkpoint": {"path": "state", "every": EVERY_S, "keep": 2},
                "recovery": {"preempted": {"retries": 50, "backoff": 0}},
            }
        },
    }
    return json.dumps(text), log


def undisturbed() -> str:
    """The weights after all steps."""
    weights = ""
    for step in range(1, STEPS + 1):
        weights = hashlib.sha256((weights + str(step)).encode()).hexdigest()
    return weights


async def hurt(yard: Yard, moments: list[float]) -> int:
    """Take the node away after each of these pauses, as long as the run goes on."""
    cloud = cast(CanChaos, yard.workshop.runtime.clouds.get("local"))
    taken = 0
    for pause in moments:
        await asyncio.sleep(pause)
        for node in await yard.workshop.nodes():
            if node.state.alive:
                try:
                    await cloud.preempt(node.ref)
                    taken += 1
                except CloudError:
                    continue  # it ended by itself
    return taken


@pytest.mark.parametrize(
    "kills", [4, pytest.param(20, marks=pytest.mark.full)], ids=lambda kills: f"{kills} kills"
)
async def test_an_interrupted_training_ends_as_an_undisturbed_one(yard: Yard, kills: int) -> None:
    text, log = pipeline(yard.workshop.folder)
    dice = random.Random(kills)
    run_id = await yard.start(text)
    async with asyncio.TaskGroup() as group:
        taking = group.create_task(hurt(yard, [dice.uniform(1.0, 2.5) for _ in range(kills)]))
        ended = await yard.end(run_id)
        taking.cancel()
    assert ended.state == "succeeded"
    stage = ended.stages["main"]
    final = yard.workshop.folder / "final.json"
    yard.workshop.runtime.store.get(stage.outputs["final"], final)
    assert json.loads(final.read_text()) == {"step": STEPS, "weights": undisturbed()}
    starts = [int(line.split()[1]) for line in log.read_text().splitlines()]
    assert starts == sorted(starts) and len(starts) == len(ended.attempts)
    assert starts[-1] > 0, "it went on from a checkpoint"
    kept = [a for a in await yard.ledger.artifacts(run_id) if a.kind == "checkpoint"]
    assert len(kept) == 2, "the newest two are kept"


async def test_what_fails_by_itself_leaves_a_last_checkpoint(yard: Yard) -> None:
    """The interval is far away: the copy is made because the command ended badly."""
    run = (
        "mkdir -p c; n=$(cat c/n 2>/dev/null || echo 0); echo $((n + 1)) > c/n; "
        "test $n -ge 2 && cp c/n out || exit 75"
    )
    stage: dict[str, Any] = {
        "run": run,
        "outputs": {"out": "out"},
        "checkpoint": {"path": "c", "every": "1h"},
        "recovery": {"user_error": {"retries": 5, "backoff": 0}},
    }
    ended = await yard.run(json.dumps({"name": "counted", "stages": {"main": stage}}))
    assert ended.state == "succeeded" and len(ended.attempts) == 3


async def test_a_stage_that_never_wrote_one_begins_anew(yard: Yard) -> None:
    stage = {
        "run": "test ! -e c && mkdir c && test $STIX_ATTEMPT -gt 1",
        "checkpoint": "c",
        "recovery": {"user_error": {"retries": 1, "backoff": 0}},
    }
    ended = await yard.run(json.dumps({"name": "empty", "stages": {"main": stage}}))
    assert ended.state == "succeeded" and len(ended.attempts) == 2
