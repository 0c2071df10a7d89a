"""Entries of file_mounts: every form, every refusal, and what was written short stays short."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from stix.spec.changes.overrides import Overrides
from stix.spec.loader import load_text
from stix.spec.models import PipelineSpec, StageSpec
from stix.spec.problems import SpecErrors
from stix.spec.storage import StorageMount
from stix.spec.wire import from_wire, to_wire

words = st.from_regex(r"[a-z][a-z0-9-]{2,8}", fullmatch=True)
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)


def mount(value: Any) -> StorageMount:
    return StageSpec(file_mounts={"/d": value}).file_mounts["/d"]


def refusals(text: str) -> dict[str, str]:
    """Path to message and fix of a file with one mount."""
    with pytest.raises(SpecErrors) as caught:
        load_text(f"run: x\nfile_mounts: {{/d: {text}}}\n", given=Overrides(complete=False))
    start = "file_mounts./d"
    return {p.path.removeprefix(start): f"{p.message} | {p.fix}" for p in caught.value.problems}


def test_a_text_is_a_copy_and_a_map_is_a_mount() -> None:
    copy = mount("s3://b/x")
    assert (copy.mode, copy.copies, copy.written()) == ("COPY", "s3://b/x", "s3://b/x")
    bucket = mount({"source": "s3://b"})
    assert (bucket.mode, bucket.copies, bucket.written()) == ("MOUNT", None, None)
    assert bucket.persistent is True
    same = mount({"source": "s3://b/x", "mode": "copy"})
    assert (same.copies, same.written()) == ("s3://b/x", None)


def test_words_in_any_case_and_nulls() -> None:
    one = mount({"name": "b", "store": "gcs", "mode": "Mount_Cached", "type": "dataset_rw"})
    assert (one.store, one.mode, one.type) == ("GCS", "MOUNT_CACHED", "DATASET_RW")
    empty = dict.fromkeys(("source", "store", "mode", "persistent", "type", "config"))
    assert mount({"name": "b", **empty}) == mount({"name": "b"})


def test_a_disk_is_deleted_unless_it_is_kept() -> None:
    assert mount({"store": "volume", "name": "v"}).persistent is False
    assert mount({"store": "volume", "name": "v", "persistent": None}).persistent is False
    assert mount({"store": "volume", "name": "v", "persistent": True}).persistent is True


@pytest.mark.parametrize(
    ("text", "path", "said"),
    [
        ("5", "", "must be text or a map, not a number"),
        ("null", "", "not nothing"),
        ("[a]", "", "not a list"),
        ("{name: bkt, mode: MONT}", ".mode", "did you mean 'MOUNT'?"),
        ("{name: bkt, mode: 5}", ".mode", "a number is not a storage mode"),
        ("{name: bkt, store: s33}", ".store", "did you mean 'S3'?"),
        ("{name: bkt, store: ''}", ".store", "'' is not a store of buckets"),
        ("{name: bkt, persistent: yes please}", ".persistent", "must be true or false"),
        ("{name: bkt, persistent: 1}", ".persistent", "must be true or false"),
        ("{name: bkt, mode: MOUNT_CACHED, type: DATASET}", ".type", "did you mean 'DATASET_R"),
        ("{name: bkt, type: DATASET_RO}", ".type", "needs mode: MOUNT_CACHED"),
        ("{source: [], name: bkt}", ".source", "must"),
        ("{source: [a, 5], name: bkt}", ".source", "must be text"),
        ("{name: 5}", ".name", "must be text"),
        ("{name: bkt, mods: MOUNT}", ".mods", "did you mean 'mode'?"),
        ("{name: bkt, config: []}", ".config", "must be a map"),
        ("{name: bkt, config: {mount: {}}, mode: COPY, source: ./a}", ".config", "mode: MOUNT"),
        ("{name: bkt, config: {mount_cached: {}}}", ".config", "needs mode: MOUNT_CACHED"),
        ("{name: bkt, config: {mount: null}}", ".config.mount", "no value"),
        ("{name: bkt, config: {disk_size: ten}}", ".config.disk_size", "cannot be 'ten'"),
        ("{store: volume}", "", "needs a name"),
        ("{store: volume, name: v, source: [a]}", ".source", "takes one source"),
    ],
)
def test_refused(text: str, path: str, said: str) -> None:
    found = refusals(text)
    assert list(found) == [path] or path in found
    assert said in found[path]


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("transfers", "0", "from 1"),
        ("transfers", "'4'", "not text"),
        ("transfers", "true", "not a boolean"),
        ("transfers", "null", "not nothing"),
        ("vfs_read_chunk_streams", "-1", "from 0"),
        ("buffer_size", "64MB", "cannot be '64MB'"),
        ("buffer_size", "64", "must be text"),
        ("vfs_cache_max_size", "6.4G", "cannot be"),
        ("vfs_cache_max_age", "1x", "cannot be '1x'"),
        ("vfs_write_back", "5", "must be text"),
        ("read_only", "x", "must be true or false"),
        ("transfer", "1", "did you mean 'transfers'?"),
    ],
)
def test_options_of_the_cache(option: str, value: str, said: str) -> None:
    text = (
        f"{{source: s3://bkt, mode: MOUNT_CACHED, config: {{mount_cached: {{{option}: {value}}}}}}}"
    )
    assert said in refusals(text)[f".config.mount_cached.{option}"]


def test_options_that_are_right() -> None:
    options = {
        "transfers": 4.0,
        "buffer_size": "64M",
        "vfs_cache_max_age": "1h30m",
        "vfs_write_back": "-1.5ms",
        "vfs_read_chunk_streams": 0,
        "read_only": False,
    }
    kept = mount({"name": "b", "mode": "MOUNT_CACHED", "config": {"mount_cached": options}})
    assert kept.config is not None
    assert kept.config.mount_cached is not None
    assert kept.config.mount_cached.model_dump(exclude_unset=True) == options
    plain = mount({"name": "b", "config": {"mount": {"hf_mount_args": ["--a"]}}})
    assert plain.config is not None
    assert plain.config.mount is not None
    assert plain.config.mount.hf_mount_args == ["--a"]


def test_every_mistake_of_a_mount_at_once() -> None:
    found = refusals("{source: 5, mode: MONT, store: x, persistent: 3, config: {disk_tier: 5}}")
    assert {".source", ".mode", ".store", ".persistent", ".config.disk_tier"} <= set(found)


def test_an_address_names_a_host() -> None:
    assert mount({"source": "s3://b/x"}).address == "s3://b/x"
    for source in ("./a", "s3://", "file:///x", ["s3://b"]):
        assert mount({"source": source, "name": "n"}).address is None


def test_made_in_python_like_skypilots() -> None:
    made = StorageMount("bucket", "./data", mode="copy")
    assert (made.name, made.source, made.mode) == ("bucket", "./data", "COPY")


def test_the_input_stays_as_it_is() -> None:
    given = {"store": "volume", "name": "v", "config": {"disk_size": "10GB"}}
    before = json.dumps(given)
    mount(given)
    assert json.dumps(given) == before


cached = st.fixed_dictionaries(
    {},
    optional={
        "transfers": st.integers(1, 9),
        "buffer_size": st.sampled_from(["64M", "1g", "0"]),
        "read_only": st.booleans(),
    },
)
maps = st.one_of(
    st.fixed_dictionaries(
        {"name": words},
        optional={
            "source": st.one_of(texts, st.lists(texts, min_size=1, max_size=3)),
            "store": st.sampled_from(["s3", "GCS", "hf"]),
            "persistent": st.booleans(),
            "mode": st.sampled_from(["MOUNT", "copy"]),
            "_bucket_sub_path": texts,
            "_force_delete": st.booleans(),
        },
    ),
    st.fixed_dictionaries(
        {"source": words.map("s3://{}".format), "mode": st.just("MOUNT_CACHED")},
        optional={
            "type": st.sampled_from(["DATASET_RO", "model_checkpoint_rw"]),
            "config": st.fixed_dictionaries({"mount_cached": cached}),
        },
    ),
    st.fixed_dictionaries(
        {"store": st.just("volume"), "name": words},
        optional={
            "persistent": st.booleans(),
            "config": st.fixed_dictionaries({}, optional={"disk_size": st.integers(1, 9)}),
        },
    ),
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(texts, st.one_of(texts, maps), max_size=3))
def test_mounts_survive_the_wire_and_yaml(mounts: dict[str, Any]) -> None:
    pipeline = PipelineSpec(stages={"a": {"run": "x", "file_mounts": mounts}})
    wire = json.loads(json.dumps(to_wire(pipeline)))
    again = from_wire(wire)
    assert again.stages["a"].file_mounts == pipeline.stages["a"].file_mounts
    assert to_wire(again) == wire
    for target, written in mounts.items():
        kept = again.stages["a"].file_mounts[target].written()
        assert kept == (written if isinstance(written, str) else None)


def test_defaults_keep_short_forms() -> None:
    text = """\
defaults: {file_mounts: {/a: s3://b/a, /c: {name: bucket}}}
stages:
  one: {run: x, file_mounts: {/c: s3://b/c}}
  two: {run: x, file_mounts: {/a: {source: s3://bkt}}}
"""
    stages = load_text(text).pipeline.stages
    assert stages["one"].file_mounts["/a"].written() == "s3://b/a"
    assert stages["one"].file_mounts["/c"].written() == "s3://b/c"
    assert stages["two"].file_mounts["/a"].mode == "MOUNT"


def test_a_short_form_ends_where_more_is_said() -> None:
    kept = mount("./a")
    kept.name = "bucket"
    assert kept.written() is None
    with pytest.raises(ValidationError):
        StorageMount.model_validate(5)
