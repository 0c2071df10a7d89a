from __future__ import annotations

import re

import pytest

from stix.spec.ids import new_run_id


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("train", "train"),
        ("My Pipeline_2", "my-pipeline-2"),
        ("a" * 50, "a" * 20),
        ("exactly-nineteen-ch-x-y", "exactly-nineteen-ch"),
        ("", "run"),
        ("日本", "run"),
        ("../../etc", "etc"),
    ],
)
def test_the_name_leads(name: str, slug: str) -> None:
    assert re.fullmatch(re.escape(slug) + r"-[0-9a-z]{10}", new_run_id(name))


def test_later_ids_are_greater_and_none_comes_twice() -> None:
    made = [new_run_id("x") for _ in range(2000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)
