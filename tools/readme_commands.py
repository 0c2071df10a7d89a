"""The shell commands a Markdown file shows; run as a program, it runs those of README.md.

A command block is a fenced block marked ``sh``. They are run as one bash script in the root of the
repository, with a state folder of their own, as a reader who follows the file would run them.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SKIPPED = ("./dev test",)  # a step of its own where this runs


def blocks(markdown: str, language: str) -> list[str]:
    """The text of each fenced block of a language, in order."""
    return [text for word, text in FENCE.findall(markdown) if word == language]


def commands(markdown: str) -> list[str]:
    """The command lines of a file, without comments."""
    lines = [line for block in blocks(markdown, "sh") for line in block.splitlines()]
    bare = [line.split(" #")[0].strip() for line in lines]
    return [line for line in bare if line and not line.startswith("#")]


def main() -> int:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    chosen = [line for line in commands(text) if not line.startswith(SKIPPED)]
    print(f"README.md: running {len(chosen)} commands", flush=True)
    shown = (f"echo {shlex.quote('$ ' + line)}\n{line}" for line in chosen)
    script = "set -euo pipefail\n" + "\n".join(shown)
    with tempfile.TemporaryDirectory(prefix="stix-readme-") as home:
        env = {**os.environ, "STIX_HOME": home}
        stix = str(ROOT / ".venv" / "bin" / "stix")
        try:
            done = subprocess.run(["bash", "-c", script], cwd=ROOT, env=env, check=False)
        finally:
            subprocess.run([stix, "server", "stop"], cwd=ROOT, env=env, check=False)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
