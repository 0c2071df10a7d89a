"""Checks about a wire that breaks and a provider that says no; for benches with ``faults``."""

from __future__ import annotations

from stix.clouds.base import Node, Selector
from stix.clouds.errors import (
    AuthError,
    CapacityError,
    CloudError,
    InvalidRequest,
    QuotaError,
    Throttled,
)
from stix.clouds.testing.bench import Broken, Desk, demand_that, ids, refs
from stix.clouds.testing.faults import Refusal, Wire


async def survives_requests_that_never_arrive(at: Desk) -> None:
    await _each_request(at, "cut before")


async def survives_answers_that_are_lost(at: Desk) -> None:
    """The provider did what was asked, and nobody heard: nothing is made twice."""
    await _each_request(at, "cut after")


async def survives_a_provider_that_says_nothing(at: Desk) -> None:
    await _each_request(at, "silent before", 1)


async def survives_answers_that_come_too_late(at: Desk) -> None:
    await _each_request(at, "silent after", 1)


async def survives_server_errors(at: Desk) -> None:
    await _each_request(at, "error 500")


async def survives_answers_that_make_no_sense(at: Desk) -> None:
    await _each_request(at, "garbage")


async def says_when_it_asked_too_often(at: Desk) -> None:
    for error in await _each_request(at, "busy 429"):
        demand_that(isinstance(error, Throttled), "429 is Throttled", error)


async def _each_request(at: Desk, kind: Wire, count: int = 2) -> list[CloudError]:
    """Break each request of a creation in turn; the next try makes it whole, and no more.

    Silence takes time: one node is enough for it.
    """
    at.faults.watch()
    await at.cloud.terminate(refs(await at.cloud.create(at.request(2))))
    before = sorted(at.faults.alive())
    errors: list[CloudError] = []
    number = 0
    while True:
        request = at.request(count)
        at.faults.watch()
        at.faults.wire(kind, number)
        cloud = at.bench.hasty() if kind.startswith("silent") and at.bench.hasty else at.cloud
        try:
            await cloud.create(request)
        except CloudError as error:
            demand_that(error.retryable, f"{kind} is worth another try", error)
            errors.append(error)
        finally:
            if cloud is not at.cloud:
                await cloud.close()
        over = at.faults.asked() <= number
        at.faults.watch()
        nodes = await at.cloud.create(request)
        ranks = [*range(request.count)]
        demand_that([n.rank for n in nodes] == ranks, "the next try has all nodes", nodes)
        made = sorted(set(at.faults.alive()) - set(before))
        demand_that(made == ids(nodes), f"{kind} at request {number}: no more than asked", made)
        await at.cloud.terminate(refs(nodes))
        demand_that(sorted(at.faults.alive()) == before, "and all of it ends")
        if over:
            demand_that(bool(errors), f"{kind} is told to the caller")
            return errors
        number += 1


async def ends_nodes_over_a_broken_wire(at: Desk) -> None:
    """A request of the removal is lost, or its answer: repeated, it is done."""
    for kind in _WIRES:
        number = 0
        over = False
        while not over:
            at.faults.watch()
            nodes = await at.cloud.create(at.request(2))
            at.faults.watch()
            at.faults.wire(kind, number)
            try:
                await at.cloud.terminate(refs(nodes))
            except CloudError as error:
                demand_that(error.retryable, f"{kind} is worth another try", error)
            over = at.faults.asked() <= number
            at.faults.watch()
            await at.cloud.terminate(refs(nodes))
            left = set(at.faults.alive()) & set(ids(nodes))
            demand_that(not left, f"{kind} at request {number}: the nodes end", left)
            number += 1


_WIRES: tuple[Wire, ...] = ("cut before", "cut after", "error 500")


async def says_when_there_is_no_answer(at: Desk) -> None:
    """Every call over a dead wire is a typed error that is worth another try."""
    nodes = await at.cloud.create(at.request())
    calls = (
        lambda: at.cloud.check(),
        lambda: at.cloud.list(Selector()),
        lambda: at.cloud.terminate(refs(nodes)),
        lambda: at.cloud.create(at.request()),
    )
    for call in calls:
        at.faults.watch()
        at.faults.wire("cut before", 0, 1000)
        error = await _error(call())
        demand_that(error is not None and error.retryable, "no answer is worth another try", error)
    at.faults.watch()


async def says_when_it_is_locked_out(at: Desk) -> None:
    """Credentials that are refused: an ``AuthError``, with a fix, from every call."""
    nodes = await at.cloud.create(at.request())
    at.faults.lock_out(True)
    calls = (
        lambda: at.other.check(),
        lambda: at.other.list(Selector()),
        lambda: at.other.terminate(refs(nodes)),
        lambda: at.other.create(at.request()),
    )
    for call in calls:
        error = await _error(call())
        demand_that(isinstance(error, AuthError), "a refused key is an AuthError", error)
        at.holds_secrets(error)
    at.faults.lock_out(False)
    demand_that(ids(await at.listed()) == ids(nodes), "and nothing was removed")


async def says_when_the_provider_has_none(at: Desk) -> None:
    error = await _refused(at, "capacity")
    demand_that(type(error) is CapacityError, "no room is a CapacityError", error)


async def says_when_a_quota_is_reached(at: Desk) -> None:
    error = await _refused(at, "quota")
    demand_that(isinstance(error, QuotaError), "a quota is a QuotaError", error)


