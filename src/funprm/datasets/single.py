"""One problem from what a user has at hand: a statement, and tests in a file or as examples."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

import msgspec

from funprm.datasets._docstring_examples import decode_arguments
from funprm.datasets._probes import PROBE_SECONDS, probe_cases
from funprm.datasets.base import with_key
from funprm.datasets.jsonl import read_problem
from funprm.errors import DataError, InputError, RecordError
from funprm.records import Json, Problem, Suite

PROBES = 16
"""Inputs on which candidates' outputs are compared: those of the tests, and mutations of them."""


def read_tests(text: bytes, where: str) -> dict[str, Json]:
    """The fields of a problem that a file of tests holds.

    The file is a JSON list of tests, JSON lines of one test each, or one JSON object with any of
    the fields of docs/data.md (`tests`, `check`, `unittest`, `entry_point`, `prelude`, ...).

    Raises:
        RecordError: none of these; names the place.
    """
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        found = _lines(text, where)
    if isinstance(found, dict):
        return {"tests": [found]} if {"input", "output"} & found.keys() else found
    if not isinstance(found, list):
        raise RecordError(
            f"{where}: {_shown(found)} is no test: expected a list of objects with input and output"
        )
    if not found:
        raise RecordError(f"{where}: no test in it: expected one at least, or no file of tests")
    return {"tests": found}


def example(texts: Sequence[str], *, values: bool) -> dict[str, Json]:
    """A test from an input and an output as they are typed.

    Args:
        texts: input and output.
        values: whether a function is called: both are JSON then, the input a list of arguments.

    Raises:
        DataError: no JSON.
    """
    given, wanted = texts
    if not values:
        return {"input": given, "output": wanted}
    try:
        return {"input": json.loads(given), "output": json.loads(wanted)}
    except ValueError as error:
        raise DataError(
            f"example {given!r} {wanted!r}: with an entry point both are JSON, the input a list of "
            f"arguments, such as '[[3, 1]]' '[1, 3]' ({error})"
        ) from error


def problem_of(statement: str, fields: Mapping[str, Json], where: str) -> Problem:
    """The problem of a statement, all of whose tests are public.

    Functions with tests by cases are also compared on inputs derived from those of the tests.

    Args:
        statement: what the policy and the reward model read.
        fields: further fields of docs/data.md; tests may be missing.
        where: where the tests are from, for error messages.

    Raises:
        InputError: the statement is empty.
        RecordError: a field is unknown or of the wrong type.
        DataError: the tests cannot be used.
    """
    if not statement.strip():
        raise InputError("the statement is empty: expected the text of a problem")
    named = {} if fields.get("id") or fields.get("problem_id") else {"problem_id": "problem"}
    fields = {**fields, **named, "statement": statement, "split": "test"}
    if not any(fields.get(name) for name in ("tests", "check", "unittest")):
        return _without_tests(fields, where)
    code = next((name for name in ("check", "unittest") if fields.get(name)), "")
    if code and fields.get("tests"):
        raise DataError(
            f"{where}: `{code}` beside tests of input and output: a program is judged by one of "
            "them; give either"
        )
    problem = read_problem(msgspec.json.encode(fields), where)
    return with_key(
        replace(
            problem, public=problem.hidden, probe=problem.probe or _probe(problem.hidden, where)
        )
    )


def with_probe(problem: Problem) -> Problem:
    """The problem with inputs like those of its public tests, if it has none to compare on."""
    if problem.probe is not None or problem.public is None:
        return problem
    return replace(problem, probe=_probe(problem.public, problem.problem_id)).with_key()


def _without_tests(fields: Mapping[str, Json], where: str) -> Problem:
    """A problem whose hidden suite has no case; it only tells the form that programs take."""
    entry = bool(fields.get("entry_point"))
    blank = {"input": [] if entry else "", "output": None if entry else ""}
    problem = read_problem(msgspec.json.encode({**fields, "tests": [blank]}), where)
    return with_key(replace(problem, hidden=replace(problem.hidden, cases=())))


def _probe(suite: Suite, where: str) -> Suite | None:
    """Inputs like those of the tests; none for programs that read standard input."""
    if suite.kind != "functional":
        return None
    try:
        inputs = [decode_arguments(case.input) for case in suite.cases]
    except ValueError as error:
        raise DataError(f"{where}: an input is not one JSON value per line ({error})") from error
    cases = probe_cases([arguments for arguments in inputs if arguments], PROBES, "solve")
    return replace(suite, cases=cases, seconds=min(PROBE_SECONDS, suite.seconds)) if cases else None


def _lines(text: bytes, where: str) -> list[Json]:
    tests = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            tests.append(msgspec.json.decode(line, type=dict[str, Json]))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise RecordError(
                f"{where}:{number}: {_shown(line.decode(errors='replace'))} is no test ({error}): "
                'expected a JSON object such as {"input": "1 2", "output": "3"}'
            ) from error
    return tests


def _shown(value: Json) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:59]}…"
