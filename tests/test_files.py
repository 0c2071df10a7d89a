from __future__ import annotations

import stat
import threading
from pathlib import Path

from stix.files import write_private


def test_whole_private_and_alone(tmp_path: Path) -> None:
    path = tmp_path / "token"
    assert write_private(path, "one") is True
    assert write_private(path, "two", replace=False) is False
    assert path.read_text() == "one"
    assert write_private(path, b"three") is True
    assert path.read_text() == "three"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["token"]


def test_one_of_many_writers_wins(tmp_path: Path) -> None:
    path = tmp_path / "key"
    won: list[str] = []

    def write(name: str) -> None:
        if write_private(path, name * 1000, replace=False):
            won.append(name)

    threads = [threading.Thread(target=write, args=(str(i),)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert path.read_text() == won[0] * 1000
