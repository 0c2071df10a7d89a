"""``stix plan``: where each stage would run, without running it."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stix.cli.options import GroupedCommand, connect, output_option, overriding
from stix.cli.output import message, show
from stix.errors import UsageError

if TYPE_CHECKING:
    from stix.client.api import Json
    from stix.spec.loader import Loaded

HERE, ANYWHERE, CATALOG = "here", "all-clouds", "catalog"
_OPTIONS = (
    click.option(
        "--minimize",
        type=click.Choice(["cost", "time"]),
        default="cost",
        show_default=True,
        help="What is made least; of equal plans the one that is less in the other.",
    ),
    click.option("--deadline", metavar="6h", help="From now at most, until the last stage ends."),
    click.option("--budget", type=click.FloatRange(min=0), metavar="USD", help="USD at most."),
    click.option("--pareto", is_flag=True, help="Every plan that none beats in money and time."),
    click.option("--explain", metavar="STAGE", help="Why this offer, and why no other."),
    click.option(
        "--catalog",
        "scope",
        flag_value=CATALOG,
        help="Over the catalog of all clouds, enabled or not; asks no server and no network.",
    ),
    click.option(
        "--all-clouds",
        "scope",
        flag_value=ANYWHERE,
        help="What is enabled, and the catalog of all other clouds.",
    ),
    click.option(
        "--picture",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE.svg",
        help="Write the DAG with costs and times.",
    ),
)
Command = Callable[..., Any]


def _asking(command: Command) -> Command:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@click.command(cls=GroupedCommand)
@click.argument("file")
@_asking
@overriding
@output_option
def plan(
    file: str,
    given: dict[str, Any],
    explain: str | None,
    picture: Path | None,
    output: str,
    **asked: Any,
) -> None:
    """Show where each stage of pipeline FILE would run, for how much, and why there.

    All stages are placed together, with the data that moves between them. A stage that fits
    nowhere is an error that says what came nearest.
    """
    if picture is not None and picture.suffix.lower() != ".svg":
        raise UsageError(f"--picture {picture}: pictures are SVG", fix="name it plan.svg")
    if output != "json":
        asked["alternatives"] = 0
    scope = asked.pop("scope", None) or HERE
    with _brisk() if scope == CATALOG else nullcontext():
        answer = _answer(file, given, explain, scope, asked)
    if picture is not None:
        _draw(answer, picture)
    show(output, answer, lambda: _text(answer, explain))


def _answer(
    file: str, given: dict[str, Any], explain: str | None, scope: str, asked: dict[str, Any]
) -> Json:
    from stix.client.submit import load
    from stix.spec.changes.overrides import Overrides

    asked["deadline"] = _seconds(asked["deadline"])
    loaded = load(file, Overrides.of_command(given, complete=False))
    for warning in loaded.warnings:
        message(str(warning))
    if explain is not None:
        _known(explain, list(loaded.pipeline.stages))
    if scope == CATALOG:
        return _offline(loaded, asked)
    return _online(loaded, asked, scope)


@contextmanager
def _brisk() -> Iterator[None]:
    """Leave out what takes long and finds nothing: plug-ins for models, and garbage."""
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _text(answer: Json, explain: str | None) -> str:
    from stix.cli import planview

    return planview.explained(answer, explain) if explain else planview.whole(answer)


def _online(loaded: Loaded, asked: dict[str, Any], scope: str) -> Json:
    """By the server, which knows the enabled clouds."""
    from stix.client.submit import placed
    from stix.spec.wire import to_wire

    client = connect()
    with placed(loaded):
        return client.plan(to_wire(loaded.pipeline), **asked, catalog=scope == ANYWHERE)


def _offline(loaded: Loaded, asked: dict[str, Any]) -> Json:
    """Here, over the files of the catalog."""
    from importlib.metadata import entry_points

    from stix.clouds.catalog.market import Own, anywhere
    from stix.plan.answer import Asked
    from stix.plan.joint import Goal

    goal = Goal(asked["minimize"], asked["deadline"], asked["budget"])
    adapters = {point.name for point in entry_points(group="stix.clouds")}
    wanted = Asked(goal, front=asked["pareto"], alternatives=asked.get("alternatives"))
    return anywhere(loaded.pipeline, wanted, Own(perhaps=adapters))


def _draw(answer: Json, picture: Path) -> None:
    from stix.plan.picture import svg

    try:
        picture.write_text(svg(answer), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{picture} cannot be written: {error.strerror}") from None
    message(f"picture: {picture}")


def _seconds(text: str | None) -> float | None:
    """Of ``6h``."""
    if text is None:
        return None
    from pydantic_core import PydanticCustomError

    from stix.spec.values import positive_duration

    try:
        return positive_duration(text)
    except PydanticCustomError as error:
        context = error.context or {}
        raise UsageError(
            f"--deadline: {error.message()}", fix=str(context.get("fix", ""))
        ) from None


def _known(name: str, stages: list[str]) -> None:
    from stix.cli.lazy import unknown

    if name not in stages:
        said = unknown("stage", name, stages).rstrip(".")
        raise UsageError(f"--explain: {said}", fix=f"Stages: {', '.join(stages)}")
