import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from funprm import prompts
from funprm.errors import ConfigError
from funprm.prompts import (
    PLACEHOLDERS,
    STYLES,
    TEMPLATES,
    answer_prefix,
    build_prompt,
    extract_code,
    prompt_identity,
    render_statement,
)
from funprm.records import Problem, Suite, SuiteKind
from funprm.steps import find_steps

METHOD = "class Solution:\n    def longest(self, s: str) -> int:\n        "


def problem(
    kind: SuiteKind = "stdin", *, entry: str = "", starter: str = "", statement: str = "Add them."
) -> Problem:
    return Problem(
        key="k",
        problem_id="p",
        statement=statement,
        hidden=Suite(kind=kind, entry_point=entry),
        starter_code=starter,
    )


def test_a_stdin_program_is_asked_to_read_standard_input_and_to_guard_main() -> None:
    prompt = build_prompt(problem(), "chain_of_function")
    assert "standard input" in prompt
    assert "`main`" in prompt
    assert '`if __name__ == "__main__":`' in prompt
    assert "Add them." in prompt
    assert "class Solution" not in prompt


def test_helpers_of_a_method_are_methods() -> None:
    for entry, starter in (("longest", METHOD), ("Solution().longest", "")):
        prompt = build_prompt(problem("functional", entry=entry, starter=starter), STYLES[0])
        assert "`longest`" in prompt
        assert "methods of the same class" in prompt
        assert "standard input" not in prompt
        assert "Solution()." not in prompt


def test_a_function_is_named_and_its_starter_code_shown() -> None:
    starter = "def add(a, b):\n    '''Add.'''\n"
    prompt = build_prompt(problem("check", entry="add", starter=starter), "plain")
    assert "the function `add`" in prompt
    assert starter.rstrip() in prompt
    assert "class Solution" not in prompt


@pytest.mark.parametrize("kind", ["stdin", "functional", "check", "unittest"])
def test_the_plain_prompt_says_nothing_of_functions_as_steps(kind: SuiteKind) -> None:
    plain = build_prompt(problem(kind, entry="f"), "plain")
    chained = build_prompt(problem(kind, entry="f"), "chain_of_function")
    assert "docstring" not in plain
    assert "high-level" not in plain
    assert len(chained) > len(plain)
    for rule in ("strategy", "algorithm", "Nothing is nested", "repeated"):
        assert rule in chained


@pytest.mark.parametrize("form", ["stdin", "function", "method"])
def test_the_worked_example_runs_and_has_the_form_that_is_asked_for(
    form: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code = prompts._EXAMPLE[form]  # type: ignore[index]
    _, names = find_steps(code)
    assert len(names) == 3
    scope: dict[str, object] = {"__name__": "example"}
    exec(compile(code, form, "exec"), scope)
    text = "a b A c\nB d"
    if form == "stdin":
        monkeypatch.setattr("sys.stdin.read", lambda: text, raising=False)
        scope["main"]()  # type: ignore[operator]
        assert capsys.readouterr().out == "2\n"
    elif form == "function":
        assert scope["repeated_words"](text) == 2  # type: ignore[operator]
    else:
        assert scope["Solution"]().repeatedWords(text) == 2  # type: ignore[operator]


def test_braces_in_a_statement_are_text() -> None:
    statement = "Print {} or {entry} or %s."
    for style in STYLES:
        assert statement in build_prompt(problem(statement=statement), style)


def test_the_bare_statement_is_what_the_reward_model_reads() -> None:
    bare = problem("functional", entry="longest", starter=METHOD)
    assert build_prompt(bare, "statement") == render_statement(bare)
    assert render_statement(problem()) == "Add them."
    assert render_statement(bare) == f"Add them.\n\n```python\n{METHOD.rstrip()}\n```"


def test_an_unknown_style_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="'chain_of_functions'.*mean 'chain_of_function'"):
        build_prompt(problem(), "chain_of_functions")
    with pytest.raises(ConfigError, match="known are: chain_of_function, plain"):
        answer_prefix("zzz", "x")
    with pytest.raises(ConfigError):
        prompt_identity("")


def test_identity_differs_by_style_and_follows_the_text(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {style: prompt_identity.__wrapped__(style) for style in STYLES}
    assert len(set(before.values())) == len(STYLES)
    monkeypatch.setattr(prompts, "_FORM_RULES", prompts._FORM_RULES + " Be brief.")
    after = {style: prompt_identity.__wrapped__(style) for style in STYLES}
    assert after["chain_of_function"] != before["chain_of_function"]
    assert after["plain"] == before["plain"]


OWN = "template:Solve.\n\n{{ task }}\n\n{{statement}}\n\n{{given_code}}\n\nUse {braces}. {{answer}}"


def test_a_template_of_ones_own_is_filled() -> None:
    prompt = build_prompt(problem(statement="Sum {{task}} {x}."), OWN)
    assert prompt.startswith("Solve.\n\nWrite a Python program")
    assert "\n\nSum {{task}} {x}.\n\nUse {braces}. Answer with" in prompt  # no code is given
    prompt = build_prompt(problem("functional", entry="longest", starter=METHOD), OWN)
    assert "`longest`" in prompt
    assert f"# Given code\n\n{prompts._STARTER_RULE}\n\n```python\n{METHOD.rstrip()}" in prompt
    short = build_prompt(problem(), "template:{{statement}}\n\n{{given_code}}")
    assert short == "Add them.\n\n"


@pytest.mark.parametrize("style", sorted(TEMPLATES))
@pytest.mark.parametrize("starter", ["", METHOD])
def test_built_in_styles_are_templates_to_start_from(style: str, starter: str) -> None:
    asked = problem("functional", entry="longest", starter=starter)
    assert build_prompt(asked, f"template:{TEMPLATES[style]}") == build_prompt(asked, style)


def test_every_placeholder_is_explained_and_filled() -> None:
    template = "template:" + "|".join(f"{{{{{name}}}}}" for name in PLACEHOLDERS)
    parts = build_prompt(problem("functional", entry="f", starter="def f():"), template).split("|")
    assert len(parts) == len(PLACEHOLDERS)
    assert all(parts)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{statment}}", "unknown placeholder {{statment}}: did you mean 'statement'"),
        ("Solve it.", "expected {{statement}}, where the problem goes"),
        ("", "expected {{statement}}"),
    ],
)
def test_a_template_that_cannot_be_used_is_refused(text: str, message: str) -> None:
    for use in (prompt_identity, lambda style: build_prompt(problem(), style)):
        with pytest.raises(ConfigError, match=re.escape(message)):
            use(f"template:{text}")


