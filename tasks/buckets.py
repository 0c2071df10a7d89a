"""Buckets that stages name: made where they are missing, filled, and removed after the run.

The ledger is told before a bucket is made, so that an engine that takes over, or the sweeper, finds
it however this process ends.
"""

from __future__ import annotations

import asyncio
import logging
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from prefect.logging import get_run_logger

from stix.engine.runtime import Attempt, RunContext
from stix.errors import StixError
from stix.ledger import BucketRow, Ledger
from stix.ledger.buckets import DELETING, MAKING, READY
from stix.recovery.events import SetupFailed
from stix.spec.buckets import SCHEMES, STORE, bucket_url, mount_url
from stix.spec.stage import StageSpec
from stix.spec.storage import DISK, StorageMount, is_url
from stix.storage.base import CanManageBuckets, HasLocation, NotInStore, StorageError
from stix.storage.registry import open_store
from stix.storage.transfer import Options, copy
from stix.tasks.failures import StepFailed

log = logging.getLogger("stix.engine")

CLOUDS = {"S3": "aws", "GCS": "gcp", "COREWEAVE": "coreweave"}
"""Stores whose buckets are made in a chosen region, with the cloud that has the same regions."""
LABELS = {"S3": {"managed-by": "stix"}, "GCS": {"managed-by": "stix"}}
"""Of new buckets, where the store has labels for them."""
END_S = 60.0
"""How long the end of a run waits for the removal of its buckets; then the sweeper goes on."""
GONE_S = 120.0
PAUSE_S = 1.0


@dataclass(frozen=True)
class Fill:
    """A local source of a bucket: what was uploaded with the run, and where it lies there."""

    place: str
    digest: str


def with_store(specs: Mapping[str, StageSpec], store: str) -> dict[str, StageSpec]:
    """The stages with the server's own store for buckets that name none.

    Raises:
        StixError: There is no such store, or it makes no buckets.
    """
    if store and (store not in SCHEMES or store == "HF"):
        raise StixError(
            f"buckets.store of config.yaml is no store of buckets: {store}",
            fix=f"write one of {', '.join(word for word in SCHEMES if word != 'HF')}",
        )
    return {name: _with_store(spec, store or STORE) for name, spec in specs.items()}


def _with_store(spec: StageSpec, store: str) -> StageSpec:
    mounts = {
        target: mount.model_copy(update={"store": store})
        if by_name(mount) and mount.store is None
        else mount
        for target, mount in spec.file_mounts.items()
    }
    return spec.model_copy(update={"file_mounts": mounts}) if mounts else spec


def _is_address(mount: StorageMount) -> bool:
    return isinstance(mount.source, str) and is_url(mount.source)


def by_name(mount: StorageMount) -> bool:
    """Whether an entry means a bucket by its name, which is ours to make."""
    return bool(mount.name) and mount.store != DISK and not _is_address(mount)


def copied_url(mount: StorageMount) -> str:
    """What an entry of mode ``COPY`` copies to the node; empty where it is a local source."""
    return mount_url(mount) if by_name(mount) or _is_address(mount) else ""


def root_of(mount: StorageMount) -> str:
    """The URL of the bucket that an entry names."""
    return bucket_url(mount.store or STORE, str(mount.name))


async def ready_buckets(attempt: Attempt) -> None:
    """See that the buckets are there which the stage names, with what the run puts into them.

    Raises:
        StepFailed: One cannot be made or filled.
    """
    for mount in filter(by_name, attempt.spec.file_mounts.values()):
        url = root_of(mount)
        # Stages run side by side, and many may name one bucket.
        async with attempt.run.bucket_locks[url]:
            try:
                await _ready(attempt, mount, url)
            except (StorageError, OSError) as error:
                said = f"the bucket {url}: {error}"
                raise StepFailed(SetupFailed(exit_code=1, detail=said), said) from error


async def _ready(attempt: Attempt, mount: StorageMount, url: str) -> None:
    ledger, fence = attempt.run.runtime.ledger, attempt.run.fence
    await ledger.use_bucket(fence, url, persistent=mount.persistent)
    await _awaited(ledger, url)
    there = await asyncio.to_thread(_region_of, url)
    region = _wanted_region(attempt, mount) if there is None else there
    await ledger.add_bucket(fence, url, region, made=there is None)
    (row,) = await ledger.buckets(url)
    if there is None and row.state == READY:
        await ledger.remake_bucket(fence, url)
    if there is None or row.state == MAKING:
        attempt.run.runtime.guard.check()
        await asyncio.to_thread(_make, url, row.region, str(mount.store))
        await ledger.bucket_ready(fence, url)
        get_run_logger().info("%s is made%s", url, f" in {row.region}" if row.region else "")
    await _fill(attempt, mount, url)


