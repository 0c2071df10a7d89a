"""Trees of commits, fetched from real servers of git."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from stix.spec.folders.git import Commit, GitError, GitKeys, fetch
from stix.spec.folders.pack import pack
from stix.spec.workdir import GitSource
from tests.support.git import TOKEN, GitServer, Repository, repository, serve
from tests.support.sftp import SftpServer, sftp_server

__all__ = ["sftp_server"]


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A repository that each test has a copy of."""
    made = repository(tmp_path_factory.mktemp("code"))
    (made.folder / "pkg" / "deep").mkdir(parents=True)
    (made.folder / "pkg" / "deep" / "größe").write_bytes(b"\0\r\n" * 400_000)
    (made.folder / "main.sh").write_text("echo one")
    (made.folder / "main.sh").chmod(0o755)
    (made.folder / "link").symlink_to("pkg/deep")
    made.commit(run_py="print(1)\r\n", empty="", _gitattributes="*.py text eol=lf export-ignore\n")
    made.git("tag", "-a", "v1", "-m", "first")
    made.git("checkout", "-q", "-b", "topic/x")
    made.commit(run_py="print(2)\n")
    made.git("checkout", "-q", "main")
    return made


@pytest.fixture
def code(first: Repository, tmp_path: Path) -> Repository:
    made = Repository(tmp_path / "work", tmp_path / "served" / first.bare.name)
    shutil.copytree(first.folder, made.folder, symlinks=True)
    shutil.copytree(first.bare, made.bare)
    return made


