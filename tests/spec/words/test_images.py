"""Every form of ``image_id``."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic_core import PydanticCustomError

from stix.spec.words.images import image


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (None, None),
        (" ami-1 ", "ami-1"),
        ("docker:ubuntu:22.04", "docker:ubuntu:22.04"),
        ({None: "x"}, "x"),
        ({"null": "x", "us-east-1": "y"}, "x"),
        ({" us-east-1 ": " a "}, {"us-east-1": "a"}),
        ({"docker": "docker:img"}, {"docker": "img"}),
        ({"docker": "img", "us-east-1": "ami"}, {"us-east-1": "ami", "docker": "img"}),
        ({"docker": "img", None: "ami"}, {"null": "ami", "docker": "img"}),
        ({}, None),
    ],
)
def test_images(given: Any, wanted: Any) -> None:
    assert image(given) == wanted
    assert image(wanted) == wanted


@pytest.mark.parametrize(
    "given",
    [
        5,
        True,
        ["a"],
        "",
        " ",
        {"us-east-1": 5},
        {5: "a"},
        {"docker": None},
        {"docker": ""},
        {"docker": "docker:"},
        {"docker": "a", "us-east-1": "docker:b"},
    ],
)
def test_wrong_images(given: Any) -> None:
    with pytest.raises(PydanticCustomError):
        image(given)
