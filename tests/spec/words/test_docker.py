"""The login to a registry of container images."""

from __future__ import annotations

from typing import Any

import pytest

from stix.spec.stage import StageSpec
from stix.spec.words.docker import LOGIN, login, login_problems

ALL = {name: word for word, name in LOGIN.items()}


@pytest.mark.parametrize("word", ["envs", "secrets"])
def test_a_login_in_one_place(word: str) -> None:
    stage = StageSpec.model_validate({"run": "x", word: ALL})
    assert login(stage) == {"username": "username", "password": "password", "server": "server"}
    assert list(login_problems(stage)) == []


def test_no_login() -> None:
    stage = StageSpec.model_validate({"run": "x", "envs": {"A": "b"}})
    assert login(stage) is None
    assert list(login_problems(stage)) == []


@pytest.mark.parametrize(
    ("given", "path", "said"),
    [
        ({"envs": {LOGIN["username"]: "u"}}, "envs.SKYPILOT_DOCKER_USERNAME", LOGIN["password"]),
        (
            {
                "envs": {LOGIN["username"]: "u", LOGIN["server"]: "s"},
                "secrets": {LOGIN["password"]: "p"},
            },
            "envs.SKYPILOT_DOCKER_USERNAME",
            "both in envs and in secrets",
        ),
    ],
)
def test_half_a_login(given: dict[str, Any], path: str, said: str) -> None:
    stage = StageSpec.model_validate({"run": "x", **given})
    (problem,) = login_problems(stage)
    assert problem.path == path
    assert said in problem.message
    assert problem.fix
