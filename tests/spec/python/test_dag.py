"""``with stix.Dag() as dag``: who joins, edges, names, and the pipeline it makes."""

from __future__ import annotations

import asyncio
import threading

import pytest

import stix
from stix.spec.python.dag import Dag, DagError, DagExecution, current


def task(name: str | None = None) -> stix.Task:
    return stix.Task(name, run="x")


def needs(dag: Dag) -> dict[str, list[str]]:
    return {name: stage.needs for name, stage in dag.pipeline().stages.items()}


def test_tasks_of_the_block_join() -> None:
    before = task("before")
    with stix.Dag() as dag:
        inside = task("inside")
        read = stix.Task.from_yaml_str("name: read\nrun: x")
        config = stix.Task.from_yaml_config({"name": "config", "run": "x"})
    after = task("after")
    assert [t.name for t in dag.tasks] == ["inside", "read", "config"]
    assert inside in dag and read in dag and config in dag
    assert before not in dag and after not in dag
    assert current() is None


def test_edges() -> None:
    with stix.Dag("p") as dag:
        a, b, c, d = (task(name) for name in "abcd")
        a >> [b, c] >> d
    assert needs(dag) == {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"]}
    assert not dag.is_chain()
    with stix.Dag() as chain:
        a >> b >> c
    assert needs(chain) == {"a": [], "b": ["a"], "c": ["b"]}
    assert chain.is_chain()


def test_add_and_remove() -> None:
    dag = stix.Dag()
    a, b = task("a"), task("b")
    dag.add(a)
    dag.add(a)
    dag.add_edge(a, b)
    dag.add_edge(a, b)
    assert (len(dag), needs(dag)) == (2, {"a": [], "b": ["a"]})
    dag.remove(a)
    assert needs(dag) == {"b": []}
    with pytest.raises(DagError, match="does not hold a"):
        dag.remove(a)
    with pytest.raises(DagError, match="tasks, not str"):
        dag.add("a")  # type: ignore[arg-type]


def test_equal_tasks_are_two() -> None:
    with stix.Dag("p") as dag:
        first, second = task(), task()
        first >> second
    assert first == second
    assert needs(dag) == {"p-0": [], "p-1": ["p-0"]}


def test_cycles_are_refused_where_they_are_made() -> None:
    with stix.Dag() as dag:
        a, b, c = (task(name) for name in "abc")
        a >> b >> c
        with pytest.raises(DagError, match="c -> a -> b -> c"):
            c >> a
        with pytest.raises(RuntimeError, match="a -> a"):
            a >> a
    assert needs(dag) == {"a": [], "b": ["a"], "c": ["b"]}


def test_no_edge_outside_of_a_block() -> None:
    with pytest.raises(RuntimeError, match=r"with stix\.Dag"):
        task("a") >> task("b")


def test_blocks_nest_and_open_again() -> None:
    with stix.Dag("outer") as outer:
        task("a")
        with stix.Dag("inner") as inner:
            task("b")
        task("c")
    with outer:
        task("d")
    assert [t.name for t in outer.tasks] == ["a", "c", "d"]
    assert [t.name for t in inner.tasks] == ["b"]


def test_an_error_closes_the_block() -> None:
    with pytest.raises(KeyError), stix.Dag():
        raise KeyError
    assert current() is None


def test_names() -> None:
    dag = stix.Dag("p")
    for name in (None, "p-0", "v1.2", None):
        dag.add(task(name))
    assert list(dag.pipeline().stages) == ["p-0-x", "p-0", "v1-2", "p-3"]
    dag.add(task("v1-2"))
    with pytest.raises(ValueError, match="two tasks are called"):
        dag.pipeline()


def test_the_tasks_stay_as_they_are() -> None:
    with stix.Dag() as dag:
        a, b = task(), task()
        a >> b
    pipeline = dag.pipeline()
    pipeline.stages["task-1"].needs.append("else")
    assert (a.name, b.name, b.needs) == (None, None, [])
    assert needs(dag)["task-1"] == ["task-0"]


def test_fields_of_the_pipeline() -> None:
    dag = stix.Dag("p", envs={"A": "1"}, max_parallel=2)
    dag.add(task("a"))
    pipeline = dag.pipeline()
    assert (pipeline.name, pipeline.envs, pipeline.max_parallel) == ("p", {"A": "1"}, 2)
    with pytest.raises(ValueError, match="max_parallel"):
        stix.Dag(max_parallel=0)
    dag.set_execution(DagExecution.PARALLEL)
    assert dag.is_job_group()
    assert dag.pipeline().execution == "parallel"


def test_edges_beside_needs_and_inputs() -> None:
    with stix.Dag() as dag:
        a = stix.Task("a", run="x", outputs={"o": "o"})
        b = stix.Task("b", run="x", inputs={"o": "a.o"}, needs=["c"])
        c = task("c")
        [a, c] >> b
    assert needs(dag)["b"] == ["c", "a"]
    assert dag.validate() is dag


def test_threads_have_blocks_of_their_own() -> None:
    found: dict[str, list[str | None]] = {}
    both = threading.Barrier(2, timeout=30)

    def build(name: str) -> None:
        with stix.Dag(name) as dag:
            both.wait()
            a = task(f"{name}a")
            both.wait()
            a >> task(f"{name}b")
            both.wait()
        found[name] = [t.name for t in dag.tasks]

    with stix.Dag() as outside:
        threads = [threading.Thread(target=build, args=(name,)) for name in "xy"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == {"x": ["xa", "xb"], "y": ["ya", "yb"]}
    assert len(outside) == 0


async def test_coroutines_have_blocks_of_their_own() -> None:
    async def build(name: str) -> list[str | None]:
        with stix.Dag(name) as dag:
            for number in range(3):
                task(f"{name}{number}")
                await asyncio.sleep(0)
        return [t.name for t in dag.tasks]

    found = await asyncio.gather(*(build(name) for name in "xyz"))
    assert found == [[f"{name}{n}" for n in range(3)] for name in "xyz"]
