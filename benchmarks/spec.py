"""Reading SkyPilot's files: load, validate and canonical form, beside the real SkyPilot 0.14.1.

    python benchmarks/spec.py [--documents 1000] [--rounds 5] [--output json]

Both read the same files, in turns, in one run; a file counts only if both give the same form. The
files are generated tasks of the usual size and the documents of STIX_SKY_CORPUS where that is set
(with ``--short`` also the short forms of tests/spec/sky/data, two lines each). Both look for
duplicate keys, check every field, and write the canonical form. Measured is CPU time of the
process, without its start; the least of the rounds counts. Goal: at least 10 times less.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from skypilot.environment import Peer

from stix.spec.sky import canonical

ROOT = Path(__file__).resolve().parent.parent
FORMS = ROOT / "tests" / "spec" / "sky" / "data" / "forms.jsonl"
GOAL = 10.0
TASK = """\
name: train-{i}
resources:
  accelerators: {gpu}
  cpus: {cpus}
  infra: {infra}
  use_spot: {spot}
  disk_size: {disk}
  ports: [8080, 6006]
num_nodes: {nodes}
envs:
  MODEL: model-{i}
  RATE: "0.0{i}"
  TRACKER: ""
secrets:
  TOKEN: abc{i}
file_mounts:
  /remote/data: s3://bucket-{i}/data
  /remote/out: {{name: out-{i}, store: s3, mode: MOUNT}}
workdir: .
setup: |
  set -e
  pip install torch transformers
  echo setup {i}
run: |
  echo "rank $SKYPILOT_NODE_RANK of $SKYPILOT_NUM_NODES"
  torchrun --nnodes $SKYPILOT_NUM_NODES train.py --model $MODEL --rate $RATE
"""


def generated(count: int) -> list[str]:
    """Tasks as people write them; the same ones each time."""
    pick = random.Random(7).choice
    return [
        TASK.format(
            i=i,
            gpu=pick(["A100:8", "H100:8", "L4", "T4:4", "V100"]),
            cpus=pick(["8+", "4+", "16"]),
            infra=pick(["aws", "gcp/us-central1", "azure", "aws/us-east-1", "lambda"]),
            spot=pick(["true", "false"]),
            disk=pick([100, 256, 512]),
            nodes=pick([1, 2, 4]),
        )
        for i in range(count)
    ]


def collected(*, short: bool) -> list[str]:
    """The corpus where it is at hand, and the short forms where they are asked for."""
    files = [FORMS] if short else []
    if corpus := os.environ.get("STIX_SKY_CORPUS"):
        files.append(Path(corpus) / "documents.jsonl")
    return [json.loads(line)["yaml"] for f in files for line in f.read_text().splitlines()]


def comparable(task: dict[str, Any]) -> str:
    """Text to compare; SkyPilot keeps ``any_of`` in the order of a set."""
    choices = task.get("resources", {}).get("any_of")
    if choices:
        choices.sort(key=lambda entry: json.dumps(entry, sort_keys=True))
    return json.dumps(task, sort_keys=True)


def both_equal(peer: Peer, text: str) -> bool:
    """Whether both accept the text and agree on its form."""
    theirs = peer.canonical(text)
    if "error" in theirs:
        return False
    return [comparable(t) for t in theirs["tasks"]] == [comparable(t) for t in canonical(text)]


def cpu_seconds(files: list[Path]) -> float:
    """Ours, over all files once."""
    began = time.process_time()
    for file in files:
        canonical(file.read_text(encoding="utf-8"))
    return time.process_time() - began


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--documents", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--short", action="store_true", help="the short forms as well")
    parser.add_argument("--output", choices=["table", "json"], default="table")
    chosen = parser.parse_args()
    with Peer() as peer, tempfile.TemporaryDirectory() as folder:
        candidates = collected(short=chosen.short)
        candidates += generated(chosen.documents)
        texts = [text for text in candidates if both_equal(peer, text)][: chosen.documents]
        files = [Path(folder) / f"{number}.yaml" for number in range(len(texts))]
        for file, text in zip(files, texts, strict=True):
            file.write_text(text, encoding="utf-8")
        ours, theirs = [], []
        for _ in range(chosen.rounds):
            ours.append(cpu_seconds(files) / len(files))
            theirs.append(peer.cpu_seconds(files) / len(files))
    result = {
        "documents": len(texts),
        "stix_ms": round(min(ours) * 1e3, 4),
        "stix_median_ms": round(statistics.median(ours) * 1e3, 4),
        "skypilot_ms": round(min(theirs) * 1e3, 4),
        "skypilot_median_ms": round(statistics.median(theirs) * 1e3, 4),
        "ratio": round(min(theirs) / min(ours), 1),
        "goal": GOAL,
    }
    if chosen.output == "json":
        print(json.dumps(result))
    else:
        print(f"{result['documents']} documents, ms CPU each:")
        for word, name in (("STIX", "stix"), ("SkyPilot", "skypilot")):
            least, middle = result[f"{name}_ms"], result[f"{name}_median_ms"]
            print(f"  {word:9} {least:8.3f}   median {middle:.3f}")
        print(f"  SkyPilot needs {result['ratio']} times as much (goal: {GOAL:g})")
    return 0 if result["ratio"] >= GOAL else 1


if __name__ == "__main__":
    raise SystemExit(main())
