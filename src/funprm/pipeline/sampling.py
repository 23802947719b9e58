"""Programs, steps and rollouts: the stages that ask policies."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TypeVar

from funprm.errors import PolicyError
from funprm.interfaces import Policy, Request, Sample
from funprm.pipeline.loading import load
from funprm.pipeline.run import Run
from funprm.pipeline.stage import Grown, Outcome, Stage, derived_records, listed, unused
from funprm.policies.asking import answers
from funprm.records import (
    Generation,
    Json,
    Problem,
    Rollout,
    Steps,
    key_of,
    seed_of,
    shared_fields,
)
from funprm.steps import STEP_RULE, blank_lines_after, find_steps

R = TypeVar("R", Generation, Rollout)

_ENDS = {"length": "cut off", "refused": "refused", "empty": "empty"}
"""What is told of answers that did not end by themselves with a program."""


# --- generate --------------------------------------------------------------------------------


def _asked(run: Run) -> list[Problem]:
    """The problems that this process has programs written for."""
    return [p for p in run.problems.values() if run.takes("generate", p.problem_id)]


def _program_requests(run: Run) -> Iterator[Request]:
    identity = run.policy.identity()
    for problem in _asked(run):
        for index in range(run.config.generate.n):
            yield _request("generation", identity, run, problem, "", index)


def _generate(run: Run) -> None:
    """Sample the programs that are not stored into `generations.jsonl`."""
    requests = list(_program_requests(run))
    indices = {r.key: r for r in requests}
    name = run.config.policy.name if run.config.policy else type(run.policy).__name__
    label = str(run.policy.identity().get("model", name))

    def record(sample: Sample) -> Generation:
        request = indices[sample.key]
        values = shared_fields(sample, Generation)
        values["text"] = sample.text if sample.text != sample.code else ""
        return Generation(
            **values, problem_id=request.problem.problem_id, index=request.index, policy=label
        )

    _sample(run, "generate", run.policy, requests, record, Generation)


def _hand_generations(run: Run, generations: dict[str, Generation]) -> None:
    run.generations = generations


def _generated(run: Run) -> Outcome:
    programs = run.generations.values()
    tokens = sum(g.completion_tokens for g in programs)
    cost = round(sum(g.cost for g in programs), 6)
    ends = Counter(_ENDS[g.finish] for g in programs if g.finish in _ENDS)
    odd = "".join(f", {count} {how}" for how, count in ends.items())
    asked = _asked(run)
    wanted = len(asked) * run.config.generate.n
    answered = {g.problem_id for g in programs}
    without = [p.problem_id for p in asked if p.problem_id not in answered]
    short = wanted - len(programs) - len(without) * run.config.generate.n
    return Outcome(
        note=f"{len(programs)} programs, {tokens} tokens"
        + (f", cost {cost:.4g}" if cost else "")
        + odd
        + unused(run, "generations"),
        facts=dict(
            programs=len(programs),
            problems_without_programs=len(without),
            unanswered=wanted - len(programs),
            completion_tokens=tokens,
            prompt_tokens=sum(g.prompt_tokens for g in programs),
            cost=cost,
            **ends,
        ),
        missing=(
            *listed(without, "without a program"),
            *_short(short),
        ),
    )


def _short(count: int) -> tuple[str, ...]:
    if not count:
        return ()
    what = "programs of other problems are" if count > 1 else "program of other problems is"
    return (f"{count} {what} missing",)


generate = Stage(
    name="generate",
    after=load,
    work=_generate,
    take=Grown(
        file="generations",
        kind=Generation,
        plan=lambda run: _keys(_program_requests(run)),
        hand=_hand_generations,
    ),
    tell=_generated,
    settings=lambda run: [dict(run.policy.identity()), asdict(run.config.generate)],
)
"""Samples `generate.n` programs per problem into `generations.jsonl`."""


# --- segment ---------------------------------------------------------------------------------


def _segment(run: Run) -> None:
    """Store where the functions of every program end in `steps.jsonl`."""
    run.progress.start("segment", len(run.generations))

    def found() -> Iterator[Steps]:
        for key, generation in run.generations.items():
            ends, names = find_steps(generation.code, max_steps=run.config.rollout.max_steps)
            yield Steps(key=key, ends=ends, names=names)
            run.progress.advance()

    run.folder.write("steps", found())


def _hand_steps(run: Run, steps: list[Steps]) -> None:
    run.steps = {item.key: item for item in steps}


def _segmented(run: Run) -> Outcome:
    total = sum(len(steps.ends) for steps in run.steps.values())
    return Outcome(
        note=f"{total} steps, {total / max(1, len(run.steps)):.1f} per program",
        facts=dict(programs=len(run.steps), steps=total),
    )


segment: Stage = Stage(
    name="segment",
    after=generate,
    work=_segment,
    take=derived_records("steps", Steps, _hand_steps),
    tell=_segmented,
    settings=lambda run: [STEP_RULE, run.config.rollout.max_steps],
)
"""Stores where the functions of every program end in `steps.jsonl`."""


# --- rollout ---------------------------------------------------------------------------------


def _rollout_requests(run: Run) -> Iterator[Request]:
    if not run.config.rollout.k:
        return
    prefixes = dict(prefixes_of(run))
    identity = run.completer.identity() if prefixes else {}
    for problem, prefix in prefixes.values():
        for index in range(run.config.rollout.k):
            yield _request("rollout", identity, run, problem, prefix, index)


def _rollout(run: Run) -> None:
    """Complete prefixes into `rollouts.jsonl`."""
    requests = list(_rollout_requests(run))
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

    if requests:
        _sample(run, "rollout", run.completer, requests, record, Rollout)
    else:
        run.progress.start("rollout", 0)


def _hand_rollouts(run: Run, rollouts: dict[str, Rollout]) -> None:
    run.rollouts = rollouts


def _rolled_out(run: Run) -> Outcome:
    rollouts = run.rollouts.values()
    prefixes = len(dict(prefixes_of(run))) if run.config.rollout.k else 0
    wanted = prefixes * run.config.rollout.k
    changed = sum(not r.kept for r in rollouts)
    missing = []
    if wanted > len(rollouts):
        missing.append(f"{wanted - len(rollouts)} completions are missing")
    if changed:
        missing.append(f"{changed} completions changed their prefix and do not count")
    return Outcome(
        note=f"{len(rollouts)} completions of {prefixes} prefixes" + unused(run, "rollouts"),
        facts=dict(
            prefixes=prefixes,
            rollouts=len(rollouts),
            changed_prefix=changed,
            unanswered=wanted - len(rollouts),
            completion_tokens=sum(r.completion_tokens for r in rollouts),
            prompt_tokens=sum(r.prompt_tokens for r in rollouts),
            cost=round(sum(r.cost for r in rollouts), 6),
        ),
        missing=tuple(missing),
    )


rollout = Stage(
    name="rollout",
    after=segment,
    work=_rollout,
    take=Grown(
        file="rollouts",
        kind=Rollout,
        plan=lambda run: _keys(_rollout_requests(run)),
        hand=_hand_rollouts,
    ),
    tell=_rolled_out,
    settings=lambda run: [asdict(run.config.rollout), run.config.seed],
)
"""Completes every distinct prefix `rollout.k` times into `rollouts.jsonl`."""


# --- requests --------------------------------------------------------------------------------


def prefix_key(problem_id: str, text: str) -> str:
    """Equal prefixes of a problem share their rollouts and their reward."""
    return key_of("prefix", problem_id, text)


def prefixes_of(run: Run) -> Iterator[tuple[str, tuple[Problem, str]]]:
    """Prefix key, problem and text of every step but the last, of the splits rolled out."""
    for generation in run.of_split(*run.config.rollout.splits):
        problem = run.problems[generation.problem_id]
        if not run.takes("rollout", problem.problem_id):
            continue
        for end in run.steps[generation.key].ends[:-1]:
            prefix = generation.code[:end]
            yield prefix_key(problem.problem_id, prefix), (problem, prefix)


def _request(
    kind: str, identity: Mapping[str, Json], run: Run, problem: Problem, prefix: str, index: int
) -> Request:
    what = (run.questions[problem.problem_id], prefix, index, run.config.seed)
    # The policy's identity is no part of the seed: one model has one answer, however it is reached.
    seed = seed_of(kind, *what)
    blank_lines = blank_lines_after(prefix)
    key = key_of(kind, 1, dict(identity), *what, *filter(None, [blank_lines]))
    return Request(
        key=key, problem=problem, index=index, seed=seed, prefix=prefix, blank_lines=blank_lines
    )


def _keys(requests: Iterable[Request]) -> Iterator[tuple[str, str]]:
    return ((request.key, request.problem.problem_id) for request in requests)


def _sample(
    run: Run,
    stage: str,
    policy: Policy,
    requests: Sequence[Request],
    record: Callable[[Sample], R],
    kind: type[R],
) -> None:
    """Store an answer per request that has none yet.

    Raises:
        PolicyError: some requests were not answered and may be later.
    """
    with run.file("generations" if kind is Generation else "rollouts", kind) as file:
        stored = {item.key for item in file}
        run.progress.start(stage, len(requests), sum(r.key in stored for r in requests))
        if hasattr(policy, "on_tokens"):
            policy.on_tokens = getattr(run.progress, "tokens", None)
        for sample in answers(policy, requests, stored):
            file.append(record(sample))
            stored.add(sample.key)
            run.progress.advance()
    unanswered = sum(request.key not in stored for request in requests)
    if unanswered and not policy.unanswered_is_final:
        raise PolicyError(
            f"{unanswered} of {len(requests)} requests of stage {stage!r} were not answered: "
            "what was answered is stored; run the same command again to ask for the rest"
        )
