"""A pipeline from a Python file: the ``stix.Pipeline`` that it calls ``pipeline``."""

from __future__ import annotations

import runpy
import sys
import traceback
from pathlib import Path

from stix.spec.models import PipelineSpec, StageSpec
from stix.spec.problems import Problem, SpecErrors
from stix.spec.python.dag import Dag

NAME = "pipeline"


def read_python(path: Path) -> PipelineSpec:
    """Run a Python file (not as ``__main__``) and take its ``pipeline``.

    Raises:
        SpecErrors: it fails, or has no pipeline; names file and line.
    """
    # As for a script: modules beside the file can be imported.
    sys.path.insert(0, str(path.resolve().parent))
    try:
        found = runpy.run_path(str(path), run_name="stix_pipeline").get(NAME)
    except SyntaxError as error:
        at = error.lineno or 1, error.offset or 1
        raise _refused(path, at, f"not valid Python: {error.msg}", "correct it") from None
    except Exception as error:  # noqa: BLE001  the user's own code
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno or 1 for frame in frames if frame.filename == str(path)]
        said = f"{type(error).__name__}: {error}"
        fix = f"run `python {path}` to see where it comes from"
        raise _refused(path, (lines[-1] if lines else 1, 1), said, fix) from None
    finally:
        sys.path.remove(str(path.resolve().parent))
    if isinstance(found, StageSpec):
        name = found.name or path.stem
        return PipelineSpec(name=name, stages={name: found})
    if isinstance(found, Dag):
        return found.pipeline()
    if isinstance(found, PipelineSpec):
        return found
    fix = f"write {NAME} = stix.Pipeline(...) at the top level of the file"
    raise _refused(path, (1, 1), f"the file has no {NAME}", fix)


def _refused(path: Path, at: tuple[int, int], message: str, fix: str) -> SpecErrors:
    return SpecErrors([Problem("error", str(path), *at, "", message, fix)])
