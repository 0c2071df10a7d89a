"""The STIX API as methods, one per call of docs/architecture.md; answers are plain dicts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO

from stix.client.http import TIMEOUT, Http, Request, segment

Json = dict[str, Any]

ROOT = "/stix/v1"
SLOW = 300.0
"""Seconds for calls that ask clouds or move whole trees."""
HOUR = 3600.0
"""Seconds for calls that read a store."""


class Client:
    """One server.

    Args:
        url: Address without the path of the API, ``http://127.0.0.1:4300``.
        token: Bearer token; None only for ``health``.
    """

    def __init__(self, url: str, token: str | None = None) -> None:
        self._http = Http(url, token)
        self.url = self._http.url

    def _get(self, path: str, timeout: float = TIMEOUT, **query: Any) -> Any:
        return self._http.json(Request("GET", ROOT + path, query=query, timeout=timeout))

    def _post(self, path: str, body: Mapping[str, Any], timeout: float = TIMEOUT) -> Any:
        data = json.dumps(body).encode()
        return self._http.json(Request("POST", ROOT + path, body=data, timeout=timeout))

    def health(self, timeout: float = 3.0) -> Json:
        """``{"ok", "version", "home"}``, without a token."""
        return dict(self._get("/health", timeout))

    def status(self) -> Json:
        """Processes, URLs, count of runs by state and seconds idle."""
        return dict(self._get("/status"))

    def stop(self) -> None:
        """Ask the server to stop; it answers before it does."""
        self._post("/stop", {})

    def put_tree(self, tar: Iterable[bytes]) -> Json:
        """Upload a directory as chunks of a tar; ``{"digest", "bytes", "files"}``."""
        request = Request(
            "POST", f"{ROOT}/trees", body=tar, content_type="application/x-tar", timeout=SLOW
        )
        return dict(self._http.json(request))

    def create_run(self, body: Mapping[str, Any]) -> Json:
        """Submit a run (spec, source, uploads, secrets, options); ``{"id", "name"}``."""
        return dict(self._post("/runs", body, SLOW))

    def runs(self, *, limit: int = 20, state: str | None = None) -> list[Json]:
        """Summaries, the newest first."""
        return items(self._get("/runs", limit=limit, state=state), "runs")

    def run(self, run: str) -> Json:
        """A run with stages, attempts, receipts and artifacts.

        Args:
            run: Id, unique prefix of one, or ``latest``.
        """
        return dict(self._get(f"/runs/{segment(run)}"))

    def events(self, run: str, *, after: int = 0, wait: float = 0) -> list[Json]:
        """Events after a number; waits up to ``wait`` seconds for one."""
        path = f"/runs/{segment(run)}/events"
        return items(self._get(path, TIMEOUT + wait, after=after, wait=wait or None), "events")

    def logs(self, run: str, stage: str, *, wait: float = 0, **query: Any) -> Json:
        """A piece of a stage's output: ``{"data", "offset", "end"}``.

        Args:
            run: Id, prefix or ``latest``.
            stage: Key of the stage.
            wait: Seconds to wait for more.
            query: ``attempt``, ``rank``, ``step`` and ``offset``.
        """
        path = f"/runs/{segment(run)}/logs"
        wait_for = wait or None
        return dict(self._get(path, TIMEOUT + wait, stage=stage, wait=wait_for, **query))

    def cancel(self, run: str) -> Json:
        """Ask a run to cancel."""
        return dict(self._post(f"/runs/{segment(run)}/cancel", {}) or {})

    def resume(self, run: str, secrets: Mapping[str, str] | None = None) -> Json:
        """Run again what did not succeed; secrets are forgotten at a run's end: give them again."""
        return dict(self._post(f"/runs/{segment(run)}/resume", {"secrets": dict(secrets or {})}))

    def why(self, run: str, stage: str) -> Json:
        """Why a stage ran or was skipped, part by part."""
        return dict(self._get(f"/runs/{segment(run)}/why", stage=stage))

    def plan(self, spec: Mapping[str, Any], **asked: Any) -> Json:
        """The placement of a pipeline, without running it; ``asked`` as ``POST /plan`` has it."""
        return dict(self._post("/plan", {"spec": spec, **asked}, SLOW))

    def artifacts(self, run: str | None = None) -> list[Json]:
        """Artifacts, of one run or all."""
        return items(self._get("/artifacts", run=run), "artifacts")

    def artifact(self, digest: str) -> Json:
        """One artifact with its files."""
        return dict(self._get(f"/artifacts/{segment(digest)}"))

    def artifact_tar(self, digest: str, target: BinaryIO) -> int:
        """Copy the content as a tar to ``target``; gives bytes."""
        path = f"{ROOT}/artifacts/{segment(digest)}/tar"
        return self._http.download(Request("GET", path, timeout=SLOW), target)

    def artifact_verify(self, digest: str) -> Json:
        """Read an artifact in its stores: ``{"digest", "ok", "problem", "bytes", "stores"}``."""
        return dict(self._get(f"/artifacts/{segment(digest)}/verify", HOUR))

    def artifact_replicate(self, digest: str, url: str) -> Json:
        """Copy an artifact to the store at ``url``: ``{"digest", "url", "bytes", "new_bytes"}``."""
        path = f"/artifacts/{segment(digest)}/replicas"
        return dict(self._post(path, {"url": url}, HOUR) or {})

    def artifact_lineage(self, digest: str) -> Json:
        """The stage runs before and behind an artifact: ``steps``."""
        return dict(self._get(f"/artifacts/{segment(digest)}/lineage", SLOW))

    def artifacts_gc(self, body: Mapping[str, Any]) -> Iterator[Json]:
        """Delete what no run that is kept relies on: a step per answer, the last has ``end``."""
        request = Request(
            "POST", f"{ROOT}/artifacts/gc", body=json.dumps(body).encode(), timeout=HOUR
        )
        return self._http.lines(request)

    def nodes(self) -> list[Json]:
        """Nodes known to the server."""
        return items(self._get("/nodes", SLOW), "nodes")

    def chaos(self, node: str, action: str) -> Json:
        """Hurt a node: ``preempt`` or ``kill``."""
        return dict(self._post(f"/nodes/{segment(node)}/chaos", {"action": action}) or {})

    def check(self, clouds: Sequence[str] = (), *, quotas: str | None = None) -> list[Json]:
        """Each cloud: enabled, credentials, identity, offers, circuits, error.

        Args:
            clouds: Which to ask, also those that are not set up; all that are where not given.
            quotas: The region whose quotas to tell.
        """
        named = ",".join(clouds) or None
        return items(self._get("/check", SLOW, clouds=named, quotas=quotas), "clouds")

    def features(self) -> list[Json]:
        """Each cloud: which feature it has."""
        return items(self._get("/features", SLOW), "clouds")

    def resources(self) -> Json:
        """What we have at the clouds (``things``, each with a verdict), and ``errors``."""
        return dict(self._get("/resources", SLOW))

    def sweep(self, *, dry_run: bool = False) -> Json:
        """Remove what nobody owns: ``things``, ``nodes``, ``resources``, ``errors``."""
        return dict(self._post("/sweep", {"dry_run": dry_run}, SLOW))

    def volumes(self, *, refresh: bool = False) -> list[Json]:
        """Volumes, the oldest first; with ``refresh`` each says whether its cloud has it."""
        return items(self._get("/volumes", SLOW, refresh=refresh or None), "volumes")

    def apply_volume(self, volume: Mapping[str, Any]) -> Json:
        """Have a volume as a file describes it."""
        return dict(self._post("/volumes", volume, SLOW))

    def delete_volume(self, name: str, *, purge: bool = False) -> None:
        """Remove a volume with what it holds."""
        path = f"{ROOT}/volumes/{segment(name)}"
        query = {"purge": purge or None}
        self._http.json(Request("DELETE", path, query=query, timeout=SLOW))


def items(answer: Any, key: str) -> list[Json]:
    """The list of an answer, whether it is bare or under ``key``."""
    return list(answer[key] if isinstance(answer, dict) else answer)
