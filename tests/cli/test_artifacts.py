"""``stix artifacts`` against a real server: damage is found, garbage goes, nothing else does."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.cli.test_commands import HELLO, Cli, cli
from tests.storage.frail import flipped, grow_old
from tests.support.git import TOKEN, repository, serve
from tests.support.server import NewServer, ServerHome, new_server

__all__ = ["cli", "new_server"]
pytestmark = pytest.mark.server


@pytest.fixture
def objects(stix_server: ServerHome) -> Path:
    """Where the artifacts of the server lie."""
    return stix_server.home / "artifacts"


def test_a_flipped_byte_is_found(cli: Cli, objects: Path) -> None:
    (cli.folder / "data").mkdir()
    (cli.folder / "data" / "file").write_text("a text like no other")
    stored = cli.json("artifacts", "put", "data")
    digest = stored["digest"]
    assert (stored["bytes"], stored["files"]) == (20, 1)
    assert cli.json("artifacts", "verify", digest)[0]["ok"]
    chunk = next(p for p in objects.rglob("*") if p.is_file() and p.read_bytes()[:6] == b"a text")
    with flipped(chunk, 7):
        (answer,) = cli.json("artifacts", "verify", digest, code=1)
        assert not answer["ok"] and chunk.name in answer["problem"]
    run = cli.json("run", cli.file(HELLO))
    names = {a["name"]: a["ok"] for a in cli.json("artifacts", "verify", "--run", run["id"])}
    assert names["greet.text"] and all(names.values())


def test_garbage_goes_and_what_a_run_needs_stays(cli: Cli, objects: Path) -> None:
    (cli.folder / "old").write_text("nobody's text")
    old = cli.json("artifacts", "put", "old")["digest"]
    file = cli.file(HELLO.replace("hello $WHO", "garbage $WHO").replace("echo hi", "echo bin"))
    cli("run", file)
    grow_old(objects, 10 * 86_400)
    young = cli.json("artifacts", "put", cli.file("young", "young"))["digest"]
    would = cli.json("artifacts", "gc", "--dry-run")
    assert old in {a["digest"] for a in would["artifacts"]}
    did = cli.json("artifacts", "gc")
    assert did["artifacts"] == would["artifacts"] and did["bytes"] == would["bytes"] > 0
    cli("artifacts", "show", old, code=1)
    cli("artifacts", "show", young)
    states = {s["key"]: s["state"] for s in cli.json("run", file)["stages"]}
    assert states["greet"] == "cached"  # the newest run of a pipeline is kept, and its cache
    grow_old(objects, 10 * 86_400)
    text = cli("artifacts", "gc", "--older-than", "0s", "--keep-last", "0").stdout
    assert "greet.text" in text and "Freed" in text
    states = {s["key"]: s["state"] for s in cli.json("run", file)["stages"]}
    assert states["greet"] == "succeeded"
    cli("artifacts", "gc", "--older-than", "soon", code=2)


def test_lineage_goes_back_to_the_code_and_forward_to_who_used_it(cli: Cli) -> None:
    (cli.folder / "code").mkdir()
    (cli.folder / "code" / "main.sh").write_text("echo lineage")
    text = """\
name: line
stages:
  make: {run: "sh code/main.sh > out", file_mounts: {code: code}, outputs: {data: out}}
  use: {run: "cat inputs/x > two", inputs: {x: make.data}, outputs: {more: two}}
  end: {run: "true", inputs: {y: use.more}}
  apart: {run: "echo z > z", outputs: {data: z}}
