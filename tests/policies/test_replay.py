"""Recorded programs as answers."""

import gzip
import json
import os
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from funprm.errors import ConfigError, PolicyError, RecordError
from funprm.interfaces import Policy, Request, Sample
from funprm.policies.replay import ReplayPolicy
from funprm.records import Generation, Problem, Suite


def request(problem_id: str, index: int = 0, prefix: str = "") -> Request:
    problem = Problem(
        key=problem_id, problem_id=problem_id, statement="", hidden=Suite(kind="stdin")
    )
    return Request(key=f"{problem_id} {index}", problem=problem, index=index, seed=0, prefix=prefix)


def write(path: Path, rows: list[object]) -> str:
    text = "".join(json.dumps(row) + "\n" for row in rows)
    data = text.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return str(path)


def codes(samples: list[Sample]) -> dict[str, str]:
    return {sample.key: sample.code for sample in samples}


@pytest.mark.parametrize("name", ["programs.jsonl", "programs.jsonl.gz"])
@pytest.mark.parametrize("fields", [("task_id", "code"), ("problem_id", "solution")])
def test_serves_by_order(tmp_path: Path, name: str, fields: tuple[str, str]) -> None:
    problem, code = fields
    rows = [(p, f"{p}{i}") for i in range(3) for p in "ab"]
    path = write(tmp_path / name, [{problem: p, code: c, "other": [1] * 9} for p, c in rows])
    policy: Policy = ReplayPolicy(path=path)
    found = list(policy.sample([request("a", 2), request("b", 0), request("a", 0)]))
    assert codes(found) == {"a 2": "a2", "b 0": "b0", "a 0": "a0"}


def test_completions_follow_the_problems_code(tmp_path: Path) -> None:
    rows: list[object] = [{"task_id": "a", "completion": "1"}, {"task_id": "a", "solution": "2"}]
    path = write(tmp_path / "x.jsonl", rows)
    wanted = [request("a", 0), request("a", 1)]
    wanted = [replace(r, problem=replace(r.problem, starter_code="x = ")) for r in wanted]
    found = list(ReplayPolicy(path=path).sample(wanted))
    assert codes(found) == {"a 0": "x = 1", "a 1": "2"}
    path = write(tmp_path / "x.jsonl", rows[:1])  # a field that is named holds the program
    found = list(ReplayPolicy(path=path, code_field="completion").sample(wanted))
    assert codes(found) == {"a 0": "1"}


def test_own_field_names_and_recorded_numbers(tmp_path: Path) -> None:
    rows = [{"id": 7, "body": f"p{i}", "sample": i} for i in (2, 0, 1)]
    policy = ReplayPolicy(
        path=write(tmp_path / "x.jsonl", list(rows)),
        problem_field="id",
        code_field="body",
        index_field="sample",
    )
    assert codes(list(policy.sample([request("7", 0), request("7", 2)]))) == {
        "7 0": "p0",
        "7 2": "p2",
    }


def test_generation_records_keep_what_was_measured(tmp_path: Path) -> None:
    records = [
        Generation(
            key=f"k{i}",
            problem_id="a",
            index=i,
            code=f"print({i})",
            text="raw",
            finish="length",
            prompt_tokens=3,
            completion_tokens=5,
            logprob=-1.5,
            logprob_tokens=4,
            self_certainty=2.5,
            seconds=0.25,
            cost=0.5,
        )
        for i in (1, 0)
    ]
    path = write(tmp_path / "generations.jsonl", [asdict(record) for record in records])
    (sample,) = ReplayPolicy(path=path).sample([request("a", 1)])
    assert sample == Sample(
        key="a 1",
        code="print(1)",
        text="raw",
        finish="length",
        prompt_tokens=3,
        completion_tokens=5,
        logprob=-1.5,
        logprob_tokens=4,
        self_certainty=2.5,
        seconds=0.25,
        cost=0.5,
    )


def test_nested_programs_and_filters(tmp_path: Path) -> None:
    rows = [
        {
            "question_id": p,
            "lang": "python",
            "candidates": [
                {"model": m, "prompt": q, "code": f"{p} {m} {q} {i}"}
                for i in range(2)
                for m in ("big", "small")
                for q in ("plain", "cot")
            ],
        }
        for p in ("1", "2")
    ]
    policy = ReplayPolicy(
        path=write(tmp_path / "x.jsonl", list(rows)),
        nested_field="candidates",
        where={"model": "small", "prompt": "plain", "lang": "python"},
    )
    found = codes(list(policy.sample([request("2", 1), request("1", 0), request("1", 2)])))
    assert found == {"2 1": "2 small plain 1", "1 0": "1 small plain 0"}


def test_what_is_missing_is_not_answered(tmp_path: Path) -> None:
    policy = ReplayPolicy(path=write(tmp_path / "x.jsonl", [{"task_id": "a", "code": "x"}]))
    assert codes(list(policy.sample([request("a"), request("a", 1), request("b")]))) == {"a 0": "x"}
    assert list(policy.sample([request("a", 5)])) == []
    assert list(policy.sample([])) == []


