"""The runner of pods conforms, over both protocols, against an API server with real processes."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping

import pytest

from stix.remote.agent import AgentClient, HostAgent, JobStart, UpRequest
from stix.remote.base import ConnectionLost, LoginRefused, Runner
from stix.remote.kube import V4, V5, Dialect, KubeRunner, Login, PodTarget
from stix.remote.testing import RunnerConformance
from tests.support.agents import eventually, output
from tests.support.kube.double import TOKEN, KubeDouble, node
from tests.support.kube.fixture import kube_double

KEEP = "trap 'exit 0' TERM; while :; do sleep 86400 & wait $!; done"


@pytest.fixture(scope="module")
def kube(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubeDouble]:
    with kube_double(tmp_path_factory.mktemp("kube"), [node("n1", cpus=64)]) as double:
        yield double


async def started(kube: KubeDouble, name: str) -> None:
    container = {"name": "main", "image": "any", "command": ["sh", "-c", KEEP]}
    meta = {"name": name}
    kube.add("pods", {"metadata": meta, "spec": {"containers": [container]}, "status": {}})
    await eventually(lambda: kube.pod(name)["status"].get("phase") == "Running", "the pod runs")


def target(kube: KubeDouble, pod: str, token: str = TOKEN) -> PodTarget:
    context = ssl.create_default_context(cafile=str(kube.certificates.ca))

    async def login() -> Login:
        headers: Mapping[str, str] = {"Authorization": f"Bearer {token}"}
        return Login(headers, context)

    return PodTarget(kube.url, "default", pod, "main", login, Dialect())


class TestVersionFive(RunnerConformance):
    protocol = V5

    @pytest.fixture
    async def runner(self, kube: KubeDouble) -> AsyncIterator[Runner]:
        kube.do(lambda: setattr(kube.api, "protocols", (self.protocol,)))
        await started(kube, "works")
        runner = KubeRunner(target(kube, "works"))
        yield runner
        assert runner.target.dialect.version == self.protocol
        await runner.close()
        kube.clear()
        kube.do(lambda: setattr(kube.api, "protocols", (V5, V4)))

    @pytest.fixture
    async def lost(self, kube: KubeDouble) -> AsyncIterator[Runner]:
        await started(kube, "lost")
        runner = KubeRunner(target(kube, "lost"))
        assert (await runner.run(["true"])).exit_code == 0
        kube.clear()
        yield runner
        await runner.close()


class TestVersionFour(TestVersionFive):
    protocol = V4


@pytest.fixture
async def runner(kube: KubeDouble) -> AsyncIterator[KubeRunner]:
    await started(kube, "pod")
    runner = KubeRunner(target(kube, "pod"))
    yield runner
    await runner.close()
    kube.clear()


async def test_the_agent_works_through_it(runner: KubeRunner) -> None:
    node = await HostAgent(runner, "~/.stix").up(UpRequest("token"))
    client = AgentClient(runner, node.socket)
    await client.start(JobStart("r/1", "echo out; exit 3"))
    data, status = await output(client, "r/1")
    assert (data, status.exit_code) == (b"out\n", 3)
    await client.shutdown()
    await client.close()


async def test_a_pod_that_goes_ends_what_waits(runner: KubeRunner, kube: KubeDouble) -> None:
    command = asyncio.create_task(runner.run(["sleep", "600"]))
    await asyncio.sleep(0.3)
    kube.clear()
    done = await asyncio.gather(command, return_exceptions=True)
    assert isinstance(done[0], ConnectionLost) or done[0].exit_code == 137  # type: ignore[union-attr]


async def test_a_wrong_token_is_refused(runner: KubeRunner, kube: KubeDouble) -> None:
    wrong = KubeRunner(target(kube, "pod", "wrong-secret"))
    with pytest.raises(LoginRefused) as caught:
        await wrong.run(["true"])
    assert "wrong-secret" not in f"{caught.value!r}{wrong.target!r}"


async def test_a_missing_right_is_named(runner: KubeRunner, kube: KubeDouble) -> None:
    kube.do(lambda: kube.api.denied.add("create pods/exec"))
    with pytest.raises(LoginRefused, match="cannot create resource") as caught:
        await KubeRunner(target(kube, "pod")).run(["true"])
    assert "pods/exec" in caught.value.fix


async def test_a_pod_that_is_not_there(runner: KubeRunner, kube: KubeDouble) -> None:
    with pytest.raises(ConnectionLost, match="not found"):
        await KubeRunner(target(kube, "no-such-pod")).run(["true"])


async def test_a_server_that_is_not_there(runner: KubeRunner, kube: KubeDouble) -> None:
    good = target(kube, "pod")
    with pytest.raises(ConnectionLost):
        await KubeRunner(PodTarget("https://127.0.0.1:9", "d", "p", "main", good.login)).run(["id"])
