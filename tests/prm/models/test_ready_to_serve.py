"""Saved models in the hands of others: transformers alone, and servers by documented rules."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from tokenizers.processors import TemplateProcessing
from transformers import (
    GemmaConfig,
    LlamaConfig,
    MistralConfig,
    PreTrainedConfig,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen3Config,
)

from funprm.config import TrainConfig
from funprm.prm.models.opening import SETTINGS, merge, open_base, save
from funprm.prm.reading import Reading
from funprm.prm.rendering import Encoded
from funprm.prm.scoring import PrmScorer
from funprm.records import LabelledProgram
from tests.prm.models.test_architectures import SIZES
from tests.prm.world import draw_programs, make_tokenizer

pytestmark = pytest.mark.filterwarnings("ignore:.*encoded once per program:UserWarning")

PROGRAMS = draw_programs("p", 4, 3, np.random.default_rng(0))
READING = Reading(max_steps=3, aggregator="min")
LAYOUTS: dict[str, tuple[PreTrainedConfig, str, bool]] = {
    "qwen2": (Qwen2Config(**SIZES), "<|fim_pad|>", False),
    "qwen3": (Qwen3Config(**SIZES, head_dim=8), "<|fim_pad|>", False),
    "llama": (LlamaConfig(**SIZES), "<|reserved_special_token_0|>", True),
    "mistral": (MistralConfig(**SIZES), "[control_8]", True),
    "gemma": (GemmaConfig(**SIZES, head_dim=8), "<unused0>", True),
}
"""Architecture, reserved token, and whether the tokenizer opens every text with a token."""

ALONE = """
import json, re, sys
import torch
from transformers import AutoModelForSequenceClassification, AutoModelForTokenClassification
from transformers import AutoTokenizer

torch.set_num_threads(1)
found = {}
for folder in sys.argv[1:]:
    for side in ("right", "left"):
        tokenizer = AutoTokenizer.from_pretrained(folder, padding_side=side)
        card = open(folder + "/README.md").read()
        (marker,) = {int(n) for n in re.findall(r"token (\\d+)\\)", card)}
        chats = json.load(open(folder + "/chats.json"))
        batch = tokenizer.apply_chat_template(
            chats, padding=True, return_dict=True, return_tensors="pt"
        )
        whole = AutoModelForSequenceClassification.from_pretrained(folder).eval()
        steps = AutoModelForTokenClassification.from_pretrained(folder).eval()
        with torch.inference_mode():
            last = whole(**batch).logits[:, 0].sigmoid().tolist()
            rows = steps(**batch).logits[:, :, 0].sigmoid()
        every = [row[ids == marker].tolist() for row, ids in zip(rows, batch["input_ids"])]
        found[folder + " " + side] = {"last": last, "every": every}
        assert batch["attention_mask"].sum() < batch["input_ids"].numel()
assert not [name for name in sys.modules if name.startswith(("funprm", "peft"))]
print(json.dumps(found))
"""


def tokenizer_of(marker: str, opens: bool) -> PreTrainedTokenizerFast:
    """A tokenizer as base models have it: with an end, without padding."""
    tokenizer = make_tokenizer(["<s>", "<|end|>", "<unk>", marker])
    tokenizer.pad_token, tokenizer.eos_token = None, "<|end|>"
    tokenizer.bos_token = "<s>" if opens else None
    if opens:
        opening = ("<s>", tokenizer.convert_tokens_to_ids("<s>"))
        tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
            single="<s> $A", special_tokens=[opening]
        )
    return tokenizer


def save_layout(name: str, tuning: Any, folder: Path) -> Path:
    """A trained model of a layout: random weights, a head that says something."""
    config, marker, opens = LAYOUTS[name]
    tokenizer = tokenizer_of(marker, opens)
    config.vocab_size = len(tokenizer)
    torch.manual_seed(0)
    base = transformers.AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]
    base.save_pretrained(folder / "base")
    tokenizer.save_pretrained(folder / "base")
    opened = open_base(
        TrainConfig(base=str(folder / "base"), tuning=tuning, max_tokens=64, device="cpu")
    )
    torch.manual_seed(1)
    for name, parameter in opened.model.trainable().items():
        if ".score." in name or "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.5)
    save(opened, folder / "model", {"base": str(folder / "base"), "reading": READING.settings()})
    return folder / "model"


def chat_of(program: LabelledProgram) -> list[dict[str, Any]]:
    parts = [{"type": "text", "text": step} for step in program.steps]
    return [
        {"role": "user", "content": program.statement},
        {"role": "assistant", "content": parts},
    ]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Whole weights of all layouts; those of Mistral and Qwen3 are merged adapters."""
    folder, found = tmp_path_factory.mktemp("layouts"), {}
    for name in LAYOUTS:
        tuning = "lora" if name in ("mistral", "qwen3") else "full"
        model = save_layout(name, tuning, folder / name)
        if tuning == "lora":
            merge(model, folder / name / "merged")
            model = folder / name / "merged"
        (model / "chats.json").write_text(json.dumps([chat_of(p) for p in PROGRAMS]))
        found[name] = model
    return found


