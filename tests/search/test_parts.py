"""Where answers are cut, and what functions are put back among."""

import pytest

from funprm.interfaces import Sample
from funprm.search.parts import Part, following, fresh, node_of, request, rewriting, whole_steps
from funprm.search.records import Node
from tests.search.toy import PROBLEM

CODE = """\
import sys


class A:
    def first(self, x):
        return x

    def second(self):
        return '''
def not_one():
'''


async def third(
    x,
):
    return x


if __name__ == "__main__":
    print(A())
"""


def read(part: Part, code: str, **fields: object) -> Node:
    asked = request(part, {}, 0)
    return node_of(part, asked, Sample(key=asked.key, code=code, **fields))  # type: ignore[arg-type]


def test_answers_are_cut_after_the_line_that_opens_the_next_step() -> None:
    first = read(fresh(PROBLEM, 0, steps=1), CODE, completion_tokens=40, logprob=-1.0)
    assert first.code.endswith("    def second(self):\n")
    assert whole_steps(first).endswith("        return x\n")
    assert (first.finish, first.completion_tokens, first.logprob) == ("step", 40, None)
    second = read(following(PROBLEM, first), CODE)
    assert second.code.endswith("async def third(\n")
    assert whole_steps(second).endswith("def not_one():\n'''\n")
    last = read(following(PROBLEM, second), CODE, logprob=-1.0)
    assert (last.code, last.finish, last.logprob) == (CODE, "stop", -1.0)
    assert whole_steps(last) == CODE


def test_a_cut_off_answer_ends_there() -> None:
    node = read(fresh(PROBLEM, 0, steps=1), "def f():\n    pass\n\n\ndef g", finish="length")
    assert (node.finish, node.complete, node.goes_on) == ("length", True, False)
    assert node.code.endswith("def g")
    empty = read(fresh(PROBLEM, 0, steps=1), "", finish="empty")
    changed = read(fresh(PROBLEM, 0, steps=1), CODE, kept=False)
    other = read(following(PROBLEM, read(fresh(PROBLEM, 0, steps=1), CODE)), "print(1)\n")
    assert {x.complete or x.goes_on for x in (empty, changed, other)} == {False}


@pytest.mark.parametrize(
    ("step", "answer"),
    [
        (0, "        return -x\n"),
        (1, '        return "other"\n'),
        (2, "    y,\n):\n    return y\n"),
    ],
)
@pytest.mark.parametrize("more", ["", "\n\ndef new():\n    pass\n", "\n\nprint(1)\n"])
def test_a_function_is_written_again_below_its_opening_line(
    step: int, answer: str, more: str
) -> None:
    node = Node(key="k", problem_id="toy", code=CODE)
    part = rewriting(PROBLEM, node, step, step, 0)
    assert part.prefix.endswith(("first(self, x):\n", "second(self):\n", "third(\n"))
    if step < 2 and "print" in more:
        more = more.replace("print", "B = ")
    found = read(part, part.prefix + answer + more)
    assert found.code == part.prefix + answer + part.rest
    old = CODE[len(part.prefix) : len(CODE) - len(part.rest)]
    assert found.code.replace(answer, old) == CODE
    assert found.complete
    assert part.rest.endswith("print(A())\n")


def test_several_functions_are_written_again() -> None:
    node = Node(key="k", problem_id="toy", code=CODE)
    part = rewriting(PROBLEM, node, 0, 1, 0)
    answer = "        return 0\n\n    def second(self):\n        return 1\n"
    found = read(part, part.prefix + answer)
    assert found.code == part.prefix + answer + part.rest
    assert part.rest.startswith("\n\nasync def third(")


def test_what_follows_a_function_begins_a_line() -> None:
    node = Node(key="k", problem_id="toy", code="def f():\n    return 1\nprint(f())\n")
    part = rewriting(PROBLEM, node, 0, 0, 0)
    found = read(part, "def f():\n    return 2")
    assert found.code == "def f():\n    return 2\nprint(f())\n"


def test_only_the_first_part_goes_on_in_the_stream() -> None:
    root = read(fresh(PROBLEM, 3, steps=1), CODE, completion_tokens=7)
    asked = request(fresh(PROBLEM, 3, steps=1), {}, 0)
    first, second = (request(following(PROBLEM, root, i), {}, 0) for i in range(2))
    assert first.continues == (asked.seed, 7)
    assert second.continues is None
    assert len({asked.seed, first.seed, second.seed}) == 3
    assert len({asked.key, first.key, second.key}) == 3
