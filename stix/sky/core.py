"""``sky.launch`` and the other functions of SkyPilot's module ``sky`` that have a room."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stix.client.api import Json
from stix.errors import UsageError
from stix.sky import runs
from stix.sky.arguments import like, not_yet
from stix.sky.enums import OptimizeTarget
from stix.sky.requests import Request

LAUNCH = (
    "task, cluster_name=None, retry_until_up=False, idle_minutes_to_autostop=None, "
    "wait_for=None, dryrun=False, down=False, backend=None, optimize_target=None, "
    "no_setup=False, clone_disk_from=None, fast=False, resize=False"
)
LOGS = "~/sky_logs"


@like(
    LAUNCH,
    idle_minutes_to_autostop="clusters",
    wait_for="clusters",
    backend="backends",
    clone_disk_from="clusters",
    fast="clusters",
    resize="clusters",
)
def launch(asked: Any) -> Request:
    """Start a task, or a DAG of tasks, as one run; its result is ``(job_id, handle)``.

    The run has begun when this returns. Its nodes end with its stages, as with ``down=True``, and
    it waits for capacity, as with ``retry_until_up=True``: both arguments ask for what is so
    anyway. ``cluster_name`` names the run. ``job_id`` is the id of the run, and ``handle`` the
    ``Run`` of ``stix.run``.
    """
    price_alone(asked.optimize_target)
    source = without_setup(asked.task) if asked.no_setup else asked.task
    if asked.dryrun:
        return Request.done((None, None), said=shown(plan(source, asked.cluster_name)))
    run = start(source, asked.cluster_name)
    return Request.done((run.id, run), said=f"run {run.id} ({run.name}) has begun\n")


def start(source: Any, name: str | None) -> Any:
    """The run of a task or DAG, which has begun."""
    from stix.client.sdk import run

    with _as_value_error():
        return run(_checked(source), wait=False, name=name)


@contextmanager
def _as_value_error() -> Iterator[None]:
    """SkyPilot's programs look for a ``ValueError`` where a task is refused."""
    from stix.spec.problems import SpecErrors
    from stix.spec.python.objects import Refused

    try:
        yield
    except SpecErrors as refusal:
        raise Refused(refusal.problems) from None


def _checked(source: Any) -> Any:
    from stix.spec.models import PipelineSpec, StageSpec
    from stix.spec.python.dag import Dag

    if not isinstance(source, Dag | PipelineSpec | StageSpec):
        raise UsageError(
            f"a task or a DAG is needed, not {type(source).__name__}",
            fix="Write sky.Task(run=...), or sky.Task.from_yaml(path).",
        )
    return source


def without_setup(source: Any) -> Any:
    """A copy of a task whose setup is not run."""
    from stix.spec.stage import StageSpec

    if not isinstance(source, StageSpec):
        raise UsageError("no_setup needs one task", fix="Leave out setup in the tasks of the DAG.")
    return source.model_copy(update={"setup": None})


def price_alone(target: Any) -> None:
    """Refuse any other target of a plan than its price."""
    if target not in (None, OptimizeTarget.COST):
        raise not_yet("the target TIME", "time")


def plan(source: Any, name: str | None = None) -> Json:
    """Where each stage would run, as ``stix plan`` has it."""
    from stix.client.submit import Options, placed, prepare
    from stix.spec.wire import to_wire

    with _as_value_error(), placed(None):
        prepared = prepare(_checked(source), Options(name=name))
        return runs.client().plan(to_wire(prepared.pipeline))


def shown(answer: Json) -> str:
    """A plan as text."""
    lines = []
    for stage in answer["stages"]:
        offer = stage["chosen"]["offer"]
        place = "/".join(str(offer[k]) for k in ("cloud", "region", "zone") if offer.get(k))
        lines.append(f"{stage['stage']}: {place}, ${stage['usd_per_hour']:.4f}/h\n")
    return "".join(lines)


@like(
    "dag, minimize=None, admin_policy_request_options=None", admin_policy_request_options="policies"
)
def optimize(asked: Any) -> Request:
    """The plan of a DAG: for each stage what was chosen, its price, and the alternatives."""
    price_alone(asked.minimize)
    answer = plan(asked.dag)
    return Request.done(answer, said=shown(answer))


@like(
    "dag, workdir_only=False, admin_policy_request_options=None",
    admin_policy_request_options="policies",
)
def validate(asked: Any) -> None:
    """Check a task or DAG, and that its local paths exist.

    Raises:
        Refused: it is refused, with every reason.
    """
    _checked(asked.dag)
    if asked.workdir_only:
        asked.dag.validate(skip_file_mounts=True)
        return
    from stix.client.submit import prepare

    with _as_value_error():
        prepare(asked.dag)


@like("cluster_names=None, refresh=None, all_users=False")
def status(asked: Any) -> Request:
    """The runs that go on, each with the nodes it holds; all of them are yours, and fresh."""
    server = runs.client()
    wanted = asked.cluster_names
    wanted = [wanted] if isinstance(wanted, str) else wanted
    found = [run for run in server.runs(limit=runs.MOST) if runs.live(run)]
    if wanted is not None:
        found = [run for run in found if run["name"] in wanted or run["id"] in wanted]
    return Request.done([runs.cluster_record(server.run(run["id"])) for run in found])


@like("days=None")
def cost_report(asked: Any) -> Request:
    """What the runs have cost so far, the newest first; of the last ``days`` days."""
    import time

    server = runs.client()
    found = server.runs(limit=runs.MOST)
    if asked.days is not None:
        since = time.time() - asked.days * 86400
        found = [run for run in found if (runs.seconds(run["created"]) or 0.0) >= since]
    return Request.done([runs.cluster_record(server.run(run["id"])) for run in found])


