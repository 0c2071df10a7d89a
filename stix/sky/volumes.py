"""``sky.volumes``: volumes, which outlive nodes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from stix.sky.arguments import like, lookup
from stix.sky.requests import Request
from stix.spec.messages import explain
from stix.spec.problems import SpecErrors
from stix.spec.volumefile import VolumeFile

NOT_YET = {"validate": "volumes"}


class Volume(VolumeFile):
    """A volume that is to be, with SkyPilot's keys."""

    @classmethod
    def from_yaml_config(cls, config: Mapping[str, Any]) -> Volume:
        """The volume that the map of a file describes.

        Raises:
            SpecErrors: it describes none; holds every problem.
        """
        given = dict(config)
        try:
            return cls.model_validate(given)
        except ValidationError as refusal:
            raise SpecErrors(explain(refusal, given, VolumeFile, ())) from None


@like("volume")
def apply(asked: Any) -> Request:
    """Have a volume; its result is what the server says of it."""
    made = _client().apply_volume(asked.volume.model_dump(exclude_unset=True))
    return Request.done(made, said=f"volume {made['name']} is {made['state']}\n")


@like("refresh=False")
def ls(asked: Any) -> Request:
    """All volumes, as maps; ``refresh`` asks the clouds whether they have them."""
    return Request.done(_client().volumes(refresh=bool(asked.refresh)))


@like("names, purge=False")
def delete(asked: Any) -> Request:
    """Delete volumes with what they hold; ``purge`` forgets them even where their cloud fails."""
    client = _client()
    for name in asked.names:
        client.delete_volume(name, purge=bool(asked.purge))
    return Request.done(None)


def _client() -> Any:
    from stix.client.local import ensure_server

    return ensure_server()


def __getattr__(name: str) -> Any:
    return lookup("sky.volumes", {}, NOT_YET, name)
