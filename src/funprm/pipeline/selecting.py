"""Best-of-N on the test problems: one choice per problem and selector."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from random import Random

import msgspec

from funprm.config import RunConfig
from funprm.errors import ConfigError, nearest
from funprm.evaluation.aggregation import AGGREGATORS, aggregator
from funprm.evaluation.selection import PUBLIC, Candidate, Selector, parse_selector
from funprm.pipeline.judging import VerdictIndex
from funprm.pipeline.run import Run
from funprm.pipeline.scoring import aggregator_of, score
from funprm.pipeline.stage import Outcome, Stage, derived_records, listed
from funprm.records import Generation, Problem, Score, Selection, Status, Verdict, key_of


def _select(run: Run) -> None:
    """Store every selector's choice for every test problem in `selections.jsonl`."""
    table = candidates_of(run)
    chosen = selectors_of(run, table.values())
    run.progress.start("select", len(table) * len(chosen))

    def choices() -> Iterator[Selection]:
        for selector in chosen:
            for problem_id, candidates in table.items():
                yield choice(run, selector, problem_id, candidates)
                run.progress.advance()

    run.folder.write("selections", choices())


def _hand_selections(run: Run, selections: list[Selection]) -> None:
    run.selections = selections


def _selected(run: Run) -> Outcome:
    solved: dict[str, int] = {}
    for item in run.selections:
        solved[item.selector] = solved.get(item.selector, 0) + (item.passed or 0)
    tests = [p.problem_id for p in run.problems.values() if p.split == "test"]
    chosen_for = {item.problem_id for item in run.selections}
    unknown = sorted({item.problem_id for item in run.selections if item.passed is None})
    return Outcome(
        note=f"{len(solved)} selectors on {len(chosen_for)} problems",
        facts=dict(solved=solved, test_problems=len(tests), problems=len(chosen_for)),
        missing=(
            *listed([n for n in tests if n not in chosen_for], "without a program to choose"),
            *listed(unknown, "left out of the table: a chosen program was not judged"),
        ),
    )


select = Stage(
    name="select",
    after=score,
    work=_select,
    take=derived_records("selections", Selection, _hand_selections),
    tell=_selected,
    settings=lambda run: [asdict(run.config.select), run.config.seed],
)
"""Stores every selector's choice for every test problem in `selections.jsonl`."""


def choice_key(run: Run, selector: str, candidates: Sequence[Candidate]) -> str:
    """The key of a selector's choice: the candidates, what is known of them, and the seed."""
    known = msgspec.to_builtins(candidates)  # `asdict`, without its copies
    for row in known:  # by its older name: choices among ties stay as they are
        row["completion_tokens"] = row.pop("logprob_tokens")
    return key_of("selection", 1, selector, known, run.config.select.aggregator, run.config.seed)


def choice(
    run: Run, selector: Selector, problem_id: str, candidates: Sequence[Candidate]
) -> Selection:
    """A selector's choice for one problem; ties are broken by the run's seed."""
    key = choice_key(run, selector.name, candidates)
    best = candidates[selector(candidates, Random(key))]
    return Selection(
        key=key,
        selector=selector.name,
        problem_id=problem_id,
        n=len(candidates),
        generation=best.generation,
        passed=best.passed,
    )


def candidates_of(run: Run) -> dict[str, list[Candidate]]:
    """The candidates of every test problem, with all that selectors may look at."""
    verdict_index = VerdictIndex(run)
    scores: dict[str, dict[str, Score]] = {}
    for item in run.scores.values():
        scores.setdefault(item.generation, {})[item.model] = item
    table: dict[str, list[Candidate]] = {}
    for generation in run.of_split("test"):
        problem = run.problems[generation.problem_id]
        candidate = _candidate(verdict_index, problem, generation, scores.get(generation.key, {}))
        table.setdefault(problem.problem_id, []).append(candidate)
    return table


def _candidate(
    verdict_index: VerdictIndex, problem: Problem, generation: Generation, scores: dict[str, Score]
) -> Candidate:
    hidden = verdict_index.verdict(problem, "hidden", generation.code)
    public = verdict_index.verdict(problem, "public", generation.code)
    probe = verdict_index.verdict(problem, "probe", generation.code)
    known = {name: item.scores for name, item in scores.items()}
    return candidate(generation, known, hidden, public, probe)


