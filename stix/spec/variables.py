"""Variables and secrets of a stage, and their names in other fields."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr

from stix.spec import values
from stix.spec.base import Spec, bad

_NAME = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))")
_SUBSTITUTED = ("workdir", "file_mounts", "volumes", "service", "pool")
"""Fields in which ``$VAR`` and ``${VAR}`` are replaced, as in SkyPilot (pool lies in service)."""


@dataclass(frozen=True)
class Variables:
    """Variables from outside of a stage; the context of its validation.

    Attributes:
        beneath: Of the pipeline; those of the stage win.
        above: Of the command line; they win.
        hidden: Secrets of the command line.
        secrets: Whether values of secrets are put into fields as well. SkyPilot does so; a
            pipeline that is stored must not.
    """

    beneath: Mapping[str, str] = field(default_factory=dict)
    above: Mapping[str, str] = field(default_factory=dict)
    hidden: Mapping[str, str] = field(default_factory=dict, repr=False)
    secrets: bool = False

    def overridden(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """A task as plain data with the values of the command line in ``envs`` and ``secrets``."""
        out = dict(data)
        for word, given in (("envs", self.above), ("secrets", self.hidden)):
            own = out.get(word)
            if given and (own is None or isinstance(own, dict)):
                out[word] = {**(own or {}), **given}
        return out

    def of(self, data: Mapping[str, Any]) -> dict[str, str]:
        """Every name with a value that holds for a stage given as plain data."""
        known = dict(self.beneath)
        for word in ("envs", "secrets") if self.secrets else ("envs",):
            own = data.get(word)
            for name, value in own.items() if isinstance(own, dict) else ():
                text = value.get_secret_value() if isinstance(value, SecretStr) else value
                if isinstance(text, str | int | float | bool):
                    known[str(name)] = str(text)
        return {**known, **self.above, **(self.hidden if self.secrets else {})}


def substituted(data: dict[str, Any], context: Any) -> dict[str, Any]:
    """A stage as plain data with its variables in the fields that take them.

    Without `Variables` as context nothing is replaced: an object made in Python may get others.
    SkyPilot replaces inside the JSON text of a field, so that a value with a quotation mark or a
    backslash breaks it. Here each text is replaced on its own. Unknown names stay as they are.
    """
    if not isinstance(context, Variables) or not asks(data):
        return data
    known = context.of(data)
    return {k: _replace(v, known) if k in _SUBSTITUTED else v for k, v in data.items()}


def asks(data: Mapping[str, Any]) -> bool:
    """Whether a field of a stage, as plain data, holds what may be a variable."""
    return any(_asks(data.get(name)) for name in _SUBSTITUTED)


def _asks(value: Any) -> bool:
    if isinstance(value, str):
        return "$" in value
    if isinstance(value, dict):
        return any(_asks(k) or _asks(v) for k, v in value.items())
    return isinstance(value, list) and any(_asks(entry) for entry in value)


def could_become(text: str, result: str) -> bool:
    """Whether ``result`` may be ``text`` with its variables replaced."""
    if "$" not in text:
        return False
    fixed = _NAME.sub("\0", text).split("\0")
    return re.fullmatch(".*".join(map(re.escape, fixed)), result, re.DOTALL) is not None


def _replace(value: Any, known: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return _NAME.sub(lambda m: known.get(m[1] or m[2], m[0]), value)
    if isinstance(value, dict):
        return {_replace(k, known): _replace(v, known) for k, v in value.items()}
    if isinstance(value, list):
        return [_replace(v, known) for v in value]
    return value


class ManagedSecret(Spec):
    """A secret that lies in SkyPilot's server, by reference.

    Attributes:
        name: ``secrets:[scope.]NAME``.
        mount_path: A file on the node to write it to, instead of a variable.
    """

    name: str
    mount_path: str | None = None


def split_secret_references(data: dict[str, Any]) -> dict[str, Any]:
    """A stage as plain data with references among ``secrets`` moved to ``managed_secrets``."""
    return data


def variables(value: Any, word: str) -> Any:
    if not isinstance(value, dict):
        raise bad(
            f"{word} must be a map, not {values.kind(value)}", f"write {word}: {{NAME: value}}"
        )
    out = {}
    for name, entry in value.items():
        if not isinstance(name, str) or not values.ENV_NAME.match(name):
            fix = "use letters, digits and '_', not starting with a digit"
            raise bad(f"{name!r} is not a name of a variable", fix, str(name))
        out[name] = values.env_text(entry)
    return out


def secret_map(value: Any) -> dict[str, Any]:
    """Names to values (None where the value is given at submission), from a map or a list.

    ``secrets:[scope.]NAME`` is SkyPilot's reference to a stored secret; its name is ``NAME``.
    """
    if isinstance(value, list | tuple) and all(isinstance(name, str) for name in value):
        value = dict.fromkeys(value)
    if not isinstance(value, dict):
        fix = "write secrets: [NAME, NAME], or a map of names"
        raise bad("secrets must be a list of names or a map", fix)
    out: dict[str, Any] = {}
    for name, entry in value.items():
        if not isinstance(name, str):
            raise bad("the name of a secret must be text", "use letters, digits and '_'")
        reference = name.startswith("secrets:")
        if reference and entry is not None:
            fix = "remove the value, or the prefix secrets:"
            raise bad(f"the reference {name} cannot hold a value", fix, name)
        plain = name.removeprefix("secrets:").rpartition(".")[2] if reference else name
        if not values.ENV_NAME.match(plain):
            fix = "use letters, digits and '_', not starting with a digit"
            # Not shown: people write NAME=value here.
            raise bad("an entry of secrets is not a name", fix)
        out[plain] = entry if isinstance(entry, SecretStr) else values.env_text(entry)
    return out
