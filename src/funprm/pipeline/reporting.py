"""The table, the curves and the report: what a run shows in the end."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median_low

import msgspec

from funprm.config import ComponentConfig, RunConfig
from funprm.disk import write_atomically
from funprm.evaluation.comparison import Curve, Outcomes, compare, contrasts, curve, outcomes
from funprm.evaluation.selection import Candidate, Selector
from funprm.pipeline.judging import VerdictIndex
from funprm.pipeline.model_cards import write_cards
from funprm.pipeline.run import Run
from funprm.pipeline.selecting import candidates_of, choice_key, select, selectors_of
from funprm.pipeline.stage import Outcome, Stage, derived
from funprm.pipeline.training import corrected_rewards, model_folder
from funprm.records import Json, Reward, Score, Status
from funprm.report.data import (
    CandidateView,
    Cost,
    FunctionView,
    ProblemView,
    ReportData,
    RewardPoint,
    TrainingCurve,
    summary,
)
from funprm.report.html import write_report
from funprm.report.picture import write_picture
from funprm.report.text import render
from funprm.steps import step_texts

Pools = Mapping[str, Sequence[Candidate]]


@dataclass(frozen=True, repr=False)
class RunResult:
    """What a run leaves; it prints its table."""

    folder: Path

    @property
    def table(self) -> str:
        """The table of all selectors, as text."""
        return (self.folder / "table.txt").read_text(encoding="utf-8")

    @property
    def report(self) -> Path:
        """The report, one HTML file."""
        return self.folder / "report.html"

    @property
    def summary(self) -> Mapping[str, Json]:
        """The content of `summary.json`: table, differences, curves, costs, what is missing."""
        found: Mapping[str, Json] = json.loads(self.json())
        return found

    def __repr__(self) -> str:
        return self.text()

    def text(self) -> str:
        """The table, and where the report is."""
        return f"{self.table}\nreport: {self.report}"

    def json(self) -> str:
        """The text of `summary.json`."""
        return (self.folder / "summary.json").read_text(encoding="utf-8").rstrip()


def _report(run: Run) -> None:
    """Write `report.html`, `summary.json`, `table.txt`, `curves.png`; add to the models' cards."""
    run.progress.start("report", 0)
    pools = candidates_of(run)
    chosen = selectors_of(run, pools.values())
    data = report_data(run, pools, chosen)
    folder = run.folder.path
    text = msgspec.json.format(msgspec.json.encode(summary(data)), indent=1)
    write_atomically(folder / "summary.json", text + b"\n")
    write_atomically(folder / "table.txt", render(data, plain=True).encode())
    write_picture(data, folder / "curves.png")
    write_report(data, folder / "report.html")
    write_cards(run, data)


def _files(run: Run) -> list[Path]:
    names = ("summary.json", "table.txt", "curves.png", "report.html")
    return [run.folder.path / name for name in names]


report = Stage(
    name="report",
    after=select,
    work=_report,
    take=derived(_files),
    tell=lambda run: Outcome(note=str(run.folder.path / "report.html"), facts={}),
    settings=lambda run: [run.config.title, _settings(run.config), _missing(run)],
)
"""Writes `report.html`, `summary.json`, `table.txt` and `curves.png`."""


def _missing(run: Run) -> dict[str, tuple[str, ...]]:
    """What stages could not have, by stage."""
    return {name: o.missing for name, o in run.outcomes.items() if o.missing}


def report_data(run: Run, pools: Pools, chosen: Sequence[Selector]) -> ReportData:
    """Everything that the report shows."""
    results = _outcomes(run, pools, chosen)
    settings = {"resamples": run.config.select.bootstrap, "seed": run.config.seed}
    difficulties = [run.problems[problem_id].difficulty for problem_id in pools]
    table = compare(results, difficulties, baseline=run.config.select.baseline, **settings)
    studied = _highlight(run.config, chosen)
    corrected = {name: corrected_rewards(run, name) for name in run.config.models}
    return ReportData(
        title=run.config.title,
        baseline=run.config.select.baseline,
        table=table.rows,
        highlight=studied,
        contrasts=contrasts(results, studied, **settings) if studied else (),
        settings=_settings(run.config),
        splits=_splits(run),
        costs=tuple(_costs(run)),
        curves=tuple(_curves(run, pools, chosen)),
        rewards=tuple(_reward_points(run, corrected)),
        training=tuple(_training_curves(run)),
        problems=tuple(_problem_views(run, pools, corrected)),
        resolution=table.resolution,
        left_out=table.left_out,
        missing=_missing(run),
    )


