"""Best-of-N for one request: sample, judge, score, select, with news of each step."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from funprm.commands import one_problem
from funprm.commands.one_problem import FunctionScores, Judgement
from funprm.errors import ConfigError, DataError, ExecutorError
from funprm.evaluation.aggregation import AGGREGATORS
from funprm.evaluation.selection import PUBLIC, parse_selector
from funprm.interfaces import Sample
from funprm.prompts import render_statement
from funprm.records import Generation, Json, Problem, Status, shared_fields
from funprm.serve.errors import HttpError
from funprm.serve.metrics import Metrics
from funprm.serve.scoring import BatchedScorer
from funprm.serve.services import Services
from funprm.serve.upstream import Wanted
from funprm.steps import find_steps, step_texts

News = Callable[[Mapping[str, Json]], None]
"""Told of each step: a JSON object with `type`."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One request for the best of N programs."""

    wanted: Wanted
    selector: str = ""
    """As `funprm.select` knows it; empty: the best that there is information for."""
    choices: int = 1
    """How many programs are wanted of those sampled, best first."""


@dataclass(kw_only=True)
class Candidate:
    """A program with what is known of it."""

    program: Generation
    judgement: Judgement | None = None
    scores: FunctionScores | None = None

    @property
    def text(self) -> str:
        """The whole answer."""
        return self.program.text or self.program.code


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """What came out."""

    candidates: Sequence[Candidate]
    """The chosen ones, best first, then the others in the order of sampling."""
    selector: str
    failures: Sequence[str]
    """Why programs are missing."""

    @property
    def usage(self) -> tuple[int, int]:
        """Prompt and completion tokens of all candidates."""
        programs = [candidate.program for candidate in self.candidates]
        prompt = sum(program.prompt_tokens for program in programs)
        return prompt, sum(program.completion_tokens for program in programs)


def check(asked: Asked, services: Services) -> None:
    """Refuse what cannot be done before anything is paid for.

    Raises:
        HttpError: no upstream, too many programs, or a selector that will know nothing.
        ConfigError: an unknown selector.
    """
    if services.upstream is None:
        message = "this server has no upstream: start it with --upstream URL"
        raise HttpError(404, message, code="no_upstream")
    count, most = asked.wanted.count, services.settings.max_n
    if count > most:
        message = f"{count} programs wanted, this server samples at most {most} per request"
        raise HttpError(400, message, code="too_many_programs", param="budget")
    if asked.choices > count:
        message = f"n is {asked.choices}, more than the budget of {count} programs"
        raise HttpError(400, message, code="invalid_value", param="n")
    if asked.selector:
        _check_selector(asked, services)
    services.require_room()


def _check_selector(asked: Asked, services: Services) -> None:
    base = asked.selector.removeprefix(f"{PUBLIC}+")
    kind = base.partition(":")[0]
    named = base.replace("score", "score:model", 1) if kind == "score" else base
    parse_selector(named, AGGREGATORS)
    problem = asked.wanted.problem
    if kind == "oracle":
        raise ConfigError("selector 'oracle' knows hidden tests, which no request has")
    if kind == "score" and services.scorer is None:
        raise ConfigError("selector 'score' needs a reward model: start the server with --prm")
    if PUBLIC in asked.selector and problem.public is None:
        raise ConfigError(f"selector {asked.selector!r} needs `tests` in the request")


async def best_of_n(asked: Asked, services: Services, tell: News = lambda news: None) -> Chosen:
    """The best of N programs; cancelling it ends sampling and judging.

    Candidates are judged while others are still on their way, and scored together.

    Raises:
        HttpError: no program could be had, or the server has enough to do.
        ExecutorError: the tests cannot be run.
    """
    upstream = services.upstream
    assert upstream is not None
    candidates: list[Candidate] = []
    problem = _judged_problem(asked, services)
    async with services.admitted(), asyncio.TaskGroup() as judging:

        def arrived(index: int, sample: Sample) -> None:
            candidate = Candidate(program=_generation(asked, index, sample))
            candidates.append(candidate)
            tell(_arrival(candidate, services))
            if problem.public or problem.probe:
                judging.create_task(_judge(candidate, problem, services, tell))

        failures = await upstream.sample(asked.wanted, arrived)
        candidates.sort(key=lambda candidate: candidate.program.index)
        if services.scorer is not None:
            await _score(candidates, asked, services.scorer, tell)
    _count(candidates, failures, services.metrics)
    _require_verdicts(candidates)
    return _select(candidates, asked, failures)


def _generation(asked: Asked, index: int, sample: Sample) -> Generation:
    known = shared_fields(sample, Generation)
    policy = asked.wanted.model
    return Generation(**known, problem_id="problem", index=index, policy=policy)


