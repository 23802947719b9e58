"""`funprm judge`: programs in files of others, counted to the last line."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from funprm.cli import main
from funprm.commands.judge import FileJudge
from funprm.commands.judged import Judged
from funprm.commands.problems import given, read_problems
from funprm.errors import ConfigError, DataError, InputError, RecordError, StoreError
from funprm.executors.local.executor import LocalExecutor
from tests.commands.conftest import PROBLEM, FakeJudge, Steps, lines, write
from tests.shared_data import shared

OWN = {
    "problem_id": "double",
    "statement": "Double the number.",
    "entry_point": "f",
    "tests": [{"input": [2], "output": 4}],
}


class Files:
    """Problems, programs and verdicts in a folder, and one call of the verb on them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.problems = folder / "problems.jsonl"
        self.programs = folder / "programs.jsonl"
        self.out = folder / "out.jsonl"
        self.said: list[str] = []

    def judge(self, judge: Any = None, **options: Any) -> Judged:
        self.said.clear()
        by = FileJudge(
            executor=judge or FakeJudge(), progress=Steps(), warn=self.said.append, **options
        )
        source = given(str(self.problems), {})
        return by.judge(read_problems(source), self.programs, self.out)

    def statuses(self) -> dict[str, str]:
        found = lines(self.out)
        assert len({line["key"] for line in found}) == len(found)
        return {line["key"]: line["status"] for line in found}


@pytest.fixture
def files(tmp_path: Path) -> Files:
    made = Files(tmp_path)
    write(made.problems, PROBLEM)
    codes = ["right", "no", "right"]
    rows = [{"key": f"k{i}", "problem_id": "p", "code": c, "x": 1} for i, c in enumerate(codes)]
    write(made.programs, *rows)
    return made


def test_equal_programs_are_judged_once_and_every_line_says_what_it_depends_on(
    files: Files,
) -> None:
    judge = FakeJudge()
    judged = files.judge(judge)
    assert judge.judged == ["right", "no"]
    assert dict(judged.statuses) == {"passed": 2, "wrong answer": 1}
    assert judged.exit_code == 0
    assert files.statuses() == {"k0": "passed", "k1": "wrong answer", "k2": "passed"}
    for line in lines(files.out):
        assert (line["problem_id"], line["suite"], len(line["digest"])) == ("p", "hidden", 32)


@pytest.mark.parametrize("change", ["suite", "tests", "limit", "code", "rules"])
def test_what_determines_a_verdict_makes_it_count_no_longer(files: Files, change: str) -> None:
    files.judge(FakeJudge(python="3.11"))
    before = files.out.read_text()
    again = FakeJudge(python="3.12" if change == "rules" else "3.11")
    options = {"suite": "public"} if change == "suite" else {}
    if change in ("tests", "limit"):
        hidden: Any = PROBLEM["hidden"]
        hidden = hidden | (
            {"seconds": 1} if change == "limit" else {"cases": [{"input": "7", "output": "8"}]}
        )
        write(files.problems, {**PROBLEM, "hidden": hidden})
    if change == "code":
        files.programs.write_text(files.programs.read_text().replace('"no"', '"right now"'))
    judged = files.judge(again, **options)
    fresh = ["right now"] if change == "code" else ["right", "no"]
    assert again.judged == fresh
    assert judged.reused == (2 if change == "code" else 0)
    assert len(files.statuses()) == 3
    moved = lines(files.folder / "out.jsonl.earlier")
    assert sorted(line["key"] for line in moved) == (
        ["k1"] if change == "code" else ["k0", "k1", "k2"]
    )
    assert all(json.dumps(line["digest"]) in before for line in moved)
    assert sum("do not hold for this call" in line for line in files.said) == 1


