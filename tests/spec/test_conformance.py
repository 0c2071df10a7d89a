"""The conformance report: each key of a file is used, mapped or refused, as a run does it.

After a change of a status: ``python -m tests.spec.golden`` writes the golden files and the tables
of the documentation anew, with ``STIX_SKY_CORPUS`` naming the folder of ``documents.jsonl``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from stix.spec.base import Spec
from stix.spec.changes.overrides import Overrides
from stix.spec.conformance import Report, of_pipeline, report
from stix.spec.keys import keys, kinds
from stix.spec.models import PipelineSpec
from stix.spec.resources import Resources
from stix.spec.stage import StageSpec
from stix.spec.statuses import TABLE, Cases, Status
from stix.spec.storage import StorageMount
from tests.spec import golden
from tests.spec.fuzzing import Mutator, seeds
from tests.spec.sky.rows import CORPUS, rows

NEEDS_CORPUS = "documents of third parties; STIX_SKY_CORPUS names the folder that holds them"


OLD: dict[type[Spec], set[str]] = {StageSpec: {"experimental"}, Resources: {"spot_recovery"}}
"""Fields of earlier releases of SkyPilot, which `stix.spec.checks.removed` maps."""


def statuses(found: Report) -> dict[str, str]:
    return {row.path: row.status for row in found.rows}


def accepted(model: type[Spec]) -> set[str]:
    """Every key that a model accepts, SkyPilot's own included."""
    fields = {field.alias or name for name, field in model.model_fields.items()}
    return (
        fields | OLD.get(model, set()) | set(model.also) | model.internal - set(model.model_fields)
    )


def concerned() -> Iterator[type[Spec]]:
    """Models whose keys have a status each: all but those that lie below a refused key alone."""
    seen: set[type[Spec]] = set()
    work: list[type[Spec]] = [PipelineSpec]
    while work:
        model = work.pop()
        if model in seen:
            continue
        seen.add(model)
        yield model
        for name, field in model.model_fields.items():
            rule = TABLE.get(model, {}).get(field.alias or name)
            if not (isinstance(rule, Status) and rule.word == "refused"):
                direct, entries = kinds(field)
                work += [*direct, *entries]


def test_every_key_has_a_status() -> None:
    """A new field of a model needs a line in the table of `stix.spec.statuses`."""
    for model in concerned():
        missing = accepted(model) - set(TABLE.get(model, {}))
        assert not missing, f"{model.__name__}: no status for {sorted(missing)}"


def test_no_status_is_left_behind() -> None:
    for model, table in TABLE.items():
        assert set(table) <= accepted(model), model.__name__


def test_statuses_say_what_is_needed() -> None:
    for table in TABLE.values():
        for name, rule in table.items():
            for status in rule.cases.values() if isinstance(rule, Cases) else [rule]:
                assert bool(status.to) == (status.word != "used"), name
                assert status.why or status.word != "refused", name


@pytest.mark.parametrize("row", rows("forms"), ids=lambda row: row["yaml"])
def test_the_report_says_what_a_run_does(row: dict[str, str]) -> None:
    agree(golden.report_of(row))


@pytest.mark.corpus
@pytest.mark.skipif(not CORPUS, reason=NEEDS_CORPUS)
def test_the_report_says_what_a_run_does_with_documents_of_the_wild() -> None:
    for row in rows("documents"):
        agree(golden.report_of(row))


def test_the_report_says_what_a_run_does_with_damaged_documents() -> None:
    """Also where nobody thought of it: every other text that is still valid, or is none."""
    makes = Mutator(11, seeds())
    texts = (makes.mutant().decode("utf-8", "replace") for _ in range(1500))
    valid = 0
    for text in texts:
        found = report(text)
        agree(found)
        valid += found.loaded is not None
    assert valid > 50


def agree(found: Report) -> None:
    """What is refused at submission is refused in the report, and the other way round."""
    if found.loaded is None:
        return
    told = {p.path for p in found.problems if p.severity == "error"}
    refused = {row.path for row in found.rows if row.status == "refused" and not row.part}
    for path in told:
        assert any(within(path, row) for row in refused), path
    for row in refused:
        assert any(within(path, row) for path in told), row


