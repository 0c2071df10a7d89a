"""Start an adapter for a cloud: ``./dev new-cloud NAME``.

It writes a folder that works, against a double that works, of an API that is made up; replace the
made-up API by the provider's, double first. ``--outside FOLDER`` makes a distribution of its own
instead, with the entry point by which an installed STIX finds it.
"""

from __future__ import annotations

import argparse
import keyword
import re
import sys
from pathlib import Path
from string import Template

ROOT = Path(__file__).parent.parent
TEMPLATES = Path(__file__).with_name("templates") / "cloud"
GROUP = '[project.entry-points."stix.clouds"]'


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="./dev new-cloud", description=__doc__)
    parser.add_argument("name", help="as in `infra: NAME`; small letters and digits")
    parser.add_argument("--outside", type=Path, help="folder of a new distribution")
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    given = parser.parse_args(argv)
    name = given.name
    if not re.fullmatch(r"[a-z][a-z0-9]{1,20}", name) or keyword.iskeyword(name):
        print(f"{name!r} is no name for a cloud: small letters and digits, no word of Python")
        return 2
    written = outside(given.outside, name) if given.outside else inside(given.root, name)
    if not written:
        print(f"there is a cloud {name!r} already; nothing was written")
        return 1
    for path in written:
        print(f"wrote {path}")
    print(f"now: edit the TODOs, and run pytest {written[-1]}")
    return 0


def inside(root: Path, name: str) -> list[Path]:
    """Into this repository; nothing where the cloud exists."""
    if (root / "clouds" / name).exists():
        return []
    adapter, double = f"stix.clouds.{name}", f"tests.support.clouds.{name}"
    texts = rendered(name, adapter, double)
    files = {
        root / "clouds" / name / "__init__.py": texts["init"],
        root / "clouds" / name / "errors.py": texts["errors"],
        root / "clouds" / name / "cloud.py": texts["cloud"],
        root / "tests" / "support" / "clouds" / f"{name}.py": texts["double"],
        root / "tests" / "clouds" / "error_strings" / f"{name}.txt": texts["strings"],
        root / "tests" / "clouds" / f"test_{name}.py": texts["test"],
    }
    join(root / "pyproject.toml", f'{name} = "{adapter}:{name.capitalize()}Cloud"')
    return written(files)


def outside(folder: Path, name: str) -> list[Path]:
    """A distribution of its own; nothing where the folder has one."""
    if (folder / "pyproject.toml").exists():
        return []
    package = f"stix_{name}"
    texts = rendered(name, package, f"{package}_double")
    local = {kind: text.replace(f"stix.clouds.{name}", package) for kind, text in texts.items()}
    files = {
        folder / "pyproject.toml": PROJECT.substitute(name=name, Class=name.capitalize()),
        folder / package / "__init__.py": local["init"],
        folder / package / "errors.py": local["errors"],
        folder / package / "cloud.py": local["cloud"],
        folder / f"{package}_double.py": local["double"],
        folder / f"test_{name}.py": local["test"],
    }
    return written(files)


PROJECT = Template(
    """[build-system]
requires = ["hatchling>=1.27"]
build-backend = "hatchling.build"

[project]
name = "stix-$name"
version = "0.1.0"
dependencies = ["stix-pipelines"]

[project.entry-points."stix.clouds"]
$name = "stix_$name:${Class}Cloud"

[tool.hatch.build]
packages = ["stix_$name"]
"""
)


def rendered(name: str, adapter: str, double: str) -> dict[str, str]:
    """Kind to text."""
    words = {
        "name": name,
        "class": name.capitalize(),
        "title": name.capitalize(),
        "upper": name.upper(),
        "adapter": adapter,
        "double": double,
    }
    return {
        path.stem: Template(path.read_text()).substitute(words)
        for path in sorted(TEMPLATES.glob("*.txt"))
    }


def join(pyproject: Path, line: str) -> None:
    """Add an entry point to its group, in the order of names."""
    head, group, rest = pyproject.read_text().partition(GROUP + "\n")
    lines, blank, after = rest.partition("\n\n")
    entries = sorted([*lines.splitlines(), line])
    pyproject.write_text(head + group + "\n".join(entries) + blank + after)


def written(files: dict[Path, str]) -> list[Path]:
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return list(files)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
