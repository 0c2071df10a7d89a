"""The spec from Python: constructors, setters, readers; equal to what a file says."""

from __future__ import annotations

import copy
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import stix
from stix.errors import NotYet
from stix.spec.loader import load_text
from stix.spec.python.objects import Refused
from stix.spec.sky import canonical
from stix.spec.yaml.write import dump


def full() -> stix.Task:
    return stix.Task(
        "train",
        run="python train.py",
        setup="pip install .",
        num_nodes=2,
        envs={"A": "1"},
        secrets={"TOKEN": "t0ken"},
        resources=stix.Resources(infra="aws", accelerators="A100:8"),
        file_mounts={"/data": "s3://bucket/data"},
    )


def test_import_loads_nothing() -> None:
    code = "import sys, stix, stix.sky; print('pydantic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


# -- constructors -----------------------------------------------------------------------------


def test_task_by_position_and_lines() -> None:
    task = stix.Task("a", run=["one", "two"], setup=["three"])
    assert (task.name, task.run, task.setup) == ("a", "one\ntwo", "three")
    with pytest.raises(TypeError, match="at most 1"):
        stix.Task("a", "b")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="name is given twice"):
        stix.Task("a", **{"name": "b"})


def test_objects_and_maps_give_equal_tasks() -> None:
    file = {
        "name": "train",
        "run": "python train.py",
        "setup": "pip install .",
        "num_nodes": 2,
        "envs": {"A": "1"},
        "secrets": {"TOKEN": "t0ken"},
        "resources": {"infra": "aws", "accelerators": "A100:8"},
        "file_mounts": {"/data": "s3://bucket/data"},
    }
    assert stix.Task.from_yaml_config(file) == full()


def test_resources_by_position_and_enums() -> None:
    by_position = stix.Resources("aws", None, 4, "16+", {"A100": 1})
    by_name = stix.Resources(cloud="aws", cpus="4", memory="16+", accelerators="A100")
    assert by_position == by_name
    assert hash(by_position) == hash(by_name)
    storage = stix.Storage("bucket", mode=stix.StorageMode.COPY, source="s3://bucket")
    assert (storage.name, storage.mode) == ("bucket", "COPY")
    assert storage == stix.Storage(name="bucket", mode="COPY", source="s3://bucket")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: stix.Task(nmae="x"), "did you mean 'name'"),
        (lambda: stix.Task(num_nodes=0), "num_nodes"),
        (lambda: stix.Task(run=lambda rank: "x"), "stix.stage"),
        (lambda: stix.Task(resources={"cpu": 4}), "resources.cpu"),
        (lambda: stix.Task(docker_image="x"), "image_id"),
        (lambda: stix.Task(storage_mounts={"/x": "s3://b"}), "set_file_mounts"),
        (lambda: stix.Resources(cpus="many"), "cpus"),
        (lambda: stix.Resources(infra="aws", region="us-east-1"), "infra"),
        (lambda: stix.Storage(name="b", mode="MUONT"), "mode"),
        (lambda: stix.Storage(name="b", stores=["S3", "GCS"]), "one store"),
        (lambda: stix.Service(replicas="many"), "replicas"),
        (lambda: stix.Dag("bad name!"), "name"),
        (lambda: stix.Pipeline(stags={}), "did you mean 'stages'"),
        (lambda: stix.Task.from_yaml("/no/such.yaml"), "no such file"),
        (lambda: stix.from_yaml("/no/such.yaml"), "no such file"),
    ],
)
def test_wrong_objects_are_refused_with_the_reason(make: Callable[[], Any], said: str) -> None:
    with pytest.raises(ValueError) as caught:
        make()
    assert isinstance(caught.value, Refused)
    assert said in str(caught.value)


def test_all_problems_at_once_and_no_secret() -> None:
    with pytest.raises(Refused) as caught:
        stix.Task(num_nodes=0, timeout="soon", secrets={"1A": "hunter2"})
    assert {p.path.split(".")[0] for p in caught.value.problems} >= {"num_nodes", "timeout"}
    assert "hunter2" not in str(caught.value)


# -- setters ----------------------------------------------------------------------------------


