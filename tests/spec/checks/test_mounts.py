"""Buckets, disks and volumes that would fail at launch."""

from __future__ import annotations

import pytest

from stix.spec.changes.overrides import Overrides
from stix.spec.checks.mounts import unnamed
from stix.spec.loader import load_text
from stix.spec.problems import Problem, SpecErrors


def told(text: str) -> list[Problem]:
    """Errors, or the warnings of a file without errors."""
    try:
        return load_text(text, given=Overrides(complete=False)).warnings
    except SpecErrors as refusal:
        return refusal.problems


def mounted(text: str) -> dict[str, str]:
    found = told(f"run: x\nfile_mounts: {{/d: {text}}}\n")
    start = "file_mounts./d"
    return {p.path.removeprefix(start): f"{p.severity}: {p.message} | {p.fix}" for p in found}


@pytest.mark.parametrize(
    ("text", "path", "said"),
    [
        ("{}", "", "neither name nor source"),
        ("{name: abc, mode: COPY}", "", "mode: COPY needs a source"),
        ("{source: ./a}", "", "needs a name"),
        ("{source: [./a]}", "", "needs a name"),
        ("{source: ./a, mode: COPY}", "", "copy without a bucket: /d: ./a"),
        ("{source: s3://abc, name: other}", ".name", "the bucket is abc"),
        ("{source: s3://a}", ".source", "has 1 characters; 3 to 63"),
        ("{source: 's3://A_B', mode: COPY}", ".source", "lower-case"),
        ("{source: gcs://abc}", ".source", "did you mean gs://?"),
        ("{source: hf://gpt2}", ".source", "names no owner"),
        ("{source: ''}", "", "needs a name"),
        ("{name: abc, source: [./a, s3://abc]}", ".source[1]", "local paths only"),
        ("{name: abc, source: [./a/x, ./b/x]}", ".source[1]", "one name in the bucket"),
        ("{name: s3://abc}", ".name", "write source: s3://abc"),
        ("{name: A_B, store: s3}", ".name", "lower-case"),
        ("{name: a--b, store: azure}", ".name", "must not hold '--'"),
        ("{name: a b}", ".name", "may hold only"),
        ("{name: v, store: VOLUME}", ".store", "lower case"),
        ("{name: abc, store: $STORE}", ".store", "has no value"),
        ("''", "", "the source is empty"),
        ("gcs://b", "", "did you mean gs://?"),
        ("https://host/file", "", "fetch it in setup"),
        ("'gs://[x'", "", "is no URL"),
        ("{store: volume, name: v, source: gcs://b}", ".source", "did you mean gs://?"),
    ],
)
def test_mounts_that_cannot_be(text: str, path: str, said: str) -> None:
    assert said in mounted(text)[path]
    assert mounted(text)[path].startswith("error")


@pytest.mark.parametrize(
    "text",
    [
        "s3://b/any/part",
        "file:///x",
        "s3://$BUCKET/x",
        "{name: abc}",
        "{name: a}",
        "{source: s3://abc}",
        "{source: s3://abc/, name: abc}",
        "{source: s3://abc/x, mode: COPY}",
        "{source: hf://buckets/me/b/x}",
        "{source: https://acc0.blob.core.windows.net/abc/x}",
        "{name: abc, source: ./a}",
        "{name: $B, source: ./a}",
        "{name: abc, source: [./a, ./b]}",
        "{name: v, store: volume, source: s3://b/x, config: {disk_tier: HIGH, disk_size: 10}}",
    ],
)
def test_mounts_that_can_be(text: str) -> None:
    assert mounted(text) == {}


def test_options_that_do_nothing_are_warnings() -> None:
    found = mounted("{name: abc, config: {mountt: {}, disk_tier: high}}")
    assert "did you mean 'mount'?" in found[".config.mountt"]
    assert "without store: volume" in found[".config.disk_tier"]
    found = mounted("{name: v, store: volume, config: {disk_tier: hihg}}")
    assert found == {
        ".config.disk_tier": "warning: 'hihg' is not known here | did you mean 'high'?"
    }