def test_a_program_that_moves_to_a_problem_with_equal_tests_gets_a_line_of_it(
    files: Files,
) -> None:
    write(files.problems, PROBLEM, {**PROBLEM, "problem_id": "q"})
    files.judge()
    files.programs.write_text(files.programs.read_text().replace('"p"', '"q"', 1))
    judge = FakeJudge()
    assert files.judge(judge).reused == 2
    assert judge.judged == ["right"]
    assert {line["key"]: line["problem_id"] for line in lines(files.out)} == {
        "k0": "q", "k1": "p", "k2": "p",
    }  # fmt: skip
    write(
        files.programs, {"problem_id": "p", "code": "right"}, {"problem_id": "q", "code": "right"}
    )
    judge = FakeJudge()
    assert files.judge(judge).judged == 2
    assert judge.judged == ["right"]


def test_what_still_holds_is_not_judged_again(files: Files) -> None:
    files.judge()
    before = files.out.read_bytes()
    again = FakeJudge()
    judged = files.judge(again)
    assert again.judged == []
    assert (judged.reused, judged.judged, judged.exit_code) == (3, 3, 0)
    assert files.out.read_bytes() == before
    assert not (files.folder / "out.jsonl.earlier").exists()


def test_an_interrupted_call_goes_on(files: Files) -> None:
    codes = [f"right {i}" for i in range(5)]
    write(files.programs, *({"problem_id": "p", "code": code} for code in codes))
    with pytest.raises(KeyboardInterrupt):
        files.judge(FakeJudge(fails_after=3))
    whole = files.out.read_bytes()
    files.out.write_bytes(whole[:-20])  # torn in the middle of a line
    again = FakeJudge()
    judged = files.judge(again)
    assert again.judged == codes[2:]
    assert (judged.reused, judged.judged) == (2, 5)
    assert list(files.statuses()) == [f"p#{i}" for i in range(5)]


def test_a_file_of_an_earlier_version_is_judged_again_and_kept_aside(files: Files) -> None:
    write(files.out, {"key": "k0", "status": "passed"}, {"key": "k1", "status": "passed"})
    judged = files.judge()
    assert judged.reused == 0
    assert files.statuses()["k1"] == "wrong answer"
    assert [line for line in files.said if "2 of an earlier version" in line] == files.said
    assert len(lines(files.folder / "out.jsonl.earlier")) == 2


def test_what_was_not_judged_is_tried_again_and_stored_once(files: Files) -> None:
    write(files.programs, {"problem_id": "p", "code": "refuse"}, {"problem_id": "p", "code": "no"})
    for reused in (0, 1):
        judged = files.judge()
        assert (judged.exit_code, judged.not_judged, judged.reused) == (1, 1, reused)
        assert dict(judged.reasons) == {"refused by the judge": 1}
        assert files.statuses() == {"p#0": "not judged", "p#1": "wrong answer"}
    write(files.programs, {"problem_id": "p", "code": "refuse"})
    assert files.judge().exit_code == 2


