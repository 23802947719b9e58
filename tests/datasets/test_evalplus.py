import json
import warnings
from pathlib import Path
from typing import Any

import pytest

from funprm.datasets._split import Fractions
from funprm.datasets.evalplus.humaneval import HumanEvalDataset
from funprm.datasets.evalplus.mbpp import MbppDataset
from funprm.errors import ConfigError, DataError, InputError, RecordError
from funprm.records import Problem, Suite
from tests.datasets.official_files import humaneval, mbpp, write
from tests.shared_data import shared


def run_check(suite: Suite, program: str) -> None:
    scope: dict[str, Any] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(f"{suite.prelude}\n{program}", scope)
        candidate = eval(suite.entry_point, scope)
        exec(suite.code, scope)
        scope["check"](candidate)


def answers(suite: Suite, program: str) -> list[Any]:
    scope: dict[str, Any] = {}
    exec(f"{suite.prelude}\n{program}", scope)
    function = scope[suite.entry_point]
    return [function(*map(json.loads, case.input.split("\n"))) for case in suite.cases]


def load_humaneval(path: Path, *rows: dict[str, Any], **options: Any) -> list[Problem]:
    return list(HumanEvalDataset(path=write(path / "HumanEval.jsonl.gz", rows), **options).load())


def test_a_humaneval_problem_has_official_hidden_tests_and_its_examples_as_public_ones(
    tmp_path: Path,
) -> None:
    (problem,) = load_humaneval(tmp_path, humaneval())
    assert problem.problem_id == "HumanEval/0"
    assert problem.starter_code.startswith("from typing import List\n\n\ndef total(")
    assert "`total`" in problem.statement
    assert problem.hidden.kind == "check"
    assert problem.reference is not None
    run_check(problem.hidden, problem.reference)
    with pytest.raises(AssertionError):
        run_check(problem.hidden, "def total(xs, start): return 0")
    assert problem.public is not None
    assert problem.public.kind == "functional"
    assert problem.public.prelude == "from typing import List\n"
    assert [(case.input, case.output) for case in problem.public.cases] == [
        ("[1, 2]\n3", "6"),
        ("[]\n1", "1"),
    ]


def test_probes_are_inputs_of_the_same_types_without_answers(tmp_path: Path) -> None:
    (problem,) = load_humaneval(tmp_path, humaneval(), probes=10)
    assert problem.probe is not None
    assert [case.input for case in problem.probe.cases[:2]] == ["[1, 2]\n3", "[]\n1"]
    assert len({case.input for case in problem.probe.cases}) == 10
    assert all(case.output is None for case in problem.probe.cases)
    assert problem.reference is not None
    assert all(isinstance(answer, int) for answer in answers(problem.probe, problem.reference))
    (again,) = load_humaneval(tmp_path, humaneval(), probes=10)
    assert again == problem
    (other,) = load_humaneval(tmp_path, humaneval(), probes=10, seed=1)
    assert other.probe != problem.probe
    assert load_humaneval(tmp_path, humaneval(), probes=0)[0].probe is None


def test_evalplus_inputs_are_compared_with_the_reference(tmp_path: Path) -> None:
    row = humaneval(test=None, base_input=[[[1], 2]], plus_input=[[[0.1, 0.2], 0]], atol=0)
    path = write(tmp_path / "HumanEvalPlus-v0.1.10.jsonl.gz", [row])
    (problem,) = HumanEvalDataset(path=str(tmp_path), version="plus").load()
    assert problem == next(HumanEvalDataset(path=path).load())
    run_check(problem.hidden, "def total(xs, start): return start + sum(xs)")
    for wrong in ("sum(xs)", "None", "object()", "sum(xs, start) + 1e-4 * len(xs)"):
        with pytest.raises(AssertionError):
            run_check(problem.hidden, f"def total(xs, start): return {wrong}")