"""
    run = cli.json("run", cli.file(text))
    outputs = {s["key"]: s["outputs"] for s in run["stages"]}
    middle = cli.json("artifacts", "lineage", "use.more", "--run", run["id"])
    assert [s["key"] for s in middle["steps"]] == ["make", "use", "end"]
    make, use, _ = middle["steps"]
    assert use["inputs"] == {"x": [outputs["make"]["data"]]}
    assert make["code"]["run"] == "sh code/main.sh > out"
    (sent,) = make["code"]["uploads"].values()
    cli("artifacts", "get", sent, "sent")
    assert (cli.folder / "sent" / "main.sh").read_text() == "echo lineage"
    again = cli.json("run", cli.file(text))  # of the cache: the first run made it
    digest = outputs["make"]["data"]
    steps = cli.json("artifacts", "lineage", digest)["steps"]
    assert {(s["run_id"], s["key"]) for s in steps} == {
        (run["id"], "make"),
        *((r["id"], key) for r in (run, again) for key in ("use", "end")),
    }
    picture = ("--picture", "line.svg")
    shown = cli("artifacts", "lineage", "make.data", "--run", run["id"], *picture).stdout
    drawn = ElementTree.parse(cli.folder / "line.svg").getroot()
    classes = [str(each.get("class")) for each in drawn.iter()]
    # code -> make; make -> use -> end of both runs, and of one the code that was sent.
    assert (classes.count("it"), classes.count("box")) == (1, 4)
    assert (classes.count("data"), classes.count("edge")) == (1, 5)
    assert f"code={sent[:12]}" in shown and "apart" not in shown


def test_lineage_names_the_commit_of_the_code(cli: Cli, tmp_path: Path) -> None:
    code = repository(tmp_path / "code")
    commit = code.commit(main_sh="echo $$ > out")
    text = f"name: code\nworkdir: {code.folder}\nrun: sh main.sh\noutputs: {{data: out}}\n"

    def step(file: str) -> dict[str, Any]:
        run = cli.json("run", file)
        steps = cli.json("artifacts", "lineage", "code.data", "--run", run["id"])["steps"]
        return next(s["code"] for s in steps if s["run_id"] == run["id"])

    clean = step(cli.file(text))
    assert clean["git"] == {"commit": commit, "dirty": False, "branch": "main"}
    assert clean["digest"] == clean["uploads"][str(code.folder)]
    (code.folder / "more").write_text("not committed")
    assert step(cli.file(text))["git"]["dirty"]
    shown = cli("artifacts", "lineage", "code.data", "--picture", "line.svg").stdout
    assert f"commit {commit[:12]} with changes" in shown
    assert commit in (cli.folder / "line.svg").read_text()
    fetched = text.replace(str(code.folder), f"{{url: '{code.bare.as_uri()}', ref: main}}")
    told = step(cli.file(fetched.replace("name: code", "name: code\ncache: false")))
    assert told["git"] == {"url": code.bare.as_uri(), "commit": commit, "branch": "main"}
    assert told["digest"] == clean["digest"]  # the same content, however it came


def test_a_private_repository_from_the_command_line(cli: Cli, tmp_path: Path) -> None:
    code = repository(tmp_path / "code")
    code.commit(main_sh="echo private > out")
    with serve(code.bare.parent) as server:
        url = f"{server.url}/code.git"
        text = f"name: private\nworkdir: {{url: '{url}'}}\nrun: sh main.sh; cat out\n"
        done = cli("run", cli.file(text), code=1)
        assert "does not let us in" in done.stderr and "GIT_TOKEN" in done.stderr
        done = cli("run", cli.file(text), "--secret", f"GIT_TOKEN={TOKEN}")
        assert TOKEN not in done.stdout + done.stderr
        cli.env["GIT_TOKEN"] = TOKEN  # as with SkyPilot
        done = cli("run", cli.file(text))
        assert "private" in done.stdout
        wrong = text.replace("}", ", ref: mian}")
        assert "Did you mean 'main'?" in cli("run", cli.file(wrong), code=1).stderr


@pytest.mark.full
def test_an_artifact_in_two_stores(new_server: NewServer, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    config = (
        f'artifacts: {{url: "{one.as_uri()}",'
        f' replicas: [{{url: "{two.as_uri()}", place: aws/us-east-1}}]}}\n'
    )
    cli = Cli(new_server(config).home, tmp_path)
    cli("run", cli.file(HELLO))
    [row] = cli.json("artifacts", "ls")
    assert (row["name"], row["stores"]) == ("text", [one.as_uri()])
    copied = cli.json("artifacts", "replicate", "greet.text", "--to", two.as_uri())
    assert copied["digest"] == row["digest"] and copied["new_bytes"] == copied["bytes"] > 0
    shown = cli.json("artifacts", "show", "greet.text")
    both = [{"url": url.as_uri(), "state": "there"} for url in (one, two)]
    assert shown["stores"] == both
    assert cli.json("artifacts", "ls")[0]["stores"] == [one.as_uri(), two.as_uri()]
    refused = cli("artifacts", "replicate", "greet.text", "--to", "s3://no/where", code=1)
    assert two.as_uri() in refused.stderr
    name = next(p.name for p in (two / "chunks").rglob("*") if p.is_file())
    (chunk,) = (one / "chunks").rglob(name)
    chunk.write_bytes(b"damage")
    text = cli("artifacts", "verify", "greet.text").stdout
    assert "MENDED" in text and chunk.name in text and "ok" in text
    assert "MENDED" not in cli("artifacts", "verify", "greet.text").stdout
    one.rename(tmp_path / "away")
    cli("artifacts", "get", "greet.text", "got")
    assert (tmp_path / "got" / "hi.txt").read_text() == "hi\n"
    (tmp_path / "away").rename(one)
    for store in (one, two):
        grow_old(store, 10 * 86_400)
    end = cli.json("artifacts", "gc", "--older-than", "0s", "--keep-last", "0")
    gone = {a["store"] for a in end["artifacts"] if a["digest"] == row["digest"]}
    assert gone == {one.as_uri(), two.as_uri()}
    assert [store["problem"] for store in end["stores"]] == [None, None]
    cli("artifacts", "show", row["digest"], code=1)