def _outcomes(run: Run, pools: Pools, chosen: Sequence[Selector]) -> list[Outcomes]:
    return [
        outcomes(selector, list(pools.values()), _choices(run, selector, pools))
        for selector in chosen
    ]


def _choices(run: Run, selector: Selector, pools: Pools) -> list[int]:
    """The position of the stored choice in every pool."""
    stored = {item.key: item for item in run.selections}
    chosen = []
    for pool in pools.values():
        key = stored[choice_key(run, selector.name, pool)].generation
        chosen.append(next(i for i, c in enumerate(pool) if c.generation == key))
    return chosen


def _curves(run: Run, pools: Pools, chosen: Sequence[Selector]) -> Iterator[Curve]:
    judged = [sum(c.passed is not None for c in pool) for pool in pools.values()]
    largest = median_low(count for count in judged if count)  # few gaps do not shorten the curve
    sizes = [2**i for i in range(largest.bit_length()) if 2**i <= largest]
    for selector in chosen:
        yield curve(
            selector,
            list(pools.values()),
            sizes if sizes[-1] == largest else [*sizes, largest],
            resamples=run.config.select.bootstrap,
            seed=run.config.seed,
        )


def _highlight(config: RunConfig, chosen: Sequence[Selector]) -> str:
    """The last model that corrects its rewards, if there is one."""
    wanted = [f"score:{name}" for name, model in config.models.items() if model.corrects]
    return next((s.name for s in reversed(chosen) if s.name in wanted), "")


def _settings(config: RunConfig) -> dict[str, str]:
    shown = {
        "data set": config.dataset,
        "policy": config.needed_policy(),
        "completer": config.completer or config.needed_policy(),
        "executor": config.executor,
    }
    return {
        **{name: _shown(part) for name, part in shown.items()},
        "programs per problem": str(config.generate.n),
        "completions per prefix": str(config.rollout.k),
        "aggregator": config.select.aggregator,
        "models": "; ".join(f"{n} ({m.summary})" for n, m in config.models.items()) or "none",
        **({"scorers": _scorers(config)} if config.scorers else {}),
        "seed": str(config.seed),
    }


def _shown(part: ComponentConfig) -> str:
    return " ".join([part.name, *(f"{k}={v}" for k, v in part.options.items())])


def _scorers(config: RunConfig) -> str:
    return "; ".join(f"{name} ({_shown(part)})" for name, part in config.scorers.items())


def _splits(run: Run) -> dict[str, int]:
    counts: dict[str, int] = {}
    for problem in run.problems.values():
        counts[problem.split] = counts.get(problem.split, 0) + 1
    return counts


_ITEMS = {
    "generate": "programs",
    "rollout": "rollouts",
    "execute": "programs",
    "train": "",
    "score": "scores",
}


def _costs(run: Run) -> Iterator[Cost]:
    for name, items in _ITEMS.items():
        facts = run.outcomes[name].facts
        yield Cost(
            stage=name,
            items=int(facts.get(items, 0)),
            tokens=int(facts.get("completion_tokens", 0)) + int(facts.get("prompt_tokens", 0)),
            seconds=run.seconds(name),
            money=float(facts.get("cost", 0.0)),
        )


def _reward_points(run: Run, corrected: Mapping[str, dict[str, float]]) -> Iterator[RewardPoint]:
    """Raw and corrected reward of every prefix that the last correcting model moved."""
    table = _last_table(corrected)
    seen: set[str] = set()
    for item in run.rewards:
        if item.n and not item.final and item.prefix in table and item.prefix not in seen:
            seen.add(item.prefix)
            yield RewardPoint(k=item.k, n=item.n, corrected=table[item.prefix])


