"""Split the digits into a training and a test set."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split


def main() -> None:
    seed = int(os.environ.get("SEED", "7"))
    images, labels = load_digits(return_X_y=True)
    train_x, test_x, train_y, test_y = train_test_split(
        images / 16.0, labels, test_size=0.25, random_state=seed, stratify=labels
    )
    out = Path(os.environ.get("STIX_OUTPUT_DATA", "data"))
    out.mkdir(parents=True, exist_ok=True)
    np.savez(out / "train.npz", x=train_x, y=train_y)
    np.savez(out / "test.npz", x=test_x, y=test_y)
    print(f"{len(train_y)} images to train on, {len(test_y)} to test on")


if __name__ == "__main__":
    main()