@contextmanager
def web(folder: Path) -> Iterator[str]:
    """A web server of the files in a folder, which knows nothing of git."""

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    served = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    thread = threading.Thread(target=served.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{served.server_port}"
    finally:
        served.shutdown()
        served.server_close()
        thread.join()


@pytest.fixture
def server(code: Repository) -> Iterator[GitServer]:
    with serve(code.bare.parent) as made:
        yield made


def took(url: str, ref: str | None = None, **how: Any) -> tuple[Commit, bytes]:
    out = io.BytesIO()
    source = GitSource(url=url, ref=ref) if ref else GitSource(url=url)
    found = fetch(source, out, **how)
    return found, out.getvalue()


def names(tar: bytes) -> set[str]:
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        return set(archive.getnames())


def refused(url: str, ref: str | None = None, **how: Any) -> str:
    with pytest.raises(GitError) as caught:
        took(url, ref, **how)
    assert caught.value.fix
    return str(caught.value)


def packed(folder: Path) -> bytes:
    """A folder of the same files, as it is sent from a folder."""
    (folder / ".git").rename(folder.parent / "hidden")
    out = io.BytesIO()
    pack(folder, out)
    (folder.parent / "hidden").rename(folder / ".git")
    return out.getvalue()


def test_the_tree_is_that_of_the_folder_byte_by_byte(code: Repository) -> None:
    found, tar = took(code.bare.as_uri())
    assert found == Commit(code.bare.as_uri(), code.git("rev-parse", "main"), branch="main")
    assert tar == packed(code.folder)
    assert {"pkg/deep/größe", ".gitattributes", "empty", "run.py", "link"} <= names(tar)


def test_references(code: Repository) -> None:
    url = code.bare.as_uri()
    old, second = code.git("rev-parse", "main"), code.git("rev-parse", "topic/x")
    assert took(url, "topic/x")[0] == Commit(url, second, branch="topic/x")
    assert took(url, "v1")[0] == Commit(url, old, tag="v1")
    for ref in (second, second[:9], "refs/heads/topic/x"):
        assert took(url, ref)[0] == Commit(url, second)
    # A branch and a tag of one name: the branch, as `git clone --branch` does.
    code.git("tag", "main", "topic/x")
    code.publish()
    assert took(url, "main")[0] == Commit(url, old, branch="main")


def test_a_commit_that_is_no_branch_s(code: Repository, server: GitServer) -> None:
    old = code.git("rev-parse", "main")
    new = code.commit(main_sh="echo two")
    keys = GitKeys(token=TOKEN)
    assert took(f"{server.url}/code.git", old, keys=keys)[0].commit == old
    assert took(f"{server.url}/code.git", "main", keys=keys)[0].commit == new


@pytest.mark.parametrize(
    ("ref", "said"),
    [
        ("topic", "did you mean 'topic/x'"),
        ("0" * 40, "has no branch, tag or commit"),
        ("abcdef0123", "has no branch, tag or commit"),
        ("--upload-pack=touch /tmp/x", "cannot be the name"),
        ("a..b", "cannot be the name"),
    ],
)
def test_no_such_reference(code: Repository, ref: str, said: str) -> None:
    assert said.lower() in refused(code.bare.as_uri(), ref).lower()


def test_an_empty_repository(tmp_path: Path) -> None:
    url = repository(tmp_path).bare.as_uri()
    assert "no commit" in refused(url)
    assert "push to it" in refused(url, "main").lower()


def test_a_private_repository_over_http(code: Repository, server: GitServer) -> None:
    url = f"{server.url}/code.git"
    found, tar = took(url, "main", keys=GitKeys(token=TOKEN))
    assert found.commit == code.git("rev-parse", "main") and tar == packed(code.folder)
    assert server.asked[0][1] == ""  # as git does: what is public is read without a name
    said = refused(url, "main")
    assert "does not let us in" in said and "GIT_TOKEN" in said
    said = refused(url, "main", keys=GitKeys(token="wrong-w0rd"))
    assert "does not let us in" in said and "w0rd" not in said
    assert "is not there" in refused(f"{server.url}/none.git", keys=GitKeys(token=TOKEN))


def test_a_name_in_the_url_is_the_user_s(server: GitServer) -> None:
    url = server.url.replace("://", "://somebody@")
    refused(f"{url}/code.git", keys=GitKeys(token=TOKEN))
    assert server.asked[-1][1] == f"somebody:{TOKEN}"


def test_the_token_goes_to_its_host_alone_and_into_no_file(
    code: Repository, server: GitServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that sends us on gets nothing for the other; nor does the user's own helper."""
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(
        f'[credential]\n  helper = store\n[url "{server.url}/"]\n  insteadOf = http://localhost/\n'
    )
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("GIT_CONFIG_GLOBAL", raising=False)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    said = refused("http://localhost/code.git", keys=GitKeys(token=TOKEN))
    assert "does not let us in" in said and {who for _, who in server.asked} == {""}
    took(f"{server.url}/code.git", keys=GitKeys(token=TOKEN))
    assert {p.name for p in home.iterdir()} == {".gitconfig"}
    assert list((tmp_path / "tmp").iterdir()) == []


def test_the_user_s_own_helper_serves_where_there_is_no_token(
    code: Repository, server: GitServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = f"!echo username=x-access-token; echo 'password={TOKEN}'; :"
    (tmp_path / "config").write_text("")
    command = ["git", "config", "-f", str(tmp_path / "config"), "credential.helper", script]
    subprocess.run(command, check=True)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "config"))
    assert took(f"{server.url}/code.git")[1] == packed(code.folder)


def test_a_token_is_not_sent_as_plain_text() -> None:
    assert "plain text" in refused("http://example.invalid/a.git", keys=GitKeys(token=TOKEN))
    assert "one line" in refused("https://example.invalid/a", keys=GitKeys(token="a\nb"))


def test_nobody_answers(code: Repository, server: GitServer) -> None:
    server.frozen.clear()
    said = refused(f"{server.url}/code.git", keys=GitKeys(token=TOKEN), patience=1.0)
    assert "within the time" in said
    assert "cannot be reached" in refused("http://127.0.0.1:9/code.git")
    assert "cannot be reached" in refused("ssh://nobody@127.0.0.1:9/code.git")


def test_no_git(code: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "Install git" in refused(code.bare.as_uri())


@pytest.mark.parametrize("url", ["ext::sh -c 'touch {}'", "-oProxyCommand=touch {}:x"])
def test_no_command_hides_in_an_address(url: str, tmp_path: Path) -> None:
    refused(url.format(tmp_path / "made"))
    assert not (tmp_path / "made").exists()


def test_what_is_no_repository(tmp_path: Path) -> None:
    assert "is no repository" in refused((tmp_path / "none").as_uri())


def test_submodules_are_refused(code: Repository) -> None:
    commit = code.git("rev-parse", "HEAD")
    code.git("update-index", "--add", "--cacheinfo", f"160000,{commit},libs/other")
    code.git("commit", "-q", "-m", "module")
    code.publish()
    said = refused(code.bare.as_uri())
    assert "libs/other" in said and "--recurse-submodules" in said


def test_files_of_lfs_are_refused(code: Repository) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n"
    code.commit(model_bin=pointer)
    said = refused(code.bare.as_uri())
    assert "model.bin is kept in Git LFS" in said and "git-lfs" in said


@pytest.mark.parametrize("target", ["/etc/passwd", "../../out"])
def test_links_out_of_the_repository_are_refused(code: Repository, target: str) -> None:
    (code.folder / "away").symlink_to(target)
    code.commit()
    assert "The link away" in refused(code.bare.as_uri())


def test_nothing_of_the_repository_or_of_this_machine_is_run(
    code: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "mark"
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for name in ("post-checkout", "reference-transaction"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch {mark}\n")
        (hooks / name).chmod(0o755)
    (tmp_path / "config").write_text(
        f'[core]\n hooksPath = {hooks}\n[filter "evil"]\n smudge = touch {mark}\n required = true\n'
    )
    code.commit(_gitattributes="* filter=evil\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "config"))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_TRACE", str(mark))
    assert "run.py" in names(took(code.bare.as_uri())[1])
    assert not mark.exists()


@pytest.fixture
def shell(sftp_server: SftpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The start of an address by ssh; hosts that are known are kept apart from the user's own."""
    known = f"-oUserKnownHostsFile={tmp_path / 'known'} -oGlobalKnownHostsFile=none"
    monkeypatch.setenv("GIT_SSH_COMMAND", f"ssh -F none {known}")
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    user = "root" if os.geteuid() == 0 else os.environ["USER"]
    return f"ssh://{user}@127.0.0.1:{sftp_server.port}"


def test_by_ssh_with_the_path_of_a_key(
    code: Repository, sftp_server: SftpServer, shell: str
) -> None:
    url = f"{shell}{code.bare}"
    keys = GitKeys(key_path=str(sftp_server.identity))
    found, tar = took(url, "v1", keys=keys)
    assert found.tag == "v1" and tar == packed(code.folder)
    said = refused(url, keys=GitKeys(key_path=str(sftp_server.stranger)))
    assert "does not let us in" in said and "GIT_SSH_KEY" in said
    assert "is not there on this machine" in refused(url, keys=GitKeys(key_path="/none"))


def test_by_ssh_with_a_key_that_is_in_no_file(
    code: Repository,
    sftp_server: SftpServer,
    shell: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    key = sftp_server.identity.read_text()
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    url = f"{shell}{code.bare}"
    assert took(url, keys=GitKeys(key=key.strip()))[1] == packed(code.folder)
    assert took(url, keys=GitKeys(key=key.replace("\n", "\r\n")))[0].branch == "main"
    assert list((tmp_path / "tmp").iterdir()) == []
    said = refused(url, keys=GitKeys(key=sftp_server.stranger.read_text()))
    assert "does not let us in" in said
    said = refused(url, keys=GitKeys(key="no key w0rd"))
    assert "no private key" in said and "w0rd" not in said


def test_a_host_with_another_key_than_before(
    code: Repository, sftp_server: SftpServer, shell: str, tmp_path: Path
) -> None:
    other = (sftp_server.stranger.parent / "stranger.pub").read_text()
    (tmp_path / "known").write_text(f"[127.0.0.1]:{sftp_server.port} {other}")
    keys = GitKeys(key_path=str(sftp_server.identity))
    assert "another host key" in refused(f"{shell}{code.bare}", keys=keys)


def test_no_value_of_a_secret_is_an_argument(
    code: Repository, server: GitServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every program that git starts is seen by a stand-in that notes its arguments."""
    log = tmp_path / "log"
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("git", "ssh-agent", "ssh-add", "ssh"):
        real = shutil.which(name)
        (folder / name).write_text(f'#!/bin/sh\necho "$0 $*" >> {log}\nexec {real} "$@"\n')
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    took(f"{server.url}/code.git", keys=GitKeys(token=TOKEN))
    refused("ssh://x@127.0.0.1:9/a", keys=GitKeys(key="-----BEGIN w0rd"))
    seen = log.read_text()
    assert "ls-remote" in seen and "ssh-add -q -" in seen
    assert TOKEN not in seen and "w0rd" not in seen


def test_a_repository_that_is_served_as_plain_files(code: Repository) -> None:
    subprocess.run(["git", "update-server-info"], cwd=code.bare, check=True)
    with web(code.bare.parent) as url:
        found, tar = took(f"{url}/code.git", "v1")
    assert found.tag == "v1" and tar == packed(code.folder)


def test_a_repository_of_sha256(tmp_path: Path) -> None:
    made = repository(tmp_path, more=["--object-format=sha256"])
    commit = made.commit(a="1")
    for ref in ("main", commit, commit[:10]):
        assert took(made.bare.as_uri(), ref)[0].commit == commit
