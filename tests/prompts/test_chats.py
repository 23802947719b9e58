import io
import re
from typing import Any

import pytest

from funprm.errors import ConfigError
from funprm.prompts import (
    PLACEHOLDERS,
    STYLES,
    TEMPLATES,
    Turn,
    answer_prefix,
    build_chat,
    build_prompt,
    chats_of,
    example_names,
    prompt_identity,
    render_statement,
    texts,
)
from funprm.prompts.examples import EXAMPLES
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
        prompt = build_prompt(
            problem("functional", entry=entry, starter=starter), "chain_of_function"
        )
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


FORMS: tuple[texts.Form, ...] = ("stdin", "function", "method")
EXAMPLE_NUMBERS = [(form, number) for form in FORMS for number in (0, 1)]


def runs(code: str, form: str, argument: object, shown: pytest.CaptureFixture[str]) -> str:
    """What a worked example's program answers."""
    scope: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(code, form, "exec"), scope)
    if form == "stdin":
        return shown.readouterr().out.strip()
    owner = scope["Solution"]() if form == "method" else None
    names = {"method": ("repeatedWords", "longestRun")}.get(form, ("repeated_words", "longest_run"))
    calls = [getattr(owner, name, None) or scope.get(name) for name in names]
    return str(next(filter(None, calls))(argument))


