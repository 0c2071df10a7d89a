"""Which clouds are asked, and what is told of the others; with a real ledger."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from stix.clouds.errors import CircuitOpen, TransientError
from stix.clouds.setup import Setup
from stix.config import Config
from stix.ledger import Intent, NewRun, NewStage
from stix.server import postgres
from stix.server.context import Context
from stix.server.process import spawn, stop
from stix.server.survey import CloudReport, list_nodes, list_quotas, survey
from stix.server.sweeper import Sweeper
from tests.support.comet import Comet
from tests.support.server import ServerHome, make_home


@pytest.fixture
def comet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Comet:
    made = Comet.make(tmp_path)
    monkeypatch.syspath_prepend(made.site)
    monkeypatch.setenv("COMET_FOLDER", str(made.folder))
    return made


@pytest.fixture
async def context(comet: Comet) -> AsyncIterator[Context]:
    home = make_home("ssh: {enabled: false}\n")
    config = Config.load(home)
    config.create()
    postgres.prepare(config)
    process = spawn(postgres.command(config))
    made = Context(config)
    try:
        await made.open()
        yield made
        await made.close()
    finally:
        await stop(process, postgres.STOP_SIGNAL, 10)
        ServerHome(home).clean()


async def by_name(context: Context, *names: str) -> dict[str, CloudReport]:
    return {report.name: report for report in await survey(context, names)}


async def intent(context: Context, cloud: str) -> str:
    """Something that may be on a cloud, of a run that ended."""
    ledger, run = context.ledger, f"r-{uuid.uuid4().hex[:8]}"
    await ledger.create_run(NewRun(run, "p", {}, [NewStage("a", "a")]))
    await ledger.register_engine(f"e-{run}", "here", 1, 60)
    claim = await ledger.claim_run(f"e-{run}", run)
    assert claim is not None
    await ledger.start_attempt(claim.fence, "a", 1, None)
    await ledger.open_intent(claim.fence, Intent(f"token-{run}", "a", 1, cloud, {}))
    await ledger.finish_run(claim.fence, "failed", None)
    return f"token-{run}"


async def test_clouds_that_nobody_set_up_are_not_asked(context: Context, comet: Comet) -> None:
    reports = await by_name(context)
    states = {name: reports[name].state for name in ("local", "ssh", "comet")}
    assert states == {"local": "ready", "ssh": "off", "comet": "unset"}
    assert "stix check comet" in str(reports["comet"].error)
    assert not {node.name for node in await list_nodes(context)} & {"comet"}
    assert comet.calls() == []
    named = await by_name(context, "comet", "comte")
    assert named["comet"].state == "unset" and "write the file key" in str(named["comet"].error)
    assert named["comte"].state == "failed" and "did you mean 'comet'" in str(named["comte"].error)
    comet.give_key()
    report = (await by_name(context))["comet"]
    assert (report.state, report.account, report.credentials) == (
        "ready",
        "me@comet",
        "the file key",
    )
    assert "comet" in {node.name for node in await list_nodes(context)}
    assert comet.calls() == ["check", "offers", "list"]
    [quota] = await list_quotas(context, "comet", "us")  # type: ignore[misc]
    assert (quota.region, quota.limit) == ("us", 64)
    assert "does not tell quotas" in str(await list_quotas(context, "local", "us"))


async def test_what_may_be_on_a_cloud_without_credentials_is_not_forgotten(
    context: Context, comet: Comet
) -> None:
    tokens = {await intent(context, "comet"), await intent(context, "uninstalled")}
    done = await Sweeper(context).sweep_once()
    assert sorted(line.partition(":")[0] for line in done.errors) == ["comet", "uninstalled"]
    assert {row.token for row in await context.ledger.open_intents()} == tokens
    comet.give_key()
    await Sweeper(context).sweep_once()
    [left] = await context.ledger.open_intents()
    assert left.cloud == "uninstalled"


async def test_an_open_circuit_is_there_for_the_next_process(
    context: Context, comet: Comet
) -> None:
    comet.give_key()
    comet.fall_ill()
    for kind in (TransientError, CircuitOpen):
        assert isinstance((await by_name(context))["comet"].error, kind)
    assert comet.calls() == ["check"] * 5
    again = Context(context.config)
    await again.open()
    try:
        report = (await by_name(again))["comet"]
    finally:
        await again.close()
    assert isinstance(report.error, CircuitOpen) and report.state == "failed"
    assert comet.calls() == []


@pytest.mark.parametrize(
    ("said", "configured", "used", "asked"),
    [(None, False, False, False), (None, True, True, True), (True, True, True, True)],
)
def test_what_is_there_by_chance_is_used_where_the_user_says_so(
    said: bool | None, configured: bool, used: bool, asked: bool
) -> None:
    """An engine of containers on this machine, or a cluster of the company."""
    setup = Setup("docker", needs=True, found="/var/run/docker.sock", opt_in=True)
    assert setup.used(said, configured=configured) is used
    assert setup.asked(configured=configured) is asked
    assert setup.used(True) is True and setup.used(False, configured=True) is False
