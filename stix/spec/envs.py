"""Variables and secrets of a stage: their names, values and references."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, SecretStr
from pydantic_core import PydanticCustomError

from stix.spec import values
from stix.spec.base import bad
from stix.spec.exact import Text
from stix.spec.problems import choose
from stix.spec.short import Short
from stix.spec.variables import PLAIN

SCOPES = ("personal", "workspace", "global")
"""Whose store of secrets a reference means; without one, SkyPilot looks in all of them."""
_PREFIX = "secrets:"
_NAMES = "use letters, digits and '_', not starting with a digit"


def _raised(value: Any) -> Any:
    if isinstance(value, PydanticCustomError):
        raise value
    return value


Envs = dict[str, Annotated[str | None, BeforeValidator(_raised)]]
"""Variables. Each value that is refused has an error of its own."""
Secrets = dict[str, Annotated[SecretStr | None, BeforeValidator(_raised)]]
"""Secrets, likewise."""


def variables(value: Any, word: str, *, as_given: bool = False) -> Any:
    """Names to texts, as SkyPilot writes values: ``True``, ``1.5``, ISO dates.

    Args:
        value: What the file holds.
        word: Name of the field.
        as_given: Take any value as SkyPilot does, which writes lists as Python shows them.
    """
    if not isinstance(value, dict):
        fix = f"write {word}: {{NAME: value}}"
        raise bad(f"{word} must be a map, not {values.kind(value)}", fix)
    out: dict[str, Any] = {}
    for name, entry in value.items():
        known = isinstance(name, str) and values.ENV_NAME.match(name)
        out[str(name)] = _text(entry, as_given) if known else _no_name(name)
    return out


def _no_name(name: Any) -> PydanticCustomError:
    return bad(f"{name!r} is not a name of a variable", _NAMES)


def _text(value: Any, as_given: bool) -> Any:
    if value is None or isinstance(value, str):
        return value
    if as_given or isinstance(value, PLAIN):
        return str(value)
    said = f"a variable cannot hold {values.kind(value)}"
    return bad(said, "write text, in quotes where in doubt")


def secret_map(value: Any, *, as_given: bool = False) -> dict[str, Any]:
    """Names to values (None where the value is given at submission), from a map or a list.

    ``secrets:[scope.]NAME`` is SkyPilot's reference to a stored secret; its name is ``NAME``.

    Args:
        value: What the file holds.
        as_given: Hold to SkyPilot's rules: any text is a name, and a list holds references only.
    """
    if isinstance(value, list | tuple) and all(isinstance(name, str) for name in value):
        if as_given and not all(name.startswith(_PREFIX) for name in value):
            fix = "write secrets: [secrets:NAME], or a map of names and values"
            raise bad("an entry of secrets is not a reference", fix)
        value = dict.fromkeys(value)
    if not isinstance(value, dict):
        fix = "write secrets: [NAME, NAME], or a map of names"
        raise bad("secrets must be a list of names or a map", fix)
    out: dict[str, Any] = {}
    for name, entry in value.items():
        if not isinstance(name, str):
            raise bad("the name of a secret must be text", _NAMES)
        if name.startswith(_PREFIX) and entry is not None:
            fix = "remove the value, or the prefix secrets:"
            raise bad(f"the reference {name} cannot hold a value", fix, name)
        plain = secret_name(name) if entry is None else name
        if not as_given and not values.ENV_NAME.match(plain):
            raise _no_secret(plain)
        if entry is None:
            out.setdefault(plain, None)
        else:
            out[plain] = entry if isinstance(entry, SecretStr) else _text(entry, as_given)
    return out


def _no_secret(name: str) -> PydanticCustomError:
    # The name is not shown: people write NAME=value here.
    scope, dot, rest = name.partition(".")
    if dot and values.ENV_NAME.match(scope) and values.ENV_NAME.match(rest):
        return bad(f"{scope!r} is not a scope of secrets", choose(scope, SCOPES))
    return bad("an entry of secrets is not a name", _NAMES)


def reference(text: str) -> str:
    """``[scope.]NAME`` of an entry of ``secrets`` without a value."""
    # SkyPilot takes the prefix off twice here.
    return text.removeprefix(_PREFIX).removeprefix(_PREFIX)


def secret_name(text: str) -> str:
    """The name of the secret that a reference means."""
    plain = reference(text)
    scope, dot, name = plain.partition(".")
    return name if dot and scope in SCOPES else plain


def split_secret_references(data: dict[str, Any]) -> dict[str, Any]:
    """A stage as plain data with ``secret_references`` where ``secrets`` cannot say them.

    ``secrets`` of a stage maps plain names to values, so that scopes, repetitions, and a
    reference beside a value of the same name would be lost. References that are just the names
    without a value, in their order, are not kept.
    """
    own = data.get("secrets")
    if not own or not isinstance(own, dict | list | tuple):
        return data
    found = [e for e in own if isinstance(e, str)]
    if isinstance(own, dict):
        found = [name for name in found if own[name] is None]
    references = [reference(name) for name in found]
    kept = data.get("secret_references")
    if isinstance(kept, list):
        names = {secret_name(entry) for entry in kept if isinstance(entry, str)}
        references = [*kept, *(r for r in references if secret_name(r) not in names)]
    valued = {n for n, v in own.items() if v is not None} if isinstance(own, dict) else set()
    plain = [n for n in dict.fromkeys(map(secret_name, map(str, references))) if n not in valued]
    if references == plain:
        return {k: v for k, v in data.items() if k != "secret_references"} if kept else data
    return {**data, "secret_references": references}


_OPTIONS = {
    "type": "object",
    "properties": {"mount_path": {"type": "string"}},
    "additionalProperties": False,
}


class ManagedSecret(Short):
    """A secret that lies in SkyPilot's server, by reference.

    Attributes:
        name: ``[scope.]NAME``.
        mount_path: A file on the node to write it to, instead of a variable.
    """

    short: ClassVar[tuple[dict[str, Any], ...]] = (
        {"type": "string"},
        {"type": "object", "maxProperties": 1, "additionalProperties": _OPTIONS},
    )

    name: str
    mount_path: str | None = None

    @classmethod
    def of_text(cls, text: str) -> dict[str, Any]:
        """A plain text is a reference."""
        return {"name": text.removeprefix(_PREFIX)}

    def written(self) -> Any:
        """``secrets:NAME``, or a map of one name where it is written to a file."""
        if self.mount_path is None:
            return _PREFIX + self.name
        return {self.name: {"mount_path": self.mount_path}}


Managed = list[Annotated[ManagedSecret, BeforeValidator(_raised)]]
"""``managed_secrets``."""


def managed(value: Any, *, as_given: bool = False) -> Any:
    """``managed_secrets`` as a list of fields: texts, and maps of one name to its options.

    A map of the fields themselves is taken as well, but not ``as_given``: SkyPilot does not.
    """
    if not isinstance(value, list | tuple):
        fix = "write managed_secrets: [secrets:NAME], or [{NAME: {mount_path: /path}}]"
        raise bad(f"managed_secrets must be a list, not {values.kind(value)}", fix)
    return [_told(entry, as_given) for entry in value if entry != {}]


def _told(entry: Any, as_given: bool) -> Any:
    """An entry, or what is wrong with it, so that each entry has an error of its own."""
    if not as_given and isinstance(entry, dict) and isinstance(entry.get("name"), str):
        return entry
    try:
        return _managed(entry)
    except PydanticCustomError as refusal:
        return refusal


def _managed(entry: Any) -> Any:
    if not isinstance(entry, dict):
        if isinstance(entry, str | ManagedSecret):
            return entry
        fix = "write secrets:NAME, or {NAME: {mount_path: /path}}"
        raise bad(f"an entry of managed_secrets cannot be {values.kind(entry)}", fix)
    fix = "write each in an entry of its own: [{NAME: {mount_path: /path}}]"
    if len(entry) != 1:
        raise bad("an entry of managed_secrets has one name", fix)
    [(name, options)] = entry.items()
    if not isinstance(name, str) or not isinstance(options, dict):
        raise bad("an entry of managed_secrets maps a name to its options", fix)
    for key in options:
        if key != "mount_path":
            raise bad(f"a managed secret has no field {key!r}", choose(str(key), ["mount_path"]))
    if not options:
        return name
    path = Text(example="/path").check(options["mount_path"], "mount_path")
    return {"name": name.removeprefix(_PREFIX), "mount_path": path}
