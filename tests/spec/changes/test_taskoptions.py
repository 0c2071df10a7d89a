"""SkyPilot's options for a task: what they make of a file, and what SkyPilot 0.14.1 makes of it.

Each row was tried with SkyPilot's own override of resources; the places where we differ on purpose
have rows of their own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stix.errors import UsageError
from stix.spec.changes.overrides import Overrides
from stix.spec.loader import load_text
from stix.spec.models import PipelineSpec, Resources
from stix.spec.problems import GivenErrors

NONE: dict[str, Any] = {
    "env": (),
    "env_file": (),
    "secret": (),
    "secret_file": (),
    "set": (),
    "name": None,
}
PLACES = "run: x\nresources: {any_of: [{infra: aws/us-east-1}, {infra: gcp/us-central1}]}\n"
KINDS = "run: x\nresources: {accelerators: [A100:1, V100:1], use_spot: true}\n"
MIXED = """\
run: x
resources:
  cpus: 4+
  any_of: [{infra: aws, cpus: 8}, {infra: gcp, accelerators: A100}]
"""
ORDER = "run: x\nresources: {ordered: [{infra: aws, use_spot: true}, {infra: gcp}]}\n"
ONE = (
    "run: x\nresources: {infra: aws/us-east-1/us-east-1a, disk_size: 100, priority: 5, ports: 80}\n"
)
ANYWHERE = """\
run: x
resources: {infra: aws/r, any_of: [{infra: "*/s", cpus: 2}, {infra: aws/t}, {cpus: 4}]}
"""
BARE = "run: x\n"


def load(text: str, **options: Any) -> PipelineSpec:
    return load_text(text, given=Overrides.of_command({**NONE, **options})).pipeline


def choices(text: str, **options: Any) -> list[Resources]:
    return load(text, **options).stages["task"].resources.alternatives()


ALIKE: list[tuple[str, dict[str, Any], list[dict[str, Any]]]] = [
    (
        PLACES,
        {"gpus": "A100:2"},
        [
            {"infra": "aws/us-east-1", "accelerators": {"A100": 2}},
            {"infra": "gcp/us-central1", "accelerators": {"A100": 2}},
        ],
    ),
    (PLACES, {"cloud": "none"}, [{"infra": "*/us-east-1"}, {"infra": "*/us-central1"}]),
    (
        KINDS,
        {"use_spot": False},
        [
            {"accelerators": {"A100": 1}, "use_spot": False},
            {"accelerators": {"V100": 1}, "use_spot": False},
        ],
    ),
    (
        KINDS,
        {"cpus": "none", "memory": "16+"},
        [
            {"accelerators": {"A100": 1}, "use_spot": True, "memory": "16+"},
            {"accelerators": {"V100": 1}, "use_spot": True, "memory": "16+"},
        ],
    ),
    (MIXED, {"cpus": "none"}, [{"infra": "aws"}, {"infra": "gcp", "accelerators": {"A100": 1}}]),
    (
        MIXED,
        {"cpus": "16"},
        [
            {"infra": "aws", "cpus": "16"},
            {"infra": "gcp", "cpus": "16", "accelerators": {"A100": 1}},
        ],
    ),
    (MIXED, {"gpus": "NONE"}, [{"infra": "aws", "cpus": "8"}, {"infra": "gcp", "cpus": "4+"}]),
    (
        MIXED,
        {"infra": "azure"},
        [
            {"infra": "azure", "cpus": "8"},
            {"infra": "azure", "cpus": "4+", "accelerators": {"A100": 1}},
        ],
    ),
    (
        ANYWHERE,
        {"region": "none"},
        [{"cpus": "2"}, {"infra": "aws"}, {"infra": "aws", "cpus": "4"}],
    ),
    (
        ANYWHERE.replace("infra: aws/r, ", ""),
        {"cloud": "none", "region": "*"},
        [{"cpus": "2"}, {}, {"cpus": "4"}],
    ),
    (ORDER, {"use_spot": True}, [{"infra": w, "use_spot": True} for w in ("aws", "gcp")]),
    (
        ORDER,
        {"infra": "aws"},
        [{"infra": "aws", "use_spot": True}, {"infra": "aws"}],
    ),
    (ONE, {"infra": "aws"}, [{"infra": "aws", "disk_size": 100, "priority": 5, "ports": ["80"]}]),
    (ONE, {"infra": "*", "disk_size": "50"}, [{"disk_size": 50, "priority": 5, "ports": ["80"]}]),
    (
        ONE,
        {"zone": "us-east-1b", "priority": "high", "ports": ("none",)},
        [{"infra": "aws/us-east-1/us-east-1b", "disk_size": 100, "priority_class": "high"}],
    ),
    (
        ONE,
        {"region": "none", "priority": "-7", "ports": ("8080,9000", "9100-9200")},
        [
            {
                "infra": "aws/*/us-east-1a",
                "disk_size": 100,
                "priority": -7,
                "ports": ["8080", "9000", "9100-9200"],
            }
        ],
    ),
    (
        BARE,
        {"gpus": "A100:8", "use_spot": True, "cpus": "32+", "instance_type": "p4d"},
        [{"accelerators": {"A100": 8}, "use_spot": True, "cpus": "32+", "instance_type": "p4d"}],
    ),
    (BARE, {"infra": "k8s/ctx/a"}, [{"infra": "kubernetes/ctx/a"}]),
    (
        BARE,
        {"network_tier": "best", "local_disk": "nvme:100+", "disk_tier": "none"},
        [{"network_tier": "best", "local_disk": "nvme:100+"}],
    ),
]


@pytest.mark.parametrize(("text", "options", "wanted"), ALIKE)
def test_as_skypilot_has_it(
    text: str, options: dict[str, Any], wanted: list[dict[str, Any]]
) -> None:
    assert said(choices(text, **options)) == said([Resources(**one) for one in wanted])


def said(found: list[Resources]) -> list[dict[str, Any]]:
    """What resources ask for, without fields that hold nothing."""
    plain = [one.model_dump(exclude_defaults=True) for one in found]
    return [{k: v for k, v in one.items() if v not in (None, [], {})} for one in plain]


TWO = (("A100", 1), ("V100", 2))
OTHER: list[tuple[str, dict[str, Any], list[dict[str, Any]]]] = [
    # SkyPilot keeps both alternatives, which say the same now.
    (PLACES, {"infra": "aws"}, [{"infra": "aws"}]),
    (KINDS, {"gpus": "L4:2"}, [{"accelerators": {"L4": 2}, "use_spot": True}]),
    # SkyPilot's option fails on the word that it takes elsewhere.
    (PLACES, {"infra": "none"}, [{}]),
    # SkyPilot keeps a zone of the other region, a region of the other cloud.
    (ONE, {"region": "eu-west-1"}, [{"infra": "aws/eu-west-1"}]),
    (ONE, {"cloud": "gcp"}, [{"infra": "gcp"}]),
    # SkyPilot takes the short form alone.
    (BARE, {"gpus": "{A100: 1, V100: 2}"}, [{"accelerators": {n: c}} for n, c in TWO]),
]


@pytest.mark.parametrize(("text", "options", "wanted"), OTHER)
def test_where_we_differ(text: str, options: dict[str, Any], wanted: list[dict[str, Any]]) -> None:
    keys = ("infra", "accelerators", "use_spot")
    found = [{k: v for k, v in one.items() if k in keys} for one in said(choices(text, **options))]
    assert found == [said([Resources(**one)])[0] for one in wanted]


def test_every_task_of_a_chain() -> None:
    stages = load("run: x\n---\nrun: y\nresources: {cpus: 2}\n", cpus="8", num_nodes="3").stages
    assert [(s.resources.cpus, s.num_nodes) for s in stages.values()] == [("8", 3)] * 2


def test_defaults_give_way() -> None:
    text = (
        "defaults: {resources: {any_of: [{infra: aws, cpus: 2}, {infra: gcp}]}}\n"
        "stages: {a: {run: x}, b: {run: y, resources: {cpus: 4}}}\n"
    )
    for stage in load(text, cpus="8").stages.values():
        found = stage.resources.alternatives()
        assert [(one.infra, one.cpus) for one in found] == [("aws", "8"), ("gcp", "8")]


def test_one_stage_wins_over_an_option() -> None:
    text = "stages: {a: {run: x}, b: {run: y}}\n"
    stages = load(text, cpus="8", set=("b.resources.cpus=2",)).stages
    assert [stage.resources.cpus for stage in stages.values()] == ["8", "2"]


def test_a_stage_called_resources() -> None:
    stages = load("stages: {resources: {run: x}, b: {run: y}}\n", cpus="8").stages
    assert [stage.resources.cpus for stage in stages.values()] == ["8", "8"]


def test_a_folder_is_one_of_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path)
    assert load(BARE, workdir="code").stages["task"].workdir == str(tmp_path / "code")
    for given, words in {
        "file": "a file",
        "gone": "no such folder",
        "~nobody-at-all": "no such",
    }.items():
        with pytest.raises(UsageError, match=words):
            load(BARE, workdir=given)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "gpus": ({"gpus": "A100:x"}, "--gpus 'A100:x': error: resources.accelerators"),
    "cpus": ({"cpus": "lots"}, "--cpus 'lots': error: resources.cpus"),
    "memory": ({"memory": "-1"}, "--memory '-1': error: resources.memory"),
    "infra": ({"infra": "a/b/c/d"}, "--infra 'a/b/c/d': error: resources.infra"),
    "num_nodes": ({"num_nodes": "0"}, "--num-nodes '0': error: num_nodes"),
    "nodes_text": ({"num_nodes": "two"}, "--num-nodes 'two': error: num_nodes"),
    "disk_size": ({"disk_size": "big"}, "--disk-size 'big': error: resources.disk_size"),
    "disk_tier": ({"disk_tier": "hihg"}, "--disk-tier 'hihg': error: resources.disk_tier"),
    "network": ({"network_tier": "bets"}, "--network-tier 'bets': error: resources.network_tier"),
    "local_disk": ({"local_disk": "floppy:1"}, "--local-disk 'floppy:1': error: resources.local"),
    "ports": ({"ports": ("80", "web")}, "--ports '80 web': error: resources.ports"),
    "priority": ({"priority": "5000"}, "--priority '5000': error: resources.priority"),
    "cost": ({"max_hourly_cost": "free"}, "--max-hourly-cost 'free': error: resources.max"),
    "image_id": ({"image_id": "[1]"}, "--image-id '[1]': error: resources.image_id"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_value_is_told_of_the_option(case: str) -> None:
    options, words = WRONG[case]
    with pytest.raises(GivenErrors) as caught:
        load("stages: {a: {run: x}, b: {run: y}}\n", **options)
    (problem,) = caught.value.problems
    assert str(problem).startswith(words)
    assert problem.fix
    assert caught.value.exit_code == 2


USAGE: dict[str, tuple[dict[str, Any], str]] = {
    "empty": ({"gpus": ""}, "--gpus '': the value is empty"),
    "blank": ({"cpus": " "}, "--cpus ' ': the value is empty"),
    "ports": ({"ports": ("none", "80")}, "--ports none: other ports"),
    "no_port": ({"ports": ("80,",)}, "--ports"),
    "infra_and_cloud": ({"infra": "aws", "cloud": "aws"}, "--infra is given as well"),
    "whole_place": ({"cloud": "aws/us-east-1"}, "this is not a cloud"),
    "yaml": ({"gpus": "{A100: "}, "--gpus '{A100: ': not valid YAML"),
    "set_env": ({"set": ("envs.A=1",), "env": ("A=2",)}, "--env A sets the same field"),
    "set_envs": ({"set": ("a.envs={A: 1}",), "env": ("A=2",)}, "--env NAME sets the same"),
    "set_secret": ({"set": ("a.secrets.A=1",), "secret": ("A=2",)}, "--secret A sets the same"),
    "env_secret": ({"env": ("A=1",), "secret": ("A=2",)}, "A is given as a variable and as a sec"),
    "set_name": ({"set": ("name=a",), "name": "b"}, "--name sets the same field"),
    "option_and_set": ({"set": ("resources.cpus=1",), "cpus": "2"}, "sets the same field"),
    "place_and_set": ({"set": ("resources.region=r",), "infra": "aws"}, "sets the same field"),
}


@pytest.mark.parametrize("case", USAGE)
def test_options_that_exclude_one_another(case: str) -> None:
    options, words = USAGE[case]
    with pytest.raises((UsageError, GivenErrors)) as caught:
        load("stages: {a: {run: x}}\n", **options)
    assert words in str(caught.value)
    assert "fix: " in str(caught.value)
    assert caught.value.exit_code == 2
