"""Help for tests of mistakes: the first problem of a task."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stix.spec.problems import Problem, SpecErrors
from stix.spec.sky import canonical


def refusal(task: dict[str, Any]) -> Problem:
    """The first thing that is wrong with a task, which must be refused."""
    with pytest.raises(SpecErrors) as refused:
        canonical(json.dumps(task))
    return refused.value.problems[0]
