"""Models that a file may write as one text instead of a map."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import (
    ModelWrapValidatorHandler,
    PrivateAttr,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from stix.spec.base import Spec


class Short(Spec):
    """A model with a short form: one text. What was written short is written short again.

    SkyPilot's canonical form tells the two apart, so the model has to remember.
    """

    short: ClassVar[tuple[dict[str, Any], ...]] = ({"type": "string"},)

    _was_text: bool = PrivateAttr(default=False)

    @classmethod
    def of_text(cls, text: str) -> dict[str, Any]:
        """The fields that the short form stands for."""
        raise NotImplementedError

    def written(self) -> Any:
        """The short form, or None where this has to be a map."""
        raise NotImplementedError

    @model_validator(mode="wrap")
    @classmethod
    def _text(cls, data: Any, handler: ModelWrapValidatorHandler[Short]) -> Short:
        if not isinstance(data, str):
            return handler(data)
        out = handler(cls.of_text(data))
        out._was_text = True
        return out

    @model_serializer(mode="wrap")
    def _as_written(self, handler: SerializerFunctionWrapHandler) -> Any:
        short = self.written()
        return handler(self) if short is None else short
