"""The variables that a stage's commands see: SkyPilot's names and STIX's own."""

from __future__ import annotations

import getpass
import json
import posixpath
from collections.abc import Mapping

from stix.clouds.base import Node
from stix.engine.runtime import Attempt
from stix.spec.workdir import GitSource


def work_dir(node: Node) -> str:
    """Where the commands run."""
    return posixpath.join(node.directory, "work")


def result_path(node: Node) -> str:
    """Where the stage may write its JSON of small results."""
    return posixpath.join(node.directory, "result.json")


def input_path(node: Node, attempt: Attempt, name: str) -> str:
    """Where an input lies on a node."""
    wanted = attempt.spec.inputs[name].path or posixpath.join("inputs", name)
    return posixpath.normpath(posixpath.join(work_dir(node), wanted))


def output_path(node: Node, attempt: Attempt, name: str) -> str:
    """Where the stage puts an output on a node."""
    declared = attempt.spec.outputs[name].path
    return posixpath.normpath(posixpath.join(work_dir(node), declared))


def checkpoint_path(node: Node, attempt: Attempt) -> str:
    """The directory that is kept while the stage runs."""
    wanted = attempt.spec.checkpoint
    assert wanted is not None
    return posixpath.normpath(posixpath.join(work_dir(node), wanted.path))


def _variable(name: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in name).upper()


def _cluster(attempt: Attempt, node: Node, prefix: str) -> dict[str, str]:
    """Facts of the cluster under SkyPilot's names, in the ``SETUP_`` form where asked for."""
    nodes = sorted(attempt.nodes, key=lambda n: n.rank)
    accelerators = attempt.choice.demand.accelerators or attempt.choice.offer.accelerators
    wants = attempt.choice.demand.accelerators
    gpus = sum(wants.values()) if wants else 0
    offer = attempt.choice.offer
    info = {
        "cluster_name": f"{attempt.run.run_id}-{attempt.key}",
        "cloud": offer.cloud,
        "region": offer.region,
        "zone": offer.zone,
    }
    facts = {
        f"{prefix}NODE_RANK": str(node.rank),
        f"{prefix}NODE_IPS": "\n".join(n.address for n in nodes),
        "NUM_NODES": str(len(nodes)),
        f"{prefix}NUM_GPUS_PER_NODE": str(int(gpus) if accelerators else 0),
        "TASK_ID": _task_id(attempt, attempt.key),
        "TASK_IDS": "\n".join(_task_id(attempt, key) for key in attempt.run.points),
        "USER": getpass.getuser(),
        "INTERNAL_JOB_ID": str(attempt.number),
        "CLUSTER_INFO": json.dumps(info),
    }
    return {f"{family}_{k}": v for family in ("SKYPILOT", "STIX") for k, v in facts.items()}


def _task_id(attempt: Attempt, key: str) -> str:
    return f"stix-{attempt.run.run_id}_{key}"


def variables(attempt: Attempt, node: Node, *, setup: bool = False) -> dict[str, str]:
    """Everything but secrets, for one node. The user's own ``envs`` win over ours."""
    stage, point = attempt.spec, attempt.point
    env: dict[str, str] = _cluster(attempt, node, "SETUP_" if setup else "")
    env.update(
        STIX_RUN_ID=attempt.run.run_id,
        STIX_STAGE=attempt.key,
        STIX_ATTEMPT=str(attempt.number),
        STIX_NODE_ID=node.ref.id,
        STIX_RESULT=result_path(node),
    )
    env.update(_repository(attempt))
    for name in stage.inputs:
        env[f"STIX_INPUT_{_variable(name)}"] = input_path(node, attempt, name)
    for name in stage.outputs:
        env[f"STIX_OUTPUT_{_variable(name)}"] = output_path(node, attempt, name)
    if stage.checkpoint is not None:
        env["STIX_CHECKPOINT_DIR"] = checkpoint_path(node, attempt)
    for name, value in point.params.items():
        env[f"STIX_MATRIX_{_variable(name)}"] = value
        env[name] = value
    devices = [str(i) for indices in node.accelerators.values() for i in indices]
    if devices:
        env["CUDA_VISIBLE_DEVICES"] = ",".join(devices)
    env.update(_user(stage.envs))
    return env


def _repository(attempt: Attempt) -> dict[str, str]:
    """What a working directory from git is, under SkyPilot's names."""
    own = attempt.spec.workdir
    if not isinstance(own, GitSource):
        return {}
    facts = attempt.run.code.get(own.key, {})
    names = {"url": "URL", "commit": "COMMIT_HASH", "branch": "BRANCH", "tag": "TAG"}
    return {f"GIT_{names[key]}": str(facts[key]) for key in names if key in facts}


def _user(envs: Mapping[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in envs.items() if value is not None}
