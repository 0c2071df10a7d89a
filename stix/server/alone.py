"""Sweeping without a server and without a ledger: ``python -m stix.server.alone``.

For the day when the machine with the ledger is lost: with nothing but the credentials of the
clouds and the tags on what we made. Who owns a thing cannot be known then; its age has to do.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
import time
from collections.abc import Sequence
from typing import Any

from stix.clouds import registry
from stix.clouds.base import Cloud
from stix.clouds.config import CloudConfig
from stix.clouds.errors import CloudError
from stix.clouds.setup import setup_of
from stix.config import Config
from stix.errors import StixError
from stix.server.estate import Judged, judge_alone
from stix.server.inventory import Inventory
from stix.server.seen import Seen


async def sweep_alone(
    config: Config, home_id: str, older_s: float, *, dry_run: bool
) -> dict[str, Any]:
    """Remove what is of the home ``home_id`` and older than ``older_s`` seconds.

    Returns:
        As ``POST /sweep``: ``things`` with a verdict each, ``nodes``, ``resources``, ``errors``.
    """
    opened: dict[str, Cloud] = {}

    def open_cloud(name: str) -> Cloud:
        if name not in opened:
            settings, home = config.cloud(name), config.home
            known = CloudConfig(home, config.socket_dir(), settings, home_id)
            opened[name] = registry.open_cloud(name, known)
        return opened[name]

    inventory = Inventory(open_cloud, Seen(config.home / "cache" / "seen.json"))
    try:
        setups = [setup_of(name, open_cloud) for name in registry.names()]
        named = {s.name for s in setups if config.cloud(s.name) or config.cloud_enabled(s.name)}
        names = [s.name for s in setups if s.asked(configured=s.name in named)]
        listed = await inventory.take(names)
        things = [thing for each in listed for thing in each.things]
        judged = judge_alone(things, home_id, older_s, time.time())
        errors = [f"{each.cloud}: {each.error}" for each in listed if each.error]
        return await _done(inventory, judged, errors, dry_run=dry_run)
    finally:
        for cloud in opened.values():
            await cloud.close()


async def _done(
    inventory: Inventory, judged: Sequence[Judged], errors: list[str], *, dry_run: bool
) -> dict[str, Any]:
    doomed = [] if dry_run else [each for each in judged if each.orphan]
    removed, failed = await inventory.remove(doomed)
    return {
        "things": [each.to_dict() for each in judged],
        "nodes": [thing.id for thing in removed if thing.is_node],
        "resources": [f"{t.kind} {t.id}" for t in removed if not t.is_node],
        "errors": errors + [f"{cloud}: {words}" for cloud, words in failed],
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Print the outcome as JSON; exit code 1 where something could not be listed or removed."""
    parser = argparse.ArgumentParser(prog="stix sweep --alone")
    parser.add_argument("--older-than", type=float, required=True, help="seconds")
    parser.add_argument("--home-id", default="")
    parser.add_argument("--dry-run", action="store_true")
    given = parser.parse_args(argv)
    logging.basicConfig(level=logging.WARNING)
    try:
        config = Config.load()
        home_id = given.home_id or config.home_id()
        outcome = asyncio.run(sweep_alone(config, home_id, given.older_than, dry_run=given.dry_run))
    except FileNotFoundError:
        error = StixError(
            "the id of the home is not known", fix="give --home-id, as the tag stix-home has it"
        )
        outcome = {"errors": [f"{error.message}; {error.fix}"]}
    except (StixError, CloudError) as error:
        outcome = {"errors": [error.message]}
    json.dump(outcome, sys.stdout)
    return 1 if outcome["errors"] else 0


if __name__ == "__main__":
    sys.exit(main())
