"""Clouds whose library comes with an extra: without it they say what to install."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import asyncio, sys
sys.modules[{library!r}] = None  # as where it is not installed
from pathlib import Path
from stix.clouds.config import CloudConfig
from stix.clouds.{module} import {adapter}
cloud = {adapter}(CloudConfig(home=Path({home!r}), socket_dir=Path({home!r})))
print(cloud.credentials())
try:
    asyncio.run(cloud.check())
except Exception as error:
    print(type(error).__name__, error, getattr(error, "fix", ""))
"""


@pytest.mark.parametrize(
    ("library", "module", "adapter", "variable", "extra"),
    [
        ("libcloud", "libcloud", "VultrCloud", "VULTR_API_KEY", "libcloud"),
        ("libcloud", "libcloud", "LinodeCloud", "LINODE_TOKEN", "libcloud"),
        ("nebius", "nebius", "NebiusCloud", "NEBIUS_IAM_TOKEN", "nebius"),
    ],
)
def test_it_says_what_to_install(
    library: str, module: str, adapter: str, variable: str, extra: str, tmp_path: Path
) -> None:
    script = SCRIPT.format(library=library, module=module, adapter=adapter, home=str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={**os.environ, variable: "a-key", "HOME": str(tmp_path)},
    )
    where, _, said = done.stdout.partition("\n")
    assert where == f"${variable}"
    assert said.startswith("UnsupportedFeature") and f"stix-pipelines[{extra}]" in said
