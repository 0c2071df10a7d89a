"""Make a volume from a file or from options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stix.client.api import Client, Json
from stix.client.http import ApiError
from stix.spec.problems import Problem, SpecErrors
from stix.spec.volumefile import read_volume


def apply_volume(client: Client, path: str | None, given: Mapping[str, Any]) -> Json:
    """Have the volume that a file describes, with what is given beside it.

    Raises:
        SpecErrors: it is refused; each problem with its place in the file.
    """
    file, sources = read_volume(path, given)
    try:
        return client.apply_volume(file.model_dump(exclude_unset=True))
    except ApiError as error:
        if not error.refused:
            raise
        found = [Problem(**{**p, "parts": tuple(p.get("parts", ()))}) for p in error.refused]
    raise SpecErrors([sources.locate(p, path or "stix volumes apply") for p in found])