def within(path: str, row: str) -> bool:
    """Whether a path lies at a row or below it."""
    return path == row or path.startswith((f"{row}.", f"{row}["))


TEXT = """\
name: demo
resources:
  gpus: A100:2
  cloud: aws
  autostop: {idle_minutes: 3, down: true}
  disk_size: 100
  any_of: [{cpus: 2, labels: {a: b}}, {use_spot: true}]
envs: {B: bucket, M: MOUNT}
secrets: {A: hunter2, "secrets:HF": }
file_mounts:
  /data: {source: "s3://${B}", mode: copy}
  /out: {name: $B, mode: MOUNT}
  /x: ftp://foo/bar
service: {readiness_probe: {path: /}}
num_nodes: null
run: x
"""


def test_a_task() -> None:
    found = report(TEXT)
    shown = {row.path: row.status for row in found.rows if not row.part}
    assert shown == {
        "name": "used",
        "resources": "used",
        "resources.gpus": "mapped",
        "resources.cloud": "mapped",
        "resources.autostop": "mapped",
        "resources.disk_size": "used",
        "resources.any_of": "used",
        "resources.any_of[0].cpus": "used",
        "resources.any_of[0].labels": "used",
        "resources.any_of[1].use_spot": "used",
        "envs": "used",
        "secrets": "mapped",
        "secrets.A": "used",
        "file_mounts": "used",
        "file_mounts./data": "used",
        "file_mounts./data.source": "used",
        "file_mounts./data.mode": "used",
        "file_mounts./out": "used",
        "file_mounts./out.name": "used",
        "file_mounts./out.mode": "used",
        "file_mounts./x": "refused",
        "service": "refused",
        "num_nodes": "mapped",
        "run": "used",
    }
    by_path = {row.path: row for row in found.rows}
    assert by_path["resources.any_of[0].labels"].shape == "resources.any_of.*.labels"
    assert (by_path["resources.disk_size"].line, by_path["resources.disk_size"].column) == (6, 3)
    assert by_path["service.readiness_probe.path"].status == "refused"
    assert "ftp://" in by_path["file_mounts./x"].why
    assert by_path["secrets"].to == "--secret HF"
    assert not found.ok


def test_every_key_of_the_text_is_in_the_report() -> None:
    found = statuses(report(TEXT))
    for path in ("envs.B", "resources.autostop.idle_minutes", "file_mounts./out.name"):
        assert path in found


def test_no_value_of_a_secret_is_in_a_report() -> None:
    for text in (TEXT, "run: x\nsecrets: {A: hunter2, 1B: hunter2}\n", "secrets: A=hunter2\n"):
        found = report(text)
        told = [*map(str, found.problems), *(json.dumps(row.to_dict()) for row in found.rows)]
        assert "hunter2" not in "".join(told)


def test_variables_decide() -> None:
    mounts = "file_mounts:\n  /d/$M: {source: $STORE://bucket, mode: $M}\n"
    text = f"run: x\nenvs: {{STORE: s3, M: COPY}}\n{mounts}"
    assert statuses(report(text))["file_mounts./d/$M"] == "used"
    other = report(text, given=Overrides(envs={"STORE": "ftp"}, complete=False))
    assert statuses(other)["file_mounts./d/$M"] == "refused"


def test_a_pipeline_of_stages() -> None:
    text = """\
envs: {BUCKET: s3}
deadline: 2h
defaults:
  resources: {priority: 8}
stages:
  a:
    run: x
    outputs: {o: out}
  b:
    inputs: {i: a.o}
    file_mounts: {/d: $BUCKET://x}
    recovery: {user_error: {retries: 2}}
    run: x
"""
    found = report(text)
    shown = statuses(found)
    assert shown["defaults.resources.priority"] == "refused"
    assert shown["stages.b.file_mounts./d"] == "used"
    assert shown["stages.b.inputs"] == "used"
    assert shown["stages.b.recovery.user_error.retries"] == "used"
    shapes = {row.path: row.shape for row in found.rows}
    assert shapes["stages.b.file_mounts./d"] == "stages.*.file_mounts.*"
    assert {p.line for p in found.problems if p.severity == "error"} == {4}


