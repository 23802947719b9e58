"""The mini benchmark: the same for ever, discriminating, split without overlap."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from funprm.datasets.mini import MiniDataset
from funprm.datasets.mini.corpus import error_rates, pieces, solutions
from funprm.datasets.mini.operations import Operation, Variant
from funprm.datasets.mini.pipelines import FAMILIES, Pipeline, draw
from funprm.datasets.mini.problems import HIDDEN, build
from funprm.datasets.mini.streams import Stream, fraction
from funprm.errors import ConfigError
from funprm.records import Problem, Suite, key_of

GOLDEN = "dbaa1c5a4d93a131e8f1e04005afe938"


@pytest.fixture(scope="module")
def problems() -> list[Problem]:
    return list(MiniDataset(train=40, meta=20, validation=20, test=40).load())


def answers(program: str, suite: Suite) -> list[Any]:
    """What a program of our own making returns; never for programs that a model wrote."""
    names: dict[str, Any] = {}
    exec(program, names)
    return [names["solve"](json.loads(case.input)) for case in suite.cases]


def expected(suite: Suite) -> list[Any]:
    return [json.loads(case.output or "null") for case in suite.cases]


def operations() -> list[tuple[str, Operation]]:
    return [
        (family.argument, operation)
        for family in FAMILIES
        for operation in (*family.operations, *family.reducers)
    ]


def test_the_problems_never_change(problems: list[Problem]) -> None:
    texts = [
        [p.key, p.problem_id, p.statement, p.reference, p.split]
        + [
            [case.input, case.output]
            for s in (p.hidden, p.public, p.probe)
            if s
            for case in s.cases
        ]
        for p in problems
    ]
    assert key_of(texts) == GOLDEN


def test_a_smaller_split_is_the_beginning_of_a_larger_one(problems: list[Problem]) -> None:
    few = MiniDataset(train=5, meta=0, validation=3, test=0).load()
    wanted = [p for p in problems if p.split == "train"][:5]
    wanted += [p for p in problems if p.split == "validation"][:3]
    assert list(few) == wanted


def test_another_seed_gives_other_problems() -> None:
    one, two = (
        {p.statement for p in MiniDataset(train=10, meta=0, validation=0, test=0, seed=s).load()}
        for s in (0, 1)
    )
    assert not one & two


def test_references_pass_their_tests(problems: list[Problem]) -> None:
    for problem in problems:
        assert problem.reference
        assert problem.public
        for suite in (problem.hidden, problem.public):
            assert answers(problem.reference, suite) == expected(suite)


def test_tests_have_the_promised_shape(problems: list[Problem]) -> None:
    for problem in problems:
        assert problem.public
        assert problem.probe
        inputs = [{c.input for c in s.cases} for s in (problem.hidden, problem.probe)]
        assert not inputs[0] & inputs[1]
        assert len(problem.hidden.cases) == HIDDEN
        assert problem.hidden.cases[0].input in ("[]", '""')
        assert 5 <= len(problem.probe.cases) <= 8
        assert all(case.output is None for case in problem.probe.cases)
        assert problem.hidden.kind == "functional"
        assert problem.hidden.entry_point == "solve"


def test_difficulty_is_the_number_of_operations(problems: list[Problem]) -> None:
    for problem in problems:
        functions = (problem.reference or "").count("def ") - 1
        assert problem.difficulty == {2: "easy", 3: "medium"}.get(functions, "hard")


def test_every_single_wrong_body_fails_the_hidden_tests() -> None:
    checked = 0
    for number in range(60):
        stream = Stream(f"mutants {number}")
        pipeline = draw(stream)
        problem = build(pipeline, stream, split="test", problem_id="x")
        if problem is not None:
            checked += 1
            for mutant in mutants(pipeline):
                assert not passes(mutant, problem.hidden)
    assert checked > 10


def mutants(pipeline: Pipeline) -> list[str]:
    bodies = pipeline.reference()
    return [
        pipeline.program((*bodies[:place], wrong, *bodies[place + 1 :]))
        for place, operation in enumerate(pipeline.operations)
        for wrong in operation.wrong
    ]


def passes(program: str, suite: Suite) -> bool:
    try:
        return answers(program, suite) == expected(suite)
    except (IndexError, ValueError):
        return False


@pytest.mark.parametrize(
    ("argument", "operation"), operations(), ids=lambda x: getattr(x, "name", x)
)
def test_source_and_callable_of_a_body_agree(argument: str, operation: Operation) -> None:
    stream = Stream(f"agree {operation.name}")
    values: list[Any] = ["", " a  B1 ", "Tree eats 2 OXEN", "xyz"]
    if argument == "xs":
        values = [[stream.below(21) - 10 for _ in range(length)] for length in (0, 1, 2, 5, 9, 9)]
    for variant in (*operation.right, *operation.wrong):
        for n in operation.constants:
            for value in values:
                assert of_source(argument, variant, value, n) == of_callable(variant, value, n)


def of_source(argument: str, variant: Variant, value: Any, n: int) -> Any:
    names: dict[str, Any] = {}
    exec(f"def f({argument}):\n{variant.template().replace('{n}', str(n))}", names)
    try:
        return names["f"](value)
    except (IndexError, ValueError):
        return "failed"


def of_callable(variant: Variant, value: Any, n: int) -> Any:
    try:
        return variant.run(value, n)
    except (IndexError, ValueError):
        return "failed"


def test_correct_bodies_agree_with_each_other_and_wrong_ones_do_not() -> None:
    stream = Stream("variants")
    lists: list[Any] = [[stream.below(21) - 10 for _ in range(i % 9)] for i in range(60)]
    texts: list[Any] = ["", " a  B1 ", "Tree eats 2 OXEN", "AEI xyz aa bb", "one two  Three "]
    for argument, operation in operations():
        for n in operation.constants:
            results = [
                [of_callable(variant, value, n) for value in (lists if argument == "xs" else texts)]
                for variant in (*operation.right, *operation.wrong)
            ]
            right, wrong = results[: len(operation.right)], results[len(operation.right) :]
            assert all(result == right[0] for result in right)
            assert all(result != right[0] for result in wrong), operation.name


def test_splits_and_corpus_share_no_problem_and_test_no_composition() -> None:
    pipelines = [draw(Stream(f"split {number}")) for number in range(3000)]
    problems: dict[str, set[str]] = {}
    compositions: dict[str, set[str]] = {}
    for pipeline in pipelines:
        problems.setdefault(pipeline.identity, set()).add(pipeline.home)
        compositions.setdefault(pipeline.composition, set()).add(pipeline.home)
    assert all(len(homes) == 1 for homes in problems.values())
    assert all(homes == {"test"} or "test" not in homes for homes in compositions.values())
    assert {p.home for p in pipelines} == {"corpus", "train", "meta", "validation", "test"}


def test_no_corpus_statement_is_a_problem(problems: list[Problem]) -> None:
    assert not {p.statement for p in problems} & {statement for statement, _ in solutions(2000)}


def test_a_third_of_the_wordings_misleads() -> None:
    rates = list(error_rates().values())
    misleading = [rate for rate in rates if rate > 0.5]
    assert 0.2 < len(misleading) / len(rates) < 0.4
    assert all(0 < rate < 0.25 for rate in rates if rate not in misleading)


def test_corpus_is_reproducible_valid_python_of_three_to_six_functions() -> None:
    assert list(solutions(50)) == list(solutions(50))
    for statement, program in solutions(50):
        assert statement.endswith(".")
        compile(program, "program", "exec")
        assert 3 <= program.count("def ") <= 6
        assert program.startswith("def solve(")
        assert program.count('"""') == 2 * program.count("def ")


def test_pieces_are_ascii_and_without_constants() -> None:
    assert all(piece.isascii() and "{n}" not in piece for piece in pieces())


@pytest.mark.parametrize("size", [-1, 20_001])
def test_a_size_out_of_range_is_refused(size: int) -> None:
    with pytest.raises(ConfigError, match=f"meta = {size}, expected 0 to 20000"):
        MiniDataset(meta=size)


@given(st.text())
def test_fractions_lie_in_the_unit_interval(label: str) -> None:
    assert 0 <= fraction(label) < 1


def test_streams_never_change() -> None:
    stream = Stream("label")
    assert [stream.below(100) for _ in range(6)] == [81, 94, 31, 16, 12, 78]
    assert stream.sample("abcdef", 3) == ["f", "e", "a"]
    assert stream.weighted(("a", "b"), (0.1, 0.9)) == "b"
