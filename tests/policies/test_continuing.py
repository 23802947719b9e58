"""Prefixes end where a byte-level tokenizer's token ends; no weights are needed to see that."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from funprm.interfaces import Request
from funprm.policies.openai.prefixes import read_program
from funprm.policies.openai.requests import Form
from funprm.prompts import answer_prefix
from funprm.records import Problem, Suite
from funprm.steps import blank_lines_after, find_steps

FUNCTIONS = """\
def main(numbers):
    \"\"\"Sum what is even.\"\"\"
    result = sum(evens(numbers))
    return result


def evens(numbers):
    return list(filter(is_even, numbers))


def is_even(number):
    return number % 2 == 0
"""
METHODS = """\
import math


class Solution:
    def longest(self, words):
        return max(map(self.size, words))

    def size(self, word):
        return math.prod([1, len(word)])

    def last(self, words):
        return words[-1]
"""
_SPLIT = (  # as in Qwen2 and Llama 3: line breaks go with the blanks or the signs before them
    r"""[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"""
)


@pytest.fixture(scope="module")
def encode() -> Callable[[str], list[int]]:
    """A byte-level tokenizer that has merged line breaks, as large ones have."""
    tokenizer = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(_SPLIT), "isolated")
    level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, level])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=1000, initial_alphabet=level.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator([FUNCTIONS, METHODS] * 4, trainer)
    assert {"Ċ" * 3, "))" + "Ċ" * 3} <= tokenizer.get_vocab().keys()
    return lambda text: list(tokenizer.encode(text).ids)


def prefixes(code: str) -> list[str]:
    return [code[:end] for end in find_steps(code)[0][:-1]]


def continues(encode: Callable[[str], list[int]], begin: str, code: str) -> bool:
    """Whether the tokens of an answer's beginning begin the tokens of the answer."""
    tokens = encode(begin)
    return encode(f"```python\n{code}")[: len(tokens)] == tokens


@pytest.mark.parametrize("code", [FUNCTIONS, METHODS])
def test_an_answer_begins_with_whole_tokens(encode: Callable[[str], list[int]], code: str) -> None:
    assert len(prefixes(code)) == 2
    for prefix in prefixes(code):
        assert not continues(encode, answer_prefix("plain", prefix), code)
        begin = answer_prefix("plain", prefix, blank_lines_after(prefix))
        assert continues(encode, begin, code)


def test_blank_lines_follow_what_was_closed() -> None:
    assert [blank_lines_after(prefix) for prefix in prefixes(FUNCTIONS)] == ["\n\n", "\n\n"]
    assert [blank_lines_after(prefix) for prefix in prefixes(METHODS)] == ["\n", "\n"]
    assert blank_lines_after("import sys\n") == ""
    assert blank_lines_after("") == ""
    assert blank_lines_after("def f():\n    return 1") == ""  # the line is not complete


def body(way: Any) -> str:
    form = Form(
        model="m", endpoint="chat", style="plain", sampling={}, logprobs=False, extra_body={}
    )
    problem = Problem(key="p", problem_id="p", statement="Sum.", hidden=Suite(kind="stdin"))
    prefix = prefixes(FUNCTIONS)[0]
    blank = blank_lines_after(prefix)
    wanted = Request(key="k", problem=problem, index=0, seed=1, prefix=prefix, blank_lines=blank)
    return json.dumps(dict(form.call([wanted], way).body))


def test_servers_are_given_the_blank_lines() -> None:
    assert r"    return result\n\n\n\"" in body("prefill").replace('"}', r"\"")
    assert r'    return result\n\n\n"' in body("completions")
    assert r"    return result\n```" in body("instruction")


@pytest.mark.parametrize(
    "reply",
    ["\n\n\ndef evens(x):\n    return x\n", "def evens(x):\n    return x\n", "\n```\nDone."],
)
def test_a_template_that_trims_the_last_message_glues_no_lines(reply: str) -> None:
    """Llama 3's does: the model then writes the line breaks itself."""
    prefix = prefixes(FUNCTIONS)[0]
    program = read_program(reply, prefix, "prefill")
    assert program.kept
    assert program.code.startswith(prefix)
    compile(program.code, "program", "exec")
    assert "result\n" in program.code


@pytest.mark.parametrize("reply", [" if result else 0\n", "  # the sum\n\n\ndef g(): pass\n"])
def test_a_trimmed_line_that_goes_on_is_a_changed_prefix(reply: str) -> None:
    assert not read_program(reply, prefixes(FUNCTIONS)[0], "prefill").kept
    method = "\n    def size(self):\n        return 1\n"
    assert read_program(method.lstrip("\n"), prefixes(METHODS)[0], "prefill").kept
