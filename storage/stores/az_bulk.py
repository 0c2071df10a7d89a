"""Large blobs and many blobs: blocks by Azure's own client, everything else by obstore."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, cast

from stix.storage.base import Part
from stix.storage.stores.common import split

if TYPE_CHECKING:
    from stix.storage.stores.az import AzOptions


class AzBulk:
    """`HasBulk` and `HasParts` for Azure.

    An upload is the uncommitted blocks whose names begin with it; the service keeps them a week.
    """

    _options: AzOptions

    if TYPE_CHECKING:

        def path(self, url: str) -> str: ...

        def errors(self, url: str) -> AbstractContextManager[None]: ...

        def _blob(self, url: str) -> Any: ...

    def bulk(self, url: str) -> tuple[Any, str] | None:
        o = self._options
        if o.connection_string or not o.account or not (o.account_key or o.sas_token or o.anon):
            return None  # by a login, which Azure's own client knows best
        from obstore.store import AzureStore as Client

        container, key = split(self.path(url))
        config: dict[str, Any] = {"account_name": o.account}
        if o.account_key:
            config["account_key"] = o.account_key
        elif o.sas_token:
            config["sas_key"] = o.sas_token
        else:
            config["skip_signature"] = True
        if o.endpoint_url:
            config["endpoint"] = o.endpoint_url
        client = Client(
            container,
            config=cast("Any", config),
            client_options={
                "allow_http": bool(o.endpoint_url and o.endpoint_url.startswith("http://")),
                "connect_timeout": "10s",
                "timeout": "300s",
                "read_timeout": "60s",
            },
            retry_config={"max_retries": 4},
        )
        return client, key

    def begin_parts(self, url: str, identity: str) -> str:
        return identity[:24]

    def list_parts(self, url: str, upload: str) -> Mapping[int, Part]:
        from azure.core.exceptions import ResourceNotFoundError

        with self.errors(url):
            try:
                _, waiting = self._blob(url).get_block_list("uncommitted")
            except ResourceNotFoundError:
                return {}  # no block and no blob yet
        found = {}
        for block in waiting:
            name = _name(block.id)
            if name.startswith(upload):
                found[int(name[len(upload) :])] = Part(block.size, name)
        return found

    def put_part(self, url: str, upload: str, number: int, data: bytes) -> Part:
        name = f"{upload}{number:08}"
        with self.errors(url):
            self._blob(url).stage_block(name, data, length=len(data), validate_content=True)
        return Part(len(data), name)

    def finish_parts(self, url: str, upload: str, parts: Sequence[Part]) -> None:
        from azure.storage.blob import BlobBlock

        with self.errors(url):
            self._blob(url).commit_block_list([BlobBlock(part.tag) for part in parts])

    def abort_parts(self, url: str, upload: str) -> None:
        """The next commit, or the service after a week, drops what is not in it."""


def _name(told: str) -> str:
    """A block's name, which some versions of the client give as the service has it."""
    try:
        return base64.b64decode(told, validate=True).decode()
    except ValueError:
        return told
