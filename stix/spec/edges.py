"""What a stage takes from others, and what it gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import ConfigDict, Field, field_validator, model_validator

from stix.spec import values
from stix.spec.base import Spec, bad


class InputSpec(Spec):
    """An artifact of another stage.

    Attributes:
        origin: ``stage.output``; the key in a file is ``from``.
        path: Where it lies, relative to the working directory; None for ``inputs/<name>``.
        shared: Its files are links to the host's one copy, which other stages on the host have,
            too: they are read-only, and not to be written to.
    """

    model_config = ConfigDict(populate_by_name=True)
    short: ClassVar[tuple[dict[str, Any], ...]] = (
        {"type": "string", "pattern": r"^[^.]+\..+$", "examples": ["prepare.data"]},
    )

    origin: str = Field(alias="from")
    path: str | None = None
    shared: bool = False

    if TYPE_CHECKING:

        def __init__(self, **fields: Any) -> None: ...

    @model_validator(mode="before")
    @classmethod
    def _text(cls, data: Any) -> Any:
        return {"from": data} if isinstance(data, str) else data

    @field_validator("origin")
    @classmethod
    def _origin(cls, value: str) -> str:
        stage, dot, output = value.partition(".")
        if not dot or not values.STAGE_NAME.match(stage) or not values.OUTPUT_NAME.match(output):
            raise bad(
                f"{value!r} does not name an output", "write stage.output, such as prepare.data"
            )
        return value

    @field_validator("path")
    @classmethod
    def _path(cls, value: str | None) -> str | None:
        return None if value is None else values.relative_path(value, "an input")

    @property
    def stage(self) -> str:
        return self.origin.partition(".")[0]

    @property
    def output(self) -> str:
        return self.origin.partition(".")[2]


class OutputSpec(Spec):
    """A named artifact.

    Attributes:
        path: A file or folder, relative to the working directory.
    """

    short: ClassVar[tuple[dict[str, Any], ...]] = ({"type": "string", "minLength": 1},)

    path: str

    if TYPE_CHECKING:

        def __init__(self, **fields: Any) -> None: ...

    @model_validator(mode="before")
    @classmethod
    def _text(cls, data: Any) -> Any:
        return {"path": data} if isinstance(data, str) else data

    @field_validator("path")
    @classmethod
    def _path(cls, value: str) -> str:
        return values.relative_path(value, "an output")
