"""What a report shows, as plain frozen data, and its machine-readable summary.

Shares are in [0, 1]; they become per cent when they are written. Times are seconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from funprm.evaluation.comparison import Contrast, Curve, TableRow
from funprm.evaluation.significance import LEVEL, POWER, Resolution
from funprm.evaluation.statistics import Interval, McNemar
from funprm.records import SCHEMA, Json


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """What one stage of the run used."""

    stage: str
    items: int = 0
    """Programs, rollouts or verdicts that the stage made."""
    tokens: int = 0
    """Prompt and completion tokens."""
    seconds: float = 0.0
    money: float = 0.0
    """In the currency of the policy's price list."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RewardPoint:
    """One prefix's Monte-Carlo reward k/n beside its corrected one."""

    k: int
    n: int
    corrected: float


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingCurve:
    """One measure of one reward model in training, such as `train loss`, over epochs."""

    model: str
    measure: str
    points: tuple[tuple[float, float], ...]
    chosen: float | None = None
    """Epoch of the checkpoint that is kept."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FunctionView:
    """One step of a candidate."""

    text: str
    name: str = ""
    scores: Mapping[str, float] = field(default_factory=dict)
    """By reward model; empty where the program did not fit."""
    k: int = 0
    n: int = 0
    """k of n judged completions passed; n is 0 without rollouts."""
    corrected: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class CandidateView:
    """One candidate program of a problem."""

    index: int
    verdict: str
    """A `records.Status` value."""
    functions: tuple[FunctionView, ...]
    detail: str = ""
    """A short excerpt of what went wrong."""
    selected_by: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class ProblemView:
    """One problem with all its candidates."""

    problem_id: str
    statement: str
    candidates: tuple[CandidateView, ...]
    difficulty: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportData:
    """Everything a report shows."""

    title: str
    baseline: str
    """The selector that all others are compared with."""
    table: tuple[TableRow, ...]
    highlight: str = ""
    """The selector under study; empty: the most accurate one but for the oracle."""
    settings: Mapping[str, str] = field(default_factory=dict)
    splits: Mapping[str, int] = field(default_factory=dict)
    """Number of problems by split."""
    contrasts: tuple[Contrast, ...] = ()
    """The selector under study (`focus`) against each other one."""
    costs: tuple[Cost, ...] = ()
    curves: tuple[Curve, ...] = ()
    rewards: tuple[RewardPoint, ...] = ()
    training: tuple[TrainingCurve, ...] = ()
    problems: tuple[ProblemView, ...] = ()
    resolution: Resolution | None = None
    """The smallest difference that the table's problems can show."""
    left_out: int = 0
    """Test problems outside the table because a chosen program was not judged."""
    missing: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What could not be had, and why, by stage."""

    @property
    def focus(self) -> str:
        """The selector under study: `highlight`, or the most accurate one but for the oracle."""
        if self.highlight:
            return self.highlight
        rows = [r for r in self.table if not r.selector.endswith("oracle")]
        return max(rows, key=lambda r: r.accuracy.estimate).selector if rows else ""


def summary(data: ReportData) -> dict[str, Json]:
    """The table, curves, costs and splits as plain JSON (`summary.json`); no programs."""
    return {
        "schema": SCHEMA,
        "title": data.title,
        "baseline": data.baseline,
        "highlight": data.focus,
        "settings": dict(data.settings),
        "splits": dict(data.splits),
        "left_out": data.left_out,
        "missing": {stage: list(phrases) for stage, phrases in data.missing.items()},
        "resolution": _resolution(data.resolution),
        "table": [_row(row) for row in data.table],
        "contrasts": [_contrast(contrast) for contrast in data.contrasts],
        "curves": [_curve(curve) for curve in data.curves],
        "costs": [
            {
                "stage": c.stage,
                "items": c.items,
                "tokens": c.tokens,
                "seconds": c.seconds,
                "money": c.money,
            }
            for c in data.costs
        ],
    }


def _resolution(resolution: Resolution | None) -> dict[str, Json] | None:
    if resolution is None:
        return None
    return {
        "problems": resolution.problems,
        "discordant": resolution.discordant,
        "difference": resolution.difference,
        "power": POWER,
        "level": LEVEL,
    }


def _interval(interval: Interval) -> dict[str, Json]:
    return {"estimate": interval.estimate, "low": interval.low, "high": interval.high}


def _row(row: TableRow) -> dict[str, Json]:
    return {
        "selector": row.selector,
        "n": row.n,
        "solved": row.solved,
        "problems": row.problems,
        "accuracy": _interval(row.accuracy),
        "by_difficulty": {
            name: {"problems": part.problems, "accuracy": part.accuracy}
            for name, part in row.by_difficulty.items()
        },
        "difference": _interval(row.difference) if row.difference else None,
        "mcnemar": _test(row.mcnemar, "selector", "baseline"),
        "p_holm": row.adjusted,
        "uninformed": row.uninformed,
    }


def _contrast(contrast: Contrast) -> dict[str, Json]:
    return {
        "selector": contrast.selector,
        "difference": _interval(contrast.difference),
        "mcnemar": _test(contrast.mcnemar, "focus", "selector"),
        "p_holm": contrast.adjusted,
    }


def _test(test: McNemar | None, first: str, second: str) -> dict[str, Json] | None:
    if test is None:
        return None
    return {"p": test.p, f"only_{first}": test.only_first, f"only_{second}": test.only_second}


def _curve(curve: Curve) -> dict[str, Json]:
    points = [{"n": n, **_interval(interval)} for n, interval in curve.points]
    return {"selector": curve.selector, "problems": curve.problems, "points": points}
