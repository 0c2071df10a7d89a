"""What installed adapters cost a command that uses none: CPU seconds and memory.

    python benchmarks/adapters.py [--counts 0 100 1000] [--rounds 7] [--output json]

Beside the clouds of STIX it puts distributions on the path that offer so many more, each in a
module of its own, and measures ``import stix``, ``stix --help`` and the names of the clouds. The
peer is the same command with no more of them.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from cli import measure

COMMANDS = {
    "import stix": ["-c", "import stix"],
    "stix --help": ["-m", "stix.cli.main", "--help"],
    "names of clouds": ["-c", "from stix.clouds import registry; registry.names()"],
}


def offering(folder: Path, count: int) -> None:
    """One installed distribution that offers so many clouds."""
    info = folder / "many_clouds-1.0.dist-info"
    info.mkdir(parents=True)
    lines = [f"cloud{n} = cloud{n}_adapter:Cloud" for n in range(count)]
    (info / "entry_points.txt").write_text("[stix.clouds]\n" + "\n".join(lines) + "\n")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: many-clouds\nVersion: 1.0\n\n")
    for n in range(count):
        (folder / f"cloud{n}_adapter.py").write_text("raise SystemExit('it was imported')\n")


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--counts", type=int, nargs="+", default=[0, 100, 1000])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--output", choices=["table", "json"], default="table")
    given = parser.parse_args(argv)
    rows = []
    for count in given.counts:
        with tempfile.TemporaryDirectory() as folder:
            if count:
                offering(Path(folder), count)
            env = {**os.environ, "PYTHONPATH": folder}
            for name, arguments in COMMANDS.items():
                cpu, rss = measure([sys.executable, *arguments], given.rounds, env)
                rows.append({"more": count, "command": name, "cpu_s": cpu, "rss_mb": rss})
    if given.output == "json":
        json.dump(rows, sys.stdout, indent=2)
        return 0
    print(f"{'command':<18}{'more clouds':>12}{'CPU s':>10}{'MB':>8}{'ratio':>8}")
    base = {row["command"]: row for row in rows if row["more"] == given.counts[0]}
    for row in rows:
        ratio = row["cpu_s"] / base[row["command"]]["cpu_s"]
        print(
            f"{row['command']:<18}{row['more']:>12}{row['cpu_s']:>10.3f}{row['rss_mb']:>8.1f}"
            f"{ratio:>8.2f}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
