"""From a pipeline to a problem with tests that discriminate."""

import json
from collections.abc import Iterable, Sequence

from funprm.datasets.mini.operations import Variant
from funprm.datasets.mini.pipelines import Pipeline
from funprm.datasets.mini.streams import Stream
from funprm.records import Case, Difficulty, Json, Problem, Split, Suite, key_of

HIDDEN = 25
PUBLIC = 2
PROBES = 6
_POOL = 44
"""Inputs drawn per problem; the hidden ones are chosen from them."""
_SECONDS = 2.0
_FAILED = "failed"
"""Stands for the answer of a body that raises; reducers return numbers."""

_CHARACTERS = "aeioubcdlmnrstxyAEIOBCLMRST0123  "
_TAME_WORDS = ("code", "list", "tree", "graph", "path", "sort")


def build(pipeline: Pipeline, stream: Stream, *, split: Split, problem_id: str) -> Problem | None:
    """The problem of a pipeline, or None where tests cannot tell a wrong body from a right one.

    Hidden tests (25) contain the empty input, boundary values and negative numbers, and at
    least one of them fails each program with exactly one wrong body. Public tests (2) are tame,
    as examples in statements are. Probe inputs (6) are neither.
    """
    pool = _distinct(_wild_input(pipeline, stream, index) for index in range(_POOL))
    answers = [pipeline.run(value, pipeline.reference()) for value in pool]
    telling = _telling(pipeline, pool, answers)
    if telling is None:
        return None
    hidden = _hidden(telling, len(pool))
    cases = tuple(_case(pool[i], answers[i]) for i in hidden)
    probes = [pool[i] for i in range(len(pool)) if i not in set(hidden)][:PROBES]
    tame = _distinct(_tame_input(pipeline, stream) for _ in range(PUBLIC))
    public = tuple(_case(value, pipeline.run(value, pipeline.reference())) for value in tame)
    statement = pipeline.statement()
    reference = pipeline.program(pipeline.reference())
    return Problem(
        key=key_of("mini", 1, problem_id, statement, [[c.input, c.output] for c in cases]),
        problem_id=problem_id,
        statement=statement,
        hidden=_suite(cases),
        public=_suite(public),
        probe=_suite(tuple(Case(input=json.dumps(value)) for value in probes)),
        difficulty=_difficulty(len(pipeline.operations)),
        split=split,
        reference=reference,
        platform="mini",
    )


def _difficulty(operations: int) -> Difficulty:
    return "easy" if operations == 2 else "medium" if operations == 3 else "hard"


def _suite(cases: tuple[Case, ...]) -> Suite:
    return Suite(
        kind="functional", cases=cases, entry_point="solve", seconds=_SECONDS, memory_mb=256
    )


def _case(value: Json, answer: Json) -> Case:
    return Case(input=json.dumps(value), output=json.dumps(answer))


def _distinct(values: Iterable[Json]) -> list[Json]:
    """The values without repetitions, in order."""
    return list({json.dumps(value): value for value in values}.values())


def _wild_input(pipeline: Pipeline, stream: Stream, index: int) -> Json:
    """The empty input first, then short ones, then longer ones with boundary values."""
    length = min(index, 3) if index < 6 else 2 + stream.below(9)
    if pipeline.family.argument == "s":
        return "".join(stream.pick(_CHARACTERS) for _ in range(length + length // 2))
    return [_wild_value(pipeline, stream) for _ in range(length)]


def _wild_value(pipeline: Pipeline, stream: Stream) -> int:
    """A value at the edge of one of the problem's constants, or a small one, or any."""
    kind = stream.below(4)
    if kind == 0:
        return stream.pick(pipeline.constants) + stream.below(3) - 1
    if kind == 1:
        return stream.below(9) - 4
    return stream.below(41) - 20


def _tame_input(pipeline: Pipeline, stream: Stream) -> Json:
    """An ordinary input without edges: a few positive values, or small words."""
    if pipeline.family.argument == "s":
        return " ".join(stream.sample(_TAME_WORDS, 2))
    return stream.sample(range(1, 13), 4)


def _telling(pipeline: Pipeline, pool: Sequence[Json], answers: Sequence[Json]) -> set[int] | None:
    """For every single wrong body the first input it fails on; None if one fails on none."""
    bodies = pipeline.reference()
    telling = set()
    for place, operation in enumerate(pipeline.operations):
        for wrong in operation.wrong:
            mutant = (*bodies[:place], wrong, *bodies[place + 1 :])
            differ = (i for i, v in enumerate(pool) if _run(pipeline, v, mutant) != answers[i])
            first = next(differ, None)
            if first is None:
                return None
            telling.add(first)
    return telling


def _run(pipeline: Pipeline, value: Json, bodies: Sequence[Variant]) -> Json:
    try:
        return pipeline.run(value, bodies)
    except (ValueError, IndexError):
        return _FAILED


def _hidden(telling: set[int], pool: int) -> list[int]:
    """Indices of the hidden inputs: the empty one, the telling ones, and the first others."""
    chosen = telling | {0}
    others = [index for index in range(pool) if index not in chosen]
    return sorted(chosen.union(others[: HIDDEN - len(chosen)]))
