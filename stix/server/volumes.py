"""Volumes of a home: made, deleted, and checked against what stages ask of them.

A volume is in the ledger before it is asked for, and until it is gone: no crash leaves one behind
that nobody knows.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, cast

from stix.clouds import registry
from stix.clouds.base import HasVolumes
from stix.clouds.errors import CloudError, InvalidRequest, UnsupportedFeature, VolumeInUse
from stix.clouds.volumes import VolumeKind
from stix.engine.volumes import wish_of
from stix.errors import StixError
from stix.ledger import NewVolume, NotFound, VolumeRow
from stix.server.context import Context
from stix.spec.problems import Path, Problem, SpecErrors, choose, error
from stix.spec.volumefile import VolumeFile
from stix.spec.words import places

NOT_MADE = (InvalidRequest, UnsupportedFeature)
"""Errors after which certainly nothing was made."""
_HOST = "write the folder's own path in run: stages on hosts of your own see it as it is"


@dataclass(frozen=True)
class Known:
    """A type of volumes, and the cloud that has it."""

    cloud: str
    kind: VolumeKind


@lru_cache(maxsize=1)
def known_kinds() -> Mapping[str, Known]:
    """Type to its cloud, of all adapters that are installed."""
    found = {}
    for name in registry.names():
        try:
            adapter = registry.load(name)
        except CloudError:
            continue  # a library of it is missing
        if isinstance(adapter, type) and issubclass(adapter, HasVolumes):
            for word, kind in cast(Any, adapter).volume_kinds().items():
                found[word] = Known(name, kind)
    return found


class VolumeBook:
    """The volumes of one home."""

    def __init__(self, context: Context) -> None:
        self._context, self._ledger = context, context.ledger

    async def apply(self, file: VolumeFile) -> VolumeRow:
        """Have a volume as the file says. Again is as good as once.

        Raises:
            SpecErrors: the file asks for what cannot be, or for another volume of a known name.
            CloudError: the provider refuses, or did not answer: the next try goes on.
        """
        wanted = await self._wanted(file)
        cloud = self._cloud(wanted.cloud)
        there, new = await self._ledger.add_volume(wanted)
        if there.state == "deleting":
            again = f"run `stix volumes delete {file.name}` again before"
            raise SpecErrors([error(("name",), f"the volume {file.name} is being deleted", again)])
        if changed := _changes(there, wanted):
            raise SpecErrors(changed)
        try:
            made = await cloud.create_volume(wish_of(there))
        except CloudError as refusal:
            if new and isinstance(refusal, NOT_MADE):
                await self._ledger.forget_volume(file.name, "creating")
            else:
                await self._ledger.volume_stuck(file.name, refusal.message)
            raise
        await self._ledger.volume_made(file.name, made.id, made.zone, made.size_gib)
        return await self.row(file.name)

    async def row(self, name: str) -> VolumeRow:
        """One volume.

        Raises:
            NotFound: there is none of this name.
        """
        if found := await self._ledger.volumes([name]):
            return found[0]
        names = [row.name for row in await self._ledger.volumes()]
        raise NotFound(f"there is no volume {name!r}", fix=choose(name, names))

    async def delete(self, name: str, *, purge: bool = False) -> None:
        """Remove a volume with what it holds; one that others made is only forgotten.

        Args:
            purge: Forget it even where its cloud does not say that it is gone.

        Raises:
            NotFound: there is none of this name.
            VolumeInUse: something uses it.
        """
        row = await self.row(name)
        _demand_unused(row)
        await self._ledger.doom_volume(name)
        try:
            _demand_unused(await self.row(name))  # who came between the two sees it doomed
            await self._cloud(row.cloud).delete_volume(wish_of(row))
        except VolumeInUse:
            await self._ledger.spare_volume(name)
            raise
        except StixError as refusal:
            if not purge:
                await self._ledger.volume_stuck(name, refusal.message)
                raise
        await self._ledger.forget_volume(name, "deleting")

    async def missing(self, rows: list[VolumeRow]) -> set[str]:
        """Names of those that are ready, and that their clouds do not have."""
        gone: set[str] = set()
        own = [row for row in rows if row.state == "ready" and not row.existing]
        for cloud in {row.cloud for row in own}:
            there = {volume.id for volume in await self._cloud(cloud).volumes()}
            gone |= {row.name for row in own if row.cloud == cloud and row.id not in there}
        return gone

    def _cloud(self, name: str) -> HasVolumes:
        cloud = self._context.cloud(name)
        if not isinstance(cloud, HasVolumes):
            raise UnsupportedFeature(f"{name} has no volumes", fix="see `stix check --features`")
        return cloud

    async def _wanted(self, file: VolumeFile) -> NewVolume:
        known = _kind_of(file)
        problems = [*_sized(file, known.kind), *options_of(("config",), file.config, known.kind)]
        cloud, region, zone = places.split(file.infra)
        if cloud not in (None, known.cloud):
            said = f"a volume of type {file.type} is in {known.cloud}, and not in {cloud}"
            problems.append(error(("infra",), said, f"write infra: {known.cloud}"))
        if problems:
            raise SpecErrors(problems)
        setup = self._context.setup(known.cloud)
        if not self._context.uses(setup):
            fix = f"see `stix check {known.cloud}`"
            raise SpecErrors([error(("type",), f"{known.cloud} is not set up", fix)])
        if known.kind.reach != "cloud":
            region = await self._region(known, region)
        if known.kind.reach == "zone" and zone is None and not file.existing:
            fix = f"write infra: {known.cloud}/{region}/ZONE"
            raise SpecErrors([error(("infra",), f"{known.kind.what} lies in one zone", fix)])
        return NewVolume(
            name=file.name,
            kind=file.type,
            cloud=known.cloud,
            region=region or "-",
            zone=zone,
            size_gib=file.size,
            labels=file.labels,
            config=file.config,
            existing=file.existing,
        )

    async def _region(self, known: Known, region: str | None) -> str:
        offers = await self._context.cloud(known.cloud).offers()
        there = sorted({offer.region for offer in offers} - {"*", "-"})
        if region is None and len(there) == 1:
            return there[0]
        if region is None or (there and region not in there):
            said = f"{known.cloud} has no region {region}" if region else "the region is missing"
            close = difflib.get_close_matches(region or "", there, n=1)
            some = ", ".join(there[:12]) or "REGION"
            fix = f"write infra: {known.cloud}/{close[0]}" if close else f"use one of: {some}"
            raise SpecErrors([error(("infra",), said, fix)])
        return region


def _kind_of(file: VolumeFile) -> Known:
    kinds = known_kinds()
    if file.type in kinds:
        return kinds[file.type]
    if file.type == "k8s-hostpath":
        raise SpecErrors([error(("type",), "folders of hosts are no volumes here", _HOST)])
    said = f"there are no volumes of type {file.type!r}"
    raise SpecErrors([error(("type",), said, choose(file.type, sorted(kinds)))])


def _sized(file: VolumeFile, kind: VolumeKind) -> list[Problem]:
    if file.use_existing:
        if not kind.existing:
            fix = "remove use_existing, and let STIX make it"
            said = f"one that exists cannot be used as {kind.what}"
            return [error(("use_existing",), said, fix)]
        return []
    if not kind.sized and file.size is not None:
        return [error(("size",), f"{kind.what} has no size of its own", "remove size")]
    if kind.sized and file.size is None:
        return [error((), f"{kind.what} needs a size", f"add size: {kind.least_gib:g}")]
    if file.size is not None and file.size < kind.least_gib:
        said = f"{kind.what} has {kind.least_gib:g} GiB at least, not {file.size:g}"
        return [error(("size",), said, f"write size: {kind.least_gib:g}")]
    return []


def options_of(at: Path, config: Mapping[str, Any], kind: VolumeKind) -> Iterator[Problem]:
    """Options that do not act on volumes of a kind."""
    for key, value in config.items():
        allowed = kind.config.get(key)
        if allowed is None:
            fix = choose(key, [*kind.config]) if kind.config else "remove it"
            said = f"the option {key} does not act on {kind.what}"
            yield error((*at, key), said, fix, on_key=True)
        elif allowed and value not in allowed:
            said = f"{key} of {kind.what} cannot be {value!r}"
            yield error((*at, key), said, choose(str(value), allowed))


def _changes(there: VolumeRow, wanted: NewVolume) -> list[Problem]:
    """How another volume of the same name was wanted before."""
    old, new = replace(wish_of(there)), wish_of(wanted)
    if new.zone is None or new.existing:
        new = replace(new, zone=old.zone)
    if new.size_gib is None:
        new = replace(new, size_gib=old.size_gib)
    fields = {"kind": "type", "region": "infra", "zone": "infra", "size_gib": "size",
              "labels": "labels", "config": "config", "existing": "use_existing"}  # fmt: skip
    out = {}
    for name, field in fields.items():
        was, now = getattr(old, name), getattr(new, name)
        if was != now:
            said = f"the volume {there.name} is there with {field} {was}, and cannot change"
            fix = "write it as it was, give another name, or delete the volume before"
            out[field] = error((field,), said, fix)
    return list(out.values())


def _demand_unused(row: VolumeRow) -> None:
    if row.used_by:
        raise VolumeInUse(
            f"the volume {row.name} is in use by {', '.join(row.used_by)}",
            fix="wait until they end, or cancel their runs",
        )
