"""Variables in fields: replaced text by text, once, and never into something else."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stix.spec.changes.overrides import Overrides
from stix.spec.loader import load_text
from stix.spec.models import PipelineSpec, StageSpec
from stix.spec.problems import SpecErrors
from stix.spec.service import ServiceSpec
from stix.spec.storage import StorageMount
from stix.spec.variables import Variables, could_become, names, substituted
from stix.spec.volumes import VolumeMount
from stix.spec.wire import to_wire, to_yaml
from stix.spec.workdir import GitSource

NAMES = ("A", "AB", "A_B", "_x1")
known = st.dictionaries(st.sampled_from(NAMES), st.text(max_size=6), max_size=4)
pieces = st.one_of(
    st.sampled_from(["$", "{", "}", "\\", '"', "\n", "é", "-", ".", "/"]),
    st.sampled_from([f"${n}" for n in NAMES] + [f"${{{n}}}" for n in NAMES] + ["$NO", "${NO}"]),
    st.text(max_size=3),
)
texts = st.lists(pieces, max_size=6).map("".join)
trees = st.recursive(
    st.one_of(texts, st.integers(), st.booleans(), st.none()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=5,
)


def naive(text: str, values: dict[str, str]) -> str:
    """One text, read from left to right."""
    out, rest = "", text
    while rest:
        found = re.match(r"\$([A-Za-z_][A-Za-z0-9_]*)|\$\{([A-Za-z_][A-Za-z0-9_]*)\}", rest)
        if found is None:
            out, rest = out + rest[0], rest[1:]
        else:
            out += values.get(found[1] or found[2], found[0])
            rest = rest[found.end() :]
    return out


def everywhere(value: Any, values: dict[str, str]) -> Any:
    if isinstance(value, str):
        return naive(value, values)
    if isinstance(value, dict):
        return {naive(k, values): everywhere(v, values) for k, v in value.items()}
    return [everywhere(v, values) for v in value] if isinstance(value, list) else value


def without_dollars(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("$", "")
    if isinstance(value, dict):
        return {without_dollars(k): without_dollars(v) for k, v in value.items()}
    return [without_dollars(v) for v in value] if isinstance(value, list) else value


@settings(max_examples=50, deadline=None)
@given(trees, known)
def test_each_text_is_replaced_on_its_own(tree: Any, values: dict[str, str]) -> None:
    data = {"envs": dict(values), "file_mounts": tree, "run": "$A"}
    assert substituted(data, Variables()) == {**data, "file_mounts": everywhere(tree, values)}


@settings(max_examples=50, deadline=None)
@given(trees, known)
def test_text_without_variables_stays(tree: Any, values: dict[str, str]) -> None:
    plain = without_dollars(tree)
    data = {"envs": dict(values), "volumes": plain}
    for context in (Variables(), Variables(secrets=True), None):
        assert substituted(data, context) is data


@settings(max_examples=50, deadline=None)
@given(texts, known)
def test_what_a_text_could_become(text: str, values: dict[str, str]) -> None:
    after = naive(text, values)
    assert after == text or could_become(text, after)
    assert {name for _, name in names(text)} >= {n for n in values if f"${{{n}}}" in text}


@pytest.mark.parametrize(
    ("text", "ours", "skypilots"),
    [
        ("$A", "v", "v"),
        ("${A}x", "vx", "vx"),
        ("$A/$A-$A.$A", "v/v-v.v", "v/v-v.v"),
        ("$AB", "$AB", "$AB"),
        ("$A_B", "$A_B", "$A_B"),
        ("$Aé", "vé", "vé"),
        ("$$A", "$v", "$v"),
        ("\\$A", "\\v", "\\v"),
        ("$1 $ ${} $-", "$1 $ ${} $-", "$1 $ ${} $-"),
        ("$B", "$A", "$A"),
        # SkyPilot takes braces that do not match.
        ("{$A}", "{v}", "{v"),
        ("${A", "${A", "v"),
        ("${A}}", "v}", "v}"),
    ],
)
def test_edges_of_names(text: str, ours: str, skypilots: str) -> None:
    data = {"envs": {"A": "v", "B": "$A"}, "workdir": text}
    assert substituted(data, Variables())["workdir"] == ours
    assert substituted(data, Variables(secrets=True))["workdir"] == skypilots


def test_fields_that_take_variables() -> None:
    data = dict.fromkeys(("workdir", "file_mounts", "volumes", "service", "pool"), "$A")
    other = dict.fromkeys(("run", "setup", "name", "resources", "num_nodes"), "$A")
    new = substituted({"envs": {"A": 1}, **data, **other}, Variables())
    assert new == {"envs": {"A": 1}, **dict.fromkeys(data, "1"), **other}


def test_whose_value_wins() -> None:
    data = {"envs": {"A": "file", "B": "file", "C": None}, "workdir": "$A-$B-$C-$D"}
    context = Variables(beneath={"A": "below", "C": "below"}, above={"B": "above", "D": "above"})
    assert substituted(data, context)["workdir"] == "file-above-below-above"
    whole = {**data, "secrets": {"A": "secret", "B": "secret", "C": "secret"}}
    context = Variables(above={"B": "above"}, hidden={"C": "hidden"}, secrets=True)
    assert substituted(whole, context)["workdir"] == "secret-secret-hidden-$D"


def test_secrets_only_for_skypilots_form() -> None:
    data = {"secrets": {"T": "hunter2", "N": None}, "workdir": "$T-$N"}
    assert substituted(data, Variables())["workdir"] == "$T-$N"
    assert substituted(data, Variables(secrets=True))["workdir"] == "hunter2-$N"
    listed = {"secrets": ["secrets:T"], "workdir": "$T"}
    assert substituted(listed, Variables(secrets=True))["workdir"] == "$T"


def test_objects_made_in_python() -> None:
    stage = StageSpec(
        run="echo $A",
        envs={"A": 'q"\\\n$A', "B": None},
        workdir={"url": "https://host/$A", "ref": "$B"},
        file_mounts={"/d/$A": StorageMount("bucket", "./$A"), "/t": "s3://$A", "/u": "./u"},
        volumes={"/v": VolumeMount(name="$A"), "/w": "$A"},
        service=ServiceSpec(readiness_probe="/$A", replicas=1),
    )
    new = stage.substituted()
    value = 'q"\\\n$A'
    assert new.file_mounts[f"/d/{value}"] == StorageMount("bucket", f"./{value}")
    assert new.file_mounts["/t"].written() == f"s3://{value}"
    assert new.volumes["/v"] == VolumeMount(name=value)
    assert new.volumes["/w"].written() == value
    assert new.workdir == GitSource(url=f"https://host/{value}", ref="$B")
    assert new.service == ServiceSpec(readiness_probe=f"/{value}", replicas=1)
    assert (new.run, new.envs) == ("echo $A", stage.envs)
    assert stage.file_mounts["/t"].written() == "s3://$A"


def test_what_was_changed_in_place_counts() -> None:
    stage = StageSpec(run="x")
    stage.envs["A"] = "v"
    stage.file_mounts["/d"] = StorageMount.model_validate("s3://$A")
    assert stage.substituted().file_mounts["/d"].written() == "s3://v"
    assert StageSpec(run="$A").substituted().run == "$A"


def test_two_targets_that_become_one() -> None:
    text = "run: x\nenvs: {A: x, B: x}\nfile_mounts: {/$A: ./a, /$B: ./b}\n"
    with pytest.raises(SpecErrors, match="two names in file_mounts become the same"):
        load_text(text)


def test_a_secret_in_a_field_is_refused() -> None:
    text = """\
