"""The report as one HTML file that needs nothing else: no network, no other file.

Problems are embedded as compressed JSON, one block each, unpacked when a problem is opened.
Their texts are untrusted: the script writes them as text nodes only, `<` is escaped in embedded
JSON, and the page's content security policy admits no script but its own.
"""

import base64
import hashlib
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from funprm.errors import StoreError
from funprm.evaluation.statistics import Interval
from funprm.records import Json
from funprm.report import figures, wording
from funprm.report.data import CandidateView, ProblemView, ReportData
from funprm.report.figures import DARK, LIGHT, THEMED, inline_svg, variables


def write_report(data: ReportData, path: Path) -> None:
    """Writes the report; the file appears complete or not at all.

    Args:
        data: what to show.
        path: of the HTML file.

    Raises:
        StoreError: the file cannot be written.
    """
    page = _page(data)
    draft = path.with_name(path.name + ".part")
    try:
        # A lone surrogate in a name has no UTF-8 form; escaped it is harmless.
        draft.write_text(page, encoding="utf-8", errors="backslashreplace", newline="\n")
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise StoreError(
            f"cannot write the report {path}: {error.strerror}; choose a writable folder with "
            "space left"
        ) from error


@dataclass(frozen=True, slots=True)
class _Scale:
    """Maps shares to the horizontal positions of the table's interval drawings, in per cent."""

    low: float
    high: float

    def at(self, share: float) -> float:
        return round(100.0 * (share - self.low) / (self.high - self.low), 2)

    def ticks(self) -> list[float]:
        step = 0.1 if self.high - self.low <= 0.65 else 0.2
        count = round((self.high - self.low) / step)
        return [self.low + i * step for i in range(1, count)]


def templates(package: str) -> Environment:
    """A package's page templates: all values escaped, a missing one an error."""
    return Environment(
        loader=PackageLoader(package),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _page(data: ReportData) -> str:
    environment = templates("funprm.report")
    environment.filters |= {
        "percent": wording.percent,
        "points": wording.points,
        "amount": wording.amount,
        "duration": wording.duration,
        "label": wording.selector_label,
    }
    models = _models(data)
    script = _source(environment, "browse.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template("page.html.jinja").render(
        data=data,
        wording=wording,
        scale=_scale([row.accuracy for row in data.table]),
        levels=_levels(data),
        figures=_figures(data),
        script=Markup(script),
        digest=digest,
        style=Markup(_style(environment)),
        index=_json(_index(data, models)),
        blocks=[_packed(_block(problem, models)) for problem in data.problems],
    )


def _source(environment: Environment, name: str) -> str:
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0]


def _style(environment: Environment) -> str:
    def theme(name: str, colours: Mapping[str, str]) -> str:
        return f"{name} {{ {' '.join(f'--{k}: {v};' for k, v in colours.items())} }}"

    themes = [
        theme(":root", variables(LIGHT)),
        "@media screen and (prefers-color-scheme: dark) { "
        + theme(":root", variables(DARK))
        + " }",
    ]
    return "\n".join(themes) + "\n" + _source(environment, "style.css")


def _figures(data: ReportData) -> dict[str, Markup]:
    drawn = {}
    with figures.style(THEMED):
        if any(len(curve.points) > 1 for curve in data.curves):
            description = "Share of problems solved over the number of candidates, by selector"
            figure = figures.best_of_n(data, THEMED)
            drawn["curves"] = Markup(inline_svg(figure, "curves", description))
        if any(point.n for point in data.rewards):
            description = "Corrected reward over raw reward, one dot per prefix"
            figure = figures.rewards(data.rewards, THEMED)
            drawn["rewards"] = Markup(inline_svg(figure, "rewards", description))
        if data.training:
            description = "Measures of training over epochs, one panel per reward model"
            figure = figures.training(data.training, THEMED)
            drawn["training"] = Markup(inline_svg(figure, "training", description))
    return drawn


def _scale(intervals: list[Interval]) -> _Scale:
    """From the tenth below the lowest bound to the tenth above the highest."""
    low = min((i.low for i in intervals), default=0.0)
    high = max((i.high for i in intervals), default=1.0)
    return _Scale(int(low * 10) / 10, min(1.0, int(high * 10 + 1) / 10))


def _levels(data: ReportData) -> dict[str, int]:
    """Difficulties with their numbers of problems; the same in all rows."""
    parts = data.table[0].by_difficulty if data.table else {}
    return {name: part.problems for name, part in parts.items()}


def _models(data: ReportData) -> list[str]:
    functions = (f for p in data.problems for c in p.candidates for f in c.functions)
    return list(dict.fromkeys(model for f in functions for model in f.scores))


def _index(data: ReportData, models: list[str]) -> Json:
    """What the list of problems needs, and the names that the blocks refer to by number."""
    selectors = [row.selector for row in data.table]
    return {
        "selectors": [wording.selector_label(s) for s in selectors],
        "models": [wording.model_label(m) for m in models],
        "focus": selectors.index(data.focus) if data.focus in selectors else 0,
        "baseline": selectors.index(data.baseline) if data.baseline in selectors else 0,
        "model": next((i for i, m in enumerate(models) if m == wording.model_of(data.focus)), 0),
        "problems": [
            [
                problem.problem_id,
                problem.difficulty,
                [candidate.verdict for candidate in problem.candidates],
                [_pick(problem, selector) for selector in selectors],
            ]
            for problem in data.problems
        ],
    }


def _pick(problem: ProblemView, selector: str) -> int:
    """Position of the candidate that the selector chose; -1: none is known."""
    chosen = (i for i, c in enumerate(problem.candidates) if selector in c.selected_by)
    return next(chosen, -1)


def _block(problem: ProblemView, models: list[str]) -> Json:
    """One problem, compactly: equal functions of its candidates are stored once."""
    texts: dict[str, int] = {}
    candidates = [_candidate(c, texts, models) for c in problem.candidates]
    return {"s": problem.statement, "c": candidates, "t": list(texts)}


def _candidate(candidate: CandidateView, texts: dict[str, int], models: list[str]) -> Json:
    functions = [
        [
            texts.setdefault(f.text, len(texts)),
            f.name,
            [_rounded(f.scores.get(model)) for model in models],
            f.k,
            f.n,
            _rounded(f.corrected),
        ]
        for f in candidate.functions
    ]
    return {"i": candidate.index, "d": candidate.detail, "f": functions}


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(number, 3)


def _json(value: Json) -> Markup:
    """JSON that may stand inside a script element, whatever text it holds."""
    text = _bytes(value).decode()
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def _packed(value: Json) -> str:
    """JSON, deflated without a header, in base64."""
    press = zlib.compressobj(level=9, wbits=-zlib.MAX_WBITS)
    return base64.b64encode(press.compress(_bytes(value)) + press.flush()).decode()


def _bytes(value: Json) -> bytes:
    """JSON in UTF-8; lone surrogates, which have no UTF-8 form, become question marks."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode(errors="replace")
