import json
from pathlib import Path
from typing import Any

import pytest

from funprm.commands.import_programs import import_programs
from funprm.errors import ConfigError, DataError, InputError, RecordError
from funprm.interfaces import Request
from funprm.policies.replay import ReplayPolicy
from funprm.records import Generation, Problem, Status, Suite, Verdict
from funprm.row_files import write_rows
from funprm.store import encode_line, read_records

LIVECODEBENCH = [
    {
        "question_id": "abc1",
        "code_list": ["print(1)\n", "print(2)\n"],
        "output_list": ["```python\nprint(1)\n```", "print(2)\n"],
        "graded_list": [True, False],
        "metadata": ["{}", '{"error_code": -4}'],
    },
    {"question_id": "abc2", "code_list": [""], "graded_list": [False]},
]


def problem(name: str, starter: str = "") -> Problem:
    return Problem(
        key=name,
        problem_id=name,
        statement="",
        hidden=Suite(kind="stdin"),
        starter_code=starter,
    )


def generations(path: Path) -> list[Generation]:
    return list(read_records(path, Generation))


def test_the_status_of_a_program_is_kept(tmp_path: Path) -> None:
    told = [(True, "passed"), (False, "runtime error"), (False, "fail"), (False, "passed"),
            (False, "not judged"), (False, 7), (True, "runtime error")]  # fmt: skip
    rows = [{"problem_id": "p", "code": "x", "passed": p, "status": s} for p, s in told]
    write_rows(tmp_path / "programs.jsonl", rows)
    verdicts = tmp_path / "verdicts.jsonl"
    counts = import_programs(tmp_path / "programs.jsonl", tmp_path / "o.jsonl", verdicts=verdicts)
    assert counts == {"passed": 2, "runtime error": 1, "wrong answer": 4}


def test_a_file_of_livecodebench_becomes_generations_and_verdicts(tmp_path: Path) -> None:
    write_rows(tmp_path / "eval_all.json", LIVECODEBENCH)
    out, verdicts = tmp_path / "out.jsonl", tmp_path / "verdicts.jsonl"
    counts = import_programs(tmp_path / "eval_all.json", out, verdicts=verdicts)
    assert counts == {"passed": 1, "runtime error": 1, "wrong answer": 1}
    made = generations(out)
    assert [(g.problem_id, g.index, g.code, g.finish) for g in made] == [
        ("abc1", 0, "print(1)\n", "stop"),
        ("abc1", 1, "print(2)\n", "stop"),
        ("abc2", 0, "", "empty"),
    ]
    assert [g.text for g in made] == ["```python\nprint(1)\n```", "", ""]
    statuses = {v.key: v.status for v in read_records(verdicts, Verdict)}
    assert [statuses[g.key] for g in made] == [
        Status.PASSED,
        Status.RUNTIME_ERROR,
        Status.WRONG_ANSWER,
    ]


def test_what_is_imported_can_be_replayed(tmp_path: Path) -> None:
    write_rows(tmp_path / "custom.json", LIVECODEBENCH)
    import_programs(tmp_path / "custom.json", tmp_path / "out.jsonl")
    policy = ReplayPolicy(path=str(tmp_path / "out.jsonl"))
    requests = [Request(key="a", problem=problem("abc1"), index=1, seed=0)]
    (sample,) = policy.sample(requests)
    assert (sample.key, sample.code) == ("a", "print(2)\n")


@pytest.mark.parametrize("name", ["samples.jsonl", "samples.jsonl.gz", "samples.json"])
def test_samples_of_bigcodebench_and_evalplus(name: str, tmp_path: Path) -> None:
    rows = [{"task_id": "Mbpp/2", "solution": "a"}, {"task_id": "Mbpp/2", "solution": "b"}]
    write_rows(tmp_path / name, rows)
    assert import_programs(tmp_path / name, tmp_path / "out.jsonl") == {"no verdict": 2}
    assert [(g.index, g.code) for g in generations(tmp_path / "out.jsonl")] == [(0, "a"), (1, "b")]