async def _awaited(ledger: Ledger, url: str) -> None:
    """Let the removal of the bucket end that was before us, for an earlier run."""
    for _ in range(int(GONE_S / PAUSE_S)):
        rows = await ledger.buckets(url)
        if not rows or rows[0].state != DELETING:
            return
        await asyncio.sleep(PAUSE_S)
    await ledger.spare_bucket(url)  # whoever was at it is gone


def _wanted_region(attempt: Attempt, mount: StorageMount) -> str:
    """Where the stage runs, if the store has buckets there; else as the settings say."""
    offer, cloud = attempt.choice.offer, CLOUDS.get(mount.store or STORE)
    if cloud is None:
        return ""
    return offer.region if offer.cloud == cloud else attempt.run.runtime.config.bucket_region


def _region_of(url: str) -> str | None:
    """Where a bucket lies, as far as its store tells; None where it is not there."""
    store = open_store(url)
    if not isinstance(store, HasLocation):
        raise StorageError("Its store has no buckets to be made.", fix="Choose another store.")
    try:
        return store.location(url).region
    except NotInStore:
        return None


def _make(url: str, region: str, word: str) -> None:
    _manager(url).create_bucket(_name_of(url), region, LABELS.get(word, {}))


def _manager(url: str) -> CanManageBuckets:
    store = open_store(url)
    if not isinstance(store, CanManageBuckets):
        raise StorageError("Its store has no buckets to be made.", fix="Choose another store.")
    return store


def _name_of(url: str) -> str:
    return url.rpartition("/")[2]


def fills(mount: StorageMount, uploads: Mapping[str, str]) -> Iterator[Fill]:
    """What of the submitting machine goes where: a folder's content to the prefix itself, each of
    several sources below it under its own name."""
    top = (mount.bucket_sub_path or "").strip("/")
    if isinstance(mount.source, str):
        yield Fill(top, uploads[mount.source])
        return
    for source in mount.source or []:
        name = Path(source).expanduser().absolute().name
        yield Fill(f"{top}/{name}" if top else name, uploads[source])


async def _fill(attempt: Attempt, mount: StorageMount, url: str) -> None:
    ledger, run = attempt.run.runtime.ledger, attempt.run
    done = await ledger.bucket_content(run.run_id, url)
    for fill in fills(mount, run.uploads):
        if done.get(fill.place) == fill.digest:
            continue
        run.runtime.guard.check()
        target = f"{url}/{fill.place}" if fill.place else url
        files, new = await asyncio.to_thread(_copy, attempt, fill.digest, target)
        await ledger.bucket_filled(run.fence, url, fill.place, fill.digest)
        get_run_logger().info("%s: %d files, %d bytes of them sent", target, files, new)


def _copy(attempt: Attempt, digest: str, target: str) -> tuple[int, int]:
    """Files that are there now, and bytes that were sent; what is there already is not."""
    with tempfile.TemporaryDirectory(prefix="stix-bucket-") as folder:
        place = Path(folder) / "content"
        attempt.store.get(digest, place)
        if place.is_dir() and not any(place.iterdir()):
            return 0, 0
        # Their times are of this moment: only the content tells what is there already.
        report = copy(place.as_uri(), target, Options(compare="checksum"))
    return report.files, report.new_bytes


async def drop_buckets(run: RunContext) -> None:
    """Remove the buckets of a run that ends and that nobody wants to keep."""
    ledger = run.runtime.ledger
    try:
        async with asyncio.timeout(END_S):
            for row in await ledger.doom_buckets(run.run_id):
                run.runtime.guard.check()
                await drop_bucket(ledger, row, run.run_id)
    except (StorageError, TimeoutError) as error:  # the run ends all the same
        log.warning("%s: a bucket is not removed yet: %s", run.run_id, error)


async def drop_bucket(ledger: Ledger, row: BucketRow, run_id: str | None = None) -> bool:
    """Remove a bucket that is ``deleting``, with its content; False where a run needs it again.

    Args:
        run_id: The run that ends.

    Raises:
        StorageError: It cannot be removed now.
    """
    if await ledger.spare_bucket(row.url, run_id):
        return False
    await asyncio.to_thread(_delete, row.url)
    await ledger.forget_bucket(row.url, run_id)
    return True


def _delete(url: str) -> None:
    _manager(url).delete_bucket(_name_of(url), force=True)
