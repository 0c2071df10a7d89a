"""Named volumes of an engine: of its local driver, which knows no size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from stix.clouds.config import HOME_TAG
from stix.clouds.docker.engine import Engine
from stix.clouds.docker.refusals import refused
from stix.clouds.docker.settings import DockerSettings
from stix.clouds.errors import CloudError, InvalidRequest, VolumeInUse
from stix.clouds.volumes import VOLUME_TAG, Attachment, Volume, VolumeKind, VolumeWish
from stix.remote.base import RemoteError
from stix.remote.container import ApiError

KIND = VolumeKind("a volume of the engine", reach="cloud", sized=False)


def kind_of(cloud: str) -> str:
    """The type of its volumes."""
    return f"{cloud}-volume"


class NamedVolumes:
    """Those of one home on one engine.

    Args:
        name: Name of the cloud; the kind is called after it.
    """

    def __init__(self, engine: Engine, name: str, home: str, settings: DockerSettings) -> None:
        self._engine, self._name, self._home = engine, name, home
        self._settings = settings

    async def create(self, wish: VolumeWish) -> Volume:
        """See ``HasVolumes``. Everybody may write into a new one, whatever user the node has."""
        name = wish.id_at(self._home)
        if wish.existing:
            return self._volume(await self._get(wish.existing), {})
        body = {"Name": name, "Labels": wish.tags(self._home)}
        made = await self._engine.call("POST", "/volumes/create", body=body)
        if (made.get("Labels") or {}).get(VOLUME_TAG) != wish.name:
            raise InvalidRequest(f"{self._name}: {name} is somebody else's", fix="rename it")
        await self._open_to_all(name)
        return self._volume(made, {})

    async def all(self) -> list[Volume]:
        users: dict[str, list[str]] = {}
        for container in await self._engine.containers(None):
            for mount in container.get("Mounts") or ():
                name = mount["Name"] if isinstance(mount, Mapping) and "Name" in mount else ""
                users.setdefault(name, []).append(container["Id"][:12])
        found = await self._engine.labelled("volumes", self._home)
        return [self._volume(each, users) for each in found if VOLUME_TAG in (each["Labels"] or {})]

    async def delete(self, wish: VolumeWish) -> None:
        """See ``HasVolumes``."""
        if wish.existing:
            return
        name = wish.id_at(self._home)
        await self._engine.remove_container(_door(name))
        try:
            await self._engine.api.call("DELETE", f"/volumes/{name}")
        except ApiError as error:
            if error.status == 409:
                raise VolumeInUse(f"{self._name}: the volume {wish.name} is in use") from error
            if error.status != 404:
                raise refused(error, self._name) from error
        except RemoteError as error:
            raise refused(error, self._name) from error

    async def demand(self, wanted: Sequence[Attachment]) -> None:
        """Engines make what a container names and is not there: so look before.

        Raises:
            InvalidRequest: one is not there.
        """
        for each in wanted:
            await self._get(each.id)

    async def _get(self, name: str) -> dict[str, Any]:
        try:
            found: dict[str, Any] = await self._engine.api.call("GET", f"/volumes/{name}")
        except ApiError as error:
            if error.status != 404:
                raise refused(error, self._name) from error
            fix = f"see `{self._name} volume ls` and `stix volumes ls`"
            raise InvalidRequest(f"{self._name}: there is no volume {name}", fix=fix) from error
        except RemoteError as error:
            raise refused(error, self._name) from error
        return found

    async def _open_to_all(self, name: str) -> None:
        # Its root belongs to root, and an archive that is put there does not change that: a
        # container that does nothing else does.
        await self._engine.ensure_image(self._settings.image, pull=self._settings.pull)
        mount = {"Type": "volume", "Source": name, "Target": "/v"}
        body = {
            "Image": self._settings.image,
            "Entrypoint": ["sh", "-c", "chmod 777 /v"],
            "Cmd": [],
            "User": "0:0",
            "Labels": {HOME_TAG: self._home},
            "HostConfig": {"NetworkMode": "none", "CapDrop": ["ALL"], "Mounts": [mount]},
        }
        door = _door(name)
        await self._engine.remove_container(door)  # of one that died here
        try:
            await self._engine.call("POST", "/containers/create", params={"name": door}, body=body)
            await self._engine.call("POST", f"/containers/{door}/start")
            ended = await self._engine.call("POST", f"/containers/{door}/wait")
        finally:
            with suppress(CloudError):
                await self._engine.remove_container(door)
        if ended["StatusCode"]:
            raise CloudError(f"{self._name}: the volume {name} cannot be opened to its nodes")

    def _volume(self, found: Mapping[str, Any], users: Mapping[str, Sequence[str]]) -> Volume:
        name = found["Name"]
        called = (found.get("Labels") or {}).get(VOLUME_TAG, "")
        held = tuple(users.get(name, ()))
        return Volume(self._name, kind_of(self._name), name, called, used_by=held)


def _door(name: str) -> str:
    return f"{name}-door"


def mounts(wanted: Sequence[Attachment], home: str) -> list[dict[str, Any]]:
    """The entries of ``HostConfig.Mounts``."""
    return [
        {
            "Type": "volume",
            "Source": each.id,
            "Target": each.at(home),
            "VolumeOptions": {"NoCopy": True},
        }
        for each in wanted
    ]
