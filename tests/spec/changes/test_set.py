"""``--set PATH=VALUE``: how a path is read, where it leads, and what a wrong one is told."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stix.client.submit import Options, prepare
from stix.errors import UsageError
from stix.spec.changes.layout import Layout, apply
from stix.spec.changes.overrides import Overrides
from stix.spec.changes.settings import of_map, parse_settings, split, written
from stix.spec.loader import Loaded, load_text
from stix.spec.models import PipelineSpec, Resources, StageSpec
from stix.spec.problems import GivenErrors, Path, SpecErrors

STAGES = """\
name: p
stages:
  prepare: {run: make data, resources: {cpus: 2}}
  train:
    needs: [prepare]
    run: python train.py
    envs: {EPOCHS: "1"}
    secrets: [TOKEN]
    resources:
      any_of:
        - {infra: aws, cpus: 8}
        - {infra: gcp}
"""
CHAIN = "name: p\n---\nname: one\nrun: x\n---\nname: two\nrun: y\nresources: {cpus: 4}\n"


def load(text: str, *entries: str) -> Loaded:
    return load_text(text, "f.yaml", Overrides(settings=parse_settings(entries), complete=False))


def stage(text: str, name: str, *entries: str) -> StageSpec:
    return load(text, *entries).pipeline.stages[name]


def refusal(text: str, *entries: str) -> list[str]:
    with pytest.raises(SpecErrors) as caught:
        load(text, *entries)
    return [str(problem) for problem in caught.value.problems]


# -- paths ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "path", "text"),
    [
        ("train.run=a=b", ("train", "run"), "a=b"),
        ("deadline=", ("deadline",), ""),
        (
            "train.resources.any_of[0].infra=aws",
            ("train", "resources", "any_of", 0, "infra"),
            "aws",
        ),
        ('a.file_mounts."/data/x.csv"=./x', ("a", "file_mounts", "/data/x.csv"), "./x"),
        ("a.file_mounts['~/.cache']=./x", ("a", "file_mounts", "~/.cache"), "./x"),
        ("a.file_mounts./data=./x", ("a", "file_mounts", "/data"), "./x"),
        (r'a.labels."q\"=\\"=1', ("a", "labels", 'q"=\\'), "1"),
        (" a . b [ 1 ] = c", ("a", "b", 1), " c"),
        ("*.run=x", ("*", "run"), "x"),
    ],
)
def test_a_path(entry: str, path: Path, text: str) -> None:
    assert split(entry) == (path, text)


@pytest.mark.parametrize(
    "entry", ["", "=x", "a", "a.", ".a=1", "a..b=1", "a[x]=1", "a[-1]=1", "a[0=1", "a b=1", "a]=1"]
)
def test_no_path(entry: str) -> None:
    with pytest.raises(UsageError, match=r"--set STAGE\.FIELD=VALUE"):
        split(entry)


NAMES = st.text(max_size=12)
PATHS = st.tuples(NAMES, st.lists(NAMES | st.integers(0, 999_999), max_size=5))


@example(path=("a", ["=", '"', "\\", ".", "[0]", " ", "", "é\n"]), text="=x")
@given(path=PATHS, text=st.text(max_size=20))
def test_every_path_can_be_written(path: tuple[str, list[str | int]], text: str) -> None:
    whole = (path[0], *path[1])
    assert split(f"{written(whole)}={text}") == (whole, text)


@given(entry=st.text(alphabet="ab.[]0=\"'\\ *\n", max_size=14))
def test_any_text_is_a_path_or_refused_with_the_form(entry: str) -> None:
    try:
        path, text = split(entry)
    except UsageError as error:
        assert "--set STAGE.FIELD=VALUE" in error.fix
    else:
        assert entry.endswith("=" + text)
        assert split(f"{written(path)}={text}") == (path, text)


@given(entry=st.text(alphabet="tr.un=[]{}:&*!|>%@`,'\"#- \n\t1", max_size=20))
def test_any_value_is_yaml_or_refused(entry: str) -> None:
    try:
        parse_settings([f"train.run={entry}"])
    except UsageError as error:
        assert error.message.startswith("--set train.run: ")


# -- where they lead --------------------------------------------------------------------------


def test_one_stage_every_stage_and_the_pipeline() -> None:
    loaded = load(
        STAGES,
        "train.resources.use_spot=true",
        "num_nodes=2",
        "deadline=2h",
        "train.matrix.lr=[0.1, 0.2]",
        "train.envs.EPOCHS=3",
        "max_parallel=4",
        "train.max_parallel=1",
    )
    pipeline = loaded.pipeline
    prepare_stage, train = pipeline.stages.values()
    assert (prepare_stage.num_nodes, train.num_nodes) == (2, 2)
    assert (prepare_stage.resources.use_spot, train.resources.use_spot) == (None, True)
    assert (pipeline.deadline, pipeline.max_parallel, train.max_parallel) == (7200, 4, 1)
    assert train.matrix == {"lr": [0.1, 0.2]}
    assert train.envs == {"EPOCHS": "3"}


def test_one_stage_wins_over_every_stage() -> None:
    entries = ["prepare.resources.cpus=1", "resources.cpus=16", "*.run=x", "stages.train.run=y"]
    pipeline = load(STAGES, *entries).pipeline
    assert [s.resources.cpus for s in pipeline.stages.values()] == ["1", "16"]
    assert [s.run for s in pipeline.stages.values()] == ["x", "y"]


def test_a_field_of_resources_holds_for_every_alternative() -> None:
    entries = stage(STAGES, "train", "train.resources.cpus=16").resources.alternatives()
    assert [(e.infra, e.cpus) for e in entries] == [("aws", "16"), ("gcp", "16")]


def test_one_alternative() -> None:
    entries = ["train.resources.any_of[0].infra=azure", "train.resources.any_of[1].use_spot=true"]
    found = stage(STAGES, "train", *entries).resources.alternatives()
    assert [(e.infra, e.cpus, e.use_spot) for e in found] == [
        ("azure", "8", None),
        ("gcp", None, True),
    ]


def test_null_gives_the_default() -> None:
    assert stage(STAGES, "prepare", "prepare.resources.cpus=null").resources.cpus is None
    assert stage(STAGES, "train", "train.needs=").needs == []
    text = "defaults: {resources: {cpus: 4}, num_nodes: 3}\nstages: {a: {run: x}}\n"
    found = stage(text, "a", "a.resources.cpus=null", "num_nodes=null")
    assert (found.resources.cpus, found.num_nodes) == (None, 1)


def test_another_name_of_a_field_gives_way() -> None:
    text = "run: x\nresources: {gpus: A100, cloud: aws, region: us-east-1}\n"
    found = stage(text, "f", "resources.accelerators=L4:2", "resources.infra=gcp").resources
    assert (found.accelerators, found.infra) == ({"L4": 2}, "gcp")
    found = stage(text, "f", "resources.region=us-west-2").resources
    assert found.infra == "aws/us-west-2"
    both = stage(text, "f", "resources.region=r", "resources.cloud=gcp").resources
    assert both.infra == "gcp/r"


def test_defaults() -> None:
    text = "defaults: {resources: {infra: aws/us-east-1}}\nstages: {a: {run: x}, b: {run: x, "
    text += "resources: {infra: gcp}}}\n"
    pipeline = load(text, "defaults.resources.cpus=4", "b.resources.cpus=8").pipeline
    assert [s.resources.cpus for s in pipeline.stages.values()] == ["4", "8"]
    pipeline = load(text, "resources.region=r").pipeline
    assert [s.resources.infra for s in pipeline.stages.values()] == ["aws/r", "gcp/r"]


def test_documents_of_skypilot() -> None:
    entries = ["two.resources.cpus=8", "one.run=z", "num_nodes=2", "name=q", "deadline=1h"]
    pipeline = load(CHAIN, *entries).pipeline
    one, two = pipeline.stages.values()
    assert (pipeline.name, pipeline.deadline) == ("q", 3600)
    assert (one.run, one.num_nodes, two.resources.cpus) == ("z", 2, "8")
    alone = load("run: x\n", "resources.cpus=2", "f.num_nodes=3").pipeline.stages["f"]
    assert (alone.resources.cpus, alone.num_nodes) == ("2", 3)


def test_secrets_written_as_a_list() -> None:
    train = stage(STAGES, "train", "train.secrets.KEY=hunter2")
    assert set(train.secrets) == {"TOKEN", "KEY"}
    assert train.secrets["KEY"] is not None
    assert train.secrets["KEY"].get_secret_value() == "hunter2"


def test_a_stage_with_the_name_of_a_field() -> None:
    text = "stages: {resources: {run: x}, run: {run: y, needs: resources}}\n"
    pipeline = load(text, "resources.num_nodes=2", "*.resources.cpus=8", "run=z").pipeline
    assert [s.num_nodes for s in pipeline.stages.values()] == [2, 1]
    assert {s.resources.cpus for s in pipeline.stages.values()} == {"8"}
    assert {s.run for s in pipeline.stages.values()} == {"z"}
    (problem,) = refusal(text, "resources.cpus=8")
    assert "move cpus below resources" in problem


def test_what_was_read_is_not_changed() -> None:
    stages = {"a": {"resources": {"any_of": [{"cpus": 4}, {"cpus": 8}], "labels": {"x": "1"}}}}
    before = deepcopy(stages)
    entries = ["resources.cpus=2", "a.resources.labels.y=2", "a.resources.region=r", "run=x"]
    layout = Layout({}, dict(stages))
    assert apply(layout, parse_settings(entries)) == []
    assert stages == before
    assert layout.stages["a"]["resources"]["labels"] == {"x": "1", "y": 2}


# -- what is wrong ----------------------------------------------------------------------------

WRONG: list[tuple[str, str, list[str]]] = [
    (STAGES, "train.resources.use_spot=maybe", ["train.resources.use_spot: ", "true or"]),
    (STAGES, "trian.resources.cpus=1", ["no stage and no field 'trian'", "'train'"]),
    (STAGES, "resorces.cpus=1", ["no stage and no field 'resorces'", "'resources'"]),
    (STAGES, "zzz=1", ["no stage and no field 'zzz'", "stages: prepare, train"]),
    (STAGES, "stages.trian.run=1", ["there is no stage 'trian'", "'train'"]),
    (STAGES, "train.resorces.cpus=1", ["unknown field 'resorces'", "'resources'"]),
    (STAGES, "train.cpus=1", ["unknown field 'cpus'", "below resources"]),
    (STAGES, "train={run: x}", ["names a stage and no field", "train.FIELD"]),
    (STAGES, "stages.train=x", ["names a stage and no field", "train.FIELD"]),
    (STAGES, "stages=x", ["no stage and no field 'stages'"]),
    (STAGES, "train.name=x", ["name of a stage cannot be changed", "in the file"]),
    (STAGES, "train.resources.any_of[2].cpus=1", ["the list has 2 entries", "count from 0"]),
    (STAGES, "train.run.x=1", ["x needs a map, and there is text"]),
    (STAGES, "train.resources[0]=1", ["[0] needs a list, and there is a map"]),
    (STAGES, "deadline.soon=1", ["a map is not a duration"]),
    ("name: q\nrun: x\n", "name.x=1", ["name must be text"]),
    (STAGES, "train.run[0]=1", ["[0] needs a list, and there is text"]),
    (STAGES, "deadline=soon", ["'soon' is not a duration", "2h"]),
    (STAGES, "train.needs=[nope]", ["there is no stage 'nope'"]),
    (STAGES, "num_nodes=many", ["num_nodes must be a whole number"]),
    (STAGES, "defaults=x", ["names no field", "defaults.FIELD"]),
    (CHAIN, "defaults.run=x", ["has no defaults", "every stage"]),
    (CHAIN, "two.resources.cpus=lots", ["two.resources.cpus: ", "lots"]),
]


@pytest.mark.parametrize(("text", "entry", "words"), WRONG, ids=[entry for _, entry, _ in WRONG])
def test_a_mistake_is_told_of_the_option(text: str, entry: str, words: list[str]) -> None:
    with pytest.raises(GivenErrors) as caught:
        load(text, entry)
    (problem,) = caught.value.problems
    assert caught.value.exit_code == 2
    assert problem.file.startswith(f"--set {entry.partition('=')[0]}") or " " in entry
    assert (problem.line, problem.column) == (0, 0)
    for word in words:
        assert word in str(problem)
    assert problem.fix


def test_mistakes_of_file_and_options_are_told_together() -> None:
    with pytest.raises(SpecErrors) as caught:
        load(STAGES.replace("cpus: 2", "cpus: lots"), "train.run=[1]", "nope.x=1")
    assert caught.value.exit_code == 1
    assert [p.file for p in caught.value.problems] == [
        "--set nope.x=1",
        "--set train.run=[1]",
        "f.yaml",
    ]


@pytest.mark.parametrize(
    "entries",
    [
        ("train.run=x", "train.run=y"),
        ("train.run=x", "stages.train.run=y"),
        ("resources={cpus: 1}", "resources.cpus=4"),
        ("resources.cpus=4", "*.resources.cpus=5"),
        ("resources.gpus=A100", "resources.accelerators=L4"),
        ("resources.infra=aws", "resources.region=r"),
    ],
)
def test_two_for_one_field(entries: tuple[str, str]) -> None:
    (problem,) = refusal(STAGES, *entries)
    assert "sets the same field" in problem
    for entry in entries:
        assert entry in problem


def test_fields_that_only_look_alike() -> None:
    found = stage(STAGES, "train", "train.envs.zone=a", "train.envs.region=b", "train.envs.gpus=c")
    assert {"zone": "a", "region": "b", "gpus": "c"}.items() <= found.envs.items()


@pytest.mark.parametrize(
    "entry",
    [
        "train.secrets.TOKEN=[hunter2]",
        "train.secrets.TOKEN=&hunter2 *hunter3",
        "train.secrets={1A: hunter2}",
        "train.envs.A={b: hunter2}",
        "train.secrets.TOKEN.hunter2",
        "train.secrets.TOKEN 'hunter2",
    ],
)
def test_a_value_that_may_be_secret_is_not_shown(entry: str) -> None:
    with pytest.raises((SpecErrors, UsageError)) as caught:
        load(STAGES, entry)
    assert "hunter2" not in str(caught.value).replace("TOKEN.hunter2", "")
    assert "--set" in str(caught.value)


def test_what_was_given_is_noted_below_the_text() -> None:
    entries = ["train.secrets.TOKEN=hunter2", "train.run=a  b\n", "resources.cpus=4"]
    stored = load(STAGES, *entries).text
    assert stored.startswith(STAGES)
    assert stored[len(STAGES) :].splitlines() == [
        "# Given on submission:",
        "#   --set train.secrets.TOKEN",
        r"#   --set 'train.run=a  b\n'",
        "#   --set resources.cpus=4",
    ]
    assert load("run: x").text == "run: x"
    assert load("run: x", "num_nodes=2").text.startswith("run: x\n# Given")


# -- Python -----------------------------------------------------------------------------------


def pipeline() -> PipelineSpec:
    made = PipelineSpec(name="p", secrets={"S": "v"})
    made.add("a", StageSpec(run="x", resources=Resources(any_of=[{"cpus": 4}, {"cpus": 8}])))
    made.add("b", StageSpec(run="y", needs=["a"], secrets={"K": "v"}))
    made.stages["b"].envs["E"] = "1"
    return made


def changed(fields: dict[str, Any]) -> PipelineSpec:
    return prepare(pipeline(), Options(overrides=fields)).pipeline


def test_a_pipeline_of_python() -> None:
    out = changed({"b.num_nodes": 2, "resources.cpus": 16, "deadline": "1h", "b.envs.F": 3})
    a, b = out.stages.values()
    assert [e.cpus for e in a.resources.alternatives()] == ["16"]
    assert (b.num_nodes, b.resources.cpus, out.deadline) == (2, "16", 3600)
    assert b.envs == {"E": "1", "F": "3"}
    assert {name: s and s.get_secret_value() for name, s in b.secrets.items()} == {
        "S": "v",
        "K": "v",
    }


def test_objects_of_python_stay_as_they_are() -> None:
    made = pipeline()
    before = made.model_dump()
    prepare(made, Options(overrides={"b.num_nodes": 2, "resources.cpus": 16, "deadline": "1h"}))
    assert made.model_dump() == before


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"c.run": "x"}, "overrides['c.run'] = 'x': error: there is no stage and no field 'c'"),
        ({"b.num_nodes": 0}, "overrides['b.num_nodes'] = 0: error: b.num_nodes"),
        ({"b.needs": ["zz"]}, "b.needs[0]: there is no stage 'zz'"),
        ({"deadline": "soon"}, "'soon' is not a duration"),
    ],
)
def test_a_mistake_in_python(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(SpecErrors) as caught:
        changed(fields)
    (problem,) = caught.value.problems
    assert words in str(problem)


def test_a_path_in_python_that_is_none() -> None:
    with pytest.raises(UsageError):
        of_map({"a.b=": 1})
    assert "hunter2" not in of_map({"a.secrets.K": "hunter2"})[0].said
