"""Warnings where YAML 1.1 reads a scalar without quotes otherwise than most people mean it."""

from __future__ import annotations

from typing import Any

from stix.spec.problems import Path, Problem, dotted
from stix.spec.yaml.nodes import mark_of
from stix.spec.yaml.read import walk
from stix.spec.yaml.scalars import DATE, scalar

_TEXTS = ("envs", "secrets", "labels")
"""Maps whose values are text in the end."""
_MOST = 20


def surprises(file: str, root: Any, odd: list[Any]) -> list[Problem]:
    """One warning for each scalar of ``odd`` in a map of texts or a matrix that changed."""
    changed = {id(node) for node in odd if _changed(node)}
    if not changed:
        return []
    out: list[Problem] = []
    for path, node, _ in walk(root):
        if id(node) in changed and len(out) < _MOST:
            message = _message(path, node)
            if message:
                line, column = mark_of(node)
                fix = "put it in quotes if text is meant"
                out.append(Problem("warning", file, line, column, dotted(path), message, fix))
    return out


def misplaced(file: str, root: Any, odd: list[Any]) -> list[Problem]:
    """One error for each date of ``odd`` where no text is made of it: nothing else takes a date."""
    dates = {id(node) for node in odd if node.tag == DATE}
    if not dates:
        return []
    out: list[Problem] = []
    for path, node, _ in walk(root):
        below = path[2:] if path[0:1] == ("stages",) else path[path[0:1] == ("defaults",) :]
        if id(node) in dates and not {*below[:1]} & {"envs", "secrets", "matrix"}:
            line, column = mark_of(node)
            fix = "put it in quotes"
            out.append(Problem("error", file, line, column, dotted(path), "a date is no text", fix))
    return out


def _changed(node: Any) -> bool:
    """Whether the text of the value is not what is written; capitals of true and false aside."""
    value = scalar(node)
    if isinstance(value, bool):
        return str(node.value).lower() not in ("true", "false")
    return str(value) != str(node.value)


def _message(path: Path, node: Any) -> str:
    above = set(path[:-1])
    if "secrets" in above:
        return "this secret is read as something else than what is written"
    value = scalar(node)
    # 0.10 is the number that was meant, where numbers may be meant.
    if above.isdisjoint(_TEXTS) and ("matrix" not in above or isinstance(value, float)):
        return ""
    written = node.value if len(node.value) <= 60 else node.value[:60] + "..."
    if isinstance(value, bool):
        return f"{written} without quotes is read as the boolean {str(value).lower()}"
    kind = "number" if isinstance(value, int | float) else "time"
    return f"{written} without quotes is read as the {kind} {value}"
