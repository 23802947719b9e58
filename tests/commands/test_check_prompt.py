"""`funprm check-prompt` with a scripted model and the real judge."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

import funprm
from funprm import registry
from funprm.cli import main
from funprm.commands.check_prompt import PromptCheck, StyleResult
from funprm.errors import ConfigError, DataError
from funprm.interfaces import Request, Sample
from funprm.prompts import build_prompt, chats_of
from funprm.records import Json

PLAIN = "def f(x):\n    return x + {}\n"
CHAIN = "def f(x):\n    return g(x)\n\n\ndef g(x):\n    return x + 1\n"
COPY = "def f(x):\n    return x + 1\n\n\ndef split_words(text):\n    return text\n"


@dataclass(eq=False)
class Model:
    """Solves half of the problems when asked plainly; copies; refactors rightly or wrongly."""

    whole_batches: ClassVar[bool] = False
    unanswered_is_final: ClassVar[bool] = False
    asked: ClassVar[list[Request]] = []

    prompt: str = ""
    batch: int = 64

    @property
    def chats(self) -> int:
        return chats_of(self.prompt)

    def identity(self) -> Mapping[str, Json]:
        return {"model": "scripted", "prompt": self.prompt}

    def sample(self, requests: Sequence[Request]) -> Iterator[Sample]:
        for request in requests:
            self.asked.append(request)
            assert "hidden" not in build_prompt(request.problem, self.prompt, request.drafts)
            sample = Sample(key=request.key, code=self._code(request), completion_tokens=10)
            cut = self.prompt == "chain_of_function" and request.problem.problem_id == "p3"
            yield replace(sample, finish="length") if cut else sample

    def _code(self, request: Request) -> str:
        number = int(request.problem.problem_id[1:])
        if request.drafts:  # the rewritten program of p0 fails
            return CHAIN if number else CHAIN.replace("+ 1", "+ 2")
        return COPY if self.prompt == "chain_of_function" else PLAIN.format(1 + number % 2)


@pytest.fixture
def problems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    known = registry.component
    monkeypatch.setattr(
        registry, "component", lambda group, name: Model if name == "me" else known(group, name)
    )
    Model.asked.clear()
    tests = [{"input": [1], "output": 2, "public": True}, {"input": [5], "output": 6}]
    rows = [
        {"id": f"p{i}", "statement": "Add one.", "entry_point": "f", "tests": tests}
        for i in range(4)
    ]
    path = tmp_path / "own.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


SETTINGS = {"policy.name": "me", "executor.workers": 1}


def test_styles_are_compared_on_the_same_problems(problems: Path) -> None:
    check = funprm.check_prompt(problems, settings=SETTINGS)
    plain, chained, refactored = check.results
    assert plain.passed == (True, False, True, False)
    assert (plain.functions, plain.modular, plain.copied) == (1.0, 0.0, 0)
    assert chained.passed == (True,) * 4
    assert (chained.copied, chained.cut_off, chained.functions) == (4, 1, 2.0)
    assert refactored.passed == (True, True, True, True)  # p0 keeps its plain form
    assert (refactored.drafts_kept, refactored.functions) == (1, 1.75)
    assert refactored.tokens == 20
    assert "chain_of_function" in check.advice


def test_the_command_line_prints_a_table_and_goes_on(
    problems: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "short.txt"
    own.write_text("{{statement}}\n{{next}}\nBetter: {{program}}")
    arguments = ["check-prompt", str(problems), "-n", "2", "--style", str(own)]
    arguments += ["--output", str(tmp_path / "kept"), "--set", "executor.workers=1"]
    arguments += ["--set", "policy.name=me"]
    assert main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in lines[1:3]] == [
        ["plain", "100.0%", "1.0"],
        ["short", "100.0%", "1.5"],
    ]
    assert lines[3].startswith('advice: prompt = "short": 1.5 functions per program in place of')
    asked = len(Model.asked)
    assert main([*arguments, "--json"]) == 0
    assert len(Model.asked) == asked
    found = json.loads(capsys.readouterr().out)
    assert [style["style"] for style in found["styles"]] == ["plain", "short"]


def result(style: str, solved: int, functions: float) -> StyleResult:
    passed = tuple(i < solved for i in range(100))
    zero: dict[str, Any] = dict.fromkeys(
        ("copied", "cut_off", "refused", "empty", "drafts_kept", "not_judged"), 0
    )
    return StyleResult(
        style=style, passed=passed, functions=functions, modular=0.0, tokens=1.0, **zero
    )


def test_accuracy_is_not_given_for_functions() -> None:
    plain = result("plain", 50, 1.1)
    worse, alike, flat = result("a", 46, 3.0), result("b", 47, 2.0), result("c", 60, 1.2)
    assert 'prompt = "b"' in PromptCheck(results=(plain, worse, alike, flat)).advice
    assert 'prompt = "plain"' in PromptCheck(results=(plain, worse, flat)).advice


def test_what_cannot_be_tried(problems: Path) -> None:
    with pytest.raises(ConfigError, match=r"no style and no file 'plan': .*'plain'"):
        funprm.check_prompt(problems, styles=["plan"], settings=SETTINGS)
    with pytest.raises(ConfigError, match="n = 0 is out of range"):
        funprm.check_prompt(problems, n=0, settings=SETTINGS)
    with pytest.raises(DataError, match="no problem with tests in meta"):
        funprm.check_prompt(problems, split="meta", settings=SETTINGS)


def test_limits_that_change_are_seen(problems: Path, tmp_path: Path) -> None:
    """The programs stay, and are judged again."""
    row = json.loads(problems.read_text().splitlines()[0])
    for number, limit in enumerate((1024, 64), 1):
        problems.write_text(json.dumps({**row, "memory_mb": limit}) + "\n")
        funprm.check_prompt(problems, styles=["plain"], settings=SETTINGS, output=tmp_path / "kept")
        verdicts = tmp_path / "kept" / "plain" / "verdicts.jsonl"
        assert len(verdicts.read_text().splitlines()) == number
    assert len(Model.asked) == 1