def test_every_problem_and_program_is_counted(files: Files) -> None:
    own = {**OWN, "problem_id": None, "id": "named as before"}
    del own["problem_id"]
    untested = {**PROBLEM, "problem_id": "untested"}
    del untested["public"]
    write(files.problems, PROBLEM, OWN, own, untested, {"problem_id": "bad", "hidden": 5}, {"a": 1})
    rows: list[object] = [
        {"problem_id": "p", "code": "right"},
        {"task_id": "p", "solution": "right again"},
        {"question_id": "p", "code_list": ["right", "no"]},
        {"problem_id": "untested", "code": "right"},
        {"problem_id": "bad", "code": "right"},
        {"problem_id": "stray", "code": "right"},
        {"problem_id": "stray", "code": "no"},
        {"problem_id": "p", "key": "k"},
        {"problem_id": "p", "task_id": "q", "code": "right"},
        {"code": "right"},
        {"problem_id": "p", "code": "right", "solution": "wrong"},
        [1],
    ]
    write(files.programs, *rows)
    with files.programs.open("a") as file:
        file.write('{broken\n{"a": ' + "[" * 100_000 + "\n")
    judged = files.judge(suite="public")
    assert judged.json() == {
        "suite": "public",
        "problems": 6,
        "unusable_problems": 2,
        "with_tests": 1,
        "without_programs": ["double", "named as before"],
        "programs": 8,
        "repeated": 0,
        "unreadable": 7,
        "completions": 0,
        "unknown_problems": {"stray": 2},
        "judged": 4,
        "reused": 0,
        "not_judged": 4,
        "reasons": {
            "of problems without such tests": 1,
            "of problems that cannot be used": 1,
            "of unknown problems": 2,
        },
        "passed_with_tests_in_process": 0,
        "statuses": {"not judged": 4, "passed": 3, "wrong answer": 1},
    }
    assert judged.exit_code == 1
    assert judged.text().splitlines() == [
        "problems: 6, 1 with public tests, 2 cannot be used, 2 without a program "
        "(double, named as before)",
        "programs: 8, 7 unreadable rows, 2 of unknown problems (stray)",
        "verdicts: 4 new, 0 kept, 4 not judged; 1 of problems without such tests; "
        "1 of problems that cannot be used; 2 of unknown problems",
        "passed: 3 of 4 judged (75.0 %); 4 not judged, 3 passed, 1 wrong answer",
    ]
    for words in (
        ("problems.jsonl:5", "object"),
        ("problems.jsonl:6", "neither `hidden`", "--set dataset.path=FILE"),
        ("'untested#0'", "no public tests"),
        ("'stray#1'", "no problem 'stray'"),
        ("programs.jsonl:8", "without `code`"),
        ("programs.jsonl:9", "problem_id and task_id differ"),
        ("programs.jsonl:10", "none of the fields problem_id, task_id, question_id"),
        ("programs.jsonl:11", "`code` and `solution` differ"),
    ):
        assert any(all(word in line for word in words) for line in files.said), (words, files.said)


def test_programs_that_passed_in_one_process_with_their_tests_are_counted(files: Files) -> None:
    code = "def check(candidate):\n    assert candidate(lambda x: x + 1, {}) == {}"
    suites = [
        {"kind": "check", "entry_point": "f", "code": code.format(*numbers)}
        for numbers in ((1, 2), (1, 3))
    ]
    problems = [
        {**PROBLEM, "key": name, "problem_id": name, "hidden": suite}
        for name, suite in zip("ab", suites, strict=True)
    ]
    write(files.problems, *problems)
    program = "def f(g, x): return g(x)"
    write(files.programs, *({"problem_id": name, "code": program} for name in "ab"))
    with LocalExecutor(workers=1) as executor:
        for _ in range(2):  # new and kept verdicts alike
            judged = files.judge(executor)
            assert dict(judged.statuses) == {"passed": 1, "wrong answer": 1}
            assert judged.json()["passed_with_tests_in_process"] == 1
            assert "1 passed in one process with their tests" in judged.text()


def test_many_faults_of_a_kind_are_counted(files: Files) -> None:
    row = {"problem_id": "q", "code": "right"}
    write(files.programs, *[row] * 30, {"problem_id": "p", "code": "right"})
    assert files.judge().not_judged == 30
    assert len(files.said) == 6
    assert files.said[-1] == "... and 25 more like this: of unknown problems"


def test_completions_follow_their_problems_code(files: Files) -> None:
    write(files.problems, {**PROBLEM, "starter_code": "def f(x):\n"})
    write(files.programs, {"task_id": "p", "completion": "    return x\n"})
    judge = FakeJudge()
    judged = files.judge(judge)
    assert judge.judged == ["def f(x):\n    return x\n"]
    assert "1 put after their problem's code" in judged.text()