def _last_table(corrected: Mapping[str, dict[str, float]]) -> dict[str, float]:
    """The corrected rewards of the last model that has some."""
    return next((found for found in list(corrected.values())[::-1] if found), {})


def _training_curves(run: Run) -> Iterator[TrainingCurve]:
    """Loss and validation accuracy of every model; the correcting phase is not part of it."""
    for name in run.config.models:
        from funprm.prm.records import read_curves

        points = [p for p in read_curves(model_folder(run, name)) if p.phase != "correct"]
        kept = run.trained[name]["best_step"]
        chosen = next((point.epoch for point in points if point.step == kept), None)
        loss = tuple((point.epoch, point.loss) for point in points)
        accuracy = tuple((p.epoch, p.validation.criterion) for p in points if p.validation)
        yield TrainingCurve(model=name, measure="training loss", points=loss, chosen=chosen)
        if accuracy:
            yield TrainingCurve(
                model=name, measure="validation accuracy", points=accuracy, chosen=chosen
            )


def _problem_views(
    run: Run, pools: Pools, corrected: Mapping[str, dict[str, float]]
) -> Iterator[ProblemView]:
    views = _Views(run, _last_table(corrected))
    for problem_id, pool in pools.items():
        problem = run.problems[problem_id]
        yield ProblemView(
            problem_id=problem_id,
            statement=problem.statement,
            difficulty=problem.difficulty,
            candidates=tuple(views.candidate(candidate) for candidate in pool),
        )


class _Views:
    """Candidates as the report's pages show them."""

    def __init__(self, run: Run, corrected: Mapping[str, float]) -> None:
        self.run = run
        self.corrected = corrected
        self.verdict_index = VerdictIndex(run)
        self.scores: dict[str, list[Score]] = {}
        self.rewards: dict[str, dict[int, Reward]] = {}
        self.chosen_by: dict[str, list[str]] = {}
        for score in run.scores.values():
            self.scores.setdefault(score.generation, []).append(score)
        for item in run.rewards:
            self.rewards.setdefault(item.generation, {})[item.step] = item
        for choice in run.selections:
            self.chosen_by.setdefault(choice.generation, []).append(choice.selector)

    def candidate(self, candidate: Candidate) -> CandidateView:
        """One candidate with its verdict and functions."""
        generation = self.run.generations[candidate.generation]
        problem = self.run.problems[generation.problem_id]
        verdict = self.verdict_index.verdict(problem, "hidden", generation.code)
        return CandidateView(
            index=candidate.index,
            verdict=verdict.status if verdict else Status.NOT_JUDGED,
            detail=verdict.detail if verdict else "",
            selected_by=tuple(self.chosen_by.get(candidate.generation, ())),
            functions=tuple(self._functions(candidate.generation)),
        )

    def _functions(self, key: str) -> Iterator[FunctionView]:
        steps = self.run.steps[key]
        code = self.run.generations[key].code
        rewards = self.rewards.get(key, {})
        for i, (name, text) in enumerate(
            zip(steps.names, step_texts(code, steps.ends), strict=True)
        ):
            item = rewards.get(i)
            yield FunctionView(
                text=text,
                name=name,
                scores=self._scores(key, i, len(steps.names)),
                k=item.k if item else 0,
                n=item.n if item else 0,
                corrected=self.corrected.get(item.prefix) if item and not item.final else None,
            )

    def _scores(self, key: str, step: int, steps: int) -> dict[str, float]:
        """Scores at a step, by model; one alone, of the complete program, stands at the last."""
        found = {}
        for item in self.scores.get(key, ()):
            if len(item.scores) == steps:
                found[item.model] = item.scores[step]
            elif item.scores and step == steps - 1:
                found[item.model] = item.scores[-1]
        return found


def read_result(run: Run) -> RunResult:
    """What a finished run prints."""
    report.require(run)
    return RunResult(run.folder.path)
