"""Find an artifact by name and fetch it."""

from __future__ import annotations

import re
from pathlib import Path

from stix.client.api import Client, Json
from stix.errors import StixError, UsageError

_DIGEST = re.compile(r"(sha256:)?[0-9a-f]{32,64}")


def find(client: Client, name: str, run: str = "latest") -> str:
    """The digest of ``stage.output`` of a run; a digest is taken as it is.

    Raises:
        UsageError: the run has no such artifact.
    """
    if _DIGEST.fullmatch(name):
        return name
    known = outputs(client.run(run))
    if name in known:
        return known[name]
    from difflib import get_close_matches

    near = get_close_matches(name, known, n=1)
    raise UsageError(
        f"Run {run} has no artifact {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""),
        fix="Artifacts: " + (", ".join(known) or "none (yet)"),
    )


def outputs(run: Json) -> dict[str, str]:
    """``stage.output`` to digest, the outputs of stages that an earlier run made among them."""
    return {
        f"{stage['key']}.{name}": str(digest)
        for stage in run["stages"]
        for name, digest in (stage["outputs"] or {}).items()
    }


def download(client: Client, digest: str, target: Path) -> list[str]:
    """Fetch an artifact into ``target``, which must be absent or an empty directory.

    Returns:
        Names of the files, relative to ``target``.
    """
    import tarfile
    import tempfile

    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UsageError(f"{target} exists and is not an empty directory", fix="Name another.")
    with tempfile.TemporaryFile() as spool:
        client.artifact_tar(digest, spool)
        spool.seek(0)
        target.mkdir(parents=True, exist_ok=True)
        try:
            with tarfile.open(fileobj=spool) as tar:
                # `data` refuses names and links that lead out of the target (PEP 706).
                tar.extractall(target, filter="data")
                return sorted(member.name.removeprefix("./") for member in tar if member.isfile())
        except tarfile.TarError as error:
            raise StixError(f"Artifact {digest} did not arrive whole: {error}") from None
