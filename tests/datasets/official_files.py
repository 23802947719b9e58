"""Small problem files in the benchmarks' own encodings."""

import base64
import gzip
import json
import pickle
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def write(path: Path, rows: Iterable[Any]) -> str:
    text = "".join(f"{json.dumps(row)}\n" for row in rows)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text, encoding="utf-8")
    return str(path)


def packed(value: object) -> str:
    """As LiveCodeBench packs its private tests."""
    return base64.b64encode(zlib.compress(pickle.dumps(value))).decode()


def humaneval(number: int = 0, **changes: Any) -> dict[str, Any]:
    row = {
        "task_id": f"HumanEval/{number}",
        "prompt": (
            "from typing import List\n\n\ndef total(xs: List[int], start: int = 0) -> int:\n"
            '    """Sum of the numbers.\n    >>> total([1, 2], 3)\n    6\n'
            '    total([], 1) => 1\n    """\n'
        ),
        "entry_point": "total",
        "canonical_solution": "    return sum(xs, start)\n",
        "test": "def check(candidate):\n    assert candidate([4], 1) == 5\n",
    }
    return {key: value for key, value in {**row, **changes}.items() if value is not None}


def mbpp(number: int = 11, **changes: Any) -> dict[str, Any]:
    row = {
        "task_id": number,
        "text": "Write a function to double a number.",
        "code": "import math\ndef twice(x):\n    return 2 * x",
        "test_list": ["assert twice(2) == 4", "assert twice(-1) == -2"],
        "test_setup_code": "",
        "challenge_test_list": [],
    }
    return {**row, **changes}


def livecodebench(number: int = 1, *, private: Any = None, **changes: Any) -> dict[str, Any]:
    public = [{"input": "1\n", "output": "2\n", "testtype": "stdin"}]
    hidden = [{"input": "5\n", "output": "6\n", "testtype": "stdin"}]
    row = {
        "question_title": "Next",
        "question_content": "Print the next number.",
        "platform": "atcoder",
        "question_id": f"abc{number}",
        "contest_id": "abc",
        "contest_date": f"2025-0{number}-01T00:00:00",
        "starter_code": "",
        "difficulty": "easy",
        "public_test_cases": json.dumps(public),
        "private_test_cases": private or packed(json.dumps(hidden)),
        "metadata": "{}",
    }
    return {**row, **changes}


def livecodebench_function(number: int = 1, **changes: Any) -> dict[str, Any]:
    tests = [{"input": "[1, 2]\n3", "output": "6", "testtype": "functional"}]
    return livecodebench(
        number,
        question_id=f"{number}",
        platform="leetcode",
        starter_code="class Solution:\n    def total(self, xs: List[int], k: int):\n        ",
        public_test_cases=json.dumps(tests),
        private=json.dumps([{"input": "[]\n1", "output": "1", "testtype": "functional"}]),
        metadata=json.dumps({"func_name": "total"}),
        **changes,
    )


def bigcodebench(number: int = 0, **changes: Any) -> dict[str, Any]:
    signature = "import math\ndef task_func(x):\n"
    row = {
        "task_id": f"BigCodeBench/{number}",
        "complete_prompt": f'{signature}    """Double x."""\n',
        "instruct_prompt": f"Double x.\nYou should write code starting with:\n```\n{signature}```",
        "code_prompt": signature,
        "canonical_solution": "    return 2 * x\n",
        "test": "import unittest\nclass TestCases(unittest.TestCase):\n    pass\n",
        "entry_point": "task_func",
        "libs": "['math']",
    }
    return {**row, **changes}


def leetcode(name: str = "add", **changes: Any) -> dict[str, Any]:
    row = {
        "task_id": name,
        "prompt": "from typing import *\n",
        "entry_point": "Solution().add",
        "test": "def check(candidate):\n    assert candidate(xs = [1], flag = True) == [2]\n",
        "completion": "class Solution:\n    def add(self, xs, flag):\n        return [2]\n",
        "src": "Add one.\n\nPlease complete the following python code precisely:\n```python\n```",
        "examples": [
            {"input": 'xs = [1], flag = true, s = "null"', "output": "[2]"},
            {"input": 'xs = [], flag = false, s = "x"', "output": "[]"},
        ],
        "meta": {
            "difficulty": "Meidum",
            "lang_code": "class Solution:\n    def add(self, xs: List[int], flag: bool, s: str):",
        },
    }
    return {**row, **changes}
