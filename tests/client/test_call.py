"""A call's way to another Python process and back, by the files that are sent to a node."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import cloudpickle
import pytest

from stix.client import call as calls
from stix.client import call_runner
from stix.client.call import CALL_FOLDER, Call, failure_of, write_call
from stix.client.decorator import StageFunction, stage
from stix.errors import UsageError
from stix.spec.problems import SpecErrors

OFFSET = 10


class Strange(Exception):
    """An exception of this module, which the node does not have."""

    def __init__(self, code: int) -> None:
        super().__init__(f"strange {code}")
        self.code = code

    def __reduce__(self) -> tuple[Any, ...]:
        return Strange, (self.code,)


class Unpicklable(Exception):
    """Refuses to travel."""

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("no")


def helper(value: int) -> int:
    return value + OFFSET


def compute(value: int, *, factor: int = 2) -> dict[str, int]:
    return {"value": helper(value) * factor}


async def compute_async(value: int) -> int:
    return helper(value)


def fail(code: int) -> None:
    raise Strange(code)


def fail_unpicklable() -> None:
    raise Unpicklable("held back")


def fail_big() -> None:
    raise ValueError(os.urandom(200_000).hex())


def node(
    folder: Path, call: Call, python: str = sys.executable
) -> subprocess.CompletedProcess[str]:
    """Run a call as a node would: another process, our modules not on its path."""
    write_call(call, folder / CALL_FOLDER)
    return subprocess.run(
        [python, "-P", f"{CALL_FOLDER}/run.py"],
        cwd=folder,
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], "STIX_OUTPUT_RESULT": str(folder / "out")},
        timeout=60,
    )


def result(folder: Path) -> Any:
    return cloudpickle.loads((folder / "out" / "result.pkl").read_bytes())


def test_a_function_of_this_module_travels_by_value(tmp_path: Path) -> None:
    done = node(tmp_path, Call(compute, (1,), {"factor": 3}))
    assert done.returncode == 0, done.stderr
    assert result(tmp_path) == {"value": 33}


def test_an_async_function(tmp_path: Path) -> None:
    assert node(tmp_path, Call(compute_async, (5,), {})).returncode == 0
    assert result(tmp_path) == 15


def test_a_stage_called_within_a_stage_is_the_plain_function(tmp_path: Path) -> None:
    inner = StageFunction(helper, {"name": "helper"})

    def outer(value: int) -> int:
        got: int = inner(value)
        return got * 2

    assert node(tmp_path, Call(outer, (1,), {})).returncode == 0
    assert result(tmp_path) == 22


def test_an_exception_comes_back_with_its_traceback(tmp_path: Path) -> None:
    done = node(tmp_path, Call(fail, (7,), {}))
    assert done.returncode == 1
    error = failure_of(done.stdout)
    assert isinstance(error, Strange)
    assert error.code == 7
    assert "in fail" in str(error.__cause__)
    assert "in fail" in done.stderr


@pytest.mark.parametrize("function", [fail_unpicklable, fail_big])
def test_an_exception_that_cannot_travel_is_told(function: Any, tmp_path: Path) -> None:
    done = node(tmp_path, Call(function, (), {}))
    error = failure_of(done.stdout)
    assert isinstance(error, calls.RemoteError)
    assert function.__name__ in str(error.__cause__)
    assert len(done.stdout) < 2 * call_runner.LIMIT


def test_output_without_an_exception_gives_none() -> None:
    assert failure_of("hello\nstix-exceptional: x\n") is None


def test_another_python_is_refused(tmp_path: Path) -> None:
    write_call(Call(helper, (1,), {}), tmp_path / CALL_FOLDER)
    (tmp_path / CALL_FOLDER / "call.version").write_text("3.2")
    done = subprocess.run(
        [sys.executable, f"{CALL_FOLDER}/run.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == call_runner.WRONG_PYTHON
    assert "Python 3.2" in done.stderr
    assert "fix:" in done.stderr


def test_this_module_stays_importable_by_reference_here() -> None:
    assert __name__ not in cloudpickle.list_registry_pickle_by_value()


def test_wrong_arguments_are_refused_at_the_decorator() -> None:
    with pytest.raises(SpecErrors, match="resourcs"):
        stage(resourcs={"cpus": 1})(helper)  # type: ignore[call-overload]
    with pytest.raises(SpecErrors, match="cpus"):
        stage(resources={"cpus": "many"})(helper)


def test_what_is_no_function_is_refused() -> None:
    def numbers() -> Any:
        yield 1

    with pytest.raises(UsageError, match="generator"):
        stage(numbers)
    with pytest.raises(UsageError, match="function"):
        stage(Strange)
