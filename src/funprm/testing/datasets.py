"""The exam for data sets."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import get_args

import msgspec

from funprm.commands.check_dataset import check_problems
from funprm.errors import FunprmError
from funprm.executors.grading.suites import PreparedSuite
from funprm.executors.local.executor import LocalExecutor
from funprm.interfaces import Dataset
from funprm.records import Problem, Split
from funprm.testing.exam import Faults, identity_faults, report


def check_dataset(dataset: Dataset, *, references: int = 20) -> None:
    """Examine a data set: all its problems, and the solutions of the first ones.

    Args:
        dataset: what is examined; it is loaded twice.
        references: how many reference solutions are judged, in isolation; of as many problems a
            program that does nothing must fail. 0: none is run.

    Raises:
        AssertionError: it breaks a promise; all that are broken are listed.
    """
    report(dataset, _faults(dataset, references))


def _faults(dataset: Dataset, references: int) -> Faults:
    if hasattr(dataset, "identity"):
        yield from identity_faults(dataset)
    try:
        problems = list(dataset.load())
    except FunprmError as error:
        yield f"load() refused: {error}"
        return
    if not problems:
        yield "load() gave no problem"
    strange = [p for p in problems if not isinstance(p, Problem)]
    if strange:
        yield f"load() gave a {type(strange[0]).__name__}: expected records.Problem"
        return
    if list(dataset.load()) != problems:
        yield "load() gives other problems, or another order, when it is called again"
    yield from _name_faults(problems)
    sound = []
    for problem in problems:
        faults = list(_problem_faults(problem))
        yield from (f"problem {problem.problem_id!r}: {fault}" for fault in faults)
        if not faults:
            sound.append(problem)
    yield from _reference_faults(sound[:references])


def _name_faults(problems: Sequence[Problem]) -> Faults:
    for name in ("problem_id", "key"):
        values = [getattr(problem, name) for problem in problems]
        if "" in values:
            yield f"a problem has an empty {name}"
        twice = next((v for i, v in enumerate(values) if v and v in values[:i]), None)
        if twice is not None:
            yield f"two problems have the {name} {twice!r}"


def _problem_faults(problem: Problem) -> Iterator[str]:
    try:
        stored = msgspec.json.decode(msgspec.json.encode(problem), type=Problem)
    except (msgspec.MsgspecError, TypeError) as error:
        yield f"it cannot be stored and read again ({error})"
        return
    if stored != problem:
        yield "it is another one when it is stored and read again"
    if not problem.statement.strip():
        yield "its statement is empty"
    if problem.split not in get_args(Split):
        yield f"its split is {problem.split!r}: expected one of {', '.join(get_args(Split))}"
    for name in ("hidden", "public", "probe"):
        suite = getattr(problem, name)
        fault = suite and PreparedSuite(suite.unpacked(), 0, compat=False).fault
        if fault:
            yield f"its {name} tests: {fault}"


def _reference_faults(problems: Sequence[Problem]) -> Faults:
    if not problems:
        return
    with closing(LocalExecutor(workers=1)) as executor:
        check = check_problems(problems, executor)
    for problem_id, why in {**check.failed, **check.not_judged}.items():
        yield f"problem {problem_id!r}: its reference fails: {why}"
    for problem_id in check.stubs_passed:
        yield f"problem {problem_id!r}: a program that does nothing passes its tests"
