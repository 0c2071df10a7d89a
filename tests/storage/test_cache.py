"""The cache key: what counts, what does not, and how it is told."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from stix.storage.cache import Part, cache_key, cache_parts, explain

WIRE: dict[str, Any] = {
    "setup": "pip install numpy",
    "run": "python train.py\n",
    "envs": {"LR": "0.1", "EPOCHS": "3"},
    "secrets": {"TOKEN": None},
    "outputs": {"model": "model.pkl"},
    "num_nodes": 2,
    "workdir": "./src",
    "file_mounts": {"/data": {"source": "./data", "mode": "COPY"}},
    "resources": {"cpus": "4+", "image_id": "docker:python:3.12"},
    "cache": {"resources": True},
    "recovery": {"max_attempts": 3},
}
CALL: dict[str, Any] = {
    "stage_wire": WIRE,
    "params": {"model": "svm", "seed": 1},
    "inputs": {"digits": "a" * 64},
    "uploads": {"./src": "b" * 64, "./data": "c" * 64},
    "extra": {"function": "1"},
}

Change = Callable[[dict[str, Any]], object]
CHANGES: dict[str, Change] = {
    "setup": lambda call: call["stage_wire"].update(setup="pip install scipy"),
    "run": lambda call: call["stage_wire"].update(run="python train.py --fast\n"),
    "envs.LR": lambda call: call["stage_wire"]["envs"].update(LR="0.2"),
    "envs.NEW": lambda call: call["stage_wire"]["envs"].update(NEW=""),
    "secrets": lambda call: call["stage_wire"]["secrets"].update(OTHER=None),
    "params": lambda call: call["params"].update(seed=2),
    "inputs.digits": lambda call: call["inputs"].update(digits="d" * 64),
    "inputs.more": lambda call: call["inputs"].update(more="d" * 64),
    "workdir": lambda call: call["uploads"].update({"./src": "d" * 64}),
    "file_mounts./data": lambda call: call["uploads"].update({"./data": "d" * 64}),
    "file_mounts./x": lambda call: call["stage_wire"]["file_mounts"].update({"/x": "s3://b/k"}),
    "outputs": lambda call: call["stage_wire"]["outputs"].update(plot="p.png"),
    "num_nodes": lambda call: call["stage_wire"].update(num_nodes=3),
    "resources": lambda call: call["stage_wire"]["resources"].update(cpus="8"),
    "image": lambda call: call["stage_wire"]["resources"].update(image_id="docker:python:3.13"),
    "function": lambda call: call["extra"].update(function="2"),
}
SAME: dict[str, Change] = {
    "white space at the end": lambda call: call["stage_wire"].update(run="python train.py \n\n"),
    "line endings": lambda call: call["stage_wire"].update(run="python train.py\r\n"),
    "recovery": lambda call: call["stage_wire"].update(recovery=None),
    "the value of a secret": lambda call: call["stage_wire"]["secrets"].update(TOKEN="x"),
    "order": lambda call: call.update(params={"seed": 1, "model": "svm"}),
    "another upload": lambda call: call["uploads"].update({"./other": "d" * 64}),
}


def parts_after(change: Change) -> dict[str, str]:
    call = copy.deepcopy(CALL)
    change(call)
    return cache_parts(**call)


@pytest.mark.parametrize("name", CHANGES)
def test_one_change_changes_one_part_and_the_key(name: str) -> None:
    before, now = cache_parts(**CALL), parts_after(CHANGES[name])
    assert [part.name for part in explain(now, before) if part.changed] == [name]
    assert cache_key(now) != cache_key(before)


@pytest.mark.parametrize("name", SAME)
def test_what_makes_no_difference(name: str) -> None:
    assert cache_key(parts_after(SAME[name])) == cache_key(cache_parts(**CALL))


def test_white_space_inside_a_script_counts() -> None:
    now = parts_after(lambda call: call["stage_wire"].update(run="cat <<E\nx \nE\n"))
    other = parts_after(lambda call: call["stage_wire"].update(run="cat <<E\nx\nE\n"))
    assert now["run"] != other["run"]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("echo a\\", "echo a\\ ", False),
        ("cat <<E\na", "cat <<E\na\n", False),
        ("echo a\n# b", "echo a\n# c", False),
        ("echo a # b", "echo a", False),
        ("echo a", "echo  a", False),
        ("echo a", "echo a \n\n", True),
    ],
)
def test_white_space_and_comments(one: str, other: str, same: bool) -> None:
    keys = [cache_key(cache_parts({"run": text}, {}, {}, {})) for text in (one, other)]
    assert (keys[0] == keys[1]) is same


def test_resources_do_not_count_unless_asked() -> None:
    for asked in (None, {"enabled": True, "resources": False}):
        wires = [{"cache": asked, "resources": {"cpus": cpus}} for cpus in ("4", "8")]
        one, other = (cache_key(cache_parts(wire, {}, {}, {})) for wire in wires)
        assert one == other


def test_no_value_of_an_env_or_a_secret_is_shown() -> None:
    wire = {"run": "x", "envs": {"A": "envvalue"}, "secrets": {"B": "secretvalue"}}
    text = str(cache_parts(wire, {}, {}, {}))
    assert "envvalue" not in text
    assert "secretvalue" not in text
    assert "B" in text


def test_a_stage_without_anything_has_a_key() -> None:
    assert len(cache_key(cache_parts({}, {}, {}, {}))) == 64


def test_a_mount_and_a_copy_of_one_bucket_differ() -> None:
    mounts = ["s3://b/k", {"source": "s3://b/k", "mode": "MOUNT"}, {"name": "b", "mode": "MOUNT"}]
    keys = {cache_key(cache_parts({"file_mounts": {"/d": mount}}, {}, {}, {})) for mount in mounts}
    assert len(keys) == 3


def test_images_of_alternatives_count() -> None:
    resources = {"any_of": [{"image_id": "a"}, {"image_id": {"us": "b"}}], "ordered": []}
    parts = cache_parts({"resources": resources}, {}, {}, {})
    assert parts["image"] == 'a, {"us":"b"}'


def test_explain_without_an_earlier_run() -> None:
    assert explain({"run": "1"}, None) == [Part("run", "1", None, True)]


def test_explain_tells_changes_first_and_what_went_away() -> None:
    parts = explain({"a": "1", "b": "2"}, {"a": "1", "b": "1", "c": "3"})
    assert parts == [
        Part("b", "2", "1", True),
        Part("c", None, "3", True),
        Part("a", "1", "1", False),
    ]
