"""Plain values to YAML for people, which every reader of YAML takes for the same values."""

from __future__ import annotations

import re
from typing import Any

import yaml

_LIKE_A_NUMBER = re.compile(r"[-+]?(?:\.\d+|\d+(?:\.\d*)?)(?:[eE][-+]?\d+)?|0o[0-7]+|[yYnN]")
"""What is text for PyYAML, but not for readers of YAML 1.2, or of the letter of YAML 1.1."""
_OTHER_BREAKS = re.compile("[\x85\u2028\u2029]")
"""Line breaks of YAML 1.1 that only escapes keep."""


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]
    """Texts of several lines as blocks, and no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: _Dumper, value: str) -> Any:
    style = None
    if _OTHER_BREAKS.search(value):
        style = '"'
    elif "\n" in value and _blocky(value):
        style = "|"
    elif _LIKE_A_NUMBER.fullmatch(value):
        style = "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def dump(value: Any) -> str:
    """One document in block form, keys in their order."""
    # The emitter in C writes letters beyond the first plane as escapes.
    return str(
        yaml.dump(
            value,
            Dumper=_Dumper,
            allow_unicode=True,
            default_flow_style=False,
            sort_keys=False,
            width=100_000,
        )
    )


def _blocky(text: str) -> bool:
    """Whether a text survives as a literal block."""
    lines = text.split("\n")
    clean = all(line.isprintable() and line == line.rstrip() for line in lines)
    return clean and not text.startswith((" ", "\n"))
