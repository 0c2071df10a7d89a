"""Calls to the engine, typed: images, networks, containers, and their ends."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from stix.clouds.config import HOME_TAG, TOKEN_TAG
from stix.clouds.docker import spec
from stix.clouds.docker.refusals import refused
from stix.clouds.docker.settings import DockerSettings
from stix.clouds.errors import CloudError, InvalidRequest, TransientError
from stix.remote.base import RemoteError
from stix.remote.container import ApiError, ContainerApi

READY_SECONDS = 60.0
PULL_SECONDS = 1800.0
REMOVE_TRIES = 100
REMOVE_PAUSE = 0.1


class Engine:
    """One engine. Errors are those of a cloud; ``api`` is for runners."""

    def __init__(self, name: str, socket: str) -> None:
        self.api = ContainerApi(socket)
        self._name = name

    async def call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
    ) -> Any:
        try:
            return await self.api.call(method, path, params=params, body=body)
        except RemoteError as error:
            raise refused(error, self._name) from error

    async def close(self) -> None:
        await self.api.close()

    async def containers(self, home: str | None, token: str = "") -> list[dict[str, Any]]:
        """Entries of containers in every state: of one home, or all nodes of anybody."""
        labels = [f"{HOME_TAG}={home}"] if home is not None else [spec.META]
        labels += [f"{TOKEN_TAG}={token}"] if token else []
        params = {"all": "true", "filters": {"label": labels}}
        found: list[dict[str, Any]] = await self.call("GET", "/containers/json", params=params)
        # podman lists what is just being removed without a state.
        return [c for c in found or [] if c.get("State")]

    async def labelled(self, kind: str, home: str) -> list[dict[str, Any]]:
        """Volumes or networks of one home."""
        params = {"filters": {"label": [f"{HOME_TAG}={home}"]}}
        found = await self.call("GET", f"/{kind}", params=params)
        return [*((found.get("Volumes") if kind == "volumes" else found) or [])]

    async def ensure_image(self, image: str, *, pull: bool) -> None:
        """Have the image here; pull it where that is allowed."""
        try:
            await self.api.call("GET", f"/images/{quote(image, safe='/:@')}/json")
        except ApiError as error:
            if error.status != 404 or not pull:
                raise refused(error, self._name) from error
        except RemoteError as error:
            raise refused(error, self._name) from error
        else:
            return
        await self._pull(image)

    async def _pull(self, image: str) -> None:
        name, _, tag = image.rpartition(":") if ":" in image.rpartition("/")[2] else (image, "", "")
        params = {"fromImage": name, "tag": tag} if "@" not in image else {"fromImage": image}
        params.update({} if "@" in image or tag else {"tag": "latest"})
        last = b"{}"
        try:
            async with self.api.stream(
                "POST", "/images/create", params=params, seconds=PULL_SECONDS
            ) as answer:
                async for line in answer.aiter_lines():
                    last = line.encode() or last
        except RemoteError as error:
            raise refused(error, self._name) from error
        said = json.loads(last)  # failures come as the last line of an answer 200
        if "error" in said:
            raise refused(ApiError(500, str(said["error"])), self._name)

    async def ensure_network(self, home: str) -> str:
        """A network of our own, on which nodes reach each other."""
        name = spec.network_name(home)
        if any(n["Name"] == name for n in await self.labelled("networks", home)):
            return name
        body = {
            "Name": name,
            "CheckDuplicate": True,
            "Driver": "bridge",
            "Labels": {HOME_TAG: home},
        }
        try:
            await self.api.call("POST", "/networks/create", body=body)
        except ApiError as error:
            if error.status != 409 and "already exists" not in error.message:
                failure = refused(error, self._name)
                failure.fix = failure.fix or f"set `{self._name}.network: host` in config.yaml"
                raise failure from error
        except RemoteError as error:
            raise refused(error, self._name) from error
        return name

    async def make(self, plan: spec.Plan, settings: DockerSettings) -> str:
        """A container that is not started; its id."""
        body = spec.container(plan, settings)
        made = await self.call("POST", "/containers/create", params={"name": plan.name}, body=body)
        return str(made["Id"])

    async def start(self, container: str, image: str, content: bytes) -> None:
        """Fill its volume, start it, and wait until its agent answers."""
        await self.call(
            "PUT",
            f"/containers/{container}/archive",
            params={"path": spec.VOLUME},
            body=content,
        )
        await self.call("POST", f"/containers/{container}/start")
        try:
            async with asyncio.timeout(READY_SECONDS):
                said = await self._first_words(container)
        except TimeoutError as error:
            raise TransientError(f"{self._name}: the agent does not start in time") from error
        except RemoteError as error:
            raise refused(error, self._name) from error
        if not said.startswith("ready "):
            raise await self._stillborn(container, image, said)

    async def _first_words(self, container: str) -> str:
        """The line ``ready``, or all that the container said before its end."""
        params = {"follow": "true", "stdout": "true", "stderr": "true"}
        said, waiting = "", b""
        path = f"/containers/{container}/logs"
        async with self.api.stream("GET", path, params=params, seconds=READY_SECONDS) as answer:
            async for data in answer.aiter_raw():
                waiting += data
                while len(waiting) >= 8 and len(waiting) >= 8 + _size(waiting):
                    end = 8 + _size(waiting)
                    said += waiting[8:end].decode(errors="replace")
                    waiting = waiting[end:]
                for line in said.splitlines():
                    if line.startswith("ready "):
                        return line
        return said

    async def _stillborn(self, container: str, image: str, said: str) -> CloudError:
        state = (await self.call("GET", f"/containers/{container}/json"))["State"]
        if state["ExitCode"] == spec.NO_PYTHON:
            return InvalidRequest(
                f"{self._name}: the image {image} has no Python 3.8 or newer",
                fix="add python3 to the image, or name another image",
            )
        if state.get("OOMKilled"):
            return InvalidRequest(
                f"{self._name}: the memory of the node does not suffice for the agent",
                fix="ask for more memory",
            )
        words = said.strip().splitlines()[-1:] or [f"exit code {state['ExitCode']}"]
        return CloudError(f"{self._name}: a container of {image} did not start: {words[0]}")

    async def why(self, container: str) -> str:
        """What the engine says about the end of a container."""
        try:
            state = (await self.api.call("GET", f"/containers/{container}/json"))["State"]
        except RemoteError:
            return ""
        words = [str(state.get("Error") or f"exit code {state.get('ExitCode')}")]
        return ", ".join([*(["out of memory"] if state.get("OOMKilled") else []), *words])

    async def remove_container(self, container: str) -> None:
        """Remove it with every process, and wait until it is gone. Silent on a missing one."""
        params = {"force": "true", "v": "true"}
        for turn in range(REMOVE_TRIES):
            try:
                await self.api.call("DELETE", f"/containers/{container}", params=params)
            except ApiError as error:
                if error.status == 404:
                    return
                if error.status != 409 and "already in progress" not in error.message:
                    raise refused(error, self._name) from error
            except RemoteError as error:
                raise refused(error, self._name) from error
            await asyncio.sleep(REMOVE_PAUSE if turn else 0)
        raise TransientError(f"{self._name}: container {container[:12]} is not removed in time")

    async def remove(self, path: str) -> None:
        """Remove a volume or a network. Silent on a missing one."""
        for turn in range(REMOVE_TRIES):
            try:
                await self.api.call("DELETE", path)
            except ApiError as error:
                if error.status == 404:
                    return
                # The engine lets go of a volume a moment after its container.
                if error.status != 409 or turn >= 10:
                    raise refused(error, self._name) from error
                await asyncio.sleep(REMOVE_PAUSE)
            except RemoteError as error:
                raise refused(error, self._name) from error
            else:
                return


def _size(frame: bytes) -> int:
    return int(struct.unpack(">L", frame[4:8])[0])
