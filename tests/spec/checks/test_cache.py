"""Whether outputs of an earlier run may serve, and what is said of a wish that is in vain."""

from __future__ import annotations

import pytest

from stix.spec.loader import load_text
from stix.spec.stage import StageSpec

OUT = "outputs: {data: out}\n"
MOUNT = "file_mounts: {/m: {source: s3://bucket%s}}\n"
READ = ", config: {mount: {read_only: true}}"
VOLUME = "volumes: {/v: data}\n"


def stage(text: str) -> tuple[StageSpec, list[str]]:
    """The stage, and the warnings about its cache with their place."""
    loaded = load_text(f"name: x\nrun: y\n{text}")
    told = [f"{p.line}: {p.message}" for p in loaded.warnings if p.path.endswith("cache")]
    (only,) = loaded.pipeline.resolved().stages.values()
    return only, told


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (OUT, ""),
        ("", "declares no outputs"),
        (f"{OUT}cache: false\n", "cache: false"),
        (OUT + MOUNT % "", "/m"),
        (OUT + MOUNT % READ, ""),
        (OUT + MOUNT % ", mode: COPY", ""),
        (OUT + VOLUME, "/v"),
        (f"{OUT}cache: true\n{MOUNT % ''}", ""),
        (f"{OUT}cache: {{resources: true}}\n{VOLUME}", ""),
        ("cache: true\n", "declares no outputs"),
    ],
)
def test_what_is_never_skipped_says_why(text: str, why: str) -> None:
    only, _ = stage(text)
    assert only.cached == (why == "")
    assert why in only.uncached and bool(why) == bool(only.uncached)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cache: true\n", "3: the stage declares no outputs, so that it always runs"),
        ("cache: {resources: true}\n", "3: the stage declares no outputs"),
        (
            f"cache: true\n{OUT}{MOUNT % ''}{VOLUME}",
            "3: a stage that is skipped writes nothing to /m",
        ),
        (f"cache: true\n{OUT}", ""),
        (f"cache: true\n{OUT}{MOUNT % READ}", ""),
        ("cache: false\n", ""),
        (OUT + MOUNT % "", ""),
    ],
)
def test_a_wish_that_is_in_vain_is_told(text: str, said: str) -> None:
    _, told = stage(text)
    assert [said in one for one in told] == ([True] if said else [])
