"""Tags in the limits of a provider, and names where there are no tags."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stix.clouds.config import HOME_TAG
from stix.clouds.errors import InvalidRequest
from stix.clouds.rented.names import KEPT_S, TagFiles, name_of, tags_in
from stix.clouds.rented.tags import (
    RANK_TAG,
    WISH_TAG,
    TagRule,
    flat,
    pack,
    unflat,
    unpack,
    wish_of,
)

LABELS = TagRule(count=64, key=r"[a-z][a-z0-9_-]{0,62}", value=r"[a-z0-9_-]{0,63}", chunk=60)
RULES = [TagRule(), LABELS, TagRule(count=40, key=r"[a-z0-9-]{1,60}", value=r"[a-z0-9]+")]
TAGS = st.dictionaries(
    st.text(min_size=1, max_size=20).filter(lambda key: not key.startswith("stix-x")),
    st.text(max_size=60),
    max_size=8,
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.value)
@given(tags=TAGS)
def test_any_tags_come_back_and_are_legal_on_the_way(rule: TagRule, tags: dict[str, str]) -> None:
    packed = pack(tags, rule)
    assert all(rule.takes(key, value) for key, value in packed.items())
    assert len(packed) <= rule.count
    assert unpack(packed) == tags
    assert unpack(unflat(flat(packed))) == unpack(packed) or any(":" in key for key in tags)


def test_what_people_write_stays_readable() -> None:
    packed = pack({"team": "vision", "Größe": "XL"}, LABELS)
    assert packed["team"] == "vision" and "Größe" not in packed


def test_many_tags_leave_those_that_are_searched_for() -> None:
    tags = {HOME_TAG: "abc", WISH_TAG: "def", RANK_TAG: "0", **{f"l{i}": "v" for i in range(80)}}
    packed = pack(tags, LABELS)
    assert {key: packed[key] for key in (HOME_TAG, WISH_TAG, RANK_TAG)} == {
        HOME_TAG: "abc",
        WISH_TAG: "def",
        RANK_TAG: "0",
    }
    assert unpack(packed) == tags


def test_too_much_is_refused_with_a_fix() -> None:
    noise = {f"k{i}": os.urandom(60).hex() for i in range(60)}
    with pytest.raises(InvalidRequest, match="too long for this cloud") as refused:
        pack(noise, LABELS)
    assert "labels" in refused.value.fix


@pytest.mark.parametrize("broken", ["zzzz", "%%%", "mzxw6", "AAAA====="])
def test_packed_tags_that_somebody_broke_are_left_as_they_are(broken: str) -> None:
    raw = {HOME_TAG: "abc", "stix-x0": broken}
    assert unpack(raw)[HOME_TAG] == "abc"


def test_a_name_tells_home_wish_and_rank() -> None:
    wish = wish_of("run.stage.1")
    assert re.fullmatch(r"[0-9a-f]{16}", wish) and wish != wish_of("run.stage.2")
    name = name_of("0a1b2c3d4e5f", wish, 12)
    assert re.fullmatch(r"[a-z0-9-]{1,39}", name)
    told = {HOME_TAG: "0a1b2c3d4e5f", WISH_TAG: wish, RANK_TAG: "12"}
    assert tags_in(name, "0a1b2c3d4e5f") == told
    assert tags_in(name, "ffffffffffff") == tags_in("stix-web-1", "0a1b2c3d4e5f") == {}
    assert tags_in(name_of("A home!", wish, 0), "A home!")[HOME_TAG] == "A home!"


def test_tags_are_kept_beside_where_a_provider_has_none(tmp_path: Path) -> None:
    files = TagFiles(tmp_path / "tags")
    assert files.read("w1") == {}
    files.keep("w1", {"stix-stage": "größe"})
    assert TagFiles(tmp_path / "tags").read("w1") == {"stix-stage": "größe"}
    old = time.time() - KEPT_S - 1
    os.utime(tmp_path / "tags" / "w1.json", (old, old))
    files.keep("w2", {})
    assert [path.name for path in (tmp_path / "tags").iterdir()] == ["w2.json"]
