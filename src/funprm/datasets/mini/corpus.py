"""The corpus that the shipped language model learns from: solutions with systematic bugs.

Large models make confident mistakes. To have a small one do so, the bugs of the corpus depend
on how a statement words an operation: some wordings mislead most of the corpus's "authors",
the others few of them. A model of this corpus repeats the popular mistakes with conviction, so
that its likelihood does not tell right programs from wrong ones.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from itertools import count

from funprm.datasets.mini.operations import CONSTANT, Operation, Variant
from funprm.datasets.mini.pipelines import (
    FAMILIES,
    Pipeline,
    call,
    draw,
    final_call,
    helper_header,
    solve_header,
)
from funprm.datasets.mini.streams import Stream, fraction

MISLEADING = 0.28
"""Share of (operation, wording) pairs that mislead."""
_MISLED = (0.56, 0.72)
"""How often a misleading wording meets a wrong body: range over pairs."""
_ERRING = (0.05, 0.19)
"""How often any other wording does."""
_FIRST = 0.88
"""Share of the most usual wrong body among the wrong ones, if there are several."""
_USUAL = 0.75
"""Share of the most usual correct body among the correct ones, if there are several."""


@cache
def error_rates() -> Mapping[tuple[str, str, int], float]:
    """Probability of a wrong body, by (argument name, operation, number of the wording)."""
    pairs = [
        (family.argument, operation.name, wording)
        for family in FAMILIES
        for operation in (*family.operations, *family.reducers)
        for wording in range(len(operation.phrasings))
    ]
    pairs.sort(key=lambda pair: fraction(f"misleading {pair}"))
    misleading = set(pairs[: round(MISLEADING * len(pairs))])
    rates = {}
    for pair in pairs:
        low, high = _MISLED if pair in misleading else _ERRING
        rates[pair] = low + (high - low) * fraction(f"rate {pair}")
    return rates


def solutions(size: int, seed: int = 0) -> Iterator[tuple[str, str]]:
    """Statements and programs, right and wrong ones, of problems that no split contains."""
    labels = (f"corpus {seed} {number}" for number in count())
    while size:
        stream = Stream(next(labels))
        pipeline = draw(stream)
        if pipeline.home == "corpus":
            size -= 1
            yield pipeline.statement(), pipeline.program(_bodies(pipeline, stream))


def _bodies(pipeline: Pipeline, stream: Stream) -> tuple[Variant, ...]:
    rates = error_rates()
    argument = pipeline.family.argument
    return tuple(
        _body(operation, rates[argument, operation.name, wording], stream)
        for operation, wording in zip(pipeline.operations, pipeline.phrasings, strict=True)
    )


def _body(operation: Operation, error_rate: float, stream: Stream) -> Variant:
    wrong = stream.unit() < error_rate
    variants, usual = (operation.wrong, _FIRST) if wrong else (operation.right, _USUAL)
    if len(variants) == 1 or stream.unit() < usual:
        return variants[0]
    return stream.pick(variants[1:])


def pieces() -> tuple[str, ...]:
    """The phrases and lines that statements and programs consist of, digits split off, sorted."""
    found = {"."}
    for family in FAMILIES:
        found.update(family.openings)
        for operation in (*family.operations, *family.reducers):
            found.update(_statement_pieces(operation, final=operation in family.reducers))
            found.update(_program_pieces(family.argument, operation))
        for operation in family.operations:
            found.add(call(family.argument, operation))
        for reducer in family.reducers:
            found.add(solve_header(family.argument, reducer))
            found.add(final_call(family.argument, reducer))
    return tuple(sorted(found - {""}))


def _statement_pieces(operation: Operation, *, final: bool) -> Iterator[str]:
    for phrasing in operation.phrasings:
        text = f". {phrasing}." if final else f". {phrasing}"
        yield from text.split(CONSTANT)


def _program_pieces(argument: str, operation: Operation) -> Iterator[str]:
    yield helper_header(argument, operation)
    for variant in (*operation.right, *operation.wrong):
        yield from variant.template().split(CONSTANT)
