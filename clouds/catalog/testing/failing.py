"""What a refresher must do when something goes wrong: the old catalog stays, and it says why."""

from __future__ import annotations

from stix.clouds.catalog.testing import server
from stix.clouds.catalog.testing.bench import Desk, demand
from stix.clouds.catalog.testing.server import Fault


def waits_as_long_as_it_is_told(at: Desk) -> None:
    """429 with Retry-After."""
    headers = {"Retry-After": "7"}
    at.provider.faults = [Fault(server.STATUS, at.is_last, 1, 429, headers)]
    at.refresh()
    demand(7.0 in at.waits, f"it waited {at.waits}")


def gives_up_when_told_to_wait_too_long(at: Desk) -> None:
    at.provider.faults = [Fault(server.STATUS, status=429, headers={"Retry-After": "86400"})]
    _stays(at)
    demand(len(at.provider.asked) == 1, "it asked again")


def tries_again_after_a_server_error(at: Desk) -> None:
    at.provider.faults = [Fault(server.STATUS, at.is_last, 2)]
    at.refresh()
    demand(at.waits == [0.25, 0.5], f"it waited {at.waits}")


def gives_up_after_some_server_errors(at: Desk) -> None:
    at.provider.faults = [Fault(server.STATUS, at.is_last)]
    _stays(at, "503")
    tries = sum(map(at.is_last, at.provider.asked))
    demand(tries == 3, f"it tried {tries} times")


def tries_again_after_a_cut_connection(at: Desk) -> None:
    at.provider.faults = [Fault(server.CUT, at.is_last, 1)]
    at.refresh()


def tries_again_after_half_a_text(at: Desk) -> None:
    at.provider.faults = [Fault(server.HALF, at.is_last, 1)]
    at.refresh()


def refuses_half_a_text(at: Desk) -> None:
    at.provider.faults = [Fault(server.HALF, at.is_last)]
    _stays(at)


def refuses_what_is_no_list(at: Desk) -> None:
    at.provider.faults = [Fault(server.GARBAGE, at.is_last)]
    _stays(at)


def refuses_no_text_at_all(at: Desk) -> None:
    at.provider.faults = [Fault(server.BLANK, at.is_last)]
    _stays(at)


def names_a_field_that_is_gone(at: Desk) -> None:
    at.provider.faults = [Fault(server.RENAMED, name=at.bench.field)]
    _stays(at, at.bench.field)
    demand(not at.waits, "it asked again, though the answer was whole")


def does_not_wait_for_a_silent_server(at: Desk) -> None:
    at.provider.faults = [Fault(server.SILENT, at.is_last)]
    _stays(at, idle_seconds=0.15)


def does_not_wait_for_a_slow_answer(at: Desk) -> None:
    at.provider.faults = [Fault(server.DRIP, at.is_last)]
    _stays(at, answer_seconds=0.15)


def refuses_an_endless_answer(at: Desk) -> None:
    _stays(at, "larger", page_bytes=10)
    demand(len(at.provider.asked) == 1, "it asked again")


def refuses_an_empty_list(at: Desk) -> None:
    at.provider.world.shown = 0
    _stays(at)


def refuses_a_list_that_shrank(at: Desk) -> None:
    at.refresh()
    at.provider.world.shown = 1
    _stays(at)


def refuses_a_server_that_nobody_answers_for(at: Desk) -> None:
    at.provider.faults = [Fault(server.STATUS, status=302, headers={"Location": at.url + "/x"})]
    _stays(at, "302")
    demand(len(at.provider.asked) == 1, "it followed")


def tells_no_secret(at: Desk) -> None:
    """Neither in messages nor in files."""
    at.refresh()
    at.provider.faults = [Fault(server.ECHO)]
    outcome = at.refresh(good=False)
    texts = [outcome.error, outcome.fix, repr(outcome.to_dict())]
    texts += [p.read_bytes().decode("latin-1") for p in at.home.rglob("*") if p.is_file()]
    for value in at.secrets.values():
        demand(not any(value in text for text in texts), "a secret is told")


def _stays(at: Desk, said: str = "", **bounds: float) -> None:
    before = at.file.read_bytes()
    outcome = at.refresh(good=False, bounds=bounds)
    demand(at.file.read_bytes() == before, "the catalog of before is gone")
    demand(bool(outcome.error) and said in outcome.error, f"it says: {outcome.error!r}")
    demand(outcome.error.startswith(at.bench.refresher.cloud) or not said, outcome.error)
    names = {path.name for path in at.file.parent.iterdir()}
    demand(names == {at.file.name, "pages"}, f"files are left: {names}")
