"""The conformance suite of runners.

A runner joins by a subclass with one fixture::

    class TestMyRunner(RunnerConformance):
        @pytest.fixture
        async def runner(self) -> AsyncIterator[Runner]:
            runner = MyRunner(...)
            yield runner
            await runner.close()

Another fixture, ``lost``, gives a runner whose node is gone.
"""

from stix.remote.testing.conformance import RunnerConformance

__all__ = ["RunnerConformance"]
