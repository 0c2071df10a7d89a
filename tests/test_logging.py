from __future__ import annotations

from pathlib import Path

from stix.logging import KEEP, rotate


def test_rotation_keeps_the_file_its_writers_hold(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    with log.open("ab", buffering=0) as writer:
        for number in range(KEEP + 2):
            writer.write(b"%d" % number * 20)
            assert rotate(log, 10) is True
            assert log.stat().st_size == 0
        writer.write(b"new")
    assert log.read_bytes() == b"new"
    assert rotate(log, 10) is False
    kept = {path.name: path.read_bytes()[:1] for path in tmp_path.glob("server.log.*")}
    assert kept == {"server.log.1": b"4", "server.log.2": b"3", "server.log.3": b"2"}
    assert rotate(tmp_path / "none.log", 1) is False
