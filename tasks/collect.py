"""Step ``collect``: outputs, results and logs become artifacts that outlive the machine."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prefect import task
from prefect.logging import get_run_logger

from stix.clouds.base import Node
from stix.engine.runtime import ATTEMPT, Attempt
from stix.recovery.events import UserError
from stix.remote.base import ConnectionLost, Runner
from stix.secrets import Redactor
from stix.storage.artifacts import Stored
from stix.storage.base import StorageError
from stix.tasks.environment import output_path, result_path
from stix.tasks.failures import StepFailed
from stix.tasks.flush import flush_all
from stix.tasks.jobs import client_of, reach_again, runner_of
from stix.tasks.push import push

RESULT_LIMIT = 256 * 1024


@task(name="collect", persist_result=False)
async def collect(run_id: str, stage: str, attempt: int) -> None:
    """Store the declared outputs and the small results of rank 0, and all logs."""
    current = ATTEMPT.get()
    await flush_all(current)
    head = min(current.nodes, key=lambda node: node.rank)
    while True:
        try:
            outputs, result = await _gather(current)
            break
        except ConnectionLost as lost:
            await reach_again(current, head, await client_of(current, head), lost)
    await store_logs(current)
    await current.finish_step("collect", {"outputs": outputs, "result": result})


async def _gather(attempt: Attempt) -> tuple[dict[str, str], dict[str, Any]]:
    head = min(attempt.nodes, key=lambda node: node.rank)
    runner = await runner_of(attempt, head)
    outputs: dict[str, str] = {}
    for name in attempt.spec.outputs:
        stored = await _store_output(attempt, runner, head, name, output_path(head, attempt, name))
        await _record(attempt, stored, name, "output")
        outputs[name] = stored.digest
    return outputs, await _read_result(attempt, runner, head)


async def _store_output(
    attempt: Attempt, runner: Runner, head: Node, name: str, path: str
) -> Stored:
    """Put one output into the store.

    Raises:
        StepFailed: the command ended well without making it.
    """
    try:
        return await push(attempt, head, runner, path)
    except FileNotFoundError as error:
        declared = attempt.spec.outputs[name].path
        message = f"output {name!r} is missing: the command made no {declared}"
        raise StepFailed(UserError(exit_code=0, detail=message), message) from error
    except (StorageError, OSError) as error:
        message = f"output {name!r} cannot be stored: {error}"
        raise StepFailed(UserError(exit_code=0, detail=message), message) from error


async def _read_result(attempt: Attempt, runner: Runner, head: Node) -> dict[str, Any]:
    """The JSON object that the stage wrote to ``$STIX_RESULT``; empty where it wrote none.

    Raises:
        StepFailed: what it wrote is of no use.
    """
    path = result_path(head)
    try:
        found = await (await client_of(attempt, head)).stat(path)
        if found.type == "missing":
            return {}
        if found.type != "file":
            raise ValueError("it is not a file")
        if found.size > RESULT_LIMIT:
            raise ValueError(f"it has {found.size} bytes; at most {RESULT_LIMIT} are taken")
        with tempfile.TemporaryDirectory(prefix="stix-collect-") as folder:
            here = Path(folder) / "result.json"
            await runner.get(path, here)
            data = here.read_bytes()
        return parse_result(Redactor(attempt.secrets.values()).bytes(data))
    except (ValueError, OSError) as error:
        message = f"the file at $STIX_RESULT cannot be used: {error}"
        raise StepFailed(UserError(exit_code=0, detail=message), message) from error


def parse_result(data: bytes) -> dict[str, Any]:
    """The object in ``data``; what JSON knows but PostgreSQL does not, the ledger writes as text.

    Raises:
        ValueError: it is not JSON, or no object.
    """
    try:
        result = json.loads(data)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(result, dict):
        raise ValueError("it is not a JSON object")
    return result


async def _record(attempt: Attempt, stored: Stored, name: str, kind: str) -> None:
    runtime = attempt.run.runtime
    facts: Mapping[str, Any] = {
        "digest": stored.digest,
        "key": attempt.key,
        "attempt": attempt.number,
        "name": name,
        "kind": kind,
        "bytes": stored.bytes,
        "files": stored.files,
        "url": attempt.store.url_of(stored.digest),
    }
    await runtime.ledger.add_artifact(attempt.run.fence, **facts)
    await runtime.ledger.add_replicas(stored.digest, attempt.store.written(stored.digest))


async def store_logs(attempt: Attempt) -> None:
    """Store what the attempt wrote so far, as one artifact; also of an attempt that failed.

    A store that refuses does not change how the attempt ended, and the server has the logs still.
    """
    path = attempt.log_dir
    if not path.is_dir() or not any(f.stat().st_size for f in path.iterdir()):
        return
    try:
        stored = await asyncio.to_thread(attempt.store.put_path, path)
    except StorageError as error:
        get_run_logger().warning("the logs were not stored as an artifact: %s", error.message)
        return
    await _record(attempt, stored, "logs", "log")
