"""Programs share one encoding of their statement, and get the scores they get alone."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from transformers import MistralConfig, PreTrainedConfig, Qwen2Config, Qwen2MoeConfig

from funprm.config import TrainConfig
from funprm.prm import sharing
from funprm.prm.models.frozen import FeatureCache
from funprm.prm.models.network import RewardModel
from funprm.prm.models.opening import open_base, save
from funprm.prm.rendering import Encoded
from funprm.prm.scoring import PrmScorer, step_scores
from tests.prm.world import draw_programs, make_base, make_tokenizer

SIZES: dict[str, Any] = {
    "vocab_size": 60,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 1024,
    "initializer_range": 0.2,
    "pad_token_id": 0,
    "num_labels": 1,
}
EXPERTS: dict[str, Any] = {
    "num_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 32,
    "shared_expert_intermediate_size": 32,
}
CONFIGS: dict[str, PreTrainedConfig] = {
    "full": Qwen2Config(**SIZES),
    "experts": Qwen2MoeConfig(**SIZES, **EXPERTS),
    "window": MistralConfig(**SIZES, sliding_window=8),
}


def model_of(name: str) -> RewardModel:
    torch.manual_seed(0)
    library: Any = transformers.AutoModelForSequenceClassification
    network = library.from_config(CONFIGS[name])
    torch.nn.init.normal_(network.score.weight)
    return RewardModel(network).eval()


def programs_of(statement: int, count: int, seed: int) -> list[Encoded]:
    """Programs of one statement, of two or three steps of different lengths."""
    generator = torch.Generator().manual_seed(seed)

    def some(length: int) -> list[int]:
        return torch.randint(2, 60, (length,), generator=generator).tolist()

    head, found = some(statement), []
    for i in range(count):
        tokens, markers = list(head), []
        for step in range(2 + i % 2):
            tokens += [*some(5 + 3 * i + step), 1]
            markers.append(len(tokens) - 1)
        found.append(Encoded(tuple(tokens), tuple(markers), start=statement))
    return found


PROGRAMS = [*programs_of(100, 8, 1), *programs_of(90, 5, 2), *programs_of(30, 1, 3)]


@pytest.mark.parametrize("batch_tokens", [60, 10_000])
@pytest.mark.parametrize("name", list(CONFIGS))
def test_scores_are_those_of_each_program_alone(name: str, batch_tokens: int) -> None:
    model = model_of(name)
    assert bool(model.unshared) == (name == "window")
    found = step_scores(model, PROGRAMS, 0, batch_tokens)
    for program, scores in zip(PROGRAMS, found, strict=True):
        assert scores == pytest.approx(step_scores(model, [program], 0, 1)[0], abs=1e-5)


def test_a_statement_is_encoded_once() -> None:
    model, tokens = model_of("full"), 0

    def note(module: object, args: object, given: dict[str, Any]) -> None:
        nonlocal tokens
        tokens += given["input_ids"].numel()

    model.network.model.register_forward_pre_hook(note, with_kwargs=True)
    group = PROGRAMS[:8]
    step_scores(model, group, 0, 10_000)
    longest = max(len(program.tokens) for program in group) - 100
    assert tokens == 100 + 8 * longest


def test_short_statements_are_not_worth_it() -> None:
    assert not sharing.groups_of(programs_of(30, 8, 1))
    assert len(sharing.groups_of(PROGRAMS)) == 2


def test_a_frozen_trunk_shares_them_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = str(make_base(tmp_path / "base"))
    programs = draw_programs("p", 2, 6, np.random.default_rng(0))
    tables = []
    for worth in (10_000, 1):
        monkeypatch.setattr(sharing, "WORTH", worth)
        cache = FeatureCache(base, "", "cpu", 64)
        found = [encoded for encoded in cache.look_up(programs) if encoded is not None]
        rows = [e.tokens[0] + step for e in found for step in e.markers]
        tables.append(cache.matrix[rows])
    assert len(tables[0]) > len(programs)
    assert torch.allclose(tables[0], tables[1], atol=1e-4)


def test_what_cannot_be_shared_is_said(tmp_path: Path) -> None:
    tokenizer = make_tokenizer()
    config = MistralConfig(**{**SIZES, "vocab_size": len(tokenizer)}, sliding_window=8)
    library: Any = transformers.AutoModelForCausalLM
    library.from_config(config).save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    save(open_base(TrainConfig(base=str(tmp_path / "base"), device="cpu")), tmp_path / "model")
    with pytest.warns(UserWarning, match="once per program, not once per problem, because"):
        PrmScorer(tmp_path / "model", "cpu")
