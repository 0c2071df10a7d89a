"""Numbers of the tree against the house rules; exit code 1 when a rule is crossed.

Hard rules: a file has at most 400 lines, a function at most 60 lines and 8 parameters, nothing is
``global``. Reported, not refused: functions over 40 lines or 6 parameters, broad excepts.
"""

from __future__ import annotations

import ast
import statistics
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ("stix", "flows", "tasks", "storage", "clouds")
HELPERS = ("tools", "benchmarks", "examples")
FILE_LINES = 400
FUNCTION_LINES = 60
FUNCTION_LINES_WISHED = 40
PARAMETERS = 8
PARAMETERS_WISHED = 6

Row = tuple[int, str]


@dataclass
class Measures:
    """What was counted in one group of files; a row is a number and the place it was found at."""

    files: list[Row] = field(default_factory=list)
    functions: list[Row] = field(default_factory=list)
    parameters: list[Row] = field(default_factory=list)
    broad: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    globals: list[str] = field(default_factory=list)

    @property
    def lines(self) -> int:
        return sum(number for number, _ in self.files)


def python_files(root: Path, folders: tuple[str, ...]) -> Iterator[Path]:
    """The Python files below ``folders``, each once: links between folders are not followed."""
    for folder in folders:
        for path in sorted((root / folder).rglob("*.py")):
            inside = path.relative_to(root).parents
            if not any((root / part).is_symlink() for part in inside):
                yield path


def measure_file(root: Path, path: Path, into: Measures) -> None:
    text = path.read_text(encoding="utf-8")
    name = path.relative_to(root).as_posix()
    into.files.append((text.count("\n"), name))
    try:
        tree = ast.parse(text, filename=name)
    except SyntaxError as error:
        into.unreadable.append(f"{name}:{error.lineno}: {error.msg}")
        return
    for node in ast.walk(tree):
        where = f"{name}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            end = node.end_lineno or node.lineno
            into.functions.append((end - node.lineno + 1, f"{where} {node.name}"))
            into.parameters.append((count_parameters(node.args), f"{where} {node.name}"))
        elif isinstance(node, ast.Global):
            into.globals.append(where)
        elif isinstance(node, ast.ExceptHandler) and is_broad(node.type):
            into.broad.append(where)


def count_parameters(args: ast.arguments) -> int:
    """The parameters of a function without ``self`` and ``cls``."""
    named = [arg.arg for arg in (*args.posonlyargs, *args.args)]
    own = 1 if named[:1] in (["self"], ["cls"]) else 0
    return len(named) - own + len(args.kwonlyargs)


def is_broad(caught: ast.expr | None) -> bool:
    """True for a bare except and for one that catches every exception there is."""
    if isinstance(caught, ast.Tuple):
        return any(is_broad(part) for part in caught.elts)
    return caught is None or ast.unparse(caught) in {"Exception", "BaseException"}


def measure(root: Path, folders: tuple[str, ...]) -> Measures:
    found = Measures()
    for path in python_files(root, folders):
        measure_file(root, path, found)
    return found


def quantile(rows: list[Row], share: float) -> int:
    ordered = sorted(number for number, _ in rows)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0


def table(name: str, found: Measures, tests: Measures) -> list[str]:
    """The lines of the report about one group of files."""
    sizes, functions = [number for number, _ in found.files], found.functions
    median = int(statistics.median(sizes)) if sizes else 0
    thousands = max(found.lines, 1) / 1000
    return [
        f"{name}: {len(sizes)} files, {found.lines} lines, {len(functions)} functions",
        f"  lines of a file       median {median}, p90 {quantile(found.files, 0.9)},"
        f" max {max(sizes, default=0)}",
        f"  lines of a function   p50 {quantile(functions, 0.5)}, p90 {quantile(functions, 0.9)},"
        f" p99 {quantile(functions, 0.99)}, max {quantile(functions, 1.0)}",
        f"  parameters            p90 {quantile(found.parameters, 0.9)},"
        f" max {quantile(found.parameters, 1.0)}",
        f"  broad excepts         {len(found.broad)} ({len(found.broad) / thousands:.1f} per 1000"
        f" lines), global {len(found.globals)}",
        f"  test lines per line   {tests.lines / max(found.lines, 1):.2f}",
    ]


def over(rows: list[Row], limit: int) -> list[Row]:
    return sorted((row for row in rows if row[0] > limit), reverse=True)


def crossed(found: Measures) -> list[str]:
    """One line per broken hard rule."""
    long_files = over(found.files, FILE_LINES)
    long_functions = over(found.functions, FUNCTION_LINES)
    wide = over(found.parameters, PARAMETERS)
    return [
        *(f"{where}: {number} lines, at most {FILE_LINES}" for number, where in long_files),
        *(f"{where}: {number} lines, at most {FUNCTION_LINES}" for number, where in long_functions),
        *(f"{where}: {number} parameters, at most {PARAMETERS}" for number, where in wide),
        *(f"{where}: global" for where in found.globals),
        *found.unreadable,
    ]


def wished(found: Measures) -> list[str]:
    """One line per thing that is allowed and should be smaller."""
    functions = over(found.functions, FUNCTION_LINES_WISHED)
    parameters = over(found.parameters, PARAMETERS_WISHED)
    return [
        *(f"{w}: {n} lines" for n, w in functions if n <= FUNCTION_LINES),
        *(f"{w}: {n} parameters" for n, w in parameters if n <= PARAMETERS),
    ]


def main(root: Path) -> int:
    sources, tests = measure(root, SOURCES), measure(root, ("tests",))
    helpers = measure(root, HELPERS)
    print("\n".join(table("sources", sources, tests)))
    print(f"tests: {len(tests.files)} files, {tests.lines} lines")
    print(f"tools, benchmarks, examples: {len(helpers.files)} files, {helpers.lines} lines")
    for line in wished(sources):
        print(f"  could be smaller: {line}")
    broken = [line for group in (sources, tests, helpers) for line in crossed(group)]
    for line in broken:
        print(f"RULE BROKEN: {line}", file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else ROOT))
