"""What every runner must do, as tests. Needs pytest and pytest-asyncio."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from stix.remote.base import ConnectionLost, RemoteError, Runner
from stix.remote.testing import programs

MIB = 1 << 20
WEIRD_NAMES = ("plain", "two words", "new\nline", "ümlaut ☃", "-dash", "quote'\"", "$HOME", "*")


class RunnerConformance:
    """Subclass it, and give the fixtures ``runner`` and ``lost``."""

    @pytest.fixture
    async def place(self, runner: Runner, tmp_path: Path) -> str:
        """A fresh directory on the node."""
        done = await runner.run(["mktemp", "-d"])
        return done.stdout.decode().strip()

    @pytest.mark.parametrize("code", [0, 1, 3, 255])
    async def test_exit_code(self, runner: Runner, code: int) -> None:
        assert (await runner.run(["sh", "-c", f"exit {code}"])).exit_code == code

    async def test_signal_counts_from_128(self, runner: Runner) -> None:
        assert (await runner.run(["sh", "-c", "kill -TERM $$"])).exit_code == 128 + 15

    async def test_unknown_program(self, runner: Runner) -> None:
        assert (await runner.run(["no-such-program-here"])).exit_code == 127

    async def test_streams_are_apart(self, runner: Runner) -> None:
        done = await runner.run(["sh", "-c", "echo out; echo err >&2"])
        assert (done.stdout, done.stderr) == (b"out\n", b"err\n")

    async def test_ten_megabytes_in_and_out(self, runner: Runner) -> None:
        data = os.urandom(10 * MIB)
        assert (await runner.run(["cat"], input=data)).stdout == data

    async def test_input_that_nobody_reads(self, runner: Runner) -> None:
        assert (await runner.run(["true"], input=b"x" * MIB)).exit_code == 0

    async def test_input_ends(self, runner: Runner) -> None:
        assert (await runner.run(["wc", "-c"])).stdout.strip() == b"0"

    async def test_every_byte(self, runner: Runner) -> None:
        data = bytes(range(256)) * 5
        assert (await runner.run(["cat"], input=data)).stdout == data

    @pytest.mark.parametrize("text", [*WEIRD_NAMES, "", " ", "a\\b", "`id`", "$(id)", "; exit 9"])
    async def test_arguments_arrive_as_given(self, runner: Runner, text: str) -> None:
        done = await runner.run(["printf", "%s", text])
        assert (done.exit_code, done.stdout.decode()) == (0, text)

    async def test_environment(self, runner: Runner) -> None:
        done = await runner.run(["sh", "-c", 'printf %s "$A:$B"'], env={"A": "x y", "B": "☃'"})
        assert done.stdout.decode() == "x y:☃'"

    async def test_timeout_kills(self, runner: Runner, place: str) -> None:
        script = f'echo $$ > "{place}/pid"; exec sleep 600'
        with pytest.raises(TimeoutError):
            await runner.run(["sh", "-c", script], timeout=1)
        await _gone(runner, f"{place}/pid")

    async def test_cancel_kills(self, runner: Runner, place: str) -> None:
        script = f'echo $$ > "{place}/pid"; exec sleep 600'
        task = asyncio.create_task(runner.run(["sh", "-c", script]))
        while (await runner.run(["test", "-s", f"{place}/pid"])).exit_code:
            await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await _gone(runner, f"{place}/pid")

    async def test_thirty_at_once(self, runner: Runner) -> None:
        runs = [runner.run(["sh", "-c", f"sleep 0.1; echo {i}"]) for i in range(30)]
        done = await asyncio.gather(*runs)
        assert [int(d.stdout) for d in done] == list(range(30))

    @pytest.mark.parametrize("name", WEIRD_NAMES)
    async def test_file_there_and_back(
        self, runner: Runner, place: str, tmp_path: Path, name: str
    ) -> None:
        source = tmp_path / "source"
        source.write_bytes(bytes(range(256)))
        source.chmod(0o751)
        await runner.put(source, f"{place}/new dir/{name}")
        back = tmp_path / "back" / name
        await runner.get(f"{place}/new dir/{name}", back)
        assert back.read_bytes() == bytes(range(256))
        assert back.stat().st_mode & 0o777 == 0o751

    async def test_big_file_there_and_back(
        self, runner: Runner, place: str, tmp_path: Path
    ) -> None:
        source, back = tmp_path / "big", tmp_path / "back"
        source.write_bytes(os.urandom(20 * MIB + 17))
        source.chmod(0o640)
        await runner.put(source, f"{place}/big file")
        await runner.get(f"{place}/big file", back)
        assert back.read_bytes() == source.read_bytes()
        assert back.stat().st_mode & 0o777 == 0o640
        listed = await runner.run(["ls", "-A", place])
        assert listed.stdout.decode().split("\n") == ["big file", ""]

    async def test_empty_file(self, runner: Runner, place: str, tmp_path: Path) -> None:
        (tmp_path / "empty").touch()
        await runner.put(tmp_path / "empty", f"{place}/empty")
        await runner.get(f"{place}/empty", tmp_path / "back")
        assert (tmp_path / "back").read_bytes() == b""

    async def test_tree_there_and_back(self, runner: Runner, place: str, tmp_path: Path) -> None:
        source, back = tmp_path / "tree", tmp_path / "back"
        _make_tree(source)
        await runner.put(source, f"{place}/tree")
        await runner.get(f"{place}/tree", back)
        assert _picture(back) == _picture(source)

    async def test_tree_joins_what_is_there(
        self, runner: Runner, place: str, tmp_path: Path
    ) -> None:
        for name, text in (("one", "1"), ("two", "2")):
            (tmp_path / name / "sub").mkdir(parents=True)
            (tmp_path / name / "sub" / name).write_text(text)
            (tmp_path / name / "same").write_text(text)
            await runner.put(tmp_path / name, f"{place}/tree")
        await runner.get(f"{place}/tree", tmp_path / "back")
        files = {p.name: p.read_text() for p in (tmp_path / "back").rglob("*") if p.is_file()}
        assert files == {"one": "1", "two": "2", "same": "2"}

    async def test_get_replaces_a_file(self, runner: Runner, place: str, tmp_path: Path) -> None:
        (tmp_path / "here").write_text("new")
        (tmp_path / "there").write_text("old and longer")
        await runner.put(tmp_path / "here", f"{place}/file")
        await runner.get(f"{place}/file", tmp_path / "there")
        assert (tmp_path / "there").read_text() == "new"

    async def test_home_is_a_tilde(self, runner: Runner, tmp_path: Path) -> None:
        name = f".stix-conformance-{os.getpid()}"
        (tmp_path / "x").write_text("home")
        await runner.put(tmp_path / "x", f"~/{name}")
        try:
            found = await runner.run(["sh", "-c", f'cat "$HOME/{name}"'])
            assert found.stdout == b"home"
            await runner.get(f"~/{name}", tmp_path / "y")
            assert (tmp_path / "y").read_text() == "home"
        finally:
            await runner.run(["sh", "-c", f'rm -f "$HOME/{name}"'])

    async def test_missing_source_there(self, runner: Runner, place: str, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            await runner.get(f"{place}/missing", tmp_path / "x")
        assert list(tmp_path.iterdir()) == []

    async def test_missing_source_here(self, runner: Runner, place: str, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            await runner.put(tmp_path / "missing", f"{place}/x")
        assert (await runner.run(["ls", "-A", place])).stdout == b""

    async def test_put_below_a_file_fails(self, runner: Runner, place: str, tmp_path: Path) -> None:
        (tmp_path / "x").write_text("x")
        await runner.put(tmp_path / "x", f"{place}/file")
        with pytest.raises((RemoteError, OSError)):
            await runner.put(tmp_path / "x", f"{place}/file/below")

    async def test_unix_socket(self, runner: Runner, place: str) -> None:
        async with programs.listening(runner, programs.UNIX_ECHO, f"{place}/s"):
            stream = await runner.open_unix(f"{place}/s")
            data = os.urandom(3 * MIB)
            reading = asyncio.create_task(stream.reader.readexactly(len(data)))
            stream.write(data)
            await stream.drain()
            assert await reading == data
            stream.write(b"line\n")
            assert await stream.reader.readline() == b"line\n"
            await stream.close()

    async def test_twenty_unix_sockets(self, runner: Runner, place: str) -> None:
        async with programs.listening(runner, programs.UNIX_ECHO, f"{place}/s"):
            streams = [await runner.open_unix(f"{place}/s") for _ in range(20)]
            for number, stream in enumerate(streams):
                stream.write(b"%d\n" % number)
            lines = [await stream.reader.readline() for stream in streams]
            assert lines == [b"%d\n" % n for n in range(20)]
            for stream in streams:
                await stream.close()

    async def test_nobody_listens(self, runner: Runner, place: str) -> None:
        with pytest.raises(ConnectionLost):
            await runner.open_unix(f"{place}/no-socket")

    async def test_forward(self, runner: Runner, place: str) -> None:
        async with programs.listening(runner, programs.TCP_ECHO, f"{place}/port"):
            port = int((await runner.run(["cat", f"{place}/port"])).stdout)
            async with runner.forward(port) as local:
                reader, writer = await asyncio.open_connection("127.0.0.1", local)
                writer.write(b"through\n")
                assert await reader.readline() == b"through\n"
                writer.close()
                await writer.wait_closed()

    async def test_lost_node(self, lost: Runner, tmp_path: Path) -> None:
        with pytest.raises(RemoteError):
            await lost.open_unix("/tmp/any")


async def _gone(runner: Runner, pid_file: str) -> None:
    script = f'p=$(cat "{pid_file}") && ! kill -0 "$p" 2>/dev/null'
    for _ in range(200):
        if (await runner.run(["sh", "-c", script])).exit_code == 0:
            return
        await asyncio.sleep(0.05)
    pytest.fail("the process still runs")


def _make_tree(root: Path) -> None:
    (root / "empty").mkdir(parents=True)
    (root / "deep/er").mkdir(parents=True)
    for name in WEIRD_NAMES:
        (root / "deep" / name).write_text(name)
    (root / "script").write_text("#!/bin/sh\n")
    (root / "script").chmod(0o755)
    (root / "secret").write_text("s")
    (root / "secret").chmod(0o600)
    (root / "closed").mkdir(mode=0o700)
    (root / "link").symlink_to("deep/plain")
    (root / "dangling").symlink_to("nowhere")
    (root / "folder link").symlink_to("deep")


def _picture(root: Path) -> dict[str, tuple[str, int, str]]:
    found = {}
    for path in root.rglob("*"):
        mode = path.lstat().st_mode & 0o7777
        name = str(path.relative_to(root))
        if path.is_symlink():
            found[name] = ("link", 0, str(path.readlink()))
        elif path.is_dir():
            found[name] = ("dir", mode, "")
        else:
            found[name] = ("file", mode, path.read_text())
    return found
