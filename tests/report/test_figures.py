import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from funprm.evaluation.comparison import Curve
from funprm.evaluation.statistics import Interval
from funprm.report import figures
from funprm.report.data import ReportData, RewardPoint
from funprm.report.figures import DARK, LIGHT, THEMED, Palette, inline_svg, variables


def draw(data: ReportData, name: str) -> str:
    with figures.style(THEMED):
        figure = {
            "curves": lambda: figures.best_of_n(data, THEMED),
            "rewards": lambda: figures.rewards(data.rewards, THEMED),
            "training": lambda: figures.training(data.training, THEMED),
        }[name]()
        return inline_svg(figure, name, 'what it "shows" <b>')


@pytest.mark.parametrize("name", ["curves", "rewards", "training"])
def test_figures_are_inline_svg_in_the_page_s_colours(data: ReportData, name: str) -> None:
    text = draw(data, name)
    root = ElementTree.fromstring(text)
    assert root.get("role") == "img"
    assert root.get("aria-label") == 'what it "shows" <b>'
    assert "#0a0b" not in text
    assert "var(--muted)" in text
    assert "var(--s0)" in text
    ids = re.findall(r'\bid="([^"]*)"', text)
    assert len(ids) == len(set(ids))
    assert all(i.startswith(f"{name}-") for i in ids)
    assert set(re.findall(r"(?:url\(|href=\")#([^)\"]*)", text)) <= set(ids)
    assert text == draw(data, name)


def test_every_curve_is_named_at_its_end(data: ReportData) -> None:
    text = draw(data, "curves")
    for label in ("Oracle", "FunPRM", "PRM, uncorrected", "One sample"):
        assert label in text


def flat(selector: str, *sizes: int) -> Curve:
    return Curve(
        selector=selector, problems=9, points=tuple((n, Interval(0.5, 0.4, 0.6)) for n in sizes)
    )


@pytest.mark.parametrize("sizes", [(1,), (1, 2, 4, 8, 16, 32, 64, 128)])
def test_many_equal_curves_with_long_names_are_told_apart(
    data: ReportData, sizes: tuple[int, ...]
) -> None:
    names = [f"public_tests+score:a rather long model name $^$ {i}:log_odds" for i in range(14)]
    text = draw(replace(data, curves=tuple(flat(name, *sizes) for name in names)), "curves")
    heights = [
        float(y)
        for y in re.findall(r'<text[^>]*transform="translate\([\d.]+ ([\d.]+)\)[^>]*>Public', text)
    ] or [float(y) for y in re.findall(r'<text[^>]*? y="([\d.]+)"[^>]*>Public', text)]
    assert len(heights) == 14
    heights.sort()
    assert min(b - a for a, b in zip(heights, heights[1:], strict=False)) > 9.0


def test_a_large_scatter_stays_small(data: ReportData) -> None:
    points = tuple(RewardPoint(k=i % 9, n=8, corrected=i % 97 / 96) for i in range(20_000))
    assert len(draw(replace(data, rewards=points), "rewards")) < 400_000


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize(("palette", "page"), [(LIGHT, "#fbfbfa"), (DARK, "#14181f")])
def test_text_in_any_colour_has_contrast(palette: Palette, page: str) -> None:
    for name, colour in variables(palette).items():
        if name != "grid":
            low, high = sorted((luminance(colour), luminance(page)))
            assert (high + 0.05) / (low + 0.05) >= 4.5, (name, colour)
