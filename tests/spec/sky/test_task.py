"""SkyPilot's form of the other fields of a task, and of files of several documents."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stix.spec.sky import canonical
from tests.spec.refused import refusal


@pytest.mark.parametrize(
    ("task", "wanted"),
    [
        ({"api_server_access": True}, {}),
        ({"api_server_access": False}, {"api_server_access": False}),
        # SkyPilot takes a null for a no.
        ({"api_server_access": None}, {"api_server_access": False}),
        ({"event_callback": "echo $x"}, {"event_callback": "echo $x"}),
        ({"event_callback": ""}, {"event_callback": ""}),
        ({"event_callback": None}, {}),
        ({"inputs": {"s3://a": 10}}, {"inputs": {"s3://a": 10}}),
        ({"outputs": {"o": 0.5}, "inputs": None}, {"outputs": {"o": 0.5}}),
        ({"_metadata": {"git_commit": "a"}}, {"_metadata": {"git_commit": "a"}}),
        ({"_metadata": {}}, {}),
        ({"file_mounts_mapping": {}}, {"file_mounts_mapping": {}}),
        ({"_user_specified_yaml": "secrets: {A: hush}"}, {}),
        ({"setup": "", "run": ""}, {"setup": "", "run": ""}),
    ],
)
def test_fields(task: dict[str, Any], wanted: dict[str, Any]) -> None:
    bare = {"resources": {}, "num_nodes": 1, "file_mounts": {}, "volumes": {}}
    (once,) = canonical(json.dumps(task))
    assert once == {**bare, **wanted}
    again = json.dumps(once)
    assert canonical(again) == [once]
    assert again.count("10.0") == 0


@pytest.mark.parametrize(
    ("task", "path"),
    [
        ({"api_server_access": "no"}, "api_server_access"),
        ({"event_callback": 5}, "event_callback"),
        ({"inputs": {"a": 1, "b": 2}}, "inputs.a"),
        ({"outputs": {"a": 1, "b": 2}}, "outputs.a"),
        ({"_metadata": 5}, "_metadata"),
        ({"file_mounts_mapping": []}, "file_mounts_mapping"),
    ],
)
def test_refused(task: dict[str, Any], path: str) -> None:
    assert refusal(task).path == path


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("name: p\n---\nname: a\n---\nname: a\n", ["a", "a"]),
        ("name: p\nexecution: serial\n", ["p"]),
        ("---\n---\nname: p\n---\nname: a\n", ["p", "a"]),
        ("name: g\nexecution: parallel\nfoo: 1\n---\nname: a\n", ["a"]),
        ("name: g\nexecution: parallel\n---\n---\nname: a\n", ["a"]),
    ],
)
def test_documents(text: str, names: list[str]) -> None:
    assert [task["name"] for task in canonical(text)] == names
