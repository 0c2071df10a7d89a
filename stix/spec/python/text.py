"""``stix.from_yaml`` and ``stix.to_yaml``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stix.spec.models import PipelineSpec
    from stix.spec.python.dag import Dag
    from stix.spec.stage import StageSpec


def from_yaml(
    path: str | Path,
    *,
    envs: Mapping[str, str] | None = None,
    secrets: Mapping[str, str] | None = None,
) -> PipelineSpec:
    """The pipeline of a file of any form: SkyPilot's task, chain or group, or ``stages:``.

    Args:
        path: The file. Its paths are relative to it: pass its folder as ``base=`` to ``stix.run``.
        envs: Variables for every stage.
        secrets: Secrets for every stage; those that stay without a value are given to ``stix.run``.

    Raises:
        Refused: it is refused; holds every problem with line and column.
    """
    from stix.spec.changes.overrides import Overrides
    from stix.spec.loader import load_file
    from stix.spec.problems import SpecErrors
    from stix.spec.python.objects import Refused

    given = Overrides(envs=envs or {}, secrets=secrets or {}, complete=False)
    try:
        return load_file(path, given).pipeline
    except SpecErrors as refusal:
        raise Refused(refusal.problems) from None


def to_yaml(source: PipelineSpec | StageSpec | Dag) -> str:
    """A pipeline or DAG as a file with ``stages:``, a task as a file of one task.

    Secrets appear by name only.
    """
    from stix.spec.python.dag import Dag
    from stix.spec.stage import StageSpec
    from stix.spec.wire import to_yaml as written

    if isinstance(source, StageSpec):
        return source.to_yaml()
    return written(source.pipeline() if isinstance(source, Dag) else source)
