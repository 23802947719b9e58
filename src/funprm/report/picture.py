"""One picture of a run: best-of-N curves with their intervals."""

import io
from pathlib import Path

import matplotlib as mpl

from funprm.disk import write_atomically
from funprm.errors import DataError
from funprm.report.data import ReportData
from funprm.report.figures import LIGHT, best_of_n, style

_SUFFIXES = (".png", ".svg")


def write_picture(data: ReportData, path: Path) -> None:
    """Writes the best-of-N figure, with a title, on white.

    Args:
        data: with at least one curve.
        path: ends in .png or .svg.

    Raises:
        DataError: no curves, or another ending.
        StoreError: the file cannot be written.
    """
    if path.suffix not in _SUFFIXES:
        raise DataError(f"picture {path.name!r}: expected a name that ends in .png or .svg")
    if not data.curves:
        raise DataError("no best-of-N curves to draw: sample more than one program per problem")
    with style(LIGHT, text=False), mpl.rc_context({"svg.hashsalt": "best-of-n"}):
        figure = best_of_n(data, LIGHT)
        problems = max(curve.problems for curve in data.curves)
        title = f"{data.title}: best of N programs, {problems:,} problems"
        figure.suptitle(title, x=0.012, ha="left", fontsize=12)
        metadata = {"Date": None} if path.suffix == ".svg" else None
        drawn = io.BytesIO()
        kind = path.suffix.removeprefix(".")
        figure.savefig(drawn, format=kind, dpi=200, facecolor="white", metadata=metadata)
    write_atomically(path, drawn.getvalue())