@pytest.mark.parametrize(("form", "number"), EXAMPLE_NUMBERS)
@pytest.mark.parametrize("written", ["plain", "chained"])
def test_the_worked_examples_run(
    form: texts.Form,
    number: int,
    written: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    example = EXAMPLES[form][number]
    text, argument, expected = [
        ("a b A c\nB d", "a b A c\nB d", "2"),
        ("1 2 4 6 3 8", [1, 2, 4, 6, 3, 8], "3"),
    ][number]
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    assert runs(getattr(example, written), form, argument, capsys) == expected


@pytest.mark.parametrize(("form", "number"), EXAMPLE_NUMBERS)
def test_the_worked_examples_have_the_form_that_is_asked_for(form: texts.Form, number: int) -> None:
    example = EXAMPLES[form][number]
    _, names = find_steps(example.chained)
    assert len(names) == 3
    assert names[0].endswith(example.entry or "main")
    assert len(find_steps(example.plain)[1]) == 1


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
    monkeypatch.setattr(texts, "RULES", texts.RULES + " Be brief.")
    after = {style: prompt_identity.__wrapped__(style) for style in STYLES}
    changed = {style for style in STYLES if after[style] != before[style]}
    assert changed == {"chain_of_function"}


OWN = "template:Solve.\n\n{{ task }}\n\n{{statement}}\n\n{{given_code}}\n\nUse {braces}. {{answer}}"


def test_a_template_of_ones_own_is_filled() -> None:
    prompt = build_prompt(problem(statement="Sum {{task}} {x}."), OWN)
    assert prompt.startswith("Solve.\n\nWrite a Python program")
    assert "\n\nSum {{task}} {x}.\n\nUse {braces}. Answer with" in prompt  # no code is given
    prompt = build_prompt(problem("functional", entry="longest", starter=METHOD), OWN)
    assert "`longest`" in prompt
    assert f"# Given code\n\n{texts.STARTER_RULE}\n\n```python\n{METHOD.rstrip()}" in prompt
    short = build_prompt(problem(), "template:{{statement}}\n\n{{given_code}}")
    assert short == "Add them.\n\n"


@pytest.mark.parametrize("style", sorted(TEMPLATES))
@pytest.mark.parametrize("starter", ["", METHOD])
def test_built_in_styles_are_templates_to_start_from(style: str, starter: str) -> None:
    asked = problem("functional", entry="longest", starter=starter)
    own = f"template:{TEMPLATES[style]}"
    assert chats_of(own) == chats_of(style)
    for number in range(chats_of(style)):
        drafts = ["x = 1\n"] * number
        assert build_chat(asked, own, drafts) == build_chat(asked, style, drafts)


def test_every_placeholder_is_explained_and_filled() -> None:
    names = "|".join(f"{{{{{name}}}}}" for name in PLACEHOLDERS if name != "program")
    template = f"template:{names}\n{{{{next}}}}\n{{{{program}}}}"
    asked = problem("functional", entry="f", starter="def f():")
    parts = build_prompt(asked, template).split("|")
    assert len(parts) == len(PLACEHOLDERS) - 1
    assert all(parts)
    assert build_prompt(asked, template, ["x = 1\n"]) == "```python\nx = 1\n```"


SEVERAL = """template:{{system}}
You write Python.
{{example}}
{{user}}
{{statement}}

{{given_code}}
{{assistant}}
Certainly?
{{user}}
Yes.
{{next}}
Rewrite this:
{{program}}"""


def test_a_template_has_several_turns_and_chats() -> None:
    asked = problem("functional", entry="longest", statement="Longest.\n{{user}}\n", starter=METHOD)
    chat = build_chat(asked, SEVERAL)
    assert [turn.role for turn in chat] == ["system", *["user", "assistant"] * 3, "user"]
    assert chat[0].content == "You write Python."
    assert chat[5].content.startswith("Longest.\n{{user}}\n\n# Given code")  # no turn of its own
    assert chat[6] == Turn("assistant", "Certainly?")
    assert build_chat(asked, SEVERAL, ["x = 1\n"]) == (
        Turn("user", "Rewrite this:\n```python\nx = 1\n```"),
    )


def test_examples_are_earlier_turns_with_the_same_question() -> None:
    template = "template:{{example}}\n{{user}}\n{{task}} {{statement}}"
    chat = build_chat(problem("functional", entry="f", statement="Double it."), template)
    assert [turn.role for turn in chat] == ["user", "assistant", "user", "assistant", "user"]
    assert "defines the function `repeated_words`" in chat[0].content
    assert "how many distinct words" in chat[0].content
    assert f"```python\n{EXAMPLES['function'][0].chained}```" == chat[1].content
    assert chat[-1].content.endswith("Double it.")


def test_a_program_is_refactored_in_the_chat_that_wrote_it() -> None:
    asked = problem("functional", entry="Solution().twice", starter="class Solution:\n")
    plain = build_chat(asked, "refactored")
    assert plain == build_chat(asked, "plain")
    assert chats_of("refactored") == 2
    first, second, third = build_chat(asked, "refactored", ["class Solution: pass\n"])
    assert (first,) == plain
    assert second == Turn("assistant", "```python\nclass Solution: pass\n```")
    assert "`twice` keeps its name" in third.content
    assert "methods of the same class" in third.content


def test_copied_functions_are_told_by_their_names() -> None:
    asked = problem("functional", entry="f", statement="Write f, which calls is_even.")
    names = example_names(asked, "chain_of_function")
    assert {"split_words", "count_repeated", "next_run"} <= names
    assert "is_even" not in names  # the problem speaks of it
    assert example_names(asked, "template:{{statement}} {{form}}") == names - {
        "longest_run",
        "next_run",
    }
    assert not example_names(asked, "plain") | example_names(asked, "refactored")
    assert "main" not in example_names(problem(), "chain_of_function")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{statment}}", "unknown placeholder {{statment}}: did you mean 'statement'"),
        ("Solve it.", "expected {{statement}}, where the problem goes"),
        ("", "expected {{statement}}"),
        ("{{statement}}{{program}}", "{{program}} has a meaning after {{next}} only"),
        ("{{statement}}\n{{next}}\nAgain.", "expected {{program}} after {{next}}"),
        ("{{statement}}\n{{assistant}}\nDone.", "turns are user, assistant: expected"),
        ("{{statement}}\n{{system}}\nBe brief.", "turns are user, system: expected"),
        ("{{assistant}}\nAsk.\n{{user}}\n{{statement}}", "turns are assistant, user: expected"),
        ("{{users}}\n{{statement}}", "did you mean 'user'"),
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
    assert answer_prefix("statement", "def f():\n", "\n\n") == "def f():\n"
    assert answer_prefix("plain", "def f():\n", "\n\n") == "```python\ndef f():\n\n\n"
    assert all(answer_prefix(style, "") == "" for style in STYLES)
