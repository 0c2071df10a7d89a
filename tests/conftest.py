"""A skip is loud: where CI is set, a test that would be skipped fails instead.

Two kinds may be skipped there. Tests marked ``corpus`` read documents of third parties, which
cannot be installed; the end of the output says so. And a check of a conformance suite, which
records its name, says "does not apply" where what it is about does not exist, such as stopping a
machine that cannot be stopped; ``./dev test --clouds`` lists these with their reasons.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import tempfile
from collections.abc import Generator

import pytest

pytest_plugins = [
    "tests.support.docker",
    "tests.support.hosts",
    "tests.support.server",
    "tests.support.slurm",
]

# Decorating a function starts the local server: to import a test module must not do so, in the
# developer's own home. Tests of just that drop the variable.
os.environ.setdefault("STIX_PREFECT", "off")

# No test finds the accounts of whoever runs it, in the environment or in files of the home folder:
# the server under test would ask their clouds, and could rent there.
ACCOUNTS = re.compile(
    r"(AWS|GOOGLE|GCP|GCLOUD|CLOUDSDK|AZURE|ARM|OCI|IBM(CLOUD)?|IC|OS|OVH|SCW|VAST|RUNPOD|LAMBDA|NEBIUS"
    r"|CUDO|HCLOUD|LINODE|DIGITALOCEAN|SLURM)_.*|KUBECONFIG|XDG_(CONFIG|DATA)_HOME"
    r"|.*(API_?KEY|_TOKEN|_SECRET|_SECRET_KEY|_ACCESS_KEY|_PASSWORD)"
)
for name in [n for n in os.environ if ACCOUNTS.fullmatch(n) and n != "AWS_CA_BUNDLE"]:
    del os.environ[name]
HOME = ""
if "PYTEST_XDIST_WORKER" not in os.environ:  # a worker has the home of the process that started it
    HOME = os.environ["HOME"] = tempfile.mkdtemp(prefix="stix-tests-home-")

# A shell that starts this in the background ignores SIGINT, and so would every command under test.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Walks through the whole product: what their processes execute, the tests of its parts do too, and
# counting the branches again takes a quarter of their time.
WALKS = ("tests/acceptance/", "tests/crash/", "tests/examples/")
MEASURED = "COVERAGE_PROCESS_CONFIG"

CORPUS = "corpus"
NOT_APPLICABLE = "Skipped: does not apply: "
IN_CI = os.environ.get("CI", "").lower() in {"1", "true"}


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    allowed = hasattr(report, "wasxfail") or CORPUS in getattr(report, "keywords", ())
    suite = any(name == "stix-check" for name, _ in getattr(report, "user_properties", ()))
    allowed = allowed or (suite and NOT_APPLICABLE in reason)
    if IN_CI and report.skipped and not allowed:
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid}: nothing may be skipped in CI ({reason})"


def pytest_configure(config: pytest.Config) -> None:
    said = "reads documents of third parties, in the folder that STIX_SKY_CORPUS names"
    config.addinivalue_line("markers", f"{CORPUS}: {said}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """No branches are counted in processes that a walk starts."""
    measured = os.environ.pop(MEASURED, None) if item.nodeid.startswith(WALKS) else None
    try:
        return (yield)
    finally:
        if measured is not None:
            os.environ[MEASURED] = measured


def pytest_unconfigure() -> None:
    if HOME:
        shutil.rmtree(HOME, ignore_errors=True)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was not checked because the documents of third parties are not here."""
    skipped = terminalreporter.stats.get("skipped", [])
    absent = [r.nodeid for r in skipped if CORPUS in getattr(r, "keywords", ())]
    if absent:
        terminalreporter.section("NOT CHECKED", sep="!", red=True, bold=True)
        terminalreporter.line(f"{len(absent)} tests need documents that are not in the repository.")
        terminalreporter.line("Set STIX_SKY_CORPUS to the folder that holds documents.jsonl:")
        for name in absent:
            terminalreporter.line(f"  {name}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _refuse_skip(report)
    return report
