"""A real Slurm for tests: munged, slurmctld and three node daemons on this machine.

Nothing of the machine's own configuration is used or changed. Where Slurm cannot run, its tests
are skipped, and fail in CI.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

NODES = 3
CPUS = 4
MEMORY_MB = 8192
START_SECONDS = 30.0
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "scancel", "srun")
CONF = """
ClusterName=stix
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
CredType=cred/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/ctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/ctld.log
SlurmdLogFile={folder}/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=sched_min_interval=0,batch_sched_delay=0,bf_interval=1
SlurmdParameters=config_overrides
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
PreemptType=preempt/partition_prio
PreemptMode=CANCEL
KillWait=5
MpiDefault=none
ReturnToService=2
SwitchType=switch/none
GresTypes=gpu
NodeName=n[1-{nodes}] NodeHostname={host} NodeAddr=127.0.0.1 Port=[{ports[1]}-{ports[2]}] \
CPUs={cpus} RealMemory={memory} Gres=gpu:a100:2
PartitionName=main Nodes=n[1-{nodes}] Default=YES MaxTime=INFINITE PriorityTier=1
PartitionName=urgent Nodes=n[1-{nodes}] MaxTime=10 PriorityTier=9 PreemptMode=OFF
"""
GRES = "NodeName=n[1-{nodes}] Name=gpu Type=a100 File={folder}/gpu[0-1]\n"


SSHD = """
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/id.pub
PidFile none
StrictModes no
UsePAM no
SetEnv SLURM_CONF={folder}/slurm.conf
"""


class SlurmUnavailable(Exception):
    """This machine cannot run Slurm."""


@dataclass
class SlurmBed:
    """A cluster that tests may use alone. ``conf`` belongs into ``SLURM_CONF``."""

    folder: Path
    daemons: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def conf(self) -> str:
        return str(self.folder / "slurm.conf")

    def run(self, *argv: str) -> str:
        """What one of Slurm's commands prints."""
        env = {**os.environ, "SLURM_CONF": self.conf}
        done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=30)
        if done.returncode:
            raise SlurmUnavailable(f"{argv[0]}: {done.stderr.strip()}")
        return done.stdout

    def start(self, *argv: str) -> None:
        path = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))
        env = {**os.environ, "SLURM_CONF": self.conf, "PATH": path}
        with (self.folder / "daemons.log").open("ab") as log:
            self.daemons.append(
                subprocess.Popen(
                    ["setpriv", "--pdeathsig", "TERM", *argv],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env,
                )
            )  # fmt: skip

    def sshd(self) -> tuple[str, Path]:
        """A login node: ``user@host:port`` of an SSH server on this machine, and the key."""
        for name in ("host_key", "id"):
            argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.folder / name)]
            subprocess.run(argv, check=True, capture_output=True)
        port = _ports(2)[0]
        (self.folder / "sshd.conf").write_text(SSHD.format(port=port, folder=self.folder))
        Path("/run/sshd").mkdir(exist_ok=True)
        self.start(_which("sshd"), "-D", "-e", "-f", str(self.folder / "sshd.conf"))
        _until(lambda: _listens(port), "sshd does not start")
        return f"root@127.0.0.1:{port}", self.folder / "id"

    def up(self) -> None:
        """Start everything; ready when all nodes are idle."""
        folder = self.folder
        for name in ("state", "spool"):
            (folder / name).mkdir()
        for name in ("gpu0", "gpu1"):
            (folder / name).touch()
        (folder / "munge.key").write_bytes(secrets.token_bytes(1024))
        (folder / "munge.key").chmod(0o400)
        values = {
            "folder": folder, "host": socket.gethostname(), "ports": _ports(NODES + 1),
            "nodes": NODES, "cpus": CPUS, "memory": MEMORY_MB,
        }  # fmt: skip
        Path(self.conf).write_text(CONF.format(**values))
        (folder / "gres.conf").write_text(GRES.format(**values))
        self.start(
            "munged", "--foreground", "--force", f"--key-file={folder}/munge.key",
            f"--socket={folder}/munge.sock", f"--pid-file={folder}/munged.pid",
            f"--log-file={folder}/munged.log", f"--seed-file={folder}/munge.seed",
        )  # fmt: skip
        _until(lambda: (folder / "munge.sock").exists(), "munged does not start")
        self.start("slurmctld", "-D", "-c")
        for number in range(1, NODES + 1):
            self.start("slurmd", "-D", "-N", f"n{number}")
        self.all_idle()

    def all_idle(self) -> None:
        """Wait until all nodes are up and free."""
        _until(lambda: self._idle() == NODES, f"see {self.folder}: nodes do not come up")

    def revive(self, node: str) -> None:
        """Have a node back that was set DOWN: it may come by itself, or must be told."""

        def back() -> bool:
            with suppress(SlurmUnavailable):  # said of a node that is back
                self.run("scontrol", "update", f"NodeName={node}", "State=RESUME")
            return self._idle() == NODES

        _until(back, f"node {node} does not come back")

    def _idle(self) -> int:
        try:
            return self.run("sinfo", "-h", "-N", "-p", "main", "-t", "idle", "-o", "%N").count("n")
        except SlurmUnavailable:
            return 0

    def down(self) -> None:
        """End all jobs, then the daemons, and remove everything."""
        for argv in (["scancel", "-u", "root"], ["scancel", "-s", "KILL", "-u", "root"]):
            try:
                self.run(*argv)
                _until(lambda: not self.run("squeue", "-h", "-o", "%i").strip(), "jobs stay", 10)
            except SlurmUnavailable:
                continue
            break
        for daemon in reversed(self.daemons):
            daemon.terminate()
        for daemon in self.daemons:
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def _until(holds: object, words: str, seconds: float = START_SECONDS) -> None:
    assert callable(holds)
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise SlurmUnavailable(words)
        time.sleep(0.05)


def _which(name: str) -> str:
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin:/sbin"))
    return shutil.which(name, path=path) or ""


def _listens(port: int) -> bool:
    with closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _ports(count: int) -> tuple[int, int, int]:
    """A free port, and the first and last of ``count - 1`` free ones side by side."""
    for first in range(27800, 32000, count):
        try:
            for port in range(first, first + count):
                with closing(socket.socket()) as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first, first + 1, first + count - 1
    raise SlurmUnavailable("no ports are free")


@pytest.fixture(scope="session")
def slurm() -> Iterator[SlurmBed]:
    """A Slurm of its own; gone at the end."""
    missing = [name for name in (*PROGRAMS, "setpriv", "sshd") if not _which(name)]
    if missing or os.geteuid() != 0:
        pytest.skip(f"need root and the programs {', '.join(missing) or 'here'}")
    bed = SlurmBed(Path(tempfile.mkdtemp(prefix="stix-slurm-")))
    try:
        bed.up()
        yield bed
    except SlurmUnavailable as error:
        pytest.skip(f"Slurm does not work here: {error}")
    finally:
        bed.down()
