"""The three forms of a file, defaults, variables, and the objects behind ``stix.Task``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import stix
from stix.spec.changes.overrides import Overrides
from stix.spec.loader import load_file, load_text
from stix.spec.models import PipelineSpec, StageSpec

TASK = """\
# A fine-tuning task in SkyPilot's words.
name: fine.tune

resources:
  infra: aws
  accelerators: {A100: 8, H100: 8}
  use_spot: true
  job_recovery:
    strategy: FAILOVER
    max_restarts_on_errors: 3
    recover_on_exit_codes: [33, 34]
  any_of:
    - infra: aws/us-east-1
    - infra: aws/us-west-2

num_nodes: 2
envs:
  MODEL: llama
  STEPS: 1000
  FAST: true
  RATE: 1.50
  DAY: 2026-01-02
  BUCKET: s3://data
secrets:
  HF_TOKEN: null
file_mounts:
  /data: ${BUCKET}/$MODEL
  ~/cfg: s3://cfg/$UNKNOWN
  /ckpt: {name: my-bucket, store: s3, mode: MOUNT}
setup: |
  pip install torch
run: |
  torchrun --nnodes=$SKYPILOT_NUM_NODES train.py
"""

CHAIN = """\
name: pipe
---
name: prepare
run: echo prepare
---
run: echo train
---
name: eval
run: echo eval
"""


def test_one_skypilot_task() -> None:
    loaded = load_text(TASK, "tune.yaml", Overrides(secrets={"HF_TOKEN": "x"}))
    assert loaded.pipeline.name == "fine.tune"
    ((name, stage),) = loaded.pipeline.stages.items()
    assert name == stage.name == "fine-tune"
    assert stage.num_nodes == 2
    assert len(stage.resources.alternatives()) == 4
    assert {r.region for r in stage.resources.any_of} == {"us-east-1", "us-west-2"}
    assert stage.envs["STEPS"] == "1000"
    assert (stage.envs["FAST"], stage.envs["RATE"], stage.envs["DAY"]) == (
        "True",
        "1.5",
        "2026-01-02",
    )
    assert stage.file_mounts["/data"].copies == "s3://data/llama"
    assert stage.file_mounts["~/cfg"].copies == "s3://cfg/$UNKNOWN"
    assert stage.file_mounts["/ckpt"].copies is None
    assert [(w.path, w.line) for w in loaded.warnings] == [("envs.RATE", 21)]


def test_a_chain_of_documents() -> None:
    pipeline = load_text(CHAIN, "chain.yaml").pipeline
    assert pipeline.name == "pipe"
    assert {n: s.needs for n, s in pipeline.stages.items()} == {
        "prepare": [],
        "pipe-1": ["prepare"],
        "eval": ["pipe-1"],
    }


def test_a_chain_without_header_takes_the_name_of_the_file() -> None:
    pipeline = load_text("run: a\n---\n\n---\nrun: b\n", "my chain.yaml").pipeline
    assert pipeline.name == "my-chain"
    assert list(pipeline.stages) == ["my-chain-0", "my-chain-1"]


def test_a_job_group_has_no_edges() -> None:
    text = "name: g\nexecution: parallel\n---\nname: a\nrun: x\n---\nname: b\nrun: y\n"
    pipeline = load_text(text).pipeline
    assert pipeline.execution == "parallel"
    assert [s.needs for s in pipeline.stages.values()] == [[], []]


def test_stages_with_defaults() -> None:
    text = """\
