"""Deployments: from a pipeline file on this machine to a run of the ledger, once."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prefect.states import Pending

from stix.flows.pipeline import pipeline
from stix.flows.pool import POOL
from stix.flows.submit import submit_file
from stix.flows.worker import reschedule_lost
from stix.spec.problems import SpecErrors
from tests.support.workshop import Workshop, submission
from tests.support.yard import Yard

TEXT = "name: d\nenvs: {MODE: a}\nstages:\n  main: {workdir: src, run: 'true'}\n"


@pytest.fixture
def folder(workshop: Workshop) -> Path:
    (workshop.folder / "src").mkdir()
    (workshop.folder / "src" / "f").write_text("content")
    return workshop.folder


async def test_a_file_becomes_a_run_with_its_uploads(workshop: Workshop, folder: Path) -> None:
    wish = submission(workshop, TEXT, envs={"MODE": "b"})
    ledger, store = workshop.ledger, workshop.runtime.store
    row = await ledger.run(await submit_file(ledger, store, wish))
    given = "# Given on submission:\n#   --env MODE\n"
    assert row.name == "d" and row.source == {"file": str(wish.path), "text": TEXT + given}
    store.get(row.uploads["src"], folder / "out")
    assert (folder / "out" / "f").read_text() == "content"
    assert row.spec["envs"]["MODE"] == "b" or row.spec["stages"]["main"]["envs"]["MODE"] == "b"


async def test_the_same_flow_run_gives_the_same_run(workshop: Workshop, folder: Path) -> None:
    flow_run = str(uuid.uuid4())
    wish = submission(workshop, TEXT, flow_run_id=flow_run)
    ledger, store = workshop.ledger, workshop.runtime.store
    first = await submit_file(ledger, store, wish)
    assert await submit_file(ledger, store, wish) == first
    assert (await ledger.run(first)).flow_run_id == flow_run
    assert [row.id for row in await ledger.runs()] == [first]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("name: d\nstages:\n  main: {}\n", "run"),
        ("name: d\nstages:\n  main: {secrets: [TOKEN], run: 'true'}\n", "TOKEN"),
    ],
)
async def test_what_a_deployment_cannot_run_is_refused(
    workshop: Workshop, text: str, why: str
) -> None:
    with pytest.raises(SpecErrors, match=why):
        await submit_file(workshop.ledger, workshop.runtime.store, submission(workshop, text))
    assert await workshop.ledger.runs() == []


@pytest.mark.server
async def test_what_a_dead_engine_took_is_handed_out_again(yard: Yard) -> None:
    client = yard.workshop.runtime.prefect
    flow_id = await client.create_flow(pipeline)
    deployment = await client.create_deployment(flow_id, name=uuid.uuid4().hex, work_pool_name=POOL)
    state: Any = Pending()
    taken = await client.create_flow_run_from_deployment(deployment, state=state)
    now = datetime.now(UTC) + timedelta(seconds=1)
    assert taken.id not in await reschedule_lost(client, now - timedelta(hours=1))
    assert taken.id in await reschedule_lost(client, now)
    states = await client.read_flow_run_states(taken.id)
    assert [s.type.value for s in states][:2] == ["PENDING", "SCHEDULED"]
    assert taken.id not in await reschedule_lost(client, now)
