"""Which prices are believed: currencies, markets, duplicates, moves."""

from __future__ import annotations

from typing import Any

import pytest

from stix.clouds.catalog.refresh.base import Quote
from stix.clouds.catalog.refresh.checks import (
    Checked,
    Origin,
    Policy,
    compared,
    priced,
    with_spot,
)
from stix.clouds.catalog.refresh.errors import ChangedSchema, Doubtful
from stix.clouds.catalog.refresh.settings import Bounds
from stix.clouds.catalog.rows import Row, Source
from stix.clouds.catalog.testing.world import row

ORIGIN = Origin("list", "2026-11-20", "listed")
POLICY = Policy(Bounds(), {"EUR": 1.10})


def quote(name: str, on_demand: float | None, spot: float | None = None, **more: Any) -> Quote:
    return Quote(row("comet", name, "eu", 1.0).kind, "eu", None, on_demand, spot, **more)


def rows(*quotes: Quote) -> Checked:
    return priced(quotes, ORIGIN, POLICY)


def then(count: int = 1, price: float = 1.0, **more: Any) -> list[Row]:
    return [row("comet", f"m{number}", "eu", price, **more) for number in range(count)]


def test_another_currency_is_converted_by_the_stated_rate_and_marked() -> None:
    (found,) = rows(quote("m0", 2.0, currency="EUR")).rows
    assert found.on_demand == 2.2
    assert found.source == Source("list", "2026-11-20", "estimate", "EUR")


def test_a_currency_without_a_rate_is_refused_and_the_fix_names_the_setting() -> None:
    with pytest.raises(ChangedSchema) as caught:
        rows(quote("m0", 2.0, currency="CHF"))
    assert "CHF" in caught.value.message
    assert "catalog.rates.CHF" in caught.value.fix


@pytest.mark.parametrize(("spot", "kept"), [(0.5, 0.5), (1.0, None), (1.5, None), (0.0, None)])
def test_spot_has_to_be_below_on_demand(spot: float, kept: float | None) -> None:
    (found,) = rows(quote("m0", 1.0, spot)).rows
    assert (found.on_demand, found.spot) == (1.0, kept)
    assert (found.spot_source is None) == (kept is None)


@pytest.mark.parametrize("price", [0.0, -1.0, 4e-7])
def test_a_price_not_above_0_is_dropped(price: float) -> None:
    found = rows(quote("m0", price), quote("m1", 1.0), quote("m2", 1.0))
    assert [r.kind.instance_type for r in found.rows] == ["m1", "m2"]
    assert found.notes["price not above 0 (the price alone)"] == 1


def test_a_list_without_prices_is_refused() -> None:
    with pytest.raises(Doubtful):
        rows(quote("m0", 0.0))
    with pytest.raises(Doubtful):
        rows(quote("m0", 1.0), quote("m1", 0.0), quote("m2", None))


def test_of_duplicates_each_market_takes_the_cheapest() -> None:
    found = rows(quote("m0", 3.0, 1.0), quote("m0", 2.0, 1.5), quote("m0", 2.5, None))
    assert [(r.on_demand, r.spot) for r in found.rows] == [(2.0, 1.0)]
    assert sum(found.notes.values()) == 2


def test_a_merged_row_has_no_spot_price_above_on_demand() -> None:
    found = rows(quote("m0", 3.0, 2.5), quote("m0", 2.0))
    assert [(r.on_demand, r.spot) for r in found.rows] == [(2.0, None)]


@pytest.mark.parametrize(("price", "held"), [(1.5, 0), (1.51, 1), (0.67, 0), (0.66, 1)])
def test_a_price_that_moved_far_is_held_back_up_and_down(price: float, held: int) -> None:
    found = compared(rows(quote("m0", price)), then(), POLICY)
    assert len(found.held) == held
    (kept,) = found.rows
    assert kept.on_demand == (1.0 if held else price)
    assert kept.source is not None
    assert kept.source.as_of == ("2026-01-01" if held else "2026-11-20")


@pytest.mark.parametrize(("confidence", "held"), [("listed", 1), ("market", 0)])
def test_the_price_of_a_market_may_move_further(confidence: str, held: int) -> None:
    moved = rows(quote("m0", 2.5, confidence=confidence))
    assert len(compared(moved, then(), POLICY).held) == held


def test_nothing_is_held_back_beside_an_estimate() -> None:
    guess = Source("before", "2025-01-01", "estimate")
    old = [then()[0]._replace(source=guess)]
    assert not compared(rows(quote("m0", 9.0)), old, POLICY).held


def test_a_price_that_was_only_converted_is_no_estimate_to_this_end() -> None:
    old = [then()[0]._replace(source=Source("before", "2026-01-01", "estimate", "EUR"))]
    assert compared(rows(quote("m0", 9.0, currency="EUR")), old, POLICY).held


def test_most_prices_moved_at_once_is_a_change_of_units() -> None:
    cents = rows(*(quote(f"m{number}", 100.0) for number in range(4)))
    with pytest.raises(Doubtful, match="4 of 4"):
        compared(cents, then(4), POLICY)
    accepted = compared(cents, then(4), Policy(Bounds(), {}, accept=True))
    assert {r.on_demand for r in accepted.rows} == {100.0}


@pytest.mark.parametrize(("left", "believed"), [(5, True), (4, False)])
def test_a_list_that_lost_more_than_half_is_refused(left: int, believed: bool) -> None:
    short = rows(*(quote(f"m{number}", 1.0) for number in range(left)))
    if believed:
        assert len(compared(short, then(10), POLICY).rows) == left
    else:
        with pytest.raises(Doubtful, match="before there were 10"):
            compared(short, then(10), POLICY)


def test_without_news_of_spot_the_old_spot_price_stays_with_its_date() -> None:
    old = then(2, spot=0.4)
    found = with_spot(rows(quote("m0", 1.0), quote("m1", 0.3)).rows, old)
    assert [r.spot for r in found] == [0.4, None]  # 0.4 is above the new price of m1
    assert found[0].spot_source == Source("before", "2026-01-01")
