"""``stix schema``: the JSON Schema of pipeline files, for editors."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click


@click.command()
@click.option(
    "--output", "-o", "target", metavar="FILE", help="Write it to FILE instead of printing it."
)
def schema(target: str | None) -> None:
    """Print the JSON Schema of pipeline files, so that an editor completes and checks them.

    For VS Code and its YAML extension, write it to a file and name that in the first line of a
    pipeline file:

    \b
    stix schema --output stix.schema.json
    # yaml-language-server: $schema=./stix.schema.json
    """
    from stix.spec.jsonschema import schema as generated

    text = json.dumps(generated(), indent=2, ensure_ascii=False) + "\n"
    if target is None:
        sys.stdout.write(text)
    else:
        Path(target).write_text(text, encoding="utf-8")
