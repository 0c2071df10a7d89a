"""One function call as a pipeline of one stage: pickled here, run on a node, result fetched."""

from __future__ import annotations

import base64
import shutil
import sys
import tempfile
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from stix.client import call_runner
from stix.client.local import ensure_server
from stix.client.sdk import Run
from stix.client.submit import Options, prepare, secret_values, submit
from stix.errors import StixError
from stix.spec.models import StageSpec
from stix.spec.states import RunState, StageState

RESULT = "result"
CALL_FOLDER = ".stix-call"
_pickling = threading.Lock()


class RemoteTraceback(Exception):
    """Where a function failed on its node; the cause of the exception that is raised here."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f"\n{self.text}"


class RemoteError(StixError):
    """A function failed on its node with an exception that could not be sent back."""


@dataclass(frozen=True)
class Call:
    """A function with its arguments, and the stage that runs it."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    stage: Mapping[str, Any] = field(default_factory=dict)
    """Fields of ``stix.Task``: resources, recovery, envs, setup ..."""


def run_call(call: Call) -> Any:
    """Run a call on placed compute and give its result.

    Raises:
        Exception: whatever the function raised, with the node's traceback as its cause.
        RunFailed: the stage failed for another reason.
    """
    with tempfile.TemporaryDirectory(prefix="stix-call-") as place:
        folder = Path(place)
        write_call(call, folder / CALL_FOLDER)
        options = Options(base=folder)
        prepared = prepare(_stage(call), options)
        client = ensure_server(hidden=secret_values(prepared, options))
        made = submit(client, prepared, options)
    run = Run(client, client.run(made["id"]))
    try:
        run.wait(check=False)
    except BaseException:
        # Whoever asked is gone: nobody would fetch the result.
        run.cancel()
        raise
    return _result(run)


def write_call(call: Call, folder: Path) -> None:
    """The runner, the call and the pickler, as they lie in the node's working directory."""
    import cloudpickle

    folder.mkdir()
    shutil.copy(call_runner.__file__, folder / "run.py")
    source = Path(cloudpickle.__file__).parent
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(source, folder / "cloudpickle", ignore=ignore)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    (folder / "call.version").write_text(version, encoding="utf-8")
    with _by_value(call.function):
        data = cloudpickle.dumps((call.function, call.args, dict(call.kwargs)))
    (folder / "call.pkl").write_bytes(data)


def _stage(call: Call) -> StageSpec:
    given = dict(call.stage)
    outputs = {**given.pop("outputs", {}), RESULT: f"{CALL_FOLDER}-result"}
    # Not the constructor: this stage joins no DAG whose block is open.
    return StageSpec.model_validate(
        {"cache": False, **given, "workdir": ".", "outputs": outputs, "run": _script()}
    )


def _script() -> str:
    """The first fitting Python of: STIX_PYTHON, a .venv made by setup, the caller's own, PATH."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return f"""\
for python in "${{STIX_PYTHON:-}}" .venv/bin/python {_quoted(sys.executable)} {version} python3; do
  [ -n "$python" ] && command -v "$python" >/dev/null 2>&1 && break
done
exec "$python" {CALL_FOLDER}/run.py
"""


def _quoted(text: str) -> str:
    import shlex

    return shlex.quote(text)


def _result(run: Run) -> Any:
    stage = next(iter(run.stages.values()))
    if not StageState(stage["state"]).good:
        _raise(run, str(stage["key"]))
    import cloudpickle

    with tempfile.TemporaryDirectory(prefix="stix-result-") as place:
        files = run.download(f"{stage['key']}.{RESULT}", Path(place) / RESULT)
        data = next(file for file in files if file.name == "result.pkl").read_bytes()
    return cloudpickle.loads(data)


def _raise(run: Run, key: str) -> None:
    """Raise what the function raised, or ``RunFailed`` where the stage failed otherwise."""
    output = run.logs(key) if run.stages[key].get("attempts") else ""
    error = None if run.state == RunState.CANCELLED else failure_of(output)
    if error is not None:
        raise error
    run.check()
    raise StixError(f"run {run.id} ended without a result", fix=f"See `stix runs show {run.id}`.")


def failure_of(output: str) -> BaseException | None:
    """The exception that a call reported in its output, with the node's traceback as cause."""
    import cloudpickle

    lines = [line for line in output.splitlines() if line.startswith(call_runner.PREFIX)]
    if not lines:
        return None
    packed = lines[-1].removeprefix(call_runner.PREFIX)
    error, text = cloudpickle.loads(zlib.decompress(base64.b64decode(packed)))
    if error is None:
        last = text.rstrip().splitlines()[-1][:500]
        error = RemoteError(f"the function failed on its node: {last}")
    assert isinstance(error, BaseException)
    error.__cause__ = RemoteTraceback(text)
    return error


@contextmanager
def _by_value(function: Callable[..., Any]) -> Iterator[None]:
    """Pickle the modules of the user's project by value: the node does not have them.

    These are the function's module and its siblings in the same top-level package, unless they
    are installed (site-packages) or belong to Python.
    """
    import cloudpickle

    # The registration is global to the process.
    with _pickling:
        registered = [module for module in _project_modules(function) if _register(module)]
        try:
            yield
        finally:
            for module in registered:
                cloudpickle.unregister_pickle_by_value(module)


def _register(module: ModuleType) -> bool:
    import cloudpickle

    if module.__name__ in cloudpickle.list_registry_pickle_by_value():
        return False
    cloudpickle.register_pickle_by_value(module)
    return True


def _project_modules(function: Callable[..., Any]) -> list[ModuleType]:
    top = function.__module__.partition(".")[0]
    if top == "__main__":
        return []  # cloudpickle does that one by itself
    modules = [m for name, m in sys.modules.items() if name.partition(".")[0] == top]
    return [m for m in modules if not _installed(m)]


def _installed(module: ModuleType) -> bool:
    file = getattr(module, "__file__", None)
    if file is None:
        return True
    parts = Path(file).parts
    return "site-packages" in parts or "dist-packages" in parts
