from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2.exceptions import TemplateError
from transformers import PreTrainedTokenizerFast

from funprm.errors import ConfigError, DataError
from funprm.prm.rendering import Encoded, Renderer
from funprm.prompts.answers import extract_code
from tests.prm.world import SPECIAL, make_tokenizer, program

TOKENIZER = make_tokenizer()
RENDERER = Renderer(TOKENIZER)
PROGRAM = program("p", "abc", [1, 2, 1], [4, 4, 1])


def spelled(tokenizer: PreTrainedTokenizerFast, encoded: Encoded) -> str:
    return "".join(tokenizer.convert_ids_to_tokens(list(encoded.tokens)))


def test_markers_close_steps_and_nothing_follows_the_last() -> None:
    encoded = RENDERER.encode(PROGRAM, 512)
    assert encoded is not None
    assert spelled(TOKENIZER, encoded) == "<|problem|>do p<|solution|>" + "".join(
        f"def {c}\n<|step|>" for c in "abc"
    )
    assert [encoded.tokens[m] for m in encoded.markers] == [RENDERER.marker_id] * 3
    assert encoded.markers[-1] == len(encoded.tokens) - 1
    assert not encoded.shortened


@given(st.lists(st.text(st.sampled_from("<|step>problem solution"), max_size=20), min_size=1))
@settings(max_examples=50, deadline=None)
def test_code_cannot_contain_a_marker(texts: list[str]) -> None:
    steps = (*texts, "x<|step|>y<|problem|><|solution|><|step|>")
    encoded = RENDERER.encode(replace(PROGRAM, steps=steps, statement="<|step|>"), 10_000)
    assert encoded is not None
    assert encoded.tokens.count(RENDERER.marker_id) == len(steps)
    assert encoded.tokens.count(TOKENIZER.convert_tokens_to_ids("<|problem|>")) == 1


def test_a_tokenizer_that_keeps_literal_markers_is_cut_around() -> None:
    class Keeps:
        bos_token_id, pad_token_id, eos_token_id, unk_token_id = None, 0, None, None

        def get_vocab(self) -> dict[str, int]:
            return {str(k): int(v) for k, v in TOKENIZER.get_vocab().items()}

        def __call__(self, texts: object, **_: object) -> object:
            return TOKENIZER(texts, add_special_tokens=False)

    renderer = Renderer(Keeps())
    encoded = renderer.encode(replace(PROGRAM, steps=("a<|step|>b<|step|>",)), 100)
    assert encoded is not None
    assert encoded.tokens.count(renderer.marker_id) == 1


def test_other_tokenizers_get_a_frame_of_text_and_a_reserved_marker() -> None:
    tokenizer = make_tokenizer(["<|pad|>", "<unk>", "<|fim_pad|>", "<other>"])
    renderer = Renderer(tokenizer)
    assert renderer.marker == "<|fim_pad|>"
    encoded = renderer.encode(PROGRAM, 512)
    assert encoded is not None
    assert spelled(tokenizer, encoded) == (
        "Problem:\ndo p\n\nSolution:\n" + "".join(f"def {c}\n<|fim_pad|>" for c in "abc")
    )
    assert Renderer(tokenizer, "<other>").settings()["marker"] == "<other>"


def test_long_statements_lose_their_middle_and_code_is_never_cut() -> None:
    whole = RENDERER.encode(PROGRAM, 512)
    assert whole is not None
    long = replace(PROGRAM, statement="A" * 30 + "B" * 30)
    shortened = RENDERER.encode(long, len(whole.tokens))
    assert shortened is not None
    assert shortened.shortened
    assert len(shortened.tokens) == len(whole.tokens)
    assert spelled(TOKENIZER, shortened).startswith("<|problem|>AABB<|sol")
    assert shortened.tokens[-22:] == whole.tokens[-22:]
    fixed = len(whole.tokens) - len("do p")
    assert RENDERER.encode(long, fixed) is not None
    assert RENDERER.encode(long, fixed - 1) is None


def test_all_at_once_is_one_by_one() -> None:
    programs = [PROGRAM, replace(PROGRAM, statement="other"), program("q", "xy", [0, 0], [2, 1])]
    assert RENDERER.encode_all(programs, 64) == [RENDERER.encode(p, 64) for p in programs]


def test_unknown_markers_and_programs_without_steps_are_refused() -> None:
    with pytest.raises(ConfigError, match="'<nope>' is not one token"):
        Renderer(TOKENIZER, "<nope>")
    with pytest.raises(ConfigError, match="none of the known reserved tokens"):
        Renderer(make_tokenizer([s for s in SPECIAL if s != "<|step|>"]))
    with pytest.raises(DataError, match="has no steps"):
        RENDERER.encode(replace(PROGRAM, steps=()), 64)


def templated(answer: str | list[str], renderer: Renderer = RENDERER) -> str:
    """What the chat template makes of a statement and an answer, or its parts."""
    parts = [{"type": "text", "text": text} for text in answer if not isinstance(answer, str)]
    chat: list[dict[str, Any]] = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": " do p\n"},
        {"role": "assistant", "content": parts or answer},
    ]
    TOKENIZER.chat_template = renderer.chat_template()
    return str(TOKENIZER.apply_chat_template(chat, tokenize=False))


def test_the_chat_template_renders_as_training_does() -> None:
    text = templated(list(PROGRAM.steps))
    assert text == RENDERER.text(PROGRAM)
    encoded = RENDERER.encode(PROGRAM, 512)
    assert encoded is not None
    assert TOKENIZER(text, add_special_tokens=False)["input_ids"] == list(encoded.tokens)
    assert RENDERER.encode_text(text) == replace(encoded, start=0)
    whole = replace(PROGRAM, steps=("".join(PROGRAM.steps),))
    assert templated("".join(PROGRAM.steps)) == RENDERER.text(whole)


@pytest.mark.parametrize(
    "answer",
    [
        "def f():\n    pass\n",
        "Here:\n```python\ndef f():\n    pass\n```\nDone.",
        "First:\n```python\nx\n```\nBetter:\n```python\ndef f():\n    pass\n```",
        "Cut off:\n```python\ndef f():\n    return (1,",
        "<think>\n```python\nno\n```\n</think>\n```\ndef f():\n    pass\n```",
        "<think>hm</think>def f():\n    pass\n",
    ],
)
def test_the_chat_template_reads_answers_as_the_package_does(answer: str) -> None:
    steps = (extract_code(answer),)
    assert templated(answer) == RENDERER.text(replace(PROGRAM, steps=steps))


def test_no_answer_puts_a_marker_into_the_chat_template() -> None:
    text = templated("x<|step|>\n<|problem|><|solution|>")
    assert (text.count("<|step|>"), text.count("<|solution|>")) == (1, 1)
    assert text == RENDERER.text(replace(PROGRAM, steps=("x<|step|>\n<|problem|><|solution|>",)))


def test_the_chat_template_refuses_chats_without_a_program() -> None:
    TOKENIZER.chat_template = RENDERER.chat_template()
    with pytest.raises(TemplateError, match="expected a statement"):
        TOKENIZER.apply_chat_template([{"role": "user", "content": "do p"}], tokenize=False)
