from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from funprm.config import TrainConfig
from funprm.errors import ModelError
from funprm.prm.models import frozen
from funprm.prm.models.frozen import HEAD, LIKELIHOODS, FeatureCache
from funprm.prm.scoring import PrmScorer
from funprm.prm.training.loop import train
from tests.prm.precision import double_precision
from tests.prm.world import learns, rows_of, small_data

DATA = small_data()

ROUNDING = 1e-4
"""Of features in single precision: other batches, other orders of the same sums."""


@pytest.fixture
def config(base: Path) -> Callable[..., TrainConfig]:
    defaults: dict[str, Any] = {
        "base": str(base),
        "tuning": "frozen",
        "device": "cpu",
        "batch": 8,
        "epochs": 2.0,
        "warmup_epochs": 1.0,
        "max_tokens": 64,
    }
    return lambda **changes: TrainConfig(**(defaults | changes))


def test_features_are_the_language_models_own(base: Path) -> None:
    cache = FeatureCache(str(base), "", "cpu", 64)
    (found,) = cache.look_up(DATA.train[:1])
    assert found is not None
    rows = cache.matrix[found.tokens[0] :][: len(found.markers)]
    (encoded,) = cache.renderer.encode_all(DATA.train[:1], 64)
    assert encoded is not None
    network = AutoModelForCausalLM.from_pretrained(base)
    with torch.inference_mode():
        out = network(torch.tensor([encoded.tokens]), output_hidden_states=True)
    hidden = out.hidden_states[-1][0, list(encoded.markers)]
    torch.testing.assert_close(rows[:, :-LIKELIHOODS], hidden, rtol=ROUNDING, atol=ROUNDING)
    log_probs = out.logits[0].log_softmax(-1)
    start = encoded.start
    total = 0.0
    for marker, row in zip(encoded.markers, rows, strict=True):
        own = [float(log_probs[t - 1, encoded.tokens[t]]) for t in range(start, marker)]
        total += sum(own)
        expected = [np.mean(own), min(own), sum(own)]
        assert row[-LIKELIHOODS:-2].tolist() == pytest.approx(expected, abs=1e-3)
        assert row[-1].item() == pytest.approx(total, abs=1e-3)
        start = marker + 1


def test_features_do_not_depend_on_the_company(base: Path) -> None:
    together, alone = FeatureCache(str(base), "", "cpu", 64), FeatureCache(str(base), "", "cpu", 64)
    many = together.look_up(DATA.train)
    (one,) = alone.look_up(DATA.train[5:6])
    where = many[5]
    assert where is not None
    assert one is not None
    steps = len(one.markers)
    torch.testing.assert_close(
        together.matrix[where.tokens[0] :][:steps],
        alone.matrix[:steps],
        rtol=ROUNDING,
        atol=ROUNDING,
    )


@pytest.mark.parametrize("mode", ["orm", "table+reweight", "posterior"])
def test_all_of_training_works_on_features(
    config: Callable[..., TrainConfig], tmp_path: Path, mode: Any
) -> None:
    settings = config(**learns(mode), head_hidden=4 if mode == "orm" else 0)
    result = train(settings, DATA, tmp_path / "a")
    again = train(settings, DATA, tmp_path / "b")
    assert result.validation == again.validation
    first, second = (
        list(PrmScorer(tmp_path / name / "model", "cpu").score(DATA.validation)) for name in "ab"
    )
    assert first == second
    assert [len(s) for s in first] == [len(p.steps) for p in DATA.validation]
    assert len({round(s[-1], 6) for s in first}) > 1
    if mode != "orm":
        rows = rows_of(tmp_path / "a" / "corrected.jsonl")
        assert any(abs(row["reward"] - row["k"] / row["n"]) > 1e-3 for row in rows)


def test_features_are_computed_once(
    config: Callable[..., TrainConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(config(**learns("none"), epochs=0.5), DATA, tmp_path / "a")
    monkeypatch.setattr(FeatureCache, "_add", lambda *_: pytest.fail("computed again"))
    train(config(**learns("orm"), epochs=0.5), DATA, tmp_path / "b")
    assert list(PrmScorer(tmp_path / "a" / "model", "cpu").score(DATA.train[:2]))


def test_hypergradients_agree_on_features(
    config: Callable[..., TrainConfig], tmp_path: Path
) -> None:
    found = {}
    for method in ("exact", "fd"):
        settings = config(**learns("table"), hypergradient=method, optimizer="sgd", lr=0.05)
        with double_precision():
            train(settings, DATA, tmp_path / method)
        found[method] = [r["reward"] for r in rows_of(tmp_path / method / "corrected.jsonl")]
    assert found["fd"] == pytest.approx(found["exact"], abs=1e-4)


def test_a_model_without_its_head_or_trunk_is_refused(
    config: Callable[..., TrainConfig], tmp_path: Path
) -> None:
    train(config(**learns("none"), epochs=0.5), DATA, tmp_path)
    settings = tmp_path / "model" / "funprm.json"
    text = settings.read_text()
    settings.write_text(text.replace('"trunk": "', '"trunk": "0'))
    with pytest.raises(ModelError, match="another version"):
        PrmScorer(tmp_path / "model", "cpu")
    settings.write_text(text)
    (tmp_path / "model" / HEAD).unlink()
    with pytest.raises(ModelError, match="missing or damaged"):
        PrmScorer(tmp_path / "model", "cpu")


def test_a_program_that_does_not_fit_has_no_features(
    config: Callable[..., TrainConfig], tmp_path: Path
) -> None:
    long = replace(DATA.train[0], steps=("x" * 99,), k=(1,), n=(1,), prefixes=("x",))
    data = replace(DATA, train=[*DATA.train, long])
    assert train(config(**learns("none"), epochs=0.5), data, tmp_path).not_fitting == 1
    assert list(PrmScorer(tmp_path / "model", "cpu").score([long])) == [()]


def test_every_weight_of_a_trunk_counts() -> None:
    network = torch.nn.Linear(40, 40)
    before = frozen._digest(network)
    with torch.no_grad():
        network.weight[-1, -1] += 1
    assert frozen._digest(network) != before
