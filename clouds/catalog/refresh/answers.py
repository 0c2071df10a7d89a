"""Reading answers: what is missing is named with its place, and nothing is guessed."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stix.clouds.catalog.refresh.errors import BadAnswer, ChangedSchema

_WORDS = {dict: "an object", list: "a list", str: "a text", bool: "true or false"}


@dataclass(frozen=True)
class Answer:
    """One answer, in a file: some are too large for the memory.

    Attributes:
        file: The body.
        name: Of the page, for messages.
    """

    file: Path
    name: str

    def json(self) -> Any:
        """The body as JSON.

        Raises:
            BadAnswer: it is not.
        """
        try:
            return json.loads(self.file.read_bytes())
        except (ValueError, RecursionError) as error:
            raise BadAnswer(f"{self.name}: the answer is not JSON: {error}") from None

    def record(self) -> Record:
        """The body as a JSON object."""
        return Record.of(self.json(), self.name)

    def records(self) -> list[Record]:
        """The body as a JSON list of objects."""
        return _records(_typed(self.json(), list, self.name), self.name)

    def table(self, head: str, wanted: Sequence[str] = ()) -> Iterator[dict[str, str]]:
        """The body as CSV, a line at a time.

        Args:
            head: The table begins with the line whose first column this is; lines before it are
                remarks.
            wanted: Texts that a line has to contain to be looked at: a file can have millions.
        """
        with self.file.open(encoding="utf-8", errors="strict", newline="") as stream:
            try:
                yield from self._rows(stream, head, wanted)
            except (UnicodeDecodeError, csv.Error) as error:
                raise BadAnswer(f"{self.name}: the answer is not CSV: {error}") from None

    def _rows(self, stream: Any, head: str, wanted: Sequence[str]) -> Iterator[dict[str, str]]:
        heads: list[str] = []
        line = ""
        for line in stream:
            if not heads:
                cells = next(csv.reader([line]), [])
                heads = cells if cells and cells[0] == head else []
            elif all(text in line for text in wanted):
                cells = next(csv.reader([line]), [])
                if len(cells) != len(heads):
                    raise BadAnswer(f"{self.name}: a line has {len(cells)} of {len(heads)} columns")
                yield dict(zip(heads, cells, strict=True))
        if not heads:
            raise BadAnswer(f"{self.name}: there is no table that begins with {head!r}")
        if not line.endswith("\n"):
            raise BadAnswer(f"{self.name}: the last line is cut short")


class Record:
    """A JSON object (or a line of a table) whose fields are asked for by name."""

    def __init__(self, data: Mapping[str, Any], where: str) -> None:
        self.data = data
        self.where = where

    @classmethod
    def of(cls, value: Any, where: str) -> Record:
        """``value``, which has to be an object."""
        return cls(_typed(value, dict, where), where)

    def __contains__(self, name: str) -> bool:
        return self.data.get(name) is not None

    def text(self, name: str) -> str:
        return str(self._get(name, str))

    def flag(self, name: str) -> bool:
        return bool(self._get(name, bool))

    def number(self, name: str) -> float:
        """A finite number; a text that is one will do."""
        value = self.field(name)
        if isinstance(value, str) or (isinstance(value, int | float) and value is not True):
            try:
                number = float(value)
            except ValueError:
                number = math.nan
            if math.isfinite(number) and not isinstance(value, bool):
                return number
        raise ChangedSchema(f"{self.where}.{name} is not a number")

    def maybe(self, name: str) -> float | None:
        """A number, or null; the field has to be there."""
        return None if self.field(name) is None else self.number(name)

    def record(self, name: str) -> Record:
        return Record(self._get(name, dict), f"{self.where}.{name}")

    def records(self, name: str) -> list[Record]:
        return _records(self._get(name, list), f"{self.where}.{name}")

    def texts(self, name: str) -> list[str]:
        found = self._get(name, list)
        return [str(_typed(v, str, f"{self.where}.{name}[{n}]")) for n, v in enumerate(found)]

    def members(self, name: str) -> dict[str, Record]:
        """The fields of an object in this field, each an object."""
        inside = self.record(name)
        return {k: Record.of(v, f"{inside.where}.{k}") for k, v in inside.data.items()}

    def _get(self, name: str, kind: type) -> Any:
        return _typed(self.field(name), kind, f"{self.where}.{name}")

    def field(self, name: str) -> Any:
        """The value of a field that has to be there, of any type."""
        if name not in self.data:
            has = ", ".join(sorted(map(str, self.data))[:12]) or "nothing"
            raise ChangedSchema(
                f"{self.where} has no field {name!r}; it has: {has}",
                fix="the provider changed its API; update STIX, the prices of before are used",
            )
        return self.data[name]


def _records(values: list[Any], where: str) -> list[Record]:
    return [Record.of(value, f"{where}[{number}]") for number, value in enumerate(values)]


def _typed(value: Any, kind: type, where: str) -> Any:
    if isinstance(value, kind):
        return value
    raise ChangedSchema(f"{where} is not {_WORDS[kind]} but {type(value).__name__}")
