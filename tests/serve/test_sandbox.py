"""Verdicts over HTTP, in three schemas; programs are isolated in all of them."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

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
