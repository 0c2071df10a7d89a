"""Run the conformance suite on every cloud, print the table, and keep it in the docs.

``./dev test --clouds [PYTEST ARGUMENT...]``
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "clouds" / "conformance.md"
HEAD = """# Clouds and the checks they pass

Made by `./dev test --clouds`. Every cloud is held to the same suite (`stix.clouds.testing`), each
on its own ground: real programs and hosts where the last column says so, else a double of the
provider's API on loopback, which can be broken at every request. No provider was called.

Lines are those of the cloud's folder, without blank lines.

| cloud | lines | checks passed | failed | do not apply | tested on |
|---|---|---|---|---|---|
"""
GROUND = {
    "local": "this machine",
    "ssh": "real sshd in network namespaces",
    "docker": "a real dockerd",
    "podman": "a real podman",
    "slurm": "a real Slurm",
    "aws": "moto behind a proxy that breaks, and real hosts",
    "kubernetes": "a stateful API server that kubectl accepts; pods are processes",
    "sim": "the simulator, on real agents",
}
Tally = Mapping[str, Mapping[str, str]]


def main(argv: list[str]) -> int:
    tally, code = measured(argv)
    text = page(tally)
    sys.stdout.write(text)
    if code == 0 and not argv:
        PAGE.parent.mkdir(parents=True, exist_ok=True)
        PAGE.write_text(text)
    missing = sorted(set(folders()) - set(tally))
    if missing and not argv:
        print(f"not tested: {', '.join(missing)}", file=sys.stderr)
    return code


def measured(argv: list[str]) -> tuple[Tally, int]:
    """Cloud to check to how it ended, and pytest's exit code."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "tally.json"
        command = [sys.executable, "-m", "pytest", "--no-cov", "-q", "-k", "test_cloud["]
        command += ["-p", "tests.support.clouds.tally", *(argv or ["tests/clouds"])]
        env = {**os.environ, "STIX_TALLY": str(file)}
        code = subprocess.run(command, cwd=ROOT, env=env, check=False, stdout=sys.stderr).returncode
        return json.loads(file.read_text()), code


def page(tally: Tally) -> str:
    """The page as Markdown: the table, then why checks do not apply."""
    known = folders()
    rows, reasons = [], []
    for cloud in sorted(set(tally) & set(known)):
        ended = tally[cloud]
        passed = sum(how == "passed" for how in ended.values())
        failed = sum(how == "failed" for how in ended.values())
        others = {c: how for c, how in ended.items() if how not in ("passed", "failed")}
        ground = GROUND.get(cloud, "a double of its API")
        rows.append(
            f"| {cloud} | {lines(known[cloud])} | {passed} | {failed} | {len(others)} | {ground} |"
        )
        reasons.append(f"- **{cloud}**: {_why(others)}")
    total = f"\n{len(rows)} clouds.\n\n## Why checks do not apply\n\n"
    return HEAD + "\n".join(rows) + "\n" + total + "\n".join(reasons) + "\n"


def folders() -> dict[str, Path]:
    """Cloud to its folder."""
    found = {}
    for point in entry_points(group="stix.clouds"):
        parts = point.value.partition(":")[0].split(".")
        if parts[:2] == ["stix", "clouds"]:
            found[point.name] = ROOT.joinpath("clouds", parts[2])
    return found


def lines(folder: Path) -> int:
    """Lines of code, without blank ones."""
    return sum(
        bool(line.strip())
        for file in folder.rglob("*.py")
        for line in file.read_text().splitlines()
    )


def _why(others: Mapping[str, str]) -> str:
    if not others:
        return "all apply"
    counted = Counter(others.values())
    parts = []
    for reason, count in counted.most_common():
        names = ", ".join(f"`{c}`" for c, how in sorted(others.items()) if how == reason)
        parts.append(f"{reason} ({names if count < 4 else f'{count} checks'})")
    return "; ".join(parts)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
