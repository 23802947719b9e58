"""Verdicts over HTTP, in three schemas; programs are isolated in all of them."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from funprm.interfaces import Job
from funprm.records import Status, Verdict
from tests.serve.world import BAD, ENDLESS, GOOD, TESTS, Served


def test_judge(server: Served) -> None:
    body = {"programs": [GOOD, BAD, "x ="], "tests": TESTS, "entry_point": "add"}
    good, bad, broken = server.post("/judge", body).json()["data"]
    assert (good["passed"], bad["passed"], broken["passed"]) == (True, False, False)
    assert [case["status"] for case in bad["tests"]] == ["wrong answer", "passed"]
    assert broken["status"] == "runtime error"


def test_run_code(server: Served) -> None:
    body = {"code": "print(int(input()) * 2)", "language": "python", "stdin": "21\n"}
    answer = server.post("/run_code", body).json()
    assert answer["status"] == "Success"
    assert answer["run_result"]["stdout"] == "42\n"
    assert answer["run_result"]["return_code"] == 0
    failed = server.post("/run_code", {"code": "raise ValueError('no')"}).json()
    assert failed["status"] == "Failed"
    assert failed["run_result"]["return_code"] == 1
    assert "ValueError" in failed["run_result"]["stderr"]
    late = server.post("/run_code", {"code": ENDLESS, "run_timeout": 0.5}).json()
    assert (late["status"], late["run_result"]["status"]) == ("Failed", "TimeLimitExceeded")
    other = server.post("/run_code", {"code": "x", "language": "cpp"})
    assert other.json()["error"]["code"] == "unsupported_language"


def test_submit(server: Served) -> None:
    tests = [
        {"input": {"stdin": "1 2"}, "output": {"stdout": "3"}},
        {"input": {"stdin": "2 2"}, "output": {"stdout": "5"}},
    ]
    config = {"language": "python", "provided_data": {"test": tests}}
    completion = "```python\nprint(sum(map(int, input().split())))\n```"
    body = {"dataset": "d", "id": 7, "completion": completion, "config": config}
    answer = server.post("/submit", body).json()
    assert answer["accepted"] is False
    assert [case["passed"] for case in answer["tests"]] == [True, False]
    assert answer["tests"][1]["exec_info"]["run_result"]["stdout"] == "4\n"
    config["provided_data"] = {"test": tests[:1]}
    assert server.post("/submit", body).json()["accepted"] is True


def test_a_submission_is_judged_by_all_of_its_tests_or_refused(server: Served) -> None:
    def answer(**test: dict[str, str]) -> httpx.Response:
        config = {"provided_data": {"test": [test]}}
        return server.post("/submit", {"completion": "pass", "config": config})

    assert answer(input={}, output={"stdout": ""}).json()["accepted"] is True
    for test in (
        {"input": {"stdin": "1"}, "output": {}},
        {"input": {"stdin": "1"}, "output": {"stdout": "", "out.txt": "1"}},
        {"input": {"stdin": "1", "in.txt": "1"}, "output": {"stdout": ""}},
    ):
        refused = answer(**test)
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, "provided_data")


def test_what_could_not_be_judged_is_told_of_every_test(
    server: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def verdicts(jobs: Sequence[Job]) -> list[Verdict]:
        return [Verdict(key=job.key, status=Status.NOT_JUDGED, detail="no judge") for job in jobs]

    monkeypatch.setattr(server.services.judge, "verdicts", verdicts)
    tests = [{"input": {}, "output": {"stdout": "1"}}] * 2
    body = {"completion": "pass", "config": {"provided_data": {"test": tests}}}
    answer = server.post("/submit", body).json()
    told = [test["exec_info"] for test in answer["tests"]]
    assert [(x["status"], x["message"]) for x in told] == [("SandboxError", "no judge")] * 2


def test_programs_get_at_nothing(server: Served, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("42")
    code = f"import pathlib\nprint(pathlib.Path({str(secret)!r}).read_text())\n"
    answer = server.post("/run_code", {"code": code}).json()
    assert answer["status"] == "Failed"
    assert not answer["run_result"]["stdout"]


def test_a_slow_program_holds_up_no_others(server: Served) -> None:
    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(server.post, "/run_code", {"code": ENDLESS, "run_timeout": 4})
        time.sleep(0.3)
        quick = server.post("/run_code", {"code": "print(1)"}).json()
        assert quick["status"] == "Success"
        assert not slow.done()
        assert slow.result().json()["run_result"]["status"] == "TimeLimitExceeded"
