"""SkyPilot's canonical form, row by row of what SkyPilot 0.14.1 itself made of the documents."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from stix.spec.loader import load_text
from stix.spec.problems import SpecErrors
from stix.spec.sky import canonical
from tests.spec.sky.rows import CORPUS, comparable, rows

NEEDS_CORPUS = "documents of third parties; STIX_SKY_CORPUS names the folder that holds them"
NETWORK = "ConnectionError"
"""SkyPilot's answer to ``80GB+`` without a network; ours is in test_gpus."""


def forms() -> list[Any]:
    """Rows that SkyPilot accepts."""
    return [pytest.param(row, id=row["yaml"][:60]) for row in rows("forms") if "tasks" in row]


def refused() -> list[Any]:
    """Rows that SkyPilot refuses, with our name for the place."""
    return [pytest.param(row, id=row["id"]) for row in rows("invalid")]


def equal(row: dict[str, Any], expected: list[dict[str, Any]]) -> None:
    """Same form, and stable: the form of a form is itself."""
    form = canonical(row["yaml"], env=row.get("env_overrides"))
    assert [comparable(task) for task in form] == [comparable(task) for task in expected]
    for task in form:
        (again,) = canonical(json.dumps(task))
        assert comparable(again) == comparable(task)


@pytest.mark.parametrize("row", forms())
def test_forms(row: dict[str, Any]) -> None:
    equal(row, row["tasks"])


def test_forms_that_skypilot_refuses() -> None:
    wrong = [row for row in rows("forms") if not row.get("error", NETWORK).startswith(NETWORK)]
    assert len(wrong) == 3
    for row in wrong:
        with pytest.raises(SpecErrors):
            load_text(row["yaml"])


@pytest.mark.parametrize("row", refused())
def test_refused(row: dict[str, Any], tmp_path: Path) -> None:
    """Every refusal names file, line and path, and says what to do."""
    with pytest.raises(SpecErrors) as caught:
        load_text(row["yaml"], "file.yaml", base=tmp_path)
    for problem in caught.value.problems:
        assert problem.file == "file.yaml"
        assert problem.message
        assert problem.fix
        assert problem.line >= 1 or row["id"] == "empty"
    named = {problem.path for problem in caught.value.problems}
    assert PATHS[row["id"]] in named, named


@pytest.mark.corpus
@pytest.mark.skipif(not CORPUS, reason=NEEDS_CORPUS)
def test_documents() -> None:
    """Every document of the corpus: equal where SkyPilot accepts it."""
    wrong = []
    accepted = [row for row in rows("documents") if "expect" in row]
    for row in accepted:
        try:
            equal(row, [row["expect"]])
        except (AssertionError, SpecErrors) as refusal:
            wrong.append(f"{row['id']}: {refusal}")
    print(f"{len(accepted) - len(wrong)} of {len(accepted)} documents equal")
    assert not wrong


def test_the_text_may_hold_values_from_outside() -> None:
    text = "run: x\nenvs: {A: null, B: b}\nsecrets: {S: null}\nfile_mounts: {/d: 's3://$A/$B'}\n"
    (task,) = canonical(text, env={"A": "bucket"}, secrets={"S": "v"})
    assert task["envs"] == {"A": "bucket", "B": "b"}
    assert task["secrets"] == {"S": "v"}
    assert task["file_mounts"] == {"/d": "s3://bucket/b"}


def test_a_variable_without_a_value_is_named() -> None:
    with pytest.raises(SpecErrors) as caught:
        canonical("run: x\nenvs:\n  A: 1\n  B:\n")
    (problem,) = caught.value.problems
    assert (problem.line, problem.path) == (4, "envs.B")
    assert "--env B=" in problem.fix


def test_every_problem_of_every_document_is_told() -> None:
    text = "name: p\n---\nrunn: x\nresources: {cpus: many}\n---\nrun: x\nnum_nodes: 0\n"
    with pytest.raises(SpecErrors) as caught:
        canonical(text)
    assert [(p.line, p.path) for p in caught.value.problems] == [
        (3, "runn"),
        (4, "resources.cpus"),
        (7, "num_nodes"),
    ]


def test_a_form_is_the_callers_own() -> None:
    """Changing what came out changes nothing of what comes out next."""
    text = "run: x\nresources: {any_of: [{infra: aws}, {infra: gcp}], labels: {a: b}}\n"
    (first,) = canonical(text)
    kept = copy.deepcopy(first)
    first["resources"]["any_of"][0]["labels"]["a"] = "changed"
    first["file_mounts"]["/x"] = "y"
    assert canonical(text) == [kept]


PATHS = {
    "unknown_top": "foo",
    "setup_list": "setup",
    "run_int": "run",
    "name_chars": "name",
    "num_nodes_zero": "num_nodes",
    "num_nodes_float": "num_nodes",
    "envs_null": "envs.FOO",
    "workdir_missing_url": "workdir",
    "workdir_absent": "workdir",
    "secrets_ref_value": "secrets.secrets:HF_TOKEN",
    "docker_login_split": "envs.SKYPILOT_DOCKER_USERNAME",
    "fm_src_absent": "file_mounts./data",
    "fm_target_url": "file_mounts.s3://b/x",
    "storage_store": "file_mounts./data.store",
    "mount_cached_cfg": "file_mounts./data.config.mount_cached.foo",
    "res_typo": "resources.acelerators",
    "cloud_bad": "resources.cloud",
    "infra_deep": "resources.infra",
    "cpus_text": "resources.cpus",
    "cpus_range": "resources.cpus",
    "mem_zero": "resources.memory",
    "acc_count_zero": "resources.accelerators",
    "acc_range": "resources.accelerators",
    "gpus_and_acc": "resources.gpus",
    "anyof_nested": "resources.any_of[0].any_of",
    "multiacc_ordered": "resources.accelerators",
    "disk_size_neg": "resources.disk_size",
    "disk_size_text": "resources.disk_size",
    "disk_tier": "resources.disk_tier",
    "local_disk": "resources.local_disk",
    "port_big": "resources.ports",
    "port_range_rev": "resources.ports",
    "labels_int": "resources.labels.a",
    "use_spot_str": "resources.use_spot",
    "autostop_key": "resources.autostop.minutes",
    "autostop_wait": "resources.autostop.wait_for",
    "jr_exit_dup": "resources.job_recovery.recover_on_exit_codes",
    "jr_strategy": "resources.job_recovery",
    "priority": "resources.priority",
    "res_hooks": "resources.hooks",
    "config_type": "config.kubernetes.provision_timeout",
    "svc_unknown": "service.replica",
    "svc_policy_no_min": "service.replica_policy",
    "svc_qps_no_max": "service.replica_policy.target_qps_per_replica",
    "svc_probe_noslash": "service.readiness_probe",
    "svc_postdata": "service.readiness_probe.post_data",
    "svc_qps_dict_lb": "service.replica_policy",
    "svc_port": "service.ports",
    "svc_spot_placer": "service.replica_policy.spot_placer",
    "pool_min_only": "pool.min_workers",
    "pool_thresh": "pool.queue_length_threshold",
    "volumes_list": "volumes",
    "dup_key": "run",
    "empty": "",
    "pipe_execution": "execution",
    "jg_job_noname": "name",
    "jg_name_chars": "name",
    "jg_primary_unknown": "primary_tasks[0]",
    "jg_delay_bad": "termination_delay",
    "jg_inter": "inter_connection",
    "pipe_header_extra": "primary_tasks",
}
"""The place that each refusal must name."""