def test_each_setter_gives_the_task_and_acts() -> None:
    task = stix.Task(run="x")
    same = (
        task.set_resources({"cpus": 4})
        .set_resources_override({"use_spot": True})
        .set_file_mounts({"/a": "s3://a"})
        .update_file_mounts({"/b": "s3://b"})
        .set_storage_mounts({"/c": stix.Storage(name="ccc")})
        .update_storage_mounts({"/d": stix.Storage(name="ddd", mode=stix.StorageMode.COPY)})
        .update_envs([("A", "1")])
        .update_envs({"B": "2"})
        .update_secrets({"S": "3"})
        .set_service({"readiness_probe": "/", "replicas": 1})
        .set_inputs("s3://in", 1)
        .set_outputs("s3://out", 2.5)
        .set_volumes({"/v": "vol"})
        .update_volumes({"/w": "wol"})
        .update_workdir("/tmp")
    )
    assert same is task
    assert (task.resources.cpus, task.resources.use_spot) == ("4", True)
    assert list(task.file_mounts) == ["/a", "/b", "/c", "/d"]
    assert list(task.storage_mounts) == ["/c", "/d"]
    assert task.envs == {"A": "1", "B": "2"}
    assert task.secrets["S"].get_secret_value() == "3"  # type: ignore[union-attr]
    assert task.service == stix.Service(readiness_probe="/", replicas=1)
    assert (task.egress_inputs, task.egress_outputs) == ({"s3://in": 1}, {"s3://out": 2.5})
    assert list(task.volumes) == ["/v", "/w"]
    assert task.workdir == "/tmp"
    assert set(task.envs_and_secrets) == {"A", "B", "S"}
    assert task.use_spot


def test_setting_replaces_only_its_own_kind() -> None:
    task = stix.Task(run="x").set_storage_mounts({"/c": stix.Storage(name="ccc")})
    task.set_file_mounts({"/a": "s3://a"}).set_file_mounts({"/b": "s3://b"})
    assert list(task.file_mounts) == ["/c", "/b"]
    assert list(task.set_storage_mounts(None).file_mounts) == ["/b"]
    assert not task.set_file_mounts(None).file_mounts
    assert task.set_service({"replicas": 1}).set_service(None).service is None


REFUSED: list[Callable[[stix.Task], Any]] = [
    lambda task: task.set_resources({"cpus": "many"}),
    lambda task: task.set_resources([{"priority": 1}, "A100"]),
    lambda task: task.set_resources_override({"cpus": "many"}),
    lambda task: task.set_file_mounts({"s3://b": "/a"}),
    lambda task: task.set_file_mounts(["/a"]),  # type: ignore[arg-type]
    lambda task: task.update_file_mounts({"/a": 3}),  # type: ignore[dict-item]
    lambda task: task.set_storage_mounts({"/a": "s3://b"}),
    lambda task: task.update_envs({"1A": "x"}),
    lambda task: task.update_envs([("A", "1"), ("A", "2")]),
    lambda task: task.update_envs("A=1"),  # type: ignore[arg-type]
    lambda task: task.update_secrets({1: "x"}),  # type: ignore[arg-type]
    lambda task: task.set_service({"replicas": -1, "nope": 1}),
    lambda task: task.set_volumes({"/v": 3}),
    lambda task: setattr(task, "num_nodes", 0),
    lambda task: setattr(task, "name", "bad name!"),
    lambda task: setattr(task, "run", 3),
    lambda task: setattr(task, "resources", {"nope": 1}),
]


@pytest.mark.parametrize("change", REFUSED)
def test_a_refused_change_leaves_the_task(change: Callable[[stix.Task], Any]) -> None:
    task = full()
    before = task.to_yaml_config()
    with pytest.raises(ValueError):
        change(task)
    assert task == full()
    assert task.to_yaml_config() == before


def test_assignment_is_checked_and_acts() -> None:
    task = stix.Task(run="x")
    task.num_nodes = 3
    task.resources = stix.Resources(cpus=2)
    task.run = ["a", "b"]  # type: ignore[assignment]
    assert (task.num_nodes, task.resources.cpus, task.run) == (3, "2", "a\nb")


def test_a_time_estimator_is_not_taken() -> None:
    with pytest.raises(NotYet, match="price"):
        stix.Task(run="x").set_time_estimator(lambda resources: 1.0)


def test_sets_mean_any_and_lists_an_order() -> None:
    one, two = stix.Resources(accelerators="A100"), stix.Resources(accelerators="V100")
    task = stix.Task(run="x").set_resources({one, two})
    assert task.resources == stix.Task(run="x", resources={two, one}).resources
    assert len(task.resources.any_of) == 2
    assert [r.accelerators for r in task.set_resources([two, one]).resources.ordered] == [
        two.accelerators,
        one.accelerators,
    ]
    assert task.set_resources([one]).resources == one
    task.set_resources([one, two]).set_resources_override({"use_spot": True})
    assert [r.use_spot for r in task.resources.ordered] == [True, True]


