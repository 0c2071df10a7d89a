"""The file system of repositories on the Hugging Face Hub. Imported when first used."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from stix.storage.stores.web_fs import WebFileSystem, as_files, good

KINDS = ("models", "datasets", "spaces")


class HubFileSystem(WebFileSystem):
    """Paths are ``KIND/owner/name@revision/path``, with one of `KINDS`."""

    protocol = "hf"

    def __init__(self, endpoint: str, token: str = "", **options: Any) -> None:
        super().__init__(token=token, **options)
        self.endpoint = endpoint.rstrip("/")

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        if isinstance(path, list):
            return [cls._strip_protocol(one) for one in path]
        return path.rstrip("/")

    def url_of(self, path: str) -> str:
        kind, repository, revision, inside = parts_of(path)
        top = "" if kind == "models" else f"{kind}/"
        return f"{self.endpoint}/{top}{repository}/resolve/{quote(revision, '')}/{quote(inside)}"

    def onward(self, url: str) -> str:
        """The URL at another host that ``url`` leads to; empty where it leads to none."""
        with as_files():
            answer = self.client.head(url, follow_redirects=False)
            if not answer.is_redirect:
                good(answer)
                return ""
            place = answer.url.join(answer.headers["Location"])
        return str(place) if place.host != answer.url.host else ""

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        path = self._strip_protocol(path)
        if not parts_of(path)[3]:
            next(self._tree(path, recursive=False), None)  # refused where there is none
            return {"name": path, "type": "directory", "size": 0}
        for entry in self._tree(path.rpartition("/")[0], recursive=False):
            if entry["name"] == path:
                return entry
        raise FileNotFoundError(path)

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        path = self._strip_protocol(path)
        info = self.info(path)
        found = [info] if info["type"] == "file" else list(self._tree(path, recursive=False))
        return found if detail else [one["name"] for one in found]

    def find(self, path: str, maxdepth: Any = None, withdirs: bool = False, **more: Any) -> Any:
        path = self._strip_protocol(path)
        info = self.info(path)
        found = [info] if info["type"] == "file" else list(self._tree(path, recursive=True))
        kept = {one["name"]: one for one in found if withdirs or one["type"] == "file"}
        return kept if more.get("detail") else sorted(kept)

    def _tree(self, path: str, *, recursive: bool) -> Iterator[dict[str, Any]]:
        """Entries below a folder, page by page."""
        kind, repository, revision, inside = parts_of(path)
        url: str | None = (
            f"{self.endpoint}/api/{kind}/{repository}/tree/{quote(revision, '')}"
            + (f"/{quote(inside)}" if inside else "")
            + ("?recursive=true" if recursive else "")
        )
        top = path[: len(path) - len(inside)].rstrip("/")
        while url:
            with as_files():
                answer = self.client.get(url)
                good(answer)
                rows, links = answer.json(), answer.links
            for row in rows:
                yield _entry(top, row)
            url = links.get("next", {}).get("url")


def parts_of(path: str) -> tuple[str, str, str, str]:
    """Kind, repository, revision and what lies inside."""
    kind, owner, name, *inside = [*path.split("/"), "", ""][: max(path.count("/") + 1, 3)]
    name, _, revision = name.partition("@")
    return kind, f"{owner}/{name}", revision or "main", "/".join(inside)


def _entry(top: str, row: dict[str, Any]) -> dict[str, Any]:
    large = row.get("lfs") or {}
    return {
        "name": f"{top}/{row['path']}",
        "type": "directory" if row["type"] == "directory" else "file",
        "size": int(large.get("size") or row.get("size") or 0),
        "ETag": str(large.get("oid") or row.get("oid") or ""),
    }
