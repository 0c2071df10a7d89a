"""The S3 store, against a real server."""

from __future__ import annotations

import itertools

import pytest

from stix.storage.testing import ArtifactConformance, Place, StoreConformance
from tests.support.s3 import S3Server

PREFIXES = itertools.count()


class Buckets:
    @pytest.fixture
    def place(self, s3_server: S3Server) -> Place:
        options = s3_server.options()
        denied = options | {"secret": "not-the-secret-0123456789"}
        return Place(s3_server.url(f"test-{next(PREFIXES)}"), options, denied)


class TestS3Store(Buckets, StoreConformance):
    pass


class TestS3Artifacts(Buckets, ArtifactConformance):
    pass