def test_a_copy_changes_what_is_said() -> None:
    base = stix.Resources(infra="gcp/us-central1", accelerators="A100", labels={"a": "b"})
    changed = base.copy(region="us-east1", accelerators="H100:2", use_spot=True)
    assert (changed.infra, changed.accelerators) == ("gcp/us-east1", {"H100": 2})
    assert (changed.use_spot, changed.labels) == (True, {"a": "b"})
    assert base.accelerators == {"A100": 1}
    assert base.copy(infra="aws").infra == "aws"
    with pytest.raises(ValueError, match="infra"):
        base.copy(infra="aws", region="us-east-1")


def test_a_repository_stays_one() -> None:
    task = stix.Task(run="x", workdir={"url": "https://example.com/a.git"})
    task.update_workdir(git_ref="main").update_workdir("/tmp")
    assert task.to_yaml_config()["workdir"] == {"url": "https://example.com/a.git", "ref": "main"}


def test_validate_looks_at_paths(tmp_path: Path) -> None:
    task = stix.Task(run="x", workdir=str(tmp_path / "none"), file_mounts={"/a": "/no/such"})
    with pytest.raises(ValueError) as caught:
        task.validate()
    assert {p.parts[2] for p in caught.value.problems} == {"workdir", "file_mounts"}  # type: ignore[attr-defined]
    assert task.validate(skip_file_mounts=True, skip_workdir=True) is task


# -- readers ----------------------------------------------------------------------------------

CONFIG: dict[str, Any] = {
    "name": "a",
    "run": "x",
    "envs": {"A": 1},
    "resources": {"any_of": [{"infra": "aws"}, {"infra": "gcp"}], "accelerators": "A100"},
    "file_mounts": {"/x": "$A/f", "/b": {"name": "bucket"}},
    "service": {"readiness_probe": "/", "replica_policy": {"min_replicas": 1}},
}


def test_the_map_is_not_changed() -> None:
    given_map = copy.deepcopy(CONFIG)
    task = stix.Task.from_yaml_config(given_map)
    task.update_envs({"B": "2"}).set_resources_override({"use_spot": True})
    task.to_yaml_config()["envs"]["C"] = "3"
    assert given_map == CONFIG
    assert task.envs == {"A": "1", "B": "2"}


def test_overrides_come_before_substitution() -> None:
    config = {"run": "x", "envs": {"A": None}, "file_mounts": {"/x": "$A"}}
    task = stix.Task.from_yaml_config(config, env_overrides=[("A", "s3://b")])
    assert task.to_yaml_config()["file_mounts"] == {"/x": "s3://b"}
    later = stix.Task.from_yaml_config(config)
    with pytest.raises(ValueError, match="A has no value"):
        later.to_yaml_config()
    assert later.update_envs({"A": "s3://b"}).to_yaml_config() == task.to_yaml_config()


def test_a_file_and_its_text(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("name: a\nrun: x\n")
    assert stix.Task.from_yaml(tmp_path / "a.yaml") == stix.Task("a", run="x")
    assert stix.Task.from_yaml_str("name: a\nrun: x\n") == stix.Task("a", run="x")
    assert stix.from_yaml(tmp_path / "a.yaml").stages["a"].run == "x"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("just text", "map"),
        ("name: p\n---\nrun: a\n---\nrun: b\n", "2 tasks"),
        ("stages: {a: {run: x}}\n", "stix.from_yaml"),
        ("run: x\nrun: y\n", "run"),
        ("run: x\nnmae: y\n", "<string>:2:1"),
    ],
)
def test_texts_that_are_no_task(text: str, said: str) -> None:
    with pytest.raises(ValueError) as caught:
        stix.Task.from_yaml_str(text)
    assert said in str(caught.value)


def test_secrets_are_written_by_name_only() -> None:
    task = full()
    assert "t0ken" not in task.to_yaml() + stix.to_yaml(task) + repr(task)
    assert stix.Task.from_yaml_str(task.to_yaml()).secrets == {"TOKEN": None}
    assert task.to_yaml_config()["secrets"] == {"TOKEN": "t0ken"}