def test_a_bucket_of_an_earlier_stage_can_be_copied() -> None:
    text = """\
run: x
file_mounts: {/cache: {name: abc, store: s3}}
---
run: y
file_mounts: {/data: {name: abc, store: s3, mode: COPY}}
"""
    assert told(text) == []
    alone = text.replace("name: abc, store: s3}}", "name: abd, store: s3}}", 1)
    assert "mode: COPY needs a source" in told(alone)[0].message


@pytest.mark.parametrize(
    ("text", "path", "said"),
    [
        ("{}", "", "no name, size or host_path"),
        ("{foo: 1}", "", "no name, size or host_path"),
        ("''", "", "name of the volume is empty"),
        ("{name: ''}", ".name", "is empty"),
        ("{name: v, sub_path: /x}", ".sub_path", "not a folder of the volume"),
        ("{name: v, sub_path: a/../b}", ".sub_path", "not a folder of the volume"),
        ("{size: 0}", ".size", "not the size"),
        ("{size: }", ".size", "not the size"),
        ("{size: 10.5}", ".size", "not the size"),
        ("{size: 512Mi}", ".size", "not the size"),
        ("{size: 10, type: runpod-network-volume}", ".type", "k8s-pvc"),
        ("{host_path: x}", ".host_path", "can be mounted"),
        ("{host_path: /}", ".host_path", "can be mounted"),
        ("{host_path: /x, mode: rx}", ".mode", "mode: ro or mode: rw"),
        ("{host_path: /x, sub_path: a}", ".sub_path", "does not go with host_path"),
        ("{host_path: /x}", ".host_path", "on Slurm only"),
    ],
)
def test_volumes_that_cannot_be(text: str, path: str, said: str) -> None:
    found = told(f"run: x\nvolumes: {{/v: {text}}}\n")
    assert said in " ".join(p.message + p.fix for p in found if p.path == f"volumes./v{path}")


def test_volumes_that_can_be() -> None:
    for text in ("v", "{name: v, sub_path: a/b}", "{size: 10}", "{size: 1Ti, type: K8S-PVC}"):
        assert told(f"run: x\nvolumes: {{/v: {text}}}\n") == []
    slurm = "run: x\nresources: {infra: slurm/here}\nvolumes: {/v: {host_path: /x, mode: rw}}\n"
    assert told(slurm) == []


def test_a_field_that_a_volume_has_not_is_a_warning() -> None:
    [found] = told("run: x\nvolumes: {/v: {name: v, subpath: a}}\n")
    assert (found.severity, found.fix) == ("warning", "did you mean 'sub_path'?")


def test_a_login_for_images_is_whole() -> None:
    names = [f"SKYPILOT_DOCKER_{part}" for part in ("USERNAME", "PASSWORD", "SERVER")]
    both = f"run: x\nenvs: {{{names[0]}: u, {names[2]}: s}}\nsecrets: {{{names[1]}: hunter2}}\n"
    assert "SKYPILOT_DOCKER" in told(both)[0].path
    assert "hunter2" not in str(told(both))
    part = f"run: x\nsecrets: {{{names[1]}: hunter2}}\n"
    assert "also needs" in told(part)[0].message
    whole = f"run: x\nsecrets: {{{': u, '.join(names)}: p}}\n"
    assert told(whole) == []
    assert told(f"run: x\nsecrets: [{names[0]}]\n") == []


def test_names_in_the_store_of_those_that_name_none() -> None:
    text = (
        "run: x\nfile_mounts: {/a: {name: Big_One}, /b: {name: Big_One, store: oci}, /c: s3://b}\n"
    )
    pipeline = load_text(text).pipeline
    (found,) = unnamed(pipeline, "S3")
    assert found.path.endswith("file_mounts./a.name") and "this is S3" in found.fix
    assert unnamed(pipeline, "OCI") == []
