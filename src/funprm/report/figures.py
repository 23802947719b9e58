"""The figures of a report: for the page, where colours follow light and dark, and the picture.

Series are told apart by colour, marker and a label at the line's end; the colours keep their
order of lightness under the common colour-vision deficiencies.
"""

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullLocator

from funprm.evaluation.comparison import Curve
from funprm.report.data import ReportData, RewardPoint, TrainingCurve
from funprm.report.wording import model_label, selector_label

_MARKERS = "os^DvP"
_REFERENCES = {"oracle": "--", "random": ":"}
"""Bounds that every curve lies between, by their dashes."""

_POINTS = 1_500
"""Most points drawn in the scatter; more would only grow the file."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Palette:
    """Colours by role, as hexadecimal RGB."""

    ink: str
    muted: str
    grid: str
    series: tuple[str, ...]
    """The first is the selector under study, the second the baseline."""


LIGHT = Palette(
    ink="#1d2430",
    muted="#667085",
    grid="#e4e7ec",
    series=("#0b5cad", "#b54708", "#00755e", "#8d3f74", "#7a5c00", "#3d4f6b"),
)
DARK = Palette(
    ink="#e8ebf0",
    muted="#98a2b3",
    grid="#333b49",
    series=("#6cb2f5", "#f79f5c", "#4fcfae", "#e29ac6", "#e3bd4a", "#a9b9d3"),
)

_NAMES = ("ink", "muted", "grid", *(f"s{i}" for i in range(len(LIGHT.series))))
_STAND_INS = {f"#0a0b{i:02x}": name for i, name in enumerate(_NAMES, start=0xC0)}
_BY_NAME = {name: colour for colour, name in _STAND_INS.items()}
THEMED = Palette(
    ink=_BY_NAME["ink"],
    muted=_BY_NAME["muted"],
    grid=_BY_NAME["grid"],
    series=tuple(_BY_NAME[f"s{i}"] for i in range(len(LIGHT.series))),
)
"""Stand-ins that `inline_svg` replaces by the style sheet's variables of the same names."""


def variables(palette: Palette) -> Mapping[str, str]:
    """The palette by variable name, as style sheets use it."""
    colours = (palette.ink, palette.muted, palette.grid, *palette.series)
    return dict(zip(_NAMES, colours, strict=True))


@contextmanager
def style(palette: Palette, *, text: bool = True) -> Iterator[None]:
    """Matplotlib's settings while figures are made and written.

    Args:
        palette: colours of text and axes.
        text: keep text as text in SVG files, rather than as outlines.
    """
    settings: dict[Any, Any] = {
        "svg.fonttype": "none" if text else "path",
        "font.size": 10.0,
        "text.parse_math": False,  # a dollar sign in the user's words starts no formula
        "text.color": palette.ink,
        "axes.edgecolor": palette.grid,
        "axes.labelcolor": palette.muted,
        "axes.titlecolor": palette.ink,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.grid.axis": "y",
        "axes.axisbelow": True,
        "grid.color": palette.grid,
        "grid.linewidth": 0.8,
        "xtick.color": palette.muted,
        "ytick.color": palette.muted,
        "xtick.major.size": 0.0,
        "ytick.major.size": 0.0,
        "lines.linewidth": 1.6,
        "lines.solid_capstyle": "round",
    }
    with mpl.rc_context(settings):
        yield


def best_of_n(data: ReportData, palette: Palette) -> Figure:
    """Accuracy over N for every curve; intervals as a band (focus) and as bars (baseline)."""
    figure = Figure(figsize=(8.4, 4.4), layout="constrained")
    axes = figure.subplots()
    ends = []
    for curve, (colour, marker, dash) in zip(data.curves, _looks(data, palette), strict=True):
        sizes = [n for n, _ in curve.points]
        means = [interval.estimate for _, interval in curve.points]
        strong = curve.selector in (data.focus, data.baseline)
        axes.plot(
            sizes,
            means,
            color=colour,
            marker=marker,
            linestyle=dash,
            markersize=5.0 if strong else 4.0,
            linewidth=2.4 if curve.selector == data.focus else 1.4,
            zorder=4 if strong else 3,
        )
        low = [interval.low for _, interval in curve.points]
        high = [interval.high for _, interval in curve.points]
        if curve.selector == data.focus:
            axes.fill_between(sizes, low, high, color=colour, alpha=0.13, linewidth=0)
        elif strong:
            axes.vlines(sizes, low, high, color=colour, alpha=0.6, linewidth=1.2)
        ends.append((means[-1], selector_label(curve.selector), colour, strong))
    _count_axis(axes, data.curves)
    axes.margins(x=0.03)
    axes.set_xlabel("N, candidate programs per problem")
    axes.set_ylabel("problems solved")
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(lambda share, _: f"{100 * share:.3g}%")
    _label_ends(axes, ends)
    return figure


