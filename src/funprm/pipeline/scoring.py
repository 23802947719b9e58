"""The stage `score`: every test candidate by every model of the run, and by every scorer."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from funprm import registry
from funprm.errors import DataError
from funprm.interfaces import PaidScores, Scorer
from funprm.pipeline.run import Run
from funprm.pipeline.stage import Grown, Outcome, Stage, unused
from funprm.pipeline.training import labelled_program, model_folder, train
from funprm.records import Generation, Json, Score, key_of
from funprm.scorers.saved_prm import SavedPrm


def scorers_of(run: Run) -> Iterator[tuple[str, Scorer]]:
    """The trained models and the configured scorers, with their names.

    They are made as they are asked for, so that the weights of one alone are in memory.
    """
    for name in run.config.models:
        yield name, SavedPrm(str(model_folder(run, name) / "model"))
    for name in run.config.scorers:
        yield name, scorer_of(run, name)


def scorer_of(run: Run, name: str) -> Scorer:
    """A scorer of the configuration."""
    part = run.config.scorers[name]
    scorer: Scorer = registry.build("scorers", part.name, part.options)
    return scorer


def aggregator_of(run: Run, name: str) -> str:
    """How the step scores of a model or scorer become one number."""
    wanted = run.config.select.aggregator
    if name in run.config.models:
        return run.config.models[name].aggregator(wanted)
    return getattr(scorer_of(run, name), "aggregator", "") or wanted


def _score(run: Run) -> None:
    """Score every test candidate with every model and scorer into `scores.jsonl`."""
    generations = _candidates(run)
    parts = len(run.config.models) + len(run.config.scorers)
    run.progress.start("score", len(generations) * parts)
    for name, scorer in scorers_of(run):
        score_with(run, name, scorer, generations)


def score_with(run: Run, name: str, scorer: Scorer, generations: list[Generation]) -> None:
    """Store the scores of generations that have none by this scorer, each the moment it exists.

    Equal programs of a problem are scored once.

    Args:
        run: gets the scores' lines.
        name: of the scorer.
        scorer: scores programs.
        generations: whose steps are scored.

    Raises:
        DataError: the scorer gave scores that are none.
    """
    keys = score_keys(run, name, scorer.identity(), generations)
    with run.file("scores", Score) as file:
        stored = {item.key for item in file}
        wanted: dict[tuple[str, str], list[tuple[str, Generation]]] = {}
        for key, generation in zip(keys, generations, strict=True):
            if key not in stored:
                same = wanted.setdefault((generation.problem_id, generation.code), [])
                same.append((key, generation))
        run.progress.advance(len(keys) - sum(map(len, wanted.values())))
        programs = [labelled_program(run, same[0][1]) for same in wanted.values()]
        for same, scores in zip(wanted.values(), scorer.score(programs), strict=True):
            if scores is not None:
                _check(name, scores, len(run.steps[same[0][1].key].ends))
                file.append(*_records(name, same, scores))
            run.progress.advance(len(same))


def _records(
    name: str, same: list[tuple[str, Generation]], scores: tuple[float, ...]
) -> Iterator[Score]:
    """The records of equal programs; the first one has what they cost."""
    paid = scores if isinstance(scores, PaidScores) else PaidScores(scores)
    for number, (key, generation) in enumerate(same):
        yield Score(
            key=key,
            model=name,
            generation=generation.key,
            scores=tuple(paid),
            tokens=0 if number else paid.tokens,
            cost=0.0 if number else paid.cost,
        )


def _check(name: str, scores: tuple[float, ...], steps: int) -> None:
    """Refuse what no selector could use, before it is stored."""
    if len(scores) not in (0, 1, steps):
        raise DataError(
            f"scorer {name!r} gave {len(scores)} scores for a program of {steps} steps: expected "
            "one per step, one for the whole program, or none"
        )
    wrong = [score for score in scores if not 0.0 <= score <= 1.0]
    if wrong:
        raise DataError(
            f"scorer {name!r} gave the score {wrong[0]}, which is not in [0, 1]: it must map its "
            "logits, for instance by a sigmoid"
        )


def score_keys(
    run: Run, name: str, identity: Mapping[str, Json], generations: Iterable[Generation]
) -> list[str]:
    """The keys of a scorer's scores: scorer, generation, and what is read of it."""
    reader = key_of(name, dict(identity))
    return [key_of("score", 2, reader, g.key, g.code, run.steps[g.key].ends) for g in generations]


def _candidates(run: Run) -> list[Generation]:
    """The programs that this process scores."""
    return [g for g in run.of_split("test") if run.takes("score", g.problem_id)]


def _planned(run: Run) -> Iterator[tuple[str, str]]:
    generations = _candidates(run)
    for name, scorer in scorers_of(run):
        keys = score_keys(run, name, scorer.identity(), generations)
        yield from zip(keys, (g.problem_id for g in generations), strict=True)


def hand_scores(run: Run, scores: dict[str, Score]) -> None:
    """Give the run the scores that its plan asks for."""
    run.scores = scores


def scored(run: Run) -> Outcome:
    """How many programs have scores, what they cost, and which could not be had."""
    found = run.scores.values()
    unfit = Counter(item.model for item in found if not item.scores)
    had = Counter(item.model for item in found)
    wanted = len(_candidates(run))
    absent = {n: wanted - had[n] for n in (*run.config.models, *run.config.scorers)}
    tokens, cost = sum(item.tokens for item in found), sum(item.cost for item in found)
    paid = f", {tokens:,} tokens" * bool(tokens) + f", cost {cost:.4g}" * bool(cost)
    return Outcome(
        note=f"{len(found)} programs scored{paid}, {unfit.total()} did not fit"
        + unused(run, "scores"),
        facts={
            "scores": len(found),
            "unfit": unfit.total(),
            **({"prompt_tokens": tokens, "cost": cost} if tokens or cost else {}),
        },
        missing=(
            *(f"{name}: {n} programs do not fit its input" for name, n in unfit.items()),
            *(
                f"{name}: {n} programs have no score (faults; the same command asks again)"
                for name, n in absent.items()
                if n
            ),
        ),
    )


score: Stage = Stage(
    name="score",
    after=train,
    work=_score,
    take=Grown(file="scores", kind=Score, plan=_planned, hand=hand_scores),
    tell=scored,
    tries_again=True,
)
"""Scores every test candidate with every model and scorer into `scores.jsonl`."""