def test_nothing_that_can_be_judged_leaves_all_as_it_was(files: Files) -> None:
    files.judge()
    before = files.out.read_bytes()
    write(files.programs, {"problem_id": "P", "code": "right"})
    message = "none of 1 programs can be judged: 1 of unknown problems .*'P'.* problems is 'p'"
    with pytest.raises(DataError, match=message):
        files.judge()
    write(files.problems, {"task_id": "HumanEval/0", "prompt": ""})
    with pytest.raises(DataError, match="none of 1 problems can be used"):
        files.judge()
    assert "by the data set's name" in files.said[0]
    write(files.problems, PROBLEM)
    files.programs.write_text("\n")
    with pytest.raises(DataError, match="no programs"):
        files.judge()
    files.programs.write_text("{}\n")
    with pytest.raises(DataError, match=r"no programs \(1 rows that cannot be read\)"):
        files.judge()
    write(files.problems, {**PROBLEM, "public": None})
    write(files.programs, {"problem_id": "p", "code": "right"})
    with pytest.raises(DataError, match="1 of problems without such tests"):
        files.judge(suite="public")
    assert files.out.read_bytes() == before


def test_equal_keys_and_equal_ids_are_not_mixed_up(files: Files) -> None:
    row = {"key": "k", "problem_id": "p", "code": "right"}
    write(files.programs, row, row)
    assert (files.judge().programs, files.judge().repeated) == (1, 1)
    write(files.programs, row, {**row, "code": "no"})
    with pytest.raises(DataError, match="programs.jsonl:2: the key 'k' is that of another"):
        files.judge()
    write(files.programs, row, {"problem_id": "double", "code": "right"})
    write(files.problems, PROBLEM, PROBLEM, OWN, {**OWN, "tests": [{"input": [1], "output": 2}]})
    judged = files.judge()
    assert (judged.problems, judged.with_tests) == (2, 1)
    assert files.statuses() == {"k": "passed", "double#0": "not judged"}
    assert any("two problems have the id 'double'" in line for line in files.said)


def test_files_of_others_are_left_as_they_are(files: Files) -> None:
    files.programs.write_text(json.dumps({"problem_id": "p", "code": "right"}))  # no newline
    before = files.programs.read_bytes()
    source = read_problems(given(str(files.problems), {}))
    by = FileJudge(executor=FakeJudge(), progress=Steps())
    with pytest.raises(RecordError, match="programs.jsonl:1: not a verdict"):
        by.judge(source, files.programs, files.programs)
    assert files.programs.read_bytes() == before
    (files.folder / "notes").write_text("no verdicts")
    with pytest.raises(RecordError, match="notes:1: not a verdict"):
        by.judge(source, files.programs, files.folder / "notes")
    (files.folder / "manifest.json").write_text("{}")
    for name, message in (
        ("verdicts.jsonl", "belongs to the run"),
        ("out.jsonl.gz", "JSON lines"),
        ("none/out.jsonl", "no folder"),
        (".", "not a regular file"),
    ):
        with pytest.raises(ConfigError, match=message):
            by.judge(source, files.programs, files.folder / name)


def test_two_processes_do_not_write_one_file(files: Files) -> None:
    from funprm.commands.verdict_file import held

    with held(files.out), pytest.raises(StoreError, match="in use by another process"):
        files.judge()
    files.judge()
    assert sorted(p.name for p in files.folder.iterdir()) == [
        *("out.jsonl", "problems.jsonl", "programs.jsonl"),
    ]


def test_files_as_other_systems_write_them(files: Files) -> None:
    text = json.dumps({"problem_id": "p", "code": "right"})
    files.programs.write_bytes(b"\xef\xbb\xbf" + f"{text}\r\n\r\n{text}\r\n".encode())
    assert files.judge().programs == 2
    files.programs.write_bytes(gzip.compress(f"{text}\n".encode()))
    assert files.judge().programs == 1
    files.programs = files.folder / "eval_all.json"
    files.programs.write_text(json.dumps([{"question_id": "p", "code_list": ["right", "no"]}]))
    assert files.judge().programs == 2
    for damaged in (b'[{"question_id": "p"', gzip.compress(b"x" * 999)[:-9]):
        files.programs.write_bytes(damaged)
        with pytest.raises(InputError):
            files.judge()
    files.programs = files.folder
    with pytest.raises(InputError, match="Is a directory"):
        files.judge()


