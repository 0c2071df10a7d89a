"""The S3 store, against a real server."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import ClassVar

import pytest

from stix.storage.base import Denied, StorageError
from stix.storage.stores.s3 import S3Store
from stix.storage.testing import ArtifactConformance, LargeObjects, Place, StoreConformance
from tests.support.s3 import ROLE, S3Server, refusing

PREFIXES = itertools.count()


@pytest.fixture(scope="session")
def refusals() -> Iterator[dict[str, str]]:
    """Endpoints that refuse as AWS does where SeaweedFS has no such word."""
    with refusing("RequestTimeTooSkewed") as skewed, refusing("ExpiredToken") as expired:
        yield {"skewed": skewed, "expired": expired}


class Buckets:
    @pytest.fixture
    def place(self, s3_server: S3Server, refusals: dict[str, str]) -> Place:
        options = s3_server.options()
        return Place(
            s3_server.url(f"test-{next(PREFIXES)}"),
            options,
            denied=options | {"secret": "not-the-secret-0123456789"},
            expired=options | {"endpoint_url": refusals["expired"], "token": "over-0123456789"},
            skewed=options | {"endpoint_url": refusals["skewed"]},
            reader=s3_server.reading(),
            lends=options | {"role": ROLE},
            missing="s3://stix-no-such-bucket/key",
            regions=("eu-central-1",),
        )


class TestS3Store(Buckets, StoreConformance):
    server_faults: ClassVar = {
        "buckets_are_made_in_a_region": "SeaweedFS takes a location and forgets it",
    }


def test_a_token_past_its_time_is_refused(s3_server: S3Server) -> None:
    """Signed by the server itself; SeaweedFS does not say that its time is the reason."""
    url = s3_server.url("expired")
    S3Store(**s3_server.lent()).put(url, b"x")
    with pytest.raises(Denied):
        S3Store(**s3_server.lent(expired=True)).put(url, b"x")


def test_who_has_no_role_is_told_so(s3_server: S3Server) -> None:
    options = s3_server.options() | {"role": "arn:aws:iam::000000000000:role/unknown"}
    with pytest.raises(StorageError, match="cannot be lent") as caught:
        S3Store(**options).lend(s3_server.url("x"), write=False, seconds=900)
    assert "role" in caught.value.fix


class TestS3Artifacts(Buckets, ArtifactConformance):
    pass


@pytest.mark.full
class TestLargeS3Objects(Buckets, LargeObjects):
    pass
