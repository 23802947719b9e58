"""Problems, programs, steps and rollouts: the stages that ask data sets and policies."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

from funprm.errors import DataError, PolicyError
from funprm.interfaces import Policy, Request, Sample
from funprm.pipeline.run import Outcome, Run, stage
from funprm.records import Generation, Problem, Rollout, Steps, key_of, seed_of, shared_fields
from funprm.steps import find_steps
from funprm.store import RecordFile

R = TypeVar("R", Generation, Rollout)

_ENDS = {"length": "cut off", "refused": "refused", "empty": "empty"}
"""What is told of answers that did not end by themselves with a program."""


@stage("load")
def load(run: Run) -> Outcome:
    """Store the data set's problems in `problems.jsonl`."""
    part = run.config.dataset
    run.progress.start("load", 0)
    problems: dict[str, Problem] = {}
    with run.file("problems", Problem) as file:
        stored = {problem.problem_id for problem in file}
        for problem in run.dataset.load():
            if problem.problem_id in problems:
                raise DataError(
                    f"data set {part.name!r} has two problems with the id "
                    f"{problem.problem_id!r}: ids must be unique"
                )
            problems[problem.problem_id] = problem
            if problem.problem_id not in stored:
                file.append(problem)
            run.progress.advance()
    if not problems:
        raise DataError(f"data set {part.name!r} has no problem with these settings")
    run.forget("problems")
    return Outcome(
        note=f"{len(problems)} problems",
        facts=dict(problems=len(problems), keys=key_of(sorted(problems))),
    )


@stage("generate", after="load")
def generate(run: Run) -> Outcome:
    """Sample `generate.n` programs per problem into `generations.jsonl`."""
    identity = dict(run.policy.identity())
    label = str(identity.get("model", run.config.needed_policy().name))
    requests = [
        _request("generation", identity, run, problem, "", index)
        for problem in run.problems.values()
        for index in range(run.config.generate.n)
    ]
    indices = {r.key: r for r in requests}

    def record(sample: Sample) -> Generation:
        request = indices[sample.key]
        values = shared_fields(sample, Generation)
        values["text"] = sample.text if sample.text != sample.code else ""
        return Generation(
            **values, problem_id=request.problem.problem_id, index=request.index, policy=label
        )

    unanswered = _sample(run, "generate", run.policy, requests, record, Generation)
    run.forget("generations")
    tokens = sum(g.completion_tokens for g in run.generations.values())
    cost = round(sum(g.cost for g in run.generations.values()), 6)
    ends = Counter(_ENDS[g.finish] for g in run.generations.values() if g.finish in _ENDS)
    odd = "".join(f", {count} {how}" for how, count in ends.items())
    bare = len(run.problems) - len({g.problem_id for g in run.generations.values()})
    if unanswered:  # for good: of a file of recorded programs
        odd += f"; {unanswered} of {len(requests)} programs are not recorded"
        odd += f", {bare} problems have no recorded program" if bare else ""
    return Outcome(
        note=f"{len(run.generations)} programs, {tokens} tokens"
        + (f", cost {cost:.4g}" if cost else "")
        + odd,
        facts=dict(
            programs=len(run.generations),
            unanswered=unanswered,
            problems_without_programs=bare,
            completion_tokens=tokens,
            prompt_tokens=sum(g.prompt_tokens for g in run.generations.values()),
            cost=cost,
            **ends,
        ),
    )


@stage("segment", after="generate")
def segment(run: Run) -> Outcome:
    """Store where the functions of every program end in `steps.jsonl`."""
    with run.file("steps", Steps) as file:
        stored = {steps.key for steps in file}
        run.progress.start("segment", len(run.generations), len(stored))
        for key, generation in run.generations.items():
            if key not in stored:
                ends, names = find_steps(generation.code, max_steps=run.config.rollout.max_steps)
                file.append(Steps(key=key, ends=ends, names=names))
                run.progress.advance()
    run.forget("steps")
    total = sum(len(steps.ends) for steps in run.steps.values())
    return Outcome(
        note=f"{total} steps, {total / max(1, len(run.steps)):.1f} per program",
        facts=dict(programs=len(run.steps), steps=total),
    )