def test_bad_tests_cost_only_their_own_verdicts(files: Files) -> None:
    """By the real judge, which says why."""

    def problem(name: str, **hidden: object) -> dict[str, object]:
        return {**PROBLEM, "problem_id": name, "hidden": {**PROBLEM["hidden"], **hidden}}  # type: ignore[dict-item]

    write(
        files.problems,
        PROBLEM,
        problem("no tests", cases=[]),
        problem("malformed", cases=[{"input": "{oops", "output": "2"}]),
        problem("unknown kind", kind="telepathy"),
    )
    good = "def f(x): return x + 1"
    rows = [
        ("good", "p", good),
        ("untested", "no tests", good),
        ("badly tested", "malformed", good),
        ("of unknown kind", "unknown kind", good),
        ("large", "p", f"{good}  # {'x' * 10_000_000}"),
        ("nul", "p", good + "\0"),
        ("last", "p", good + "\n"),
    ]
    write(files.programs, *({"key": k, "problem_id": p, "code": c} for k, p, c in rows))
    with LocalExecutor(workers=1) as executor:
        judged = files.judge(executor)
    assert judged.not_judged == 3
    assert files.statuses() == {
        "good": "passed",
        "untested": "not judged",
        "badly tested": "not judged",
        "of unknown kind": "not judged",
        "large": "passed",
        "nul": "runtime error",
        "last": "passed",
    }
    for words in (
        ("'untested'", "no hidden tests"),
        ("'badly tested'", "case 0", "JSON"),
        ("'of unknown kind'", "problems.jsonl:4", "telepathy"),
    ):
        assert any(all(word in line for word in words) for line in files.said), (words, files.said)


def test_the_command(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    write(files.problems, OWN)
    rows = [{"task_id": "double", "solution": f"def f(x):\n    return {v}\n"} for v in ("2*x", 0)]
    write(files.programs, *rows)
    command = ["judge", str(files.problems), str(files.programs), "--out", str(files.out)]
    assert main([*command, "--workers", "1"]) == 0
    shown = capsys.readouterr()
    assert "passed: 1 of 2 judged (50.0 %)" in shown.out
    assert "isolation: " in shown.err
    by_name = [*command, "--set", f"dataset.path={files.problems}", "--json"]
    by_name[1] = "jsonl"
    assert main(by_name) == 0
    assert json.loads(capsys.readouterr().out)["reused"] == 2  # the same tests
    with files.programs.open("a") as file:
        file.write(json.dumps({"task_id": "no such"} | {"code": ""}) + "\n")
    assert main(command) == 1
    write(files.programs, {"task_id": "no such", "code": ""})
    assert main(command) == 2
    assert main(["judge", "humanevl", str(files.programs), "--out", str(files.out)]) == 2
    assert "did you mean 'humaneval'?" in capsys.readouterr().err


def test_recorded_samples_of_humaneval_by_one_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A few of each of 5 tasks, with the pass rate that was recorded."""
    with gzip.open(shared("humaneval_codegen16b.jsonl.gz"), "rt") as file:
        rows = [row for row in map(json.loads, file) if row["sample"] < 8][: 5 * 8]
    write(tmp_path / "programs.jsonl", *rows)
    given = ["humaneval", str(tmp_path / "programs.jsonl"), "--out", str(tmp_path / "v.jsonl")]
    setting = f"dataset.path={shared('humaneval.jsonl.gz')}"
    assert main(["judge", *given, "--set", setting, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["programs"] == 40
    assert len(found["without_programs"]) == 159
    assert found["statuses"]["passed"] == sum(row["passed"] for row in rows)
    by_key = {line["key"]: line["status"] == "passed" for line in lines(tmp_path / "v.jsonl")}
    assert by_key == {f"{row['task_id']}#{row['sample']}": row["passed"] for row in rows}