@pytest.fixture(scope="module")
def alone(models: dict[str, Path]) -> Any:
    """What an interpreter finds that imports transformers only."""
    command = [sys.executable, "-c", ALONE, *map(str, models.values())]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("name", LAYOUTS)
def test_transformers_alone_gives_the_scores(
    models: dict[str, Path], alone: Any, name: str, side: str
) -> None:
    expected = list(PrmScorer(models[name], "cpu").score(PROGRAMS))
    found = alone[f"{models[name]} {side}"]
    for scores, last, every in zip(expected, found["last"], found["every"], strict=True):
        assert every == pytest.approx(scores, rel=1e-4)
        assert last == pytest.approx(scores[-1], rel=1e-4)
    assert len({round(score, 5) for scores in expected for score in scores}) > 3


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_folder_has_what_servers_ask_for(models: dict[str, Path], name: str) -> None:
    folder = models[name]
    config = json.loads((folder / "config.json").read_text())
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    stored = json.loads((folder / SETTINGS).read_text())
    assert config["pad_token_id"] == tokenizer.pad_token_id is not None
    assert tokenizer.pad_token != stored["marker"] == LAYOUTS[name][1]
    assert config["problem_type"] == "multi_label_classification"
    assert len(config["id2label"]) == 1
    assert stored["reading"] == READING.settings()
    files = {path.name for path in folder.iterdir()}
    assert (
        files & {"vocab.json", "merges.txt", "tokenizer.model", "special_tokens_map.json"} == set()
    )
    assert {"tokenizer.json", "chat_template.jinja", "README.md"} <= files


def vllm_step_pooling(folder: Path, tokens: tuple[int, ...], pooler: dict[str, Any]) -> list[float]:
    """`token_classify` with STEP pooling as vLLM documents it.

    Rows of the last hidden state whose prompt token is `step_tag_id`; the head in single
    precision; then the activation that `problem_type` asks for.
    """
    assert (pooler["task"], pooler["pooling_type"]) == ("token_classify", "STEP")
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    ids = torch.tensor([tokens])
    with torch.inference_mode():
        hidden = model.base_model(input_ids=ids).last_hidden_state[0]
        logits = model.score(hidden[ids[0] == pooler["step_tag_id"]].float())
    kind = getattr(model.config, "problem_type", "")
    assert kind in ("", "regression", "single_label_classification", "multi_label_classification")
    scores = logits if kind == "regression" else logits.sigmoid()
    assert scores.shape[1] == 1
    return [float(score) for score in scores[:, 0]]


def encoded(scorer: PrmScorer) -> Iterator[Encoded]:
    yield from (e for e in scorer._opened.renderer.encode_all(PROGRAMS, 64) if e)


@pytest.mark.parametrize("name", LAYOUTS)
def test_step_pooling_by_the_card_gives_the_scores(models: dict[str, Path], name: str) -> None:
    card = (models[name] / "README.md").read_text()
    (pooler,) = (json.loads(text) for text in re.findall(r"--pooler-config '(.*)'", card))
    scorer = PrmScorer(models[name], "cpu")
    for program, scores in zip(encoded(scorer), scorer.score(PROGRAMS), strict=True):
        found = vllm_step_pooling(models[name], program.tokens, pooler)
        assert found == pytest.approx(scores, rel=1e-4)


def test_the_card_s_lines_run(models: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = models["llama"]
    card = (folder / "README.md").read_text()
    (block,) = (b for b in re.findall(r"```python\n(.*?)```", card, re.DOTALL) if "torch" in b)
    monkeypatch.chdir(folder.parent.parent)
    assert f'name = "{folder.parent.name}"' in block
    names: dict[str, Any] = {}
    exec(block.replace(f'"{folder.parent.name}"', repr(str(folder))), names)
    program = LabelledProgram(
        generation="",
        problem_id="",
        statement=names["chat"][0]["content"],
        steps=tuple(names["functions"]),
        prefixes=(),
    )
    scorer = PrmScorer(folder, "cpu")
    rendered = scorer._opened.renderer.encode(program, 1000)
    assert rendered is not None
    assert names["inputs"]["input_ids"][0].tolist() == list(rendered.tokens)
    assert len(names["scores"]) == 2


def test_a_padding_token_that_is_the_marker_is_replaced(tmp_path: Path) -> None:
    tokenizer = make_tokenizer(["<|end|>", "<unk>", "<|fim_pad|>"])
    tokenizer.eos_token, tokenizer.pad_token = "<|end|>", "<|fim_pad|>"
    config = Qwen2Config(**SIZES)
    config.vocab_size = len(tokenizer)
    base = transformers.AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]
    base.save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    opened = open_base(TrainConfig(base=str(tmp_path / "base"), device="cpu"))
    assert opened.tokenizer.pad_token == "<|end|>"
    assert opened.model.network.config.pad_token_id == opened.tokenizer.pad_token_id
