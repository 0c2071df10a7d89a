"""SkyPilot's form of config."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stix.spec.sky import canonical

ALL = ["stop", "preemption", "down"]


def form(task: dict[str, Any]) -> dict[str, Any]:
    """A task's form, which is the same of the form itself."""
    (once,) = canonical(json.dumps(task))
    assert canonical(json.dumps(once)) == [once]
    return once


@pytest.mark.parametrize("config", [None, {}, {"hooks": []}])
def test_nothing(config: Any) -> None:
    once = form({"run": "x", "config": config})
    assert "config" not in once
    assert once["resources"] == {}


def test_overrides_lie_in_resources_as_they_were_written() -> None:
    config = {"docker": {}, "gcp": {"vpc_name": None}, "kubernetes": {"own": {"a": [None]}}, "q": 1}
    once = form({"run": "x", "config": config})
    assert once["resources"] == {"_cluster_config_overrides": config}
    assert "config" not in once


def test_overrides_lie_in_each_alternative() -> None:
    config = {"docker": {"run_options": ["-a"]}}
    entries = [{"infra": "aws"}, {"infra": "gcp"}]
    once = form({"run": "x", "config": config, "resources": {"any_of": entries}})
    wanted = [entry | {"_cluster_config_overrides": config} for entry in entries]
    assert once["resources"] == {"any_of": wanted}


def test_hooks_have_their_defaults() -> None:
    config = {"hooks": [{"run": "a"}, {"run": "b", "events": ["down", "stop"], "timeout": 5}]}
    assert form({"run": "x", "config": config})["config"] == {
        "hooks": [
            {"run": "a", "events": ALL, "timeout": 3600},
            {"run": "b", "events": ["down", "stop"], "timeout": 5},
        ]
    }


@pytest.mark.parametrize(("down", "event"), [(True, "down"), (False, "stop")])
def test_the_hook_of_autostop_comes_last(down: bool, event: str) -> None:
    autostop = {"idle_minutes": 5, "down": down, "hook": "bye", "hook_timeout": 7}
    task = {"config": {"hooks": [{"run": "a"}]}, "resources": {"autostop": autostop}}
    once = form(task)
    assert once["resources"]["autostop"] == {"idle_minutes": 5, "down": down}
    assert once["config"]["hooks"][1] == {"run": "bye", "events": [event], "timeout": 7}
