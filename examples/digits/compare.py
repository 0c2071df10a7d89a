"""Pick the most accurate classifier; at a tie, the first by name."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path


def main() -> None:
    models = Path(os.environ.get("STIX_INPUT_MODELS", "inputs/models"))
    found = {path.parent: json.loads(path.read_text()) for path in models.glob("*/scores.json")}
    ranked = sorted(found, key=lambda place: (-found[place]["accuracy"], found[place]["model"]))
    for place in ranked:
        row = found[place]
        print(f"{row['model']:<8} accuracy {row['accuracy']:.4f}  macro F1 {row['f1']:.4f}")
    best = ranked[0]
    out = Path(os.environ.get("STIX_OUTPUT_BEST", "best"))
    out.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(best / "model.joblib", out / "model.joblib")
    (out / "scores.json").write_text(json.dumps([found[place] for place in ranked], indent=2))
    result = {"best": found[best]["model"], "accuracy": found[best]["accuracy"]}
    Path(os.environ.get("STIX_RESULT", "result.json")).write_text(json.dumps(result))
    print(f"best: {result['best']}")


if __name__ == "__main__":
    main()
