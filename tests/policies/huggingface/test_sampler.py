"""The sampling loop against the library's own, and against plain forward passes."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    MistralConfig,
    MistralForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from funprm.errors import ModelError
from funprm.policies.huggingface import choice as huggingface_choice
from funprm.policies.huggingface.cache import RowCache
from funprm.policies.huggingface.choice import choose, draw, uniforms
from funprm.policies.huggingface.packed import pack
from funprm.policies.huggingface.rows import Row, Rule
from funprm.policies.huggingface.sampler import Sampler

VOCABULARY = 50
STOP = frozenset({7, 11, 13})
PROMPTS = ((3, 4, 5), (9,), (1, 2, 3, 4, 5, 6, 8), (9,), (20, 21), (3, 4, 5))


@pytest.fixture(scope="module")
def qwen() -> PreTrainedModel:
    torch.manual_seed(0)
    model = Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=VOCABULARY,
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=128,
            initializer_range=0.3,
            pad_token_id=0,
            eos_token_id=sorted(STOP),
        )
    )
    model.train(False)
    return model


@pytest.fixture(scope="module")
def mistral() -> PreTrainedModel:
    """A model whose layers attend to the last eight tokens only."""
    torch.manual_seed(1)
    model = MistralForCausalLM(
        MistralConfig(
            vocab_size=VOCABULARY,
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=128,
            initializer_range=0.3,
            sliding_window=8,
            pad_token_id=0,
        )
    )
    model.train(False)
    return model


def rows(
    prompts: Sequence[tuple[int, ...]] = PROMPTS, limit: int = 20, first: int = 0
) -> list[Row]:
    return [
        Row(prompt=prompt, limit=limit, stream=1_000_003 * (first + i))
        for i, prompt in enumerate(prompts)
    ]


def greedy_alone(model: PreTrainedModel, prompt: tuple[int, ...], limit: int) -> tuple[int, ...]:
    """The likeliest tokens by whole forward passes, without any cache."""
    ids = list(prompt)
    for _ in range(limit):
        with torch.no_grad():
            ids.append(int(model(input_ids=torch.tensor([ids])).logits[0, -1].argmax()))
        if ids[-1] in STOP:
            break
    return tuple(ids[len(prompt) :])


def test_greedy_equals_the_library(qwen: PreTrainedModel) -> None:
    drawn = Sampler(qwen, Rule(temperature=0, stop=STOP)).draw(rows())
    for prompt, continuation in zip(PROMPTS, drawn, strict=True):
        ids = torch.tensor([prompt])
        library: Any = qwen
        expected = library.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=20
        )
        assert continuation.tokens == tuple(expected[0, len(prompt) :].tolist())
        assert continuation.stopped == (continuation.tokens[-1] in STOP)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("name", ["qwen", "mistral"])
def test_greedy_equals_forward_passes(
    name: str, attention: str, request: pytest.FixtureRequest
) -> None:
    model: PreTrainedModel = request.getfixturevalue(name)
    assert RowCache(model.config).full == (name == "qwen")
    before = model.config._attn_implementation
    model.set_attn_implementation(attention)
    drawn = Sampler(model, Rule(temperature=0, stop=STOP)).draw(rows())
    expected = [greedy_alone(model, prompt, 20) for prompt in PROMPTS]
    model.set_attn_implementation(before)
    assert [continuation.tokens for continuation in drawn] == expected


def test_rows_end_at_different_times(qwen: PreTrainedModel) -> None:
    """The other tests rely on batches that shrink."""
    drawn = Sampler(qwen, Rule(stop=STOP)).draw(rows(PROMPTS * 4, limit=30))
    assert len({len(continuation.tokens) for continuation in drawn}) > 5
    assert any(not continuation.stopped for continuation in drawn)


@pytest.mark.parametrize("rule", [Rule(stop=STOP), Rule(temperature=0.6, top_p=0.9, stop=STOP)])
def test_a_row_does_not_depend_on_the_others(qwen: PreTrainedModel, rule: Rule) -> None:
    sampler, wanted = Sampler(qwen, rule), rows(PROMPTS * 3)
    together = sampler.draw(wanted)
    alone = [sampler.draw([row])[0] for row in wanted]
    assert [x.tokens for x in together] == [x.tokens for x in alone]
    backwards = sampler.draw(wanted[::-1])[::-1]
    assert [x.tokens for x in together] == [x.tokens for x in backwards]
    assert len({x.tokens for x in together}) > len(PROMPTS)


def test_shared_prompts_equal_unshared_ones(qwen: PreTrainedModel) -> None:
    """Equal prompts are encoded once; each row still goes its own way."""
    sampler = Sampler(qwen, Rule(stop=STOP))
    wanted = rows([PROMPTS[0]] * 6)
    shared = sampler.draw(wanted)
    unshared = [sampler.draw([row, Row(prompt=(1, 2), limit=3, stream=5)])[0] for row in wanted]
    assert [x.tokens for x in shared] == [x.tokens for x in unshared]


def test_prompts_are_encoded_once(qwen: PreTrainedModel) -> None:
    sizes: list[int] = []
    hook = qwen.register_forward_pre_hook(
        lambda module, args, kwargs: sizes.append(len(kwargs["input_ids"])), with_kwargs=True
    )
    Sampler(qwen, Rule(stop=STOP)).draw(rows())
    hook.remove()
    assert sizes[0] == len(set(PROMPTS))
    assert sizes[1] <= len(PROMPTS)
    assert sizes[-1] < len(PROMPTS)


def test_logprob_and_self_certainty_are_the_models(qwen: PreTrainedModel) -> None:
    """Whatever temperature and top_p are; by one plain forward pass per row."""
    wanted = rows()
    for row, drawn in zip(
        wanted,
        Sampler(qwen, Rule(temperature=0.7, top_p=0.8, stop=STOP)).draw(wanted),
        strict=True,
    ):
        ids = torch.tensor([row.prompt + drawn.tokens])
        with torch.no_grad():
            logprobs = qwen(input_ids=ids).logits[0, len(row.prompt) - 1 : -1].log_softmax(-1)
        chosen = logprobs.gather(1, torch.tensor(drawn.tokens)[:, None])
        assert drawn.logprob == pytest.approx(float(chosen.sum()), abs=1e-3)
        certainty = -math.log(VOCABULARY) - logprobs.mean()
        assert drawn.self_certainty == pytest.approx(float(certainty), abs=1e-3)


def test_rows_may_be_asked_whether_they_are_complete(qwen: PreTrainedModel) -> None:
    plain = Sampler(qwen, Rule()).draw(rows(limit=30))
    often = max(range(VOCABULARY), key=sum((x.tokens for x in plain), ()).count)
    heard: list[tuple[int, ...]] = []

    def twice(tokens: tuple[int, ...]) -> bool:
        heard.append(tokens)
        return tokens.count(often) == 2

    asks = frozenset({often})
    wanted = [
        replace(row, ends=twice if i % 2 else None, asks=asks)
        for i, row in enumerate(rows(limit=30))
    ]
    asked = Sampler(qwen, Rule()).draw(wanted)
    assert all(tokens[-1] == often for tokens in heard)
    for row, before, after in zip(wanted, plain, asked, strict=True):
        places = [i for i, token in enumerate(before.tokens) if token == often]
        ended = row.ends is not None and len(places) > 1
        assert after.stopped == ended
        assert after.tokens == before.tokens[: places[1] + 1 if ended else None]
    assert any(x.stopped for x in asked)


def test_limits_are_per_row(qwen: PreTrainedModel) -> None:
    wanted = [Row(prompt=(9, 4), limit=limit, stream=3) for limit in (1, 4, 9)]
    drawn = Sampler(qwen, Rule()).draw(wanted)
    assert [len(x.tokens) for x in drawn] == [1, 4, 9]
    assert not any(x.stopped for x in drawn)
    assert drawn[2].tokens[:4] == drawn[1].tokens


def test_continuing_what_was_drawn(qwen: PreTrainedModel) -> None:
    """Greedy: a prompt with the first tokens of its answer goes on as the answer did."""
    sampler = Sampler(qwen, Rule(temperature=0))
    whole = sampler.draw([Row(prompt=(3, 4, 5), limit=12, stream=0)])[0].tokens
    rest = sampler.draw([Row(prompt=(3, 4, 5, *whole[:5]), limit=7, stream=0)])[0].tokens
    assert whole[5:] == rest


def test_draws_follow_the_models_distribution(qwen: PreTrainedModel) -> None:
    """First tokens of 4,000 rows, by a chi-squared statistic with generous bounds."""
    count = 4000
    drawn = Sampler(qwen, Rule()).draw(rows([(3, 4, 5)] * count, limit=1))
    observed = np.bincount([x.tokens[0] for x in drawn], minlength=VOCABULARY)
    with torch.no_grad():
        p = qwen(input_ids=torch.tensor([[3, 4, 5]])).logits[0, -1].softmax(-1).double().numpy()
    frequent = p * count >= 5
    statistic = ((observed - p * count) ** 2 / (p * count))[frequent].sum()
    freedom = frequent.sum() - 1
    assert abs(statistic - freedom) < 5 * math.sqrt(2 * freedom)


def test_uniforms() -> None:
    streams = np.arange(20_000, dtype=np.uint64) * np.uint64(0x12345678ABCDEF)
    a, b = uniforms(streams, 0), uniforms(streams, 1)
    assert a.dtype == np.float32
    assert 0 <= a.min()
    assert a.max() < 1
    assert np.array_equal(a[5:9], uniforms(streams[5:9], 0))
    for u in (a, b):
        assert abs(u.mean() - 0.5) < 0.01
        assert abs(u.var() - 1 / 12) < 0.005
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.03


@pytest.mark.parametrize(
    ("rule", "probabilities"),
    [
        (Rule(), (0.5, 0.0, 0.3, 0.2)),
        (Rule(temperature=0.5), (0.25 / 0.38, 0.0, 0.09 / 0.38, 0.04 / 0.38)),
        (Rule(top_p=0.7), (0.5 / 0.8, 0.0, 0.3 / 0.8, 0.0)),
        (Rule(top_p=0.1), (1.0, 0.0, 0.0, 0.0)),
        (Rule(temperature=0), (1.0, 0.0, 0.0, 0.0)),
    ],
)
def test_choose_inverts_the_distribution(rule: Rule, probabilities: tuple[float, ...]) -> None:
    grid = torch.arange(1000) / 1000
    logprobs = torch.tensor([0.5, 0.0, 0.3, 0.2]).log().expand(1000, -1)
    shares = (
        torch.bincount(choose(logprobs, grid, rule.temperature, rule.top_p), minlength=4) / 1000
    )
    assert shares.tolist() == pytest.approx(probabilities, abs=0.003)


def test_the_largest_uniform_chooses_a_possible_token() -> None:
    torch.manual_seed(0)
    logits = torch.randn(500, 31)
    logits[:, -5:] = -torch.inf
    chosen = choose(logits.log_softmax(-1), torch.full((500,), 1 - 2.0**-24))
    assert int(chosen.max()) < 26


def test_broken_weights_are_reported(qwen: PreTrainedModel) -> None:
    library: Any = qwen
    weight = library.lm_head.weight.data
    before = weight.clone()
    weight[3] = torch.nan
    try:
        with pytest.raises(ModelError, match="not a number"):
            Sampler(qwen, Rule()).draw(rows())
    finally:
        weight.copy_(before)


@pytest.mark.parametrize("name", ["qwen", "mistral"])
@pytest.mark.parametrize("slots", [1, 3, 32])
def test_rows_that_join_are_drawn_as_if_alone(
    name: str, slots: int, request: pytest.FixtureRequest
) -> None:
    """Short and long prompts, few and many slots, layers that see all and that do not."""
    model: PreTrainedModel = request.getfixturevalue(name)
    sampler = Sampler(model, Rule(stop=STOP))
    long = tuple(range(20, 40)) * 2
    wanted = rows([p for p in (*PROMPTS, long, (4,)) for _ in range(4)], limit=25)
    alone = [sampler.draw([row])[0].tokens for row in wanted]
    found = dict(sampler.stream(wanted, slots))
    assert [found[i].tokens for i in range(len(wanted))] == alone


def test_the_batch_stays_full(qwen: PreTrainedModel) -> None:
    """Rows are taken when there is room, equal prompts are encoded once over the whole stage."""
    decoded: list[int] = []
    encoded: list[int] = []
    taken = 0

    def note(module: object, args: object, given: dict[str, Any]) -> None:
        ids = given["input_ids"]
        (decoded if ids.shape[1] == 1 else encoded).append(len(ids))

    def source() -> Any:
        nonlocal taken
        for row in rows([p for p in PROMPTS[:3] if len(p) > 1 for _ in range(16)], limit=20):
            taken += 1
            yield row

    hook = qwen.register_forward_pre_hook(note, with_kwargs=True)
    stream = Sampler(qwen, Rule(stop=STOP)).stream(source(), 4)
    first = next(stream)
    assert taken <= 9
    count = 1 + len(list(stream))
    hook.remove()
    assert first[1].tokens
    assert count == 32
    assert sum(encoded) == 2
    assert sum(size == 4 for size in decoded) > 0.8 * len(decoded)


@pytest.mark.parametrize("size", [200, 128 * 90, 128 * 90 + 7])
@pytest.mark.parametrize("spread", [0.05, 1.0, 6.0])
@pytest.mark.parametrize("top_p", [0.1, 0.9, 0.999])
def test_a_nucleus_is_that_of_sorting_all(
    size: int, spread: float, top_p: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Same tokens for the same uniforms, with many equal logits (16 bits), flat or steep."""
    generator = torch.Generator().manual_seed(1)
    logits = (spread * torch.randn(24, size, generator=generator)).bfloat16().float()
    uniform = torch.rand(24, generator=generator)
    found = choose(logits, uniform, top_p=top_p)
    monkeypatch.setattr(huggingface_choice, "_CANDIDATES", size)  # sorts them all at once
    assert found.tolist() == choose(logits, uniform, top_p=top_p).tolist()
    order = logits.sort(dim=-1, descending=True, stable=True)
    p = order.values.double().softmax(-1)
    before = p.cumsum(-1) - p
    cumulative = (p * (before < top_p)).cumsum(-1)
    index = (cumulative <= uniform.double()[:, None] * cumulative[:, -1:]).sum(-1)
    plain = order.indices.gather(-1, index[:, None])[:, 0]
    assert (found == plain).float().mean() > 0.95  # plain sums round otherwise


