"""Runs whose artifacts lie in two stores, one of which goes away in the middle."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, PREFECT_LOGGING_TO_API_ENABLED, temporary_settings

from stix.ledger import Ledger
from tests.support.agents import eventually
from tests.support.s3 import S3Server, serve
from tests.support.server import ServerHome
from tests.support.workshop import open_workshop
from tests.support.yard import Yard

pytestmark = pytest.mark.server

FAR = "aws/us-east-1"
PIPELINE = """
name: NAME
stages:
  make: {outputs: {data: out}, run: "echo NAME > out"}
  wait: {needs: [make], run: "echo x >> MARKS; until test -e GO; do sleep 0.05; done"}
  use:
    needs: [wait]
    inputs: {data: make.data}
    outputs: {more: two}
    run: cat inputs/data > two
"""
Open = Callable[[str], AbstractAsyncContextManager[Yard]]


class Main:
    """An S3 server that can be stopped."""

    def __init__(self, folder: Path) -> None:
        self._stack = ExitStack()
        self.server: S3Server = self._stack.enter_context(serve(folder))

    def stop(self) -> None:
        self._stack.close()


@pytest.fixture
def main(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Main]:
    made = Main(tmp_path_factory.mktemp("s3"))
    for name, value in made.server.environment().items():
        if name != "AWS_ENDPOINT_URL":
            monkeypatch.setenv(name, value)
    yield made
    made.stop()


@pytest.fixture
def open_yard(ledger: Ledger, url: str, tmp_path: Path, stix_server: ServerHome) -> Open:
    @asynccontextmanager
    async def opened(config: str) -> AsyncIterator[Yard]:
        settings = {
            PREFECT_API_URL: f"{stix_server.url}/api",
            PREFECT_LOGGING_TO_API_ENABLED: False,
        }
        with temporary_settings(settings):
            async with (
                get_client() as client,
                open_workshop(ledger, tmp_path, config, prefect=client) as made,
            ):
                yard = Yard(made, url)
                yield yard
                await yard.close()

    return opened


def config(main: str, file: Path, places: tuple[str, str], copies: int) -> str:
    """The home's settings: a main store, and a folder as the other."""
    return f"""\
local: {{cpus: 8, memory: 16}}
artifacts:
  url: {main}
  place: {places[0]}
  copies: {copies}
  replicas: [{{url: "{file.as_uri()}", place: {places[1]}}}]
"""


async def until_it_waits(yard: Yard, name: str) -> tuple[str, Path]:
    """The id of a run whose first output is made, and the file that lets it go on."""
    folder = yard.workshop.folder
    marks, go = folder / f"marks-{name}", folder / f"go-{name}"
    text = PIPELINE.replace("NAME", name).replace("MARKS", str(marks)).replace("GO", str(go))
    run_id = await yard.start(text)

    async def there() -> bool:
        return marks.exists()

    await eventually(there, "the stage waits")
    return run_id, go


async def test_a_run_goes_on_without_the_store_it_began_with(
    open_yard: Open, main: Main, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    s3 = main.server.url("main")
    url = f"{s3}\n  endpoint_url: {main.server.endpoint_url}"
    near_s3 = config(url, file, ("local", FAR), copies=2)
    async with open_yard(near_s3) as yard:
        run_id, go = await until_it_waits(yard, "one")
        store = yard.workshop.runtime.store
        data = (await yard.ledger.stage(run_id, "make")).outputs["data"]
        assert set((await yard.ledger.replicas([data]))[data]) == {s3, file.as_uri()}
        rows = await yard.ledger.artifacts(run_id=run_id, digest=data)
        assert rows[0].url.startswith(s3)  # the near one
        await asyncio.to_thread(main.stop)
        go.touch()
        ended = await yard.end(run_id)
        assert ended.state == "succeeded", (ended.message, ended.stages)
        more = ended.stages["use"].outputs["more"]
        assert (await yard.ledger.replicas([more]))[more] == [file.as_uri()]
        assert b"".join(await asyncio.to_thread(lambda: list(store.read(more)))) == b"one\n"

        run_id, go = await until_it_waits(yard, "two")
        file.rename(tmp_path / "away")
        file.write_text("no folder any more")
        go.touch()
        ended = await yard.end(run_id)
        assert ended.state == "failed"
        said = str(ended.attempts[-1].event)
        assert "No store that answers has artifact" in said, said
        assert s3 in said and f"{file.as_uri()} has not" in said, said


async def test_outputs_lie_where_the_node_pays_least(open_yard: Open, tmp_path: Path) -> None:
    far, near = tmp_path / "far", tmp_path / "near"
    async with open_yard(config(far.as_uri(), near, (FAR, "local"), copies=1)) as yard:
        run_id, go = await until_it_waits(yard, "one")
        go.touch()
        ended = await yard.end(run_id)
        assert ended.state == "succeeded", ended.message
        digests = [ended.stages["make"].outputs["data"], ended.stages["use"].outputs["more"]]
        assert await yard.ledger.replicas(digests) == {d: [near.as_uri()] for d in digests}
        where = await asyncio.to_thread(yard.workshop.runtime.store.where, digests[0])
        assert where == {far.as_uri(): "missing", near.as_uri(): "there"}
