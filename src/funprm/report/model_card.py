"""What a model's card says of the run that trained it: data, numbers, isolation."""

from collections.abc import Iterator, Mapping, Sequence

from funprm.evaluation.comparison import TableRow
from funprm.records import Json
from funprm.report import wording
from funprm.report.data import ReportData


def about_run(
    data: ReportData, model: str, trained: Mapping[str, Json], parts: Mapping[str, str]
) -> str:
    """Sections in Markdown.

    Args:
        data: the report's.
        model: the model's name in the run.
        trained: what its training wrote at its end (`result.json`).
        parts: by what it is for, a part of the run and its options, fit to be published.
    """
    sections = {
        "Data": _data(data, trained, parts),
        "Numbers": [*_validation(trained), *_table(data, model)],
        "Isolation": _isolation(parts),
    }
    return "\n\n".join(
        f"## {title}\n\n" + "\n".join(lines).strip() for title, lines in sections.items()
    )


def _data(data: ReportData, trained: Mapping[str, Json], parts: Mapping[str, str]) -> Iterator[str]:
    splits = ", ".join(f"{count:,} {name}" for name, count in data.splits.items())
    yield f"- Problems: `{parts['data set']}`; {splits}. No problem is in two splits."
    yield (
        f"- Programs: {data.settings['programs per problem']} per problem by "
        f"`{parts['policy']}`; {data.settings['completions per prefix']} completions of every "
        f"beginning by `{parts['completer']}`."
    )
    yield (
        f"- Training: {trained['rows']:,} labelled beginnings, {trained['steps']:,} steps; kept: "
        f"step {trained['best_step']:,}, the best on the validation problems. Seed "
        f"{data.settings['seed']}."
    )
    for name, unfit in (("do not fit", "not_fitting"), ("have a shortened statement", "shortened")):
        if trained[unfit]:
            yield f"- {trained[unfit]:,} programs {name}."
    yield ""


def _validation(trained: Mapping[str, Json]) -> Iterator[str]:
    found = trained["validation"]
    if not found:
        yield "No validation problems.\n"
        return
    names = {"outcome_auc": "AUC of outcomes", "step_auc": "AUC of steps", "brier": "Brier score"}
    shown = (f"{text} {found[key]:.3f}" for key, text in names.items() if found[key] is not None)
    yield f"On validation problems: {', '.join(shown)}.\n"


def _table(data: ReportData, model: str) -> Iterator[str]:
    rows = [row for row in data.table if wording.model_of(row.selector) in ("", model)]
    if not rows:
        return
    yield f"On {rows[0].problems:,} test problems, which it was not trained on:\n"
    yield f"| Choice | N | Accuracy, % | Against {wording.selector_label(data.baseline)} | p |"
    yield "|---|---|---|---|---|"
    for row in rows:
        yield f"| {' | '.join(_cells(row))} |"
    yield ""


def _cells(row: TableRow) -> Sequence[str]:
    gain = row.difference
    return (
        wording.selector_label(row.selector),
        str(row.n),
        f"{wording.percent(row.accuracy.estimate)} [{wording.bounds(row.accuracy)}]",
        wording.DASH
        if gain is None
        else f"{wording.points(gain.estimate)} [{wording.bounds(gain, signed=True)}]",
        wording.p_value(row.mcnemar),
    )


def _isolation(parts: Mapping[str, str]) -> Iterator[str]:
    yield (
        f"Model-written programs were judged by `{parts['executor']}`, in processes apart from "
        f"files, network and processes of the machine. Layers demanded: {parts['layers']}. "
        "A program that could not be judged counts neither as right nor as wrong."
    )
