"""Replace secret values in a byte stream, also where a value is cut by a chunk boundary."""

from __future__ import annotations

import binascii
import json
import re

TYPE_CHECKING = False  # typing costs 3 ms of start time
if TYPE_CHECKING:
    from typing import Iterable

MARK = b"***"
SHORTEST = 3  # shorter values would blank out ordinary text
SHORTEST_LINE = 8
SHORTEST_FORM = 8  # of an encoded value
UNRESERVED = frozenset(  # RFC 3986 2.3
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
)


def values_of(secrets: Iterable[str]) -> list[bytes]:
    """What to look for: each value and the lines of a long one (a key file), plain and encoded."""
    found = set()
    for secret in secrets:
        value = secret.encode("utf-8", "surrogateescape")
        if len(value.strip()) >= SHORTEST:
            found.add(value)
            found.add(value.strip())
        lines = value.splitlines()
        if len(lines) > 1:
            found.update(line.strip() for line in lines if len(line.strip()) >= SHORTEST_LINE)
    for value in list(found):
        found.update(form for form in _encoded(value) if len(form) >= SHORTEST_FORM)
    return sorted(found, key=len, reverse=True)


def _encoded(value: bytes) -> set[bytes]:
    """A value as programs write it: in base64, in a URL, in JSON."""
    forms = {_quoted(value, b""), _quoted(value, b"/"), _quoted(value, b" ").replace(b" ", b"+")}
    text = value.decode("utf-8", "surrogateescape")
    forms.add(json.dumps(text, ensure_ascii=True)[1:-1].encode())
    for shift in range(3):
        # Inside a longer text a value begins at one of three offsets; the characters at its edges
        # hold bits of the neighbours too and are left out.
        encoded = binascii.b2a_base64(b"\0" * shift + value, newline=False)
        last = len(encoded) - (0, 3, 2)[(len(value) + shift) % 3]
        forms.add(encoded[(0, 2, 3)[shift] : last])
    forms.add(binascii.b2a_base64(value, newline=False))
    return forms | {form.translate(bytes.maketrans(b"+/", b"-_")) for form in forms if _is_64(form)}


def _quoted(value: bytes, safe: bytes) -> bytes:
    return b"".join(bytes((c,)) if c in UNRESERVED or c in safe else b"%%%02X" % c for c in value)


def _is_64(form: bytes) -> bool:
    return b"%" not in form and (b"+" in form or b"/" in form)


class Redactor:
    """Feed it chunks; it gives back what is safe to show, and holds what may begin a secret."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._values = values_of(secrets)
        self._longest = len(self._values[0]) if self._values else 0
        self._first = frozenset(value[0] for value in self._values)
        self._pattern = re.compile(b"|".join(re.escape(v) for v in self._values))
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        if not self._values:
            return data
        data = self._held + data
        out = []
        position = 0
        hold = self._hold(data, 0)
        while True:
            match = self._pattern.search(data, position)
            if match is None or hold <= match.start():
                break
            out += [data[position : match.start()], MARK]
            position = match.end()
            hold = self._hold(data, position)
        out.append(data[position:hold])
        self._held = data[hold:]
        return b"".join(out)

    def finish(self) -> bytes:
        """The rest, when the stream has ended."""
        data, self._held = self._held, b""
        return self._pattern.sub(MARK, data) if data else data

    def _hold(self, data: bytes, start: int) -> int:
        """The first position from which the data may be the beginning of a longer secret."""
        for position in range(max(start, len(data) - self._longest + 1), len(data)):
            if data[position] in self._first:
                rest = data[position:]
                if any(len(v) > len(rest) and v.startswith(rest) for v in self._values):
                    return position
        return len(data)