def test_two_programs_with_one_number_are_refused(tmp_path: Path) -> None:
    """Those of two models in one file, and rows with a number among rows without."""
    rows = [("m", 0, "A"), ("m", 1, "A"), ("x", 0, "A"), ("x", 1, "B")]
    of_two = [{"task_id": "a", "model": m, "index": i, "code": c} for m, i, c in rows]
    path = write(tmp_path / "x.jsonl", list(of_two))
    wanted = [request("a", i) for i in range(4)]
    with pytest.raises(RecordError, match=r"lines 2 and 4: .*'a'.*number 1.*`where`.*`index_field"):
        list(ReplayPolicy(path=path).sample(wanted))
    assert codes(list(ReplayPolicy(path=path).sample(wanted[:1]))) == {"a 0": "A"}  # equal ones
    by_model = ReplayPolicy(path=path, where={"model": "x"})
    assert codes(list(by_model.sample(wanted))) == {"a 0": "A", "a 1": "B"}
    by_order = ReplayPolicy(path=path, index_field="")
    assert codes(list(by_order.sample(wanted)))["a 3"] == "B"
    path = write(tmp_path / "x.jsonl", [of_two[1], {"task_id": "a", "code": "C"}])
    with pytest.raises(RecordError, match="lines 1 and 2: "):
        list(ReplayPolicy(path=path).sample(wanted))


def test_nothing_matches(tmp_path: Path) -> None:
    path = write(tmp_path / "x.jsonl", [{"task_id": "a", "code": "x"}])
    with pytest.raises(PolicyError, match=r"'b'; those are for 'a' and others; check"):
        list(ReplayPolicy(path=path).sample([request("b")]))
    with pytest.raises(PolicyError, match=r"where \{'model': 'm'\}.*none at all"):
        list(ReplayPolicy(path=path, where={"model": "m"}).sample([request("a")]))


def test_a_program_cannot_be_continued(tmp_path: Path) -> None:
    policy = ReplayPolicy(path=write(tmp_path / "x.jsonl", [{"task_id": "a", "code": "x"}]))
    with pytest.raises(PolicyError, match="cannot be continued"):
        list(policy.sample([request("a", prefix="import")]))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"task_id": "a", "co', "no JSON object"),
        ("[1, 2]", "no JSON object"),
        ('{"id": 1, "code": "x"}', "no field 'problem_id' or 'task_id'.*the line has id, code"),
        ('{"task_id": "a", "text": "x"}', "no field 'code' or 'solution'"),
        ('{"task_id": "a", "code": ["x"]}', "the program is a list, expected text"),
        ('{"key": "", "problem_id": "a", "index": 0, "code": 7}', "no generation record"),
        ('{"task_id": "a", "index": true, "code": "x"}', "'index' is True, expected a whole"),
        ('{"task_id": "a", "index": 1.5, "code": "x"}', "'index' is 1.5, expected a whole number"),
    ],
)
def test_corrupt_lines_are_named(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"task_id": "a", "code": "x"}\n\n' + line + "\n")
    with pytest.raises(RecordError, match=rf"x\.jsonl, line 3: .*{message}"):
        list(ReplayPolicy(path=str(path)).sample([request("a")]))


def test_nested_field_of_another_shape(tmp_path: Path) -> None:
    path = write(tmp_path / "x.jsonl", [{"task_id": "a", "candidates": ["x"]}])
    with pytest.raises(RecordError, match="line 1: field 'candidates' is no list of objects"):
        list(ReplayPolicy(path=path, nested_field="candidates").sample([request("a")]))


def test_cut_off_archive(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl.gz"
    lines = "".join(json.dumps({"task_id": "a", "code": str(i)}) + "\n" for i in range(2000))
    path.write_bytes(gzip.compress(lines.encode())[:-100])
    policy = ReplayPolicy(path=str(path))
    with pytest.raises(RecordError, match="cannot be read after line"):
        list(policy.sample([request("a")]))
    with pytest.raises(RecordError, match="cannot be read after line"):
        policy.identity()


def test_settings(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no file"):
        ReplayPolicy(path=str(tmp_path / "absent.jsonl"))
    path = write(tmp_path / "x.jsonl", [])
    with pytest.raises(ConfigError, match="batch = 0"):
        ReplayPolicy(path=path, batch=0)


def test_identity_is_contents_and_choice(tmp_path: Path) -> None:
    rows: list[object] = [{"task_id": "a", "code": "x"}]
    here, there = write(tmp_path / "x.jsonl", rows), write(tmp_path / "y.jsonl.gz", rows)
    other = write(tmp_path / "z.jsonl", [*rows, *rows])
    identity = ReplayPolicy(path=here).identity()
    assert identity == ReplayPolicy(path=there, batch=7).identity()
    assert identity != ReplayPolicy(path=other).identity()
    assert identity != ReplayPolicy(path=here, where={"model": "m"}).identity()
    assert json.loads(json.dumps(identity)) == identity


def shared_file(name: str) -> str:
    folder = os.environ.get("FUNPRM_SHARED", Path(__file__).parents[2].parent / "shared")
    path = Path(folder) / "data" / name
    if not path.is_file():
        pytest.skip(f"needs {path}, which is absent (set FUNPRM_SHARED)")
    return str(path)


def test_humaneval_samples() -> None:
    policy = ReplayPolicy(path=shared_file("humaneval_codegen16b.jsonl.gz"), index_field="sample")
    wanted = [request(f"HumanEval/{task}", i) for task in (0, 163) for i in (0, 99, 100)]
    found = codes(list(policy.sample(wanted)))
    assert sorted(found) == [f"HumanEval/{task} {i}" for task in (0, 163) for i in (0, 99)]
    assert all("def " in code for code in found.values())


def test_livecodebench_candidates() -> None:
    path = shared_file("lcb_test.jsonl.gz")
    policy = ReplayPolicy(
        path=path,
        nested_field="candidates",
        where={"model": "DSCoder-6.7b-Ins", "prompt": "plain"},
    )
    found = codes(list(policy.sample([request("3674", i) for i in range(4)])))
    assert found
    assert all("class Solution" in code for code in found.values())
