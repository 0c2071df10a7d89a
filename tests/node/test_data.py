"""Artifacts on a host: fetched once, verified, kept for the next stage, and sent to the store."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import stat
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import psutil
import pytest

from stix.node.agent.data.cache import EPOCH, IDLE_S, Cache
from stix.node.agent.data.objects import SPAN
from stix.remote.agent import AgentError, HostAgent
from stix.remote.local import LocalRunner
from stix.storage.artifacts import ArtifactStore
from stix.storage.artifacts.manifest import CHUNK_SIZE, build
from stix.storage.base import CanSign, StorageError
from stix.tasks.push import _entry, _part, parts_of
from tests.support.relay import Relay, relay
from tests.support.s3 import S3Server, s3_server

__all__ = ["s3_server"]

GIB = 2**30


class Site:
    """A host, a store, and the way between them."""

    def __init__(self, store: ArtifactStore, way: Relay, base: Path) -> None:
        self.store, self.way, self.base = store, way, base
        self.agent = HostAgent(LocalRunner(), str(base))

    def order(self, digest: str, target: Path, **more: Any) -> dict[str, Any]:
        manifest = self.store.manifest(digest)
        names = {name for entry in manifest.entries for name in entry.chunks}
        signed = {name: self.store.signed(name, seconds=600) for name in names}
        urls = {n: {"url": s.url, "headers": dict(s.headers)} for n, s in signed.items() if s}
        order = {"digest": digest, "target": str(target), "manifest": manifest.encode().decode()}
        return {"urls": urls, "keep": True, "limit": GIB, **order, **more}

    @property
    def files(self) -> Path:
        return Path(Cache(str(self.base)).root) / "files"

    async def pull(self, digest: str, target: Path, **more: Any) -> dict[str, Any]:
        return await self.agent.move("pull", self.order(digest, target, **more), 20.0)

    def asked(self) -> list[str]:
        return [path.rpartition("/")[2] for path in self.way.gets("127.0.0.1")]


@pytest.fixture
def site(s3_server: S3Server, tmp_path: Path) -> Iterator[Site]:
    with relay(s3_server.endpoint_url) as way:
        options = s3_server.options() | {"endpoint_url": way.url}
        yield Site(ArtifactStore(s3_server.url(tmp_path.name), **options), way, tmp_path / "base")


def tree(folder: Path, *, size: int = 5) -> Path:
    """Files of all kinds; some of the chunks are there twice."""
    (folder / "sub" / "empty").mkdir(parents=True)
    big = os.urandom(size)
    (folder / "big").write_bytes(big)
    (folder / "sub" / "again").write_bytes(big)
    (folder / "sub" / "longer").write_bytes(big[:CHUNK_SIZE] + b"more")
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o755)
    (folder / "plain.sh").write_text("#!/bin/sh\n")
    (folder / "none").touch()
    (folder / "sub" / "up").symlink_to("../big")
    (folder / os.fsdecode(b"caf\xe9")).write_text("a name that is no text")
    return folder


async def test_what_is_pulled_is_what_was_stored(site: Site, tmp_path: Path) -> None:
    source = tree(tmp_path / "source", size=CHUNK_SIZE + 5)
    digest = site.store.put_path(source).digest
    target = tmp_path / "node" / "data"
    answer = await site.pull(digest, target)
    assert answer["state"] == "done"
    assert site.store.put_path(target).digest == digest
    assert stat.S_IMODE((target / "run.sh").stat().st_mode) == 0o755
    (target / "big").write_text("a stage may write to what is its own")
    chunks = {c for e in site.store.manifest(digest).entries for c in e.chunks}
    assert sorted(site.asked()) == sorted(chunks), "each chunk once, also those of several files"
    again = await site.pull(digest, target)
    assert again["state"] == "done" and "fetched" not in again
    assert site.store.put_path(target).digest == digest
    for path in site.base.rglob("*"):
        assert path.is_dir() or b"X-Amz-" not in path.read_bytes(), f"{path} holds a signature"


async def test_a_shared_input_is_the_one_copy_of_the_host(site: Site, tmp_path: Path) -> None:
    digest = site.store.put_path(tree(tmp_path / "source")).digest
    for name in ("a", "b"):
        answer = await site.pull(digest, tmp_path / "node" / name, shared=True)
        assert answer["placed"] == {"bytes": 0}
    one, other = (tmp_path / "node" / name / "big" for name in ("a", "b"))
    assert one.stat().st_ino == other.stat().st_ino
    assert stat.S_IMODE(one.stat().st_mode) == 0o444
    assert stat.S_IMODE((tmp_path / "node" / "a" / "run.sh").stat().st_mode) == 0o555
    # Root may write all the same: who comes later gets what was stored.
    with one.open("ab") as file:
        file.write(b"!")
    later = tmp_path / "node" / "later"
    await site.pull(digest, later, shared=True)
    assert site.store.put_path(later).digest == digest


@pytest.mark.full
async def test_processes_at_once_and_a_kill_in_the_middle(site: Site, tmp_path: Path) -> None:
    """Whoever is killed leaves what it verified; the next one goes on, and nobody asks twice."""
    source = tmp_path / "source"
    source.mkdir()
    for name in "ab":
        (source / name).write_bytes(os.urandom(CHUNK_SIZE + 5))
    digest = site.store.put_path(source).digest
    site.way.hold("/chunks/", free=3)
    calls = [asyncio.create_task(site.pull(digest, tmp_path / f"t{n}")) for n in range(2)]
    async with asyncio.timeout(60):
        while len(site.asked()) < 3 or _noted(site) < 3:
            await asyncio.sleep(0.05)
    for pid in _pulls(site):
        os.kill(pid, signal.SIGKILL)
    site.way.release()
    done = await asyncio.gather(*calls, return_exceptions=True)
    for call in done:  # the agent's commands are given once more after a death
        assert isinstance(call, AgentError) or cast(Any, call)["state"] == "done"
    answer = await site.pull(digest, tmp_path / "last")
    assert answer["state"] == "done"
    assert site.store.put_path(tmp_path / "last").digest == digest
    chunks = {c for e in site.store.manifest(digest).entries for c in e.chunks}
    assert sorted(site.asked()) == sorted(chunks)


def _noted(site: Site) -> int:
    """Chunks of files of two chunks that are noted as right, or in a file that is whole."""
    begun = sum(path.stat().st_size // 9 for path in site.files.rglob("*.done"))
    return begun + 2 * len(list(site.files.rglob("*.list")))


def _pulls(site: Site) -> list[int]:
    return [
        one.pid
        for one in psutil.process_iter(["cmdline"])
        if (one.info["cmdline"] or [""])[-1] == "pull" and str(site.base) in one.info["cmdline"][-2]
    ]


async def test_a_damaged_chunk_is_never_placed(
    site: Site, s3_server: S3Server, tmp_path: Path
) -> None:
    source = tree(tmp_path / "source")
    stored = site.store.put_path(source)
    chunk = site.store.manifest(stored.digest).entries[0].chunks[0]
    site.store.backend.put(site.store.chunks.url(chunk), b"x" * 5)
    answer = await site.pull(stored.digest, tmp_path / "target")
    assert answer["state"] == "more" and answer["missing"] == [chunk]
    assert answer["trouble"] == {"kind": "broken", "words": "the bytes do not have their digest"}
    assert not (tmp_path / "target").exists()
    # The engine passes the right one on.
    incoming = Path(answer["incoming"])
    incoming.mkdir()
    (incoming / chunk).write_bytes((source / "big").read_bytes())
    answer = await site.pull(stored.digest, tmp_path / "target", urls={})
    assert answer["state"] == "done" and answer["passed"]["number"] == 1
    assert site.store.put_path(tmp_path / "target").digest == stored.digest


async def test_a_store_out_of_reach_is_told_from_a_refusal(site: Site, tmp_path: Path) -> None:
    digest = site.store.put_bytes(b"hello", "name").digest
    order = site.order(digest, tmp_path / "target")
    (signed,) = order["urls"].values()
    good = signed["url"]
    for url, kind in (
        (good.replace(site.way.url, "http://127.0.0.1:9"), "unreachable"),
        (good + "0", "refused"),
        (good.replace("/chunks/", "/chunky/"), "refused"),
    ):
        signed["url"] = url
        answer = await site.agent.move("pull", order, 20.0)
        assert answer["trouble"]["kind"] == kind
        assert "http" not in answer["trouble"]["words"]
    signed["url"] = good
    assert (await site.agent.move("pull", order, 20.0))["state"] == "done"
    assert (tmp_path / "target").read_bytes() == b"hello"


async def test_the_least_used_goes_but_never_what_a_node_links_to(
    site: Site, tmp_path: Path
) -> None:
    digests = [site.store.put_bytes(os.urandom(2**20), f"f{n}").digest for n in range(3)]
    for number, digest in enumerate(digests):
        await site.pull(digest, tmp_path / f"t{number}", shared=number == 0)
    kept = Cache(str(site.base))
    whole = [path for path in site.files.rglob("*") if path.is_file()]
    assert len(whole) == 3
    for path in whole:
        os.utime(path, (path.stat().st_atime - IDLE_S - 1, EPOCH))
    kept.trim(0)
    left = [path for path in whole if path.exists()]
    assert [path.stat().st_nlink for path in left] == [2]
    (Path(kept.root) / "boot").write_text("another")
    kept.open()
    assert not left[0].exists(), "after a reboot nothing is trusted"
    assert (tmp_path / "t0").exists()


async def test_a_host_for_one_node_keeps_nothing_twice(site: Site, tmp_path: Path) -> None:
    digest = site.store.put_path(tree(tmp_path / "source")).digest
    answer = await site.pull(digest, tmp_path / "target", keep=False, limit=0)
    assert answer["state"] == "done"
    assert site.store.put_path(tmp_path / "target").digest == digest
    assert os.access(tmp_path / "target" / "plain.sh", os.W_OK)
    assert (tmp_path / "target" / "plain.sh").stat().st_mtime > EPOCH
    left = [p for p in site.files.rglob("*") if p.is_file()]
    assert left == []


async def test_what_is_mounted_below_an_old_target_is_not_removed(
    site: Site, tmp_path: Path
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may mount")
    digest = site.store.put_path(tree(tmp_path / "source", size=5)).digest
    target, users = tmp_path / "target", tmp_path / "users"
    await site.pull(digest, target)
    (target / "m").mkdir()
    users.mkdir()
    (users / "precious").touch()
    subprocess.run(["mount", "--bind", str(users), str(target / "m")], check=True)
    try:
        await site.pull(digest, target)
    finally:
        subprocess.run(["umount", "-l", str(target / "m")], capture_output=True, check=False)
    assert (users / "precious").exists()
    assert not (target / "m").exists()


# -- to the store -------------------------------------------------------------------------------


async def hashed(site: Site, path: Path) -> dict[str, Any]:
    return await site.agent.move("hashed", {"path": str(path), "chunk_size": CHUNK_SIZE}, 20.0)


async def test_a_node_and_the_engine_give_the_same_digest(site: Site, tmp_path: Path) -> None:
    source = tree(tmp_path / "source", size=CHUNK_SIZE + 5)
    for path in (source, source / "big", source / "run.sh", source / "none"):
        answer = await hashed(site, path)
        manifest = build(answer["kind"], map(_entry, answer["entries"]))
        assert manifest.digest() == site.store.put_path(path).digest


async def test_what_cannot_be_stored_is_refused_in_the_same_words(
    site: Site, tmp_path: Path
) -> None:
    assert (await hashed(site, tmp_path / "none"))["state"] == "missing"
    folder = tmp_path / "folder"
    folder.mkdir()
    os.mkfifo(folder / "pipe")
    answer = await hashed(site, folder)
    with pytest.raises(StorageError) as refused:
        site.store.put_path(folder)
    assert answer["state"] == "refused" and answer["words"] == refused.value.message


async def test_a_node_sends_what_the_store_lacks(site: Site, tmp_path: Path) -> None:
    source = tree(tmp_path / "source")
    answer = await hashed(site, source)
    manifest = build(answer["kind"], map(_entry, answer["entries"]))
    parts = parts_of(manifest)
    loop = asyncio.get_running_loop()

    def bring(missing: Any) -> int:
        signed = {chunk: site.store.signed_put(chunk) for chunk in missing}
        rows = [_part(parts[c], s) for c, s in signed.items() if s is not None]
        call = site.agent.move("push", {"path": str(source), "parts": rows}, 20.0)
        sent = asyncio.run_coroutine_threadsafe(call, loop).result()
        assert set(sent["sent"]) == set(missing)
        return int(sent["pushed"]["bytes"])

    stored = await asyncio.to_thread(site.store.take, manifest, bring)
    assert site.store.verify(stored.digest).bytes == manifest.bytes
    assert stored.new_bytes == sum(part["size"] for part in parts.values())
    again = await asyncio.to_thread(site.store.take, manifest, bring)
    assert again.new_bytes == 0


async def test_a_file_that_changes_is_not_sent(site: Site, tmp_path: Path) -> None:
    source = tmp_path / "file"
    source.write_bytes(b"before")
    chunk = hashlib.sha256(b"before").hexdigest()
    signed = site.store.signed_put(chunk)
    assert signed is not None
    part = {"file": "", "offset": 0, "size": 6, "chunk": chunk}
    source.write_bytes(b"after!")
    order = {"path": str(source), "parts": [_part(part, signed)]}
    answer = await site.agent.move("push", order, 20.0)
    assert answer["sent"] == [] and "changed while it was read" in answer["changed"]
    assert not site.store.chunks.all_there([chunk])


class _Careless(BaseHTTPRequestHandler):
    """A server that takes any bytes under any name."""

    taken: list[str] = []  # noqa: RUF012

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.taken.append(self.path)
        self.send_response(200)
        self.end_headers()

    def do_DELETE(self) -> None:
        self.taken.remove(self.path)
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


def test_nothing_is_signed_for_a_server_that_does_not_compare_digests() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Careless)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_port}"
        options = {"endpoint_url": url, "key": "k", "secret": "s", "region": "us-east-1"}
        store = ArtifactStore("s3://bucket/prefix", **options)
        assert store.signed_put("0" * 64) is None
        assert _Careless.taken == [], "the trial is gone again"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


# -- objects without a digest -------------------------------------------------------------------


async def test_objects_of_urls_are_gone_on_with(site: Site, tmp_path: Path) -> None:
    """A file that is there is kept; a half of one is of use while the object is the same."""
    store, top = site.store.backend, f"{site.store.url}/objects"
    assert isinstance(store, CanSign)
    data = {"a": b"a", "sub/b": os.urandom(SPAN + 7)}
    files = []
    for name, content in data.items():
        store.put(f"{top}/{name}", content)
        signed = store.sign(f"{top}/{name}", seconds=600)
        assert signed is not None
        files.append({"path": name, "url": signed.url, "headers": {}, "size": len(content)})
    target = tmp_path / "target"
    (target / "sub").mkdir(parents=True)
    (target / "mine").touch()
    order = {"target": str(target), "files": [{**one, "mtime": 1_000_000_000} for one in files]}
    whole = "/objects/sub/b"
    site.way.hold(whole, free=1)
    call = asyncio.create_task(site.agent.move("objects", order, 20.0))
    async with asyncio.timeout(60):
        while not [one for one in site.way.log if whole in one.path and one.method == "GET"]:
            await asyncio.sleep(0.05)
    await asyncio.sleep(0.5)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    site.way.release()
    answer = await site.agent.move("objects", order, 20.0)
    assert answer["left"] == []
    assert {n: (target / n).read_bytes() for n in data} == data
    assert sorted(p.name for p in target.rglob("*") if p.is_file()) == ["a", "b", "mine"]
    assert (target / "a").stat().st_mtime == 1_000_000_000
    sent = [one.sent for one in site.way.log if whole in one.path and one.method == "GET"]
    assert sorted(sent) == [7, SPAN], "each piece came once"
    assert "fetched" not in await site.agent.move("objects", order, 20.0)
