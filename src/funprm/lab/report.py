"""A laboratory's results as text, JSON, one self-contained HTML page and a picture."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
from markupsafe import Markup

from funprm.disk import write_atomically
from funprm.evaluation.statistics import Interval
from funprm.lab import figures
from funprm.lab.results import Results, Row
from funprm.records import Json
from funprm.report.figures import DARK, LIGHT, THEMED, Palette, inline_svg, style, variables
from funprm.report.html import templates


@dataclass(frozen=True, slots=True)
class Measure:
    """How a measure is shown."""

    title: str
    scale: float
    """Shown numbers are values times this."""
    better: int
    """1: more is better; -1: less is."""


def measures(results: Results) -> dict[str, Measure]:
    """The measures in the order of the report."""
    return {
        "error": Measure("squared error of the fitted rewards to the truth, times 1000", 1000, -1),
        "step_auc": Measure("step AUC against the truth, times 100", 100, 1),
        "best_of_n": Measure(f"problems solved by the best of {results.size}, per cent", 100, 1),
    }


def write_reports(results: Results, folder: Path) -> str:
    """Writes `lab.txt`, `lab.json`, `lab.html` and `lab.png`; returns the text."""
    text = render(results)
    write_atomically(folder / "lab.txt", text.encode())
    summary = msgspec.json.format(msgspec.json.encode(as_json(results)), indent=1)
    write_atomically(folder / "lab.json", summary + b"\n")
    write_atomically(folder / "lab.html", _page(results).encode())
    figures.write_picture(results, folder / "lab.png")
    return f"{text}\nreport: {folder / 'lab.html'}"


def render(results: Results) -> str:
    """All tables as plain text."""
    lines = [f"{results.title}: {results.seeds} seeds, {results.seconds:.0f} s of training", ""]
    for name, measure in measures(results).items():
        lines += [measure.title, *_aligned(list(_table(results, name, measure))), ""]
    lines += [
        "+ better, - worse than `none` by more than the 95 % interval of the paired difference",
        "(Student's t over seeds, never less than the chance of problems within them).",
    ]
    for name, measure in measures(results).items():
        lines += ["", f"difference to `none`: {measure.title}"]
        lines += _aligned(list(_differences(results, name, measure)))
    return "\n".join(lines) + "\n"


def _table(results: Results, name: str, measure: Measure) -> Iterator[list[str]]:
    yield ["", *results.methods]
    for corruption in results.corruptions:
        rows = (results.rows[corruption, method] for method in results.methods)
        yield [corruption, *(_cell(row, name, measure) for row in rows)]


def _cell(row: Row, name: str, measure: Measure) -> str:
    if name not in row.means:
        return "."
    return f"{measure.scale * row.means[name]:.1f}{mark(row.to_none.get(name), measure)}"


def mark(difference: Interval | None, measure: Measure) -> str:
    """Whether a difference is beyond its interval: `+` better, `-` worse, space neither."""
    if difference is None or difference.low <= 0 <= difference.high:
        return " "
    if difference.low == difference.high:  # a single number, from one seed: chance is not seen
        return " "
    return "+" if difference.estimate * measure.better > 0 else "-"


def _differences(results: Results, name: str, measure: Measure) -> Iterator[list[str]]:
    shown = [m for m in results.methods if m not in ("none", "orm")]
    yield ["", *shown]
    for corruption in results.corruptions:
        rows = (results.rows[corruption, method] for method in shown)
        yield [corruption, *(_interval(row.to_none.get(name), measure.scale) for row in rows)]


def _interval(interval: Interval | None, scale: float) -> str:
    if interval is None:
        return "."
    middle, low, high = (scale * x for x in interval)
    return f"{middle:+.1f} [{low:+.1f}, {high:+.1f}]"


def _aligned(rows: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def as_json(results: Results) -> dict[str, Json]:
    """All numbers, unscaled."""
    return {
        "title": results.title,
        "seeds": results.seeds,
        "best_of": results.size,
        "settings": dict(results.settings),
        "rows": [
            {
                "corruption": row.corruption,
                "method": row.method,
                "means": dict(row.means),
                "to_none": {m: i._asdict() for m, i in row.to_none.items()},
                "to_joint": {m: i._asdict() for m, i in row.to_joint.items()},
                "curve": {str(n): value for n, value in row.curve.items()},
                "seconds": row.seconds,
            }
            for row in results.rows.values()
        ],
    }


def _page(results: Results) -> str:
    return (
        templates("funprm.lab")
        .get_template("lab.html.jinja")
        .render(
            results=results,
            measures=[
                (measure.title, list(_table(results, name, measure)))
                for name, measure in measures(results).items()
            ],
            details=[
                (measure.title, list(_differences(results, name, measure)))
                for name, measure in measures(results).items()
            ],
            drawn=_drawn(results),
            light=_variables(LIGHT),
            dark=_variables(DARK),
        )
    )


def _variables(palette: Palette) -> Markup:
    return Markup(" ".join(f"--{name}: {colour};" for name, colour in variables(palette).items()))


def _drawn(results: Results) -> list[Markup]:
    with style(THEMED):
        return [
            Markup(
                inline_svg(
                    figures.differences(results, THEMED),
                    "differences",
                    "Differences to the uncorrected model, by corruption and method",
                )
            ),
            Markup(
                inline_svg(
                    figures.curves(results, THEMED),
                    "curves",
                    "Problems solved over the number of candidates, by corruption and method",
                )
            ),
        ]