name: p
envs: {A: pipeline, B: pipeline}
defaults:
  num_nodes: 2
  envs: {B: default, C: default}
  needs: []
  workdir: .
  resources: {cpus: 2, accelerators: A100, labels: {x: "1"}}
  file_mounts: {/a: s3://a/a}
stages:
  one:
    run: x
    envs: {C: own}
    workdir:
    resources: {accelerators: {V100: 2}, labels: {y: "2"}}
    file_mounts: {/b: s3://b/b}
  two: {run: y, num_nodes: 1}
"""
    stages = load_text(text).pipeline.stages
    one = stages["one"]
    assert one.envs == {"A": "pipeline", "B": "default", "C": "own"}
    assert one.workdir is None
    assert stages["two"].workdir == "."
    assert one.resources.accelerators == {"V100": 2.0}
    assert one.resources.cpus == "2"
    assert one.resources.labels == {"x": "1", "y": "2"}
    assert set(one.file_mounts) == {"/a", "/b"}
    assert (one.num_nodes, stages["two"].num_nodes) == (2, 1)


def test_alternatives_of_defaults_give_way() -> None:
    text = """\
defaults:
  resources: {accelerators: [A100, V100], any_of: []}
stages:
  inherits: {run: x, resources: {cpus: 2}}
  chooses: {run: x, resources: {accelerators: T4}}
  lists: {run: x, resources: {any_of: [{infra: aws}, {infra: gcp}]}}
"""
    stages = load_text(text).pipeline.stages
    shown = {
        name: [(r.cpus, r.infra, list(r.accelerators)) for r in stage.resources.alternatives()]
        for name, stage in stages.items()
    }
    assert shown == {
        "inherits": [("2", None, ["A100"]), ("2", None, ["V100"])],
        "chooses": [(None, None, ["T4"])],
        "lists": [(None, "aws", []), (None, "gcp", [])],
    }


def test_stix_fields() -> None:
    text = """\
deadline: 2h
stages:
  prepare: {run: x, outputs: {data: ./out/, log: {path: log.txt}}}
  train:
    run: x
    inputs:
      data: {from: prepare.data, path: data/}
    matrix: {lr: [0.1, 1.0e-3], fast: [true]}
    max_parallel: 2
    allowed_failures: 50%
    timeout: 1h30m
    cache: false
    when: stages.prepare.result.rows > 10 and matrix.lr < 1
    outputs: {m: m}
"""
    loaded = load_text(text, "p.yaml")
    train = loaded.pipeline.stages["train"]
    assert loaded.pipeline.deadline == 7200.0
    assert loaded.pipeline.stages["prepare"].outputs["data"].path == "out"
    assert train.upstream() == ["prepare"]
    assert train.inputs["data"].path == "data"
    assert train.matrix == {"lr": [0.1, 0.001], "fast": [True]}
    assert (train.timeout, train.cached, train.failures_allowed(5)) == (5400.0, False, 2)
    assert loaded.pipeline.stages["prepare"].cached
    (warning,) = loaded.warnings
    assert (warning.line, warning.severity) == (3, "warning")
    assert "prepare.log" in warning.message


def test_anchors_and_merge_keys() -> None:
    text = """\
defaults: &base {setup: s, envs: {A: "1"}}
stages:
  a: {<<: *base, run: x}
  b: {<<: [*base], run: y, setup: own}
"""
    stages = load_text(text).pipeline.stages
    assert (stages["a"].setup, stages["b"].setup) == ("s", "own")
    assert stages["b"].envs == {"A": "1"}


def test_yaml_numbers_and_words() -> None:
    text = "run: x\nenvs: {A: 0x10, B: yes, C: 0o17, D: .inf, E: 1_000, F: ~, G: '007'}\n"
    envs = load_text(text, given=Overrides(envs={"F": ""})).pipeline.stages["task"].envs
    assert envs == {
        "A": "16",
        "B": "True",
        "C": "0o17",
        "D": "inf",
        "E": "1000",
        "F": "",
        "G": "007",
    }


def test_values_are_substituted_without_harm() -> None:
    text = "run: x\nenvs: {Q: 'a\"b\\c$Q', ABC: d}\nfile_mounts:\n  /x: ./$Q/${ABC}$ABCD\n"
    mounts = load_text(text).pipeline.stages["task"].file_mounts
    assert mounts["/x"].copies == './a"b\\c$Q/d$ABCD'


def test_a_file_with_a_byte_order_mark_and_windows_lines(tmp_path: Path) -> None:
    file = tmp_path / "w.yaml"
    file.write_bytes(b"\xef\xbb\xbfrun: |\r\n  echo a\r\nenvs: {A: b}\r\n")
    assert load_file(file).pipeline.stages["w"].run == "echo a\n"


def test_python_objects() -> None:
    pipeline = stix.Pipeline(name="p")
    pipeline.add("prepare", stix.Task(run="x", outputs={"data": "d.txt"}))
    train = stix.Task(
        run="y",
        inputs={"data": "prepare.data"},
        resources=stix.Resources(cpus=2, gpus="A100:2"),
        timeout="10m",
    )
    assert pipeline.add("train", train) is train
    assert train.name == "train"
    for name in ("train", "a b", "a.b"):
        with pytest.raises(ValueError, match="stage"):
            pipeline.add(name, stix.Task(run="z"))
    with pytest.raises(ValueError, match="calls itself"):
        pipeline.add("other", train)
    assert list(pipeline.stages) == ["prepare", "train"]


def test_resolving_changes_nothing_of_the_users_objects() -> None:
    task = StageSpec(run="x")
    pipeline = PipelineSpec(envs={"A": "1"}, stages={"a": task})
    assert pipeline.resolved().stages["a"].envs == {"A": "1"}
    assert task.envs == {}
    assert pipeline.resolved().resolved() == pipeline.resolved()


def imported(module: str) -> set[str]:
    code = f"import sys, {module}; print(' '.join(m.partition('.')[0] for m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_what_is_imported() -> None:
    heavy = {"prefect", "boto3", "sqlalchemy", "asyncssh", "rich", "fsspec", "fastapi", "httpx"}
    assert not imported("stix.spec.loader") & heavy
    assert not imported("stix.spec.states") & {"pydantic", "yaml", *heavy}
