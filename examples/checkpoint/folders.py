"""A training that keeps its state as PyTorch programs do: a folder of files for each step.

    runs/step-000040/{model,optimizer,dice}.json
    runs/latest -> step-000040

It fits a line to points by gradient descent with momentum; standard library only.
"""

import json
import os
import random
import shutil
import time
from pathlib import Path

STEPS = int(os.environ.get("STEPS", "200"))
PAUSE_S = float(os.environ.get("PAUSE_S", "0"))
SAVE_EVERY = 10
KEEP = 2
# A program that is to run without STIX too has a default.
RUNS = Path(os.environ.get("STIX_CHECKPOINT_DIR", "runs"))


def load(dice):
    """Model, optimizer and number of the latest whole step; the dice are set as they were."""
    latest = RUNS / "latest"
    if not latest.exists():
        return {"slope": 0.0, "offset": 0.0}, {"slope": 0.0, "offset": 0.0}, 0
    version, numbers, gauss = json.loads((latest / "dice.json").read_text())
    dice.setstate((version, tuple(numbers), gauss))
    model = json.loads((latest / "model.json").read_text())
    saved = json.loads((latest / "optimizer.json").read_text())
    return model, saved["speed"], saved["step"]


def save(model, speed, step, dice):
    """All files of a step, then the link that says so, then away with the old ones."""
    name = f"step-{step:06d}"
    shutil.rmtree(RUNS / name, ignore_errors=True)
    (RUNS / name).mkdir(parents=True)
    (RUNS / name / "model.json").write_text(json.dumps(model))
    (RUNS / name / "optimizer.json").write_text(json.dumps({"speed": speed, "step": step}))
    (RUNS / name / "dice.json").write_text(json.dumps(dice.getstate()))
    (RUNS / "latest.new").unlink(missing_ok=True)
    (RUNS / "latest.new").symlink_to(name)
    (RUNS / "latest.new").replace(RUNS / "latest")
    for old in sorted(RUNS.glob("step-*"))[:-KEEP]:
        shutil.rmtree(old)


def main():
    dice = random.Random(7)
    model, speed, begun = load(dice)
    print(f"begin after step {begun}", flush=True)
    for step in range(begun + 1, STEPS + 1):
        x = dice.uniform(-1, 1)
        wrong = model["slope"] * x + model["offset"] - (3 * x + 1 + dice.gauss(0, 0.01))
        for name, slope in (("slope", wrong * x), ("offset", wrong)):
            speed[name] = 0.5 * speed[name] - 0.2 * slope
            model[name] += speed[name]
        time.sleep(PAUSE_S)
        if step % SAVE_EVERY == 0:
            save(model, speed, step, dice)
            print(f"step {step}", flush=True)
    Path("final.json").write_text(json.dumps(model))
    if "STIX_RESULT" in os.environ:
        Path(os.environ["STIX_RESULT"]).write_text(json.dumps(model))


if __name__ == "__main__":
    main()
