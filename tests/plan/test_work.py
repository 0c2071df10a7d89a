"""From a pipeline to work: where data lies, and when stages begin and end."""

from __future__ import annotations

from typing import Any

import pytest

from stix.plan.estimates import Estimator
from stix.plan.history import History
from stix.plan.regions import Place
from stix.plan.work import Reader, located
from stix.spec.models import PipelineSpec


def test_where_urls_lie() -> None:
    known = {"s3://b": Place("aws", "us-east-1"), "s3://b/eu": Place("aws", "eu-west-1")}
    assert located("s3://b/x", known).region == "us-east-1"
    assert located("s3://b/eu/x", known).region == "eu-west-1"
    assert located("gs://b", known) == Place("gcp")
    assert located("cos://us-south/b", {}) == Place("ibm", "us-south")
    assert located("https://a.blob.core.windows.net/c", {}) == Place("azure")
    assert located("r2://b", {}) == Place("cloudflare")
    assert located("ftp://b", {}) == Place("ftp")


def test_when_stages_begin_and_how_long_their_outputs_are_kept() -> None:
    stages: dict[str, dict[str, Any]] = {
        "a": {"outputs": {"o": "o"}, "estimate": {"time": "1h", "outputs": {"o": 1}}},
        "b": {"needs": ["a"], "estimate": "4h"},
        "c": {"needs": ["a"], "outputs": {"o": "o"}, "estimate": {"outputs": {"o": 1}}},
        "d": {"needs": ["b", "c"], "estimate": "1h"},
    }
    spec = PipelineSpec.model_validate(
        {"stages": {name: {"run": "true", **stage} for name, stage in stages.items()}}
    )
    works = Reader(Estimator(History()), {}, {}, {}).read(spec)
    assert works.earliest == {"a": 0, "b": 3600, "c": 3600, "d": 5 * 3600}
    kept = {name: work.kept_hours for name, work in works.works.items()}
    assert kept["a"] == pytest.approx(5, rel=0.06)
    assert kept["c"] == pytest.approx(1, rel=0.06)
    assert kept["b"] == kept["d"] == 0
    ended = Reader(Estimator(History()), {}, {"a": [Place("aws")]}, {}).read(spec)
    assert ended.earliest == {"a": 0, "b": 0, "c": 0, "d": 4 * 3600}
    assert list(ended.works) == ["b", "c", "d"]
    assert [(edge.source, edge.target) for edge in ended.edges] == [("b", "d"), ("c", "d")]
