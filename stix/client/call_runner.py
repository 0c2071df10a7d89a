"""Runs one pickled function call on a node; shipped beside the call, standard library only.

In its own directory lie ``call.pkl`` (function, args, kwargs), ``call.version`` (the Python that
pickled them) and the package ``cloudpickle``. It writes the pickled result to
``$STIX_OUTPUT_RESULT/result.pkl``. An exception of the function ends it with exit code 1, after
the traceback and one line from which the caller raises the same exception again.
"""

from __future__ import annotations

import base64
import inspect
import os
import sys
import traceback
import zlib
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

PREFIX = "stix-exception: "
LIMIT = 64 * 1024
WRONG_PYTHON = 78


def main() -> int:
    """Run the call; gives the exit code."""
    here = Path(__file__).resolve().parent
    wanted = (here / "call.version").read_text().strip()
    have = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if have != wanted:
        sys.stderr.write(
            f"stix: the function was pickled by Python {wanted}, "
            f"but this node has Python {have} ({sys.executable})\n"
            f"  fix: install python{wanted} on the node, make .venv with it in `setup`, "
            "or name it by STIX_PYTHON in `envs`\n"
        )
        return WRONG_PYTHON
    sys.path.insert(0, str(here))
    import cloudpickle

    try:
        function, args, kwargs = cloudpickle.loads((here / "call.pkl").read_bytes())
        result = function(*args, **kwargs)
        if inspect.isawaitable(result):
            result = _wait(result)
        data = cloudpickle.dumps(result)
    except Exception as error:  # noqa: BLE001  the function's own failure: it goes to the caller
        _report(error)
        return 1
    target = Path(os.environ["STIX_OUTPUT_RESULT"])
    target.mkdir(parents=True, exist_ok=True)
    (target / "result.pkl").write_bytes(data)
    return 0


def _wait(awaitable: Awaitable[Any]) -> Any:
    import asyncio

    async def run() -> Any:
        return await awaitable

    return asyncio.run(run())


def _report(error: Exception) -> None:
    """Print the traceback, and the exception for the caller if it can be pickled."""
    import cloudpickle

    text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    sys.stderr.write(text)
    sys.stderr.flush()
    try:
        data = cloudpickle.dumps((error.with_traceback(None), text))
        cloudpickle.loads(data)
    except Exception:  # noqa: BLE001  any class may refuse to be pickled: the text is enough
        data = cloudpickle.dumps((None, text))
    packed = base64.b64encode(zlib.compress(data)).decode()
    if len(packed) > LIMIT:
        shown = f"{text[: LIMIT // 4]}\n...\n{text[-LIMIT // 8 :]}"
        data = cloudpickle.dumps((None, shown))
        packed = base64.b64encode(zlib.compress(data)).decode()
    sys.stdout.write(f"\n{PREFIX}{packed}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
