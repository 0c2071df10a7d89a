"""The sweeper, with a real PostgreSQL and real nodes of the local cloud."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from stix.clouds.base import CreateRequest, Node, Selector
from stix.clouds.config import CloudConfig
from stix.clouds.local import LocalCloud
from stix.config import Config
from stix.ledger import Fence, Intent, Ledger, NewRun, NewStage
from stix.plan.offers import Demand
from stix.server import postgres
from stix.server.context import Context
from stix.server.process import spawn, stop
from stix.server.sweeper import Sweeper
from stix.storage.stores.s3 import S3Store
from tests.support.s3 import S3Server, s3_server
from tests.support.server import ServerHome, make_home

__all__ = ["s3_server"]


@pytest.fixture
async def context() -> AsyncIterator[Context]:
    home = make_home("local: {cpus: 8, memory: 8, price: 3.6}\n")
    config = Config.load(home)
    config.create()
    postgres.prepare(config)
    command = postgres.command(config)
    process = spawn(command)
    made = Context(config)
    try:
        await made.open()
        yield made
        await made.close()
    finally:
        await stop(process, postgres.STOP_SIGNAL, 10)
        ServerHome(home).clean()


async def node_for(context: Context, run: str, token: str) -> Node:
    cloud = context.cloud("local")
    [offer, *_] = await cloud.offers()
    tags = {
        "stix-run": run,
        "stix-stage": "a",
        "stix-attempt": "1",
        "stix-home": context.config.home_id(),
        "stix-token": token,
    }
    [node] = await cloud.create(CreateRequest(token, offer, Demand(cpus=1), 1, run, tags))
    return node


async def ids(context: Context) -> set[str]:
    return {node.ref.id for node in await context.cloud("local").list(Selector())}


async def running(context: Context, engine: str, ttl_s: float = 60.0) -> Fence:
    """A run that ``engine`` holds, in its first attempt."""
    ledger = context.ledger
    run = f"sweep-{uuid.uuid4().hex[:8]}"
    await ledger.create_run(NewRun(run, "sweep", {}, [NewStage("a", "a")]))
    await ledger.register_engine(engine, "here", 1, ttl_s)
    claim = await ledger.claim_run(engine, run)
    assert claim is not None
    await ledger.start_run(claim.fence)
    await ledger.start_attempt(claim.fence, "a", 1, None)
    return claim.fence


async def rented(context: Context, fence: Fence) -> Node:
    """A node of the run, with its intent and its cluster."""
    token = f"{fence.run_id}.a.1"
    ledger = context.ledger
    await ledger.open_intent(fence, Intent(token, "a", 1, "local", {}))
    node = await node_for(context, fence.run_id, token)
    cluster: dict[str, Any] = {"key": "a", "attempt": 1, "token": token, "cloud": "local"}
    cluster |= {"offer": {}, "nodes": [node.to_dict()], "price_usd_h": 3.6}
    await ledger.add_cluster(fence, cluster)
    return node


def engine_id() -> str:
    return f"engine-{uuid.uuid4().hex[:8]}"


async def open_tokens(ledger: Ledger) -> set[str]:
    return {intent.token for intent in await ledger.open_intents()}


async def test_nodes_of_an_unknown_run_go(context: Context) -> None:
    node = await node_for(context, "never-heard-of", "t1")
    done = await Sweeper(context).sweep_once()
    assert done.nodes == [node.ref.id]
    assert await ids(context) == set()
    assert (await Sweeper(context).sweep_once()).nodes == []


async def test_what_a_run_that_ended_left_is_removed_and_paid(context: Context) -> None:
    fence = await running(context, engine_id())
    node = await rented(context, fence)
    await context.ledger.finish_run(fence, "failed", None)
    done = await Sweeper(context).sweep_once()
    assert done.nodes == [node.ref.id]
    assert await ids(context) == set()
    assert await open_tokens(context.ledger) == set()
    assert await context.ledger.clusters(open_only=True) == []
    [line] = await context.ledger.receipts(fence.run_id)
    assert line.usd >= 0 and line.quantity > 0


async def test_buckets_of_runs_that_ended_go(
    context: Context, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their engine died at the end; those that are to stay, or are others', stay."""
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    store, ledger = S3Store(), context.ledger
    fence = await running(context, engine_id())
    names = {word: f"{word}-{uuid.uuid4().hex[:10]}" for word in ("goes", "kept", "theirs")}
    for word, name in names.items():
        url = store.create_bucket(name, "", {}).url
        store.put(f"{url}/key", b"x")
        await ledger.use_bucket(fence, url, persistent=word == "kept")
        await ledger.add_bucket(fence, url, "", made=word != "theirs")
    gone = f"s3://{names['goes']}"
    assert (await Sweeper(context).sweep_once()).buckets == []  # its run goes on
    await ledger.finish_run(fence, "failed", None)
    with monkeypatch.context() as away:
        away.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
        done = await Sweeper(context).sweep_once()
        assert done.buckets == [] and gone in " ".join(done.errors)
    assert (await Sweeper(context).sweep_once(dry_run=True)).buckets == []
    assert (await Sweeper(context).sweep_once()).buckets == [gone]
    assert (await Sweeper(context).sweep_once()).buckets == []
    left = {bucket.url for bucket in store.buckets()}
    assert gone not in left and {f"s3://{names[word]}" for word in ("kept", "theirs")} <= left
    for word in ("kept", "theirs"):
        store.delete_bucket(names[word], force=True)


