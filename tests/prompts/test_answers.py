import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from funprm.prompts import extract_code

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
    assert extract_code(f"```python\n{code}") == code


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.text(st.sampled_from("`~ \n\r\tap#\"'<")))
def test_any_text_gives_a_part_of_itself(text: str) -> None:
    code = extract_code(text)
    assert set(code) <= set(text)
    assert len(code) <= len(text)
