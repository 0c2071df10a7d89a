"""Checks of what a store can do beside objects, and of refusals: they name the fix, no secret."""

from __future__ import annotations

import secrets as random_secrets
import time
from collections.abc import Mapping
from typing import Any, cast

import pytest

from stix.storage.base import (
    Access,
    CanCopyInside,
    CanLend,
    CanManageBuckets,
    CanMount,
    Denied,
    HasLocation,
    HasNameRules,
    HasPrice,
    NotInStore,
    StorageError,
    Store,
)
from stix.storage.registry import open_store
from stix.storage.testing.place import At, Check, digest, each, get

SECRETS = {"secret", "token", "account_key", "sas_token", "connection_string", "password", "key"}
ILLEGAL = {
    "short": "ab",
    "long": "n" * 64,
    "upper case": "Upper-Case",
    "slash": "a/b/c",
    "space": "with space",
    "hyphen first": "-first",
    "hyphen last": "last-",
    "unicode": "eimer-ü",
    "empty": "",
}


def location_is_told(at: At) -> None:
    found = cast(HasLocation, at.store).location(at.place.url)
    assert found.cloud


def location_of_a_missing_bucket(at: At) -> None:
    with pytest.raises(NotInStore):
        cast(HasLocation, at.store).location(at.place.missing)


def price_is_told_with_its_source(at: At) -> None:
    price = cast(HasPrice, at.store).price(at.place.url)
    assert 0 < price.gib_month < 1
    assert 0 <= price.get_1000 <= price.put_1000 < 1
    assert price.source
    assert price.as_of[:2] == "20"


def names_have_rules(at: At, name: str) -> None:
    assert cast(HasNameRules, at.store).name_problem(name)


def a_plain_name_is_legal(at: At) -> None:
    assert cast(HasNameRules, at.store).name_problem("stix-data-42") == ""


def an_illegal_name_is_refused(at: At) -> None:
    with pytest.raises(StorageError) as caught:
        cast(CanManageBuckets, at.store).create_bucket("No Such Name", "", {})
    assert caught.value.fix


def buckets_are_made_and_deleted(at: At) -> None:
    store, name = cast(CanManageBuckets, at.store), _name()
    made = store.create_bucket(name, "", {})
    try:
        assert made.url.rstrip("/").endswith(name)
        assert made.url in [one.url for one in store.buckets()]
        at.store.put(f"{made.url}/key", b"x")
        assert get(at.store, f"{made.url}/key") == b"x"
    finally:
        store.delete_bucket(name, force=True)
    assert made.url not in [one.url for one in store.buckets()]


def buckets_are_made_once(at: At) -> None:
    store, name = cast(CanManageBuckets, at.store), _name()
    made = store.create_bucket(name, "", {})
    try:
        at.store.put(f"{made.url}/key", b"x")
        assert store.create_bucket(name, "", {}).url == made.url
        assert get(at.store, f"{made.url}/key") == b"x"
    finally:
        store.delete_bucket(name, force=True)


def buckets_are_made_in_a_region(at: At) -> None:
    store = cast(CanManageBuckets, at.store)
    for region in at.place.regions:
        name = _name()
        made = store.create_bucket(name, region, {})
        try:
            assert cast(HasLocation, at.store).location(made.url).region == region
        finally:
            store.delete_bucket(name, force=True)


def buckets_keep_labels(at: At) -> None:
    store, name = cast(CanManageBuckets, at.store), _name()
    try:
        made = store.create_bucket(name, "", {"stix": "yes"})
        assert made.labels == {"stix": "yes"}
    finally:
        store.delete_bucket(name, force=True)


def a_bucket_with_objects_stays_unless_forced(at: At) -> None:
    store, name = cast(CanManageBuckets, at.store), _name()
    made = store.create_bucket(name, "", {})
    try:
        for number in range(30):
            at.store.put(f"{made.url}/deep/{number}", b"x")
        with pytest.raises(StorageError) as caught:
            store.delete_bucket(name)
        assert caught.value.fix
        assert get(at.store, f"{made.url}/deep/7") == b"x"
    finally:
        store.delete_bucket(name, force=True)
    assert made.url not in [one.url for one in store.buckets()]


