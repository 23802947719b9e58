"""Published denoisers of Monte-Carlo rewards, in short versions of our own.

They change the labels that a reward model is fitted to; everything else (features, steps of
training, clean outcomes beside the batches) is that of the other methods.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from funprm.records import LabelledProgram

CONFIDENT = 0.75
"""SCAN: least share of passing programs of a problem that is learned from."""

TOLERANCE = 2
"""SCAN: d, the number of steps before the first wrong one that get soft labels."""

ROUNDS = 2
"""NAIT: how often labels are refined."""

SURE = 0.8
"""NAIT: score from which (or, below 1 - SURE, under which) the model overrules a label."""

Scores = Sequence[Sequence[float]]


def scan(programs: Sequence[LabelledProgram]) -> list[LabelledProgram]:
    """Labels after SCAN (arXiv 2509.16548): confidence filter and noise-tolerant labels.

    SC is the share of a problem's programs that pass. Problems with SC < `CONFIDENT` are left
    out. All steps of a passing program are right (1). In a failing one the first step with
    c = k/n = 0 is the error: it gets 0, later steps get no label, and earlier ones
    min(c / SC, 1) within `TOLERANCE` steps of the error and 1 before that. Where too few
    problems are confident the most confident half is used: the filter must leave something.
    """
    groups: dict[str, list[LabelledProgram]] = defaultdict(list)
    for program in programs:
        if program.outcome is not None:
            groups[program.problem_id].append(program)
    confidence = {p: sum(g.k[-1] for g in group) / len(group) for p, group in groups.items()}
    solved = sorted((c for c in confidence.values() if c > 0), reverse=True)
    bound = min(CONFIDENT, solved[len(solved) // 2]) if solved else 1.0
    return [
        _scanned(program, confidence[problem])
        for problem, group in groups.items()
        if confidence[problem] >= bound > 0
        for program in group
    ]


def _scanned(program: LabelledProgram, confidence: float) -> LabelledProgram:
    steps = len(program.steps)
    if program.k[-1]:
        return replace(program, rewards=(1.0,) * steps)
    error = next(i for i in range(steps) if program.n[i] and not program.k[i])
    labels: list[float | None] = [None] * steps
    labels[error] = 0.0
    for i in range(error):
        if program.n[i]:
            soft = min(program.k[i] / program.n[i] / confidence, 1.0)
            labels[i] = soft if error - i <= TOLERANCE else 1.0
    return replace(program, rewards=tuple(labels))


def nait(
    programs: Sequence[LabelledProgram], fit: Callable[[Sequence[LabelledProgram]], Scores]
) -> list[LabelledProgram]:
    """Labels after noise-aware iterative training (arXiv 2601.12748, its training stage).

    A model is fitted; where it is sure (score at least `SURE`, or at most 1 - `SURE`) and the
    label lies on the other side of one half, the label becomes the model's verdict, 1 or 0; a
    fresh model is fitted to the result; `ROUNDS` times. The labelling stage, which asks a
    language model whether completions mend an earlier step, has no counterpart here: functions
    of the laboratory do not mend one another. Threshold and rounds are ours.

    Args:
        programs: labelled programs.
        fit: trains on programs and returns the step scores of each.
    """
    for _ in range(ROUNDS):
        scored = _by_prefix(programs, fit(programs))
        rewards = {
            prefix: float(score > 0.5) if _overruled(reward, score) else reward
            for prefix, (reward, score) in scored.items()
        }
        programs = [program.with_rewards(rewards) for program in programs]
    return list(programs)


def _overruled(reward: float, score: float) -> bool:
    return (reward - 0.5) * (score - 0.5) < 0 and abs(score - 0.5) >= SURE - 0.5


def _by_prefix(
    programs: Iterable[LabelledProgram], scores: Scores
) -> Mapping[str, tuple[float, float]]:
    """Reward and score of every labelled prefix."""
    found = {}
    for program, steps in zip(programs, scores, strict=True):
        for step, prefix in enumerate(program.prefixes[:-1] if steps else ()):
            if (reward := program.reward(step)) is not None:
                found[prefix] = (reward, steps[step])
    return found
