from dataclasses import replace

from funprm.report.data import ReportData
from funprm.report.text import render


def test_plain_text_has_the_whole_table_and_explains_it(data: ReportData) -> None:
    text = render(data, width=80, plain=True)
    assert "\x1b" not in text
    assert "─" not in text
    rows = {line.split("  ")[0]: " ".join(line.split()) for line in text.splitlines()}
    assert (
        rows["FunPRM"]
        == "FunPRM 8 81.0 [73.0–89.0] 100.0 71.0 +4.0 [+1.0, +7.0] 5 / 0 0.0625 0.12 2"
    )
    assert rows["PRM, uncorrected *"].endswith("100.0 67.0 – – – – 0")
    assert "131 problems (31 easy, 100 hard); 1 left out" in text
    assert "131 problems can show differences of 8.6 points or more (80 % power at" in text
    for column in ("N:", "Accuracy:", "Difference:", "Won / lost:", "p:", "Holm:", "Random:"):
        assert f"\n{column} " in text


def test_a_terminal_gets_lines_and_weight(data: ReportData) -> None:
    text = render(data, width=140)
    assert "\x1b[1m" in text
    assert "─" in text


def test_columns_without_content_are_left_out(data: ReportData) -> None:
    informed = tuple(replace(row, uninformed=0) for row in data.table)
    assert "Random" not in render(replace(data, table=informed), plain=True)
    assert "Selector" not in render(replace(data, table=()), plain=True)


def test_brackets_in_titles_are_no_markup(data: ReportData) -> None:
    assert "[bold]x[/]" in render(replace(data, title="[bold]x[/]"), plain=True)