def a_missing_bucket_is_deleted_silently(at: At) -> None:
    store = cast(CanManageBuckets, at.store)
    store.delete_bucket(_name())
    store.delete_bucket(_name(), force=True)


def lends_for_reading(at: At) -> None:
    at.put("lent/a", b"x")
    other = _borrow(at, at.url("lent"), write=False)
    assert get(other, at.url("lent/a")) == b"x"
    with pytest.raises(StorageError):
        other.put(at.url("lent/b"), b"x")


def lends_for_writing(at: At) -> None:
    other = _borrow(at, at.url("lent"), write=True)
    other.put(at.url("lent/b"), b"x")
    assert at.get("lent/b") == b"x"
    with other.errors(at.url("lent")):
        assert len(other.filesystem().find(other.path(at.url("lent")))) == 1


def lends_nothing_outside(at: At) -> None:
    outside = at.place.outside or at.url("kept/secret")
    at.store.put(outside, b"x")
    other = _borrow(at, at.url("lent"), write=True)
    with pytest.raises(StorageError):
        get(other, outside)
    with pytest.raises(StorageError):
        other.put(outside, b"y")
    assert get(at.store, outside) == b"x"


def lends_for_a_time(at: At) -> None:
    access = _lend(at, at.url("lent"), write=False)
    assert access.scope
    assert access.expires is None or 60 < access.expires - time.time() < 2 * 3600


def lent_credentials_are_not_shown(at: At) -> None:
    access = _lend(at, at.url("lent"), write=True)
    values = [v for n, v in access.options.items() if n in SECRETS] + [
        v for n, v in access.env.items() if "SECRET" in n or "TOKEN" in n
    ]
    assert values
    assert not any(value in repr(access) for value in values)


def mounts_hold_no_secret(at: At) -> None:
    for write in (True, False):
        plan = cast(CanMount, at.store).mount_plan(at.place.url, write=write)
        shown = repr(plan)
        assert plan.rclone or plan.tools
        assert not any(value in shown for value in _secrets(at.place.options))


def mounts_name_the_prefix(at: At) -> None:
    plan = cast(CanMount, at.store).mount_plan(at.url("sub/prefix"), write=False)
    assert plan.path.rstrip("/").endswith("sub/prefix")


def copies_inside(at: At) -> None:
    data = bytes(range(256)) * 80_000
    at.put("original", data)
    assert cast(CanCopyInside, at.store).copy(at.url("original"), at.url("copies/one"))
    assert digest(at.get("copies/one")) == digest(data)
    assert digest(at.get("original")) == digest(data)


def copies_empty_and_odd_ones(at: At) -> None:
    at.put("odd ü+&", b"")
    assert cast(CanCopyInside, at.store).copy(at.url("odd ü+&"), at.url("copy ü+&"))
    assert at.get("copy ü+&") == b""


def copies_over_what_is_there(at: At) -> None:
    at.put("new", b"new")
    at.put("old", b"old content")
    assert cast(CanCopyInside, at.store).copy(at.url("new"), at.url("old"))
    assert at.get("old") == b"new"


def copies_nothing_that_is_missing(at: At) -> None:
    with pytest.raises(NotInStore):
        cast(CanCopyInside, at.store).copy(at.url("missing"), at.url("copy"))


def copies_nothing_to_another_store(at: At) -> None:
    at.put("stays", b"x")
    assert not cast(CanCopyInside, at.store).copy(at.url("stays"), "nosuch://bucket/key")


def shows_no_secret(at: At) -> None:
    shown = repr(at.store) + str(at.store) + repr(at.place)
    assert not any(value in shown for value in _secrets(at.place.options))


def refuses_wrong_credentials(at: At) -> None:
    _refused(at, at.place.denied or {})


def refuses_to_read_with_wrong_credentials(at: At) -> None:
    at.put("private", b"x")
    other = open_store(at.place.url, **(at.place.denied or {}))
    with pytest.raises(Denied):
        get(other, at.url("private"))


def refuses_to_list_with_wrong_credentials(at: At) -> None:
    at.put("private/a", b"x")
    other = open_store(at.place.url, **(at.place.denied or {}))
    with pytest.raises(Denied), other.errors(at.place.url):
        other.filesystem().find(other.path(at.url("private")))


