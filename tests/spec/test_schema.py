"""The JSON Schema for editors: it accepts what the models accept, and says what each field is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from stix.spec.jsonschema import DIALECT, ID, models, schema
from stix.spec.yaml.text import TextErrors, parse
from tests.spec.sky.rows import CORPUS, rows

ROOT = Path(__file__).resolve().parents[2]
NEEDS_CORPUS = "documents of third parties; STIX_SKY_CORPUS names the folder that holds them"
WHOLE = schema()
CHECK = Draft202012Validator(WHOLE)

BEYOND = {
    "workdir_absent": "whether a folder exists",
    "fm_src_absent": "whether a file exists",
    "dup_key": "YAML, not the values",
    "empty": "YAML, not the values",
    "envs_null": "a value may come with --env",
    "port_range_rev": "which number is larger",
    "svc_postdata": "JSON within a text",
    "jg_job_noname": "the header, which is another document",
    "jg_primary_unknown": "names in other documents",
}
"""Rows of wrong documents that no schema can refuse, and what it would have to know."""


def wrong(text: str) -> list[str]:
    """What the schema has to say of the documents of a text, each on its own as in an editor."""
    found = []
    for document in parse(text, "file.yaml"):
        for problem in CHECK.iter_errors(json.loads(json.dumps(document.value, default=str))):
            found.append(f"{problem.json_path}: {problem.message[:200]}")
    return found


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(WHOLE)
    assert WHOLE["$schema"] == DIALECT
    assert WHOLE["$id"] == ID
    assert "http" not in ID
    assert json.loads(json.dumps(WHOLE)) == WHOLE


@pytest.mark.parametrize(
    "row", [row for row in rows("forms") if not row.get("error")], ids=lambda row: row["yaml"]
)
def test_short_forms(row: dict[str, Any]) -> None:
    assert wrong(row["yaml"]) == []


@pytest.mark.parametrize(
    "row", [row for row in rows("forms") if row.get("tasks")], ids=lambda row: row["yaml"]
)
def test_canonical_forms(row: dict[str, Any]) -> None:
    assert [list(CHECK.iter_errors(task)) for task in row["tasks"]] == [[]] * len(row["tasks"])


@pytest.mark.parametrize("path", sorted(ROOT.glob("examples/**/*.yaml")), ids=lambda p: p.name)
def test_examples(path: Path) -> None:
    assert wrong(path.read_text(encoding="utf-8")) == []


@pytest.mark.corpus
@pytest.mark.skipif(not CORPUS, reason=NEEDS_CORPUS)
def test_documents_of_the_wild() -> None:
    valid = [row for row in rows("documents") if "expect" in row]
    found = {row["id"]: wrong(row["yaml"]) for row in valid}
    assert {name: said for name, said in found.items() if said} == {}


def test_wrong_documents_are_refused_but_for_a_known_list() -> None:
    passed = set()
    for row in rows("invalid"):
        try:
            if not wrong(row["yaml"]):
                passed.add(row["id"])
        except TextErrors:
            passed.add(row["id"])
    assert passed == set(BEYOND)


def fields() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for name, entry in WHOLE["$defs"].items():
        holder = next((a for a in entry.get("anyOf", ()) if "properties" in a), entry)
        for key, field in holder.get("properties", {}).items():
            yield name, key, field


def test_every_field_has_a_description() -> None:
    silent = [f"{name}.{key}" for name, key, field in fields() if not field.get("description")]
    assert silent == []
    assert all(entry.get("description") for entry in WHOLE["$defs"].values())


def test_every_model_refuses_unknown_keys() -> None:
    """All but those of which SkyPilot takes further keys as well."""
    named = {model.__name__: model for model in models()}
    assert set(WHOLE["$defs"]) <= set(named) | {"Header", "Variable"}
    assert {"StageSpec", "Resources", "StorageMount", "ServiceSpec"} <= set(WHOLE["$defs"])
    for model in [named[name] for name in WHOLE["$defs"] if name in named]:
        entry = WHOLE["$defs"][model.__name__]
        holder = next((a for a in entry.get("anyOf", ()) if "properties" in a), entry)
        open_to_more = model.model_config.get("extra") == "allow"
        assert holder["additionalProperties"] is False or open_to_more, model.__name__


def test_keys_that_skypilot_writes_are_accepted_and_not_suggested() -> None:
    for model in models():
        if model.__name__ not in WHOLE["$defs"]:
            continue
        keys = {key for name, key, _ in fields() if name == model.__name__}
        assert not keys & model.internal
        assert keys == set(model.accepted())
    assert wrong("run: x\nfile_mounts_mapping: {a: b}\n") == []


NATIVE = """\
name: p
envs: {A: 1, B: null}
secrets: [TOKEN]
deadline: 2h30m
max_parallel: 4
defaults: {resources: {cpus: 2+}}
stages:
  a:
    run: x
    outputs: {o: out, p: {path: b}}
    matrix: {seed: [1, 2], model: [svm]}
    allowed_failures: 20%
  b:
    needs: a
    inputs: {i: a.o, j: {from: a.p, path: here}}
    recovery: {user_error: {retries: unlimited, backoff: 5s}, capacity: none, timeout: 2}
    timeout: 90
    when: stages.a.status == "succeeded"
    run: x
  c: {run: y, recovery: none}
"""


def test_a_pipeline_of_stages() -> None:
    assert wrong(NATIVE) == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("deadline: 2h30m", "deadline: soon"),
        ("max_parallel: 4", "max_parallel: 0"),
        ("needs: a", "needs: [1]"),
        ("allowed_failures: 20%", "allowed_failures: -1"),
        ("seed: [1, 2]", "seed: []"),
        ("retries: unlimited", "retries: -1"),
        ("i: a.o", "i: o"),
        ("recovery: none}", "recovery: all}"),
        ("  a:\n", "  a b:\n"),
        ("secrets: [TOKEN]", "secrets: [TOKEN=1]"),
        ("timeout: 90", "timeouts: 90"),
    ],
)
def test_mistakes_in_a_pipeline_of_stages(before: str, after: str) -> None:
    assert before in NATIVE
    assert wrong(NATIVE.replace(before, after, 1))


def test_headers() -> None:
    assert wrong("name: p\nexecution: serial\n---\nrun: x\n---\nrun: y\n") == []
    assert wrong("name: p\nexecution: random\n---\nrun: x\n")
