"""Train one classifier and score it: ``train.py logreg|svm|forest|knn|bayes``."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import joblib
import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC


def classifiers(seed: int) -> dict[str, ClassifierMixin]:
    """The classifiers by name; ``seed`` makes the random ones repeatable."""
    return {
        "logreg": LogisticRegression(max_iter=2000, random_state=seed),
        "svm": SVC(C=10, gamma="scale", random_state=seed),
        "forest": RandomForestClassifier(n_estimators=200, random_state=seed),
        "knn": KNeighborsClassifier(n_neighbors=3),
        "bayes": GaussianNB(var_smoothing=1e-2),
    }


def main(name: str) -> None:
    data = Path(os.environ.get("STIX_INPUT_DATA", "inputs/data"))
    train, test = np.load(data / "train.npz"), np.load(data / "test.npz")
    model = classifiers(int(os.environ.get("SEED", "7")))[name]
    model.fit(train["x"], train["y"])
    guess = model.predict(test["x"])
    scores = {
        "model": name,
        "accuracy": round(float(np.mean(guess == test["y"])), 4),
        "f1": round(float(f1_score(test["y"], guess, average="macro")), 4),
    }
    out = Path(os.environ.get("STIX_OUTPUT_MODEL", "model"))
    out.mkdir(parents=True, exist_ok=True)
    joblib.dump(model, out / "model.joblib")
    (out / "scores.json").write_text(json.dumps(scores, indent=2) + "\n")
    Path(os.environ.get("STIX_RESULT", "result.json")).write_text(json.dumps(scores))
    print(f"{name}: accuracy {scores['accuracy']:.4f}, macro F1 {scores['f1']:.4f}")


if __name__ == "__main__":
    main(sys.argv[1])
