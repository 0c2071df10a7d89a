"""``stix validate``: check files without a server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from stix.cli.options import output_option
from stix.cli.output import message, show

if TYPE_CHECKING:
    from stix.spec.problems import Problem


@click.command()
@click.argument("files", nargs=-1, required=True)
@output_option
def validate(files: tuple[str, ...], output: str) -> int:
    """Check FILES without running them: every problem with its line, column and fix."""
    from stix.client.submit import load
    from stix.spec.overrides import Overrides
    from stix.spec.problems import SpecErrors

    answers: list[dict[str, Any]] = []
    for file in files:
        problems: list[Problem] = []
        name, stages, ok = "", 0, True
        try:
            loaded = load(file, Overrides(complete=False))
            problems, name = list(loaded.warnings), loaded.pipeline.name
            stages = len(loaded.pipeline.stages)
        except SpecErrors as refusal:
            problems, ok = list(refusal.problems), False
        for problem in problems:
            message(str(problem))
        answers.append(
            {
                "file": file,
                "ok": ok,
                "name": name,
                "stages": stages,
                "problems": [problem.to_dict() for problem in problems],
            }
        )
    show(output, answers, lambda: "\n".join(_line(answer) for answer in answers if answer["ok"]))
    return 0 if all(answer["ok"] for answer in answers) else 1


def _line(answer: dict[str, Any]) -> str:
    count = answer["stages"]
    return f"{answer['file']}: ok ({answer['name']}, {count} stage{'s' if count != 1 else ''})"
