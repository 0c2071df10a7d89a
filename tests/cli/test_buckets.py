"""What ``stix run`` says of buckets that cannot be, before anything starts."""

from __future__ import annotations

import pytest

from tests.cli.test_commands import Cli, cli

__all__ = ["cli"]
pytestmark = pytest.mark.server


def test_wrong_names_are_told_with_their_place(cli: Cli) -> None:
    text = "name: x\nrun: y\nfile_mounts:\n  /a: {%s, mode: COPY, source: .}\n"
    for wrong, said in (
        ("name: a..b, store: s3", ":4:14: error: file_mounts./a.name"),
        ("name: google-data, store: gcs", "must not begin with 'goog'"),
        ("name: owner/x, store: hf", "buckets of Hugging Face are not made"),
        # What another store would take; only the server knows which one is meant.
        ("name: Not_In_S3", ":4:14: error: file_mounts./a.name"),
    ):
        told = cli("run", cli.file(text % wrong), code=1).stderr
        assert said in told and "fix:" in told, told
