"""A folder or a file to S3 or from there, as one writes it with boto3: SOURCE TARGET."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config

HOW = TransferConfig(max_concurrency=16)


def client() -> Any:
    config = Config(
        max_pool_connections=32,
        s3={"addressing_style": "path"},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    return boto3.client("s3", config=config)


def listing(s3: Any, bucket: str, prefix: str) -> dict[str, Any]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return {one["Key"]: one for page in pages for one in page.get("Contents", ())}


def upload(s3: Any, source: Path, bucket: str, key: str) -> None:
    if source.is_file():
        s3.upload_file(str(source), bucket, key, Config=HOW)
        return
    there = listing(s3, bucket, f"{key}/")

    def put(path: Path) -> None:
        name = f"{key}/{path.relative_to(source)}"
        old, status = there.get(name), path.stat()
        same = old is not None and old["Size"] == status.st_size
        if not (same and old["LastModified"].timestamp() >= status.st_mtime):
            s3.upload_file(str(path), bucket, name, Config=HOW)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(put, [path for path in source.rglob("*") if path.is_file()]))


def download(s3: Any, bucket: str, key: str, target: Path) -> None:
    found = listing(s3, bucket, f"{key}/")
    if not found:
        s3.download_file(bucket, key, str(target), Config=HOW)
        return

    def get(name: str) -> None:
        path = target / name.removeprefix(f"{key}/")
        path.parent.mkdir(parents=True, exist_ok=True)
        s3.download_file(bucket, name, str(path), Config=HOW)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(get, found))


def main(source: str, target: str) -> None:
    s3 = client()
    if target.startswith("s3://"):
        bucket, _, key = target.removeprefix("s3://").partition("/")
        upload(s3, Path(source), bucket, key)
    else:
        bucket, _, key = source.removeprefix("s3://").partition("/")
        download(s3, bucket, key, Path(target))


if __name__ == "__main__":
    main(*sys.argv[1:])
