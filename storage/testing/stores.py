"""The conformance suite of stores."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Barrier

import pytest

from stix.storage.base import NotInStore, StorageError, Store
from stix.storage.registry import join, open_store, scheme_of
from stix.storage.transfer import fetch


@dataclass(frozen=True)
class Place:
    """Where a suite may work.

    Attributes:
        url: An empty prefix of the store, a new one for each test.
        options: How to open it.
        denied: Options with which the store must refuse, or None where all may read it.
        listed: Objects for the listing check: more than one page.
    """

    url: str
    options: Mapping[str, str] = field(default_factory=dict, repr=False)
    denied: Mapping[str, str] | None = field(default=None, repr=False)
    listed: int = 2000

    def open(self) -> Store:
        return open_store(self.url, **self.options)

    def at(self, name: str) -> str:
        return join(self.url, name)


class StoreConformance:
    """Subclass it in a test and give the fixture ``place``."""

    @pytest.fixture
    def place(self) -> Place:
        raise NotImplementedError("give the fixture `place` in the subclass")

    @pytest.fixture
    def store(self, place: Place) -> Store:
        return place.open()

    def test_knows_its_scheme(self, place: Place, store: Store) -> None:
        assert store.scheme == scheme_of(place.url)

    def test_refuses_the_url_of_another_scheme(self, store: Store) -> None:
        with pytest.raises(StorageError):
            store.path("nosuch://bucket/key")

    def test_put_then_get(self, place: Place, store: Store) -> None:
        store.put(place.at("deep/er/key"), b"content")
        assert _get(store, place.at("deep/er/key")) == b"content"

    def test_put_replaces(self, place: Place, store: Store) -> None:
        store.put(place.at("key"), b"a longer first content")
        store.put(place.at("key"), b"second")
        assert _get(store, place.at("key")) == b"second"

    @pytest.mark.parametrize("size", [0, 1, 5 * 2**20 + 1, 18 * 2**20])
    def test_sizes(self, place: Place, store: Store, size: int) -> None:
        data = random.Random(size).randbytes(size)
        store.put(place.at("sized"), data)
        assert store.filesystem().info(store.path(place.at("sized")))["size"] == size
        assert _digest(_get(store, place.at("sized"))) == _digest(data)

    @pytest.mark.parametrize("name", ["with space", "ünïcode-日本", "a+b&c=d;e,f", "tilde~(1)'!"])
    def test_names(self, place: Place, store: Store, name: str) -> None:
        store.put(place.at(f"names/{name}"), name.encode())
        found = store.filesystem().find(store.path(place.at("names")))
        assert [str(path).rpartition("/")[2] for path in found] == [name]
        assert store.filesystem().cat_file(found[0]) == name.encode()

    def test_ranges(self, place: Place, store: Store) -> None:
        data = bytes(range(256)) * 64
        store.put(place.at("ranged"), data)
        filesystem, path = store.filesystem(), store.path(place.at("ranged"))
        for start, end in [(0, 1), (0, len(data)), (100, 200), (len(data) - 1, len(data))]:
            assert filesystem.cat_file(path, start=start, end=end) == data[start:end]
        assert filesystem.cat_file(path, start=len(data) - 7) == data[-7:]

    def test_streams(self, place: Place, store: Store) -> None:
        data = random.Random(1).randbytes(6 * 2**20)
        path = store.path(place.at("streamed"))
        with store.filesystem().open(path, "wb") as file:
            for start in range(0, len(data), 2**20):
                file.write(data[start : start + 2**20])
        with store.filesystem().open(path, "rb") as file:
            file.seek(5)
            assert file.read(10) == data[5:15]
        assert _get(store, place.at("streamed")) == data

    def test_missing_object(self, place: Place, store: Store) -> None:
        with pytest.raises(NotInStore) as caught:
            _get(store, place.at("missing"))
        assert caught.value.fix
        assert not store.filesystem().exists(store.path(place.at("missing")))

    def test_delete(self, place: Place, store: Store) -> None:
        store.put(place.at("gone"), b"x")
        store.filesystem().rm_file(store.path(place.at("gone")))
        with pytest.raises(NotInStore):
            _get(store, place.at("gone"))
        assert store.put_if_absent(place.at("gone"), b"y")

    def test_a_listing_has_every_page(self, place: Place, store: Store) -> None:
        names = [f"list/{index % 7}/{index:05}" for index in range(place.listed)]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda name: store.put(place.at(name), b"x"), names))
        found = store.filesystem().find(store.path(place.at("list")))
        assert len(found) == len(names)
        assert {str(path).split("/list/")[1] for path in found} == {name[5:] for name in names}

    def test_a_listing_is_never_old(self, place: Place, store: Store) -> None:
        path = store.path(place.at("fresh"))
        other = place.open()
        store.put(place.at("fresh/1"), b"x")
        assert len(store.filesystem().find(path)) == 1
        other.put(place.at("fresh/2"), b"x")
        assert len(store.filesystem().find(path)) == 2

    def test_put_if_absent_keeps_the_first(self, place: Place, store: Store) -> None:
        assert store.put_if_absent(place.at("new/once"), b"first") is True
        assert store.put_if_absent(place.at("new/once"), b"second") is False
        assert _get(store, place.at("new/once")) == b"first"

    def test_put_if_absent_lets_one_of_many_win(self, place: Place) -> None:
        writers = 8
        stores = [place.open() for _ in range(2)]
        for turn in range(3):
            url = place.at(f"race/{turn}")
            barrier = Barrier(writers)

            def write(
                number: int, url: str = url, barrier: Barrier = barrier
            ) -> tuple[bool, bytes]:
                data = bytes([number]) * 70_000
                barrier.wait()
                return stores[number % 2].put_if_absent(url, data), data

            with ThreadPoolExecutor(writers) as pool:
                results = list(pool.map(write, range(writers)))
            winners = [data for won, data in results if won]
            assert len(winners) == 1
            assert _get(stores[0], url) == winners[0]

    def test_readers_see_whole_objects(self, place: Place, store: Store) -> None:
        url = place.at("whole")
        versions = [bytes([number]) * 300_000 for number in range(2)]
        store.put(url, versions[0])

        def read(_: int) -> bool:
            return _get(store, url) in versions

        with ThreadPoolExecutor(4) as pool:
            reads = pool.map(read, range(40))
            for number in range(20):
                store.put(url, versions[number % 2])
            assert all(reads)

    def test_many_threads_share_a_store(self, place: Place, store: Store) -> None:
        def trip(number: int) -> bool:
            url, data = place.at(f"threads/{number}"), str(number).encode() * 1000
            store.put(url, data)
            return _get(store, url) == data

        with ThreadPoolExecutor(16) as pool:
            assert all(pool.map(trip, range(64)))

    def test_fetch_copies_a_prefix_and_a_file(
        self, place: Place, store: Store, tmp_path: Path
    ) -> None:
        content = {"a": b"", "sub/b c": b"xyz", "sub/big": random.Random(2).randbytes(9 * 2**20)}
        for name, data in content.items():
            store.put(place.at(f"source/{name}"), data)
        first = fetch(place.at("source"), tmp_path / "copy", **place.options)
        assert first.files == 3
        assert first.new_bytes == first.bytes == sum(map(len, content.values()))
        assert {name: (tmp_path / "copy" / name).read_bytes() for name in content} == content
        assert fetch(place.at("source"), tmp_path / "copy", **place.options).new_bytes == 0
        fetch(place.at("source/sub/b c"), tmp_path / "one", **place.options)
        assert (tmp_path / "one").read_bytes() == b"xyz"

    def test_a_refusal_shows_no_secret(self, place: Place) -> None:
        if place.denied is None:
            return
        other = open_store(place.url, **place.denied)
        hidden = [value for name, value in place.denied.items() if name in {"secret", "token"}]
        with pytest.raises(StorageError) as caught:
            other.put(place.at("denied"), b"x")
        assert caught.value.fix
        shown: list[str] = []
        error: BaseException | None = caught.value
        while error is not None:
            shown += [str(error), repr(error)]
            error = error.__cause__ or error.__context__
        assert not any(value in text for value in hidden for text in [*shown, repr(other)])


def _get(store: Store, url: str) -> bytes:
    with store.errors(url):
        data: bytes = store.filesystem().cat_file(store.path(url))
    return data


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