def _judged_problem(asked: Asked, services: Services) -> Problem:
    """The problem with the suites that the choice needs: only `majority` looks at probes."""
    problem = asked.wanted.problem
    if services.scorer is None or "majority" in asked.selector:
        return problem
    return replace(problem, probe=None)


async def _judge(candidate: Candidate, problem: Problem, services: Services, tell: News) -> None:
    candidate.judgement = await services.judge.judge(problem, candidate.program.code)
    tell({"type": "judged", "index": candidate.program.index, **_tests(candidate)})


async def _score(
    candidates: Sequence[Candidate], asked: Asked, scorer: BatchedScorer, tell: News
) -> None:
    statement = render_statement(asked.wanted.problem)
    found = await scorer.score([(statement, c.program.code) for c in candidates])
    for candidate, scores in zip(candidates, found, strict=True):
        candidate.scores = scores
        tell({"type": "scored", "index": candidate.program.index, **_scores(candidate)})


def _count(candidates: Sequence[Candidate], failures: Sequence[str], metrics: Metrics) -> None:
    metrics.candidates.inc(len(candidates))
    metrics.failures.inc(len(failures))
    metrics.prompt_tokens.inc(sum(c.program.prompt_tokens for c in candidates))
    metrics.completion_tokens.inc(sum(c.program.completion_tokens for c in candidates))


def _require_verdicts(candidates: Sequence[Candidate]) -> None:
    """A fault of the judge is no verdict: refuse to choose by tests that nobody ran."""
    public = [c.judgement.public for c in candidates if c.judgement and c.judgement.public]
    if public and all(verdict.status is Status.NOT_JUDGED for verdict in public):
        detail = public[0].detail
        raise ExecutorError(f"the programs could not be judged by the tests: {detail}")


def _select(candidates: list[Candidate], asked: Asked, failures: Sequence[str]) -> Chosen:
    left = list(candidates)
    place, name = _choose(left, asked, asked.selector)
    chosen = [left.pop(place)]
    while left and len(chosen) < asked.choices:
        try:
            place, _ = _choose(left, asked, asked.selector)
        except DataError:  # nothing that this selector looks at is known of those that are left
            place, _ = _choose(left, asked, "")
        chosen.append(left.pop(place))
    return Chosen(candidates=[*chosen, *left], selector=name, failures=failures)


def _choose(candidates: Sequence[Candidate], asked: Asked, selector: str) -> tuple[int, str]:
    scores = [c.scores for c in candidates if c.scores is not None]
    verdicts = [c.judgement for c in candidates if c.judgement is not None]
    return one_problem.choose(
        [candidate.program for candidate in candidates],
        scores if any(found.values for found in scores) else None,
        verdicts or None,
        selector,
        asked.wanted.seed or 0,
    )


# --- what is told ----------------------------------------------------------------------------


def described(chosen: Chosen, choices: int) -> dict[str, Json]:
    """All that is known of the candidates but their texts; by number, the chosen ones marked."""
    best = {candidate.program.index for candidate in chosen.candidates[:choices]}
    rows = [
        {
            "index": candidate.program.index,
            "chosen": candidate.program.index in best,
            "finish": candidate.program.finish,
            "prompt_tokens": candidate.program.prompt_tokens,
            "completion_tokens": candidate.program.completion_tokens,
            **_tests(candidate),
            **_scores(candidate),
        }
        for candidate in sorted(chosen.candidates, key=lambda c: c.program.index)
    ]
    return {
        "selector": chosen.selector,
        "selected_index": chosen.candidates[0].program.index,
        "candidates": rows,
        "failures": list(chosen.failures),
    }


def _arrival(candidate: Candidate, services: Services) -> dict[str, Json]:
    program, scorer = candidate.program, services.scorer
    ends, names = scorer.model.cut(program.code) if scorer else find_steps(program.code)
    pairs = zip(names, step_texts(program.code, ends), strict=True)
    steps = [{"name": name, "text": text} for name, text in pairs]
    return {"type": "sample", "index": program.index, "finish": program.finish, "steps": steps}


def _tests(candidate: Candidate) -> dict[str, Json]:
    """Share of the tests passed, and the verdict on each; None: not judged, or no tests."""
    judgement = candidate.judgement
    if judgement is None or judgement.public is None:
        return {"tests": None, "statuses": []}
    statuses = [result.status.value for result in judgement.public.results]
    detail = judgement.public.detail
    return {"tests": judgement.public_passed, "statuses": statuses, "detail": detail}


def _scores(candidate: Candidate) -> dict[str, Json]:
    scores = candidate.scores
    if scores is None:
        return {"score": None, "functions": []}
    known: Sequence[float | None] = scores.values or [None] * len(scores.names)
    pairs = zip(scores.names, known, strict=True)
    return {"score": scores.score, "functions": [{"name": n, "score": s} for n, s in pairs]}
