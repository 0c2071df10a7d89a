"""Checks of single objects: content, sizes, names, ranges, streams, deletion, what is missing."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

import pytest

from stix.storage.base import NotInStore, StorageError
from stix.storage.registry import open_store, scheme_of
from stix.storage.testing.place import At, Check, digest, each, get

MIB = 2**20
SIZES = {
    "0": 0,
    "1": 1,
    "4KiB-1": 4095,
    "5MiB+1": 5 * MIB + 1,
    "18MiB": 18 * MIB,
    "64MiB": 64 * MIB,
}
NAMES = {
    "space": "with space",
    "unicode": "ünïcode-日本",
    "emoji": "🚀-run",
    "signs": "a+b&c=d;e,f",
    "more signs": "tilde~(1)'!",
    "percent": "100%25 of 50%",
    "hash": "C#-notes",
    "question": "what?",
    "dot": ".hidden",
    "dots": "a..b...c",
    "at": "user@host:22",
    "brackets": "part[0]{x}",
    "quotes": 'say "hi" `now`',
    "long": "n" * 200,
    "decomposed": "e\u0301te\u0301",
}
ENDS = {
    "return": b"ends in\r",
    "line feed": b"ends in\n",
    "both": b"ends in\r\n",
    "blank": b"ends in a blank ",
    "boundary": b"such as\n--==0==--\nand\r\n--boundary--\r\n on the wire",
}
"""What a client or a server that frames content by lines may lose or take for its own."""
RANGES = {
    "first byte": (0, 1),
    "all": (0, 16384),
    "middle": (100, 200),
    "last byte": (16383, 16384),
    "to the end": (16377, None),
    "past the end": (16000, 99999),
    "across pieces": (4095, 8193),
}


def knows_its_scheme(at: At) -> None:
    assert at.store.scheme == scheme_of(at.place.url)


def refuses_the_url_of_another_scheme(at: At) -> None:
    with pytest.raises(StorageError):
        at.store.path("nosuch://bucket/key")


def refuses_options_it_does_not_know(at: At) -> None:
    with pytest.raises(StorageError) as caught:
        open_store(at.place.url, no_such_option="hidden-value")
    assert "hidden-value" not in str(caught.value)


def gives_what_was_put(at: At) -> None:
    at.put("deep/er/key", b"content")
    assert at.get("deep/er/key") == b"content"


def put_replaces_by_less(at: At) -> None:
    at.put("key", b"a longer first content")
    at.put("key", b"second")
    assert at.get("key") == b"second"


def put_replaces_by_more(at: At) -> None:
    at.put("key", b"x")
    at.put("key", b"a longer second content")
    assert at.get("key") == b"a longer second content"


def another_client_sees_it_at_once(at: At) -> None:
    other = at.place.open()
    for number in range(5):
        at.put("seen", str(number).encode())
        assert get(other, at.url("seen")) == str(number).encode()


def keeps_every_byte(at: At) -> None:
    data = bytes(range(256)) + b"\r\n\n\0" * 3
    at.put("bytes", data)
    assert at.get("bytes") == data


def keeps_every_end(at: At, data: bytes) -> None:
    at.put("end", data)
    assert at.get("end") == data


def keeps_every_size(at: At, size: int) -> None:
    data = random.Random(size).randbytes(size)
    at.put("sized", data)
    assert at.store.filesystem().info(at.path("sized"))["size"] == size
    assert digest(at.get("sized")) == digest(data)


def keeps_odd_names(at: At, name: str) -> None:
    at.put(f"names/{name}", name.encode())
    assert at.get(f"names/{name}") == name.encode()
    found = at.store.filesystem().find(at.path("names"))
    assert [str(path).rpartition("/")[2] for path in found] == [name]
    assert at.store.filesystem().cat_file(found[0]) == name.encode()


def names_differ_by_case(at: At) -> None:
    at.put("case/Name", b"upper")
    at.put("case/name", b"lower")
    assert (at.get("case/Name"), at.get("case/name")) == (b"upper", b"lower")


def names_are_deep(at: At) -> None:
    name = "/".join(f"level-{number}" for number in range(30))
    at.put(name, b"deep")
    assert at.get(name) == b"deep"


def reads_ranges(at: At, span: tuple[int, int | None]) -> None:
    data = bytes(range(256)) * 64
    at.put("ranged", data)
    start, end = span
    read = at.store.filesystem().cat_file(at.path("ranged"), start=start, end=end)
    assert read == data[start:end]


def reads_many_ranges_at_once(at: At) -> None:
    data = random.Random(3).randbytes(2 * MIB)
    at.put("ranges", data)
    starts = [random.Random(4).randrange(len(data) - 5000) for _ in range(40)]
    path = at.path("ranges")
    read = at.store.filesystem().cat_ranges(
        [path] * len(starts), starts, [start + 4321 for start in starts]
    )
    assert read == [data[start : start + 4321] for start in starts]


def streams_by_parts(at: At) -> None:
    data = random.Random(1).randbytes(12 * MIB + 5)
    with (
        at.store.errors(at.url("streamed")),
        at.store.filesystem().open(at.path("streamed"), "wb", block_size=5 * MIB) as file,
    ):
        for start in range(0, len(data), MIB):
            file.write(data[start : start + MIB])
    assert digest(at.get("streamed")) == digest(data)


def streams_of_nothing_make_empty_objects(at: At) -> None:
    with at.store.filesystem().open(at.path("nothing"), "wb"):
        pass
    assert at.get("nothing") == b""


def seeks_in_a_stream(at: At) -> None:
    data = random.Random(5).randbytes(6 * MIB)
    at.put("sought", data)
    with at.store.filesystem().open(at.path("sought"), "rb") as file:
        file.seek(5)
        assert file.read(10) == data[5:15]
        file.seek(-7, 2)
        assert file.read() == data[-7:]


def tells_what_is_missing(at: At) -> None:
    with pytest.raises(NotInStore) as caught:
        at.get("missing")
    assert caught.value.fix
    assert not at.store.filesystem().exists(at.path("missing"))


def tells_that_a_missing_object_has_no_size(at: At) -> None:
    with pytest.raises(NotInStore), at.store.errors(at.url("missing")):
        at.store.filesystem().info(at.path("missing"))


def tells_that_a_bucket_is_missing(at: At) -> None:
    with pytest.raises(NotInStore) as caught:
        get(at.store, at.place.missing)
    assert caught.value.fix


def refuses_to_write_to_a_missing_bucket(at: At) -> None:
    with pytest.raises(StorageError) as caught:
        at.store.put(at.place.missing, b"x")
    assert caught.value.fix


def deletes(at: At) -> None:
    at.put("gone", b"x")
    at.store.filesystem().rm_file(at.path("gone"))
    with pytest.raises(NotInStore):
        at.get("gone")


def deletes_twice(at: At) -> None:
    """The second time is silent, or says that there is nothing; it breaks nothing."""
    at.put("kept", b"x")
    at.put("twice", b"x")
    at.store.filesystem().rm_file(at.path("twice"))
    try:
        with at.store.errors(at.url("twice")):
            at.store.filesystem().rm_file(at.path("twice"))
    except NotInStore:
        pass
    assert at.get("kept") == b"x"


def deletes_all_below_a_prefix_only(at: At) -> None:
    for name in ("tree/a", "tree/b/c", "treetop"):
        at.put(name, b"x")
    at.store.filesystem().rm(at.path("tree"), recursive=True)
    assert at.get("treetop") == b"x"
    for name in ("tree/a", "tree/b/c"):
        with pytest.raises(NotInStore):
            at.get(name)


def comes_back_after_deletion(at: At) -> None:
    at.put("phoenix", b"1")
    at.store.filesystem().rm_file(at.path("phoenix"))
    at.put("phoenix", b"2")
    assert at.get("phoenix") == b"2"


def is_fetched_with_all_below_it(at: At) -> None:
    from stix.storage.transfer import fetch

    content = {"a": b"", "sub/b c": b"xyz", "sub/big": random.Random(2).randbytes(9 * MIB)}
    for name, data in content.items():
        at.put(f"source/{name}", data)
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder)
        first = fetch(at.url("source"), target / "copy", **at.place.options)
        assert first.files == 3
        assert first.bytes == sum(map(len, content.values()))
        assert {name: (target / "copy" / name).read_bytes() for name in content} == content
        fetch(at.url("source/sub/b c"), target / "one", **at.place.options)
        assert (target / "one").read_bytes() == b"xyz"


def is_fetched_once(at: At) -> None:
    from stix.storage.transfer import fetch

    at.put("once/a", b"12345")
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "copy"
        assert fetch(at.url("once"), target, **at.place.options).new_bytes == 5
        assert fetch(at.url("once"), target, **at.place.options).new_bytes == 0


CHECKS: tuple[Check, ...] = (
    Check(knows_its_scheme),
    Check(refuses_the_url_of_another_scheme),
    Check(refuses_options_it_does_not_know),
    Check(gives_what_was_put),
    Check(put_replaces_by_less),
    Check(put_replaces_by_more),
    Check(another_client_sees_it_at_once),
    Check(keeps_every_byte),
    *each(keeps_every_end, "data", ENDS),
    *each(keeps_every_size, "size", SIZES),
    *each(keeps_odd_names, "name", NAMES),
    Check(names_differ_by_case),
    Check(names_are_deep),
    *each(reads_ranges, "span", RANGES),
    Check(reads_many_ranges_at_once),
    Check(streams_by_parts),
    Check(streams_of_nothing_make_empty_objects),
    Check(seeks_in_a_stream),
    Check(tells_what_is_missing),
    Check(tells_that_a_missing_object_has_no_size),
    Check(tells_that_a_bucket_is_missing, has="missing"),
    Check(refuses_to_write_to_a_missing_bucket, has="missing"),
    Check(deletes),
    Check(deletes_twice),
    Check(deletes_all_below_a_prefix_only),
    Check(comes_back_after_deletion),
    Check(is_fetched_with_all_below_it),
    Check(is_fetched_once),
)
