"""Which words of a mount's process are a store's fault, and which are the program's own."""

from __future__ import annotations

import pytest

from stix.tasks.mounts import trouble_in

AT = "2026/11/20 15:26:26 ERROR : "


@pytest.mark.parametrize(
    "line",
    [
        "in: ReadFileHandle.Read error: read tcp 127.0.0.1:1->127.0.0.1:2: i/o timeout",
        "IO error: operation error S3: ListObjects, net/http: timeout awaiting response headers",
        "/: Dir.Stat error: dial tcp 10.77.0.1:8333: connect: connection refused",
        "out: vfs cache: failed to upload try #3, will retry in 8s: AccessDenied",
        "x: Failed to copy: https response error StatusCode: 503, SlowDown",
    ],
)
def test_trouble_of_a_store(line: str) -> None:
    log = f"{AT}{line}\n2026/11/20 15:27:00 NOTICE: all is well\n".encode()
    assert trouble_in(log) == AT + line


@pytest.mark.parametrize(
    "line",
    [
        f"{AT}a: Dir.Rename error: directory not empty",
        f"{AT}a: link: function not implemented",
        "2026/11/20 15:27:00 NOTICE: low level retry after timeout",
        "",
    ],
)
def test_what_a_program_asks_for_in_vain_is_none(line: str) -> None:
    assert trouble_in(line.encode()) == ""