# -- one model --------------------------------------------------------------------------------

WORDS = st.text("abcdefghijklmnop XYZ0123'\"\\#:{}[]\n&*!|>%@`äß", min_size=1, max_size=20)
NAMES = st.from_regex(r"[A-Z_][A-Z0-9_]{0,6}", fullmatch=True)
ENVS = st.dictionaries(NAMES, WORDS, max_size=3)
RESOURCES = st.fixed_dictionaries(
    {},
    optional={
        "infra": st.sampled_from(["aws", "gcp/us-central1", "k8s", "*/us-east-1"]),
        "accelerators": st.sampled_from(["A100", "A100:8", {"V100": 2}, ["A100", "V100:2"]]),
        "cpus": st.sampled_from([4, "4+", 2.5]),
        "memory": st.sampled_from([16, "16+", "64GB"]),
        "use_spot": st.booleans(),
        "disk_size": st.integers(50, 1000),
        "ports": st.sampled_from([8080, ["80", "8000-8010"]]),
        "labels": st.dictionaries(st.sampled_from("abc"), st.sampled_from("xyz"), max_size=2),
    },
)
MOUNTS = st.dictionaries(
    st.sampled_from(["/a", "/b", "~/c"]),
    st.sampled_from(
        ["./local", "s3://bucket/x", {"name": "bucket"}, {"source": "gs://bucket", "mode": "COPY"}]
    ),
    max_size=2,
)
TASKS = st.fixed_dictionaries(
    {"run": WORDS},
    optional={
        "name": st.sampled_from(["a", "train-1", "x_y"]),
        "setup": WORDS,
        "num_nodes": st.integers(1, 9),
        "envs": ENVS,
        "resources": RESOURCES,
        "file_mounts": MOUNTS,
    },
)
NATIVE = st.fixed_dictionaries(
    {},
    optional={
        "timeout": st.sampled_from(["5m", 30]),
        "outputs": st.just({"model": "out/model"}),
        "matrix": st.just({"K": [1, "b", True]}),
        "recovery": st.sampled_from(["none", {"user_error": 2}]),
        "cache": st.booleans(),
    },
)


@settings(deadline=None, max_examples=40)
@given(TASKS, NATIVE)
def test_python_to_file_to_python(fields: dict[str, Any], native: dict[str, Any]) -> None:
    task = stix.Task(**fields, **native)
    again = stix.Task.from_yaml_str(task.to_yaml())
    assert again == task
    assert again.to_yaml() == task.to_yaml()


@settings(deadline=None, max_examples=40)
@given(TASKS)
def test_python_and_file_are_one_canonical_form(fields: dict[str, Any]) -> None:
    text = dump(fields)
    (wanted,) = canonical(text)
    assert stix.Task.from_yaml_str(text) == stix.Task(**fields)
    assert stix.Task(**fields).to_yaml_config() == wanted
    assert stix.Task.from_yaml_str(text).to_yaml_config() == wanted
    assert stix.Task.from_yaml_config(wanted).to_yaml_config() == wanted


@settings(deadline=None, max_examples=40)
@given(TASKS)
def test_setters_make_the_same_as_the_constructor(fields: dict[str, Any]) -> None:
    rest = dict(fields)
    task = stix.Task(run=rest.pop("run"), name=rest.pop("name", None))
    task.set_resources(rest.pop("resources", {})).update_envs(rest.pop("envs", None))
    mounts = rest.pop("file_mounts", {})
    task.set_file_mounts({k: v for k, v in mounts.items() if isinstance(v, str)})
    maps = {k: stix.Storage(**v) for k, v in mounts.items() if isinstance(v, dict)}
    task.update_storage_mounts(maps)
    for name, value in rest.items():
        setattr(task, name, value)
    assert task.to_yaml_config() == stix.Task(**fields).to_yaml_config()


@settings(deadline=None, max_examples=40)
@given(st.lists(TASKS, min_size=1, max_size=3))
def test_a_dag_to_file_to_pipeline(tasks: list[dict[str, Any]]) -> None:
    with stix.Dag("some") as dag:
        made = [stix.Task(**{**fields, "name": f"t{i}"}) for i, fields in enumerate(tasks)]
        for before, after in pairwise(made):
            before >> after
    text = stix.to_yaml(dag)
    loaded = load_text(text).pipeline
    assert stix.to_yaml(loaded) == text
    assert loaded.stages == dag.pipeline().resolved().stages
