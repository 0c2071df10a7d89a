"""The conformance suite of refreshers: what every one must do, for ours and for those of others.

A refresher joins with a fixture; ``double`` answers as its provider does::

    class TestComet(RefresherConformance):
        @pytest.fixture
        def bench(self):
            return Bench(Comet, double, {("small", "eu"): (0.5, None)}, field="price_hourly")
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from stix.clouds.catalog.testing import failing, working
from stix.clouds.catalog.testing.bench import Bench, Desk, desk

Check = Callable[[Desk], None]
CHECKS: tuple[Check, ...] = (
    working.reads_all_pages,
    working.dates_and_sources_every_price,
    working.says_what_changed,
    working.merges_what_is_listed_twice,
    working.drops_what_costs_nothing,
    working.holds_back_what_moved_too_far,
    working.writes_nothing_on_a_dry_run,
    working.asks_whether_a_page_changed,
    working.notices_that_a_page_changed,
    working.goes_on_after_a_kill,
    working.begins_anew_after_a_long_time,
    failing.waits_as_long_as_it_is_told,
    failing.gives_up_when_told_to_wait_too_long,
    failing.tries_again_after_a_server_error,
    failing.gives_up_after_some_server_errors,
    failing.tries_again_after_a_cut_connection,
    failing.tries_again_after_half_a_text,
    failing.refuses_half_a_text,
    failing.refuses_what_is_no_list,
    failing.refuses_no_text_at_all,
    failing.names_a_field_that_is_gone,
    failing.does_not_wait_for_a_silent_server,
    failing.does_not_wait_for_a_slow_answer,
    failing.refuses_an_endless_answer,
    failing.refuses_an_empty_list,
    failing.refuses_a_list_that_shrank,
    failing.refuses_a_server_that_nobody_answers_for,
    failing.tells_no_secret,
)


def run_check(check: Check, bench: Bench, folder: Path) -> None:
    """Run one check.

    Raises:
        Broken: the refresher does not do what it must.
    """
    with desk(bench, folder) as at:
        check(at)


class RefresherConformance:
    """Inherit, and give a fixture ``bench``."""

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    def test_refresher(self, check: Check, bench: Bench, tmp_path: Path) -> None:
        run_check(check, bench, tmp_path)
