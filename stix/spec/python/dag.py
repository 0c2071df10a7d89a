"""``with stix.Dag() as dag:`` builds a pipeline of tasks, with ``a >> b`` for edges."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextvars import ContextVar
from enum import Enum
from typing import TYPE_CHECKING, Any, Self, TypeVar

from pydantic import ValidationError

from stix.errors import UsageError

if TYPE_CHECKING:
    from stix.spec.models import PipelineSpec
    from stix.spec.stage import StageSpec

T = TypeVar("T")

# A context variable rather than a global: threads and coroutines each have blocks of their own.
_open: ContextVar[tuple[Dag, ...]] = ContextVar("stix_open_dags", default=())


class DagError(UsageError, RuntimeError):
    """An edge or a task that the DAG cannot have."""


class DagExecution(Enum):
    """SkyPilot's execution of several tasks: one after the other, or all at once."""

    SERIAL = "serial"
    PARALLEL = "parallel"


class Dag:
    """Tasks and the order between them.

    Tasks made inside of its ``with`` block join it; of nested blocks, the inner one. Without
    edges all tasks run at once.

    Args:
        name: Name of the pipeline.
        fields: Other fields of ``stix.Pipeline``: envs, secrets, deadline, max_parallel ...

    Attributes:
        tasks: In the order in which they joined.
        execution: SkyPilot's way to run several tasks, or None.
        primary_tasks, termination_delay, inter_connection: Of SkyPilot's job groups.
    """

    def __init__(self, name: str | None = None, **fields: Any) -> None:
        self.name = name
        self.tasks: list[StageSpec] = []
        self.execution: DagExecution | None = None
        self.primary_tasks: list[str] | None = None
        self.termination_delay: str | dict[str, str] | None = None
        self.inter_connection: bool | None = None
        self._fields = fields
        self._edges: dict[int, list[int]] = {}
        if name is not None or fields:
            _pipeline({**fields, **({"name": name} if name is not None else {})})

    def __enter__(self) -> Self:
        _open.set((*_open.get(), self))
        return self

    def __exit__(self, *_: object) -> None:
        blocks = list(_open.get())
        for place in reversed(range(len(blocks))):
            if blocks[place] is self:
                del blocks[place]
                break
        _open.set(tuple(blocks))

    def __len__(self) -> int:
        return len(self.tasks)

    def __contains__(self, task: object) -> bool:
        return any(task is own for own in self.tasks)

    def __repr__(self) -> str:
        names = ", ".join(str(task.name or "?") for task in self.tasks)
        return f"<Dag {self.name or ''} [{names}]>"

    def add(self, task: StageSpec) -> StageSpec:
        """Let a task join, and give it; one that is here already stays where it is."""
        from stix.spec.stage import StageSpec

        if not isinstance(task, StageSpec):
            raise DagError(
                f"a DAG holds tasks, not {type(task).__name__}", fix="Write stix.Task(...)."
            )
        if task not in self:
            self.tasks.append(task)
        return task

    def remove(self, task: StageSpec) -> None:
        """Take a task and its edges out."""
        if task not in self:
            raise DagError(f"the DAG does not hold {_shown(task)}", fix="Remove one of its tasks.")
        self.tasks[:] = [own for own in self.tasks if own is not task]
        self._edges.pop(id(task), None)
        for after in self._edges.values():
            if id(task) in after:
                after.remove(id(task))

    def add_edge(self, before: StageSpec, after: StageSpec) -> None:
        """Let ``after`` wait for ``before``; both join the DAG.

        Raises:
            DagError: they would wait for each other.
        """
        self.add(before)
        self.add(after)
        ring = self._way(id(after), id(before))
        if ring:
            named = {id(task): _shown(task) for task in self.tasks}
            shown = " -> ".join(named[key] for key in [id(before), *ring])
            raise DagError(f"tasks wait for each other: {shown}", fix="Leave out this edge.")
        edges = self._edges.setdefault(id(before), [])
        if id(after) not in edges:
            edges.append(id(after))

    def _way(self, start: int, end: int) -> list[int]:
        """The tasks on a way along the edges, both ends among them; empty where there is none."""
        came: dict[int, int | None] = {start: None}
        work = [start]
        while work:
            here = work.pop()
            if here == end:
                way: list[int] = []
                step: int | None = here
                while step is not None:
                    way.append(step)
                    step = came[step]
                return way[::-1]
            for after in self._edges.get(here, ()):
                if after not in came:
                    came[after] = here
                    work.append(after)
        return []

    def is_chain(self) -> bool:
        """Whether every task waits for exactly the one before."""
        heads = [after for edges in self._edges.values() for after in edges]
        single = all(len(edges) <= 1 for edges in self._edges.values())
        return single and len(set(heads)) == len(heads) == max(len(self.tasks) - 1, 0)

    def is_job_group(self) -> bool:
        """Whether SkyPilot would start all tasks as one group."""
        return self.execution == DagExecution.PARALLEL

    def set_execution(self, execution: DagExecution) -> None:
        """Choose how SkyPilot would run several tasks."""
        self.execution = DagExecution(execution)

    def validate(self, skip_file_mounts: bool = False, skip_workdir: bool = False) -> Self:
        """Check every task and the whole, as ``stix.Task.validate`` does.

        Raises:
            Refused: holds every problem.
        """
        from stix.spec.python.task_file import check_task

        skipped = {"file_mounts": skip_file_mounts, "workdir": skip_workdir}
        check_task(self.pipeline(), [word for word, skip in skipped.items() if skip])
        return self

    def pipeline(self) -> PipelineSpec:
        """The same as ``stix.Pipeline``, of copies: the tasks stay as they are.

        A task without a name is called after the DAG and its place, as in SkyPilot.

        Raises:
            Refused: two tasks have one name, or a field of the DAG is wrong.
        """
        names = self._names()
        needs: dict[str, list[str]] = {name: [] for name in names.values()}
        for before in self.tasks:
            for after in self._edges.get(id(before), ()):
                needs[names[after]].append(names[id(before)])
        stages = {}
        for task in self.tasks:
            name = names[id(task)]
            update: dict[str, Any] = {"name": name}
            if needs[name]:
                update["needs"] = list(dict.fromkeys([*task.needs, *needs[name]]))
            stages[name] = task.model_copy(update=update)
        alone = self.tasks[0].name if len(self.tasks) == 1 else None
        return _pipeline(
            {
                **self._fields,
                "name": self.name or alone or "pipeline",
                "stages": stages,
                **self._group(),
            }
        )

    def _group(self) -> dict[str, Any]:
        out: dict[str, Any] = {"execution": self.execution.value if self.execution else None}
        for name in ("primary_tasks", "termination_delay", "inter_connection"):
            out[name] = getattr(self, name)
        return {name: value for name, value in out.items() if value is not None}

    def _names(self) -> dict[int, str]:
        """Task to the name of its stage."""
        from stix.spec.python.objects import refuse
        from stix.spec.reader import stage_name

        names: dict[int, str] = {}
        for task in self.tasks:
            name = stage_name(task.name or "")
            if name and name in names.values():
                said = f"two tasks are called {name!r}"
                raise refuse(f"stages.{name}", said, "give each task a name of its own")
            if name:
                names[id(task)] = name
        stem = stage_name(self.name or "") or "task"
        for number, task in enumerate(self.tasks):
            if id(task) not in names:
                name = stem if len(self.tasks) == 1 else f"{stem}-{number}"
                while name in names.values():
                    name += "-"[: not name.endswith("-")] + "x"
                names[id(task)] = name
        return names


def _pipeline(fields: dict[str, Any]) -> PipelineSpec:
    from stix.spec.models import PipelineSpec
    from stix.spec.python.objects import explained

    try:
        return PipelineSpec.model_validate(fields)
    except ValidationError as refusal:
        raise explained(refusal, fields, PipelineSpec) from None


def current() -> Dag | None:
    """The DAG of the innermost open ``with`` block of this thread or coroutine."""
    blocks = _open.get()
    return blocks[-1] if blocks else None


def joined(task: T) -> T:
    """The task, which has joined the DAG of the open block."""
    dag = current()
    if dag is not None:
        dag.add(task)  # type: ignore[arg-type]
    return task


def connect(before: Iterable[Any], after: Sequence[Any]) -> None:
    """Add an edge from each of ``before`` to each of ``after``, in the open block's DAG."""
    dag = current()
    if dag is None:
        raise DagError(
            "a >> b needs a DAG around it", fix="Write `with stix.Dag() as dag:` above the line."
        )
    for first in before:
        for second in after:
            dag.add_edge(first, second)


def _shown(task: StageSpec) -> str:
    return str(task.name or "a task without a name")