def test_several_documents() -> None:
    first = "name: g\nexecution: parallel\n---\nname: a\nrun: x\n---\n"
    text = f"{first}name: b\nrun: y\npool: {{workers: 1}}\n"
    refused = [(row.line, row.path) for row in report(text).rows if row.status == "refused"]
    assert (2, "execution") in refused
    assert (9, "pool") in refused
    assert len(report("name: p\n---\nrun: x\n---\nrun: y\n").rows) == 3


def test_a_key_that_a_header_passes_over() -> None:
    found = report("name: g\nexecution: parallel\nfoo: 1\n---\nname: a\nrun: x\n")
    [row] = [row for row in found.rows if row.path == "foo"]
    assert (row.status, row.to) == ("mapped", "nothing")
    agree(found)


def test_a_file_that_is_not_valid() -> None:
    text = (
        "runn: x\nresources: {cpus: many, priority: 8}\nfile_mounts: {/d: {mode: LINK}}\nsetup: y\n"
    )
    found = report(text)
    assert found.loaded is None
    shown = statuses(found)
    assert shown["runn"] == shown["resources.cpus"] == shown["resources.priority"] == "refused"
    assert shown["file_mounts./d.mode"] == "refused"
    assert shown["setup"] == "used"
    why = {row.path: row for row in found.rows}
    assert "did you mean 'run'" in why["runn"].to
    assert "many" in why["resources.cpus"].why


@pytest.mark.parametrize("text", ["", "[1, 2]", "a: [", "run: a\nrun: b\n", "- run: x\n"])
def test_what_cannot_be_read_has_problems_alone(text: str) -> None:
    found = report(text)
    assert found.rows == []
    assert found.problems


def test_old_names_of_skypilot() -> None:
    text = """\
run: x
resources: {spot_recovery: FAILOVER}
experimental: {config_overrides: {docker: {run_options: -v}}}
"""
    found = report(text)
    agree(found)
    shown = statuses(found)
    assert shown["resources.spot_recovery"] == "mapped"
    assert shown["experimental"] == "refused"
    [told] = [p for p in found.problems if p.severity == "error"]
    assert (told.line, told.path) == (3, "experimental")


def test_a_python_pipeline() -> None:
    stage = StageSpec(run="x", resources=Resources(priority=8), file_mounts={"/d": "ftp://b"})
    found = of_pipeline(PipelineSpec(name="p", stages={"a": stage}))
    shown = statuses(found)
    assert shown["stages.a.resources.priority"] == "refused"
    assert shown["stages.a.file_mounts./d"] == "refused"
    assert shown["stages.a.run"] == "used"
    assert {p.path for p in found.problems} == {
        "stages.a.resources.priority",
        "stages.a.file_mounts./d",
    }


def test_models_and_plain_data_agree() -> None:
    plain: dict[str, Any] = {"mode": "copy", "source": "ftp://bucket", "persistent": False}
    of_model = {k.path: k.status for k in keys(StorageMount, StorageMount(**plain))}
    of_plain = {k.path: k.status for k in keys(StorageMount, plain)}
    assert of_model == of_plain


def test_golden_forms() -> None:
    assert golden.golden("forms") == golden.FORMS.read_text(encoding="utf-8")


@pytest.mark.corpus
@pytest.mark.skipif(not CORPUS, reason=NEEDS_CORPUS)
def test_golden_documents() -> None:
    assert golden.golden("documents") == golden.DOCUMENTS.read_text(encoding="utf-8")


def test_the_tables_of_the_documentation_are_fresh() -> None:
    page = golden.PAGE.read_text(encoding="utf-8")
    assert golden.with_tables(page) == page
