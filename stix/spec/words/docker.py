"""The login to a registry of container images, which variables of a stage hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import SecretStr

from stix.spec.problems import Path, Problem, error

if TYPE_CHECKING:
    from stix.spec.stage import StageSpec

LOGIN = {
    "username": "SKYPILOT_DOCKER_USERNAME",
    "password": "SKYPILOT_DOCKER_PASSWORD",
    "server": "SKYPILOT_DOCKER_SERVER",
}
RUNPOD_USER = "SKYPILOT_RUNPOD_DOCKER_USERNAME"


def login(stage: StageSpec) -> dict[str, str] | None:
    """Username, password and server; None where the stage has no login."""
    found = {word: variable(stage, name) for word, name in LOGIN.items()}
    whole = {word: value for word, value in found.items() if value is not None}
    return whole if len(whole) == len(LOGIN) else None


def variable(stage: StageSpec, name: str) -> str | None:
    """The value of a variable or secret of a stage."""
    value = stage.secrets.get(name, stage.envs.get(name))
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def _valued(stage: StageSpec) -> set[str]:
    return {name for name, value in stage.secrets.items() if value is not None}


def login_problems(stage: StageSpec, at: Path = ()) -> Iterator[Problem]:
    """A login of which a part is missing, or that lies in two places."""
    places = {
        word: [name for name in LOGIN.values() if name in names]
        # A secret without a value is a reference, which is not looked into.
        for word, names in (("envs", stage.envs), ("secrets", _valued(stage)))
    }
    given = {word: names for word, names in places.items() if names}
    if len(given) > 1:
        said = "the login to a registry of images lies both in envs and in secrets"
        yield error((*at, "envs", given["envs"][0]), said, "keep all of it in secrets", on_key=True)
    for word, names in given.items() if len(given) == 1 else ():
        missing = [name for name in LOGIN.values() if name not in names]
        if missing:
            said = f"the login to a registry of images also needs {' and '.join(missing)}"
            fix = f"add it to {word}, or remove {' and '.join(names)}"
            yield error((*at, word, names[0]), said, fix, on_key=True)
