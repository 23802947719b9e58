"""The front door: what `import funprm` offers."""

import ast
import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import funprm
from funprm.commands.solution import Judged
from funprm.errors import ConfigError, DataError, InputError, ModelError
from funprm.interfaces import Request, Sample
from funprm.testing import ScriptedPolicy
from tests.models import save_prm

RIGHT = "def add(a, b):\n    return plus(a, b)\n\n\ndef plus(a, b):\n    return a + b\n"
CLOSE = "def add(a, b):\n    return 3\n"
WRONG = "def add(a, b):\n    return 4\n"
BROKEN = "def add(a, b:\n"
ADD = funprm.Problem.of("Return a + b.", entry_point="add", examples=[((1, 2), 3), ((0, 5), 5)])


@pytest.fixture(scope="module")
def prm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_prm(tmp_path_factory.mktemp("models") / "prm")


# --- names -----------------------------------------------------------------------------------


FRONT: Any = funprm


def test_all_that_is_named_can_be_had() -> None:
    assert len(set(FRONT.__all__)) == len(FRONT.__all__)
    assert {name for name in FRONT.__all__ if not hasattr(FRONT, name)} == set()
    assert set(FRONT.__all__) <= set(dir(FRONT))
    with pytest.raises(AttributeError, match="no attribute 'sampel'"):
        _ = FRONT.sampel


