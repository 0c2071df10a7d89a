"""Which tool mounts with which arguments, and what is said where nothing can be mounted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stix.spec.storage import StorageMount
from stix.storage.base import Access, Mode, MountPlan, StorageError
from stix.storage.mounts import Bounds, Found, Place, Wish, mount_command, options_of
from stix.storage.mounts.probe import parse

HAS = Found("Linux", "x86_64", True, "/usr/bin/fusermount3", "/usr/bin/rclone", "1.75.2")
BARE = replace(HAS, rclone="", version="")
PLAN = MountPlan(
    {"type": "s3", "provider": "Other", "env_auth": "true", "endpoint": "http://h"},
    "b/p",
    {"s3fs": ["b:/p", "-o", "url=http://h"], "goofys": ["b:p", "--endpoint", "http://h"]},
)
ACCESS = Access({"AWS_ACCESS_KEY_ID": "k"}, {"key": "k", "secret": "hush"}, None, "all")
PLACE = Place("/n/mounts", "0")


def wish(mode: Mode = "MOUNT", *options: str, write: bool = True) -> Wish:
    return Wish("s3://b/p", mode, PLAN, ACCESS, write, options)


def test_secrets_reach_rclone_by_its_environment_alone() -> None:
    made = mount_command(wish(), HAS, PLACE, Bounds())
    assert "hush" not in made.script + str(made.env) + repr(made)
    assert made.secrets["RCLONE_CONFIG_STIX_SECRET_ACCESS_KEY"] == "hush"
    assert made.secrets["RCLONE_CONFIG_STIX_ENV_AUTH"] == "false", "nothing of the node's own"
    assert made.env["RCLONE_CONFIG_STIX_NO_CHECK_BUCKET"] == "true", "no bucket is made"
    assert made.tool == "rclone 1.75.2" and "stix:b/p /n/mounts/0" in made.script


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("MOUNT", ["--vfs-cache-mode=writes", "--timeout=10s", "--low-level-retries=2"]),
        ("MOUNT_CACHED", ["--vfs-cache-mode=full"]),
        ("STREAM", ["--vfs-cache-mode=off", "--read-only"]),
    ],
)
def test_modes(mode: Mode, words: list[str]) -> None:
    script = mount_command(wish(mode, write=mode != "STREAM"), HAS, PLACE, Bounds()).script
    assert all(word in script for word in words)


def test_options_of_the_file_win_over_those_of_the_type() -> None:
    config = {"mount_cached": {"transfers": 3, "vfs_cache_max_size": "9G", "read_only": True}}
    spec = StorageMount(
        source="s3://b", mode="MOUNT_CACHED", type="MODEL_CHECKPOINT_RW", config=config
    )
    found = options_of(spec)
    assert found.index("--transfers=8") < found.index("--transfers=3")
    assert "--vfs-cache-max-size=9G" in found and "--vfs-read-chunk-streams=16" in found
    assert not any("read-only" in one for one in found), "that is the mount's own"
    assert options_of(StorageMount(source="s3://b")) == ()


def test_what_else_the_node_has_serves_where_it_has_no_rclone() -> None:
    for name, words in {
        "goofys": "/x/goofys -f --endpoint http://h b:p /n/mounts/0",
        "s3fs": "/x/s3fs b:/p /n/mounts/0 -o url=http://h -f -o connect_timeout=5,",
    }.items():
        found = replace(BARE, tools={name: f"/x/{name}"})
        made = mount_command(wish(), found, PLACE, Bounds())
        assert made.tool == name and words in made.script and "hush" not in made.script
        with pytest.raises(StorageError, match="mode MOUNT_CACHED: the node has no rclone"):
            mount_command(wish("MOUNT_CACHED"), found, PLACE, Bounds())


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (replace(HAS, system="Darwin"), "on Linux only"),
        (replace(HAS, fuse=False), "--device /dev/fuse"),
        (replace(HAS, helper=""), "install fuse3"),
        (BARE, "the node has no rclone, s3fs, goofys"),
    ],
)
def test_a_node_that_cannot_mount_says_what_helps(found: Found, said: str) -> None:
    with pytest.raises(StorageError, match=said) as caught:
        mount_command(wish(), found, PLACE, Bounds())
    assert caught.value.fix


def test_a_host_whose_key_would_not_be_checked_is_not_mounted() -> None:
    plan = MountPlan({"type": "sftp", "host": "h"}, "/p")
    asked = replace(wish(), plan=plan)
    with pytest.raises(StorageError, match="does not check the host's key"):
        mount_command(asked, replace(HAS, version="1.70.1"), PLACE, Bounds())


def test_what_a_node_says_is_read() -> None:
    said = b"Linux\nx86_64\nyes\n/usr/bin/fusermount3\n/usr/bin/rclone\n1.60.1-DEV\n/usr/bin/s3fs\n"
    found = parse(said)
    assert found.rclone == "" and found.tools == {"s3fs": "/usr/bin/s3fs"}, "it is too old"
    assert parse(said.replace(b"1.60.1-DEV", b"1.75.2")).rclone == "/usr/bin/rclone"
    assert parse(b"").problem()
