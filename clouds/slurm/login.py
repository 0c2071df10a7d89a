"""The way to a cluster: commands on its login node, and steps on the nodes of a job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from stix.clouds.agents import cloud_error
from stix.clouds.config import CloudConfig
from stix.clouds.errors import AuthError, TransientError
from stix.clouds.settings import Setting, read_settings
from stix.clouds.slurm import jobs
from stix.clouds.slurm.refusals import refused
from stix.errors import StixError
from stix.remote.base import Runner
from stix.remote.exec_runner import ExecRunner, Process
from stix.remote.local import LocalRunner
from stix.remote.processes import LocalProcess, SshProcesses
from stix.remote.ssh_target import SshTarget

COMMAND_SECONDS = 60.0
READY_SECONDS = 90
SETTINGS = (
    Setting("login", default="", doc="user@host[:port] or a name of ~/.ssh/config; empty: here"),
    Setting("identity_file", default="", doc="private key for the login"),
    Setting("partitions", "texts", default=(), doc="the ones to offer; all where empty"),
    Setting("account", default="", doc="as sbatch takes it"),
    Setting("qos", default="", doc="as sbatch takes it"),
    Setting("time", default="", doc="longest life of a job, as sbatch takes it"),
    Setting("options", "map", default={}, doc="more options of sbatch, without the dashes"),
    Setting("patience", "number", default=300.0, least=0, doc="seconds to wait in the queue"),
    Setting("directory", default="~/.stix", doc="ours on every node; best in a shared home"),
    Setting("price", "number", default=0.0, least=0.0, doc="USD per hour and node"),
)

# $1 base. Jobs, their steps, and what was terminated.
_LOOK = f"""
SLURM_TIME_FORMAT=%s squeue -h -t all -u "$(id -un)" -o '{jobs.SQUEUE}' || exit 1
echo; squeue -h -s -u "$(id -un)" -o '%i|%j|%N' || exit 1
echo; ls "$1/slurm/over" 2>/dev/null; exit 0
"""
# $1 base, then marks: what was terminated is not listed again. Slurm forgets jobs in minutes.
_MARK = """
mkdir -p "$1/slurm/over" && cd "$1/slurm/over" || exit 1; shift
find . -type f -mtime +7 -exec rm -f {} +; for m in "$@"; do : > "$m" || exit 1; done
"""
_FORGET = 'cd "$1/nodes" 2>/dev/null || exit 0; shift; rm -rf -- "$@"'
_HOME = """
case $1 in "~") b=$HOME;; "~/"*) b=$HOME/${1#??};; *) b=$1;; esac
printf '%s\\n%s\\n%s\\n' "$b" "$(id -u)" "$(id -un)"
scontrol show config | sed -n 's/^ClusterName *= *//p'; squeue --version
"""
# $1 base, the rest: names of the nodes in the order of the step. Waits until one is ready.
_READY = f"""
s=$1; shift "$((SLURM_NODEID + 1))"; i=0
while [ ! -s "$s/nodes/$1/guard" ]; do
  i=$((i + 1)); [ $i -gt {READY_SECONDS * 10} ] && exit 7; sleep 0.1
done
"""
# $1 directory of the node. Its main process kills what runs there, and removes it.
_END = """
[ -d "$1" ] || exit 0; kill -USR1 "$(cat "$1/guard")" || exit 1
i=0; while [ -d "$1" ]; do i=$((i + 1)); [ $i -gt 200 ] && exit 1; sleep 0.1; done
"""


@dataclass(frozen=True)
class Account:
    """Who we are on the cluster. ``base`` and ``sockets`` are folders on every node."""

    base: str
    sockets: str
    user: str
    cluster: str
    version: str


class Login:
    """Commands of Slurm by a runner. Errors are those of a cloud.

    Attributes:
        settings: See ``SETTINGS``.
        place: ``user@host``, or empty for this machine.
    """

    def __init__(self, config: CloudConfig) -> None:
        self.settings = read_settings("slurm", config.settings, SETTINGS)
        self.place: str = self.settings["login"]
        self._known_hosts = config.home / "known_hosts"
        self._runner: Runner | None = None
        self._starts: SshProcesses | None = None
        self._account: Account | None = None

    def runner(self) -> Runner:
        """The login node's."""
        if self._runner is None and not self.place:
            self._runner = LocalRunner()
        elif self._runner is None:
            # asyncssh takes 0.2 s to load: only who logs in elsewhere pays for it.
            from stix.remote.ssh import SshRunner

            self._runner = SshRunner(self._target())
        return self._runner

    async def close(self) -> None:
        runner, self._runner = self._runner, None
        starts, self._starts = self._starts, None
        if starts is not None:
            await starts.close()
        if runner is not None:
            await runner.close()

    async def call(
        self, argv: Sequence[str], *, input: bytes = b"", seconds: float = COMMAND_SECONDS
    ) -> str:
        """What a command prints on the login node.

        Raises:
            CloudError: it failed; typed by its words.
        """
        try:
            done = await self.runner().run(argv, input=input, timeout=seconds)
        except TimeoutError as error:
            raise TransientError(f"slurm: {argv[0]} did not end in time") from error
        except StixError as error:
            raise cloud_error(error, "cloud", f"slurm/{self.place or 'here'}") from error
        if done.exit_code == 127:
            raise AuthError(
                f"slurm: there is no Slurm on {self.place or 'this machine'}",
                fix="set `slurm.login` to the cluster's login node",
            )
        if done.exit_code:
            raise refused(_last_words(done.stderr) or f"{argv[0]} ended with {done.exit_code}")
        return done.stdout.decode(errors="replace")

    async def account(self) -> Account:
        if self._account is None:
            argv = ["sh", "-c", f"command -v squeue >/dev/null || exit 127{_HOME}", "sh"]
            told = (await self.call([*argv, self.settings["directory"]])).splitlines()
            base, uid, user, cluster, version = (*told, "", "", "", "", "")[:5]
            self._account = Account(base, f"/tmp/stix-{uid}", user, cluster, version)
        return self._account

    async def all_jobs(self) -> list[jobs.Job]:
        """All jobs of STIX that Slurm remembers, of every home."""
        account = await self.account()
        told = await self.call(["sh", "-c", _LOOK, "sh", account.base])
        lines, steps, over = (part.splitlines() for part in _three(told))
        hosts = {
            word[0].partition(".")[0]: word[2]
            for word in (line.split("|") for line in steps)
            if len(word) == 3 and word[1] == jobs.AGENTS
        }
        found = [jobs.job(line, hosts, over) for line in lines]
        return [each for each in found if each is not None]

    async def sizes(self) -> list[jobs.Size]:
        told = await self.call(["sinfo", "-h", "-e", "-o", jobs.SINFO])
        wanted = self.settings["partitions"]
        return [s for s in jobs.sizes(told) if not wanted or s.partition in wanted]

    async def submit(self, options: Sequence[str], script: str) -> None:
        own = [f"--{n}={self.settings[n]}" for n in ("account", "qos", "time") if self.settings[n]]
        own += [f"--{n}={value}" if value else f"--{n}" for n, value in self._options().items()]
        argv = ["sbatch", "--parsable", "--chdir=/", *own, *options]
        await self.call(argv, input=script.encode())

    def _options(self) -> Mapping[str, str]:
        found: Mapping[str, str] = self.settings["options"]
        return found

    async def mark(self, marks: Sequence[str]) -> None:
        account = await self.account()
        await self.call(["sh", "-c", _MARK, "sh", account.base, *marks])

    async def forget(self, directories: Sequence[str]) -> None:
        """Remove directories of nodes in a home that is shared with the login node."""
        account = await self.account()
        await self.call(["sh", "-c", _FORGET, "sh", account.base, *directories])

    async def ready(self, job: jobs.Job) -> None:
        """Wait until all agents of a job answer."""
        account = await self.account()
        names = [job.agent(job.count - 1 - i) for i in range(job.count)]
        step = ["srun", "--overlap", "--quiet", "--mpi=none", f"--jobid={job.id}"]
        size = [f"--nodes={job.count}", f"--ntasks={job.count}", "--ntasks-per-node=1"]
        argv = [*step, *size, "--job-name=stix-ready", "sh", "-c", _READY, "sh"]
        await self.call([*argv, account.base, *names], seconds=READY_SECONDS + 10.0)

    async def end_node(self, job: jobs.Job, rank: int) -> None:
        """End one node of a job that goes on."""
        account = await self.account()
        directory = f"{account.base}/nodes/{job.agent(rank)}"
        await self.call([*step_on(job.id, job.host(rank)), "sh", "-c", _END, "sh", directory])

    def node_runner(self, job: str, host: str) -> Runner:
        """The runner of a node, by steps of its job."""
        prefix = step_on(job, host)

        async def start(argv: Sequence[str], env: Mapping[str, str]) -> Process:
            pairs = [f"{name}={value}" for name, value in env.items()]
            whole = [*prefix, *(["env", *pairs] if pairs else []), *argv]
            if not self.place:
                return await LocalProcess.start(whole, {})
            if self._starts is None:
                self._starts = SshProcesses(self._target())
            return await self._starts.start(whole, {})

        return ExecRunner(start)

    def _target(self) -> SshTarget:
        user, _, place = self.place.rpartition("@")
        host, _, port = place.partition(":")
        target = SshTarget(host, self._known_hosts, int(port) if port else None, user or None)
        key: Any = self.settings["identity_file"]
        return replace(target, identity_file=Path(key).expanduser()) if key else target


def step_on(job: str, host: str) -> list[str]:
    """One process on one host of a job, beside all others there."""
    where = [f"--jobid={job}", "--nodes=1", "--ntasks=1", f"--nodelist={host}"]
    return ["srun", "--overlap", "--quiet", "--mpi=none", "--job-name=stix-step", *where]


def _three(text: str) -> tuple[str, str, str]:
    """Parts of ``_LOOK``'s output, between empty lines."""
    parts: list[list[str]] = [[], [], []]
    at = 0
    for line in text.splitlines():
        if not line and at < 2:
            at += 1
        else:
            parts[at].append(line)
    first, second, third = ("\n".join(part) for part in parts)
    return first, second, third


def _last_words(data: bytes) -> str:
    lines = [line for line in data.decode(errors="replace").splitlines() if line.strip()]
    words = [line.partition(": error: ")[2] or line for line in lines[-3:]]
    return "; ".join(words)
