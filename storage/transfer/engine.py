"""Copy files from anywhere to anywhere: only what changed, by pieces, going on after a kill."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from stix.storage.base import CanCopyInside, NotInStore
from stix.storage.transfer.ends.base import End
from stix.storage.transfer.ends.opening import open_end
from stix.storage.transfer.entries import PIECE, Entry, Wanted, check_names
from stix.storage.transfer.limit import Meter
from stix.storage.transfer.options import Options, Report
from stix.storage.transfer.pieces import Large, same_content, verify
from stix.storage.transfer.unchanged import there_already

_LARGE_AT_ONCE = 2
_SMALL_PER_WORKER = 1
"""Small files wait for the server rather than for bandwidth: more of them are under way."""


@dataclass(frozen=True)
class _Plan:
    """What to copy, and what is at the target.

    Attributes:
        jobs: Each file of the source with its name at the target.
        theirs: The target's files, by name.
        folders: Names of folders to make.
    """

    jobs: Sequence[tuple[Entry, str]]
    theirs: Mapping[str, Entry]
    folders: Sequence[str]


def copy(source_url: str, target_url: str, options: Options | None = None) -> Report:
    """Copy what lies at ``source_url`` to ``target_url``: a file to a file, a prefix to a prefix.

    A file that the target has already is not copied again. Each other file appears whole, or not
    at all; a large one that was cut short is gone on with by the next call, if the source is
    still the same. Between two stores the bytes pass through memory only, or not through this
    machine where the store copies inside.

    Args:
        source_url: A ``/`` at its end asks for a prefix.
        target_url: A ``/`` at its end puts a single file below it.

    Raises:
        NotInStore: Nothing is at the source.
        Corrupt: What was written is not what was read.
        StorageError: A store or the disk refuses, a file changed meanwhile, or a name cannot be
            had at the target.
    """
    started = time.monotonic()
    options = options or Options()
    source, target, plan = _open(source_url, target_url, options)
    meter = Meter(options)
    meter.expect(len(plan.jobs), sum(entry.size for entry, _ in plan.jobs))
    target.make(plan.folders)
    _Run(source, target, options, meter).all(plan)
    deleted = _delete(source, target, plan, options) if options.delete else 0
    return Report(
        files=len(plan.jobs),
        bytes=sum(entry.size for entry, _ in plan.jobs),
        new_bytes=meter.new_bytes,
        skipped=meter.skipped,
        deleted=deleted,
        seconds=time.monotonic() - started,
    )


def _open(source_url: str, target_url: str, options: Options) -> tuple[End, End, _Plan]:
    """Both ends and the plan, by the plain client where names are too odd for the fast one."""
    for bulk in (True, False):
        source = open_end(source_url, options.source, options, bulk)
        target = open_end(target_url, options.target, options, bulk)
        try:
            return source, target, _plan(source, target, options)
        except ValueError:  # UnusableNames
            if not bulk:
                raise
    raise AssertionError


def _plan(source: End, target: End, options: Options) -> _Plan:
    single = None if source.url.endswith("/") else source.one()
    if single is not None:
        name = source.url.rpartition("/")[2] if target.url.endswith("/") else ""
        return _Plan([(single, name)], target.stat([name], False), [])
    found = source.entries()
    if not found and not source.exists():
        if source.url.endswith("/") and source.one() is not None:
            raise NotInStore(f"{source.url} is not a prefix.", fix="Leave out the / at the end.")
        raise NotInStore(f"{source.url} does not exist.", fix="Check the name.")
    wanted = Wanted(options.include, options.exclude)
    chosen = [entry for entry in found if wanted(entry.name)]
    names = [entry.name for entry in chosen]
    check_names(names, source.url)
    folders = [] if options.include or options.exclude else source.folders()
    theirs = target.stat(names, options.delete)
    return _Plan([(entry, entry.name) for entry in chosen], theirs, ["", *folders])


def _delete(source: End, target: End, plan: _Plan, options: Options) -> int:
    """Remove what the source has not; what the patterns leave out stays."""
    wanted = Wanted(options.include, options.exclude)
    kept = {name for _, name in plan.jobs}
    extra = [name for name in plan.theirs if name not in kept and wanted(name)]
    if (plan.jobs and plan.jobs[0][0].name == "") or not extra:
        return 0
    target.remove(extra)
    return len(extra)


class _Run:
    """The workers of one copy."""

    def __init__(self, source: End, target: End, options: Options, meter: Meter) -> None:
        self._source = source
        self._target = target
        self._options = options
        self._meter = meter
        self._inside = _inside(source, target, options)

    def all(self, plan: _Plan) -> None:
        both_near = self._source.near and self._target.near
        count = 4 if both_near else self._options.workers * _SMALL_PER_WORKER
        large = []
        with (
            ThreadPoolExecutor(count, thread_name_prefix="stix-copy") as small_pool,
            ThreadPoolExecutor(_LARGE_AT_ONCE, thread_name_prefix="stix-large") as large_pool,
        ):
            futures: list[Future[None]] = []
            for entry, name in plan.jobs:
                theirs = plan.theirs.get(name)
                if theirs is not None and self._there(entry, theirs):
                    self._meter.skip(entry.size)
                elif entry.size > PIECE and self._inside is None:
                    large.append((entry, name))
                else:
                    futures.append(small_pool.submit(self._small, entry, name))
            workers = Large(self._source, self._target, self._options, self._meter)
            with workers:
                futures += [large_pool.submit(workers.copy, *one) for one in large]
                _finish(futures, workers.stop)

    def _there(self, entry: Entry, theirs: Entry) -> bool:
        if self._options.compare == "checksum":
            return same_content(self._source, entry, self._target, theirs)
        return there_already(entry, theirs, self._target.near)

    def _small(self, entry: Entry, name: str) -> None:
        if self._inside is not None and self._inside(entry, name):
            self._meter.read(entry.size)
            self._meter.file()
            return
        if entry.size > PIECE:  # the store does not copy this one
            with Large(self._source, self._target, self._options, self._meter) as workers:
                workers.copy(entry, name)
            return
        self._meter.take(entry.size)
        kept = []

        def read() -> object:
            data = self._source.read(entry, 0, entry.size)
            kept.append(data)
            return data

        new = self._target.put(name, entry, read, self._source.at(""))  # type: ignore[arg-type]
        if self._options.verify and kept:
            verify(self._target, name, kept)
        self._meter.read(new)
        self._meter.file()


def _inside(source: End, target: End, options: Options) -> Callable[[Entry, str], bool] | None:
    """How the store copies by itself, where both ends are the same one."""
    store = source.store
    if (
        source.near
        or not isinstance(store, CanCopyInside)
        or store.scheme != target.store.scheme
        or dict(options.source) != dict(options.target)
    ):
        return None
    copier = store

    def one(entry: Entry, name: str) -> bool:
        return copier.copy(source.at(entry.name), target.at(name))

    return one


def _finish(futures: Sequence[Future[None]], stop: Callable[[], None]) -> None:
    """Wait for all; at the first failure drop what has not begun, and raise it."""
    try:
        done, _ = wait(futures, return_when=FIRST_EXCEPTION)
        for future in done:
            future.result()
    except BaseException:
        stop()
        for future in futures:
            future.cancel()
        raise
