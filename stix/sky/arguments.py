"""Functions with SkyPilot's signatures, and what stands in for those that have no room yet."""

from __future__ import annotations

import ast
import functools
import inspect
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

from stix.errors import NotYet

AREAS = {
    "backends": "There is one way to run a task; leave the argument out.",
    "batch": "Write a matrix over the parts of the data, one stage run each.",
    "catalog": "sky.optimize(dag) and `stix plan` show what a task would run on, and its price.",
    "clusters": "Nodes live as long as their stage: write the steps as tasks of one sky.Dag.",
    "configuration": "The server reads config.yaml in its state folder when it starts.",
    "controllers": "No job has a controller of its own; `stix runs show RUN` tells what happened.",
    "dashboard": "`stix status` shows the address of the UI.",
    "debug dumps": "`stix runs show RUN --output json` holds what is known of a run.",
    "job groups": "Write the tasks in one sky.Dag without edges: they run side by side.",
    "job selection": "Name jobs by their ids, which sky.jobs.queue gives.",
    "kubernetes": "sky.check() lists the clouds that can be used.",
    "login": "Set STIX_URL and STIX_TOKEN in the environment.",
    "log files": "sky.jobs.tail_logs and sky.jobs.download_logs give the output of a job.",
    "policies": "Check the tasks in the program that launches them.",
    "pools": "Launch each job with sky.jobs.launch; max_parallel of a stage limits how many run.",
    "ports": "Ports are not opened; let the task send its results as outputs.",
    "recovery strategies": "Write recovery=... in the task: one rule per kind of failure.",
    "requests": "Calls are answered at once; sky.jobs.queue lists what runs.",
    "server options": "`stix server start` starts the server; STIX_URL names a remote one.",
    "services": "Run the command as a task without service.",
    "slurm": "sky.check() lists the clouds that can be used.",
    "ssh pools": "Name the hosts in config.yaml in the state folder.",
    "storage": "Pass data between stages as outputs; `stix artifacts ls` lists them.",
    "time": "Plans are made by price alone; leave the argument out.",
    "users": "One server has one user; leave the argument out.",
    "volumes": "sky.volumes.apply refuses what cannot be, and makes nothing then.",
    "workspaces": "One server is one workspace: STIX_URL or STIX_HOME names it.",
}
"""What has no room yet, and what to use meanwhile."""


def not_yet(what: str, area: str) -> NotYet:
    """The error for something of an area."""
    return NotYet(f"{what} does not act yet ({area})", fix=AREAS[area])


def like(text: str, **refused: str) -> Callable[[Callable[[Any], Any]], Callable[..., Any]]:
    """Give a function SkyPilot's signature; it gets its arguments as one object.

    Args:
        text: Parameters with their defaults, such as ``"name, all=False"``.
        refused: Parameters that do not act, each with its area. A value other than the default
            raises ``NotYet``: nothing is ignored silently.
    """
    signature = _signature(text)
    for name, area in refused.items():
        assert name in signature.parameters, name
        assert area in AREAS, area

    def wrap(function: Callable[[Any], Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            for name, area in refused.items():
                if bound.arguments[name] != signature.parameters[name].default:
                    raise not_yet(f"the argument {name} of {function.__name__}", area)
            return function(SimpleNamespace(**bound.arguments))

        call.__signature__ = signature  # type: ignore[attr-defined]
        call.refused = dict(refused)  # type: ignore[attr-defined]
        return call

    return wrap


def _signature(text: str) -> inspect.Signature:
    """The signature of a list of parameters; defaults are literals."""
    given = ast.parse(f"def f({text}): ...").body[0]
    assert isinstance(given, ast.FunctionDef)
    args = given.args
    free = len(args.args) - len(args.defaults)
    found = [
        inspect.Parameter(
            arg.arg,
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
            default=ast.literal_eval(args.defaults[place - free])
            if place >= free
            else inspect.Parameter.empty,
        )
        for place, arg in enumerate(args.args)
    ]
    for arg, default in zip(args.kwonlyargs, args.kw_defaults, strict=True):
        assert default is not None
        kind = inspect.Parameter.KEYWORD_ONLY
        found.append(inspect.Parameter(arg.arg, kind, default=ast.literal_eval(default)))
    return inspect.Signature(found)


class Missing:
    """Stands for a function, class or module of SkyPilot that has no room yet: any use raises."""

    def __init__(self, name: str, area: str) -> None:
        self.__name__ = name
        self.area = area

    def __repr__(self) -> str:
        return f"<{self.__name__}: not yet ({self.area})>"

    def __call__(self, *_: Any, **__: Any) -> Any:
        raise not_yet(self.__name__, self.area)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise not_yet(f"{self.__name__}.{name}", self.area)

    def __mro_entries__(self, _: Any) -> Any:
        raise not_yet(f"a class made of {self.__name__}", self.area)


def lookup(module: str, works: Mapping[str, str], missing: Mapping[str, str], name: str) -> Any:
    """A name of one of SkyPilot's modules.

    Args:
        module: Name of the module for people, such as ``sky.jobs``.
        works: Name to ``module:attribute`` of what does it.
        missing: Name to area.
        name: What is asked for.
    """
    if name in works:
        from importlib import import_module

        place, _, attribute = works[name].partition(":")
        found = import_module(place)
        return getattr(found, attribute) if attribute else found
    if name in missing:
        return Missing(f"{module}.{name}", missing[name])
    raise AttributeError(f"module {module!r} has no attribute {name!r}")
