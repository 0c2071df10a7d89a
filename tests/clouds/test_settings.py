"""The block of a cloud: values by kind, and what is said about mistakes."""

from __future__ import annotations

from typing import Any

import pytest

from stix.clouds.errors import InvalidRequest
from stix.clouds.settings import Setting, read_settings

SETTINGS = (
    Setting("region", default="eu"),
    Setting("disk", "number", default=50.0, least=10),
    Setting("retries", "count"),
    Setting("public", "flag", default=True),
    Setting("zones", "texts", default=(), choices=("a", "b")),
    Setting("labels", "map"),
    Setting("odd", "any"),
    Setting("tier", choices=("low", "high")),
    Setting("key", secret=True, doc="set COMET_KEY"),
)


def read(**block: Any) -> dict[str, Any]:
    return read_settings("comet", block, SETTINGS)


def test_what_is_not_said_has_its_default() -> None:
    assert read(disk=None) == {
        "region": "eu",
        "disk": 50.0,
        "retries": None,
        "public": True,
        "zones": (),
        "labels": None,
        "odd": None,
        "tier": None,
    }


def test_values() -> None:
    found = read(disk=12, retries=3, public=False, zones="a", labels={"a": "b"}, odd=[1])
    assert (found["disk"], found["retries"], found["public"]) == (12.0, 3, False)
    assert (found["zones"], found["labels"], found["odd"]) == (("a",), {"a": "b"}, [1])
    assert read(zones=["b", "a"])["zones"] == ("b", "a")


@pytest.mark.parametrize(
    ("name", "value", "what", "fix"),
    [
        ("region", 3, "is 3", "write text"),
        ("disk", "big", "is 'big'", "write a number"),
        ("disk", True, "is True", "write a number"),
        ("disk", 9.5, "is 9.5", "of at least 10"),
        ("disk", float("nan"), "is nan", "of at least 10"),
        ("retries", 1.5, "is 1.5", "a whole number"),
        ("public", 1, "is 1", "true or false"),
        ("zones", 3, "is 3", "a list of texts"),
        ("zones", ["a", 3], "is ['a', 3]", "a list of texts"),
        ("zones", ["a", "c"], "is 'c'", "one of: a, b"),
        ("labels", {"a": 1}, "is {'a': 1}", "a map"),
        ("labels", "a", "is 'a'", "a map"),
        ("tier", "hihg", "is 'hihg'", "one of: low, high"),
        ("regoin", "eu", "is not known", "did you mean 'region'?"),
        ("zzz", "eu", "is not known", "known are: region, disk"),
        ("key", "k", "is a secret", "set COMET_KEY"),
        ("api_token", "k", "is a secret", "environment variable"),
    ],
)
def test_mistakes_name_the_field_and_the_fix(name: str, value: Any, what: str, fix: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(**{name: value})
    assert caught.value.message.startswith(f"config.yaml: comet.{name} {what}")
    assert fix in caught.value.fix


def test_a_secret_is_not_repeated() -> None:
    for name in ("key", "api_token"):
        with pytest.raises(InvalidRequest) as caught:
            read(**{name: "s3cr3t"})
        assert "s3cr3t" not in str(caught.value)
