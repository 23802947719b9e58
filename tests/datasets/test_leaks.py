"""What only hidden tests hold no data set shows: not in its statement, public tests or probes."""

import ast
import json
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from funprm.datasets.bigcodebench import BigCodeBenchDataset
from funprm.datasets.evalplus.humaneval import HumanEvalDataset
from funprm.datasets.evalplus.mbpp import MbppDataset
from funprm.datasets.jsonl import JsonlDataset
from funprm.datasets.leetcode import LeetCodeDataset
from funprm.datasets.livecodebench.dataset import LiveCodeBenchDataset
from funprm.datasets.mini.dataset import MiniDataset
from funprm.errors import DataError
from funprm.interfaces import Dataset
from funprm.python_source import parsed
from funprm.records import Problem, Suite
from tests.datasets.official_files import (
    bigcodebench,
    humaneval,
    leetcode,
    livecodebench,
    livecodebench_function,
    mbpp,
    packed,
    write,
)
from tests.shared_data import shared

Secret = tuple[int, int]
"""Input and output that only one hidden test of a problem holds."""


def asserted(function: str, secret: Secret) -> str:
    return f"assert {function}({secret[0]}) == {secret[1]}"


def checked(secret: Secret) -> str:
    return f"def check(candidate):\n    {asserted('candidate', secret)}\n"


def a_humaneval(path: str, secret: Secret) -> Dataset:
    return HumanEvalDataset(path=write(Path(path), [humaneval(test=checked(secret))]))


def a_humaneval_plus(path: str, secret: Secret) -> Dataset:
    row = humaneval(test=None, base_input=[[[4], 1]], plus_input=[[[secret[0]], 1]])
    row["canonical_solution"] = f"    return {secret[1]}\n"
    return HumanEvalDataset(path=write(Path(path), [row]))


def an_mbpp(path: str, secret: Secret) -> Dataset:
    tests = [asserted("twice", (2, 4)), asserted("twice", secret)]
    return MbppDataset(path=write(Path(path), [mbpp(test_list=tests)]))


def an_mbpp_with_challenges(path: str, secret: Secret) -> Dataset:
    tests = [asserted("twice", (2, 4))]
    row = mbpp(test_list=tests, challenge_test_list=[asserted("twice", secret)])
    return MbppDataset(path=write(Path(path), [row]))


def an_mbpp_plus(path: str, secret: Secret) -> Dataset:
    given, wanted = secret
    script = (
        f"inputs = [[2], [{given}]]\nresults = [4, {wanted}]\nfor i in inputs:\n    twice(*i)\n"
    )
    row = mbpp(test_list=[asserted("twice", (2, 4))], test=script)
    return MbppDataset(path=write(Path(path), [row]))


def a_livecodebench(path: str, secret: Secret) -> Dataset:
    given, wanted = map(str, secret)
    tests = [{"input": given, "output": wanted, "testtype": "stdin"}]
    row = livecodebench(private=packed(json.dumps(tests)))
    return LiveCodeBenchDataset(path=write(Path(path), [row]))


def a_livecodebench_function(path: str, secret: Secret) -> Dataset:
    given, wanted = secret
    row = livecodebench_function()
    test = {"input": f"[{given}]\n1", "output": str(wanted), "testtype": "functional"}
    row["private_test_cases"] = json.dumps([test])
    return LiveCodeBenchDataset(path=write(Path(path), [row]))


def a_bigcodebench(path: str, secret: Secret) -> Dataset:
    tests = f"class TestCases:\n    def test(self):\n        {asserted('task_func', secret)}\n"
    return BigCodeBenchDataset(path=write(Path(path), [bigcodebench(test=tests)]))


def a_leetcode(path: str, secret: Secret) -> Dataset:
    row = leetcode(test=checked(secret), completion=f"return {secret[1]}")
    example = {"input": f'xs = [{secret[0]}], flag = true, s = "x"', "output": f"[{secret[1]}]"}
    row["examples"][1] = example
    return LeetCodeDataset(path=write(Path(path), [row]))


def a_jsonl(path: str, secret: Secret) -> Dataset:
    tests = [
        {"input": [1], "output": 2, "public": True},
        {"input": [secret[0]], "output": secret[1]},
    ]
    row = {"id": "f", "statement": "Do.", "entry_point": "f", "tests": tests, "probes": [[3]]}
    return JsonlDataset(path=write(Path(path), [row]))


MAKERS: dict[str, Callable[[str, Secret], Dataset]] = {
    "humaneval": a_humaneval,
    "humaneval+": a_humaneval_plus,
    "mbpp": an_mbpp,
    "mbpp challenges": an_mbpp_with_challenges,
    "mbpp+": an_mbpp_plus,
    "livecodebench": a_livecodebench,
    "livecodebench function": a_livecodebench_function,
    "bigcodebench": a_bigcodebench,
    "leetcode": a_leetcode,
    "jsonl": a_jsonl,
}


def shown(problem: Problem) -> str:
    """All that a policy, a reward model or a selector may see."""
    suites = [problem.public, problem.probe]
    return repr([problem.statement, problem.starter_code, *suites])


def test_every_data_set_is_asked() -> None:
    registered = {entry.name for entry in entry_points(group="funprm.datasets")}
    asked = {name.partition(" ")[0].rstrip("+") for name in MAKERS}
    assert registered == asked | {"mini", "combined"}  # the second only hands on problems of others