def test_type_checkers_are_told_the_same() -> None:
    tree = ast.parse(Path(str(funprm.__file__)).with_suffix(".pyi").read_text())
    found = {
        alias.name: node.module
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert found == {name: f"funprm.{home}" for name, home in FRONT._HOMES.items()}


def run_alone(code: str) -> str:
    """Output of a fresh interpreter."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_is_instant() -> None:
    code = "import sys\nbefore = set(sys.modules)\nimport funprm\nprint(*set(sys.modules) - before)"
    loaded = {name.partition(".")[0] for name in run_alone(code).split()}
    assert loaded <= {"funprm", "importlib", "warnings"}


CORE_ONLY = """
import sys
missing = ("torch", "transformers", "peft", "httpx", "jinja2", "matplotlib", "huggingface_hub")
sys.modules.update(dict.fromkeys(missing))  # importing them raises ModuleNotFoundError
import funprm
from funprm.testing import ScriptedPolicy

problem = funprm.Problem.of("Print the sum.", examples=[("1 2\\n", "3\\n")])
programs = funprm.sample(ScriptedPolicy(["print(3)", "print(4)"]), problem, n=2)
verdicts = funprm.judge(problem, programs)
print(funprm.select(programs, verdicts=verdicts).code)
print(funprm.solve(problem, policy=ScriptedPolicy(["print(4)", "print(3)"]), n=2).code)
for name in ("HuggingFacePolicy", "OpenAIPolicy"):
    try:
        getattr(funprm, name)
    except ImportError as error:
        print(error)
for call in (lambda: funprm.load_prm("prm"), lambda: funprm.solve(problem)):
    try:
        call()
    except funprm.FunprmError as error:
        print(error)
"""


def test_without_the_extras() -> None:
    """`pip install funprm` alone judges and selects; what it lacks is one line."""
    lines = run_alone(CORE_ONLY).splitlines()
    assert lines[:2] == ["print(3)", "print(3)"]
    needs = "needs the package {!r}, which is not installed: pip install 'funprm[{}]'"
    assert lines[2] == "funprm.HuggingFacePolicy " + needs.format("torch", "train")
    assert lines[3] == "funprm.OpenAIPolicy " + needs.format("httpx", "serve")
    assert lines[4] == "a reward model " + needs.format("torch", "train")
    assert lines[5] == "policy 'huggingface' " + needs.format("torch", "train")


# --- problems --------------------------------------------------------------------------------


def test_a_problem_is_known_by_its_content() -> None:
    same = funprm.Problem.of(
        "Return a + b.", entry_point="add", examples=[([1, 2], 3), ([0, 5], 5)]
    )
    assert same == ADD
    assert ADD.hidden == ADD.public
    other = funprm.Problem.of("Return a + b.", entry_point="add", examples=[((1, 2), 4)])
    assert len({ADD.key, other.key, ADD.with_key().key}) == 2
    hidden = funprm.Problem.of("x", examples=[("1", "2")], hidden=[("3", "4")])
    assert hidden.public is not None
    assert [case.input for case in hidden.hidden.cases] == ["1", "3"]
    assert [case.input for case in hidden.public.cases] == ["1"]


@pytest.mark.parametrize(
    ("examples", "entry_point", "message"),
    [
        ([(2, 4)], "f", r"2 is no list of arguments; for a single one write \(2,\)"),
        ([((1,),)], "f", "is no pair"),
        ([((1, 2), 3)], "", "is no text"),
        ([(({1},), 3)], "f", "cannot be written as JSON"),
        ([(((1, 2),), 3)], "f", "use lists for tuples"),
        ([(({1: 2},), 3)], "f", "cannot be written as JSON"),
        ([((1,), float("nan"))], "f", "cannot be written as JSON"),
    ],
)
def test_examples_that_cannot_be_used(examples: Any, entry_point: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        funprm.Problem.of("x", entry_point=entry_point, examples=examples)


def test_a_problem_without_text() -> None:
    with pytest.raises(InputError, match="the statement is empty"):
        funprm.Problem.of("  ")


# --- judge -----------------------------------------------------------------------------------


def test_programs_are_judged_by_all_tests() -> None:
    problem = funprm.Problem.of(
        "Return a + b.", entry_point="add", examples=[((1, 2), 3)], hidden=[((2, 2), 4)]
    )
    right, close, wrong, again = funprm.judge(problem, [RIGHT, CLOSE, WRONG, RIGHT])
    assert [v.passed for v in (right, close, wrong, again)] == [True, False, False, True]
    assert [v.public_passed for v in (right, close, wrong)] == [1.0, 1.0, 0.0]
    assert repr(right) == "Judgement(passed, 2 of 2 tests)"
    assert repr(close).startswith("Judgement(wrong answer, 1 of 2 tests: case 1: input '2")


def test_programs_that_read_standard_input() -> None:
    problem = funprm.Problem.of("Add.", examples=[("1 2\n", "3\n")])
    program = "print(sum(map(int, input().split())))\n"
    assert [v.passed for v in funprm.judge(problem, [program, "print(2)"])] == [True, False]


def test_a_suite_of_another_kind() -> None:
    code = "def check(add):\n    assert add(1, 2) == 3\n"
    suite = funprm.Suite(kind="check", entry_point="add", code=code)
    problem = funprm.Problem.of("Add.", entry_point="add", hidden=suite)
    assert repr(problem) == "Problem('problem', 'Add.', entry_point='add', tests=check, public=0)"
    with funprm.LocalExecutor(workers=1) as executor:
        found = funprm.judge(problem, [RIGHT, WRONG], executor=executor)
        assert funprm.judge(problem, [RIGHT], executor=executor)[0].passed
    assert [v.passed for v in found] == [True, False]
    assert [v.public_passed for v in found] == [None, None]


def test_nothing_to_judge_by() -> None:
    with pytest.raises(DataError, match="has no tests to judge by"):
        funprm.judge(funprm.Problem.of("Add."), [RIGHT])


# --- sample, score, select, solve ------------------------------------------------------------


def test_sampling_is_that_of_a_run() -> None:
    programs = funprm.sample(ScriptedPolicy([RIGHT, WRONG]), ADD, n=3)
    assert [p.code for p in programs] == [RIGHT, WRONG, RIGHT]
    assert [p.index for p in programs] == [0, 1, 2]
    assert repr(programs[1]) == f"Generation('problem', 1, {WRONG!r})"
    with pytest.warns(UserWarning, match=r"0 programs in place of 2: 1 problem without a program"):
        assert funprm.sample(ScriptedPolicy({"other": [RIGHT]}), ADD, n=2) == []


def test_seeds_and_kept_answers(tmp_path: Path) -> None:
    class Counting(ScriptedPolicy):
        asked = 0

        def sample(self, requests: Sequence[Request]) -> Iterator[Sample]:
            self.asked += len(requests)
            for request in requests:
                yield Sample(key=request.key, code=f"print({request.seed})")

    policy = Counting([])
    first = funprm.sample(policy, ADD, n=2, output=tmp_path / "kept")
    assert funprm.sample(policy, ADD, n=2, output=tmp_path / "kept") == first
    assert policy.asked == 2
    other = funprm.sample(policy, ADD, n=2, seed=1)
    assert {p.code for p in first}.isdisjoint(p.code for p in other)


def test_scores_know_their_functions(prm: Path) -> None:
    model = funprm.load_prm(prm)
    both, one = model.score(ADD, [RIGHT, WRONG])
    assert both.names == ("add", "plus")
    assert len(both) == len(list(both)) == 2
    assert both.score == pytest.approx(sum(both) / 2)
    assert all(0 <= value <= 1 for value in (*both, *one))
    assert repr(one) == f"FunctionScores(add {one[0]:.2f}: mean {one[0]:.2f})"
    assert repr(model) == f"ProcessRewardModel({str(prm)!r})"
    last = funprm.load_prm(save_prm(prm.with_name("orm"), mode="orm")).score(ADD, [RIGHT])[0]
    assert last.score == last[-1]


def test_a_reward_model_of_the_hub(prm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda name: str(prm))
    assert funprm.load_prm("someone/prm").folder == prm

    def absent(name: str) -> str:
        raise OSError("404 Not Found\nand more")

    monkeypatch.setattr("huggingface_hub.snapshot_download", absent)
    with pytest.raises(ModelError, match=r"no reward model 'someone/prm'.*404 Not Found\)"):
        funprm.load_prm("someone/prm")
    with pytest.raises(ModelError, match="no reward model in /absent"):
        funprm.load_prm("/absent")


def test_the_best_program() -> None:
    programs = [BROKEN, WRONG, CLOSE, RIGHT]
    verdicts = funprm.judge(ADD, programs)
    scores = [[1.0], [0.9], [0.5], [0.1, 0.2]]
    assert funprm.select(programs, scores=scores, by="score") == WRONG
    assert funprm.select(programs, verdicts=verdicts, by="public_tests") == RIGHT
    assert funprm.select(programs, scores=scores, verdicts=verdicts) == RIGHT
    two = [[0.0], [0.6], [0.5], [0.1, 1.0]]
    assert funprm.select(programs, scores=two, by="score:last") == RIGHT
    assert funprm.select(programs, scores=two, by="score:mean") == WRONG
    drawn = {funprm.select(programs, by="random", seed=seed) for seed in range(20)}
    assert drawn == {WRONG, CLOSE, RIGHT}
    assert funprm.select([BROKEN]) == BROKEN


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"by": "score"}, r"choose by 'score': give scores=prm.score\(problem, programs\)"),
        ({"by": "public_tests+score", "scores": [[0.1]]}, "of a problem with public tests"),
        ({"by": "majority"}, "verdicts= of a problem with probes"),
        ({"scores": [[0.1], [0.2]]}, "2 scores of 1 programs"),
        ({"verdicts": []}, "0 verdicts of 1 programs"),
    ],
)
def test_choosing_by_what_is_not_known(given: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        funprm.select([RIGHT], **given)


def test_choosing_in_no_way() -> None:
    with pytest.raises(ConfigError, match="unknown selector 'scores'"):
        funprm.select([RIGHT], by="scores")
    with pytest.raises(DataError, match="no programs"):
        funprm.select([])


def test_solving(prm: Path) -> None:
    policy = ScriptedPolicy([WRONG, CLOSE, RIGHT])
    solution = funprm.solve(ADD, policy=policy, n=3, settings={"executor.workers": 1})
    assert (solution.found, solution.code) == ("passes", RIGHT)
    assert solution.selector == "public_tests+majority"
    assert repr(solution) == f"{solution.summary}\n\n{RIGHT}".rstrip()
    scored = funprm.solve(ADD, policy=policy, prm=prm, n=3)
    assert scored.code == RIGHT
    assert funprm.solve(ADD, policy=policy, prm=funprm.load_prm(prm), n=3) == scored
    with pytest.raises(ConfigError, match="settings of a policy beside"):
        funprm.solve(ADD, policy=policy, settings={"policy.model": "x"})


def test_no_answer_at_all() -> None:
    solution = funprm.solve(ADD, policy=ScriptedPolicy({"other": [RIGHT]}), n=2)
    assert (solution.found, solution.code, solution.candidates) == ("none", "", ())
    assert repr(solution) == "none of 0 answers holds a program"


def test_hidden_tests_choose_nothing() -> None:
    problem = funprm.Problem.of("x", entry_point="add", hidden=[((1, 2), 3)])
    solution = funprm.solve(problem, policy=ScriptedPolicy([RIGHT]), n=1)
    assert (solution.found, solution.code) == ("untested", RIGHT)


def test_what_a_notebook_shows_is_escaped() -> None:
    evil = "<script>alert('&')</script>"
    code = f'def {"f"}():\n    return "{evil}"\n\n\ndef g():\n    pass\n'
    chosen = Judged(
        index=0, chosen=True, code=code, finish="stop", tests=1.0, score=0.5,
        functions=((f'f"{evil}', 0.9), ("g", None)),
    )  # fmt: skip
    solution = funprm.Solution(
        found="passes", code=code, selector="x", summary=f"by {evil}", candidates=(chosen,)
    )
    page = solution._repr_html_()
    assert evil not in page
    assert page.count("&lt;script&gt;") == 4  # summary, code, title, table
    assert 'title="f&quot;&lt;' in page
    assert "rgba(31, 120, 200, 0.40)" in page


def test_asynchronous_forms() -> None:
    async def both() -> tuple[list[funprm.Generation], funprm.Solution]:
        sampled = funprm.asample(ScriptedPolicy([RIGHT]), ADD, n=1)
        solved = funprm.asolve(ADD, policy=ScriptedPolicy([WRONG, RIGHT]), n=2)
        return await asyncio.gather(sampled, solved)

    programs, solution = asyncio.run(both())
    assert programs[0].code == solution.code == RIGHT


def test_cancelling_ends_the_work() -> None:
    going, told, ended = threading.Event(), threading.Event(), threading.Event()
    answered = []

    class Patient(ScriptedPolicy):
        def sample(self, requests: Sequence[Request]) -> Iterator[Sample]:
            try:
                for request in requests:
                    answered.append(request)
                    yield Sample(key=request.key, code="print(1)")
                    going.set()
                    told.wait(60)
            finally:
                ended.set()

    async def cancelled() -> None:
        task = asyncio.create_task(funprm.asample(Patient([]), ADD, n=9))
        await asyncio.to_thread(going.wait)
        task.cancel()
        try:
            await task
        finally:
            told.set()

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancelled())
    assert ended.wait(60)
    assert len(answered) == 2


def test_progress_is_silent_unless_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    policy = ScriptedPolicy([RIGHT])
    funprm.sample(policy, ADD, n=1)
    assert capsys.readouterr() == ("", "")
    funprm.sample(policy, ADD, n=1, progress=True)
    assert "generate  1 programs" in capsys.readouterr().err


# --- runs and files --------------------------------------------------------------------------


def test_a_run_and_the_verbs_on_files(tmp_path: Path) -> None:
    row = {
        "problem_id": "p",
        "statement": "Add.",
        "entry_point": "add",
        "tests": [{"input": [1, 2], "output": 3, "public": True}, {"input": [2, 2], "output": 4}],
        "reference": RIGHT,
    }
    problems, programs = tmp_path / "problems.jsonl", tmp_path / "programs.jsonl"
    problems.write_text(json.dumps(row) + "\n")
    lines = [json.dumps({"problem_id": "p", "code": code}) for code in (RIGHT, WRONG)]
    programs.write_text("\n".join(lines) + "\n")
    config = tmp_path / "run.toml"
    config.write_text(
        f'output = "{tmp_path}/run"\n[dataset]\nname = "jsonl"\npath = "{problems}"\n'
        f'[policy]\nname = "replay"\npath = "{programs}"\n[rollout]\nk = 0\n'
    )
    settings = {"generate.n": 2, "select.bootstrap": 20, "executor.workers": 1}
    funprm.run_stage(config, "load", settings)
    result = funprm.run(config, settings)
    assert result.folder == tmp_path / "run"
    assert result.report.is_file()
    assert repr(result) == f"{result.table}\nreport: {result.report}"
    assert {row["selector"]: row["solved"] for row in result.summary["table"]}["oracle"] == 1
    done = funprm.export(config, "programs", tmp_path / "out.jsonl", settings=settings)
    assert done == {"rows": 2, "left_out": 0}
    judged = funprm.judge_file(
        problems, programs, tmp_path / "v.jsonl", settings={"executor.workers": 1}, warn=str
    )
    assert judged.statuses == {"passed": 1, "wrong answer": 1}
    assert repr(judged) == judged.text()
    assert funprm.check_dataset(problems).passed == 1
    assert funprm.validate_problems(problems).startswith("1 problems, all usable")
    counts = funprm.import_programs(tmp_path / "out.jsonl", tmp_path / "imported.jsonl")
    assert sum(counts.values()) == 2


def test_steps_and_isolation() -> None:
    assert [name for name, _ in funprm.steps_of(RIGHT)] == ["add", "plus"]
    assert all(len(row) == 4 for row in funprm.doctor())
