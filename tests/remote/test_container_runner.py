"""The runner of containers conforms, in containers of a real engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Any

import pytest

from stix.remote.base import ConnectionLost, Runner
from stix.remote.container import ApiError, ContainerApi, ContainerRunner
from stix.remote.testing import RunnerConformance
from tests.support.docker import ContainerEngine

HOST: dict[str, Any] = {
    "NetworkMode": "none",
    "ReadonlyRootfs": True,
    "CapDrop": ["ALL"],
    "Tmpfs": {"/tmp": "rw,exec,mode=1777", "/home": "rw,mode=1777"},
}
PLAIN: dict[str, Any] = {"User": "1000:1000", "Env": ["HOME=/home"], "HostConfig": HOST}
FOREVER = ("sh", "-c", "sleep 1000 & wait $!")


@pytest.fixture(scope="module")
def container(docker: ContainerEngine) -> Iterator[str]:
    made = docker.run(*FOREVER, **PLAIN)
    yield made
    docker.remove(made)


@pytest.fixture
async def api(docker: ContainerEngine) -> AsyncIterator[ContainerApi]:
    api = ContainerApi(docker.socket)
    yield api
    await api.close()


class TestContainerRunner(RunnerConformance):
    @pytest.fixture
    async def runner(self, api: ContainerApi, container: str) -> AsyncIterator[Runner]:
        runner = ContainerRunner(api, container)
        yield runner
        await runner.close()

    @pytest.fixture
    async def lost(self, api: ContainerApi, docker: ContainerEngine) -> Runner:
        gone = docker.run(*FOREVER, **PLAIN)
        runner = ContainerRunner(api, gone)
        assert (await runner.run(["true"])).exit_code == 0
        docker.remove(gone)
        return runner


async def test_a_command_ends_with_its_container(
    api: ContainerApi, docker: ContainerEngine
) -> None:
    made = docker.run(*FOREVER, **PLAIN)
    task = asyncio.create_task(ContainerRunner(api, made).run(["sleep", "600"]))
    await asyncio.sleep(0.3)
    await asyncio.to_thread(docker.remove, made)
    with suppress(ConnectionLost):  # the engine may have forgotten the command already
        assert (await task).exit_code == 137


async def test_a_paused_container_is_lost(api: ContainerApi, docker: ContainerEngine) -> None:
    made = docker.run(*FOREVER, **PLAIN)
    docker.call("POST", f"/containers/{made}/pause")
    with pytest.raises(ConnectionLost, match="paused"):
        await ContainerRunner(api, made).run(["true"])
    docker.remove(made)


async def test_a_socket_where_nobody_listens(tmp_path_factory: pytest.TempPathFactory) -> None:
    api = ContainerApi(str(tmp_path_factory.mktemp("no") / "engine.sock"))
    with pytest.raises(ConnectionLost, match=r"engine\.sock"):
        await api.call("GET", "/info")
    with pytest.raises(ConnectionLost):
        await ContainerRunner(api, "any").open_unix("/tmp/s")


async def test_what_the_engine_refuses_keeps_its_words(api: ContainerApi) -> None:
    with pytest.raises(ApiError, match="No such container") as caught:
        await api.call("GET", "/containers/none-such/json")
    assert caught.value.status == 404
