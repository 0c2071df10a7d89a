"""A job's output in our log store and in Prefect's logs."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest

from stix.tasks.logs import BURST, RECORD_BYTES, RECORD_LINES, LogFile, PrefectLog


class Kept(logging.Handler):
    """Keeps the messages of the records it gets."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def logger(kept: Kept) -> logging.Logger:
    made = logging.Logger("test", logging.INFO)
    made.addHandler(kept)
    return made


def lines_of(kept: Kept) -> list[str]:
    return "\n".join(kept.messages).split("\n")


async def test_few_lines_arrive_whole_and_in_order(logger: logging.Logger, kept: Kept) -> None:
    async with PrefectLog(logger) as log:
        log.feed(b"one\ntwo\r\nthr", "")
        log.feed(b"ee\n\nfive without end", "")
    assert lines_of(kept) == ["one", "two", "three", "", "five without end"]


async def test_output_cut_anywhere_is_the_same(logger: logging.Logger, kept: Kept) -> None:
    text = "zwölf Boxkämpfer\njagen Viktor\n"
    async with PrefectLog(logger) as log:
        for byte in text.encode():
            log.feed(bytes([byte]), "")
    assert lines_of(kept) == text.split("\n")[:-1]


async def test_nodes_do_not_mix_within_a_line(logger: logging.Logger, kept: Kept) -> None:
    async with PrefectLog(logger) as log:
        log.feed(b"first ", "[0] ")
        log.feed(b"second ", "[1] ")
        log.feed(b"zero\n", "[0] ")
        log.feed(b"one\n", "[1] ")
        log.feed(b"rest", "[0] ")
    assert lines_of(kept) == ["[0] first zero", "[1] second one", "[0] rest"]


async def test_a_flood_is_bounded_and_the_rest_is_counted(
    logger: logging.Logger, kept: Kept
) -> None:
    total = 100_000
    async with PrefectLog(logger) as log:
        for number in range(0, total, 100):
            log.feed(b"".join(b"line %d\n" % n for n in range(number, number + 100)), "")
        log.feed(b"the last words", "")
    *records, summary = kept.messages
    found = re.fullmatch(r"\.\.\. (\d+) lines are in `stix logs` only", summary)
    assert found is not None
    shown = [line for record in records for line in record.split("\n")]
    assert len(shown) + int(found.group(1)) == total + 1
    assert BURST <= len(records) < 200 < total / RECORD_LINES
    assert shown[0] == "line 0" and shown[-1] == "the last words"


async def test_a_line_without_end_is_cut_and_not_kept(logger: logging.Logger, kept: Kept) -> None:
    async with PrefectLog(logger) as log:
        for _ in range(64):
            log.feed(b"x" * 8192, "")
            assert sum(map(len, log._left.values())) <= RECORD_BYTES
    shown = [line for line in lines_of(kept) if not line.startswith("...")]
    assert shown and all(len(line) <= RECORD_BYTES for line in shown)


async def test_bytes_that_are_no_text_are_shown(logger: logging.Logger, kept: Kept) -> None:
    async with PrefectLog(logger) as log:
        log.feed(b"\xff\xfe\n", "")
    assert lines_of(kept) == ["\ufffd\ufffd"]


async def test_silence_sends_nothing(logger: logging.Logger, kept: Kept) -> None:
    async with PrefectLog(logger):
        pass
    assert kept.messages == []


def test_a_log_goes_on_where_the_file_ends(tmp_path: Path) -> None:
    path = tmp_path / "a" / "run-0.log"
    first = LogFile(path)
    assert first.offset == 0
    first.write(b"hello ")
    first.close()
    second = LogFile(path)
    assert second.offset == 6
    second.write(b"world")
    assert path.read_bytes() == b"hello world"  # visible before it is closed
    second.close()
    assert LogFile(path).offset == 11
    assert path.parent.stat().st_mode & 0o777 == 0o700
