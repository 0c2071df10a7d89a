"""Values of secrets stay out of what is said about an object."""

from __future__ import annotations

import traceback

import pytest

import stix
from stix.spec.python.objects import Refused


def test_a_refused_form_shows_no_secret() -> None:
    """The canonical form holds values of secrets; what refuses it does not."""
    task = stix.Task(
        run="x",
        secrets={"T": "hunter2-in-full"},
        file_mounts={"/d": {"name": "bucket-a", "store": "$T"}, "/$T": {"source": "s3://b"}},
    )
    with pytest.raises(Refused) as caught:
        task.to_yaml_config()
    assert [problem.path for problem in caught.value.problems] == ["file_mounts./d.store"]
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


def test_a_form_that_is_not_refused_holds_them() -> None:
    task = stix.Task(run="x", secrets={"T": "b"}, file_mounts={"/d": "s3://$T/x"})
    assert task.to_yaml_config()["file_mounts"] == {"/d": "s3://b/x"}
