"""What several stores share: clients by process, names of buckets, prefixes."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

from stix.storage.base import StorageError

T = TypeVar("T")


class PerProcess(Generic[T]):
    """Something made when first used, once in each process.

    Connections and the threads of event loops do not survive a fork. What the parent made is
    kept in the child, since its end would try to close connections from the wrong process.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: dict[int, T] = {}
        # By process too: a fork may come while another thread holds the parent's.
        self._locks: dict[int, Lock] = {}

    def get(self) -> T:
        process = os.getpid()
        if process not in self._made:
            with self._locks.setdefault(process, Lock()):
                if process not in self._made:
                    self._made[process] = self._make()
        return self._made[process]


def split(path: str) -> tuple[str, str]:
    """``bucket/key`` in its two parts; the key may be empty."""
    bucket, _, key = path.partition("/")
    return bucket, key


def below(key: str) -> str:
    """The prefix of what lies below ``key``: empty for a whole bucket."""
    return f"{key.strip('/')}/" if key.strip("/") else ""


_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+")


def bucket_problem(name: str, *, dots: bool = True, underscores: bool = False) -> str:
    """Why ``name`` cannot be a bucket's by the rules of S3 and its kin; empty where it can."""
    more = ("." if dots else "") + ("_" if underscores else "")
    words = "lower-case letters, digits, -" + "".join(f", {sign}" for sign in more)
    if not 3 <= len(name) <= 63:
        return f"it has {len(name)} characters; 3 to 63 are allowed"
    if re.search(rf"[^a-z0-9\-{re.escape(more)}]", name):
        return f"only {words} are allowed"
    if not (_plain(name[0]) and _plain(name[-1])):
        return "it must begin and end with a letter or a digit"
    if ".." in name or _ADDRESS.fullmatch(name):
        return "it must not look like an address, nor have two dots in a row"
    return ""


def _plain(sign: str) -> bool:
    return sign.isascii() and sign.isalnum()


def checked_name(name: str, problem: str) -> str:
    """The name.

    Raises:
        StorageError: There is a problem with it.
    """
    if problem:
        raise StorageError(f"A bucket cannot be called {name!r}: {problem}.", fix="Choose another.")
    return name
