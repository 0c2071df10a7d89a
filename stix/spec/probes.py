"""How a service is asked whether it is ready."""

from __future__ import annotations

import json
import math
from typing import Annotated, Any, ClassVar

from stix.spec import values
from stix.spec.base import bad
from stix.spec.exact import Exact, Json, Kind, Map, Number, Text, plain

_BODY = "write post_data: {name: value}, or the same as JSON text"
Seconds = Annotated[float | None, Number(unit="seconds")]


class _Path(Text):
    """A path of a URL."""

    def check(self, value: Any, name: str) -> Any:
        if not isinstance(value, str):
            raise bad(f"{name} must be text, not {values.kind(value)}", "write path: /health")
        if not value.startswith("/"):
            raise bad(f"the path {value!r} does not start with /", f"write /{value}")
        return value

    def schema(self) -> Json:
        return {"type": "string", "pattern": "^/"}


class _Body(Kind):
    """A map, or JSON text of one."""

    def check(self, value: Any, name: str) -> Any:
        if isinstance(value, dict):
            return plain(value)
        if not isinstance(value, str):
            raise bad(f"{name} must be a map or JSON text, not {values.kind(value)}", _BODY)
        try:
            value = json.loads(value, parse_constant=_no_number)
        except (ValueError, RecursionError):
            raise bad(f"{name} is not valid JSON", _BODY) from None
        if value is not None and not isinstance(value, dict):
            raise bad(f"the JSON of {name} must be a map, not {values.kind(value)}", _BODY)
        if not _sound(value):
            raise bad(f"{name} is nested too deeply, or holds a number without end", _BODY)
        return value

    def schema(self) -> Json:
        return {"anyOf": [{"type": "object"}, {"type": "string"}]}


class _Headers(Map):
    """Headers of HTTP. Their values are not shown: they may hold a token."""


class ReadinessProbe(Exact):
    """A request that a replica answers once it is ready.

    Attributes:
        path: Path of the request, starting with ``/``.
        initial_delay_seconds: Seconds after the start during which failures do not count.
        timeout_seconds: Seconds to wait for an answer.
        endpoint_probe_interval_seconds: Seconds from one request to the next.
        consecutive_failure_threshold_timeout: Seconds of failures in a row after which a replica
            is replaced; None for the default of services or pools.
        post_data: Body of the request, a map; with a body it is a POST, without one a GET.
        headers: Headers of the request, name to text.
    """

    short: ClassVar[tuple[Json, ...]] = ({"type": "string", "pattern": "^/"},)

    path: Annotated[str, _Path()] = "/"
    initial_delay_seconds: Seconds = 1200
    timeout_seconds: Annotated[float | None, Number(above=0, unit="seconds")] = 15
    endpoint_probe_interval_seconds: Seconds = 10
    consecutive_failure_threshold_timeout: Seconds = None
    post_data: Annotated[dict[str, Any] | None, _Body()] = None
    headers: Annotated[dict[str, str] | None, _Headers(Text(), example="{NAME: text}")] = None


def probe(value: Any) -> Any:
    """A probe as a map: text is its path, and a map needs one."""
    if isinstance(value, str):
        return {"path": value}
    if isinstance(value, dict) and "path" not in value:
        raise bad("path is missing", "add path, such as path: /")
    if isinstance(value, dict | ReadinessProbe):
        return value
    said = f"readiness_probe must be a path or a map, not {values.kind(value)}"
    raise bad(said, "write readiness_probe: /health")


def _no_number(text: str) -> Any:
    raise ValueError(text)


def _sound(value: Any, levels: int = 60) -> bool:
    """Whether no number became infinite, as ``1e999`` does, and the nesting is sensible."""
    if isinstance(value, float):
        return math.isfinite(value)
    below = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels > 0 and all(_sound(entry, levels - 1) for entry in below)
