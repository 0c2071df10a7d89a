"""The variables that commands see: SkyPilot's list, and ours."""

from __future__ import annotations

import getpass
import json
from collections.abc import Sequence

import pytest

from stix.clouds.base import Node, NodeRef, NodeState
from stix.engine.runtime import Attempt
from stix.tasks.environment import variables
from tests.support.workshop import Workshop

TEXT = """
name: env
stages:
  first: {run: "true", outputs: {data: out/data}}
  main:
    needs: [first]
    num_nodes: %d
    inputs: {data: first.data, deep-er: {from: first.data, path: in/x}}
    outputs: {model: out/model.bin}
    matrix: {lr: [0.1, 0.01], opt: [sgd]}
    envs: {MODE: full, CUDA_VISIBLE_DEVICES: mine}
    run: "true"
"""
KEY = "main[lr=0.01,opt=sgd]"


def node(rank: int, accelerators: dict[str, Sequence[int]] | None = None) -> Node:
    return Node(
        ref=NodeRef("local", f"n{rank}"),
        state=NodeState.RUNNING,
        address=f"10.0.0.{rank + 1}",
        rank=rank,
        directory=f"/nodes/n{rank}",
        accelerators=accelerators or {},
    )


async def begun(workshop: Workshop, count: int) -> Attempt:
    attempt = await workshop.attempt(await workshop.context(TEXT % count), KEY, 2)
    attempt.nodes = [node(rank) for rank in reversed(range(count))]
    return attempt


@pytest.mark.parametrize("count", [1, 3])
async def test_run_sees_skypilots_variables(workshop: Workshop, count: int) -> None:
    attempt = await begun(workshop, count)
    ips = "\n".join(f"10.0.0.{rank + 1}" for rank in range(count))
    for here in attempt.nodes:
        seen = variables(attempt, here)
        for family in ("SKYPILOT", "STIX"):
            assert seen[f"{family}_NODE_RANK"] == str(here.rank)
            assert seen[f"{family}_NODE_IPS"] == ips
            assert seen[f"{family}_NUM_NODES"] == str(count)
            assert seen[f"{family}_NUM_GPUS_PER_NODE"] == "0"
            assert seen[f"{family}_TASK_ID"] == f"stix-{attempt.run.run_id}_{KEY}"
            assert seen[f"{family}_TASK_ID"] in seen[f"{family}_TASK_IDS"].split("\n")
            assert seen[f"{family}_USER"] == getpass.getuser()
            assert seen[f"{family}_INTERNAL_JOB_ID"] == "2"
            assert json.loads(seen[f"{family}_CLUSTER_INFO"]) == {
                "cluster_name": f"{attempt.run.run_id}-{KEY}",
                "cloud": "local",
                "region": "-",
                "zone": None,
            }
        assert not [name for name in seen if "SETUP" in name]


@pytest.mark.parametrize("count", [1, 3])
async def test_setup_sees_the_setup_forms(workshop: Workshop, count: int) -> None:
    attempt = await begun(workshop, count)
    seen = variables(attempt, attempt.nodes[0], setup=True)
    for family in ("SKYPILOT", "STIX"):
        assert seen[f"{family}_SETUP_NODE_RANK"] == str(count - 1)
        assert len(seen[f"{family}_SETUP_NODE_IPS"].split("\n")) == count
        assert seen[f"{family}_SETUP_NUM_GPUS_PER_NODE"] == "0"
        assert seen[f"{family}_NUM_NODES"] == str(count)
        for name in ("NODE_RANK", "NODE_IPS", "NUM_GPUS_PER_NODE"):
            assert f"{family}_{name}" not in seen


async def test_places_and_parameters_of_the_stage(workshop: Workshop) -> None:
    attempt = await begun(workshop, 1)
    seen = variables(attempt, node(0, {"A100": [1]}))
    assert seen["CUDA_VISIBLE_DEVICES"] == "mine"  # what the user sets wins
    assert seen["STIX_RUN_ID"] == attempt.run.run_id
    assert seen["STIX_STAGE"] == KEY
    assert seen["STIX_NODE_ID"] == "n0"
    assert seen["STIX_RESULT"] == "/nodes/n0/result.json"
    assert seen["STIX_INPUT_DATA"] == "/nodes/n0/work/inputs/data"
    assert seen["STIX_INPUT_DEEP_ER"] == "/nodes/n0/work/in/x"
    assert seen["STIX_OUTPUT_MODEL"] == "/nodes/n0/work/out/model.bin"
    assert seen["lr"] == seen["STIX_MATRIX_LR"] == "0.01"
    assert seen["opt"] == seen["STIX_MATRIX_OPT"] == "sgd"
    assert seen["MODE"] == "full"
    assert seen["STIX_ATTEMPT"] == "2"
    assert all(isinstance(value, str) for value in seen.values())


async def test_accelerators_are_counted_per_node_and_named(workshop: Workshop) -> None:
    run = await workshop.context("name: gpu\nnum_nodes: 2\nrun: 'true'\n")
    attempt = await workshop.attempt(run, next(iter(run.points)))
    attempt.choice.demand.accelerators["A100"] = 2
    attempt.nodes = [node(0, {"A100": [2, 3]}), node(1, {"A100": [0, 1]})]
    seen = variables(attempt, attempt.nodes[0])
    assert seen["SKYPILOT_NUM_GPUS_PER_NODE"] == "2"
    assert seen["CUDA_VISIBLE_DEVICES"] == "2,3"


async def test_secrets_are_not_among_the_variables(workshop: Workshop) -> None:
    text = "name: s\nstages:\n  main: {run: 'true', secrets: [TOKEN]}\n"
    run = await workshop.context(text, TOKEN="very-secret-value")
    attempt = await workshop.attempt(run)
    attempt.nodes = [node(0)]
    assert attempt.secrets == {"TOKEN": "very-secret-value"}
    assert "very-secret-value" not in json.dumps(variables(attempt, node(0)))
    assert "very-secret-value" not in repr(attempt)
