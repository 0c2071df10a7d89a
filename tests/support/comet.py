"""A third party's cloud in a folder: it has credentials, can be ill, and notes what it is asked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SECRET = "s3cr3t-of-comet"

ADAPTER = """
import os
from pathlib import Path

from stix.clouds.base import Identity, Quota
from stix.clouds.errors import AuthError, TransientError
from stix.clouds.settings import Setting, read_settings
from stix.plan.offers import Offer

SETTINGS = (Setting("region", default="eu"),)


class CometCloud:
    name = "comet"
    multi_node = False

    def __init__(self, config):
        self._settings = read_settings("comet", config.settings, SETTINGS)
        self._folder = Path(os.environ["COMET_FOLDER"])

    def credentials(self):
        return "the file key" if (self._folder / "key").is_file() else ""

    def _ask(self, call):
        if not self.credentials():
            raise AuthError("comet has no key", fix="write the file key")
        with (self._folder / "calls").open("a") as calls:
            print(call, file=calls)
        if (self._folder / "ill").exists():
            raise TransientError("503 from comet")

    async def check(self):
        self._ask("check")
        return Identity("me@comet", self._settings["region"])

    async def offers(self):
        self._ask("offers")
        return [Offer("comet", self._settings["region"], None, "small", 4, 8, price=0.1)]

    async def list(self, selector):
        self._ask("list")
        return []

    async def quotas(self, region):
        self._ask("quotas")
        return [Quota("cpus", region, 64, 8.0, "cpus")]

    async def create(self, request): ...
    async def terminate(self, nodes): ...
    async def runner(self, node): ...
    async def close(self): ...
"""


@dataclass(frozen=True)
class Comet:
    """The provider, and the folder to put on the path of whoever should find its adapter."""

    folder: Path
    site: Path

    @classmethod
    def make(cls, below: Path) -> Comet:
        made = cls(below / "comet", below / "site")
        made.folder.mkdir()
        info = made.site / "comet_cloud-1.0.dist-info"
        info.mkdir(parents=True)
        (made.site / "comet_adapter.py").write_text(ADAPTER)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: comet-cloud\n")
        (info / "entry_points.txt").write_text("[stix.clouds]\ncomet = comet_adapter:CometCloud\n")
        return made

    @property
    def env(self) -> dict[str, str]:
        return {"PYTHONPATH": str(self.site), "COMET_FOLDER": str(self.folder)}

    def give_key(self) -> None:
        (self.folder / "key").write_text(SECRET)

    def lose_key(self) -> None:
        (self.folder / "key").unlink()

    def fall_ill(self) -> None:
        (self.folder / "ill").touch()

    def calls(self) -> list[str]:
        """What it was asked since the last time."""
        file = self.folder / "calls"
        if not file.exists():
            return []
        found = file.read_text().split()
        file.unlink()
        return found
