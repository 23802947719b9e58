"""The table of a report for the terminal."""

import io

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from funprm.evaluation.comparison import TableRow
from funprm.evaluation.statistics import Interval
from funprm.report import wording
from funprm.report.data import ReportData


def render(data: ReportData, *, width: int = 100, plain: bool = False) -> str:
    """The table with the finding above it and a note that explains its columns below.

    Args:
        data: what to show.
        width: of the terminal, in characters; the table is never cut but may be wider.
        plain: without colours and lines, for output that is not a terminal.
    """
    buffer = io.StringIO()
    console = Console(
        file=buffer,
        width=width,
        force_terminal=not plain,
        color_system=None if plain else "standard",
        highlight=False,
        legacy_windows=False,
    )
    console.print(Text(data.title, style="bold"))
    console.print(Text(wording.headline(data)))
    if data.table:
        table = _table(data, plain=plain)
        needed = Measurement.get(console, console.options.update(max_width=1000), table).maximum
        console.width = max(width, needed)
        console.print(table)
        console.width = width
        if data.contrasts:
            console.print(Text("\n" * plain + _against(data)))
            console.print(_contrasts(data, plain=plain))
        console.print(_note(data, plain=plain))
    lines = buffer.getvalue().removesuffix("\n").split("\n")
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _table(data: ReportData, *, plain: bool) -> Table:
    table = Table(box=None if plain else box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("Selector", no_wrap=True)
    levels = list(data.table[0].by_difficulty)
    random = any(row.uninformed for row in data.table)
    heads = ["N", "Accuracy", *levels, "Difference", "Won / lost", "p", "Holm"]
    for head in heads + ["Random"] * random:
        table.add_column(head, justify="right", no_wrap=True)
    for row in data.table:
        cells = _cells(row, levels) + [str(row.uninformed)] * random
        name = wording.selector_label(row.selector)
        if row.selector == data.baseline:
            name += " *"
        style = "bold" if row.selector == data.focus else ""
        table.add_row(Text(name), *map(Text, cells), style=style)
    return table


def _cells(row: TableRow, levels: list[str]) -> list[str]:
    accuracy = f"{wording.percent(row.accuracy.estimate)} [{wording.bounds(row.accuracy)}]"
    difference = _difference(row.difference) if row.difference else wording.DASH
    return [
        str(row.n),
        accuracy,
        *(wording.percent(row.by_difficulty[level].accuracy) for level in levels),
        difference,
        wording.won_lost(row.mcnemar),
        wording.p_value(row.mcnemar),
        wording.adjusted(row.adjusted),
    ]


def _against(data: ReportData) -> str:
    return f"{wording.selector_label(data.focus)} minus ..."


def _contrasts(data: ReportData, *, plain: bool) -> Table:
    table = Table(box=None if plain else box.SIMPLE_HEAD, pad_edge=False, show_header=not plain)
    table.add_column("Selector", no_wrap=True)
    for head in ("Difference", "Won / lost", "p", "Holm"):
        table.add_column(head, justify="right", no_wrap=True)
    for contrast in data.contrasts:
        table.add_row(
            wording.selector_label(contrast.selector),
            _difference(contrast.difference),
            wording.won_lost(contrast.mcnemar),
            wording.p_value(contrast.mcnemar),
            wording.adjusted(contrast.adjusted),
        )
    return table


def _difference(interval: Interval) -> str:
    low, high = wording.points(interval.low), wording.points(interval.high)
    return f"{wording.points(interval.estimate)} [{low}, {high}]"


def _note(data: ReportData, *, plain: bool) -> Text:
    parts = data.table[0].by_difficulty
    counts = ", ".join(f"{part.problems} {name}" for name, part in parts.items())
    lines = [f"{data.table[0].problems} problems" + (f" ({counts})" if counts else "")]
    if data.left_out:
        lines[0] += f"; {data.left_out} left out because a chosen program was not judged"
    if data.resolution:
        lines.append(wording.resolution(data.resolution))
    lines.append(f"* the baseline: {wording.selector_label(data.baseline)}")
    shown = {**wording.columns(data.table[0].problems)}
    if not any(row.uninformed for row in data.table):
        del shown["Random"]
    lines += [f"{name}: {meaning}" for name, meaning in shown.items()]
    return Text("\n" * plain + "\n".join(lines), style="dim")
