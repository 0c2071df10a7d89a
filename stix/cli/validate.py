"""``stix validate``: check files without a server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from stix.cli.options import GroupedCommand, output_option, overriding
from stix.cli.output import message, show

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stix.spec.changes.overrides import Overrides
    from stix.spec.conformance import Row
    from stix.spec.models import PipelineSpec
    from stix.spec.problems import Problem


@click.command(cls=GroupedCommand)
@click.argument("files", nargs=-1, required=True)
@overriding
@click.option("--report", is_flag=True, help="Show what is made of each key of the files.")
@output_option
def validate(files: tuple[str, ...], report: bool, output: str, given: dict[str, Any]) -> int:
    """Check FILES without running them: every problem with its line, column and fix.

    With --report, every key is shown as used, mapped (to what) or refused (why).
    """
    from stix.spec.changes.overrides import Overrides

    beside = Overrides.of_command(given, complete=False)
    answers: list[dict[str, Any]] = []
    lines: list[str] = []
    for file in files:
        answer, rows = _reported(file, beside) if report else (_checked(file, beside), [])
        answers.append(answer)
        lines += [_line(answer)] if answer["ok"] else []
        if rows and output == "table":
            from stix.cli.report import table

            lines.append(table(file, rows))
    show(output, answers, lambda: "\n".join(lines))
    return 0 if all(answer["ok"] for answer in answers) else 1


def _checked(file: str, given: Overrides) -> dict[str, Any]:
    from stix.client.submit import load
    from stix.spec.problems import GivenErrors, SpecErrors

    try:
        loaded = load(file, given)
    except GivenErrors:
        raise
    except SpecErrors as refusal:
        return _answer(file, None, refusal.problems)
    return _answer(file, loaded.pipeline, loaded.warnings)


def _reported(file: str, given: Overrides) -> tuple[dict[str, Any], list[Row]]:
    """The answer with the report. A refused key is told there, and not as a message as well."""
    from stix.client.report import report_file
    from stix.spec.problems import GivenErrors, SpecErrors, refused

    try:
        found = report_file(file, given)
    except GivenErrors:
        raise
    except SpecErrors as refusal:
        return {**_answer(file, None, refusal.problems), "report": []}, []
    usage = [p for p in found.problems if p.given and p.severity == "error"]
    if usage:
        raise refused(usage)
    pipeline = found.loaded.pipeline if found.loaded is not None and found.ok else None
    told = [p for p in found.problems if found.loaded is None or p.severity != "error"]
    answer = _answer(file, pipeline, found.problems, told)
    return {**answer, "report": [row.to_dict() for row in found.rows]}, found.rows


def _answer(
    file: str,
    pipeline: PipelineSpec | None,
    problems: Sequence[Problem],
    told: Sequence[Problem] | None = None,
) -> dict[str, Any]:
    for problem in problems if told is None else told:
        message(str(problem))
    return {
        "file": file,
        "ok": pipeline is not None,
        "name": pipeline.name if pipeline is not None else "",
        "stages": len(pipeline.stages) if pipeline is not None else 0,
        "problems": [problem.to_dict() for problem in problems],
    }


def _line(answer: dict[str, Any]) -> str:
    count = answer["stages"]
    return f"{answer['file']}: ok ({answer['name']}, {count} stage{'s' if count != 1 else ''})"
