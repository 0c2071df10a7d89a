"""The file of pools: SkyPilot's form, and what is said about a wrong one."""

from __future__ import annotations

from pathlib import Path

import pytest

from stix.clouds.ssh.pools import Host, PoolFileError, pool_files, read_pools

GOOD = """\
rack:
  user: ubuntu
  identity_file: ~/.ssh/rack
  password: hunter2
  hosts:
    - 10.0.0.1
    - ip: 10.0.0.2
      user: alice
      identity_file: /keys/two
      port: 2222
    - name-in-ssh-config
box:
  hosts: [example.org]
"""


def write(folder: Path, text: str) -> Path:
    file = folder / "ssh_node_pools.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def test_the_form_of_skypilot(tmp_path: Path) -> None:
    pools = read_pools([write(tmp_path, GOOD)])
    key = Path("~/.ssh/rack").expanduser()
    assert pools["rack"] == (
        Host("rack", "10.0.0.1", "ubuntu", key, None, "hunter2"),
        Host("rack", "10.0.0.2", "alice", Path("/keys/two"), 2222, "hunter2"),
        Host("rack", "name-in-ssh-config", "ubuntu", key, None, "hunter2"),
    )
    assert pools["box"] == (Host("box", "example.org"),)


def test_a_password_is_never_shown(tmp_path: Path) -> None:
    assert "hunter2" not in repr(read_pools([write(tmp_path, GOOD)]))


def test_both_files_count_and_ours_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    home = tmp_path / "stix"
    assert pool_files(home, {}) == []
    write(tmp_path / "user" / ".sky", "a: {hosts: [h1]}\nb: {hosts: [h2]}\n")
    write(home, "b: {hosts: [h3]}\n")
    pools = read_pools(pool_files(home, {}))
    assert {name: [host.name for host in hosts] for name, hosts in pools.items()} == {
        "a": ["h1"],
        "b": ["h3"],
    }


def test_the_setting_names_the_only_file(tmp_path: Path) -> None:
    file = write(tmp_path / "x", "a: {hosts: [h1]}\n")
    assert pool_files(tmp_path, {"pools": str(file)}) == [file]
    with pytest.raises(PoolFileError, match="does not exist"):
        pool_files(tmp_path, {"pools": str(tmp_path / "missing.yaml")})


@pytest.mark.parametrize("text", ["", "# nothing\n"])
def test_an_empty_file_has_no_pools(tmp_path: Path, text: str) -> None:
    assert read_pools([write(tmp_path, text)]) == {}


@pytest.mark.parametrize(
    ("text", "line", "message", "fix"),
    [
        ("a:\n  hosts: [x\n", 2, "expected", "close the bracket"),
        ("- a\n", 1, "expected pool names", "my-pool"),
        ("a:\n  hosts: x\n", 1, "needs a list `hosts`", "hosts: [10.0.0.1]"),
        ("a:\n  host: [x]\n  hosts: [x]\n", 2, "unknown field `host`", "`hosts`"),
        ("a:\n  hosts:\n    - ipp: x\n", 3, "unknown field `ipp`", "`ip`"),
        ("a:\n  hosts:\n    - x\n    - user: me\n", 4, "has no `ip`", "ip: 10.0.0.1"),
        ("a:\n  hosts:\n    - x\n    - x\n", 4, "stands twice", "remove one"),
        ("a:\n  hosts:\n    - 5\n", 3, "has no `ip`", "ip: 10.0.0.1"),
        ("a:\n  port: 99999\n  hosts: [x]\n", 2, "`port` is no port number", "port: 22"),
        ("a:\n  password: [1]\n  hosts: [x]\n", 2, "`password` must be text", "quote"),
        ("a:\n  hosts: [x]\na:\n  hosts: [y]\n", 3, "here twice", "line 1"),
    ],
)
def test_a_wrong_file_is_named_with_line_and_fix(
    tmp_path: Path, text: str, line: int, message: str, fix: str
) -> None:
    file = write(tmp_path, text)
    with pytest.raises(PoolFileError) as caught:
        read_pools([file])
    assert caught.value.message.startswith(f"{file}:{line}: ")
    assert message in caught.value.message
    assert fix in caught.value.fix


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "pools.yaml"
    file.write_bytes(b"\xff\xfe a")
    with pytest.raises(PoolFileError, match=r"pools\.yaml"):
        read_pools([file])