@like("cluster_name, skip_finished=False, all_users=False")
def queue(asked: Any) -> Request:
    """The runs of a name, the newest first."""
    found = runs.named(runs.client(), asked.cluster_name)
    return Request.done(
        [
            {
                "job_id": run["id"],
                "job_name": run["name"],
                "status": runs.job_status(run),
                "submitted_at": runs.seconds(run["created"]),
                "start_at": runs.seconds(run["started"]),
                "end_at": runs.seconds(run["ended"]),
            }
            for run in found
            if runs.live(run) or not asked.skip_finished
        ]
    )


@like("cluster_name, job_ids=None")
def job_status(asked: Any) -> Request:
    """Id to state of runs of a name: of those with the given ids, else of the newest."""
    found = runs.named(runs.client(), asked.cluster_name)
    chosen = _with_ids(found, asked.job_ids) if asked.job_ids else found[:1]
    return Request.done({run["id"]: runs.job_status(run) for run in chosen})


def _with_ids(found: list[Json], ids: Any) -> list[Json]:
    wanted = {str(each) for each in ids}
    known = {run["id"] for run in found}
    if wanted - known:
        raise runs.NoSuchJob(
            f"there is no run {', '.join(sorted(wanted - known))} of this name",
            fix="sky.queue lists its runs.",
        )
    return [run for run in found if run["id"] in wanted]


@like("cluster_name, all=False, all_users=False, job_ids=None")
def cancel(asked: Any) -> Request:
    """Cancel runs of a name: all, those with the given ids, or the newest that goes on."""
    found = runs.named(runs.client(), asked.cluster_name)
    going = [run for run in found if runs.live(run)]
    if asked.job_ids:
        going = [run for run in _with_ids(found, asked.job_ids) if runs.live(run)]
    elif not (asked.all or asked.all_users):
        going = going[:1]
    return ending(going)


@like(
    "cluster_name, purge=False, graceful=False, graceful_timeout=None",
    purge="clusters",
    graceful="clusters",
    graceful_timeout="clusters",
)
def down(asked: Any) -> Request:
    """Cancel the runs of a name that go on; ``get`` waits until their nodes are given back."""
    found = runs.named(runs.client(), asked.cluster_name)
    return ending([run for run in found if runs.live(run)])


def ending(going: list[Json]) -> Request:
    """Ask runs to cancel; the request ends with them."""
    from stix.client.watch import wait_final

    server = runs.client()
    for run in going:
        server.cancel(run["id"])

    def wait() -> None:
        for run in going:
            wait_final(server, run["id"])

    return Request(wait)


@like("cluster_name, job_id, follow, tail=0, output_stream=None, *, preload_content=True")
def tail_logs(asked: Any) -> int | Iterator[str]:
    """Print what a run prints; gives its exit code as SkyPilot does (0, 100 failed ...)."""
    server = runs.client()
    found = runs.one(server, asked.cluster_name, asked.job_id)
    return printed(server, found, asked)


def printed(server: Any, run_id: str, asked: Any, stage: str | None = None) -> int | Iterator[str]:
    """What ``tail_logs`` does: print and give the exit code, or give the lines."""
    lines = runs.Output(server, run_id, stage).lines(follow=asked.follow)
    if not asked.preload_content:
        return lines
    out = asked.output_stream or sys.stdout
    runs.show(lines, out.write, asked.tail, asked.follow)
    return runs.exit_code(server.run(run_id))


@like("cluster_name, job_ids")
def download_logs(asked: Any) -> dict[str, str]:
    """Write the output of runs of a name below ``~/sky_logs``; id to folder."""
    server = runs.client()
    found = runs.named(server, asked.cluster_name)
    chosen = _with_ids(found, asked.job_ids) if asked.job_ids else found[:1]
    return runs.save(server, [run["id"] for run in chosen], Path(LOGS).expanduser())


@like("infra_list=None, verbose=False, workspace=None", workspace="workspaces")
def check(asked: Any) -> Request:
    """Which clouds can be used: workspace to cloud to what it can do."""
    enabled = _enabled(asked.infra_list)
    return Request.done({"default": {name: ["compute"] for name in enabled}})


@like("workspace=None, expand=False", workspace="workspaces")
def enabled_clouds(asked: Any) -> Request:
    """Names of the clouds that can be used."""
    return Request.done(_enabled(None))


def _enabled(wanted: Any) -> list[str]:
    rows = runs.client().check()
    asked = None if wanted is None else {str.lower(name).partition("/")[0] for name in wanted}
    return [
        row["name"] for row in rows if row["enabled"] and (asked is None or row["name"] in asked)
    ]


@like("")
def api_info(asked: Any) -> Json:
    """The server: whether it is healthy, its version and address."""
    server = runs.client()
    health = server.health()
    return {"status": "healthy", "version": health["version"], "url": server.url}


@like(
    "*, deploy=False, host='127.0.0.1', foreground=False, metrics=False, metrics_port=None, "
    "enable_basic_auth=False, port=None",
    deploy="server options",
    host="server options",
    foreground="server options",
    metrics="server options",
    metrics_port="server options",
    enable_basic_auth="server options",
    port="server options",
)
def api_start(asked: Any) -> None:
    """Start the local server where none runs."""
    runs.client()


@like("")
def api_stop(asked: Any) -> None:
    """Stop the server, if one runs."""
    from stix.client.http import ServerAway
    from stix.client.local import ensure_server

    try:
        ensure_server(start=False).stop()
    except ServerAway:
        return


class Optimizer:
    """SkyPilot's optimizer, for ``Optimizer.optimize(dag)``."""

    @staticmethod
    def optimize(dag: Any, minimize: Any = None) -> Json:
        """The plan of a DAG."""
        answer: Json = optimize(dag, minimize).result()
        return answer
