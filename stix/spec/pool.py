"""A pool of workers that jobs are sent to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import model_validator

from stix.spec import forms
from stix.spec.base import bad
from stix.spec.exact import Exact, Number

Workers = Annotated[int | None, Number(least=0, whole=True, unit="workers")]
Delay = Annotated[float | None, Number(least=0, unit="seconds")]
_SIZE = "write workers: 2, or min_workers: 1 and max_workers: 4"


class PoolSpec(Exact):
    """Workers with the same setup: a fixed number, or between two numbers (``pool``).

    Attributes:
        workers: Number of workers; with ``max_workers``, how many there are where ``min_workers``
            is not given.
        min_workers: Least number of workers of a pool that scales.
        max_workers: Largest number of workers; makes the pool scale.
        queue_length_threshold: Jobs in the queue above which workers are added; 1 if not given.
        upscale_delay_seconds: Seconds the queue must be long before workers are added.
        downscale_delay_seconds: Seconds the queue must be short before workers are removed.
    """

    rules: ClassVar[tuple[dict[str, Any], ...]] = (
        forms.needs(
            (
                "min_workers",
                "queue_length_threshold",
                "upscale_delay_seconds",
                "downscale_delay_seconds",
            ),
            "max_workers",
        ),
    )

    workers: Workers = None
    min_workers: Workers = None
    max_workers: Workers = None
    queue_length_threshold: Annotated[
        int | None, Number(least=1, whole=True, unit="waiting jobs")
    ] = None
    upscale_delay_seconds: Delay = None
    downscale_delay_seconds: Delay = None

    if TYPE_CHECKING:

        def __init__(self, **fields: Any) -> None: ...

    @model_validator(mode="after")
    def _scales(self) -> PoolSpec:
        if self.max_workers is None:
            for name in (
                "min_workers",
                "queue_length_threshold",
                "upscale_delay_seconds",
                "downscale_delay_seconds",
            ):
                if getattr(self, name) is not None:
                    fix = f"add max_workers, or remove {name} and write workers"
                    raise bad(f"{name} needs max_workers", fix, name)
        elif self.min_workers is not None and self.min_workers > self.max_workers:
            said = f"min_workers {self.min_workers} is above max_workers {self.max_workers}"
            raise bad(said, "make max_workers at least min_workers", "max_workers")
        return self

    def least(self, workers: int | None = None) -> int:
        """The least number of workers; ``workers`` is what the service around the pool says."""
        stated = self.workers if workers is None else workers
        if self.max_workers is not None and self.min_workers is not None:
            return self.min_workers
        return 1 if stated is None else stated

    def agreed(self, workers: int | None = None) -> PoolSpec:
        """Itself; an error if it has no size, or starts above its largest."""
        unsaid = self.workers is None and self.max_workers is None
        # SkyPilot's server does not read an empty pool back, even beside service.workers.
        if unsaid and (workers is None or not self.model_fields_set):
            raise bad("the pool has no size", _SIZE)
        least = self.least(workers)
        if self.max_workers is not None and least > self.max_workers:
            said = f"the pool starts with {least} workers, above max_workers {self.max_workers}"
            raise bad(said, "make max_workers larger, or give min_workers", "max_workers")
        return self
