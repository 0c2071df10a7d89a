"""The runner of this machine conforms."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from stix.remote.base import Runner
from stix.remote.local import LocalRunner
from stix.remote.testing import RunnerConformance


class TestLocalRunner(RunnerConformance):
    @pytest.fixture
    async def runner(self) -> AsyncIterator[Runner]:
        runner = LocalRunner()
        yield runner
        await runner.close()

    @pytest.fixture
    async def lost(self, runner: Runner) -> Runner:
        return runner  # this machine is never gone, but nobody listens on a missing socket