@pytest.mark.parametrize(
    ("expected", "right", "wrong"),
    [
        ("[0.1, (1, 2.5)]", "[0.1 + 1e-8, (1, 2.5)]", "[0.1, [1, 2.5]]"),
        ("{'a': 0.5}", "{'a': 0.5 - 1e-9}", "{'a': 0.5, 'b': 1}"),
        ("float('nan')", "float('nan')", "0.0"),
        ("float('inf')", "float('inf')", "1e300"),
        ("2.0", "2", "'2'"),
        ("'ab'", "'ab'", "['a', 'b']"),
        ("(1, 2)", "(1, 2)", "(1, 2, 3)"),
    ],
)
def test_answers_are_compared_by_structure_with_a_tolerance_for_floats(
    tmp_path: Path, expected: str, right: str, wrong: str
) -> None:
    row = humaneval(test=None, base_input=[[[1], 2]], canonical_solution=f"    return {expected}\n")
    (problem,) = load_humaneval(tmp_path, row)
    run_check(problem.hidden, f"def total(xs, start): return {right}")
    with pytest.raises(AssertionError):
        run_check(problem.hidden, f"def total(xs, start): return {wrong}")


def test_any_zero_of_the_polynomial_is_right(tmp_path: Path) -> None:
    prompt = "def poly(xs, x):\n    return xs[0] + xs[1] * x * x\n\n\ndef find_zero(xs):\n"
    row = humaneval(
        test=None,
        prompt=prompt,
        entry_point="find_zero",
        canonical_solution="    return (-xs[0] / xs[1]) ** 0.5\n",
        base_input=[[[-4, 1]]],
    )
    (problem,) = load_humaneval(tmp_path, row)
    run_check(problem.hidden, "def find_zero(xs): return -((-xs[0] / xs[1]) ** 0.5)")
    with pytest.raises(AssertionError):
        run_check(problem.hidden, "def find_zero(xs): return 1")


def test_examples_that_the_official_tests_contradict_are_left_out(tmp_path: Path) -> None:
    for number, left in ((116, 0), (1, 2)):
        (problem,) = load_humaneval(tmp_path, humaneval(number))
        assert (len(problem.public.cases) if problem.public else 0) == left


def test_a_prompt_that_is_no_program_gives_no_public_tests(tmp_path: Path) -> None:
    for prompt in ("def total(xs:\n", "def other():\n    '''total(1) == 2'''\n"):
        (problem,) = load_humaneval(tmp_path, humaneval(prompt=prompt))
        assert problem.public is None
        assert problem.probe is None


def test_splits_are_by_problem(tmp_path: Path) -> None:
    rows = [humaneval(i) for i in range(200)]
    problems = load_humaneval(tmp_path, *rows, probes=0, split=Fractions(train=0.5, meta=0.25))
    counts = {s: sum(p.split == s for p in problems) for s in ("train", "meta", "test")}
    assert 75 < counts["train"] < 125
    assert 30 < counts["meta"] < 70
    assert sum(counts.values()) == 200
    assert {p.split for p in load_humaneval(tmp_path, *rows, probes=0, split="train")} == {"train"}
    with pytest.raises(ConfigError, match="unknown split 'tests': did you mean 'test'"):
        HumanEvalDataset(path="x", split="tests")  # type: ignore[arg-type]


def test_what_cannot_be_used_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no file or folder .*HumanEval.jsonl.gz"):
        list(HumanEvalDataset(path=str(tmp_path / "nothing")).load())
    with pytest.raises(InputError, match=r"no HumanEval.jsonl.* in the folder"):
        list(HumanEvalDataset(path=str(tmp_path)).load())
    with pytest.raises(
        DataError, match=r"HumanEval.jsonl.gz:1: problem 'HumanEval/0' has no tests"
    ):
        load_humaneval(tmp_path, humaneval(test=""))
    with pytest.raises(RecordError, match=r"HumanEval.jsonl.gz:2: .*`prompt`"):
        load_humaneval(tmp_path, humaneval(), humaneval(prompt=None))


def load_mbpp(path: Path, *rows: dict[str, Any], **options: Any) -> list[Problem]:
    return list(MbppDataset(path=write(path / "mbpp.jsonl", rows), **options).load())


def test_an_mbpp_problem_shows_its_first_assertion(tmp_path: Path) -> None:
    (problem,) = load_mbpp(tmp_path, mbpp())
    assert problem.problem_id == "Mbpp/11"
    assert "assert twice(2) == 4" in problem.statement
    assert "twice(-1)" not in problem.statement
    assert problem.hidden.entry_point == "twice"
    assert problem.public is not None
    run_check(problem.public, "def twice(x): return x * x")
    with pytest.raises(AssertionError):
        run_check(problem.hidden, "def twice(x): return x * x")
    assert problem.probe is not None
    assert problem.probe.cases[0].input == "2"
    (bare,) = load_mbpp(tmp_path, mbpp(), shown=0)
    assert bare.public is None
    assert "assert" not in bare.statement


