"""``sky.batch``: batches have no room yet."""

from __future__ import annotations

from typing import Any

from stix.sky.arguments import lookup

NOT_YET = dict.fromkeys(
    (
        "Dataset",
        "ImageWriter",
        "InputReader",
        "JsonReader",
        "JsonWriter",
        "OutputWriter",
        "load",
        "remote_function",
        "save_results",
    ),
    "batch",
)


def __getattr__(name: str) -> Any:
    return lookup("sky.batch", {}, NOT_YET, name)
