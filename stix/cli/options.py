"""Options and lookups that commands share."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from stix.client.api import Client, Json

Command = Callable[..., Any]

output_option = click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="JSON goes to standard output alone.",
)
secret_option = click.option(
    "--secret",
    multiple=True,
    metavar="K[=V]",
    help="A secret for every stage; without =V from the environment, which keeps it out of ps.",
)


class GroupedOption(click.Option):
    """An option that ``--help`` shows under a heading of its own."""

    def __init__(self, *args: Any, section: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.section = section


class GroupedCommand(click.Command):
    """A command whose help shows options by section; those without one come first."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {"Options": []}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None and isinstance(parameter, click.Option):
                sections.setdefault(getattr(parameter, "section", "Options"), []).append(record)
        for section, records in sections.items():
            with formatter.section(section):
                formatter.write_dl(records)


_VALUES = "Variables and secrets of every stage"
_TASK = "Instead of what the file says"
_PLACE = "Resources of every stage"

_OVERRIDES: tuple[tuple[str, tuple[str, ...], dict[str, Any]], ...] = (
    (_VALUES, ("--env", "-e"), {"multiple": True, "metavar": "K[=V]"}),
    (_VALUES, ("--env-file",), {"multiple": True, "metavar": "FILE"}),
    (_VALUES, ("--secret",), {"multiple": True, "metavar": "K[=V]"}),
    (_VALUES, ("--secret-file",), {"multiple": True, "metavar": "FILE"}),
    (_TASK, ("--set",), {"multiple": True, "metavar": "PATH=VALUE"}),
    (_TASK, ("--name", "-n"), {"metavar": "NAME"}),
    (_TASK, ("--workdir",), {"metavar": "FOLDER"}),
    (_TASK, ("--num-nodes",), {"metavar": "COUNT"}),
    (_PLACE, ("--infra",), {"metavar": "PLACE"}),
    (_PLACE, ("--gpus",), {"metavar": "NAME[:COUNT]"}),
    (_PLACE, ("--cpus",), {"metavar": "COUNT[+]"}),
    (_PLACE, ("--memory",), {"metavar": "GIB[+]"}),
    (_PLACE, ("--instance-type", "-t"), {"metavar": "TYPE"}),
    (_PLACE, ("--use-spot/--no-use-spot",), {"default": None}),
    (_PLACE, ("--max-hourly-cost",), {"metavar": "USD"}),
    (_PLACE, ("--job-recovery",), {"metavar": "STRATEGY"}),
    (_PLACE, ("--image-id",), {"metavar": "IMAGE"}),
    (_PLACE, ("--ports",), {"multiple": True, "metavar": "PORTS"}),
    (_PLACE, ("--disk-size",), {"metavar": "GIB"}),
    (_PLACE, ("--disk-tier",), {"metavar": "TIER"}),
    (_PLACE, ("--network-tier",), {"metavar": "TIER"}),
    (_PLACE, ("--local-disk",), {"metavar": "DISK"}),
    (_PLACE, ("--priority",), {"metavar": "NUMBER|CLASS"}),
    (_PLACE, ("--cloud",), {"hidden": True}),
    (_PLACE, ("--region",), {"hidden": True}),
    (_PLACE, ("--zone",), {"hidden": True}),
)
_HELP = {
    "--env": "A variable; without =V from the environment.",
    "--env-file": "Variables from a file of lines K=V; --env wins. "
    "A name that the pipeline declares as a secret is given as one.",
    "--secret": "A secret; without =V from the environment, which keeps it out of ps.",
    "--secret-file": "Secrets from a file of lines K=V; --secret wins.",
    "--set": "Any field, of one stage or of all: --set train.resources.use_spot=true, "
    "--set resources.cpus=8, --set deadline=2h. The value is YAML, as in the file.",
    "--name": "Name of the run.",
    "--workdir": "Folder to start in on the nodes.",
    "--num-nodes": "Nodes of each stage.",
    "--infra": "cloud, cloud/region or cloud/region/zone; '*' for anywhere.",
    "--gpus": "Such as A100:8; none for none.",
    "--cpus": "vCPUs of a node: 4 exactly, 4+ at least.",
    "--memory": "Memory of a node: 16 exactly, 16+ at least.",
    "--instance-type": "The provider's name of the machine.",
    "--use-spot/--no-use-spot": "Whether nodes may be taken away for a lower price.",
    "--max-hourly-cost": "USD per hour and node at most.",
    "--job-recovery": "What to do when nodes are lost.",
    "--image-id": "Image or container of the nodes.",
    "--ports": "Ports to open: 8080, 8000-8010 or 8080,9090.",
    "--disk-size": "Size of the disk.",
    "--disk-tier": "low, medium, high, ultra, best or none.",
    "--network-tier": "standard or best.",
    "--local-disk": "[nvme:|ssd:]GB[+] of disks in the machine.",
    "--priority": "From -1000 to 1000, or the name of a class.",
}


def overriding(command: Command) -> Command:
    """The options that change what a file says; the command gets them as ``given``, by name."""
    names: list[str] = []

    @functools.wraps(command)
    def collected(**given: Any) -> Any:
        return command(given={name: given.pop(name) for name in names}, **given)

    made: Command = collected
    for section, flags, more in reversed(_OVERRIDES):
        name = flags[0].partition("/")[0].removeprefix("--").replace("-", "_")
        names.append(name)
        option = click.option(
            *flags, name, cls=GroupedOption, section=section, help=_HELP.get(flags[0]), **more
        )
        made = option(made)
    return made


def connect(*, start: bool = True, hidden: Collection[str] = ()) -> Client:
    """The server to use; a local one is started where none runs, without ``hidden`` values."""
    from stix.client.local import ensure_server

    return ensure_server(start=start, hidden=hidden)


def stage_of(run: Json, name: str) -> str:
    """The key of a stage: given whole, or by the name of a stage with one point.

    Raises:
        UsageError: no stage, or several points, have that name.
    """
    from stix.errors import UsageError

    keys = [str(stage["key"]) for stage in run["stages"]]
    if name in keys:
        return name
    points = [key for key in keys if key.partition("[")[0] == name]
    if len(points) == 1:
        return points[0]
    if points:
        raise UsageError(
            f"Stage {name!r} of run {run['id']} has {len(points)} points",
            fix="Name one: " + ", ".join(repr(p) for p in points),
        )
    from stix.cli.lazy import unknown

    raise UsageError(
        unknown("stage", name, keys).rstrip(".") + f" in run {run['id']}",
        fix="Stages: " + (", ".join(keys) or "none"),
    )
