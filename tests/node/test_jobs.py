"""Jobs on a real agent: start, output, end, stop."""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import aclosing
from pathlib import Path

import pytest

from stix.remote.agent import AgentClient, AgentError, Chunk, End, JobStart, NodeRecord
from stix.remote.local import LocalRunner
from tests.support.agents import eventually, first_line, marked, output, runs


async def test_output_and_exit_code(client: AgentClient) -> None:
    assert await client.start(JobStart("r/a", "echo out; echo err >&2; exit 7")) == "running"
    data, status = await output(client, "r/a")
    assert data == b"out\nerr\n"
    assert (status.state, status.exit_code, status.signal, status.oom) == ("exited", 7, None, False)
    assert status.started and status.ended and status.ended >= status.started
    assert status.usage["max_rss_bytes"] > 0


async def test_signal(client: AgentClient) -> None:
    await client.start(JobStart("r/a", "kill -SEGV $$"))
    status = await client.wait("r/a")
    assert (status.exit_code, status.signal) == (139, 11)


async def test_same_job_starts_once(client: AgentClient, node: NodeRecord) -> None:
    job = JobStart("r/a", "echo x >> count; sleep 0.2")
    states = [await client.start(job) for _ in range(3)]
    await client.wait("r/a")
    assert states == ["running"] * 3
    assert await client.start(job) == "exited"
    assert (Path(node.directory) / "work/count").read_text() == "x\n"


