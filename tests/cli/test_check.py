"""``stix check`` against a real server with a cloud of a third party."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from stix.config import Config
from stix.ledger.database import dsn
from stix.server.postgres import database_url
from tests.cli.test_commands import Cli
from tests.support.comet import SECRET, Comet
from tests.support.server import ServerHome, eventually, make_home

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def comet(tmp_path_factory: pytest.TempPathFactory) -> Comet:
    return Comet.make(tmp_path_factory.mktemp("comet"))


@pytest.fixture(scope="module")
def server(comet: Comet) -> Iterator[ServerHome]:
    made = ServerHome(make_home(), env=comet.env)
    try:
        yield made.start()
    finally:
        made.clean()


@pytest.fixture
def cli(server: ServerHome, tmp_path: Path) -> Cli:
    return Cli(server.home, tmp_path)


def test_what_is_not_set_up_is_one_line_and_says_how_when_asked(cli: Cli, comet: Comet) -> None:
    lines = cli("check").stdout.splitlines()
    assert not any(line.startswith("comet") for line in lines)
    said, _, names = lines[-1].partition(": ")
    assert said == "not set up" and "comet" in names
    asked = cli("check", "comet", code=1).stdout
    assert "comet" in asked and "not set up" in asked
    assert "comet has no key" in asked and "write the file key" in asked
    assert "did you mean 'comet'" in cli("check", "comte", code=1).stdout


def test_features_are_told_of_every_cloud(cli: Cli) -> None:
    rows = {row["name"]: row["features"] for row in cli.json("check", "--features")}
    assert rows["local"]["chaos"] is True and rows["local"]["stop"] is False
    assert rows["comet"]["quotas"] is True and rows["comet"]["multi-node"] is False
    assert cli("check", "--features", "comet").stdout.splitlines()[1].startswith("comet")


def test_who_how_many_and_quotas_but_no_secret(cli: Cli, comet: Comet) -> None:
    comet.give_key()
    shown = cli("check", "comet", "--quotas", "us").stdout
    assert "can be used" in shown and "the file key" in shown and "me@comet" in shown
    assert shown.splitlines()[-1].split() == ["comet", "us", "cpus", "8", "64", "cpus"]
    [row] = cli.json("check", "comet", "--quotas", "us")
    assert (row["state"], row["offers"], row["circuits"]) == ("ready", 1, [])
    both = cli("check", "comet", "local", "--quotas", "us").stdout
    assert "local: no quotas: local does not tell quotas" in both
    assert SECRET not in shown + json.dumps(row) + both + cli("check").stdout


async def stay_open(home: Path) -> None:
    """Let no probe be due while the server starts again, however long that takes."""
    connection = await asyncpg.connect(dsn(database_url(Config.load(home), "stix")))
    await connection.execute("UPDATE breakers SET until = until + interval '1 hour'")
    await connection.close()


def test_an_open_circuit_is_shown_and_outlives_the_server(
    cli: Cli, comet: Comet, server: ServerHome
) -> None:
    comet.give_key()
    comet.fall_ill()
    assert "503 from comet" in cli("check", "comet", code=1).stdout
    comet.calls()
    asyncio.run(stay_open(server.home))
    pid = server.kill("server", signal.SIGKILL)
    eventually(lambda: server.pid("server") != pid)
    shown = cli("check", "comet", code=1).stdout
    assert "comet is not asked since" in shown and "503 from comet" in shown
    assert comet.calls() == []
    [row] = cli.json("check", "comet", code=1)
    assert [circuit["region"] for circuit in row["circuits"]] == ["-"]
    assert row["circuits"][0]["failures"] == 5
