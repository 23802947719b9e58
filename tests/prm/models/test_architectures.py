"""Trunks of other families: without a padding token, and with experts."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from transformers import (
    LlamaConfig,
    MistralConfig,
    MixtralConfig,
    PreTrainedConfig,
    Qwen2MoeConfig,
    Starcoder2Config,
)

from funprm.config import TrainConfig
from funprm.errors import TrainingError
from funprm.prm.batches import collate, examples_of
from funprm.prm.correction import hypergradient
from funprm.prm.models.network import Opened, differentiable_experts
from funprm.prm.models.opening import open_base, save
from funprm.prm.scoring import PrmScorer
from funprm.prm.training.loop import train
from tests.prm.world import draw_programs, make_tokenizer, small_data

pytestmark = pytest.mark.filterwarnings("ignore:.*encoded once per program:UserWarning")

PROGRAMS = draw_programs("p", 4, 3, np.random.default_rng(0))

SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "initializer_range": 0.1,
    "bos_token_id": None,
    "eos_token_id": 4,
}
QWEN_EXPERTS: dict[str, Any] = {
    "num_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 32,
}
CONFIGS: dict[str, PreTrainedConfig] = {
    "llama": LlamaConfig(**SIZES),
    "mistral": MistralConfig(**SIZES),
    "starcoder2": Starcoder2Config(**SIZES),
    "qwen2_moe": Qwen2MoeConfig(**SIZES, **QWEN_EXPERTS, shared_expert_intermediate_size=32),
    "mixtral": MixtralConfig(**SIZES, num_local_experts=4),
}
EXPERTS = ("qwen2_moe", "mixtral")


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Random models; their tokenizer has an end, and no padding."""
    tokenizer = make_tokenizer()
    tokenizer.pad_token, tokenizer.eos_token = None, "<unk>"
    folder, found = tmp_path_factory.mktemp("bases"), {}
    for name, config in CONFIGS.items():
        config.vocab_size = len(tokenizer)
        torch.manual_seed(0)
        model = transformers.AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]
        model.save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)
        found[name] = folder / name
    return found


def opened(base: Path, **settings: Any) -> Opened:
    """A model with a head that says something."""
    model = open_base(TrainConfig(base=str(base), max_tokens=64, device="cpu", **settings))
    torch.manual_seed(1)
    for name, parameter in model.model.trainable().items():
        if ".score." in name:
            torch.nn.init.normal_(parameter, std=0.5)
    return model


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("name", CONFIGS)
def test_the_standard_classes_batch_a_saved_model(
    bases: dict[str, Path], tmp_path: Path, name: str, side: str
) -> None:
    save(opened(bases[name]), tmp_path / "model")
    scorer = PrmScorer(tmp_path / "model", "cpu")
    expected = list(scorer.score(PROGRAMS))
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "model", padding_side=side)
    encoded = [e for e in scorer._opened.renderer.encode_all(PROGRAMS, 64) if e]
    batch = tokenizer.pad({"input_ids": [list(e.tokens) for e in encoded]}, return_tensors="pt")
    whole = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "model")
    tokens = transformers.AutoModelForTokenClassification.from_pretrained(tmp_path / "model")
    assert whole.config.pad_token_id == tokenizer.pad_token_id
    with torch.inference_mode():
        programs = whole.eval()(**batch).logits[:, 0].sigmoid()
        steps = tokens.eval()(**batch).logits[:, :, 0].sigmoid()
    longest = batch["input_ids"].shape[1]
    for i, (e, scores) in enumerate(zip(encoded, expected, strict=True)):
        moved = longest - len(e.tokens) if side == "left" else 0
        assert float(programs[i]) == pytest.approx(scores[-1], abs=1e-4)
        found = steps[i, [marker + moved for marker in e.markers]]
        assert found.tolist() == pytest.approx(scores, abs=1e-4)


@pytest.mark.parametrize("tuning", ["full", "lora"])
@pytest.mark.parametrize("name", EXPERTS)
def test_experts_are_trained_in_bfloat16(
    bases: dict[str, Path], tmp_path: Path, name: str, tuning: Any
) -> None:
    config = TrainConfig(
        base=str(bases[name]),
        device="cpu",
        tuning=tuning,
        precision="bf16",
        epochs=0.4,
        warmup_epochs=0.2,
        max_tokens=64,
    )
    assert train(config, small_data(), tmp_path).correction["touched"]


@pytest.mark.parametrize("name", EXPERTS)
def test_forward_mode_through_experts_is_the_adjoint_of_backward_mode(
    bases: dict[str, Path], name: str
) -> None:
    """<J w, J w> is <J' J w, w>, whatever the precision of either way."""
    model = opened(bases[name])
    encoded = [(p, model.renderer.encode(p, 64)) for p in PROGRAMS]
    batch = collate(examples_of([(p, e) for p, e in encoded if e], {}, labels="all"), 0, "cpu")
    theta = model.model.trainable()
    w = {n: torch.randn_like(p) for n, p in theta.items()}
    with differentiable_experts(model.model):
        tangent = hypergradient.tangent_jvp(model.model.eval(), theta, w, batch)
    back = torch.autograd.grad(
        hypergradient.logits_at(model.model, theta, batch), list(theta.values()), tangent
    )
    along = sum(float((g * v).sum()) for g, v in zip(back, w.values(), strict=True))
    assert along == pytest.approx(float(tangent.square().sum()), rel=1e-3)


def test_where_forward_mode_fails_finite_differences_serve(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise NotImplementedError("Trying to use forward AD with some_kernel\nPlease file")

    monkeypatch.setattr(hypergradient, "tangent_jvp", refuse)
    settings: dict[str, Any] = {
        "base": str(base),
        "device": "cpu",
        "precision": "bf16",
        "epochs": 0.8,
        "warmup_epochs": 0.2,
        "max_tokens": 64,
    }
    assert train(TrainConfig(**settings), small_data(), tmp_path / "auto").correction["touched"]
    (line,) = [
        r.getMessage() for r in caplog.records if r.name == "funprm.prm.training.optimizer_step"
    ]
    assert "by finite differences: forward mode fails here" in line
    changes: list[dict[str, Any]] = [{"hypergradient": "jvp"}, {"tuning": "lora"}]
    for change in changes:
        with pytest.raises(TrainingError, match="some_kernel.: set train.hypergradient = 'fd'"):
            train(TrainConfig(**settings, **change), small_data(), tmp_path / str(change))
