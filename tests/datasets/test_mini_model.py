"""The tiny language model that is shipped: its tokenizer, its weights, its size."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st

import funprm
from funprm.datasets.mini import MiniDataset
from funprm.datasets.mini.corpus import solutions

FOLDER = Path(funprm.__file__).parent / "policies" / "tiny"
SPECIAL = ("<|problem|>", "<|solution|>", "<|step|>", "<|end|>", "<|pad|>")


@cache
def tokenizer() -> Any:
    return transformers.AutoTokenizer.from_pretrained(str(FOLDER), local_files_only=True)


@cache
def samples() -> tuple[tuple[str, str], ...]:
    return tuple(solutions(60, seed=7))


def encode(text: str) -> list[int]:
    ids: list[int] = tokenizer()(text)["input_ids"]
    return ids


def step_ends(program: str) -> list[int]:
    """Offsets after each function: before the two blank lines of the next, or the end."""
    ends = [i + 1 for i in range(len(program)) if program.startswith("\n\n\ndef ", i)]
    return [*ends, len(program)]


@given(st.text(st.characters(max_codepoint=127)))
@settings(max_examples=200, deadline=None)
def test_ascii_text_survives(text: str) -> None:
    assert tokenizer().decode(encode(text)) == text


def test_text_of_other_scripts_survives() -> None:
    text = "héllo wörld → 你好"
    assert tokenizer().decode(encode(text)) == text


def test_statements_and_programs_survive_and_are_short() -> None:
    lengths = []
    for statement, program in samples():
        ids = encode(statement + program)
        assert tokenizer().decode(ids) == statement + program
        lengths.append(len(ids))
    assert sum(lengths) / len(lengths) < 30
    assert max(lengths) <= 45


@given(st.sampled_from(range(60)), st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_no_token_spans_the_end_of_a_step(number: int, cut: int) -> None:
    statement, program = samples()[number]
    ends = step_ends(program)
    end = ends[cut % len(ends)]
    prompt = f"<|problem|>{statement}<|solution|>"
    whole = encode(prompt + program)
    assert encode(prompt) + encode(program[:end]) + encode(program[end:]) == whole


def test_special_tokens_are_single_and_reserved() -> None:
    for index, token in enumerate(SPECIAL):
        assert encode(token) == [index]
    assert tokenizer().eos_token == "<|end|>"
    assert tokenizer().pad_token == "<|pad|>"


def test_the_chat_template_is_the_prompt_that_the_model_knows() -> None:
    messages = [{"role": "user", "content": "Return the sum."}]
    text = tokenizer().apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    assert text == "<|problem|>Return the sum.<|solution|>"


def test_test_problems_have_the_same_vocabulary() -> None:
    for problem in MiniDataset(train=0, meta=0, validation=0, test=20).load():
        assert len(encode(problem.statement + (problem.reference or ""))) <= 45


@pytest.mark.parametrize("folder", [FOLDER, FOLDER / "early"], ids=["model", "early"])
def test_files_are_small_and_complete(folder: Path) -> None:
    sizes = {path.name: path.stat().st_size for path in folder.iterdir() if path.is_file()}
    assert {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json"} <= set(
        sizes
    )
    assert sizes["model.safetensors"] <= 2.5e6
    assert sum(sizes.values()) <= 3e6


@pytest.mark.parametrize("folder", [FOLDER, FOLDER / "early"], ids=["model", "early"])
def test_the_model_opens_offline_in_single_precision(folder: Path) -> None:
    model = transformers.AutoModelForCausalLM.from_pretrained(str(folder), local_files_only=True)
    assert model.dtype == torch.float32
    assert model.config.model_type == "qwen2"
    assert 1.0e6 <= sum(weight.numel() for weight in model.parameters()) <= 2.0e6
    assert model.config.vocab_size == len(tokenizer())
    assert model.generation_config.eos_token_id == tokenizer().eos_token_id


def test_the_model_knows_reference_programs() -> None:
    model = transformers.AutoModelForCausalLM.from_pretrained(str(FOLDER), local_files_only=True)
    for problem in MiniDataset(train=0, meta=0, validation=0, test=5).load():
        prompt = encode(f"<|problem|>{problem.statement}<|solution|>")
        ids = torch.tensor([prompt + encode(f"{problem.reference}<|end|>")])
        with torch.no_grad():
            logits = model(input_ids=ids).logits[0, len(prompt) - 1 : -1]
        loss = torch.nn.functional.cross_entropy(logits, ids[0, len(prompt) :])
        assert loss.item() < 1.0


def test_the_card_states_what_was_measured() -> None:
    card = (FOLDER / "CARD.md").read_text()
    for word in ("parameters", "pass@1", "pass@8", "likeliest", "self-certainty"):
        assert word in card


def test_the_configuration_declares_single_precision() -> None:
    assert json.loads((FOLDER / "config.json").read_text())["dtype"] == "float32"
