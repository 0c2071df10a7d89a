"""Malformed files: each gives a place, a path, a message and a fix, and never a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from stix.spec.changes.overrides import Overrides
from stix.spec.loader import load_file, load_text
from stix.spec.problems import Problem, SpecErrors

# name: (text, line, column, path, part of the message, part of the fix)
CASES: dict[str, tuple[str, int, int, str, str, str]] = {
    "tab": ("run: |\n  a\nenvs:\n\tA: 1\n", 4, 1, "", "a tab", "spaces"),
    "bracket": ("run: echo\nneeds: [a, b\n", 2, 8, "", "not valid YAML", "close the bracket"),
    "quote": ('run: "echo\n', 1, 6, "", "not valid YAML", "quotation mark"),
    "indent": ("run: echo\n  cpus: 4\n", 2, 7, "", "not valid YAML", "indentation"),
    "alias": ("run: *nothing\n", 1, 6, "", "alias", "anchor"),
    "loop": ("run: &a [*a]\n", 1, 6, "run[0]", "contains itself", "write the value out"),
    "twice": ("run: a\nrun: b\n", 2, 1, "run", "here twice", "line 1"),
    "tag": ("run: !!python/object:os.system x\n", 1, 6, "run", "tag", "remove the tag"),
    "control": ("run: a\nsetup: \x07\n", 2, 8, "", "control character", "UTF-8"),
    "empty": ("# nothing\n", 0, 0, "", "empty", "run: COMMAND"),
    "list": ("- a\n- b\n", 1, 1, "", "must be a map, not a list", "run: COMMAND"),
    "text": ("just text\n", 1, 1, "", "must be a map, not text", "run: COMMAND"),
    "near miss": ("run: a\nresourcs: {}\n", 2, 1, "resourcs", "unknown", "'resources'"),
    "deep near miss": (
        "run: a\nresources:\n  any_of:\n    - {acelerators: A100}\n",
        4,
        8,
        "resources.any_of[0].acelerators",
        "unknown field",
        "'accelerators'",
    ),
    "misplaced": ("run: a\ncpus: 4\n", 2, 1, "cpus", "unknown field", "below resources"),
    "no run": ("stages:\n  a: {needs: []}\n", 2, 3, "stages.a", "no run", "add run"),
    "run type": ("run: 5\n", 1, 6, "run", "must be text", "run: |"),
    "nodes": ("run: a\nnum_nodes: 0\n", 2, 12, "num_nodes", "greater", "from 1"),
    "nodes type": ("run: a\nnum_nodes: two\n", 2, 12, "num_nodes", "whole number", "from 1"),
    "spot": ("run: a\nresources: {use_spot: 2}\n", 2, 23, "resources.use_spot", "true", "false"),
    "cpus": ("run: a\nresources: {cpus: 4-8}\n", 2, 19, "resources.cpus", "4-8", "4+"),
    "memory": ("run: a\nresources: {memory: 0}\n", 2, 21, "resources.memory", "zero", "16GB"),
    "gpus": (
        'run: a\nresources: {gpus: "A100:1..4"}\n',
        2,
        19,
        "resources.gpus",
        "A100:1..4",
        "NAME:COUNT",
    ),
    "gpus twice": (
        "run: a\nresources: {gpus: A100, accelerators: V100}\n",
        2,
        19,
        "resources.gpus",
        "both given",
        "keep accelerators",
    ),
    "infra": ("run: a\nresources: {infra: a/b/c/d}\n", 2, 20, "resources.infra", "place", "aws"),
    "strategy": (
        "run: a\nresources:\n  job_recovery: {strategy: FAILOVR}\n",
        3,
        28,
        "resources.job_recovery.strategy",
        "not a strategy",
        "'FAILOVER'",
    ),
    "rule": (
        "run: a\nrecovery: {preemted: 3}\n",
        2,
        12,
        "recovery.preemted",
        "unknown field",
        "'preempted'",
    ),
    "rule field": (
        "run: a\nrecovery: {capacity: {retrys: 3}}\n",
        2,
        23,
        "recovery.capacity.retrys",
        "unknown field 'retrys'",
        "'retries'",
    ),
    "backoff": (
        "run: a\nrecovery: {timeout: {backoff: soon}}\n",
        2,
        31,
        "recovery.timeout.backoff",
        "not a duration",
        "10m",
    ),
    "codes": (
        "run: a\nrecovery: {user_error: {exit_codes: [1, 1]}}\n",
        2,
        37,
        "recovery.user_error.exit_codes",
        "twice",
        "[75, 137]",
    ),
    "timeout": ("run: a\ntimeout: soon\n", 2, 10, "timeout", "not a duration", "10m"),
    "failures": ('run: a\nallowed_failures: "120%"\n', 2, 19, "allowed_failures", "120", "20%"),
    "env value": ("run: a\nenvs: {A: }\n", 2, 8, "envs.A", "no value", "--env A=VALUE"),
    "env name": ("run: a\nenvs: {a-b: 1}\n", 2, 13, "envs.a-b", "not a name", "letters"),
    "secret": ("run: a\nsecrets: [TOKEN]\n", 2, 1, "secrets.TOKEN", "no value", "--secret TOKEN"),
    "matrix": ("run: a\nmatrix: {m: []}\n", 2, 13, "matrix.m", "no values", "at least one"),
    "matrix and env": (
        "run: a\nenvs: {m: 1}\nmatrix: {m: [1]}\n",
        3,
        10,
        "matrix.m",
        "also in envs",
        "rename",
    ),
    "output path": (
        "run: a\noutputs: {x: ../y}\n",
        2,
        14,
        "outputs.x",
        "leads out",
        "without '..'",
    ),
    "absolute": (
        "run: a\noutputs: {x: {path: /etc}}\n",
        2,
        21,
        "outputs.x.path",
        "relative",
        "relative to",
    ),
    "input form": ("run: a\ninputs: {x: y}\n", 2, 13, "inputs.x", "name an output", "stage.output"),
    "stage name": ("stages:\n  a.b: {run: x}\n", 2, 3, "stages.a.b", "not a valid", "letters"),
    "two names": (
        "stages:\n  a: {run: x, name: b}\n",
        2,
        21,
        "stages.a.name",
        "calls itself",
        "remove name",
    ),
    "need": (
        "stages:\n  prepare: {run: x}\n  b: {run: x, needs: [prepar]}\n",
        3,
        23,
        "stages.b.needs[0]",
        "no stage 'prepar'",
        "'prepare'",
    ),
    "itself": (
        "stages:\n  a: {run: x, needs: [a]}\n",
        2,
        23,
        "stages.a.needs[0]",
        "cannot need itself",
        "remove",
    ),
    "output": (
        "stages:\n  a: {run: x, outputs: {data: d}}\n  b: {run: x, inputs: {d: a.dat}}\n",
        3,
        27,
        "stages.b.inputs.d",
        "no output 'dat'",
        "'data'",
    ),
    "cycle": (
        "stages:\n  a: {run: x, needs: [c]}\n  b: {run: x, needs: [a]}\n"
        "  c: {run: x, needs: [b]}\n",
        3,
        22,
        "stages.b.needs",
        "a -> c -> b -> a",
        "remove",
    ),
    "when syntax": (
        "stages:\n  a: {run: x, when: 'envs.A = 1'}\n",
        2,
        21,
        "stages.a.when",
        "column 8",
        "==",
    ),
    "when name": (
        "stages:\n  a: {run: x}\n  b: {run: x, when: 'stages.a.status == 1'}\n",
        3,
        21,
        "stages.b.when",
        "stages.a is not known here",
        "add a to needs",
    ),
    "when field": (
        "stages:\n  a: {run: x}\n  b: {run: x, needs: [a], when: stages.a.stats}\n",
        3,
        33,
        "stages.b.when",
        "stages.a.stats",
        "'status'",
    ),
    "defaults": (
        "defaults:\n  num_nodes: x\nstages:\n  a: {run: x}\n",
        2,
        14,
        "defaults.num_nodes",
        "whole number",
        "from 1",
    ),
    "no stages": ("stages: {}\n", 1, 9, "stages", "no stages", "run: COMMAND"),
    "stage type": ("stages:\n  a: [x]\n", 2, 6, "stages.a", "must be a map", "map of fields"),
    "deadline": ("deadline: 0\nstages:\n  a: {run: x}\n", 1, 11, "deadline", "above zero", "10m"),
    "chain names": ("name: a\nrun: x\n---\nname: a\nrun: y\n", 4, 7, "name", "two tasks", "own"),
    "second document": ("run: x\n---\nrun: y\nnodes: 2\n", 4, 1, "nodes", "unknown", "num_nodes"),
    "target": (
        'run: a\nfile_mounts: {"s3://b/x": /tmp}\n',
        2,
        15,
        "file_mounts.s3://b/x",
        "is a URL",
        "swap",
    ),
    "storage mode": (
        "run: a\nfile_mounts: {/d: {source: s3://b, mode: MONT}}\n",
        2,
        42,
        "file_mounts./d.mode",
        "not a storage mode",
        "'MOUNT'",
    ),
    "both recoveries": (
        "run: a\nrecovery: none\nresources: {job_recovery: FAILOVER}\n",
        2,
        1,
        "recovery",
        "both given",
        "keep recovery",
    ),
    "own variable": (
        "run: a\nenvs: {STIX_NODE_ID: x}\n",
        2,
        8,
        "envs.STIX_NODE_ID",
        "set by",
        "choose",
    ),
    "one variable": (
        "run: a\noutputs: {a-b: x, a_b: y}\n",
        2,
        19,
        "outputs.a_b",
        "share one variable",
        "rename",
    ),
    "long key": (
        "run: a\nmatrix: {a: [" + "x" * 90 + "], b: [" + "é" * 30 + "]}\n",
        2,
        9,
        "matrix",
        "too long a name",
        "shorter",
    ),
    "same place": (
        "stages:\n  a: {run: x, outputs: {o: f}}\n"
        "  b: {run: x, inputs: {o: {from: a.o, path: z}}, outputs: {p: z}}\n",
        3,
        63,
        "stages.b.outputs.p",
        "already the place of the input o",
        "another path",
    ),
    "substituted": (
        "run: a\nenvs: {S: dropbox}\nfile_mounts: {/d: {name: b, store: $S}}\n",
        3,
        36,
        "file_mounts./d.store",
        "'dropbox' is not a store of buckets",
        "use one of",
    ),
    "two pipelines": (
        "stages:\n  a: {run: x}\n---\nrun: y\n",
        4,
        1,
        "",
        "has one document",
        "a chain",
    ),
    "deep": ("a: " + "[" * 5000, 1, 62, "", "nested deeper than 60 levels", "fewer levels"),
    "levels": (
        "a: &a " + "[" * 40 + "]" * 40 + "\nb: " + "[" * 40 + "*a" + "]" * 40,
        1,
        27,
        "",
        "unfolds",
        "levels",
    ),
    "bomb size": (
        "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
        + "".join(
            f"{c}: &{c} [{', '.join([f'*{p}'] * 10)}]\n"
            for p, c in zip("abcdef", "bcdefg", strict=True)
        ),
        1,
        8,
        "",
        "unfolds",
        "fewer aliases",
    ),
}


def refused(text: str, name: str = "job.yaml") -> list[Problem]:
    with pytest.raises(SpecErrors) as caught:
        load_text(text, name)
    return caught.value.problems


@pytest.mark.parametrize("case", CASES, ids=CASES.keys())
def test_each_mistake_has_a_place_and_a_fix(case: str) -> None:
    text, line, column, path, message, fix = CASES[case]
    problem = refused(text)[0]
    assert message in problem.message
    assert fix in problem.fix
    if case != "bomb size":  # The place is wherever the count ran out.
        assert (problem.line, problem.column, problem.path) == (line, column, path)
    assert problem.file == "job.yaml"
    assert problem.severity == "error"
    if line:
        assert str(problem).startswith(f"job.yaml:{problem.line}:{problem.column}: error: ")
    assert "\n  fix: " in str(problem)


def test_all_mistakes_at_once_in_the_order_of_the_file() -> None:
    text = (
        "stages:\n  a:\n    run: 1\n    cache: 2\n  b:\n    runs: x\n    timeout: z\ndeadline: q\n"
    )
    assert [p.line for p in refused(text)] == [3, 4, 6, 7, 8]


def test_graph_mistakes_at_once() -> None:
    text = (
        "stages:\n  a: {run: x, needs: [zz]}\n  b: {run: x, inputs: {i: a.o}}\n"
        "  c: {run: x, when: 'foo'}\n  d: {setup: x, needs: [d]}\n"
    )
    assert [p.line for p in refused(text)] == [2, 3, 4, 5]


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "train.yaml").write_text("run: x")
    (tmp_path / "binary.yaml").write_bytes(b"run: x\nsetup: \xff\xfe")
    wanted = {
        "trian.yaml": ("no such file", "train.yaml", 1, 1),
        ".": ("a folder", "pipeline.yaml", 1, 1),
        "binary.yaml": ("not UTF-8", "UTF-8", 2, 8),
    }
    for name, (message, fix, line, column) in wanted.items():
        with pytest.raises(SpecErrors) as caught:
            load_file(tmp_path / name)
        (problem,) = caught.value.problems
        assert message in problem.message
        assert fix in problem.fix
        assert (problem.line, problem.column) == (line, column)


def test_missing_sources_are_named_relative_to_the_file(tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text("run: x\nworkdir: ./src\nfile_mounts:\n  /a: ./data\n  /b: s3://bucket/x\n")
    with pytest.raises(SpecErrors) as caught:
        load_file(file)
    assert [(p.line, p.path) for p in caught.value.problems] == [
        (2, "workdir"),
        (4, "file_mounts./a"),
    ]
    (tmp_path / "src").mkdir()
    (tmp_path / "data").write_text("x")
    assert load_file(file).pipeline.stages["p"].workdir == "./src"


def test_a_secret_is_never_printed() -> None:
    for text in (
        "run: a\nsecrets: {T: [hunter2]}\n",
        "run: a\nsecrets: [T=hunter2]\n",
        'run: a\nsecrets: {"secrets:T": hunter2}\n',
        "run: a\nsecrets: hunter2\n",
        "run: 1\nsecrets: {T: hunter2}\n",
    ):
        assert "hunter2" not in "".join(map(str, refused(text)))


def test_the_kept_text_holds_no_secret() -> None:
    text = 'run: a\nsecrets:\n  A: "hun\\"ter2"\n  B: |\n    hunter2\n    two\n  C:\nenvs: {E: e}\n'
    loaded = load_text(text, given=Overrides(secrets={"C": "x"}))
    assert "hunter2" not in loaded.text and "ter2" not in loaded.text and "two" not in loaded.text
    assert "E: e" in loaded.text
    assert "hunter2" not in repr(loaded)


def test_what_hides_behind_a_default_is_shown_there(tmp_path: Path) -> None:
    text = "defaults:\n  workdir: ./none\nenvs:\n  A:\nstages:\n  a: {run: x}\n"
    with pytest.raises(SpecErrors) as caught:
        load_text(text, "p.yaml", base=tmp_path)
    assert [(p.line, p.column) for p in caught.value.problems] == [(2, 12), (4, 3)]
