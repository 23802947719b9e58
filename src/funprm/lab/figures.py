"""The figures of a laboratory, in the style of the other reports."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator

from funprm.lab.results import Results
from funprm.report.figures import LIGHT, Palette, style

SHOWN = ("joint", "table", "pooled", "posterior", "nait", "posterior+pairs")
"""Methods whose differences to `none` are drawn; as many as the palette has colours."""

CURVES = ("orm", "none", "joint", "table", "posterior", "posterior+pairs")
_MARKERS = "os^DvP"
_PANELS = {
    "error": ("squared error of rewards", 1000.0, "times 1000; left is better"),
    "step_auc": ("step AUC", 100.0, "points; right is better"),
    "best_of_n": ("best of N", 100.0, "points; right is better"),
}


def differences(results: Results, palette: Palette) -> Figure:
    """Difference to `none` with its interval: a panel per measure, a line per corruption."""
    shown = [method for method in SHOWN if method in results.methods]
    height = 1.4 + 0.16 * len(results.corruptions) * (len(shown) + 1)
    figure = Figure(figsize=(9.6, height), layout="constrained")
    panels = figure.subplots(1, len(_PANELS), sharey=True)
    for axes, (measure, (title, scale, unit)) in zip(panels, _PANELS.items(), strict=True):
        for i in range(len(shown)):
            _points(axes, results, measure, (scale, (i + 0.5) / len(shown) - 0.5), i, palette)
        axes.axvline(0.0, color=palette.muted, linewidth=1.0)
        axes.set_title(title, loc="left", fontsize=10)
        axes.set_xlabel(unit)
        axes.grid(visible=False)
    panels[0].set_yticks(range(len(results.corruptions)), results.corruptions)
    panels[0].invert_yaxis()
    handles = [_handle(panels[0], i, palette) for i in range(len(shown))]
    figure.legend(handles, shown, loc="outside lower left", ncols=len(shown), frameon=False)
    return figure


def _points(
    axes: Axes,
    results: Results,
    measure: str,
    place: tuple[float, float],
    look: int,
    palette: Palette,
) -> None:
    scale, offset = place
    method = [m for m in SHOWN if m in results.methods][look]
    for line, corruption in enumerate(results.corruptions):
        interval = results.rows[corruption, method].to_none.get(measure)
        if interval is None:
            continue
        middle, low, high = (scale * x for x in interval)
        y = line + 0.72 * offset
        colour = palette.series[look]
        axes.plot([low, high], [y, y], color=colour, linewidth=1.2, alpha=0.7)
        axes.plot(middle, y, _MARKERS[look], color=colour, markersize=4.0)


def _handle(axes: Axes, look: int, palette: Palette) -> mpl.artist.Artist:
    return axes.plot([], [], _MARKERS[look], color=palette.series[look], markersize=5.0)[0]


def curves(results: Results, palette: Palette) -> Figure:
    """Accuracy of the choice over N: a panel per corruption, a line per method."""
    shown = [method for method in CURVES if method in results.methods]
    columns = min(4, len(results.corruptions))
    rows = -(-len(results.corruptions) // columns)
    figure = Figure(figsize=(9.6, 0.6 + 2.3 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for axes, corruption in zip(panels, results.corruptions, strict=False):
        for i, method in enumerate(shown):
            curve = results.rows[corruption, method].curve
            accuracy = [100 * value for value in curve.values()]
            axes.plot(
                list(curve), accuracy, color=palette.series[i], marker=_MARKERS[i], markersize=3.0
            )
        _count_axis(axes, list(results.rows[corruption, shown[0]].curve))
        axes.set_title(corruption, loc="left", fontsize=10)
    for axes in panels[len(results.corruptions) :]:
        axes.set_visible(False)
    figure.supxlabel("N, candidate programs per problem", fontsize=10, color=palette.muted)
    figure.supylabel("problems solved, per cent", fontsize=10, color=palette.muted)
    handles = [_handle(panels[0], i, palette) for i in range(len(shown))]
    figure.legend(handles, shown, loc="outside lower left", ncols=len(shown), frameon=False)
    return figure


def _count_axis(axes: Axes, sizes: Sequence[int]) -> None:
    axes.set_xscale("log", base=2)
    axes.set_xticks(sizes, [str(n) for n in sizes])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))


def write_picture(results: Results, path: Path) -> None:
    """Writes the differences, with a title, on white."""
    with style(LIGHT, text=False):
        figure = differences(results, LIGHT)
        title = f"{results.title}: difference to `none`, {results.seeds} seeds, 95 % intervals"
        figure.suptitle(title, x=0.012, ha="left", fontsize=12)
        figure.savefig(path, dpi=160, facecolor="white")
