"""Named cases of the solver."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from stix.plan.solve import (
    Flow,
    Infeasible,
    Minimize,
    Movement,
    Option,
    Problem,
    Rate,
    Reuse,
    solve,
)

HOUR = 3600.0
INF = float("inf")
DEAR = Rate(((INF, 0.09),), gib_per_second=0.5)
TWO = Movement((Rate(), DEAR), ((0, 1), (1, 0)))


def stage(*usd: float, seconds: float = HOUR) -> tuple[Option, ...]:
    """One option per price, in place 0, 1, ..."""
    return tuple(Option(place, price, seconds) for place, price in enumerate(usd))


def greedy(problem: Problem) -> tuple[int, ...]:
    """Each stage by itself, with what its inputs cost from where they were put before."""
    chosen: list[int] = []
    for v, options in enumerate(problem.stages):
        costs = []
        for option in options:
            usd = option.usd
            for flow in problem.flows:
                if flow.target == v:
                    there = problem.stages[flow.source][chosen[flow.source]].location
                    way = problem.movement.ways[there][option.location]
                    usd += problem.movement.rates[way].usd_for(flow.gib)
            costs.append(usd)
        chosen.append(costs.index(min(costs)))
    return tuple(chosen)


def test_a_diamond_is_placed_as_a_whole() -> None:
    diamond = Problem(
        stages=(stage(1.0, 2.0), stage(5.0, 3.0), stage(4.0, 4.0), stage(30.0, 3.0)),
        flows=(Flow(0, 1, 500.0), Flow(0, 2, 1.0), Flow(1, 3, 1.0), Flow(2, 3, 1.0)),
        movement=TWO,
    )
    found = solve(diamond)
    alone = replace(diamond, pinned=dict(enumerate(greedy(diamond))))
    assert found.choice == (1, 1, 1, 1)
    assert found.usd == pytest.approx(12.0)
    assert solve(alone).usd > found.usd + 1
    assert (found.gap, found.lower_bound) == (0.0, found.usd)


def test_of_two_equal_clouds_the_first_is_taken_throughout() -> None:
    chain = Problem(
        stages=(stage(1.0, 1.0),) * 6,
        flows=tuple(Flow(v, v + 1, 10.0) for v in range(5)),
        movement=TWO,
    )
    assert solve(chain).choice == (0,) * 6
    assert all(solve(chain) == solve(chain) for _ in range(5))


def test_of_equal_prices_the_quicker_machine() -> None:
    options = (Option(0, 1.0, 50.0), Option(1, 1.0, 20.0), Option(0, 1.0, 20.0))
    assert solve(Problem((options,))).choice == (1,)


def test_an_earlier_tier_wins_whatever_it_costs() -> None:
    ordered = (Option(0, 9.0, HOUR, 0), Option(1, 1.0, HOUR, 1))
    problem = Problem((ordered, stage(2.0, 2.0)), (Flow(0, 1, 100.0),), TWO)
    assert solve(problem).choice == (0, 0)


def test_a_later_tier_serves_where_a_limit_rules_out_the_first() -> None:
    ordered = (Option(0, 1.0, HOUR, 0), Option(1, 9.0, 60.0, 1))
    problem = Problem((ordered,), deadline=100.0)
    assert solve(problem).choice == (1,)
    with pytest.raises(Infeasible) as refused:
        solve(replace(problem, budget=5.0))
    assert "60.000 s" not in str(refused.value)


def test_the_earlier_stage_of_a_group_gets_its_tier() -> None:
    first = (Option(0, 9.0, HOUR, 0), Option(1, 1.0, HOUR, 1))
    second = (Option(1, 1.0, HOUR, 0), Option(0, 1.0, HOUR, 1))
    assert solve(Problem((first, second), together=((0, 1),))).choice == (0, 1)


def test_groups_share_an_area_not_a_place() -> None:
    problem = Problem(
        stages=(stage(1.0, 9.0, 9.0), stage(9.0, 9.0, 2.0)), together=((0, 1),), areas=(0, 1, 0)
    )
    assert solve(problem).choice == (0, 2)


def warm_chain(boot: float) -> Problem:
    def options(*usd: float) -> tuple[Option, ...]:
        return tuple(Option(0, u, 600.0, 0, k, boot, 300.0) for k, u in enumerate(usd))

    flows = (Flow(0, 1), Flow(0, 2))
    reuse = (Reuse(0, 1), Reuse(0, 2))
    return Problem((options(5.0, 4.0), options(5.0, 9.0), options(5.0, 9.0)), flows, reuse=reuse)


def test_a_cluster_has_one_heir() -> None:
    found = solve(warm_chain(boot=2.0))
    assert len(found.warm) == 1
    assert found.choice == (0, 0, 0)
    assert found.usd == pytest.approx(13.0)


def test_a_cluster_is_not_handed_on_where_it_does_not_pay() -> None:
    found = solve(warm_chain(boot=0.5))
    assert (found.choice, found.warm) == ((1, 0, 0), ())
    assert found.usd == pytest.approx(14.0)


def test_time_counts_movement_along_the_longest_path() -> None:
    problem = Problem(
        stages=(stage(1.0, 1.0), (Option(1, 1.0, 60.0),), stage(1.0, 1.0, seconds=10.0)),
        flows=(Flow(0, 1, 100.0), Flow(0, 2, 100.0)),
        movement=TWO,
        minimize=Minimize.SECONDS,
    )
    found = solve(problem)
    assert found.choice[0] == 1
    assert found.seconds == pytest.approx(HOUR + 60.0)


def test_no_option_is_named() -> None:
    with pytest.raises(Infeasible) as refused:
        solve(Problem((stage(1.0), ())))
    assert refused.value.stages == (1,)


def test_a_group_without_a_place_in_common_is_named() -> None:
    apart = ((Option(0, 1.0, 1.0),), (Option(1, 1.0, 1.0),))
    with pytest.raises(Infeasible) as refused:
        solve(Problem(apart, together=((0, 1),)))
    assert refused.value.stages == (0, 1)


def test_the_least_deadline_and_budget_are_told_and_do() -> None:
    options = (Option(0, 1.0, 100.0), Option(0, 8.0, 10.0))
    chain = Problem((options, options), (Flow(0, 1),))
    for limit, least in (({"deadline": 19.0}, 20.0), ({"budget": 1.5}, 2.0)):
        with pytest.raises(Infeasible) as refused:
            solve(replace(chain, **limit))  # type: ignore[arg-type]
        assert refused.value.least == pytest.approx(least)
        solve(replace(chain, **dict.fromkeys(limit, least)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wrong",
    [
        Problem((stage(1.0), stage(1.0)), (Flow(0, 1), Flow(1, 0))),
        Problem((stage(1.0),), (Flow(0, 1),)),
        Problem((stage(1.0),), pinned={0: 4}),
        Problem((stage(1.0), stage(1.0)), reuse=(Reuse(0, 1),)),
        Problem((stage(1.0),), together=((0, 3),)),
    ],
)
def test_numbers_that_name_nothing_are_refused(wrong: Problem) -> None:
    with pytest.raises(ValueError, match=r"stage|group"):
        solve(wrong)


def test_a_thousand_stages_over_a_hundred_places_are_proven_best() -> None:
    rng = random.Random(7)
    clouds, regions = 5, 20
    count = clouds * regions
    rates = (Rate(), Rate(((INF, 0.02),)), *(Rate(((INF, 0.05 + c / 50),)) for c in range(clouds)))
    ways = [
        [
            0 if a == b else 1 if a // regions == b // regions else 2 + a // regions
            for b in range(count)
        ]
        for a in range(count)
    ]
    kinds = [stage(*(rng.uniform(1, 2) * base for _ in range(count))) for base in (0.2, 2, 20)]
    flows = []
    for v in range(1, 1000):
        before = range(max(0, v - 5), v)
        for u in rng.sample(before, min(v, rng.choice([1, 2]))):
            flows.append(Flow(u, v, rng.choice([10.0, 50.0, 200.0, 1000.0])))
    found = solve(Problem([kinds[v % 3] for v in range(1000)], flows, Movement(rates, ways)))
    assert found.gap == 0
    assert found.method == "elimination"
    assert found.explored < 3_000_000
