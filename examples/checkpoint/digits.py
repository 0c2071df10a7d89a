"""Learn handwritten digits epoch by epoch with `partial_fit`, and go on after an interruption."""

import json
import os
import time
from pathlib import Path

import joblib
import numpy
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier

EPOCHS = int(os.environ.get("EPOCHS", "20"))
PAUSE_S = float(os.environ.get("PAUSE_S", "0"))
BATCH = 100
STATE = Path("state")


def load():
    """The model and the number of epochs that it has seen."""
    saved = STATE / "model.joblib"
    if saved.exists():
        return joblib.load(saved)
    return SGDClassifier(random_state=7), 0


def save(model, epochs):
    """Written beside and renamed: whoever reads it finds the old one or the new one."""
    STATE.mkdir(exist_ok=True)
    joblib.dump((model, epochs), STATE / "model.joblib.new")
    os.replace(STATE / "model.joblib.new", STATE / "model.joblib")


def main():
    images, labels = load_digits(return_X_y=True)
    images = images / 16
    train, test = slice(0, 1400), slice(1400, None)
    model, begun = load()
    print(f"begin after epoch {begun}", flush=True)
    for epoch in range(begun, EPOCHS):
        # The order depends on the epoch alone, so that an interrupted training ends like another.
        order = numpy.random.default_rng(epoch).permutation(1400)
        for start in range(0, 1400, BATCH):
            rows = order[start : start + BATCH]
            model.partial_fit(images[train][rows], labels[train][rows], classes=range(10))
        save(model, epoch + 1)
        print(f"epoch {epoch + 1}", flush=True)
        time.sleep(PAUSE_S)
    joblib.dump(model, "model.joblib")
    result = {
        "accuracy": round(float(model.score(images[test], labels[test])), 4),
        "sum": float(model.coef_.sum()),
    }
    Path(os.environ["STIX_RESULT"]).write_text(json.dumps(result))


if __name__ == "__main__":
    main()
