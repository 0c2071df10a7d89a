"""Where a value could have gone: databases, files, command lines, environments, the API."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import io
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

import asyncpg

from stix.config import Config
from stix.server.databases import plain_url
from tests.support.server import ServerHome

_TABLES = """
    select format('%I.%I', schemaname, tablename) as name from pg_tables
    where schemaname not in ('pg_catalog', 'information_schema')"""


def forms(values: Iterable[str]) -> list[bytes]:
    """The values and their beginnings, plain, in base64 and as in a URL."""
    found: set[bytes] = set()
    for value in values:
        raw = value.encode()
        found |= {raw, raw[: len(raw) // 2], base64.b64encode(raw), quote(value, safe="").encode()}
        found.add(base64.b64encode(b"user:" + raw)[8:-4])
    return sorted(found)


@dataclass(frozen=True)
class Dump:
    """All rows of one table, as text."""

    name: str
    data: bytes


def dump(server: ServerHome, database: str) -> list[Dump]:
    """Every table of a database, read by COPY."""

    async def copy() -> list[Dump]:
        connection = await asyncpg.connect(plain_url(Config.load(server.home), database))
        try:
            dumps = []
            for row in await connection.fetch(_TABLES):
                out = io.BytesIO()
                await connection.copy_from_query(f"select * from {row['name']}", output=out)
                dumps.append(Dump(f"{database}.{row['name']}", out.getvalue()))
            return dumps
        finally:
            await connection.close()

    return asyncio.run(copy())


def files(home: Path) -> Iterator[Dump]:
    """Every file below a folder, the database's own among them."""
    for path in sorted(home.rglob("*")):
        if path.is_file() and not path.is_symlink():
            with contextlib.suppress(FileNotFoundError):  # PostgreSQL removes some as it goes
                yield Dump(str(path.relative_to(home)), path.read_bytes())


def holding(dumps: Iterable[Dump], needles: Iterable[bytes]) -> list[str]:
    """Names of the dumps in which one of the needles is."""
    wanted = list(needles)
    return [dump.name for dump in dumps if any(needle in dump.data for needle in wanted)]


@dataclass
class Watch:
    """Reads command lines and environments of all processes until it is left.

    Attributes:
        needles: What to look for.
        in_argv: Command lines that held one.
        environs: Environment of each process that held one, by its command line.
    """

    needles: list[bytes]
    in_argv: set[bytes] = field(default_factory=set)
    environs: dict[bytes, bytes] = field(default_factory=dict)
    looks: int = 0

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._stop.is_set():
            for process in Path("/proc").glob("[0-9]*"):
                with contextlib.suppress(OSError):
                    self._look(process)
            self.looks += 1
            self._stop.wait(0.05)

    def _look(self, process: Path) -> None:
        argv = (process / "cmdline").read_bytes()
        if any(needle in argv for needle in self.needles):
            self.in_argv.add(argv)
        environ = (process / "environ").read_bytes()
        if any(needle in environ for needle in self.needles):
            self.environs[argv] = environ
