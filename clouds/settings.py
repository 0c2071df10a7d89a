"""The block of a cloud in ``config.yaml``: a list of ``Setting`` says what an adapter takes.

SETTINGS = (
    Setting("region", default="eu-1", doc="where nodes are made"),
    Setting("disk", "number", default=50, least=10, doc="GiB"),
    Setting("api_key", secret=True, doc="set COMET_API_KEY"),
)
values = read_settings("comet", config.settings, SETTINGS)   # every name has a value
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from stix.clouds.errors import InvalidRequest
from stix.config import looks_secret

Kind = Literal["text", "number", "count", "flag", "texts", "map", "any"]


@dataclass(frozen=True)
class Setting:
    """One field of a block.

    Attributes:
        name: Its name.
        kind: ``text``, ``number`` (given as float), ``count`` (a whole number), ``flag``,
            ``texts`` (a list; one text is a list of one), ``map`` (of text to text), or ``any``,
            which the adapter reads itself.
        default: Where the block does not say, or says null.
        least: The smallest number.
        choices: The texts that are allowed; any where empty.
        secret: It may not be in ``config.yaml``; ``doc`` says where it belongs.
        doc: For people: what it means, with its unit.
    """

    name: str
    kind: Kind = "text"
    default: Any = None
    least: float | None = None
    choices: tuple[str, ...] = ()
    secret: bool = False
    doc: str = ""


def read_settings(
    cloud: str, block: Mapping[str, Any], settings: Sequence[Setting]
) -> dict[str, Any]:
    """The value of each setting that is no secret.

    Raises:
        InvalidRequest: ``config.yaml: CLOUD.FIELD`` is unknown, a secret, or makes no sense.
    """
    known = {setting.name: setting for setting in settings}
    for name in block:
        setting = known.get(str(name))
        if setting.secret if setting else looks_secret(str(name)):
            fix = (setting.doc if setting else "") or "use the environment variable or file of it"
            raise wrong(cloud, str(name), "is a secret, which must not be here", fix)
        if setting is None:
            raise _unknown(cloud, str(name), [each.name for each in settings if not each.secret])
    return {
        setting.name: _value(cloud, setting, block.get(setting.name))
        for setting in settings
        if not setting.secret
    }


def wrong(cloud: str, name: str, what: str, fix: str) -> InvalidRequest:
    """The error about one field."""
    return InvalidRequest(f"config.yaml: {cloud}.{name} {what}", fix=fix)


def _unknown(cloud: str, name: str, known: Sequence[str]) -> InvalidRequest:
    close = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.5)
    near = f"did you mean {close[0]!r}? " if close else ""
    return wrong(cloud, name, "is not known", f"{near}known are: {', '.join(known) or 'none'}")


def _value(cloud: str, setting: Setting, value: Any) -> Any:
    if value is None:
        return setting.default
    if setting.kind == "any":
        return value
    words, read = _KINDS[setting.kind]
    try:
        found = read(value)
    except TypeError:
        raise wrong(cloud, setting.name, f"is {value!r}", f"write {words}") from None
    if setting.least is not None and not found >= setting.least:
        fix = f"write {words} of at least {setting.least:g}"
        raise wrong(cloud, setting.name, f"is {value!r}", fix)
    for text in found if isinstance(found, tuple) else (found,):
        if setting.choices and text not in setting.choices:
            fix = f"write one of: {', '.join(setting.choices)}"
            raise wrong(cloud, setting.name, f"is {text!r}", fix)
    return found


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError
    return float(value)


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, list):
        raise TypeError
    return tuple(_text(each) for each in value)


def _map(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise TypeError
    return {_text(name): _text(each) for name, each in value.items()}


_KINDS: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "text": ("text", _text),
    "number": ("a number", _number),
    "count": ("a whole number", _count),
    "flag": ("true or false", _flag),
    "texts": ("a list of texts", _texts),
    "map": ("a map of texts to texts", _map),
}
