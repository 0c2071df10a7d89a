"""Where the buckets of stages are made, on a real S3 server."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace

import pytest

from stix.config import Config
from stix.storage.stores.s3 import S3Store
from stix.tasks.buckets import fills, ready_buckets, with_store
from stix.tasks.failures import StepFailed
from tests.support.s3 import S3Server, s3_server
from tests.support.workshop import Workshop

__all__ = ["s3_server"]
pytestmark = pytest.mark.usefixtures("no_run_logger")


@pytest.fixture
def name(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A name that no bucket has; one that is made is gone after the test."""
    for variable, value in s3_server.environment().items():
        monkeypatch.setenv(variable, value)
    made = f"placed-{uuid.uuid4().hex[:12]}"
    yield made
    S3Store().delete_bucket(made, force=True)


def pipeline(mount: str) -> str:
    return f"name: p\nstages:\n  main: {{run: x, file_mounts: {{d: {{{mount}}}}}}}\n"


@pytest.mark.parametrize(
    ("cloud", "said", "region"),
    [("aws", "ap-south-1", "eu-west-3"), ("gcp", "ap-south-1", "ap-south-1"), ("gcp", "", "")],
)
async def test_a_bucket_lies_where_its_stage_runs(
    workshop: Workshop, name: str, cloud: str, said: str, region: str
) -> None:
    """Where its store has that place; else where the settings say, or the store's own choice."""
    config = Config(workshop.runtime.config.home, {"buckets": {"region": said}})
    workshop.runtime = replace(workshop.runtime, config=config)
    attempt = await workshop.attempt(await workshop.context(pipeline(f"name: {name}")))
    offer = replace(attempt.choice.offer, cloud=cloud, region="eu-west-3")
    attempt.choice = replace(attempt.choice, offer=offer)
    await ready_buckets(attempt)
    (row,) = await workshop.ledger.buckets()
    assert (row.region, row.made, row.state) == (region, True, "ready")
    assert f"s3://{name}" in {bucket.url for bucket in S3Store().buckets()}


async def test_each_source_has_its_place(workshop: Workshop) -> None:
    for source in ("a", "b/c"):
        (workshop.folder / source).mkdir(parents=True)
    text = pipeline("name: abc, source: [./a, b/c/], _bucket_sub_path: /x/")
    run = await workshop.context(text)
    (mount,) = run.specs["main"].file_mounts.values()
    assert [fill.place for fill in fills(mount, run.uploads)] == ["x/a", "x/c"]
    assert list(fills(mount.model_copy(update={"source": None}), {})) == []
    assert with_store(run.specs, "R2")["main"].file_mounts["d"].store == "S3"  # it has one by now


async def test_a_store_that_is_not_set_up(workshop: Workshop, name: str) -> None:
    text = pipeline(f"name: {name}, store: R2")
    attempt = await workshop.attempt(await workshop.context(text))
    with pytest.raises(StepFailed, match=f"the bucket r2://{name}"):
        await ready_buckets(attempt)
    assert await workshop.ledger.buckets() == []
