"""``stix rehearse`` as a command: tables, JSON, pictures, exit codes, and no server."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from stix.cli.main import call

TEXT = """
name: nightly
stages:
  prepare: {run: "true", estimate: {time: 1h}}
  train:
    run: "true"
    needs: [prepare]
    matrix: {x: [1, 2]}
    resources: {use_spot: true, accelerators: A100}
    estimate: {time: 20h, checkpoint: 1h}
    recovery: {preempted: unlimited}
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("STIX_HOME", str(tmp_path / "home"))
    path = tmp_path / "p.yaml"
    path.write_text(TEXT)
    return str(path)


def told(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> dict[str, Any]:
    assert call(["rehearse", *arguments, "--output", "json"]) == code
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def test_json_holds_all_and_the_seed_repeats_it(
    file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = told(capsys, file, "--seed", "5", "--preempt-rate", "0.4")
    assert one == told(capsys, file, "--seed", "5", "--preempt-rate", "0.4")
    assert one["digest"] != told(capsys, file, "--seed", "6", "--preempt-rate", "0.4")["digest"]
    assert one["finished"] and one["preemptions"] > 0 and one["spread"] is None
    total = sum(a["usd"] for stage in one["stages"] for a in stage["attempts"])
    assert one["usd"] == pytest.approx(total)
    assert not (tmp_path / "home").exists()


def test_tables_say_how_it_went(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["rehearse", file, "--preempt-rate", "0.4", "--stockout", "sim-a/north@0-2h"]) == 0
    out = capsys.readouterr().out
    for words in (
        "finished     yes",
        "made-up machines, 0.4 preemptions per spot node and hour",
        "the provider took a node back",
        "the node was preempted: the next offer after",
        "no room: the next offer at once, retry 1",
        "note: stockout of sim-a/north from 0s to 2h00m",
    ):
        assert words in out


def test_many_runs_have_a_distribution(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    many = told(capsys, file, "--runs", "9", "--seed", "3")
    assert [run["seed"] for run in many["runs"]] == list(range(3, 12))
    assert many["spread"]["finished"] == 9
    numbers = many["spread"]["usd"]
    assert numbers["min"] <= numbers["median"] <= numbers["p95"] <= numbers["max"]
    assert call(["rehearse", file, "--runs", "9"]) == 0
    assert "9 of 9 rehearsals finish" in capsys.readouterr().out


def test_what_does_not_finish_ends_with_100(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    answer = told(capsys, file, "--fault", "auth:sim-a", "--days", "0.1", code=100)
    assert answer["reason"] == "not finished within 0.1 days"
    assert call(["rehearse", file, "--fault", "invalid:sim-a"]) == 100
    out = capsys.readouterr().out
    assert "finished     no: failed: prepare" in out
    assert "needs prepare" in out


def test_options_change_the_pipeline_as_in_a_run(
    file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    calm = told(capsys, file, "--no-use-spot", "--preempt-rate", "5")
    assert calm["preemptions"] == 0
    assert any("no stage takes spot machines" in note for note in calm["notes"])
    short = told(capsys, file, "--stock", "1", "--set", "train.max_parallel=2")
    places = [s["attempts"][0]["infra"] for s in short["stages"] if s["stage"] == "train"]
    assert len(set(places)) == 2


def test_traces_are_followed(file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trace = tmp_path / "trace.json"
    trace.write_text(json.dumps({"gap_seconds": 3600, "data": [0, 0, 0, 1, 0]}))
    answer = told(capsys, file, "--trace", f"sim-a={trace}", "--preempt-rate", "0")
    firsts = [s["attempts"][0] for s in answer["stages"] if s["stage"] == "train"]
    assert [first["end"] for first in firsts] == [3 * 3600.0] * 2
    assert answer["preemptions"] == 2


def test_it_can_be_watched(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["rehearse", file, "--speed", "1e9"]) == 0
    assert "prepare: attempt 1 succeeded" in capsys.readouterr().err


def test_a_picture_has_a_bar_for_each_attempt(
    file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "r.svg"
    options = ("--preempt-rate", "0.5", "--stockout", "north-1@0-3h", "--picture", str(picture))
    answer = told(capsys, file, *options)
    root = ET.fromstring(picture.read_text())
    name = "{http://www.w3.org/2000/svg}"
    wide = float(root.attrib["width"])
    bars = [r for r in root.iter(f"{name}rect") if r.attrib.get("class") in ("boot", "work")]
    attempts = [one for stage in answer["stages"] for one in stage["attempts"]]
    assert len(bars) == 2 * len(attempts)
    for bar in bars:
        assert (
            0
            <= float(bar.attrib["x"])
            <= float(bar.attrib["x"]) + float(bar.attrib["width"])
            <= wide
        )
    shorts = [p for p in root.iter(f"{name}path") if p.attrib.get("class") == "short"]
    assert len(shorts) == sum(one["tried"] for one in attempts) > 0
    texts = {text.text for text in root.iter(f"{name}text")}
    assert {"nightly", "prepare", "train[x=1]", "train[x=2]"} <= texts


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--stockout", "north-9"], "nothing is offered in north-9"),
        (["--stockout", "north-1@5h"], "is not understood"),
        (["--stockout", "north-1@5h-2h"], "ends before it begins"),
        (["--stockout", "north-1@x-2h"], "is not a duration"),
        (["--stockout", "@1h-2h"], "names no place"),
        (["--fault", "fire:north-1"], "kinds are stockout, quota"),
        (["--trace", "north-1"], "write PLACE=FILE"),
        (["--speed", "5", "--runs", "2"], "--speed shows one rehearsal"),
        (["--picture", "x.png"], "pictures are SVG"),
        (["--runs", "0"], "--runs"),
    ],
)
def test_wrong_options_are_named(
    file: str, options: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(["rehearse", file, *options]) == 2
    assert words in capsys.readouterr().err
