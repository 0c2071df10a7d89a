"""Secrets of runs: kept encrypted until the run ends, and kept out of every text."""

from __future__ import annotations

import base64
import json
import logging
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

from stix.errors import StixError, UsageError
from stix.files import write_private

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

MASK = "***"
SHORTEST = 4
"""Values shorter than this are not replaced: they are in every text, and replacing tells them."""


class VaultError(StixError):
    """A stored secret cannot be read."""


class Vault:
    """Secrets by run, one encrypted file (Fernet: AES-128-CBC with HMAC-SHA256) per run.

    Args:
        folder: ``STIX_HOME/vault``. The key lies in it, as a file of mode 0600: the encryption
            keeps values out of greps and backups of single files, not from who owns the folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __repr__(self) -> str:
        return f"Vault({str(self._folder)!r})"

    def put(self, run: str, values: Mapping[str, str]) -> None:
        """Keep the secrets of a run; replaces earlier ones."""
        token = self._fernet().encrypt(json.dumps(dict(values)).encode())
        write_private(self._path(run), token)

    def get(self, run: str) -> dict[str, str]:
        """The secrets of a run; empty where it has none.

        Raises:
            VaultError: the file or the key was changed.
        """
        from cryptography.fernet import InvalidToken

        try:
            token = self._path(run).read_bytes()
        except FileNotFoundError:
            return {}
        try:
            data = json.loads(self._fernet().decrypt(token))
        except InvalidToken:
            raise VaultError(
                f"the secrets of run {run} do not fit the key in {self._folder}",
                fix="submit the run again with its secrets",
            ) from None
        return {str(name): str(value) for name, value in data.items()}

    def delete(self, run: str) -> None:
        """Forget the secrets of a run; silent where there are none."""
        self._path(run).unlink(missing_ok=True)

    def age(self, run: str) -> float:
        """Seconds since the secrets of a run were put here; 0 where there are none."""
        try:
            return time.time() - self._path(run).stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def names(self) -> list[str]:
        """Runs that have secrets here."""
        if not self._folder.is_dir():
            return []
        return sorted(
            p.name for p in self._folder.iterdir() if p.name != "key" and p.name[0] != "."
        )

    def _path(self, run: str) -> Path:
        if run == "key" or not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", run):
            raise UsageError(f"{run!r} is not the id of a run")
        return self._folder / run

    def _fernet(self) -> Fernet:
        from cryptography.fernet import Fernet

        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        key = self._folder / "key"
        if not key.is_file():
            write_private(key, Fernet.generate_key(), replace=False)
        return Fernet(key.read_bytes())


class Redactor:
    """Replaces secret values, also in their base64 and URL-encoded forms, by ``***``.

    Args:
        values: Secret values. Those shorter than four characters are left alone.
    """

    def __init__(self, values: Iterable[str]) -> None:
        forms: set[bytes] = set()
        for value in values:
            for whole in {value, *value.splitlines()}:
                if len(whole.strip()) >= SHORTEST:
                    forms |= _forms(whole.strip())
        longest_first = sorted(forms, key=len, reverse=True)
        self._pattern = re.compile(b"|".join(map(re.escape, longest_first))) if forms else None
        self._forms = tuple(longest_first)

    def __repr__(self) -> str:
        return f"Redactor({'...' if self._pattern else ''})"

    def text(self, value: str) -> str:
        """``value`` without secrets."""
        if self._pattern is None:
            return value
        return self.bytes(value.encode("utf-8", "surrogateescape")).decode(
            "utf-8", "surrogateescape"
        )

    def bytes(self, value: bytes) -> bytes:
        """``value`` without secrets."""
        return value if self._pattern is None else self._pattern.sub(MASK.encode(), value)

    def stream(self) -> RedactedStream:
        """A redactor of one stream, which finds values that lie across chunks."""
        return RedactedStream(self._pattern, self._forms)


class RedactedStream:
    """One stream in pieces: ``feed`` each piece, and ``close`` for the rest."""

    def __init__(self, pattern: re.Pattern[bytes] | None, forms: Sequence[bytes]) -> None:
        self._pattern = pattern
        self._forms = forms
        self._firsts = frozenset(form[0] for form in forms)
        self._held = b""

    def feed(self, chunk: bytes) -> bytes:
        """What can be told by now; an end that may be the beginning of a secret is held back."""
        if self._pattern is None:
            return chunk
        data = self._held + chunk
        hold = self._hold_from(data)
        done = []
        at = 0
        for match in self._pattern.finditer(data):
            if match.start() >= hold:
                break
            done += [data[at : match.start()], MASK.encode()]
            at = match.end()
        end = max(at, hold)
        done.append(data[at:end])
        self._held = data[end:]
        return b"".join(done)

    def _hold_from(self, data: bytes) -> int:
        for at in range(max(0, len(data) - len(self._forms[0]) + 1), len(data)):
            if data[at] in self._firsts:
                tail = data[at:]
                if any(len(form) > len(tail) and form.startswith(tail) for form in self._forms):
                    return at
        return len(data)

    def close(self) -> bytes:
        """The bytes held back, redacted."""
        rest, self._held = self._held, b""
        return rest if self._pattern is None else self._pattern.sub(MASK.encode(), rest)


class RedactingFilter(logging.Filter):
    """Redacts the message and the exception of each record."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor = redactor

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = self._redactor.text(record.getMessage())
        record.args = None
        if record.exc_info and record.exc_info[0] is not None:
            text = logging.Formatter().formatException(record.exc_info)
            record.exc_info = None
            record.exc_text = self._redactor.text(text)
        return True


def _forms(value: str) -> set[bytes]:
    raw = value.encode("utf-8", "surrogateescape")
    forms = {raw, quote(raw, safe="").encode(), quote_plus(raw).encode()}
    forms |= {quote(raw).encode(), json.dumps(value)[1:-1].encode()}
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        # Inside a longer text the value may begin at any of three offsets of the encoding; the
        # characters at the edges also hold bits of the neighbours and are left out.
        for shift in range(3):
            encoded = encode(b"\0" * shift + raw)
            first = (0, 2, 3)[shift]
            spare = (len(raw) + shift) % 3
            last = len(encoded) - (0, 3, 2)[spare]
            if last - first >= 2 * SHORTEST:
                forms.add(encoded[first:last])
        forms.add(encode(raw))
    return forms