def rewards(points: Sequence[RewardPoint], palette: Palette) -> Figure:
    """Corrected against raw reward, one dot per prefix; bars hold the middle 80 % per level."""
    measured = [p for p in points if p.n]
    raw = np.array([p.k / p.n for p in measured])
    corrected = np.array([p.corrected for p in measured])
    figure = Figure(figsize=(4.2, 4.0), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=palette.muted, linewidth=1.0, linestyle=(0, (4, 3)))
    keep = np.arange(len(raw)) if len(raw) <= _POINTS else _spread(len(raw), _POINTS)
    # Raw rewards sit on few levels: the golden ratio spreads their dots evenly and repeatably.
    jitter = (np.arange(len(keep)) * 0.618034 % 1.0 - 0.5) * 0.03
    axes.scatter(
        raw[keep] + jitter, corrected[keep], s=7, color=palette.series[0], alpha=0.28, linewidth=0
    )
    for level in np.unique(raw.round(2)):
        here = corrected[raw.round(2) == level]
        if len(here) >= 10:
            low, middle, high = np.quantile(here, [0.1, 0.5, 0.9])
            axes.plot([level, level], [low, high], color=palette.ink, linewidth=1.6)
            axes.plot(level, middle, "o", color=palette.ink, markersize=4.5)
    axes.set(xlim=(-0.04, 1.04), ylim=(-0.04, 1.04), aspect="equal")
    axes.set_xlabel("raw reward k/n")
    axes.set_ylabel("corrected reward")
    return figure


def training(curves: Sequence[TrainingCurve], palette: Palette) -> Figure:
    """One panel per reward model: its measures over epochs, and the checkpoint that is kept."""
    models = list(dict.fromkeys(c.model for c in curves))
    measures = list(dict.fromkeys(c.measure for c in curves))
    columns = min(3, len(models))
    rows = -(-len(models) // columns)
    figure = Figure(figsize=(8.4, 0.4 + 2.4 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
    lines: dict[str, Line2D] = {}
    for axes, model in zip(panels, models, strict=False):
        for curve in (c for c in curves if c.model == model):
            i = measures.index(curve.measure)
            x, y = zip(*curve.points, strict=True) if curve.points else ((), ())
            colour = palette.series[i % len(palette.series)]
            marker = _MARKERS[i % len(_MARKERS)]
            (lines[curve.measure],) = axes.plot(x, y, color=colour, marker=marker, markersize=3.0)
            if curve.chosen is not None:
                axes.axvline(curve.chosen, color=palette.muted, linewidth=1, linestyle=(0, (2, 3)))
        axes.set_title(model_label(model), loc="left", fontsize=10)
        axes.set_xlabel("epoch")
    for axes in panels[len(models) :]:
        axes.set_visible(False)
    names = [measure.replace("_", " ") for measure in lines]
    figure.legend(lines.values(), names, loc="outside lower left", ncols=len(names), frameon=False)
    return figure


def inline_svg(figure: Figure, name: str, description: str) -> str:
    """The figure as inline SVG, with colours left to the style sheet.

    Args:
        figure: drawn in the `THEMED` palette.
        name: distinguishes the figure's ids from those of the page's other figures.
        description: what it shows, for those who cannot see it; plain text.
    """
    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'(href="|url\()#', rf"\1#{name}-", text)
    text = re.sub(r' (width|height)="[\d.]+pt"', "", text, count=2)
    text = re.sub(r"font: ((?:\d+ )?[\d.]+px) [^;\"]*", r"font: \1 var(--sans)", text)
    for colour, variable in _STAND_INS.items():
        text = text.replace(colour, f"var(--{variable})")
    opening = f'<svg role="img" aria-label="{escape(description)}" class="figure {name}"'
    return text.replace("<svg", opening, 1)


def _looks(data: ReportData, palette: Palette) -> Iterator[tuple[str, str, str]]:
    """Colour, marker and dash of every curve: focus first, baseline second, references in grey."""
    roles = {data.focus: 0, data.baseline: 1}
    others = iter(range(2, 1000))
    for curve in data.curves:
        if curve.selector in _REFERENCES and curve.selector not in roles:
            yield palette.muted, "", _REFERENCES[curve.selector]
            continue
        i = roles[curve.selector] if curve.selector in roles else next(others)
        colours = len(palette.series)
        # Beyond the palette, colours come again, without the two of the focus and the baseline.
        colour = palette.series[i if i < colours else 2 + (i - 2) % (colours - 2)]
        yield colour, _MARKERS[i % len(_MARKERS)], "-" if i < colours else ":"


def _count_axis(axes: Axes, curves: Sequence[Curve]) -> None:
    sizes = sorted({n for curve in curves for n, _ in curve.points})
    axes.set_xscale("log", base=2)
    axes.set_xticks(sizes, [str(n) for n in sizes])
    axes.xaxis.set_minor_locator(NullLocator())


def _label_ends(axes: Axes, ends: Sequence[tuple[float, str, str, bool]]) -> None:
    """Names at the right ends of lines, moved apart where they would overlap."""
    low, high = axes.get_ylim()
    gap = (high - low) * 0.052
    order = sorted(ends, key=lambda end: end[0])
    heights = np.array([end[0] for end in order])
    # Each pass moves touching neighbours apart by half of their overlap: a few dozen settle ten.
    for _ in range(200):
        overlap = np.maximum(gap - np.diff(heights), 0.0) / 2.0
        heights[:-1] -= overlap
        heights[1:] += overlap
    for height, (value, label, colour, strong) in zip(heights, order, strict=True):
        axes.annotate(
            f"{label}  {100 * value:.1f}",
            xy=(1.0, value),
            xytext=(1.03, height),
            xycoords=axes.get_yaxis_transform(),
            textcoords=axes.get_yaxis_transform(),
            color=colour,
            va="center",
            fontsize=9.5,
            fontweight="bold" if strong else "normal",
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.6, "shrinkB": 2},
        )


def _spread(count: int, most: int) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    return np.linspace(0, count - 1, most).astype(np.int64)
