from __future__ import annotations

from dataclasses import fields

from stix.flows.report import plan_rows, plan_text, result_rows
from stix.ledger import StageRow
from stix.plan.joint import place_together
from stix.plan.offers import Offer
from stix.plan.place import place
from stix.spec.models import PipelineSpec
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


NEAR = Offer("aws", "us-east-1", "us-east-1a", "big", 8, 32, price=1.0)
DEAR = Offer("aws", "us-east-1", "us-east-1a", "huge", 16, 64, price=2.0)
FAR = Offer("gcp", "us-central1", "us-central1-a", "cheap", 8, 32, price=0.1)
TWO = PipelineSpec.model_validate(
    {
        "name": "p",
        "stages": {
            "a": {
                "run": "true",
                "outputs": {"x": "out"},
                "estimate": {"time": "1h", "outputs": {"x": 10}},
                "resources": {"infra": "aws"},
            },
            "b": {"run": "true", "inputs": {"x": "a.x"}, "resources": {"infra": "gcp"}},
        },
    }
)


def test_the_plan_of_a_run_tells_what_is_expected_and_what_is_next() -> None:
    joint = place_together(TWO, [NEAR, DEAR, FAR])
    first, second = plan_rows(joint.plan(), joint)
    assert list(first) == list(second)
    assert first["stage"] == "a" and first["offer"] == "aws/us-east-1/us-east-1a"
    assert (first["type"], first["nodes"], first["USD/h"]) == ("big", 1, 1.0)
    assert first["time"] == "1h02m" and 1.0 < first["USD"] < 1.1
    assert first["next best"] == "aws/us-east-1/us-east-1a huge"
    assert first["why not"] and first["GB in"] == 0
    assert second["GB in"] == 10 and second["egress in"] == round(joint.egress_usd, 4)
    text = plan_text(joint)
    assert f"of it ${joint.egress_usd:.2f} for moving data" in text
    assert "The best in cost, proven." in text
    assert "o  a\no  b" in text


def test_a_stage_that_went_elsewhere_than_planned_says_nothing_untrue() -> None:
    joint = place_together(TWO, [NEAR, FAR])
    rows = plan_rows(place(TWO, [DEAR, FAR]), joint)
    assert rows[0]["type"] == "huge" and rows[0]["USD"] == "" and rows[0]["next best"] == ""
    assert rows[1]["USD"] != "" and list(rows[0]) == list(rows[1])


def test_without_a_plan_as_a_whole_the_table_stays() -> None:
    rows = plan_rows(place(TWO, [NEAR, FAR]), None)
    assert [row["type"] for row in rows] == ["big", "cheap"] and plan_text(None) == ""
