"""Instances of moto become hosts: each has its private address, and lets in whom its user data
names. They start, stop and end as the instances do."""

from __future__ import annotations

import base64
import threading
from typing import Any

import yaml

from tests.support.aws.plugs import Plugs
from tests.support.hosts import HostFarm, HostsUnavailable, Image, SshHost

LOOK_SECONDS = 1.0
LOGIN = "ubuntu"


class Machines:
    """Follows one region of moto until it is closed.

    Args:
        farm: Makes the hosts. Theirs is the network of the subnets.
        client: An EC2 client of moto itself, without the proxy.
        image: What hosts are like.
    """

    def __init__(self, farm: HostFarm, client: Any, image: Image | None = None) -> None:
        self._farm = farm
        self._client = client
        self._image = image or Image()
        self._hosts: dict[str, SshHost] = {}
        self.plugs = Plugs()
        self._wake = threading.Event()
        self._quit = False
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._follow)
        self._thread.start()

    def look(self) -> None:
        """Something may have changed."""
        self._wake.set()

    def host(self, instance: str) -> SshHost | None:
        return self._hosts.get(instance)

    def running(self) -> list[str]:
        """Instances whose hosts have processes."""
        return [key for key, host in list(self._hosts.items()) if host.process is not None]

    def close(self) -> None:
        self._quit = True
        self.look()
        self._thread.join()
        for key in list(self._hosts):
            self._farm.rm(self._hosts.pop(key))
        self.plugs.close()

    def _follow(self) -> None:
        try:
            while not self._quit:
                self._wake.clear()
                self._once()
                self._wake.wait(LOOK_SECONDS)
        except (HostsUnavailable, OSError, KeyError, ValueError) as error:
            self.error = error

    def _once(self) -> None:
        pages = self._client.get_paginator("describe_instances").paginate()
        for page in pages:
            for reservation in page["Reservations"]:
                for instance in reservation["Instances"]:
                    self._follow_one(instance["InstanceId"], instance)

    def _follow_one(self, key: str, instance: dict[str, Any]) -> None:
        state, host = instance["State"]["Name"], self._hosts.get(key)
        if state in ("pending", "running"):
            if host is None:
                self._hosts[key] = self._begin(key, instance["PrivateIpAddress"])
            elif host.process is None:
                self._farm.boot(host)
            for mapping in instance.get("BlockDeviceMappings", [])[1:]:
                self.plugs.plug(mapping["Ebs"]["VolumeId"])
        elif host is not None and state == "stopped" and host.process is not None:
            self._farm.down(host)
        elif host is not None and state in ("shutting-down", "terminated"):
            self._farm.rm(self._hosts.pop(key))

    def _begin(self, key: str, address: str) -> SshHost:
        network, _, number = address.rpartition(".")
        if network != self._farm.network:
            raise HostsUnavailable(f"{key} is at {address}, outside of {self._farm.network}.0/24")
        answer = self._client.describe_instance_attribute(InstanceId=key, Attribute="userData")
        user, keys = _logins(base64.b64decode(answer["UserData"].get("Value", "")).decode())
        image = Image(
            path=self._image.path,
            shown=self._image.shown,
            disk=self._image.disk,
            sshd=self._image.sshd,
            user=user,
            authorized=keys or ("# nobody",),
            keeps=True,
        )
        return self._farm.begin(image, int(number))


def _logins(text: str) -> tuple[str, tuple[str, ...]]:
    """What cloud-init makes of user data: the user besides root, and the keys."""
    if not text.startswith("#cloud-config"):
        return LOGIN, ()
    data = yaml.safe_load(text)
    keys = list(data.get("ssh_authorized_keys", []))
    names = [LOGIN]
    for user in data.get("users", []):
        if isinstance(user, dict):
            names.append(user["name"])
            keys += user.get("ssh_authorized_keys", [])
    return names[-1], tuple(dict.fromkeys(keys))
