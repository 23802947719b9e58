import json
import shutil
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from funprm.config import TrainConfig
from funprm.errors import ModelError
from funprm.prm.models.opening import SETTINGS, merge, open_base, save
from funprm.prm.scoring import PrmScorer
from tests.prm.world import draw_programs

ROUNDING = 1e-4
"""Of scores in single precision, 6e-8 an operation, through some hundred operations in a row."""

PROGRAMS = draw_programs("p", 6, 3, np.random.default_rng(0))


def saved(base: Path, folder: Path, **settings: object) -> Path:
    """A model with a head that says something."""
    config = TrainConfig(base=str(base), max_tokens=64, device="cpu", **settings)  # type: ignore[arg-type]
    opened = open_base(config)
    torch.manual_seed(3)
    for name, parameter in opened.model.trainable().items():
        if ".score." in name or "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.5)
    save(opened, folder)
    return folder


@pytest.fixture(scope="module")
def folder(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(base, tmp_path_factory.mktemp("saved") / "model")


@pytest.fixture(scope="module")
def scores(folder: Path) -> list[tuple[float, ...]]:
    return list(PrmScorer(folder, "cpu").score(PROGRAMS))


def test_one_score_per_step_in_order(scores: list[tuple[float, ...]]) -> None:
    assert [len(s) for s in scores] == [len(p.steps) for p in PROGRAMS]
    flat = [p for s in scores for p in s]
    assert min(flat) >= 0.0
    assert max(flat) <= 1.0
    assert np.std(flat) > 0.01


def test_one_pass_is_every_prefix_encoded_again(
    folder: Path, scores: list[tuple[float, ...]]
) -> None:
    scorer = PrmScorer(folder, "cpu")
    for whole, expected in zip(PROGRAMS, scores, strict=True):
        prefixes = [replace(whole, steps=whole.steps[: i + 1]) for i in range(len(whole.steps))]
        apart = [s[-1] for s in scorer.score(prefixes)]
        assert apart == pytest.approx(expected, abs=ROUNDING)


def test_batching_changes_nothing(folder: Path, scores: list[tuple[float, ...]]) -> None:
    one_by_one = PrmScorer(folder, "cpu", batch_tokens=1)
    for single, expected in zip(one_by_one.score(PROGRAMS), scores, strict=True):
        assert single == pytest.approx(expected, abs=ROUNDING)


def test_programs_that_do_not_fit_have_no_score(
    folder: Path, scores: list[tuple[float, ...]]
) -> None:
    long = replace(PROGRAMS[0], steps=("x" * 99,))
    mixed = [long, PROGRAMS[0], long, PROGRAMS[1]]
    found = list(PrmScorer(folder, "cpu").score(mixed))
    assert found[0] == found[2] == ()
    assert found[1] == pytest.approx(scores[0], abs=ROUNDING)
    assert found[3] == pytest.approx(scores[1], abs=ROUNDING)


def test_standard_classes_give_the_same_scores(
    folder: Path, scores: list[tuple[float, ...]]
) -> None:
    scorer = PrmScorer(folder, "cpu")
    whole = transformers.AutoModelForSequenceClassification.from_pretrained(folder)
    tokens = transformers.AutoModelForTokenClassification.from_pretrained(folder)
    assert tokens.score.bias is None
    encoded = scorer._opened.renderer.encode_all(PROGRAMS, 64)
    longest = max(len(e.tokens) for e in encoded if e)
    rows = [
        [*e.tokens, *[whole.config.pad_token_id] * (longest - len(e.tokens))] for e in encoded if e
    ]
    ids = torch.tensor(rows)
    with torch.inference_mode():
        program_scores = whole(input_ids=ids).logits[:, 0].sigmoid()
        step_scores = tokens.eval()(input_ids=ids).logits[:, :, 0].sigmoid()
    for i, (e, expected) in enumerate(zip(encoded, scores, strict=True)):
        assert e is not None
        assert float(program_scores[i]) == pytest.approx(expected[-1], abs=ROUNDING)
        assert step_scores[i, list(e.markers)].tolist() == pytest.approx(expected, abs=ROUNDING)


def test_adapters_open_alone_in_peft_and_merged(base: Path, tmp_path: Path) -> None:
    import peft

    folder = saved(base, tmp_path / "adapters", tuning="lora", lora_rank=2)
    settings = json.loads((folder / "adapter_config.json").read_text())
    assert settings["task_type"] == "SEQ_CLS"
    assert settings["modules_to_save"] == ["score"]
    expected = list(PrmScorer(folder, "cpu").score(PROGRAMS))
    merge(folder, tmp_path / "whole")
    whole = list(PrmScorer(tmp_path / "whole", "cpu").score(PROGRAMS))
    for a, b in zip(whole, expected, strict=True):
        assert a == pytest.approx(b, abs=ROUNDING)
    plain = transformers.AutoModelForSequenceClassification.from_pretrained(base, num_labels=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # between peft and transformers
        opened = peft.PeftModel.from_pretrained(plain, str(folder)).eval()
    encoded = PrmScorer(folder, "cpu")._opened.renderer.encode(PROGRAMS[0], 64)
    assert encoded is not None
    with torch.inference_mode():
        logit = opened(input_ids=torch.tensor([encoded.tokens])).logits
    assert float(logit.sigmoid()) == pytest.approx(expected[0][-1], abs=ROUNDING)
    with pytest.raises(ModelError, match="holds no adapters"):
        merge(tmp_path / "whole", tmp_path / "again")


def test_identity_is_of_the_weights(base: Path, folder: Path, tmp_path: Path) -> None:
    assert PrmScorer(folder, "cpu").identity() == PrmScorer(folder, "cpu", 64).identity()
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    assert PrmScorer(copy, "cpu").identity() == PrmScorer(folder, "cpu").identity()
    other = saved(base, tmp_path / "other", tuning="lora")
    assert PrmScorer(other, "cpu").identity() != PrmScorer(folder, "cpu").identity()


def test_unusable_folders_are_one_line_errors(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no reward model in"):
        PrmScorer(tmp_path / "missing", "cpu")
    bare = tmp_path / "bare"
    shutil.copytree(folder, bare, ignore=shutil.ignore_patterns("*.safetensors"))
    with pytest.raises(ModelError, match="holds no weights") as error:
        PrmScorer(bare, "cpu")
    assert "\n" not in str(error.value)
    (bare / "model.safetensors").write_bytes(b"torn")
    with pytest.raises(ModelError, match="cannot open model"):
        PrmScorer(bare, "cpu")
    (bare / SETTINGS).write_text("{}")
    with pytest.raises(ModelError, match="is damaged"):
        PrmScorer(bare, "cpu")
