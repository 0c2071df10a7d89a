"""``stix rehearse``: a pipeline with its recovery policy on simulated clouds, in virtual time."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stix.cli.options import GroupedCommand, output_option, overriding
from stix.cli.output import message, show
from stix.errors import UsageError

if TYPE_CHECKING:
    from stix.client.api import Json
    from stix.rehearse.driver import How

FAILED = 100
_OPTIONS = (
    click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True),
    click.option(
        "--preempt-rate",
        type=click.FloatRange(min=0),
        metavar="RATE",
        help="Preemptions per spot node and hour; 0.05 where not given.",
    ),
    click.option(
        "--stockout",
        "stockouts",
        multiple=True,
        metavar="PLACE[@FROM-TO]",
        help="No machines in a zone, region or cloud, for a while: us-east-1a@1h-6h.",
    ),
    click.option(
        "--fault",
        "faults",
        multiple=True,
        metavar="KIND:PLACE[@FROM-TO]",
        help="stockout, quota, auth, throttle, down or invalid.",
    ),
    click.option(
        "--trace",
        "traces",
        multiple=True,
        metavar="PLACE=FILE",
        help="Recorded preemptions of a place, as JSON.",
    ),
    click.option(
        "--stock",
        type=click.IntRange(min=0),
        metavar="COUNT",
        help="Machines of each kind in each zone; without a limit where not given.",
    ),
    click.option(
        "--days",
        type=click.FloatRange(min=0, min_open=True),
        default=30.0,
        show_default=True,
        help="Virtual days after which it stops.",
    ),
    click.option(
        "--runs",
        type=click.IntRange(min=1, max=10_000),
        default=1,
        show_default=True,
        metavar="COUNT",
        help="Rehearsals, each under the next seed.",
    ),
    click.option(
        "--speed",
        type=click.FloatRange(min=0, min_open=True),
        metavar="FACTOR",
        help="Show it as it happens, so many virtual seconds in a second.",
    ),
    click.option("--catalog", is_flag=True, help="On machines and prices of the catalog."),
    click.option(
        "--picture",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE.svg",
        help="Write the attempts over time.",
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
def rehearse(
    file: str, given: dict[str, Any], picture: Path | None, output: str, **asked: Any
) -> int:
    """Rehearse pipeline FILE with its recovery policy, on simulated clouds.

    No server, no cloud and no command is run: times are those of `estimate:`. Ends with exit code
    100 where a rehearsal does not finish.
    """
    if picture is not None and picture.suffix.lower() != ".svg":
        raise UsageError(f"--picture {picture}: pictures are SVG", fix="name it rehearsal.svg")
    if asked["speed"] is not None and asked["runs"] > 1:
        raise UsageError("--speed shows one rehearsal", fix="leave out --runs or --speed")
    answer = _answer(file, given, asked)
    if picture is not None:
        _draw(answer, picture)
    show(output, answer, lambda: _text(answer))
    return 0 if all(run["finished"] for run in answer["runs"]) else FAILED


def _answer(file: str, given: dict[str, Any], asked: dict[str, Any]) -> Json:
    from stix.client.submit import load
    from stix.rehearse.asked import Asked
    from stix.rehearse.driver import rehearse_many
    from stix.rehearse.market import market_of
    from stix.rehearse.report import report
    from stix.spec.changes.overrides import Overrides

    loaded = load(file, Overrides.of_command(given, complete=False))
    for warning in loaded.warnings:
        message(str(warning))
    catalog, days, runs, speed = (asked.pop(name) for name in ("catalog", "days", "runs", "speed"))
    market = market_of(loaded.pipeline, catalog=catalog)
    scenario = Asked(**asked).scenario(market.offers)
    how = _how(days, speed)
    done = rehearse_many(loaded.pipeline, market, scenario, runs, how)
    return report(loaded.pipeline.name, market, scenario, done)


def _how(days: float, speed: float | None) -> How:
    from stix.rehearse.driver import How

    if speed is None:
        return How(days=days)
    begin = time.monotonic()

    def pace(at: float) -> None:
        time.sleep(max(0.0, begin + at / speed - time.monotonic()))

    return How(days=days, pace=pace, tell=_tell)


def _tell(at: float, text: str) -> None:
    from stix.plan import shown

    message(f"{shown.time(at):>8}  {text}")


def _text(answer: Json) -> str:
    from stix.cli import rehearseview

    return rehearseview.whole(answer)


def _draw(answer: Json, picture: Path) -> None:
    from stix.rehearse.picture import svg

    try:
        picture.write_text(svg(answer), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{picture} cannot be written: {error.strerror}") from None
    message(f"picture: {picture}")