run: echo $T
secrets: {T: hunter2}
workdir: ./$T
file_mounts: {"/d/$T": {name: bucket, source: "s${T}"}}
volumes: {/v: {name: $T}}
service: {readiness_probe: {path: /, headers: {Authorization: Bearer $T}}, replicas: 1}
"""
    with pytest.raises(SpecErrors) as caught:
        load_text(text)
    said = {p.path for p in caught.value.problems if "would be stored" in p.message}
    assert said == {
        "workdir",
        "file_mounts./d/$T",
        "file_mounts./d/$T.source",
        "volumes./v.name",
        "service.readiness_probe.headers.Authorization",
    }
    assert "hunter2" not in str(caught.value)


def test_no_value_of_a_secret_is_shown() -> None:
    loaded = load_text("run: x\nsecrets: {T: hunter2}\nworkdir: .\n")
    whole = PipelineSpec(stages=loaded.pipeline.stages)
    shown = [repr(whole), str(to_wire(whole)), to_yaml(whole), loaded.text, repr(loaded)]
    assert "hunter2" not in "".join(shown)
    assert "hunter2" not in repr(Variables(hidden={"T": "hunter2"}))


def test_command_line_over_lists_of_secrets() -> None:
    given_secrets = Variables(hidden={"T": "v"})
    data = {"secrets": ["secrets:T", "secrets:U"]}
    assert given_secrets.overridden(data)["secrets"] == {
        "secrets:T": None,
        "secrets:U": None,
        "T": "v",
    }
    assert data == {"secrets": ["secrets:T", "secrets:U"]}
    assert Variables().overridden(data) == data


def test_a_secret_of_the_command_line_meets_a_reference() -> None:
    loaded = load_text("run: x\nsecrets: [secrets:T]\n", given=Overrides(secrets={"T": "v"}))
    value = loaded.pipeline.stages["task"].secrets["T"]
    assert value is not None
    assert value.get_secret_value() == "v"