@stage("rollout", after="segment")
def rollout(run: Run) -> Outcome:
    """Complete every distinct prefix `rollout.k` times into `rollouts.jsonl`."""
    prefixes = dict(prefixes_of(run)) if run.config.rollout.k else {}
    identity = dict(run.completer.identity()) if prefixes else {}
    requests = [
        _request("rollout", identity, run, problem, prefix, index)
        for problem, prefix in prefixes.values()
        for index in range(run.config.rollout.k)
    ]
    wanted = {request.key: request for request in requests}

    def record(sample: Sample) -> Rollout:
        request = wanted[sample.key]
        problem_id = request.problem.problem_id
        return Rollout(
            **shared_fields(sample, Rollout),
            problem_id=problem_id,
            prefix=prefix_key(problem_id, request.prefix),
            index=request.index,
        )

    unanswered = 0
    if requests:
        unanswered = _sample(run, "rollout", run.completer, requests, record, Rollout)
    else:
        run.progress.start("rollout", 0)
    run.forget("rollouts")
    return Outcome(
        note=f"{len(run.rollouts)} completions of {len(prefixes)} prefixes",
        facts=dict(
            prefixes=len(prefixes),
            rollouts=len(run.rollouts),
            changed_prefix=sum(not r.kept for r in run.rollouts.values()),
            unanswered=unanswered,
            completion_tokens=sum(r.completion_tokens for r in run.rollouts.values()),
            cost=round(sum(r.cost for r in run.rollouts.values()), 6),
        ),
    )


def prefix_key(problem_id: str, text: str) -> str:
    """Equal prefixes of a problem share their rollouts and their reward."""
    return key_of("prefix", problem_id, text)


def prefixes_of(run: Run) -> Iterator[tuple[str, tuple[Problem, str]]]:
    """Prefix key, problem and text of every step but the last, of the splits rolled out."""
    for generation in run.of_split(*run.config.rollout.splits):
        problem = run.problems[generation.problem_id]
        for end in run.steps[generation.key].ends[:-1]:
            prefix = generation.code[:end]
            yield prefix_key(problem.problem_id, prefix), (problem, prefix)


def _request(
    kind: str, identity: dict[str, object], run: Run, problem: Problem, prefix: str, index: int
) -> Request:
    what = (problem.key, prefix, index, run.config.seed)
    # The policy's identity is no part of the seed: one model has one answer, however it is reached.
    seed = seed_of(kind, *what)
    key = key_of(kind, 1, identity, *what)
    return Request(key=key, problem=problem, index=index, seed=seed, prefix=prefix)


def _sample(
    run: Run,
    stage: str,
    policy: Policy,
    requests: Sequence[Request],
    record: Callable[[Sample], R],
    kind: type[R],
) -> int:
    """Store an answer per request that has none yet; the number left without one.

    Raises:
        PolicyError: some requests were not answered and may be later.
    """
    remaining = iter(requests)
    with run.file("generations" if kind is Generation else "rollouts", kind) as file:
        stored = {item.key for item in file}
        run.progress.start(stage, len(requests), sum(r.key in stored for r in requests))
        while chunk := list(islice(remaining, policy.batch)):
            missing = [request for request in chunk if request.key not in stored]
            if missing:
                asked = chunk if policy.whole_batches else missing
                _store_answers(run, policy, asked, stored, record, file)
    unanswered = sum(request.key not in stored for request in requests)
    if unanswered and not policy.unanswered_is_final:
        raise PolicyError(
            f"{unanswered} of {len(requests)} requests of stage {stage!r} were not answered: "
            "what was answered is stored; run the same command again to ask for the rest"
        )
    return unanswered


def _store_answers(
    run: Run,
    policy: Policy,
    requests: Sequence[Request],
    stored: set[str],
    record: Callable[[Sample], R],
    file: RecordFile[R],
) -> None:
    for sample in policy.sample(requests):
        if sample.key not in stored:
            file.append(record(sample))
            stored.add(sample.key)
            run.progress.advance()
