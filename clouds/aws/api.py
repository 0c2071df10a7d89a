"""boto3 in threads."""

from __future__ import annotations

import asyncio
import functools
import os
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from stix.clouds.aws.errors import typed
from stix.clouds.settings import Setting

T = TypeVar("T")
THREADS = 16
CONNECT_S = 10.0
FIRST_REGION = "us-east-1"

SETTINGS = (
    Setting("regions", "texts", default=(), doc="regions to use; all that the account has"),
    Setting("profile", doc="of ~/.aws/config"),
    Setting("endpoint_url", doc="in place of those of AWS"),
    Setting("timeout", "number", default=60.0, least=0.01, doc="seconds without an answer"),
    Setting("vpc", "any", doc="id of a VPC, or a map from regions to ids; else the default one"),
    Setting("use_internal_ips", "flag", default=False, doc="log in at private addresses"),
    Setting("image", default="", doc="an AMI, or an SSM parameter that names one"),
    Setting("user", default="", doc="whom to log in as"),
    Setting("ssh_from", default="0.0.0.0/0", doc="addresses that may log in, such as 10.0.0.0/8"),
    Setting("disk_gib", "count", default=64, least=1, doc="GiB of a boot disk"),
    Setting("instance_profile", default="", doc="an IAM role that machines have"),
    Setting("placement_groups", "flag", default=True, doc="put gangs with EFA side by side"),
)


class Session:
    """The clients of one adapter.

    Args:
        settings: Values of ``SETTINGS``. Without ``endpoint_url`` botocore heeds
            ``AWS_ENDPOINT_URL_EC2`` and its kin.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = settings
        self._clients: dict[tuple[str, str], Any] = {}
        self._turn = threading.Lock()
        self._session: Any = None
        self._pool: ThreadPoolExecutor | None = None
        self._regions: frozenset[str] = frozenset()

    def client(self, service: str, region: str) -> Any:
        """A client; for use in a thread of ``do``."""
        with self._turn:
            if (service, region) not in self._clients:
                self._clients[service, region] = self._made(service, region)
            return self._clients[service, region]

    def pages(self, service: str, region: str, call: str, key: str, **asked: Any) -> list[Any]:
        """All items of a listing; for use in a thread of ``do``."""
        pages = self.client(service, region).get_paginator(call).paginate(**asked)
        return [item for page in pages for item in page[key]]

    def regions(self) -> frozenset[str]:
        """The regions that are enabled in the account; for use in a thread of ``do``."""
        if not self._regions:
            found = self.client("ec2", self.first_region).describe_regions()["Regions"]
            usable = [r for r in found if r.get("OptInStatus") != "not-opted-in"]
            self._regions = frozenset(region["RegionName"] for region in usable)
        return self._regions

    async def do(self, act: Callable[[], T]) -> T:
        """Do blocking calls in a thread, with errors in our words.

        Raises:
            CloudError: as ``errors.ERRORS`` says.
        """
        if self._pool is None:
            self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="stix-aws")
        return await asyncio.get_running_loop().run_in_executor(self._pool, lambda: typed(act))

    async def close(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False)
        with self._turn:
            clients, self._clients = list(self._clients.values()), {}
        for client in clients:
            client.close()

    @property
    def first_region(self) -> str:
        """Where to ask what is the same everywhere."""
        regions = self._settings["regions"]
        return str(next(iter(regions), os.environ.get("AWS_DEFAULT_REGION") or FIRST_REGION))

    def _made(self, service: str, region: str) -> Any:
        import boto3
        from botocore.config import Config
        from botocore.session import Session as Core

        if self._session is None:
            core = Core(profile=self._settings["profile"])
            core.register_component("data_loader", _models())
            self._session = boto3.Session(botocore_session=core)
        # One attempt: whoever calls the adapter decides what to repeat.
        config = Config(
            retries={"total_max_attempts": 1, "mode": "standard"},
            connect_timeout=min(CONNECT_S, self._settings["timeout"]),
            read_timeout=self._settings["timeout"],
            max_pool_connections=THREADS,
        )
        endpoint = self._settings["endpoint_url"]
        return self._session.client(
            service, region_name=region, endpoint_url=endpoint, config=config
        )


@functools.cache
def _models() -> Any:
    """The descriptions of services: those of EC2 take 0.2 s to read, once per process."""
    from botocore.loaders import create_loader

    return create_loader(os.environ.get("AWS_DATA_PATH"))


def credentials(profile: str | None) -> str:
    """Where botocore would find credentials, in its order; without the metadata service."""
    if profile:
        return f"the profile {profile} (aws.profile)"
    names = (
        "AWS_ACCESS_KEY_ID",
        "AWS_PROFILE",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    )
    for name in names:
        if os.environ.get(name):
            return f"${name}"
    files = (("AWS_SHARED_CREDENTIALS_FILE", "credentials"), ("AWS_CONFIG_FILE", "config"))
    for name, usual in files:
        path = Path(os.environ.get(name) or f"~/.aws/{usual}")
        if path.expanduser().is_file():
            return str(path)
    return ""