@pytest.mark.parametrize("name", MAKERS)
def test_nothing_that_is_shown_depends_on_what_only_hidden_tests_hold(
    tmp_path: Path, name: str
) -> None:
    seen = set()
    for secret in ((918273, 564738), (-77123, 88321)):
        (problem,) = MAKERS[name](str(tmp_path / "rows.jsonl"), secret).load()
        for number in secret:
            assert str(number) in repr(problem.hidden)
            assert str(number) not in shown(problem)
        seen.add(shown(problem))
    assert len(seen) == 1
    assert problem.probe is None or problem.public is not None


def test_a_mutation_that_happens_to_be_a_hidden_input_is_no_probe(tmp_path: Path) -> None:
    """Of one number the mutations are itself and the next one."""
    tests = [asserted("twice", (2, 4)), asserted("twice", (3, 6)), "assert twice((3, 4)) == 7"]
    (problem,) = MbppDataset(path=write(tmp_path / "a.jsonl", [mbpp(test_list=tests)])).load()
    assert probes_of(problem) == [[2]]
    (problem,) = MbppDataset(path=write(tmp_path / "b.jsonl", [mbpp(test_list=tests[:1])])).load()
    assert probes_of(problem) == [[2], [3]]
    (problem,) = MbppDataset(path=write(tmp_path / "b.jsonl", [mbpp()]), shown=0).load()
    assert problem.probe is None


@pytest.mark.parametrize("entry_point", ["", "f"])
def test_own_probes_that_hidden_tests_hold_are_refused(tmp_path: Path, entry_point: str) -> None:
    given: Any = [2] if entry_point else "2\n"
    row = {
        "id": "f",
        "statement": "Do.",
        "entry_point": entry_point,
        "tests": [{"input": given, "output": "4"}],
        "probes": ["2"],
    }
    with pytest.raises(DataError, match="probe '2' is the input of a hidden test"):
        list(JsonlDataset(path=write(tmp_path / "own.jsonl", [row])).load())
    row["tests"] = [{"input": given, "output": "4", "public": True}]
    (problem,) = JsonlDataset(path=write(tmp_path / "own.jsonl", [row])).load()
    assert problem.probe is not None


def probes_of(problem: Problem) -> list[Any]:
    return inputs_of(problem.probe)


def inputs_of(suite: Suite | None) -> list[Any]:
    """Of the cases: arguments, or the text of a stream."""
    if suite is None:
        return []
    texts = [case.input for case in suite.unpacked().cases]
    if suite.kind == "stdin":
        return texts
    return [[json.loads(line) for line in text.split("\n")] for text in texts]


def hidden_inputs(problem: Problem) -> list[Any]:
    """Of the hidden tests, as far as they are written out."""
    hidden = problem.hidden
    return written(hidden.code) if hidden.code else inputs_of(hidden)


def written(code: str) -> list[Any]:
    """Argument lists in code, as JSON has them."""
    found = _written(code)
    return [json.loads(json.dumps(item, default=str, skipkeys=True)) for item in found]


def _written(source: str) -> Iterator[list[Any]]:
    """Argument lists in code, and in the texts in code that are code."""
    for node in ast.walk(parsed(source)):
        try:
            if isinstance(node, ast.Call):
                values = [*node.args, *(keyword.value for keyword in node.keywords)]
                yield [ast.literal_eval(value) for value in values]
            elif isinstance(node, ast.List):
                yield from (v for v in ast.literal_eval(node) if isinstance(v, list))
            elif isinstance(node, ast.Constant) and "assert" in str(node.value):
                yield from _written(str(node.value))
        except ValueError:
            continue


REAL: dict[str, Callable[[], Dataset]] = {
    "humaneval": lambda: HumanEvalDataset(path=str(shared("humaneval.jsonl.gz"))),
    "mbpp": lambda: MbppDataset(path=str(shared("mbpp_sanitized.jsonl.gz"))),
    "livecodebench": lambda: LiveCodeBenchDataset(path=str(shared("lcb_train.jsonl.gz"))),
    "bigcodebench": lambda: BigCodeBenchDataset(path=str(shared("bigcodebench_hard.jsonl.gz"))),
    "leetcode": lambda: LeetCodeDataset(path=str(shared("leetcode.jsonl.gz"))),
    "mini": lambda: MiniDataset(train=10, meta=10, validation=10, test=60),
}


@pytest.mark.parametrize("name", REAL)
def test_no_probe_of_the_real_data_is_the_input_of_a_hidden_test_alone(name: str) -> None:
    probes = hidden = 0
    for problem in REAL[name]().load():
        text = as_shown(problem.statement + problem.starter_code)
        code = problem.public.code if problem.public else ""
        public = [*inputs_of(problem.public), *written(code)]
        only = [
            i
            for i in hidden_inputs(problem)
            if i not in public and as_shown(str(i)[1:-1]) not in text
        ]
        assert not [probe for probe in probes_of(problem) if probe in only], problem.problem_id
        probes += len(probes_of(problem))
        hidden += len(only)
    assert (probes > 100) == (name not in ("bigcodebench", "leetcode"))
    assert hidden > 50


def as_shown(text: str) -> str:
    """Without blanks, and with one kind of quotes."""
    return "".join(text.split()).replace('"', "'")


def test_no_statement_of_mbpp_shows_an_assertion_that_is_hidden() -> None:
    for problem in REAL["mbpp"]().load():
        (line,) = [n for n in parsed(problem.hidden.code).body if "TESTS" in ast.unparse(n)][:1]
        assert isinstance(line, ast.Assign)
        tests = ast.literal_eval(line.value)
        assert [test for test in tests if test in problem.statement] == tests[:1]
