import json
from dataclasses import replace

from funprm.report.data import ReportData, summary


def test_the_summary_is_plain_json(data: ReportData) -> None:
    plain = json.loads(json.dumps(summary(data), allow_nan=False))
    assert plain["schema"] == 1
    assert [row["selector"] for row in plain["table"]] == [row.selector for row in data.table]
    assert plain["table"][2]["mcnemar"] == {"p": 0.0625, "only_selector": 5, "only_baseline": 0}
    assert plain["table"][1]["difference"] is None
    assert plain["table"][0]["by_difficulty"]["easy"] == {"problems": 31, "accuracy": 1.0}
    assert [point["n"] for point in plain["curves"][0]["points"]] == [1, 2, 8]
    assert plain["costs"][0]["money"] == 1.5
    assert plain["left_out"] == 1


def test_the_selector_under_study_is_the_best_one_that_does_not_look(data: ReportData) -> None:
    assert data.focus == "score:funprm"
    assert replace(data, highlight="random").focus == "random"
    assert replace(data, table=()).focus == ""
