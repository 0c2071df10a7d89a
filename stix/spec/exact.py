"""Fields that take one kind of value and nothing near it, as SkyPilot's schema has them.

They stand in `Annotated`: each checks a value, says what it must be, and gives its JSON Schema.
A value stays as it was given (``60`` does not become ``60.0``), for it is written out again.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, ClassVar

from pydantic import BaseModel, GetCoreSchemaHandler, GetJsonSchemaHandler, model_validator
from pydantic_core import PydanticCustomError, core_schema

from stix.spec import values
from stix.spec.base import Spec, bad
from stix.spec.problems import choose

Json = dict[str, Any]
_LARGEST = 1e300
"""What is larger is a slip, and fits no number of another language."""


class Exact(Spec):
    """A model in which a field has a value or is absent; null is no value."""

    blank: ClassVar[frozenset[str]] = frozenset()
    """Fields that may be null all the same, which then counts as absent."""

    @classmethod
    def may_be_null(cls, name: str) -> bool:
        return name in cls.blank or name in cls.null_means

    @model_validator(mode="before")
    @classmethod
    def _nulls_take_the_default(cls, data: Any) -> Any:
        if not cls.blank or not isinstance(data, dict) or None not in data.values():
            return data
        return {k: v for k, v in data.items() if v is not None or k not in cls.blank}


class Kind:
    """What stands in ``Annotated``; subclasses say what they take."""

    def check(self, value: Any, name: str) -> Any:
        """The value, or an error that names the field."""
        raise NotImplementedError

    def schema(self) -> Json:
        """The JSON Schema of what is taken."""
        raise NotImplementedError

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        name = handler.field_name or "the value"
        check = self.check
        return core_schema.no_info_plain_validator_function(lambda value: check(value, name))

    def __get_pydantic_json_schema__(
        self, core: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> Json:
        return self.schema()


@dataclass(frozen=True)
class Number(Kind):
    """A number of a range.

    Attributes:
        least: The smallest number; None for any.
        most: The largest number; None for any.
        whole: Only whole numbers.
        above: Only numbers above this.
        unit: What is counted, for messages; ``seconds`` reads a duration to help.
    """

    least: float | None = None
    most: float | None = None
    whole: bool = False
    above: float | None = None
    unit: str = ""

    def check(self, value: Any, name: str) -> Any:
        if isinstance(value, bool) or not isinstance(value, int | float):
            said = f"{name} must be {self._what()}, not {values.kind(value)}"
            raise bad(said, self._fix(value, name))
        if not abs(value) <= _LARGEST:
            said = f"{name} must be {self._what()}; this is none, or too large"
            raise bad(said, self._fix(value, name))
        if self.whole and not float(value).is_integer():
            raise bad(f"{name} must be {self._what()}, not {value}", self._fix(value, name))
        outside = (
            (self.least is not None and value < self.least)
            or (self.most is not None and value > self.most)
            or (self.above is not None and value <= self.above)
        )
        if outside:
            raise bad(f"{name} must be {self._what()}, not {value}", self._fix(value, name))
        return int(value) if self.whole else value

    def _what(self) -> str:
        word = "a whole number" if self.whole else "a number"
        of = f" of {self.unit}" if self.unit else ""
        if self.above is not None:
            return f"{word}{of} above {values.number(self.above)}"
        least = "" if self.least is None else f" from {values.number(self.least)}"
        return f"{word}{of}{least}" + ("" if self.most is None else f" to {self.most}")

    def _fix(self, value: Any, name: str) -> str:
        if isinstance(value, str) and value.strip():
            try:
                return f"write {name}: {values.number(values.duration(value))}"
            except PydanticCustomError:
                pass
        start = self.least if self.least is not None else self.above
        return f"write {self._what()}, such as {name}: {values.number((start or 0) + 1)}"

    def schema(self) -> Json:
        out: Json = {"type": "integer" if self.whole else "number"}
        limits = {"minimum": self.least, "maximum": self.most, "exclusiveMinimum": self.above}
        return out | {k: v for k, v in limits.items() if v is not None}


@dataclass(frozen=True)
class Text(Kind):
    """Text.

    Attributes:
        least: How many characters at least.
        pattern: What the whole text must match.
        words: What the text may be; empty for anything.
        example: A right text, for messages.
        fold: Whether upper and lower case of a word are the same.
    """

    least: int = 0
    pattern: str = ""
    words: tuple[str, ...] = ()
    example: str = ""
    fold: bool = False

    def check(self, value: Any, name: str) -> Any:
        if not isinstance(value, str):
            said = f"{name} must be text, not {values.kind(value)}"
            raise bad(said, self._fix(name, f"put the value of {name} in quotes"))
        if len(value) < self.least:
            raise bad(f"{name} must not be empty", self._fix(name, f"write {name}, or remove it"))
        if self.words and (value.lower() if self.fold else value) not in self.words:
            raise bad(f"{name} cannot be {value!r}", choose(value, self.words))
        if self.pattern and not re.fullmatch(self.pattern, value):
            raise bad(f"{name} cannot be {value!r}", self._fix(name, "correct the text"))
        return value

    def _fix(self, name: str, other: str) -> str:
        if self.words:
            return f"use one of: {', '.join(self.words)}"
        return f"write {name}: {self.example}" if self.example else other

    def schema(self) -> Json:
        out: Json = {"type": "string"}
        if self.words and not self.fold:
            out["enum"] = list(self.words)
        elif self.words:
            out["pattern"] = f"^(?i:{'|'.join(map(re.escape, self.words))})$"
        elif self.pattern:
            out["pattern"] = f"^(?:{self.pattern})$"
        return out | ({"minLength": self.least} if self.least else {})


@dataclass(frozen=True)
class Flag(Kind):
    """True or false."""

    def check(self, value: Any, name: str) -> Any:
        if not isinstance(value, bool):
            said = f"{name} must be true or false, not {values.kind(value)}"
            raise bad(said, f"write {name}: true or {name}: false")
        return value

    def schema(self) -> Json:
        return {"type": "boolean"}


@dataclass(frozen=True)
class Items(Kind):
    """A list.

    Attributes:
        each: What each entry is.
        example: A right list, for messages.
    """

    each: Kind
    example: str = "[VALUE, VALUE]"

    def check(self, value: Any, name: str) -> Any:
        if not isinstance(value, list | tuple):
            said = f"{name} must be a list, not {values.kind(value)}"
            raise bad(said, f"write {name}: {self.example}")
        return [self.each.check(entry, f"an entry of {name}") for entry in value]

    def schema(self) -> Json:
        return {"type": "array", "items": self.each.schema()}


@dataclass(frozen=True)
class Map(Kind):
    """A map of names to one kind of value, or to anything JSON has.

    Attributes:
        each: What each value is; None for anything.
        keys: What each name must match; empty for any text.
        without: Names that are not allowed.
        example: A right map, for messages.
        size: How many entries it has; None for any number.
    """

    each: Kind | None = None
    keys: str = ""
    without: tuple[str, ...] = ()
    example: str = "{NAME: VALUE}"
    size: int | None = None

    def check(self, value: Any, name: str) -> Any:
        fix = f"write {name}: {self.example}"
        if not isinstance(value, dict):
            raise bad(f"{name} must be a map, not {values.kind(value)}", fix)
        if self.size is not None and len(value) != self.size:
            raise bad(f"{name} must have {self.size} entry", fix)
        out = {}
        for key, entry in value.items():
            text = plain_key(key, name)
            if text in self.without:
                raise bad(f"{name} cannot set {text}", f"remove {text}", text)
            if self.keys and not re.fullmatch(self.keys, text):
                raise bad(f"{text!r} is no name for {name}", fix, text)
            try:
                out[text] = plain(entry) if self.each is None else self.each.check(entry, text)
            except PydanticCustomError as refusal:
                context = refusal.context or {}
                raise bad(refusal.message(), context.get("fix", ""), text) from None
        return out

    def schema(self) -> Json:
        out: Json = {"type": "object"}
        if self.each is not None:
            out["additionalProperties"] = self.each.schema()
        if self.keys:
            out["propertyNames"] = {"pattern": f"^(?:{self.keys})$"}
        if self.without:
            out["not"] = {"anyOf": [{"required": [name]} for name in self.without]}
        if self.size is not None:
            out |= {"minProperties": self.size, "maxProperties": self.size}
        return out


@dataclass(frozen=True)
class Either(Kind):
    """One of several kinds, tried in turn; the last one says what is wrong.

    Attributes:
        kinds: Type of value to the kind that checks it.
        what: All of them, for messages.
        fix: What to write.
    """

    kinds: tuple[tuple[type | tuple[type, ...], Kind], ...]
    what: str
    fix: str

    def check(self, value: Any, name: str) -> Any:
        for types, kind in self.kinds:
            fits = isinstance(value, types)
            if fits and (not isinstance(value, bool) or types is bool):
                return kind.check(value, name)
        raise bad(f"{name} must be {self.what}, not {values.kind(value)}", self.fix)

    def schema(self) -> Json:
        return {"anyOf": [kind.schema() for _, kind in self.kinds]}


@dataclass(frozen=True)
class Null(Kind):
    """Null, where it is a value of its own."""

    def check(self, value: Any, name: str) -> Any:
        return value

    def schema(self) -> Json:
        return {"type": "null"}


def plain_key(key: Any, name: str) -> str:
    """A key of a map as the text that JSON makes of it."""
    if isinstance(key, str):
        return key
    if key is None:
        return "null"
    if isinstance(key, bool):
        return "true" if key else "false"
    if isinstance(key, int | float):
        return str(key)
    raise bad(f"a name in {name} must be text", "put the name in quotes")


def plain(value: Any) -> Any:
    """Free-form data as JSON has it: dates become text, names become text."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise bad("a number here must be finite", "write a number, or put it in quotes")
        return value
    if isinstance(value, dict):
        return {plain_key(k, "the map"): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, date | datetime):
        return value.isoformat()
    raise bad(f"{values.kind(value)} cannot stand here", "write text, a number, a list or a map")


def given(model: BaseModel) -> Json:
    """What a file gave of a model: its keys and values, unknown keys among them, as plain data."""
    own = model.model_fields_set
    fields = type(model).model_fields
    out = {f.alias or n: _unmade(getattr(model, n)) for n, f in fields.items() if n in own}
    return out | (model.model_extra or {})


def _unmade(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return given(value)
    return [_unmade(entry) for entry in value] if isinstance(value, list) else value


def needed(fix: str) -> Callable[[Any], Any]:
    """For ``BeforeValidator``: a part that may be absent, but not null."""

    def check(value: Any) -> Any:
        if value is None:
            raise bad("there is no value", fix)
        return value

    return check
