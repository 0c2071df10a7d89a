"""The conformance report of a file: YAML, or Python that builds a pipeline."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from stix.client.submit import load
from stix.spec.changes.overrides import Overrides
from stix.spec.conformance import Report, of_pipeline, report
from stix.spec.problems import SpecErrors


def report_file(path: str | Path, given: Overrides) -> Report:
    """What this release makes of each key of a file.

    Args:
        path: A YAML file, or a Python file that builds a pipeline.
        given: Values from the command line.

    Raises:
        SpecErrors: nothing of it can be read.
    """
    place = Path(path)
    if place.suffix == ".py" and place.is_file():
        return _of_python(place, given)
    try:
        text = place.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError):
        load(place, given)  # says why
        raise
    return report(text, str(path), given, base=place.resolve().parent)


def _of_python(path: Path, given: Overrides) -> Report:
    from stix.client.python_file import read_python

    pipeline = read_python(path)
    try:
        loaded = load(path, given)
    except SpecErrors as refusal:
        return replace(of_pipeline(pipeline), problems=list(refusal.problems))
    return replace(of_pipeline(pipeline), problems=list(loaded.warnings), loaded=loaded)
