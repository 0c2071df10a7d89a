"""Nodes of a Slurm cluster: a wish is one job, with one agent per node."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Sequence
from dataclasses import replace

from stix.clouds.agents import agrees, finish, settle
from stix.clouds.base import CreateRequest, Identity, Node, NodeRef, NodeState, Selector
from stix.clouds.config import HOME_TAG, CloudConfig
from stix.clouds.errors import CapacityError, CloudError, InvalidRequest, TransientError
from stix.clouds.locks import TokenLocks
from stix.clouds.slurm import jobs
from stix.clouds.slurm.login import Login
from stix.clouds.slurm.refusals import STATES, hopeless
from stix.plan.offers import Offer
from stix.remote.base import Runner

log = logging.getLogger("stix.clouds.slurm")
Nodes = list[Node]
PAUSES = (0.05, 0.1, 0.1, 0.2, 0.2, 0.5, 1.0, 2.0, 5.0)  # seconds between looks at the queue
END_SECONDS = 60.0
GRACE_SECONDS = 15.0


class SlurmCloud:
    """A region is a partition. ``create`` waits in the queue, for ``slurm.patience`` at most.

    Commands run on a login node, which is this machine or one that SSH reaches; commands on nodes
    run as steps of the job (``srun --overlap``). What a node reserves is the job's size; where a
    wish says nothing, it is what the partition gives. There is no price but the setting's.
    """

    name = "slurm"
    opt_in = True
    host_ports = True

    def __init__(self, config: CloudConfig) -> None:
        self._home_id = config.home_id
        self._login = Login(config)
        self._locks = TokenLocks(config.home / "cache" / "slurm-tokens")

    def credentials(self) -> str:
        """The login node, or the Slurm of this machine."""
        return self._login.place or shutil.which("sbatch") or ""

    async def check(self) -> Identity:
        account = await self._login.account()
        found = await self._login.sizes()
        parts = [f"{s.partition}: {s.count} x {s.facts.size()}" for s in found]
        cluster = account.cluster or self._login.place or "slurm"
        return Identity(f"{account.user}@{cluster}", "\n".join([account.version, *parts]))

    async def offers(self) -> Sequence[Offer]:
        price = self._login.settings["price"]
        return [size.offer(self.name, price) for size in await self._login.sizes()]

    async def create(self, request: CreateRequest) -> list[Node]:
        tags = {**request.tags, HOME_TAG: self._home_id}
        whole = replace(request, tags=tags)
        size = await self._size(whole)
        async with self._locks.hold(request.token):
            found = await finish(lambda: self._submit(whole, size))
        return await self._nodes(await self._wait(found.name))

    async def list(self, selector: Selector) -> list[Node]:
        found: list[Node] = []
        for job in await self._login.all_jobs():
            if job.tags.get(HOME_TAG) == self._home_id:
                found += await self._nodes(job)
        return [node for node in found if agrees(node.tags, selector)]

    async def terminate(self, nodes: Sequence[NodeRef]) -> None:
        wanted: dict[str, set[int]] = {}
        for node in nodes:
            number, _, rank = node.id.partition(".")
            if rank.isdigit():
                wanted.setdefault(number, set()).add(int(rank))
        ours = {j.id: j for j in await self._login.all_jobs()} if wanted else {}
        acts = [
            self._end(ours[number], ranks)
            for number, ranks in wanted.items()
            if number in ours and ours[number].tags.get(HOME_TAG) == self._home_id
        ]
        _, errors = await settle(acts)
        if errors:
            raise errors[0]

    async def runner(self, node: Node) -> Runner:
        return self._login.node_runner(node.ref.id.partition(".")[0], node.address)

    async def close(self) -> None:
        await self._login.close()

    async def describe(self, node: NodeRef) -> NodeState | None:
        """Its state; by accounting where the queue has forgotten the job."""
        number = node.id.partition(".")[0]
        for job in await self._login.all_jobs():
            if job.id == number:
                found = [n for n in await self._nodes(job) if n.ref.id == node.id]
                return found[0].state if found else None
        try:
            told = await self._login.call(["sacct", "-n", "-P", "-X", "-j", number, "-o", "State"])
        except CloudError:
            return None  # no accounting, and the queue would know a job that lives
        words = told.split()
        return STATES.get(words[0], NodeState.FAILED) if words else None

    async def _nodes(self, job: jobs.Job) -> Nodes:
        account = await self._login.account()
        return jobs.nodes(self.name, job, account.base, account.sockets)

    async def _size(self, request: CreateRequest) -> jobs.Size:
        """The size of nodes that the offer speaks of, as the cluster has it now."""
        offer = request.offer
        here = [s for s in await self._login.sizes() if s.partition == offer.region]
        if not here or offer.zone is not None:
            raise InvalidRequest(
                f"slurm: there is no place {offer.infra}", fix="see `sinfo` for the partitions"
            )
        same = [s for s in here if s.facts.size() == offer.instance_type]
        fitting = [s for s in same or here if jobs.fits(request, s)]
        if not fitting:
            raise InvalidRequest(
                f"slurm: no node of {offer.infra} holds what each node needs",
                fix="ask for less per node, or see `sinfo` for larger nodes",
            )
        if sum(s.count for s in here if jobs.fits(request, s)) < request.count:
            raise CapacityError(
                f"slurm: {offer.infra} has no {request.count} nodes of that size", scope="region"
            )
        return fitting[0]

    async def _submit(self, request: CreateRequest, size: jobs.Size) -> jobs.Job:
        """The job of the wish: the living one, or a new one."""
        name = jobs.job_name(self._home_id, request.token)
        found = await self._named(name)
        if found is None or not found.alive:
            account = await self._login.account()
            script = jobs.script(request, account.base, account.sockets)
            await self._login.submit(jobs.options(request, size), script)
            found = await self._named(name)
        if found is None:
            raise TransientError("slurm: the new job is not in the queue")
        return found

    async def _named(self, name: str) -> jobs.Job | None:
        """The newest job of a name; one that lives before all others."""
        found = [job for job in await self._login.all_jobs() if job.name == name]
        found.sort(key=lambda job: (job.alive, int(job.id)))
        return found[-1] if found else None

    async def _wait(self, name: str) -> jobs.Job:
        """Until the agents of the job answer; a job that will not start is taken back."""
        clock = asyncio.get_running_loop()
        end = clock.time() + self._login.settings["patience"]
        turn = 0
        while True:
            job = await self._named(name)
            if job is None or job.ended:
                raise await self._died(job)
            if job.hosts and job.state == "RUNNING":
                break
            error = hopeless(job.reason) if job.state == "PENDING" else None
            if error is None and job.state == "PENDING" and clock.time() > end:
                error = CapacityError(
                    f"slurm: the queue did not get to the job in time: {job.reason}",
                    scope="region",
                    fix="wait longer by `slurm.patience`, or ask for less",
                )
            if error is not None:
                await self._take_back(job)
                raise error
            await asyncio.sleep(PAUSES[min(turn, len(PAUSES) - 1)])
            turn += 1
        return await self._ready(job)

    async def _take_back(self, job: jobs.Job) -> None:
        await finish(lambda: self._end(job, set(range(job.count))))

    async def _ready(self, job: jobs.Job) -> jobs.Job:
        if len(job.ranks()) < job.count:
            return job  # it was ready once: some of its nodes are gone already
        try:
            await self._login.ready(job)
        except CloudError:
            now = await self._named(job.name)
            if now is None or now.ended:
                raise await self._died(now) from None
            raise
        return job

    async def _died(self, job: jobs.Job | None) -> CloudError:
        if job is None:
            return CapacityError("slurm: somebody cancelled the job", scope="region")
        words = f"slurm: job {job.id} has {job.state} before its agents were up"
        if STATES.get(job.state) is not NodeState.FAILED or job.state == "NODE_FAIL":
            return CapacityError(words, scope="region")
        told = await self._login.call(["scontrol", "-o", "show", "job", job.id])
        if f"ExitCode={jobs.NO_PYTHON}:" in told:
            return InvalidRequest(
                "slurm: the nodes have no Python 3.8 or newer", fix="install python3 on the nodes"
            )
        error = hopeless(job.reason)
        return error or CloudError(f"{words}: {job.reason}")

    async def _end(self, job: jobs.Job, ranks: set[int]) -> None:
        left = set(job.ranks()) - ranks
        directories = [job.agent(rank) for rank in ranks]
        if not left:
            await self._login.mark([job.id])
            await self._cancel(job)
        else:
            await self._give_back(job, ranks & set(job.ranks()), left)
        await self._login.forget(directories)

    async def _give_back(self, job: jobs.Job, ranks: set[int], left: set[int]) -> None:
        """End some nodes of a job. The first host stays ours until the job ends: Slurm keeps the
        batch script there."""
        for rank in ranks if job.hosts else ():
            await self._login.end_node(job, rank)
        kept = {job.host(rank) for rank in left} | {*job.hosts[:1]}
        names = ",".join(host for host in job.kept if host in kept)
        if ranks and job.hosts and kept != {*job.kept}:
            try:
                await self._login.call(
                    ["scontrol", "update", f"JobId={job.id}", f"NodeList={names}"]
                )
            except CloudError as error:
                # Nothing runs there any more; Slurm takes the host back with the rest.
                log.warning("job %s keeps its hosts: %s", job.id, error.message)
        await self._login.mark([f"{job.id}.{rank}" for rank in ranks])

    async def _cancel(self, job: jobs.Job) -> None:
        """Agents first end their nodes; then there is nothing left of the job but its record."""
        clock = asyncio.get_running_loop()
        start = clock.time()
        told = False
        turn = 0
        while True:
            now = next((j for j in await self._login.all_jobs() if j.id == job.id), None)
            if now is None or now.ended:
                return
            spent = clock.time() - start
            if spent > END_SECONDS:
                raise TransientError(f"slurm: job {job.id} does not end: {now.state}")
            if now.hosts and not told:
                await self._login.call(["scancel", "--signal=USR1", job.id])
                told = True
            elif not now.hosts or spent > GRACE_SECONDS:
                await self._login.call(["scancel", job.id])
            await asyncio.sleep(PAUSES[min(turn, len(PAUSES) - 1)])
            turn += 1
