"""What a refresher must do when all goes well, or is broken off."""

from __future__ import annotations

import subprocess
import sys

from stix.clouds.catalog.refresh import Known, Wish
from stix.clouds.catalog.tables import read
from stix.clouds.catalog.testing import server
from stix.clouds.catalog.testing.bench import DAY, Desk, demand, environment
from stix.clouds.catalog.testing.server import Fault


def reads_all_pages(at: Desk) -> None:
    outcome = at.refresh()
    found = {(name, region): price for (name, region, _), price in at.prices().items()}
    for place, wanted in at.bench.expect.items():
        demand(place in found, f"{place} is missing; there are {sorted(found)}")
        demand(found[place] == wanted, f"{place} costs {found[place]}, not {wanted}")
    demand(outcome.pages >= at.bench.pages, f"{outcome.pages} pages")
    asked = [a.identity for a in at.provider.asked]
    demand(len(set(asked)) == len(asked), "it asked for a page twice")


def dates_and_sources_every_price(at: Desk) -> None:
    outcome = at.refresh()
    table = read(at.file)
    days = {source.as_of for source in table.sources if source.name != "before"}
    demand(days == {"2026-11-20"} == {outcome.as_of}, f"as of {days}")
    rows = [table.row(number) for number in range(table.size)]
    wrong = [
        row
        for row in rows
        if (row.on_demand is None) != (row.source is None)
        or (row.spot is None) != (row.spot_source is None)
        or (row.on_demand or 1) <= 0
        or (row.spot or 0) >= (row.on_demand or 1e9)
        or (row.kind.scope == "machine" and not (row.kind.cpus > 0 and row.kind.memory_gib > 0))
    ]
    demand(not wrong, f"rows that may not be: {wrong}")


def says_what_changed(at: Desk) -> None:
    at.refresh()
    at.provider.world.factor = 1.2
    changes = at.refresh().changes
    moved = {c.moved and round(c.moved, 3) for c in changes}
    demand(bool(changes), "it says that nothing changed")
    demand(all(m and 0 < m <= 0.2 for m in moved), f"by {moved}")


def merges_what_is_listed_twice(at: Desk) -> None:
    at.refresh()
    before = at.prices()
    at.provider.world.twice = True
    at.refresh()
    demand(at.prices() == before, "another list came of it")


def drops_what_costs_nothing(at: Desk) -> None:
    at.provider.world.factor = 0.0
    at.refresh()
    demand(all(min(p for p in pair if p) > 0 for pair in at.prices().values()), "a price of 0")


def holds_back_what_moved_too_far(at: Desk) -> None:
    at.refresh()
    before = at.prices()
    at.provider.world.factor = 20.0
    outcome = at.refresh()
    demand(bool(outcome.held), "it holds nothing back")
    demand(at.prices() == before, "the catalog has the new price")
    demand(all(h.after > h.before for h in outcome.held), f"held back: {outcome.held}")
    outcome = at.refresh(wish=Wish(accept=True))
    demand(not outcome.held and at.prices() != before, "accepted, it is still held back")


def writes_nothing_on_a_dry_run(at: Desk) -> None:
    before = at.file.read_bytes()
    outcome = at.refresh(wish=Wish(dry_run=True))
    demand(bool(outcome.changes), "it says that nothing would change")
    demand(at.file.read_bytes() == before, "it wrote")


def asks_whether_a_page_changed(at: Desk) -> None:
    """ETag: a page that did not change is not sent again."""
    at.provider.etags = True
    at.refresh()
    first, prices = list(at.provider.asked), at.prices()
    at.provider.asked.clear()
    at.now += DAY
    outcome = at.refresh()
    gets = sum(asked.method == "GET" for asked in first)
    demand(outcome.unchanged == gets, f"{outcome.unchanged} of {gets} pages unchanged")
    conditional = {a.method for a in at.provider.asked if "if-none-match" in a.headers}
    demand(conditional <= {"GET"}, "a POST has a condition")
    demand(at.prices() == prices, "another list came of it")
    demand(outcome.as_of == "2026-11-21", f"as of {outcome.as_of}")


def notices_that_a_page_changed(at: Desk) -> None:
    at.provider.etags = True
    at.refresh()
    at.provider.world.factor = 1.2
    demand(bool(at.refresh().changes), "it used the page of before")


def goes_on_after_a_kill(at: Desk) -> None:
    """A process that is killed between pages: finished ones are not asked for again."""
    kind = at.bench.refresher
    at.provider.faults = [Fault(server.SILENT, at.is_last)]
    place = f"{kind.__module__}:{kind.__qualname__}"
    command = [sys.executable, "-m", "stix.clouds.catalog.testing.once", place, at.url]
    before = at.file.read_bytes()
    with subprocess.Popen(command, env=environment(at)) as process:
        arrived = at.provider.wait_for(at.is_last)
        process.kill()
    demand(arrived, "it never asked for the last page")
    demand(at.file.read_bytes() == before, "it wrote half a list")
    finished = {asked.identity for asked in at.provider.asked if not at.is_last(asked)}
    at.provider.asked.clear()
    at.provider.faults = []
    outcome = at.refresh()
    login = kind(Known(), at.secrets).login()
    again = {a.identity for a in at.provider.asked if login is None or a.path != login.path}
    demand(not again & finished, f"asked again: {again & finished}")
    known = finished - {f for f in finished if login is not None and f[1] == login.path}
    demand(outcome.reused == len(known), f"{outcome.reused} of {len(known)} pages reused")
    reads_expected(at)


def reads_expected(at: Desk) -> None:
    """The list is whole."""
    found = {(name, region): price for (name, region, _), price in at.prices().items()}
    demand(at.bench.expect.items() <= found.items(), f"there are {sorted(found)}")


def begins_anew_after_a_long_time(at: Desk) -> None:
    at.provider.faults = [Fault(server.STATUS, at.is_last)]
    at.refresh(good=False)
    at.provider.faults = []
    at.now += DAY
    demand(at.refresh().reused == 0, "it used pages of yesterday")
