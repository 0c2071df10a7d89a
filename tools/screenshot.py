"""Pictures of a STIX run in the Prefect UI, by headless Chromium: ``screenshot.py [RUN]``.

Writes into docs/images/: ``run.png`` (stages with their dependency edges), ``stage.png`` (the steps
of one stage, and its output), ``artifacts.png`` (plan, results, receipt) and ``results.png`` (the
table of results).
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
# Chromium asks hosts of its own at every start unless it is told not to.
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--virtual-time-budget=30000",
)
PAGE_SECONDS = 120


@dataclass(frozen=True)
class Page:
    """One picture to take: the file's name, the path below the UI, and its size in pixels."""

    name: str
    path: str
    width: int = 1600
    height: int = 900


def browser() -> str:
    """The Chromium of this machine; SystemExit where there is none."""
    for name in CHROMIUM:
        if found := shutil.which(name):
            return found
    raise SystemExit("no Chromium here; on Debian: apt-get install chromium")


def ask(ui: str, path: str, body: Any = None) -> Any:
    """A call of the Prefect API beside the UI; POST where there is a body."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        f"{ui}/api/{path}", data=data, headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def graph(ui: str, flow_run: str) -> list[tuple[str, list[str]]]:
    """Each node of a flow run's graph with the labels of the nodes it depends on."""
    nodes = [node for _, node in ask(ui, f"flow_runs/{flow_run}/graph-v2")["nodes"]]
    labels = {node["id"]: node["label"] for node in nodes}
    return [
        (node["label"], sorted({labels[parent["id"]] for parent in node["parents"]}))
        for node in nodes
    ]


def stage_flow_run(ui: str, flow_run: str) -> str | None:
    """The last subflow run of a flow run, which is its last stage."""
    wanted = {"flow_runs": {"parent_flow_run_id": {"any_": [flow_run]}}, "sort": "START_TIME_DESC"}
    found = ask(ui, "flow_runs/filter", wanted)
    return str(found[0]["id"]) if found else None


def artifact(ui: str, flow_run: str, kind: str) -> str | None:
    """The id of the run's artifact ``plan``, ``results`` or ``receipt``."""
    wanted = {"artifacts": {"flow_run_id": {"any_": [flow_run]}}}
    found = ask(ui, "artifacts/filter", wanted)
    return next((str(a["id"]) for a in found if str(a["key"]).startswith(f"stix-{kind}-")), None)


def pages(ui: str, flow_run: str) -> list[Page]:
    """The pictures of a run: those of a stage and of results where there are any."""
    run = f"/runs/flow-run/{flow_run}"
    found = [Page("run.png", run), Page("artifacts.png", f"/v2{run}?tab=Artifacts")]
    if stage := stage_flow_run(ui, flow_run):
        found.append(Page("stage.png", f"/runs/flow-run/{stage}", height=1500))
    if results := artifact(ui, flow_run, "results"):
        found.append(Page("results.png", f"/v2/artifacts/artifact/{results}"))
    return found


def take(ui: str, page: Page, folder: Path) -> Path:
    """Take one picture; subprocess.CalledProcessError when Chromium fails."""
    target = folder / page.name
    with tempfile.TemporaryDirectory() as profile:
        command = [browser(), *FLAGS, f"--user-data-dir={profile}"]
        command += [f"--window-size={page.width},{page.height}", f"--screenshot={target}"]
        subprocess.run(
            [*command, ui + page.path], check=True, capture_output=True, timeout=PAGE_SECONDS
        )
    return target


def stix(*args: str) -> Any:
    """What a ``stix`` command answers as JSON; CalledProcessError when it fails."""
    program = Path(sys.executable).with_name("stix")
    done = subprocess.run(
        [str(program), *args, "--output", "json"], check=True, stdout=subprocess.PIPE
    )
    return json.loads(done.stdout)


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", nargs="?", default="latest", help="run id; default: the latest")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images")
    args = parser.parse_args(argv)
    ui = str(stix("status")["urls"]["prefect_ui"]).rstrip("/")
    flow_run = str(stix("runs", "show", args.run)["flow_run_id"])
    args.out.mkdir(parents=True, exist_ok=True)
    for label, parents in graph(ui, flow_run):
        print(f"{label} <- {', '.join(parents) or '-'}")
    for page in pages(ui, flow_run):
        print(take(ui, page, args.out))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
