"""Words and numbers as people read them: on the page, in the picture and in the terminal."""

from collections.abc import Mapping

from funprm.evaluation.significance import LEVEL, POWER, Resolution
from funprm.evaluation.statistics import FEW, Interval, McNemar
from funprm.report.data import ReportData

MINUS = "\N{MINUS SIGN}"
DASH = "\N{EN DASH}"

_SELECTORS: Mapping[str, str] = {
    "random": "One sample",
    "oracle": "Oracle",
    "public_tests": "Public tests",
    "majority": "Majority of outputs",
    "self_certainty": "Self-certainty",
    "likelihood": "Likelihood",
}

_MODELS: Mapping[str, str] = {
    "orm": "Outcome model",
    "orm-pairs": "Outcome model, in pairs",
    "prm": "PRM, uncorrected",
    "joint": "PRM, joint",
    "table": "PRM, the paper's correction",
    "funprm": "FunPRM",
}

COLUMNS: Mapping[str, str] = {
    "N": "candidate programs per problem that the selector chooses from.",
    "Accuracy": "share of test problems whose chosen program passes all hidden tests, expected "
    "over ties, with its 95 % interval (BCa bootstrap over problems).",
    "Difference": "accuracy minus the baseline's on the same problems, in percentage points, with "
    "its 95 % interval (paired bootstrap); too narrow where few problems are won or lost: go by p.",
    "Won / lost": "problems that only this selector's choice solves / only the baseline's, with "
    "ties broken once, at random.",
    "p": "exact two-sided McNemar test of won against lost; not adjusted for the number of rows.",
    "Holm": "p adjusted for the number of rows, the oracle's apart (Holm's method): of all rows "
    "below 0.05 together, one is wrong with a chance of at most 5 %.",
    "Random": "problems where the selector's information was missing, so that it chose at random.",
}
"""What the columns of the table mean, over `statistics.FEW` problems or more."""

_FEW: Mapping[str, str] = {
    "Accuracy": "share of test problems whose chosen program passes all hidden tests, expected "
    f"over ties, with its 95 % interval (exact binomial: fewer than {FEW} problems).",
    "Difference": "accuracy minus the baseline's on the same problems, in percentage points, with "
    f"its 95 % interval (exact bounds: fewer than {FEW} problems).",
}


def columns(problems: int) -> Mapping[str, str]:
    """What the columns of a table over so many problems mean."""
    return COLUMNS if problems >= FEW else {**COLUMNS, **_FEW}


def model_label(model: str) -> str:
    """A reward model's name for people.

    >>> model_label("orm"), model_label("my-model")
    ('Outcome model', 'my-model')
    """
    return _MODELS.get(model, model)


def selector_label(selector: str) -> str:
    """A selector's name for people.

    >>> selector_label("public_tests+score:funprm:min")
    'Public tests, then FunPRM (min)'
    """
    base = selector.removeprefix("public_tests+")
    if base != selector:
        return f"Public tests, then {_lower(selector_label(base))}"
    if base.startswith("majority:"):
        return f"Majority weighted by {selector_label('score:' + base.removeprefix('majority:'))}"
    if not base.startswith("score:"):
        return _SELECTORS.get(base, base)
    model, colon, aggregator = base.removeprefix("score:").rpartition(":")
    return f"{model_label(model)} ({aggregator})" if colon else model_label(aggregator)


def model_of(selector: str) -> str:
    """The reward model that a selector reads; empty: none.

    >>> model_of("public_tests+score:funprm:min"), model_of("majority")
    ('funprm', '')
    """
    kind, _, rest = selector.removeprefix("public_tests+").partition(":")
    return rest.partition(":")[0] if kind == "score" else ""


def percent(share: float | None, digits: int = 1) -> str:
    """A share in [0, 1] as per cent, without the sign; a dash for None.

    >>> percent(0.7251), percent(None)
    ('72.5', '–')
    """
    return DASH if share is None else f"{100 * share:.{digits}f}"