async def says_when_a_right_is_missing(at: Desk) -> None:
    error = await _refused(at, "auth")
    demand_that(isinstance(error, AuthError), "a missing right is an AuthError", error)


async def says_when_the_order_is_wrong(at: Desk) -> None:
    error = await _refused(at, "invalid")
    demand_that(isinstance(error, InvalidRequest), "a wrong order is an InvalidRequest", error)


async def _refused(at: Desk, why: Refusal) -> CloudError:
    """The error of a refused order, for one node and for a gang; nothing is left behind."""
    scope = at.faults.refusals.get(why)
    if scope is None:
        raise NotKnown(why)
    before, things = sorted(at.faults.alive()), sorted(at.faults.leftovers())
    for count in (2, 1):
        at.faults.watch()
        at.faults.refuse(why)
        error = await _error(at.cloud.create(at.request(count)))
        at.faults.watch()
        if error is None:
            raise Broken(f"a refusal for {why} is an error")
        demand_that(not error.retryable, "the same order is not worth another try", error)
        demand_that(not error.created, "nothing is left behind", error.created)
        if isinstance(error, CapacityError):
            demand_that(error.scope == scope, f"its scope is {scope}", error.scope)
        demand_that(sorted(at.faults.alive()) == before, "no machine is left")
        left = sorted(set(at.faults.leftovers()) - set(things))
        demand_that(not left, "no disk or address is left", left)
        at.holds_secrets(error)
    if error is None:
        raise Broken(why)
    return error


class NotKnown(Exception):
    """The provider does not know this refusal."""


async def takes_back_a_gang_that_came_in_part(at: Desk) -> None:
    """Some machines of a wish were made when the room ended: they are gone, with all they had."""
    some = await at.cloud.create(at.request(at.bench.room - 1))
    before, things = sorted(at.faults.alive()), sorted(at.faults.leftovers())
    error = await _error(at.cloud.create(at.request(2)))
    demand_that(isinstance(error, CapacityError), "half a gang is no room", error)
    demand_that(sorted(at.faults.alive()) == before, "its machines are gone", at.faults.alive())
    left = sorted(set(at.faults.leftovers()) - set(things))
    demand_that(not left, "and their disks and addresses", left)
    demand_that(ids(await at.listed()) == ids(some), "others stay")


async def tells_what_it_could_not_take_back(at: Desk) -> None:
    """Half a gang, and the wire breaks while it is undone: the error says what exists."""
    await at.cloud.create(at.request(at.bench.room - 1))
    at.faults.watch()
    await _error(at.cloud.create(at.request(2)))
    last = at.faults.asked()
    for number in range(last):
        request = at.request(2)
        before = set(at.faults.alive())
        at.faults.watch()
        at.faults.wire("cut before", number, 1000)
        error = await _error(at.cloud.create(request))
        at.faults.watch()
        left = set(at.faults.alive()) - before
        told = set(error.created) if error is not None else set()
        listed = set(ids(await at.of(request)))
        demand_that(left <= told | listed, "what exists is told or listed", (left, told, listed))
        await at.cloud.terminate([node.ref for node in await at.of(request)])
        demand_that(set(at.faults.alive()) == before, "and can be removed")


async def _error(call: object) -> CloudError | None:
    try:
        await call  # type: ignore[misc]
    except CloudError as error:
        return error
    return None


async def bears_a_listing_that_lags(at: Desk) -> None:
    """The answer is lost, and listings do not show the machine yet: in the end there is no more
    than was asked for."""
    request = at.request(2)
    at.faults.watch()
    at.faults.lag(2)
    at.faults.wire("cut after", await _order_number(at))
    await _error(at.cloud.create(request))
    at.faults.watch()
    nodes: list[Node] = []
    for _ in range(5):
        nodes = await at.cloud.create(request)
    made = ids(await at.of(request))
    asked = request.count
    demand_that(made == ids(nodes) and len(nodes) == asked, "as many as were asked for", made)


async def _order_number(at: Desk) -> int:
    """Which request of a creation is the first that makes a machine."""
    number = 0
    while True:
        at.faults.watch()
        at.faults.wire("cut before", number, 1000)
        before = set(at.faults.alive())
        request = at.request()
        await _error(at.cloud.create(request))
        at.faults.watch()
        at.faults.wire("cut after", number)
        await _error(at.cloud.create(request))
        made = set(at.faults.alive()) - before
        at.faults.watch()
        await at.cloud.terminate([node.ref for node in await at.of(request)])
        if made or number > 20:
            return number
        number += 1


async def leaves_strangers_alone(at: Desk) -> None:
    """Machines of others are not listed, whatever they are called, and not removed."""
    mine = await at.cloud.create(at.request())
    names = ("somebody", "stix", "stix-web-1", f"stix-{'0' * 12}-{'0' * 16}-0")
    others = {at.faults.stranger(name) for name in names}
    shown = set(ids(await at.cloud.list(Selector())))
    demand_that(not shown & others, "machines of others are not ours", shown & others)
    await at.cloud.terminate(refs(mine))
    demand_that(others <= set(at.faults.alive()), "and they live on")


async def lists_through_all_pages(at: Desk) -> None:
    """More machines than a page holds, with those of others between them."""
    made: list[str] = []
    for _ in range(at.bench.room):
        made += ids(await at.cloud.create(at.request()))
        at.faults.stranger("between")
    demand_that(ids(await at.listed(by=at.other)) == sorted(made), "every page is read")
