"""The exam for scorers."""

from collections.abc import Sequence

from funprm.interfaces import Scorer
from funprm.records import LabelledProgram
from funprm.testing.exam import Faults, identity_faults, report

_STEPS = (
    ("def add(a, b):\n    return a + b\n",),
    ("def plus(a, b):\n    return a + b\n\n\n", "def add(a, b):\n    return plus(a, b)\n"),
    ("def add(a, b):\n    return a - b\n",),
)


def check_scorer(scorer: Scorer, programs: Sequence[LabelledProgram] = ()) -> None:
    """Examine a scorer: some programs, together, alone and again.

    Args:
        scorer: what is examined. It scores every program four times.
        programs: which it can score; empty: three that add two numbers.

    Raises:
        AssertionError: it breaks a promise; all that are broken are listed.
    """
    asked = programs or [
        LabelledProgram(
            generation=str(number),
            problem_id="exam",
            statement="Write add(a, b), which returns a + b.",
            steps=steps,
            prefixes=(),
        )
        for number, steps in enumerate(_STEPS)
    ]
    report(scorer, _faults(scorer, asked))


def _faults(scorer: Scorer, programs: Sequence[LabelledProgram]) -> Faults:
    yield from identity_faults(scorer)
    if list(scorer.score([])):
        yield "score([]) gave scores of no program"
    answers = scorer.score(programs)
    if iter(answers) is not answers:
        yield "score() returned no iterator: yield each program's scores the moment they exist"
    found = list(answers)
    if len(found) != len(programs):
        yield f"{len(found)} answers to {len(programs)} programs: expected one each, in order"
        return
    for program, scores in zip(programs, found, strict=True):
        yield from _value_faults(program, scores)
    if not any(found):
        yield "no program got a score: give programs that the scorer can score"
    yield from _repetition_faults(scorer, programs, found)


def _repetition_faults(
    scorer: Scorer,
    programs: Sequence[LabelledProgram],
    found: Sequence[tuple[float, ...] | None],
) -> Faults:
    if list(scorer.score(programs)) != list(found):
        yield "the same programs get other scores when asked for again"
    if not _near(list(scorer.score(programs[::-1])), list(found)[::-1]):
        yield "scores depend on the order of the programs"
    alone = [scores for program in programs for scores in scorer.score([program])]
    if not _near(alone, found):
        yield "a program gets another score alone than together with others"


def _value_faults(program: LabelledProgram, scores: object) -> Faults:
    steps = len(program.steps)
    if scores is None:
        yield "a program got None, which stands for a fault that may pass"
    elif not isinstance(scores, tuple) or not all(isinstance(s, float) for s in scores):
        yield f"a program got {scores!r}: expected a tuple of floats"
    elif len(scores) not in (0, 1, steps):
        yield f"a program of {steps} steps got {len(scores)} scores: expected one each, or one"
    elif not all(0.0 <= score <= 1.0 for score in scores):
        yield f"a program got {scores!r}: expected numbers in [0, 1]"


def _near(
    first: Sequence[tuple[float, ...] | None], second: Sequence[tuple[float, ...] | None]
) -> bool:
    """Equal, but for the rounding of batches."""
    return all(
        len(a or ()) == len(b or ())
        and all(abs(x - y) < 1e-5 for x, y in zip(a or (), b or (), strict=True))
        for a, b in zip(first, second, strict=False)
    )