def test_inverting_by_blocks_inverts_the_whole() -> None:
    """The token at which the cumulative distribution, in order of the vocabulary, is reached."""
    generator = torch.Generator().manual_seed(2)
    logits = 4 * torch.randn(64, 1000, generator=generator)
    uniform = torch.rand(64, generator=generator)
    cumulative = logits.double().softmax(-1).cumsum(-1)
    plain = torch.searchsorted(cumulative, uniform.double()[:, None], right=True)[:, 0]
    assert (choose(logits, uniform) - plain).abs().max() == 0


def test_what_is_drawn_in_parts_is_what_is_drawn_at_once() -> None:
    logits, uniform = torch.randn(37, 300), torch.rand(37)
    drawn = draw(logits, uniform, 0.7, 0.9)
    assert drawn.token.tolist() == choose(logits, uniform, 0.7, 0.9).tolist()
    logprobs = logits.log_softmax(-1)
    assert torch.allclose(drawn.logprob, logprobs.gather(1, drawn.token[:, None])[:, 0], atol=1e-5)
    certainty = -math.log(300) - logprobs.mean(-1)
    assert torch.allclose(drawn.certainty, certainty, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_packed_layers_compute_the_same(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(48, 96), torch.nn.Linear(96, 7, bias=False))
    model.to(dtype)
    inputs = torch.randn(3, 5, 48, dtype=dtype)
    with torch.inference_mode():
        expected = model(inputs)
        numbers = sum(x.numel() for x in model.parameters())
        assert pack(model) in (0, 2)
        assert sum(x.numel() for x in model.parameters()) == numbers
        assert torch.allclose(model(inputs).float(), expected.float(), atol=0.02, rtol=0.02)
