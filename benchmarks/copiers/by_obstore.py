"""A folder or a file to S3 or from there, as one writes it with obstore: SOURCE TARGET.

Nothing is checked, and a cut copy leaves half a file.
"""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import obstore
from obstore.store import S3Store

PIECE = 8 * 2**20


def client(bucket: str) -> S3Store:
    env = os.environ
    return S3Store(
        bucket,
        config={
            "endpoint": env["AWS_ENDPOINT_URL"],
            "access_key_id": env["AWS_ACCESS_KEY_ID"],
            "secret_access_key": env["AWS_SECRET_ACCESS_KEY"],
            "region": env["AWS_REGION"],
            "virtual_hosted_style_request": False,
        },
        client_options={"allow_http": True},
    )


def listing(store: S3Store, prefix: str) -> dict[str, Any]:
    pages = obstore.list(store, prefix, chunk_size=1000)
    return {one["path"]: one for page in pages for one in page}


def upload(store: S3Store, source: Path, key: str) -> None:
    if source.is_file():
        obstore.put(store, key, source, chunk_size=PIECE, max_concurrency=8)
        return
    there = listing(store, key)

    def put(path: Path) -> None:
        name = f"{key}/{path.relative_to(source)}"
        old, status = there.get(name), path.stat()
        same = old is not None and old["size"] == status.st_size
        if not (same and old["last_modified"].timestamp() >= status.st_mtime):
            obstore.put(store, name, path.read_bytes(), use_multipart=False)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(put, [path for path in source.rglob("*") if path.is_file()]))


def download(store: S3Store, key: str, target: Path) -> None:
    found = listing(store, key)
    if not found:
        ranges(store, key, target)
        return

    def get(name: str) -> None:
        path = target / name.removeprefix(f"{key}/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(obstore.get(store, name).bytes())

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(get, found))


def ranges(store: S3Store, key: str, target: Path) -> None:
    size = obstore.head(store, key)["size"]
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT, 0o644)

    def one(start: int) -> None:
        end = min(start + PIECE, size)
        os.pwrite(descriptor, obstore.get_range(store, key, start=start, end=end), start)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(0, size, PIECE)))
    os.close(descriptor)


def main(source: str, target: str) -> None:
    if target.startswith("s3://"):
        bucket, _, key = target.removeprefix("s3://").partition("/")
        upload(client(bucket), Path(source), key)
    else:
        bucket, _, key = source.removeprefix("s3://").partition("/")
        download(client(bucket), key, Path(target))


if __name__ == "__main__":
    main(*sys.argv[1:])
