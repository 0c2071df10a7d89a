from __future__ import annotations

from dataclasses import fields

from stix.flows.report import result_rows
from stix.ledger import StageRow
from stix.spec.states import StageState


def row(key: str, result: dict[str, object] | None) -> StageRow:
    nothing = dict.fromkeys(field.name for field in fields(StageRow))
    known = {**nothing, "key": key, "state": StageState.SUCCEEDED, "result": result}
    return StageRow(**known)  # type: ignore[arg-type]


def test_every_row_has_every_column() -> None:
    """Prefect's UI takes the columns from the first row."""
    rows = result_rows(
        [row("prepare", None), row("train", {"f1": 0.9, "deep": [1], "m": "x" * 300})]
    )
    assert rows[0] == {"stage": "prepare", "state": "succeeded", "f1": "", "m": ""}
    assert rows[1] == {"stage": "train", "state": "succeeded", "f1": 0.9, "m": "x" * 200}