def candidate(
    generation: Generation,
    scores: Mapping[str, tuple[float, ...]],
    hidden: Verdict | None = None,
    public: Verdict | None = None,
    probe: Verdict | None = None,
) -> Candidate:
    """A program with all that selectors may look at.

    Args:
        generation: the program.
        scores: step scores by model.
        hidden: what this suite of its problem says of it; None: not known.
        public: likewise.
        probe: likewise.
    """
    return Candidate(
        generation=generation.key,
        index=generation.index,
        code=generation.code,
        passed=None if hidden is None else hidden.passed,
        public_passed=share(public),
        outputs=None if probe is None else _outputs(probe),
        logprob=generation.logprob,
        logprob_tokens=_logprob_tokens(generation),
        self_certainty=generation.self_certainty,
        scores=scores,
    )


def _logprob_tokens(generation: Generation) -> int:
    """How many tokens the log-probability sums over; 0: unknown.

    Older records lack the count. In those of models in this process, told by their self-certainty,
    every token has a log-probability; servers may have hidden some, so that no mean is known.
    """
    if generation.logprob_tokens or generation.self_certainty is None:
        return generation.logprob_tokens
    return generation.completion_tokens


def share(verdict: Verdict | None) -> float | None:
    """Share of the cases passed, in [0, 1]; None where nothing was judged."""
    if verdict is None or verdict.passed is None:
        return None
    if not verdict.results:
        return float(verdict.passed)
    return sum(r.status is Status.PASSED for r in verdict.results) / max(1, verdict.total)


def _outputs(verdict: Verdict) -> tuple[str, ...]:
    outputs = [""] * verdict.total
    for result in verdict.results:
        if result.status is Status.PASSED:
            outputs[result.index] = result.digest
    return tuple(outputs)


def check_selection(config: RunConfig) -> None:
    """Refuse wrong selection settings before hours of other work.

    Raises:
        ConfigError: a selector, a baseline or the aggregator has a name that stands for nothing.
    """
    aggregator(config.select.aggregator)
    chosen, baseline = config.select.selectors, config.select.baseline
    for name in (baseline, *chosen):
        _check_model(config, name)
        parse_selector(name, AGGREGATORS)
    if chosen and baseline not in chosen:
        raise ConfigError(
            f"select.baseline = {baseline!r} is not among select.selectors "
            f"({', '.join(chosen)}): add it, or name another baseline"
        )


def selectors_of(run: Run, pools: Iterable[Sequence[Candidate]]) -> list[Selector]:
    """The configured selectors, or all that the data allow."""
    names = run.config.select.selectors or tuple(_possible(run, pools))
    models = {name: _model_of(name) for name in names}
    how = {model: aggregator_of(run, model) for model in set(models.values()) if model}
    default = run.config.select.aggregator
    return [
        parse_selector(name, AGGREGATORS, default=how.get(models[name], default)) for name in names
    ]


def _model_of(selector: str) -> str:
    """The model or scorer whose scores a selector goes by; empty: none."""
    base = selector.removeprefix(f"{PUBLIC}+")
    kind, _, rest = base.partition(":")
    return rest.partition(":")[0] if kind in ("score", "majority") else ""


def _check_model(config: RunConfig, selector: str) -> None:
    model, known = _model_of(selector), [*config.models, *config.scorers]
    if model and model not in known:
        hint = nearest(model, known) if known else "there are no models"
        raise ConfigError(
            f"selector {selector!r}: no model {model!r} in [models] or [scorers]; {hint}"
        )


def _possible(run: Run, pools: Iterable[Sequence[Candidate]]) -> Iterator[str]:
    candidates = [candidate for pool in pools for candidate in pool]
    yield "random"
    if any(c.outputs for c in candidates):
        yield "majority"
    if any(c.self_certainty is not None for c in candidates):
        yield "self_certainty"
    public = any(c.public_passed is not None for c in candidates)
    if public:
        yield PUBLIC
    models = [f"score:{name}" for name in run.config.models]
    scorers = [f"score:{name}" for name in run.config.scorers]
    yield from (*models, *scorers)
    if public:
        yield from (f"{PUBLIC}+{name}" for name in ("majority", *models[-1:], *scorers))
    yield "oracle"
