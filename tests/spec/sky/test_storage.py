"""SkyPilot's canonical form of mounts, volumes, workdirs, variables and secrets."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stix.spec.problems import SpecErrors
from stix.spec.sky import canonical

MOUNT = {"persistent": True, "mode": "MOUNT"}
DISK = {
    "path": "/d",
    "name": "v",
    "auto_delete": True,
    "storage_type": "network",
    "attach_mode": "read_write",
    "disk_tier": "best",
}
CACHED = {"persistent": True, "mode": "MOUNT_CACHED"}


def one(text: str, **given: Any) -> dict[str, Any]:
    """The form of a task; it is its own form."""
    [form] = canonical(f"run: x\n{text}\n", **given)
    assert canonical(json.dumps(form)) == [form]
    return form


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("./a", "./a"),
        ("''", ""),
        ("http://host/x", "http://host/x"),
        ("{}", MOUNT),
        ("{name: b, source: null, store: null}", {"name": "b", **MOUNT}),
        (
            "{name: b, store: s3, persistent: false}",
            {"name": "b", "store": "S3", "persistent": False, "mode": "MOUNT"},
        ),
        ("{name: b, source: s3://c}", {"source": "s3://c", **MOUNT}),
        ("{name: b, source: 's3:/c'}", {"name": "b", "source": "s3:/c", **MOUNT}),
        ("{name: b, source: file:///c}", {"name": "b", "source": "file:///c", **MOUNT}),
        ("{name: b, source: //host/c}", {"source": "//host/c", **MOUNT}),
        ("{name: b, source: [s3://c, ./d]}", {"name": "b", "source": ["s3://c", "./d"], **MOUNT}),
        ("{source: s3://b/sub, mode: MOUNT}", {"source": "s3://b/sub", **MOUNT}),
        ("{store: Volume}", {"store": "VOLUME", **MOUNT}),
        ("{mode: mount_cached, type: dataset_ro}", {**CACHED, "type": "DATASET_RO"}),
        ("{mode: mount_cached, config: {mount_cached: {}}}", CACHED),
        (
            "{mode: mount_cached, config: {disk_size: 5, mount_cached: {transfers: 2.0}}}",
            {**CACHED, "config": {"mount_cached": {"transfers": 2}}},
        ),
        ("{config: {mount: {}, other: 1, disk_tier: huge}}", MOUNT),
        (
            "{config: {mount: {hf_mount_args: []}}}",
            {**MOUNT, "config": {"mount": {"hf_mount_args": []}}},
        ),
        (
            "{_is_sky_managed: false, _bucket_sub_path: '', _force_delete: true}",
            {**MOUNT, "_is_sky_managed": False, "_bucket_sub_path": "", "_force_delete": True},
        ),
        ("{_is_sky_managed: null, _bucket_sub_path: null, _force_delete: false}", MOUNT),
    ],
)
def test_mounts(given: str, wanted: Any) -> None:
    form = one(f"file_mounts: {{/d: {given}}}")
    assert form["file_mounts"] == {"/d": wanted}
    assert form["resources"].get("_requires_fuse", False) is isinstance(wanted, dict)


def test_a_mode_that_skypilot_has_not_is_refused() -> None:
    with pytest.raises(SpecErrors, match="SkyPilot has no mode STREAM") as caught:
        canonical("run: x\nfile_mounts: {/d: {source: s3://b, mode: stream}}\n")
    (problem,) = caught.value.problems
    assert problem.path.endswith("file_mounts./d.mode") and problem.fix == "write mode: MOUNT"


def test_copies_need_no_fuse() -> None:
    form = one("file_mounts: {/d: {source: gs://b, mode: copy}}")
    assert form["file_mounts"] == {"/d": {"source": "gs://b", "persistent": True, "mode": "COPY"}}
    assert form["resources"] == {}


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("{}", DISK),
        ("{persistent: true}", {**DISK, "auto_delete": False}),
        ("{persistent: null}", DISK),
        (
            "{config: {disk_size: 10, disk_tier: HIGH}}",
            {**DISK, "disk_size": 10, "disk_tier": "high"},
        ),
        ("{config: {disk_tier: huge, attach_mode: x}}", DISK),
        ("{config: {attach_mode: READ_ONLY}}", {**DISK, "attach_mode": "read_only"}),
        ("{config: {path: /e, name: w}}", {**DISK, "path": "/e", "name": "w"}),
        (
            "{config: {storage_type: Instance}}",
            {k: v for k, v in DISK.items() if k not in ("name", "disk_tier")}
            | {"storage_type": "instance"},
        ),
        # SkyPilot breaks at a unit here.
        ("{config: {disk_size: 1TB}}", {**DISK, "disk_size": 1024}),
        ("{config: {disk_size: 100mb}}", {**DISK, "disk_size": 1}),
    ],
)
def test_disks(given: str, wanted: dict[str, Any]) -> None:
    more = given[1:-1]
    form = one(f"file_mounts: {{/d: {{store: volume, name: v{', ' if more else ''}{more}}}}}")
    assert form["resources"] == {"volumes": [wanted]}
    assert form["file_mounts"] == {}


def test_what_a_disk_holds_at_first_is_copied_to_it() -> None:
    disk = "{store: volume, name: v, source: ./a}"
    assert one(f"file_mounts: {{/d/: {disk}}}")["file_mounts"] == {"/d/data": "./a"}
    both = one(f"file_mounts: {{/d/data: ./b, /d: {disk}}}")
    assert both["file_mounts"] == {"/d/data": "./a"}
    other = one(f"file_mounts: {{/d: {disk}, /d/data: ./b}}")
    assert other["file_mounts"] == {"/d/data": "./b"}


def test_volumes_stay_as_they_are_written() -> None:
    odd = "{size: 10.0, x: [1, {y: null}]}"
    text = f"volumes: {{/a: v, b: {{name: v, sub_path: null}}, /c: {odd}, /d: {{}}}}"
    assert one(text)["volumes"] == {
        "/a": "v",
        "b": {"name": "v", "sub_path": None},
        "/c": {"size": 10.0, "x": [1, {"y": None}]},
        "/d": {},
    }
    assert one("volumes:")["volumes"] == {}


def test_volumes_that_a_server_has_looked_up() -> None:
    known = {"name": "v", "type": "t", "cloud": "aws", "region": None, "zone": None}
    known |= {"name_on_cloud": "n", "size": "1"}
    entry = {"path": "/m", "volume_name": "v", "volume_config": {**known, "more": 1}}
    form = one(json.dumps({"volume_mounts": [entry]})[1:-1])
    whole: dict[str, Any] = {**known, "config": {}, "labels": None, "id_on_cloud": None}
    assert form["volume_mounts"] == [{**entry, "volume_config": whole, "is_ephemeral": False}]
    assert one("volume_mounts: []")["volume_mounts"] == []
    assert "volume_mounts" not in one("volume_mounts:")


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (".", "."),
        ("''", ""),
        ("~/x", "~/x"),
        ("{url: a}", {"url": "a"}),
        ("{url: a, ref: ''}", {"url": "a", "ref": ""}),
        ("", None),
    ],
)
def test_workdirs(given: str, wanted: Any) -> None:
    assert one(f"workdir: {given}").get("workdir") == wanted


@pytest.mark.parametrize(
    ("text", "secrets", "managed"),
    [
        ("secrets: {A: x, B: 5}", {"A": "x", "B": "5"}, None),
        ("secrets: {A: ''}", {"A": ""}, None),
        ("secrets: {A: , B: }", ["secrets:A", "secrets:B"], None),
        ("secrets: [secrets:personal.B, secrets:A]", ["secrets:personal.B", "secrets:A"], None),
        ("secrets: [secrets:A, secrets:A]", ["secrets:A", "secrets:A"], None),
        ("secrets: {A: x, secrets:A: }", {"A": "x"}, ["secrets:A"]),
        ("secrets: {personal.A: x, foo.B: }", {"personal.A": "x"}, ["secrets:foo.B"]),
        ("secrets: []", None, None),
        ("secrets:", None, None),
        (
            "managed_secrets: [A, secrets:global.B, {C: {}}, {}]",
            ["secrets:A", "secrets:global.B", "secrets:C"],
            None,
        ),
        ("managed_secrets: [{secrets:A: {mount_path: ''}}]", None, [{"A": {"mount_path": ""}}]),
        (
            "secrets: {A: x, Z: }\nmanaged_secrets: [B, {C: {mount_path: /c}}]",
            {"A": "x"},
            [{"C": {"mount_path": "/c"}}, "secrets:Z", "secrets:B"],
        ),
        (
            "secrets: [secrets:Z]\nmanaged_secrets: [{C: {mount_path: /c}}, B]",
            ["secrets:Z", "secrets:B"],
            [{"C": {"mount_path": "/c"}}],
        ),
    ],
)
def test_secrets(text: str, secrets: Any, managed: Any) -> None:
    form = one(text)
    assert (form.get("secrets"), form.get("managed_secrets")) == (secrets, managed)


def test_variables() -> None:
    text = "envs: {A: 1, B: true, C: 1.50, D: '', E: [1, a]}"
    assert one(text)["envs"] == {"A": "1", "B": "True", "C": "1.5", "D": "", "E": "[1, 'a']"}
    assert "envs" not in one("envs: {}")
    assert one("envs: {A: }", env={"A": "x"})["envs"] == {"A": "x"}


def test_values_in_fields() -> None:
    text = (
        "envs: {A: x}\nsecrets: {T: s3}\nfile_mounts: {/$A: $T://b, /n: {name: '${A}y', store: $T}}"
    )
    form = one(text, env={"A": "z"})
    assert form["file_mounts"]["/z"] == "s3://b"
    assert form["file_mounts"]["/n"]["name"] == "zy"
    assert form["file_mounts"]["/n"]["store"] == "S3"


def test_values_that_json_would_break_stay_whole() -> None:
    [form] = canonical('run: x\nenvs: {A: "a\\"b\\\\c\\nd"}\nfile_mounts: {/d: $A}\n')
    assert form["file_mounts"] == {"/d": 'a"b\\c\nd'}


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("file_mounts: {'': {name: b}}", "file_mounts."),
        ("file_mounts: {s3://b: {name: b}}", "file_mounts.s3://b"),
        ("workdir: .\nfile_mounts: {~/sky_workdir: {name: b}}", "file_mounts.~/sky_workdir"),
        ("file_mounts: {/d: {source: 's3://[b'}}", "file_mounts./d.source"),
        ("file_mounts: {/d: {store: $X}}", "file_mounts./d.store"),
        ("workdir: {ref: main}", "workdir"),
        ("workdir: {url: a, ref: }", "workdir.ref"),
        ("secrets: [A]", "secrets"),
        ("envs: {SKYPILOT_DOCKER_SERVER: s}", "envs.SKYPILOT_DOCKER_SERVER"),
    ],
)
def test_refused(text: str, path: str) -> None:
    with pytest.raises(SpecErrors) as caught:
        canonical(f"run: x\n{text}\n")
    assert path in {p.path for p in caught.value.problems}


def test_what_is_right_in_skypilots_form_and_wrong_at_launch() -> None:
    """The checks of a file are not those of the form."""
    for text in (
        "{/d/: ./a}",
        "{~/sky_workdir: ./a}",
        "{/d: {name: B, mode: COPY}}",
        "{/d: 'foo://x'}",
    ):
        assert one(f"workdir: .\nfile_mounts: {text}")["file_mounts"]


def test_refusals_do_not_show_secrets() -> None:
    fields = (
        "file_mounts: {/d: {store: $T}}",
        "file_mounts: {'s3://$T': {name: b}}",
        "service: {readiness_probe: $T, replicas: 1}",
    )
    for field in fields:
        with pytest.raises(SpecErrors) as caught:
            canonical(f"run: x\nsecrets: {{T: hun'ter2}}\n{field}\n")
        assert "ter2" not in str(caught.value)
        assert "***" in str(caught.value)
