"""What README.md and docs/ show is there: commands, options, files, fields, pipelines."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from stix.spec.expressions import FUNCTIONS, ROOTS, check
from stix.spec.loader import load_file, load_text
from stix.spec.models import PipelineSpec, Resources, Rule, StageSpec
from stix.spec.states import RunState, StageState
from tools.readme_commands import blocks, commands

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SHELL = {".", "prefect"}


def ids(paths: list[Path]) -> list[str]:
    return [path.relative_to(ROOT).as_posix() for path in paths]


def shown() -> list[str]:
    return sorted({line for page in PAGES for line in commands(page.read_text(encoding="utf-8"))})


def test_readme_has_the_two_commands() -> None:
    assert commands((ROOT / "README.md").read_text())[:2] == ["./dev demo", "./dev test"]


@pytest.mark.parametrize("line", shown())
def test_command_exists(line: str) -> None:
    """The program, its subcommands and its options are known: asked for help, it gives it."""
    words = shlex.split(line)
    if words[0] == "./dev":
        usage = subprocess.run(
            [str(ROOT / "dev"), "--help"], capture_output=True, text=True, check=True
        )
        assert f"\n  {words[1]} " in usage.stdout
        return
    if words[0] != "stix":
        assert words[0] in SHELL
        return
    done = subprocess.run(
        [sys.executable, "-m", "stix.cli.main", *words[1:], "--help"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    named = [word for word in words[1:] if re.fullmatch(r"[a-z]+", word)]
    assert done.stdout.startswith(f"Usage: stix {named[0]}")
    for option in (word for word in words if word.startswith("--")):
        assert option in done.stdout


@pytest.mark.parametrize("page", PAGES, ids=ids(PAGES))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
        if not target.startswith("https://"):
            assert (page.parent / target).exists(), target


def test_first_pipeline_is_the_example() -> None:
    (block,) = blocks((ROOT / "README.md").read_text(), "yaml")
    example = (ROOT / "examples" / "hello.yaml").read_text()
    assert example.endswith(block)


def examples() -> list[Path]:
    return sorted((ROOT / "examples").rglob("*.yaml"))


@pytest.mark.parametrize("path", examples(), ids=ids(examples()))
def test_example_is_valid(path: Path) -> None:
    loaded = load_file(path)
    assert loaded.pipeline.stages
    assert loaded.warnings == []


@pytest.mark.parametrize("model", [PipelineSpec, StageSpec, Resources, Rule])
def test_every_field_is_in_the_manual(model: type) -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    named = set(re.findall(r"`([a-z_]+)`", text))
    assert {field for field in model.accepted() if field not in named} == set()  # type: ignore[attr-defined]


def test_every_state_is_in_the_manual() -> None:
    text = (ROOT / "docs" / "pipeline.md").read_text(encoding="utf-8")
    assert [s for s in (*RunState, *StageState) if f"`{s}`" not in text] == []


@pytest.mark.parametrize("page", PAGES, ids=ids(PAGES))
def test_pipelines_in_the_manual_are_valid(page: Path) -> None:
    for block in blocks(page.read_text(encoding="utf-8"), "yaml"):
        if block.startswith("recovery:"):
            load_text(f"run: x\n{block}")
        elif "stages:" in block:
            load_text(block)


def test_expressions_in_the_manual_are_valid() -> None:
    text = (ROOT / "docs" / "pipeline.md").read_text(encoding="utf-8")
    shown = [
        found.removeprefix("when: ")
        for found in re.findall(r"`([^`\n]*stages[^`\n]* > [^`\n]*)`", text)
    ]
    assert len(shown) == 2
    assert all(check(expression) for expression in shown)
    assert [name for name in (*FUNCTIONS, *ROOTS) if f"`{name}`" not in text] == []


def test_python_in_the_manual_runs() -> None:
    """All but the line that submits the run."""
    (block,) = blocks((ROOT / "docs" / "quickstart.md").read_text(encoding="utf-8"), "python")
    built = "\n".join(line for line in block.splitlines() if "stix.run(" not in line)
    names: dict[str, object] = {}
    exec(compile(built, "quickstart.md", "exec"), names)
    pipeline = names["pipeline"]
    assert isinstance(pipeline, PipelineSpec)
    assert pipeline.stages["second"].upstream() == ["first"]
