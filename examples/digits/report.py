"""Draw the best classifier's confusion matrix, and hand the table of scores on."""

from __future__ import annotations

import json
import os
from pathlib import Path

import joblib
import numpy as np
from matplotlib.figure import Figure
from sklearn.metrics import ConfusionMatrixDisplay


def main() -> None:
    data = Path(os.environ.get("STIX_INPUT_DATA", "inputs/data"))
    best = Path(os.environ.get("STIX_INPUT_BEST", "inputs/best"))
    out = Path(os.environ.get("STIX_OUTPUT_REPORT", "report"))
    out.mkdir(parents=True, exist_ok=True)
    test = np.load(data / "test.npz")
    guess = joblib.load(best / "model.joblib").predict(test["x"])
    scores = json.loads((best / "scores.json").read_text())
    figure = Figure(figsize=(6, 6), dpi=120)  # no pyplot: no screen is asked for
    axes = figure.subplots()
    ConfusionMatrixDisplay.from_predictions(test["y"], guess, ax=axes, cmap="Blues", colorbar=False)
    axes.set_title(f"{scores[0]['model']}, accuracy {scores[0]['accuracy']:.4f}")
    figure.tight_layout()
    # Without the version of matplotlib in it, the same matrix is the same file.
    figure.savefig(out / "confusion.png", metadata={"Software": None})
    (out / "scores.json").write_text(json.dumps(scores, indent=2) + "\n")
    wrong = int(np.sum(guess != test["y"]))
    Path(os.environ.get("STIX_RESULT", "result.json")).write_text(json.dumps({"wrong": wrong}))
    print(f"{wrong} of {len(guess)} digits misread; {out / 'confusion.png'} written")


if __name__ == "__main__":
    main()