async def test_an_intent_without_a_node_is_settled(context: Context) -> None:
    fence = await running(context, engine_id())
    await context.ledger.open_intent(fence, Intent("lonely", "a", 1, "local", {}))
    assert await open_tokens(context.ledger) == {"lonely"}
    await context.ledger.finish_run(fence, "cancelled", None)
    assert (await Sweeper(context).sweep_once()).intents == ["lonely"]
    assert await open_tokens(context.ledger) == set()


async def test_a_living_run_keeps_its_nodes(context: Context) -> None:
    fence = await running(context, engine_id())
    node = await rented(context, fence)
    assert (await Sweeper(context, grace_s=0).sweep_once()).empty
    assert await ids(context) == {node.ref.id}


async def test_a_run_without_engine_keeps_its_nodes_for_the_grace(context: Context) -> None:
    engine = engine_id()
    fence = await running(context, engine)
    node = await rented(context, fence)
    await context.ledger.retire_engine(engine)
    assert (await Sweeper(context).sweep_once()).empty
    assert await ids(context) == {node.ref.id}
    assert (await Sweeper(context, grace_s=0).sweep_once()).nodes == [node.ref.id]
    assert await ids(context) == set()
    assert await open_tokens(context.ledger) == set()


async def test_nodes_of_another_home_are_left_alone(context: Context) -> None:
    ours = CloudConfig(
        context.config.home,
        context.config.socket_dir(),
        context.config.cloud("local"),
        context.config.home_id(),
    )
    theirs = LocalCloud(replace(ours, home_id="another"))
    [offer, *_] = await theirs.offers()
    tags = {"stix-run": "never-heard-of", "stix-home": "another", "stix-token": "t"}
    [node] = await theirs.create(CreateRequest("t", offer, Demand(cpus=1), 1, "x", tags))
    assert (await Sweeper(context).sweep_once()).nodes == []
    assert [n.ref.id for n in await theirs.list(Selector())] == [node.ref.id]
    await theirs.terminate([node.ref])


async def test_secrets_go_with_their_run(context: Context) -> None:
    fence = await running(context, engine_id())
    context.vault.put(fence.run_id, {"KEY": "value"})
    assert (await Sweeper(context).sweep_once()).secrets == []
    assert context.vault.get(fence.run_id) == {"KEY": "value"}
    await context.ledger.finish_run(fence, "succeeded", None)
    assert (await Sweeper(context).sweep_once()).secrets == [fence.run_id]
    assert context.vault.names() == []


async def test_a_cloud_that_fails_hides_nothing(context: Context) -> None:
    """Its intents stay open: nobody knows what is there."""
    fence = await running(context, engine_id())
    await context.ledger.open_intent(fence, Intent("elsewhere", "a", 1, "ssh", {}))
    await context.ledger.finish_run(fence, "failed", None)
    (context.config.home / "ssh_node_pools.yaml").write_text("rack: [not, a, map, of, hosts\n")
    left = await node_for(context, "never-heard-of", "t2")
    done = await Sweeper(context).sweep_once()
    assert done.errors and "ssh" in done.errors[0]
    assert done.nodes == [left.ref.id]
    assert await open_tokens(context.ledger) == {"elsewhere"}