def test_completions_need_their_prompts(tmp_path: Path) -> None:
    write_rows(tmp_path / "s.jsonl", [{"task_id": "HumanEval/0", "completion": "    pass\n"}])
    source, out, problems = (tmp_path / n for n in ("s.jsonl", "out.jsonl", "problems.jsonl"))
    with pytest.raises(DataError, match="give the problems by --problems"):
        import_programs(source, out)
    with pytest.raises(InputError, match="no file .*problems.jsonl"):
        import_programs(source, out, problems=str(problems))
    problems.write_bytes(encode_line(problem("HumanEval/1")))
    with pytest.raises(DataError, match="'HumanEval/0', which is none of the 1 problems"):
        import_programs(source, out, problems=str(problems))
    assert not out.exists()
    problems.write_bytes(encode_line(problem("HumanEval/0", "def f():\n")))
    import_programs(source, out, problems=str(problems))
    assert generations(out)[0].code == "def f():\n    pass\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no programs"),
        ('{"id": 1}\n', r"s.jsonl:1: none of the fields .* the row has id"),
        ('{"task_id": "a"}\n', "s.jsonl:1: a sample without `code`, `solution` and"),
        ('{"task_id": "a", "solution": 1}\n', "s.jsonl:1: not a sample of a program: Expected"),
        ("[1]\n", "s.jsonl:1: Expected `object`"),
        ("{\n", "s.jsonl:1: expected one JSON object"),
    ],
)
def test_what_cannot_be_read_is_named(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "s.jsonl").write_text(text)
    with pytest.raises(RecordError, match=message):
        import_programs(tmp_path / "s.jsonl", tmp_path / "out.jsonl")
    assert not (tmp_path / "out.jsonl").exists()


def test_verdicts_that_are_not_there_are_not_made_up(tmp_path: Path) -> None:
    write_rows(tmp_path / "s.jsonl", [{"task_id": "a", "solution": "x"}])
    with pytest.raises(DataError, match="1 programs without a verdict"):
        import_programs(tmp_path / "s.jsonl", tmp_path / "o.jsonl", verdicts=tmp_path / "v.jsonl")
    assert [p.name for p in tmp_path.iterdir()] == ["s.jsonl"]
    with pytest.raises(InputError, match="cannot read"):
        import_programs(tmp_path / "absent.jsonl", tmp_path / "o.jsonl")


def test_no_program_is_dropped_without_a_word(tmp_path: Path) -> None:
    source, out = tmp_path / "s.jsonl", tmp_path / "o.jsonl"
    write_rows(source, [{"question_id": "a", "code": "x"}, {"problem_id": "a", "code": "y"}])
    assert import_programs(source, out) == {"no verdict": 2}
    write_rows(source, [{"question_id": "a"}])
    with pytest.raises(RecordError, match="s.jsonl:1: a sample without"):
        import_programs(source, out)


def test_no_file_is_overwritten_while_it_is_read(tmp_path: Path) -> None:
    source = tmp_path / "s.jsonl"
    write_rows(source, [{"task_id": "a", "solution": "x", "passed": True}])
    before = source.read_bytes()
    for out, verdicts in ((source, None), (tmp_path / "o", source), (tmp_path / "o",) * 2):
        with pytest.raises(ConfigError, match="different files"):
            import_programs(source, out, verdicts=verdicts)
    assert source.read_bytes() == before
    with pytest.raises(ConfigError, match="is a folder"):
        import_programs(source, tmp_path)


def test_equal_files_give_equal_keys(tmp_path: Path) -> None:
    def keys(rows: list[dict[str, Any]]) -> list[str]:
        (tmp_path / "s.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        import_programs(tmp_path / "s.jsonl", tmp_path / "o.jsonl")
        return [g.key for g in generations(tmp_path / "o.jsonl")]

    rows = [{"task_id": "a", "solution": code} for code in ("x", "x", "y")]
    assert len(set(keys(rows))) == 3
    assert keys(rows) == keys(rows)
