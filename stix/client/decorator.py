"""``@stix.stage``: a function whose calls run on placed compute.

In a ``@prefect.flow`` a call is a Prefect task of that flow; anywhere else it is a plain call.
Either way the function and its arguments travel by value, and the result comes back.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import sys
from collections.abc import Callable, Mapping
from typing import Any, Generic, ParamSpec, TypedDict, TypeVar, Unpack, overload

from stix.client.call import Call, run_call
from stix.errors import UsageError


class StageOptions(TypedDict, total=False):
    """The arguments of ``@stix.stage``: fields of ``stix.Task``."""

    name: str
    resources: Any
    recovery: Any
    envs: Mapping[str, str]
    secrets: Mapping[str, str]
    setup: str
    outputs: Mapping[str, Any]
    file_mounts: Mapping[str, Any]
    timeout: Any
    cache: bool


P = ParamSpec("P")
R = TypeVar("R")


class StageFunction(Generic[P, R]):
    """A function that runs as a STIX stage. ``.function`` is the function itself."""

    def __init__(self, function: Callable[P, R], options: Mapping[str, Any]) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self._options = dict(options)
        self._is_async = inspect.iscoroutinefunction(function)

    def __repr__(self) -> str:
        return f"<stix.stage {self.function.__qualname__}>"

    def __reduce__(self) -> tuple[Any, ...]:
        # On a node there is no STIX: there a stage that calls another calls the plain function.
        return next, (iter([self.function]),)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the function on placed compute and give its result (a coroutine of an async one)."""
        body = self.task if _in_flow() else self._body()
        result: R = body(*args, **kwargs)
        return result

    @functools.cached_property
    def task(self) -> Any:
        """The Prefect task, for ``.with_options(retries=...)`` and the like."""
        from prefect import task

        return task(name=str(self._options["name"]))(self._body())

    def submit(self, *args: Any, **kwargs: Any) -> Any:
        """Start the call in the flow's task runner; gives Prefect's future."""
        return self.task.submit(*args, **kwargs)

    def map(self, *args: Any, **kwargs: Any) -> Any:
        """One call per element, side by side; gives Prefect's list of futures."""
        return self.task.map(*args, **kwargs)

    def _body(self) -> Callable[..., Any]:
        """A function of the same signature that runs the call remotely."""

        def remote(*args: Any, **kwargs: Any) -> Any:
            return run_call(Call(self.function, args, kwargs, self._options))

        async def remote_async(*args: Any, **kwargs: Any) -> Any:
            return await asyncio.to_thread(remote, *args, **kwargs)

        return functools.wraps(self.function)(remote_async if self._is_async else remote)


@overload
def stage(function: Callable[P, R], /) -> StageFunction[P, R]: ...
@overload
def stage(
    **options: Unpack[StageOptions],
) -> Callable[[Callable[P, R]], StageFunction[P, R]]: ...
def stage(function: Callable[..., Any] | None = None, /, **options: Unpack[StageOptions]) -> Any:
    """Let a function run as a STIX stage, with or without arguments: ``@stage``, ``@stage(...)``.

    Args:
        function: A sync or async function. It may use whatever is installed on the node; the
            modules of its own package travel with it.
        options: Fields of ``stix.Task`` (``resources``, ``recovery``, ``envs``, ``secrets``,
            ``setup``, ``outputs``, ``timeout``), ``name`` (default: the function's) and ``cache``
            (default False: each call runs).

    Where the user has configured no Prefect API, Prefect in this process is pointed at the local
    STIX server, which is started if need be, so that the flow shows in the same UI.
    """
    if function is None:
        return functools.partial(stage, **options)
    if not callable(function) or inspect.isclass(function):
        raise UsageError("@stix.stage needs a function", fix="Write @stix.stage(...) above a def.")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise UsageError(
            f"@stix.stage cannot run the generator {function.__name__}", fix="Return a list."
        )
    from stix.client.prefect_api import use_local_server

    named = {"name": function.__name__, **options}
    _check(named)
    use_local_server()
    return StageFunction(function, named)


def _check(options: Mapping[str, Any]) -> None:
    """Refuse a wrong argument where it is written, and not at the first call."""
    from pydantic import ValidationError

    from stix.spec.messages import explain
    from stix.spec.models import StageSpec
    from stix.spec.problems import SpecErrors

    try:
        StageSpec.model_validate({**options, "run": "true"})
    except ValidationError as refusal:
        raise SpecErrors(explain(refusal, options, StageSpec, ())) from None


def _in_flow() -> bool:
    """True within a Prefect flow; without importing Prefect, since then there is none."""
    if "prefect" not in sys.modules:
        return False
    from prefect.context import FlowRunContext

    return FlowRunContext.get() is not None
