"""The file of a volume, for ``stix volumes apply``: SkyPilot's keys, and what they mean."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, ConfigDict, Field, ValidationError

from stix.spec.base import Accepts, bad
from stix.spec.exact import Exact, Flag, Map, Text
from stix.spec.loader import read_file
from stix.spec.messages import explain
from stix.spec.problems import error, refused
from stix.spec.sources import Mark, Sources, read_documents
from stix.spec.volumes import gib_of
from stix.spec.words import places
from stix.spec.words import resourceforms as forms

NAME = "[a-z0-9]([a-z0-9-]{0,46}[a-z0-9])?"
LARGEST_GIB = 1e9
_SIZE_FIX = "write whole GiB, such as size: 100 or size: 100Gi"

_SIZES = {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "string"}]}


def _size(value: Any) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    found = float(value) if number else gib_of(value) if isinstance(value, str) else None
    if found is None or not 0 < found < LARGEST_GIB:
        raise bad(f"{value!r} is not the size of a volume", _SIZE_FIX)
    return found


def _name(value: Any) -> Any:
    if isinstance(value, str) and not re.fullmatch(NAME, value):
        rule = "lower-case letters, digits and '-' (48 at most, a letter or digit at both ends)"
        raise bad(f"{value!r} is no name of a volume", f"write a name of {rule}")
    return value


def _type(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


class VolumeFile(Exact):
    """A volume that is to be.

    Attributes:
        name: By which stages name it.
        type: Its kind, such as ``k8s-pvc``.
        infra: Where it lies: ``cloud/region/zone``.
        size: GiB; text as ``100Gi`` is read as well.
        use_existing: It is there already, made by others, and is only used.
        resource_name: How the provider calls one that exists; its name where not given.
        labels: Labels at the provider.
        config: Options of its type.
    """

    model_config = ConfigDict(title="STIX volume")

    name: Annotated[str, Text(), BeforeValidator(_name)]
    type: Annotated[str, Text(least=1, example="k8s-pvc"), BeforeValidator(_type)]
    infra: Annotated[str | None, BeforeValidator(places.infra), Accepts(forms.INFRA)] = None
    size: Annotated[float | None, BeforeValidator(_size), Accepts(_SIZES)] = None
    use_existing: Annotated[bool, Flag()] = False
    resource_name: Annotated[str | None, Text(least=1, example="my-claim")] = None
    labels: Annotated[dict[str, str], Map(Text(), example="{team: research}")] = Field(
        default_factory=dict
    )
    config: Annotated[dict[str, Any], Map()] = Field(default_factory=dict)

    blank: ClassVar[frozenset[str]] = frozenset({"infra", "size", "resource_name"})

    @property
    def existing(self) -> str:
        """The provider's name of one that others made; empty for one that STIX makes."""
        return (self.resource_name or self.name) if self.use_existing else ""


def read_volume(path: str | None, given: Mapping[str, Any]) -> tuple[VolumeFile, Sources]:
    """A volume of a file, of options, or of a file that options change.

    Args:
        path: The file; None for options alone.
        given: Field to what an option says of it.

    Raises:
        SpecErrors: it is refused; holds every problem, with its place in the file.
    """
    documents = read_documents(read_file(path), path) if path else []
    file = path or "stix volumes apply"
    marks = [Mark((name,), f"--{name.replace('_', '-')}") for name in given]
    sources = Sources(documents, marks=marks)
    problems = []
    raw = documents[0].value if documents else {}
    if len(documents) > 1 or not isinstance(raw, dict):
        fix = "write name: NAME and type: TYPE, one volume in each file"
        problems = [error((), "a file describes one volume, as a map", fix)]
        raise refused([sources.locate(problem, file) for problem in problems])
    whole = {**raw, **given}
    try:
        return VolumeFile.model_validate(whole), sources
    except ValidationError as refusal:
        problems = explain(refusal, whole, VolumeFile, ())
    raise refused([sources.locate(problem, file) for problem in problems])
