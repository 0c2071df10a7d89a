"""Damaged pipeline files for as long as wanted: only problems may come out, soon.

    python benchmarks/fuzz.py [--cpu-minutes 1] [--seed 1] [--jobs 2] [--engine atheris|mutants]

Each document is read by ``load_file`` and by ``stix.spec.sky.canonical`` (two executions). Anything
but `SpecErrors`, a problem without message or place, more than a CPU second for one document or a
gigabyte of memory is a crash: its input is kept in ``--keep``, and the exit code is 1.

Where ``atheris`` can be imported it chooses the inputs by the code that they reach; else those
are kept as new starting points whose messages were not seen before. The CPU minutes are divided
among the jobs.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import multiprocessing
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
MOST_SECONDS, MOST_MIB = 1.0, 1024
HANG = 20
"""CPU seconds after which a document counts as hanging."""


@dataclass
class Record:
    """What one job has found.

    Attributes:
        documents: How many it read, each in two ways.
        cpu_s: CPU time.
        said: Distinct messages.
        slowest_s: CPU time of the slowest document.
        slowest: The document.
        peak_mib: Highest resident memory.
        grown_mib: By how much it rose after the first thousand documents.
        crashes: What went wrong to the file that shows it.
    """

    documents: int = 0
    cpu_s: float = 0.0
    said: list[str] = field(default_factory=list)
    slowest_s: float = 0.0
    slowest: str = ""
    peak_mib: int = 0
    grown_mib: int = 0
    crashes: dict[str, str] = field(default_factory=dict)


class Hang(BaseException):
    """A document took too long; no handler of the code under test catches it."""


class Job:
    """One process: judges documents, and writes its record now and then."""

    def __init__(self, number: int, options: argparse.Namespace, folder: Path) -> None:
        from tests.spec.fuzzing import Mutator, judge, seeds

        self.judge = judge
        self.seeds = seeds()
        self.mutator = Mutator(options.seed * 1000 + number, self.seeds)
        self.file = folder / f"{number}.yaml"
        self.out = folder / f"{number}.json"
        self.keep: Path = options.keep
        self.limit = options.cpu_minutes * 60 / options.jobs
        self.record = Record()
        self.seen: set[str] = set()
        self.held = 0
        self.began = self.written = time.process_time()
        signal.signal(signal.SIGPROF, self._hangs)

    def one(self, data: bytes) -> None:
        """Judge a document; remember it where it says something new."""
        signal.setitimer(signal.ITIMER_PROF, HANG)
        try:
            verdict = self.judge(data, self.file)
        except (Exception, Hang) as crash:  # noqa: BLE001
            self._crashed(_signature(crash), data)
        else:
            self._judged(data, verdict)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        self.record.documents += 1
        if self.record.documents <= 1000:
            self.held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        now = time.process_time()
        if now - self.written > 1 or self.spent():
            self.write()

    def spent(self) -> bool:
        """Whether the time is over."""
        return time.process_time() - self.began >= self.limit

    def write(self) -> None:
        """Write the record."""
        record = self.record
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        if peak > MOST_MIB and record.peak_mib <= MOST_MIB:
            self._crashed(f"more than {MOST_MIB} MiB", self.file.read_bytes())
        record.peak_mib, record.grown_mib = peak, peak - self.held
        record.said = sorted(self.seen)
        self.written = time.process_time()
        record.cpu_s = self.written - self.began
        self.out.write_text(json.dumps(asdict(record)))

    def _judged(self, data: bytes, verdict: Any) -> None:
        if verdict.seconds > self.record.slowest_s:
            self.record.slowest_s = verdict.seconds
            self.record.slowest = data[:200].decode("utf-8", "replace")
        if verdict.seconds > MOST_SECONDS:
            self._crashed(f"slower than {MOST_SECONDS} s", data)
        if not verdict.signature <= self.seen:
            self.seen |= verdict.signature
            self.mutator.corpus.append(data)

    def _crashed(self, what: str, data: bytes) -> None:
        if what not in self.record.crashes:
            self.keep.mkdir(parents=True, exist_ok=True)
            path = self.keep / f"{hashlib.sha256(data).hexdigest()[:12]}.yaml"
            path.write_bytes(data)
            self.record.crashes[what] = str(path)
            self.write()

    @staticmethod
    def _hangs(_number: int, _frame: Any) -> None:
        raise Hang(f"more than {HANG} s")


def _signature(crash: BaseException) -> str:
    frames = [f for f in traceback.extract_tb(crash.__traceback__) if "stix" in f.filename]
    last = frames[-1] if frames else None
    where = f"{Path(last.filename).name}:{last.lineno}" if last else "?"
    return f"{type(crash).__name__} at {where}: {str(crash)[:120]}"


def by_mutants(number: int, options: argparse.Namespace, folder: Path) -> None:
    """A job that keeps what says something new."""
    job = Job(number, options, folder)
    while not job.spent():
        job.one(job.mutator.mutant())
    job.write()


def by_coverage(number: int, options: argparse.Namespace, folder: Path) -> None:
    """A job that keeps what reaches new code."""
    # The fuzzer is talkative, and writes to the descriptor itself.
    with (folder / f"{number}.log").open("wb") as log:
        os.dup2(log.fileno(), 2)
    import atheris

    # What was loaded before is not watched.
    with atheris.instrument_imports(include=["stix.spec"]):
        job = Job(number, options, folder)
    corpus = folder / f"corpus-{number}"
    corpus.mkdir()
    for seed in job.seeds:
        (corpus / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        job.mutator.random.seed(seed)
        if seed % 4 == 0:
            return bytes(atheris.Mutate(data, most))
        return job.mutator.mutate(data, 1 + seed % 3)[:most]

    def one(data: bytes) -> None:
        job.one(data)
        if job.spent():
            os._exit(0)  # The fuzzer itself never returns.

    quiet = ["-verbosity=0", "-print_final_stats=0", "-max_len=65536", "-rss_limit_mb=0"]
    named = [f"-seed={options.seed + number}", str(corpus)]
    argv = [sys.argv[0], *named, *quiet, "-timeout=9999", f"-artifact_prefix={folder}/"]
    atheris.Setup(argv, one, custom_mutator=mutate)
    atheris.Fuzz()


def run(options: argparse.Namespace) -> list[Record]:
    """All jobs, each in a process of its own."""
    target = by_coverage if options.engine == "atheris" else by_mutants
    spawn = multiprocessing.get_context("spawn")
    shared = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=shared) as name:
        folder = Path(name)
        jobs = [
            spawn.Process(target=target, args=(i, options, folder)) for i in range(options.jobs)
        ]
        for job in jobs:
            job.start()
        for job in jobs:
            job.join()
        records = []
        for number, job in enumerate(jobs):
            out = folder / f"{number}.json"
            record = Record(**json.loads(out.read_text())) if out.exists() else Record()
            if job.exitcode:
                options.keep.mkdir(parents=True, exist_ok=True)
                last, kept = folder / f"{number}.yaml", options.keep / f"killed-{number}.yaml"
                kept.write_bytes(last.read_bytes() if last.exists() else b"")
                log = folder / f"{number}.log"
                print(log.read_text()[-2000:] if log.exists() else "", file=sys.stderr)
                record.crashes[f"the process ended with {job.exitcode}"] = str(kept)
            records.append(record)
    return records


def report(options: argparse.Namespace, records: list[Record], wall: float) -> dict[str, Any]:
    """All jobs together."""
    slow = max(records, key=lambda r: r.slowest_s)
    documents, cpu = sum(r.documents for r in records), sum(r.cpu_s for r in records)
    return {
        "engine": options.engine,
        "seed": options.seed,
        "jobs": options.jobs,
        "cpu_minutes": round(cpu / 60, 2),
        "wall_minutes": round(wall / 60, 2),
        "documents": documents,
        "executions": 2 * documents,
        "executions_per_cpu_s": round(2 * documents / cpu, 1) if cpu else 0.0,
        "distinct_messages": len({text for r in records for text in r.said}),
        "slowest_s": round(slow.slowest_s, 3),
        "slowest": slow.slowest,
        "peak_mib": max(r.peak_mib for r in records),
        "grown_mib": max(r.grown_mib for r in records),
        "crashes": {what: path for r in records for what, path in r.crashes.items()},
    }


def main() -> int:
    """The command."""
    has_atheris = importlib.util.find_spec("atheris") is not None
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cpu-minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--keep", type=Path, default=Path("fuzz-crashes"))
    parser.add_argument("--messages", action="store_true", help="print every distinct message")
    parser.add_argument("--engine", choices=["atheris", "mutants"])
    options = parser.parse_args()
    options.engine = options.engine or ("atheris" if has_atheris else "mutants")
    start = time.monotonic()
    records = run(options)
    found = report(options, records, time.monotonic() - start)
    for name, value in found.items():
        print(f"{name:22} {value!r}" if name == "slowest" else f"{name:22} {value}")
    if options.messages:
        print("\n".join(sorted({text for r in records for text in r.said})))
    return 1 if found["crashes"] or not found["documents"] else 0


if __name__ == "__main__":
    sys.exit(main())