def points(difference: float) -> str:
    """A signed difference of shares in percentage points.

    >>> points(0.0382), points(-0.01), points(0.0)
    ('+3.8', '−1.0', '0.0')
    """
    text = f"{100 * difference:+.1f}"
    return "0.0" if float(text) == 0.0 else text.replace("-", MINUS)


def bounds(interval: Interval, *, signed: bool = False) -> str:
    """The two bounds of an interval of shares.

    >>> bounds(Interval(0.5, 0.4, 0.6)), bounds(Interval(0.0, -0.1, 0.1), signed=True)
    ('40.0–60.0', '−10.0 to +10.0')
    """
    if signed:
        return f"{points(interval.low)} to {points(interval.high)}"
    return f"{percent(interval.low)}{DASH}{percent(interval.high)}"


def p_value(test: McNemar | None) -> str:
    """A p-value with what precision it deserves.

    >>> p_value(McNemar(0.0625, 5, 0)), p_value(McNemar(0.00001, 30, 2)), p_value(None)
    ('0.0625', '<0.001', '–')
    """
    if test is None:
        return DASH
    if test.p < 0.001:
        return "<0.001"
    return f"{test.p:.4f}" if test.p < 0.1 else f"{test.p:.2f}"


def adjusted(p: float | None) -> str:
    """An adjusted p-value as `p_value` writes it.

    >>> adjusted(0.03125), adjusted(None)
    ('0.0312', '–')
    """
    return p_value(None if p is None else McNemar(p, 0, 0))


def resolution(found: Resolution, sides: str = "two selectors") -> str:
    """What a set of problems can show of two sides, as a sentence.

    >>> resolution(Resolution(problems=5, discordant=0.2, difference=None))
    '5 problems can show no difference at p < 0.05.'
    """
    where = f"where {sides} differ on {percent(found.discordant)} % of them"
    if found.difference is None:
        return f"{found.problems:,} problems can show no difference at p < {LEVEL}."
    return (
        f"{found.problems:,} problems can show differences of {100 * found.difference:.1f} points "
        f"or more ({100 * POWER:.0f} % power at p < {LEVEL}, {where})."
    )


def won_lost(test: McNemar | None) -> str:
    """Discordant problems.

    >>> won_lost(McNemar(0.0625, 5, 0))
    '5 / 0'
    """
    return DASH if test is None else f"{test.only_first} / {test.only_second}"


def amount(number: float) -> str:
    """A large count, short.

    >>> amount(950), amount(12_345), amount(3_400_000)
    ('950', '12.3k', '3.4M')
    """
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if number >= size:
            return f"{number / (1e3 if unit == 'k' else size):.1f}{unit}"
    return f"{number:.0f}"


def duration(seconds: float) -> str:
    """A time span.

    >>> duration(7.31), duration(754), duration(9000)
    ('7.3 s', '12 min 34 s', '2 h 30 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def headline(data: ReportData) -> str:
    """What the run says of the selector under study, in one or two sentences; empty if nothing."""
    row = next((r for r in data.table if r.selector == data.focus), None)
    if row is None:
        return ""
    text = (
        f"{selector_label(row.selector)} solves {percent(row.accuracy.estimate)} % of "
        f"{row.problems:,} problems (95 % interval {bounds(row.accuracy)})"
    )
    if row.difference is None or row.mcnemar is None:
        return text + "."
    gain, test = row.difference, row.mcnemar
    p = p_value(test)
    text += (
        f": {points(gain.estimate)} points against {_lower(selector_label(data.baseline))} "
        f"({bounds(gain, signed=True)}; {test.only_first} won, {test.only_second} lost, "
        f"p {p if p.startswith('<') else '= ' + p})."
    )
    if gain.low <= 0.0 <= gain.high or test.p >= 0.05:
        text += " These problems do not tell the two apart."
    return text


def _lower(label: str) -> str:
    """Lower-case first letter, but for names such as PRM and FunPRM."""
    second = label[1:2]
    return (
        label if second.isupper() or label.startswith("FunPRM") else label[:1].lower() + label[1:]
    )