def refuses_expired_credentials(at: At) -> None:
    error = _refused(at, at.place.expired or {})
    assert "expired" in error.fix


def refuses_a_wrong_clock(at: At) -> None:
    error = _refused(at, at.place.skewed or {})
    assert "clock" in error.fix


def refuses_a_reader_to_write(at: At) -> None:
    at.put("readable", b"x")
    other = open_store(at.place.url, **(at.place.reader or {}))
    assert get(other, at.url("readable")) == b"x"
    for write in (other.put, other.put_if_absent):
        with pytest.raises(Denied):
            write(at.url("unwritable"), b"y")
    with pytest.raises(Denied), other.errors(at.url("readable")):
        other.filesystem().rm_file(other.path(at.url("readable")))
    assert at.get("readable") == b"x"


def _refused(at: At, options: Mapping[str, Any]) -> Denied:
    """The refusal of a write; neither it nor what led to it shows a secret."""
    other = open_store(at.place.url, **options)
    with pytest.raises(Denied) as caught:
        other.put(at.url("denied"), b"x")
    assert caught.value.fix
    shown: list[str] = [repr(other)]
    error: BaseException | None = caught.value
    while error is not None:
        shown += [str(error), repr(error)]
        error = error.__cause__ or error.__context__
    assert not any(value in text for value in _secrets(options) for text in shown)
    return caught.value


def _secrets(options: Mapping[str, Any]) -> list[str]:
    return [str(value) for name, value in options.items() if name in SECRETS - {"key"}]


def _name() -> str:
    return f"stix-suite-{random_secrets.token_hex(6)}"


def _lend(at: At, url: str, *, write: bool) -> Access:
    lender = open_store(at.place.url, **(at.place.lends or {}))
    return cast(CanLend, lender).lend(url, write=write, seconds=900)


def _borrow(at: At, url: str, *, write: bool) -> Store:
    return open_store(url, **_lend(at, url, write=write).options)


CHECKS: tuple[Check, ...] = (
    Check(location_is_told, needs=HasLocation),
    Check(location_of_a_missing_bucket, needs=HasLocation, has="missing"),
    Check(price_is_told_with_its_source, needs=HasPrice),
    *each(names_have_rules, "name", ILLEGAL, needs=HasNameRules),
    Check(a_plain_name_is_legal, needs=HasNameRules),
    Check(an_illegal_name_is_refused, needs=CanManageBuckets),
    Check(buckets_are_made_and_deleted, needs=CanManageBuckets),
    Check(buckets_are_made_once, needs=CanManageBuckets),
    Check(buckets_are_made_in_a_region, needs=CanManageBuckets, has="regions"),
    Check(buckets_keep_labels, needs=CanManageBuckets),
    Check(a_bucket_with_objects_stays_unless_forced, needs=CanManageBuckets),
    Check(a_missing_bucket_is_deleted_silently, needs=CanManageBuckets),
    Check(lends_for_reading, needs=CanLend, has="lends"),
    Check(lends_for_writing, needs=CanLend, has="lends"),
    Check(lends_nothing_outside, needs=CanLend, has="lends"),
    Check(lends_for_a_time, needs=CanLend, has="lends"),
    Check(lent_credentials_are_not_shown, needs=CanLend, has="lends"),
    Check(mounts_hold_no_secret, needs=CanMount),
    Check(mounts_name_the_prefix, needs=CanMount),
    Check(copies_inside, needs=CanCopyInside),
    Check(copies_empty_and_odd_ones, needs=CanCopyInside),
    Check(copies_over_what_is_there, needs=CanCopyInside),
    Check(copies_nothing_that_is_missing, needs=CanCopyInside),
    Check(copies_nothing_to_another_store, needs=CanCopyInside),
    Check(shows_no_secret),
    Check(refuses_wrong_credentials, has="denied"),
    Check(refuses_to_read_with_wrong_credentials, has="denied"),
    Check(refuses_to_list_with_wrong_credentials, has="denied"),
    Check(refuses_expired_credentials, has="expired"),
    Check(refuses_a_wrong_clock, has="skewed"),
    Check(refuses_a_reader_to_write, has="reader"),
)