def test_mbpp_setup_imports_and_challenges_count(tmp_path: Path) -> None:
    row = mbpp(
        test_imports=["import math"],
        test_setup_code="four = 4",
        challenge_test_list=["assert math.isclose(twice(four), 8)"],
    )
    (problem,) = load_mbpp(tmp_path, row)
    run_check(problem.hidden, "def twice(x): return 2 * x")
    with pytest.raises(AssertionError):
        run_check(problem.hidden, "def twice(x): return {2: 4, -1: -2}.get(x)or 0")


def test_an_mbpp_function_may_be_called_check(tmp_path: Path) -> None:
    row = mbpp(code="def check(n):\n    return n", test_list=["assert check(3) == 3"])
    (problem,) = load_mbpp(tmp_path, row)
    run_check(problem.hidden, "def check(n): return n")
    with pytest.raises(AssertionError):
        run_check(problem.hidden, "def check(n): return 0")


def test_mbpp_plus_runs_its_script(tmp_path: Path) -> None:
    script = "inputs = [[1], [5]]\nfor (x,) in inputs:\n    assert twice(x) == 2 * x\n"
    (problem,) = load_mbpp(tmp_path, mbpp(test=script))
    run_check(problem.hidden, "def twice(x): return x + x")
    with pytest.raises(AssertionError):
        run_check(problem.hidden, "def twice(x): return 2 if x == 1 else 0")


def test_mbpp_splits_by_task_number(tmp_path: Path) -> None:
    numbers = {2: "train", 11: "test", 510: "test", 511: "validation", 601: "train"}
    problems = load_mbpp(tmp_path, *(mbpp(number) for number in numbers))
    assert [p.split for p in problems] == list(numbers.values())
    assert {p.split for p in load_mbpp(tmp_path, mbpp(), split="meta")} == {"meta"}


def test_the_sanitized_mbpp_file_is_one_list(tmp_path: Path) -> None:
    path = tmp_path / "sanitized-mbpp.json"
    path.write_text(json.dumps([mbpp(), mbpp(12)], indent=1))
    checked = MbppDataset(path=str(tmp_path), version="sanitized")
    assert [p.problem_id for p in checked.load()] == ["Mbpp/11", "Mbpp/12"]
    path.write_text(json.dumps([mbpp(), {}]))
    with pytest.raises(RecordError, match=r"sanitized-mbpp.json: item 2: .*task_id"):
        list(MbppDataset(path=str(path)).load())
    path.write_text("[{")
    with pytest.raises(RecordError, match="expected a JSON list"):
        list(MbppDataset(path=str(path)).load())


def test_an_mbpp_problem_without_a_call_of_its_function_has_no_tests(tmp_path: Path) -> None:
    for tests in ([], ["assert other(1) == 2"], ["assert twice("]):
        with pytest.raises(DataError, match=r"mbpp.jsonl:1: problem 'Mbpp/11' has no tests"):
            load_mbpp(tmp_path, mbpp(test_list=tests))


def test_real_humaneval_references_pass_all_their_tests() -> None:
    problems = list(HumanEvalDataset(path=str(shared("humaneval.jsonl.gz"))).load())
    assert len(problems) == 164
    assert sum(problem.public is not None for problem in problems) == 149
    for problem in problems:
        assert problem.reference is not None
        run_check(problem.hidden, problem.reference)
        if problem.public is not None:
            expected = [json.loads(case.output or "") for case in problem.public.cases]
            found = answers(problem.public, problem.reference)
            assert json.loads(json.dumps(found)) == expected


def test_real_mbpp_references_pass_all_their_tests() -> None:
    problems = list(MbppDataset(path=str(shared("mbpp_sanitized.jsonl.gz"))).load())
    assert len(problems) == 427
    for problem in problems[::10]:
        assert problem.reference is not None
        run_check(problem.hidden, problem.reference)
