"""The suite itself: a cloud that conforms passes, and each seeded defect fails its checks only."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from stix.clouds.errors import CloudError
from stix.clouds.testing.bench import Bench, Broken
from stix.clouds.testing.suite import CHECKS, CloudConformance, run_check
from tests.clouds.folder_cloud import (
    DEMAND,
    OFFER,
    ROOM,
    ClosesOnce,
    FolderCloud,
    ForgetsWhatItMakes,
    LeaksOnRefusal,
    LeavesProcesses,
    LoudOnMissing,
    NotIdempotent,
    OneWordForBadLuck,
    PlainTags,
    TagsByPart,
    UntypedShortage,
    marked_below,
    remains,
)

DEFECTS: dict[type[FolderCloud], set[str]] = {
    NotIdempotent: {
        "gives_the_same_for_the_same_token",
        "gives_the_same_after_a_lost_answer",
        "gives_the_same_to_calls_at_one_time",
        "lists_what_a_cancelled_call_made",
    },
    LeaksOnRefusal: {"makes_all_or_nothing"},
    UntypedShortage: {
        "makes_all_or_nothing",
        "says_when_there_is_no_room",
        "never_gives_two_what_only_one_can_have",
    },
    TagsByPart: {"lists_by_tags"},
    PlainTags: {"keeps_odd_tags"},
    LoudOnMissing: {"terminates_silently"},
    LeavesProcesses: {"terminates_wholly"},
    ForgetsWhatItMakes: {"lists_what_a_cancelled_call_made"},
    OneWordForBadLuck: {"shows_a_preempted_node"},
    ClosesOnce: {
        "closes_twice",
        "gives_the_same_after_a_lost_answer",
        "keeps_nodes_when_an_engine_ends",
    },
}


def bench_of(adapter: type[FolderCloud], base: Path) -> Bench:
    return Bench(lambda: adapter(base), OFFER, DEMAND, ROOM, lambda: remains(base), 0.3)


@pytest.fixture
def base(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "folder"
    folder.mkdir()
    yield folder
    for pid in marked_below(folder):  # what defects leave behind
        os.kill(pid, signal.SIGKILL)


class TestTheSmallestCloud(CloudConformance):
    @pytest.fixture
    def bench(self, base: Path) -> Bench:
        return bench_of(FolderCloud, base)


@pytest.mark.parametrize("adapter", DEFECTS, ids=lambda adapter: adapter.__name__)
def test_a_defect_fails_its_checks_and_no_other(adapter: type[FolderCloud], base: Path) -> None:
    failed = set()
    for check in CHECKS:
        try:
            asyncio.run(run_check(check, bench_of(adapter, base / check.name)))
        except (Broken, CloudError):
            failed.add(check.name)
    assert failed == DEFECTS[adapter]
