"""SkyPilot's options for a task, such as ``--gpus A100:8``: settings of every stage."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from stix.errors import UsageError
from stix.spec.changes.settings import EVERY, Setting, plain_value

RESOURCES = {
    "infra": "infra",
    "gpus": "accelerators",
    "cpus": "cpus",
    "memory": "memory",
    "instance_type": "instance_type",
    "use_spot": "use_spot",
    "max_hourly_cost": "max_hourly_cost",
    "job_recovery": "job_recovery",
    "image_id": "image_id",
    "ports": "ports",
    "disk_size": "disk_size",
    "disk_tier": "disk_tier",
    "network_tier": "network_tier",
    "local_disk": "local_disk",
    "priority": "priority",
}
"""Option to the field of resources that it sets; ``none`` gives the default."""
_PLACE = ("cloud", "region", "zone")
_WHOLE = re.compile(r"[+-]?\d{1,18}\Z")
_NUMBER = re.compile(r"[+-]?\d{1,18}(?:\.\d{1,18})?\Z")
_NUMBERS = {
    "disk_size": _WHOLE,
    "priority": _WHOLE,
    "num_nodes": _WHOLE,
    "max_hourly_cost": _NUMBER,
}


def task_options(given: Mapping[str, Any]) -> list[Setting]:
    """Settings from the options of a command, by name (``num_nodes`` for ``--num-nodes``).

    Raises:
        UsageError: a value is empty, or two options exclude one another.
    """
    out = []
    for name, field in RESOURCES.items():
        value = given.get(name)
        if value is not None and value != ():
            out += _resource(name, field, value)
    out += _place({word: given[word] for word in _PLACE if given.get(word) is not None}, given)
    nodes, workdir = given.get("num_nodes"), given.get("workdir")
    if nodes is not None:
        path = (EVERY, "num_nodes")
        out.append(Setting(_said("num_nodes", nodes), path, _value("num_nodes", nodes)))
    if workdir is not None:
        out.append(Setting(_said("workdir", workdir), (EVERY, "workdir"), _folder(workdir)))
    return out


def _resource(name: str, field: str, given: Any) -> list[Setting]:
    path = (EVERY, "resources", field)
    if isinstance(given, bool):
        said = "--" + ("" if given else "no-") + name.replace("_", "-")
        return [Setting(said, path, given)]
    if isinstance(given, tuple):
        return [Setting(_said(name, " ".join(given)), path, _ports(given))]
    said, value = _said(name, given), _value(name, given)
    if name != "priority":
        return [Setting(said, path, value)]
    other = (EVERY, "resources", "priority_class")
    number, word = (None, value) if isinstance(value, str) else (value, None)
    return [Setting(said, path, number), Setting(said, other, word)]


def _ports(given: tuple[str, ...]) -> list[str] | None:
    texts = [_filled("ports", text) for entry in given for text in entry.split(",")]
    if "none" not in [text.lower() for text in texts]:
        return texts
    if len(texts) > 1:
        raise UsageError("--ports none: other ports are given as well", fix="keep one of the two")
    return None


def _place(parts: dict[str, str], given: Mapping[str, Any]) -> list[Setting]:
    if not parts:
        return []
    said = " ".join(_said(word, text) for word, text in parts.items())
    if given.get("infra") is not None:
        fix = "write --infra cloud/region/zone alone"
        raise UsageError(f"{said}: --infra is given as well", fix=fix)
    new: dict[str, str | None] = {}
    for word, text in parts.items():
        plain = _filled(word, text)
        if "/" in plain:
            fix = "write --infra cloud/region/zone"
            raise UsageError(f"{_said(word, text)}: this is not a {word}", fix=fix)
        new[word] = None if plain.lower() in ("none", "*") else plain
    return [Setting(said, (EVERY, "resources", "infra"), new, "place")]


def _value(name: str, given: str) -> Any:
    """The value that a file would hold: text, a number, a list or map, or null for ``none``."""
    text = _filled(name, given)
    if text.lower() == "none" or (name == "infra" and text == "*"):
        return None
    if text[0] in "[{":
        return plain_value(_said(name, given), text)
    pattern = _NUMBERS.get(name)
    if pattern is not None and pattern.match(text):
        return int(text) if _WHOLE.match(text) else float(text)
    return text


def _filled(name: str, given: str) -> str:
    if not given.strip():
        fix = "give a value, or none for the default"
        raise UsageError(f"{_said(name, given)}: the value is empty", fix=fix)
    return given.strip()


def _folder(given: str) -> str:
    """An absolute path: in a file, a relative one begins beside the file."""
    place = os.path.expanduser(_filled("workdir", given))
    if not os.path.isdir(place):
        is_file = os.path.exists(place)
        said = "this is a file, not a folder" if is_file else "there is no such folder"
        raise UsageError(f"{_said('workdir', given)}: {said}", fix="name a folder on this machine")
    return os.path.abspath(place)


def _said(name: str, value: str) -> str:
    return f"--{name.replace('_', '-')} {value!r}"