def test_identity_follows_the_template() -> None:
    assert prompt_identity(OWN) != prompt_identity(OWN + " Be brief.")
    assert answer_prefix(OWN, "x = 1\n") == "```python\nx = 1\n"


def test_bigcodebench_is_asked_by_instruction_or_by_code_to_complete() -> None:
    """A task of BigCodeBench in both of its forms, plain and as a chain of functions."""
    code = 'import math\ndef task_func(x):\n    """Double x."""\n'
    instruct = problem("unittest", entry="task_func", statement="Double x. Start with: ...")
    complete = problem("unittest", entry="task_func", starter=code, statement="Complete it.")
    for style in ("plain", "chain_of_function"):
        asked = build_prompt(instruct, style)
        assert "defines the function `task_func`" in asked
        assert "Double x. Start with" in asked
        assert "# Given code" not in asked
        assert f"```python\n{code.rstrip()}\n```" in build_prompt(complete, style)
    assert "Helpers are functions at the top level, after `task_func`" in build_prompt(
        complete, "chain_of_function"
    )


def test_an_answer_begins_with_the_prefix_inside_the_fence() -> None:
    assert answer_prefix("chain_of_function", "def f():\n") == "```python\ndef f():\n"
    assert answer_prefix("statement", "def f():\n") == "def f():\n"
    assert all(answer_prefix(style, "") == "" for style in STYLES)


CODE = "def f():\n    return 1\n"


@pytest.mark.parametrize(
    "answer",
    [
        CODE,
        f"```python\n{CODE}```",
        f"```\n{CODE}```\n",
        f"~~~py\n{CODE}~~~\nbye",
        f"````python\n{CODE}````",
        f"Text.\n\n```python title=x.py\n{CODE}``` \nMore `inline` text.",
        f"First\n```python\nold\n```\nbetter\n```Python3\n{CODE}```\nExplanation",
        f"<think>try ```python\nx\n``` hm</think>\n\n```python\n{CODE}```",
        f"cut</think>\n```python\n{CODE}",
        f"```python\nabandoned\n\nBetter:\n```python\n{CODE}```\n",
        f"```python\n{CODE}```\nOutput follows\n```",
        f"The program: ```python\n{CODE}```\nIt works.",
        f"```python\n{CODE}```Explanation: it is short.",
        "1. So\n    ```python\n    def f():\n        return 1\n    ```\n",
        "  ```python\n  def f():\n      return 1\n  ```\n",
    ],
)
def test_the_program_is_found(answer: str) -> None:
    assert extract_code(answer) == CODE


def test_windows_line_ends_of_the_program_are_kept() -> None:
    code = CODE.replace("\n", "\r\n")
    assert extract_code(f"So\r\n```python\r\n{code}```\r\n") == code


def test_an_unclosed_block_reaches_to_the_end() -> None:
    assert extract_code("old\n```python\nx\n```\nnew\n```python\ndef f():\n    ret") == (
        "def f():\n    ret"
    )


def test_a_fence_glued_to_the_last_line_is_no_code() -> None:
    assert extract_code("```python\nprint(1)```") == "print(1)"
    assert extract_code("```python\nprint(1)```\nIt prints 1.") == "print(1)"
    assert extract_code('```python\nreturn "a"```') == 'return "a"'


def test_fences_in_docstrings_and_strings_do_not_end_the_block() -> None:
    code = (
        'def f():\n    """Do.\n\n    ```\n    f()\n    ```\n    """\n'
        '    mark = "```"\n    return mark  # see ```f```\n'
    )
    assert extract_code(f"```python\n{code}```") == code
    assert extract_code(code) == code


def test_a_longer_fence_protects_shorter_ones() -> None:
    assert extract_code("````\na = '''\n```\nb\n```\n'''\n````") == "a = '''\n```\nb\n```\n'''\n"


def test_an_answer_cut_off_in_its_reasoning_is_left_as_it_is() -> None:
    assert extract_code("<think>I wonder") == "<think>I wonder"
    assert extract_code("") == ""
    assert extract_code("```python\n") == "```python\n"


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.text(st.characters(exclude_characters="`~", exclude_categories=["Cs"])))
def test_what_is_fenced_comes_back(code: str) -> None:
    if not code.strip() or "</think>" in code:
        return
    assert extract_code(f"Here\n```python\n{code}\n```\nthere") == f"{code}\n"
    assert extract_code(answer_prefix("plain", code)) == code


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.text(st.sampled_from("`~ \n\r\tap#\"'<")))
def test_any_text_gives_a_part_of_itself(text: str) -> None:
    code = extract_code(text)
    assert set(code) <= set(text)
    assert len(code) <= len(text)