async def test_environment_is_clean(
    client: AgentClient, node: NodeRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    await client.start(JobStart("r/a", "env -0", env={"MINE": "a b\n☃"}))
    data, _ = await output(client, "r/a")
    found = dict(row.split("=", 1) for row in data.decode().split("\0") if row)
    shell_own = {"PWD", "SHLVL", "_", "OLDPWD"}
    assert set(found) - shell_own == {
        "PATH", "HOME", "LANG", "USER", "LOGNAME", "SHELL", "TMPDIR",
        "STIX_NODE_ID", "STIX_JOB_ID", "MINE",
    }  # fmt: skip
    assert found["MINE"] == "a b\n☃"
    assert found["STIX_NODE_ID"] == node.id
    assert found["TMPDIR"] == f"{node.directory}/tmp"
    assert found["PWD"] == f"{node.directory}/work"


async def test_signals_are_reset(client: AgentClient) -> None:
    await client.start(JobStart("r/a", "grep -E 'SigIgn|SigBlk' /proc/self/status"))
    data, _ = await output(client, "r/a")
    assert {int(line.split()[1], 16) for line in data.decode().splitlines()} == {0}


async def test_input_is_empty_and_descriptors_are_few(client: AgentClient) -> None:
    await client.start(JobStart("r/a", "cat; ls /proc/self/fd | wc -l"))
    data, status = await output(client, "r/a")
    assert (status.exit_code, data.split()) == (0, [b"4"])


async def test_big_script_and_binary_output(client: AgentClient) -> None:
    filler = "# " + "x" * 300_000
    await client.start(JobStart("r/a", f"{filler}\nhead -c 3000000 /dev/urandom | tee copy"))
    data, _ = await output(client, "r/a")
    info = await client.stat("work/copy")
    assert len(data) == info.size == 3_000_000


async def test_tail_resumes_at_any_offset(client: AgentClient) -> None:
    await client.start(JobStart("r/a", "for i in $(seq 50); do echo line $i; done; sleep 0.3"))
    whole, _ = await output(client, "r/a")
    for offset in (0, 1, 7, len(whole) - 1, len(whole)):
        rest, _ = await output(client, "r/a", offset)
        assert rest == whole[offset:]


async def test_tail_follows_and_many_read(client: AgentClient, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    await client.start(JobStart("r/a", f"echo one; cat {gate}; echo two"))
    readers = [asyncio.create_task(output(client, "r/a")) for _ in range(5)]
    assert await first_line(client, "r/a") == "one"
    async with aclosing(client.tail("r/a", follow=False)) as items:
        peek = [item async for item in items]
    assert isinstance(peek[-1], End) and not peek[-1].ended
    await asyncio.to_thread(gate.write_text, "middle\n")
    assert {(await reader)[0] for reader in readers} == {b"one\nmiddle\ntwo\n"}


async def test_slow_reader_gets_all(client: AgentClient) -> None:
    await client.start(JobStart("r/a", "head -c 8000000 /dev/zero"))
    size = 0
    async with aclosing(client.tail("r/a")) as items:
        async for item in items:
            await asyncio.sleep(0.001)
            size += len(item.data) if isinstance(item, Chunk) else 0
    assert size == 8_000_000


async def test_lost_connection_changes_nothing(
    client: AgentClient, runner: LocalRunner, node: NodeRecord
) -> None:
    await client.start(JobStart("r/a", "sleep 0.5; echo done"))
    tail = client.tail("r/a")
    reading = asyncio.create_task(anext(tail))
    await asyncio.sleep(0.1)
    reading.cancel()
    await client.close()
    again = AgentClient(runner, node.socket)
    data, status = await output(again, "r/a")
    assert (data, status.exit_code) == (b"done\n", 0)
    await again.close()


async def test_a_cut_request_does_not_disturb(runner: LocalRunner, node: NodeRecord) -> None:
    stream = await runner.open_unix(node.socket)
    stream.write(b'{"op":"put_file","path":"work/x","size":1000}\nhalf')
    await stream.drain()
    await stream.close()
    client = AgentClient(runner, node.socket)
    assert (await client.hello())["id"] == node.id
    assert (await client.stat("work/x")).type == "missing"
    await client.close()


async def test_barrier(client: AgentClient) -> None:
    assert await client.start(JobStart("r/a", "echo go", barrier=True)) == "waiting"
    assert (await client.status("r/a")).state == "waiting"
    assert await client.release("r/a") == "running"
    data, _ = await output(client, "r/a")
    assert data == b"go\n"
    assert await client.start(JobStart("r/b", "echo no", barrier=True)) == "waiting"
    assert await client.stop("r/b") == "exited"
    assert await client.release("r/b") == "exited"
    assert (await output(client, "r/b"))[0] == b""


async def test_stop_is_polite_first(client: AgentClient) -> None:
    script = "trap 'echo bye; exit 5' TERM; echo up; while :; do sleep 0.05; done"
    await client.start(JobStart("r/a", script))
    assert await first_line(client, "r/a") == "up"
    assert await client.stop("r/a", grace=20) == "exited"
    data, status = await output(client, "r/a")
    assert (data.split()[-1], status.exit_code) == (b"bye", 5)


async def test_stop_kills_what_ignores_it(client: AgentClient) -> None:
    script = "trap '' TERM; (trap '' TERM; setsid sleep 600) & echo $$; sleep 600; sleep 600"
    await client.start(JobStart("r/a", script))
    pid = int(await first_line(client, "r/a"))
    assert await client.stop("r/a", grace=0.3) == "exited"
    status = await client.status("r/a")
    assert (status.exit_code, status.signal, status.oom) == (137, 9, False)
    assert not runs(pid)


async def test_stop_finds_sessions_of_their_own(client: AgentClient, node: NodeRecord) -> None:
    await client.start(JobStart("r/a", "(setsid setsid sleep 600 &) ; echo up; sleep 600"))
    assert await first_line(client, "r/a") == "up"
    await client.start(JobStart("r/b", "echo other; sleep 600"))
    assert await first_line(client, "r/b") == "other"
    await client.stop("r/a", grace=0.2)
    assert (await client.status("r/b")).state == "running"
    left = {Path(f"/proc/{pid}/environ").read_bytes() for pid in marked(node.id)}
    assert left and all(b"STIX_JOB_ID=r/b" in env for env in left)


async def test_stop_before_the_first_instruction(client: AgentClient) -> None:
    for number in range(20):
        await client.start(JobStart(f"r/{number}", "sleep 600"))
        await client.stop(f"r/{number}", grace=60)
        assert (await client.status(f"r/{number}")).signal == 15


async def test_background_process_does_not_delay_the_end(client: AgentClient) -> None:
    await client.start(JobStart("r/a", "sleep 600 & echo $!"))
    data, status = await output(client, "r/a")
    assert status.exit_code == 0
    assert runs(int(data))
    await client.stop("r/a", grace=0)
    assert not runs(int(data))


async def test_hundred_at_once(client: AgentClient) -> None:
    for number in range(100):
        await client.start(JobStart(f"r/{number}", f"echo {number}; sleep 0.3; exit {number}"))
    done = await asyncio.gather(*(output(client, f"r/{n}") for n in range(100)))
    assert [(int(data), status.exit_code) for data, status in done] == [(n, n) for n in range(100)]


async def test_odd_job_names(client: AgentClient, node: NodeRecord) -> None:
    names = ["r/train[model=svm,seed=1]/1/run-0", "r/../../x", "r/" + "long" * 200, "r/ü ☃"]
    for name in names:
        await client.start(JobStart(name, 'printf %s "$STIX_JOB_ID"'))
        assert (await output(client, name))[0].decode() == name
    assert len(list((Path(node.directory) / "jobs").iterdir())) == len(names)


@pytest.mark.parametrize(
    "job",
    [
        JobStart("", "true"),
        JobStart("r/a", "true", cwd="/no/such/dir"),
        JobStart("r/a", "true", env={"A=B": "x"}),
        JobStart("r/a", "true", env={"A": "x\0y"}),
    ],
)
async def test_impossible_jobs(client: AgentClient, job: JobStart) -> None:
    with pytest.raises(AgentError) as caught:
        await client.start(job)
    assert caught.value.code == "invalid"
    assert (await client.hello())["jobs"] == {}


async def test_too_big_an_environment_is_told(client: AgentClient) -> None:
    await client.start(JobStart("r/a", "true", env={"BIG": "x" * 3_000_000}))
    data, status = await output(client, "r/a")
    assert status.exit_code == 126
    assert b"cannot start" in data


async def test_fence_is_per_run(client: AgentClient) -> None:
    await client.start(JobStart("r1/a", "sleep 600", fence=5))
    for attempt in (JobStart("r1/b", "true", fence=4), JobStart("r1/a", "true", fence=4)):
        with pytest.raises(AgentError) as caught:
            await client.start(attempt)
        assert caught.value.code == "fenced"
    with pytest.raises(AgentError):
        await client.stop("r1/a", fence=4)
    assert (await client.status("r1/a")).state == "running"
    assert await client.start(JobStart("r2/a", "true", fence=1)) == "running"
    assert await client.stop("r1/a", fence=6, grace=5) == "exited"
    with pytest.raises(AgentError):
        await client.start(JobStart("r1/c", "true", fence=5))


async def test_log_limit(client: AgentClient) -> None:
    await client.start(JobStart("r/a", "seq 100000; exit 3", log_limit=1000))
    data, status = await output(client, "r/a")
    assert (status.exit_code, status.truncated) == (3, True)
    assert data.startswith(b"1\n2\n3\n") and b"cut here" in data and len(data) < 1100


async def test_sample_counts_the_job(client: AgentClient) -> None:
    script = "exec python3 -c 'x = b\"x\" * 50_000_000; print(1, flush=True); input()' < /dev/zero"
    await client.start(JobStart("r/a", script))
    assert await first_line(client, "r/a") == "1"
    sample = await client.sample()
    assert sample["rss_bytes"] > 50_000_000
    assert sample["processes"] == 1


async def test_state_is_on_disk(client: AgentClient, node: NodeRecord) -> None:
    await client.start(JobStart("r/a", "exit 4", secrets={"S": "very-secret"}))
    await client.wait("r/a")
    folder = Path(node.directory) / "jobs/r%2Fa"
    assert json.loads((folder / "state.json").read_text())["exit_code"] == 4
    assert {p.name: p.stat().st_mode & 0o777 for p in folder.iterdir()} == {
        "script": 0o600, "log": 0o600, "state.json": 0o600,
    }  # fmt: skip
    for path in Path(node.directory).rglob("*"):
        assert not path.is_file() or b"very-secret" not in path.read_bytes()
    await eventually(lambda: marked(node.id) == [], "all processes ended")
