"""``stix status`` and ``stix version``."""

from __future__ import annotations

import click

from stix.cli.options import output_option
from stix.cli.output import pairs, show

ACTIVE = ("running", "queued", "cancelling")


@click.command()
@output_option
def status(output: str) -> int:
    """The server and the active runs; exit code 1 where no server runs."""
    from stix.cli.runs import runs_table
    from stix.cli.server import describe, find

    client = find()
    if client is None:
        none = {"running": False, "processes": [], "active": []}
        show(output, none, lambda: "No STIX server runs. The next `stix run` starts one.")
        return 1
    server = client.status()
    active = [run for state in ACTIVE for run in client.runs(limit=50, state=state)]
    show(
        output,
        {"running": True, **server, "active": active},
        lambda: describe(server) + "\n\n" + (runs_table(active) if active else "No run is active."),
    )
    return 0


@click.command()
@output_option
def version(output: str) -> None:
    """Print the version of STIX and of Python."""
    import sys

    from stix import __version__

    python = ".".join(str(part) for part in sys.version_info[:3])
    data = {"stix": __version__, "python": python, "platform": sys.platform}
    show(output, data, lambda: pairs(list(data.items())))
