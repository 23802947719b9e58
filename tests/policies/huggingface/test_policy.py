"""The policy around the sampling loop, with a tiny random model and a character tokenizer."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

from funprm import language_models as huggingface_model
from funprm import prompts
from funprm.errors import ConfigError, ModelError, PolicyError
from funprm.interfaces import Policy, Request, Sample
from funprm.policies.huggingface.flight import Flight
from funprm.policies.huggingface.policy import HuggingFacePolicy
from funprm.policies.huggingface.rows import Continuation, Row
from funprm.records import Problem, Suite, seed_of

SPECIAL = ("<|pad|>", "<|problem|>", "<|solution|>", "<|step|>", "<|end|>")
CHARACTERS = "\n `" + "abcdefghijklmnopqrstuvwxyz" + "():=+#'\"_.,-" + "0123456789"
TEMPLATE = (
    "{% for message in messages %}<|problem|>{{ message.content }}{% endfor %}"
    "{% if add_generation_prompt %}<|solution|>{% endif %}"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved model whose answers are random characters of random length."""
    path = tmp_path_factory.mktemp("models") / "random"
    vocabulary = {token: i for i, token in enumerate([*SPECIAL, "?", *CHARACTERS])}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="?"))
    inner.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    inner.decoder = decoders.Fuse()
    fast: Any = PreTrainedTokenizerFast
    tokenizer = fast(tokenizer_object=inner, pad_token="<|pad|>", eos_token="<|end|>")
    tokenizer.add_special_tokens(
        {"additional_special_tokens": ["<|problem|>", "<|solution|>", "<|step|>"]}
    )
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(path)
    torch.manual_seed(0)
    model = Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=len(vocabulary),
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=256,
            initializer_range=0.2,
            eos_token_id=vocabulary["<|end|>"],
            pad_token_id=vocabulary["<|pad|>"],
        )
    )
    model.save_pretrained(path)
    return path


def policy(folder: Path, **settings: Any) -> HuggingFacePolicy:
    settings = {"prompt": "statement", "max_tokens": 60, "device": "cpu", **settings}
    return HuggingFacePolicy(model=str(folder), **settings)


def request(statement: str, index: int = 0, prefix: str = "", seed: int | None = None) -> Request:
    problem = Problem(
        key=statement, problem_id=statement, statement=statement, hidden=Suite(kind="stdin")
    )
    key = f"{statement} {index} {prefix}"
    seed = seed_of(key) if seed is None else seed
    return Request(key=key, problem=problem, index=index, seed=seed, prefix=prefix)


REQUESTS = [request(text, i) for text in ("sort it", "add one to all", "x") for i in range(4)]


def answers(policy: Policy, requests: Sequence[Request]) -> dict[str, Sample]:
    """Samples by key, without their times."""
    return {s.key: replace(s, seconds=0.0) for s in policy.sample(requests)}


def test_greedy_equals_the_library(folder: Path) -> None:
    ours = policy(folder, temperature=0.0)
    library: Any = Qwen2ForCausalLM.from_pretrained(folder)
    tokenizer: Any = PreTrainedTokenizerFast.from_pretrained(folder)
    found = answers(ours, REQUESTS)
    for wanted in REQUESTS:
        text = f"<|problem|>{wanted.problem.statement}<|solution|>"
        ids = tokenizer(text, return_tensors="pt")["input_ids"]
        out = library.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=60
        )[0, ids.shape[1] :]
        sample = found[wanted.key]
        assert sample.code == tokenizer.decode(out, skip_special_tokens=True)
        assert sample.completion_tokens == sample.logprob_tokens == len(out)
        assert sample.prompt_tokens == ids.shape[1] == len(wanted.problem.statement) + 2


def test_answers_do_not_depend_on_the_batch(folder: Path) -> None:
    expected = answers(policy(folder), REQUESTS)
    assert len({sample.code for sample in expected.values()}) > 8
    assert {key: s.code for key, s in answers(policy(folder), REQUESTS[::-1]).items()} == {
        key: s.code for key, s in expected.items()
    }
    for wanted in REQUESTS[::3]:
        alone = answers(policy(folder, batch=1), [wanted])[wanted.key]
        whole = expected[wanted.key]
        assert alone.code == whole.code
        assert alone.logprob == pytest.approx(whole.logprob, abs=1e-3)
        assert alone.self_certainty == pytest.approx(whole.self_certainty, abs=1e-3)


def test_seeds(folder: Path) -> None:
    sampler = policy(folder)
    once, again = answers(sampler, REQUESTS), answers(sampler, REQUESTS)
    assert once == again
    other = answers(sampler, [replace(wanted, seed=wanted.seed + 1) for wanted in REQUESTS])
    assert all(once[key].code != other[key].code for key in once)


def test_an_answer_is_drawn_from_problem_prefix_and_seed_alone(folder: Path) -> None:
    wanted = request("x", seed=5)
    names = [replace(wanted, key=str(index), index=index) for index in range(3)]
    assert len({sample.code for sample in policy(folder).sample(names)}) == 1


def test_a_continuation_goes_on_as_the_whole_did(folder: Path) -> None:
    greedy = policy(folder, temperature=0.0, max_tokens=20)
    texts = ("sort it", "add one", "x", "y", "count", "largest", "sum")
    found = answers(greedy, [request(text) for text in texts])
    # Special tokens are not part of a program, so what follows them cannot be continued alike.
    text, whole = next(
        (text, sample)
        for text, sample in zip(texts, (found[f"{text} 0 "] for text in texts), strict=True)
        if len(sample.code) == sample.completion_tokens
    )
    half = whole.code[:10]
    (sample,) = greedy.sample([request(text, prefix=half)])
    assert sample.code.startswith(whole.code)
    assert sample.kept
    assert sample.text == ""
    assert sample.prompt_tokens == whole.prompt_tokens + len(half)


def test_finish_reasons(folder: Path) -> None:
    found = list(policy(folder, max_tokens=25).sample([request("x", i) for i in range(60)]))
    assert {sample.finish for sample in found} >= {"stop", "length"}
    for sample in found:
        if sample.finish == "length":
            assert sample.completion_tokens == 25
        if sample.finish == "empty":
            assert not sample.code.strip()
    assert all(sample.seconds > 0 for sample in found)


def test_no_room_in_the_context(folder: Path) -> None:
    long, short = request("y" * 300), request("y" * 240)
    prefix = request("y" * 300, prefix="import")
    found = answers(policy(folder), [long, short, prefix])
    assert (found[long.key].finish, found[long.key].completion_tokens) == ("empty", 0)
    assert (found[prefix.key].finish, found[prefix.key].code) == ("length", "import")
    assert found[long.key].logprob is None
    assert 0 < found[short.key].completion_tokens <= 256 - 242


def test_prompts_of_very_different_length(folder: Path) -> None:
    """They are drawn apart, with the same result."""
    long = request("add " * 40)
    mixed = answers(policy(folder), [long, *REQUESTS])
    assert mixed[long.key].code == answers(policy(folder), [long])[long.key].code
    assert len(mixed) == len(REQUESTS) + 1


class Scripted:
    """Draws a given answer."""

    def __init__(self, policy: HuggingFacePolicy, answer: str) -> None:
        self.tokens = tuple(policy._tokenizer(answer)["input_ids"])
        self.prompts: list[str] = []
        self._decode = policy._tokenizer.decode

    def stream(
        self, rows: Iterable[Row], slots: int, heard: Callable[[int, int], None] | None
    ) -> Iterator[tuple[int, Continuation]]:
        for number, row in enumerate(rows):
            self.prompts.append(self._decode(row.prompt))
            yield (
                number,
                Continuation(tokens=self.tokens, stopped=True, logprob=-1.0, self_certainty=1.0),
            )


def tokens(policy: HuggingFacePolicy, text: str) -> tuple[int, ...]:
    return tuple(policy._tokenizer(text)["input_ids"])


def scripted(folder: Path, answer: str, wanted: Request, **settings: Any) -> tuple[str, Sample]:
    one = policy(folder, **settings)
    one.__dict__["_context"] = 10_000
    script = one.__dict__["_sampler"] = Scripted(one, answer)
    (sample,) = one.sample([wanted])
    return script.prompts[0], sample


def test_a_chat_answer_is_a_block(folder: Path) -> None:
    answer = "here:\n```python\nx = 1\n```\nit sets x.<|end|>"
    prompt, sample = scripted(folder, answer, request("set x"), prompt="plain")
    assert prompt.startswith("<|problem|>")
    assert prompt.endswith("<|solution|>")
    assert sample.code == "x = 1\n"
    assert sample.text == answer.removesuffix("<|end|>")
    assert sample.finish == "stop"


def test_a_continuation_begins_the_block(folder: Path) -> None:
    answer = "b = 2\n```\nor so:\n```python\nc = 3\n```\n"
    wanted = request("set x", prefix="a = 1\n")
    prompt, sample = scripted(folder, answer, wanted, prompt="plain")
    assert prompt.endswith("<|solution|>```python\na = 1\n")
    assert sample.code == "a = 1\nb = 2\n"
    assert sample.kept
    assert sample.text.endswith("c = 3\n```\n")


def test_a_continuation_stops_where_its_block_closes(folder: Path) -> None:
    """A fence within a line, or a docstring's indented one, closes nothing."""
    one = policy(folder, prompt="plain")
    one.__dict__["_context"] = 10_000
    (question,) = one._questions([request("set x", prefix="a = 1\n")])
    (fresh,) = one._questions([request("set x")])
    assert fresh.row.ends is None
    ends = question.row.ends
    assert ends is not None
    assert ends(tokens(one, "```"))
    assert ends(tokens(one, "b = 2\n```"))
    assert not ends(tokens(one, "b = '```"))
    assert not ends(tokens(one, "    ```"))
    assert question.row.asks == {one._tokenizer.convert_tokens_to_ids("`")}
    (plain,) = policy(folder)._questions([request("set x", prefix="a = 1\n")])
    assert not plain.row.asks
    assert plain.row.ends is None


def test_an_answer_ends_once_its_steps_are_whole(folder: Path) -> None:
    """In a program's block, or in a text that is the program; never in prose before a block."""
    code = "def f():\n    a()\n\n\ndef g(x):\n"
    for style, begin in (("plain", "```python\n"), ("statement", "")):
        one = policy(folder, prompt=style)
        one.__dict__["_context"] = 10_000
        (fresh,) = one._questions([replace(request("set x"), steps=1)])
        assert fresh.row.ends is not None
        assert one._tokenizer.convert_tokens_to_ids("\n") in fresh.row.asks
        assert fresh.row.ends(tokens(one, begin + code))
        assert not fresh.row.ends(tokens(one, begin + code.rstrip("\n")))
        assert fresh.row.ends(tokens(one, "text\n" + code)) == (style == "statement")
        wanted = replace(request("set x", prefix=code), steps=2, continues=(7, 5))
        (going,) = one._questions([wanted])
        assert (going.row.first, going.row.limit) == (5, fresh.row.limit - 5)
        assert going.row.ends is not None
        assert not going.row.ends(tokens(one, "    b()\n\n\nc = 1\n"))
        assert going.row.ends(tokens(one, "    b()\n\n\ndef h():\n"))
    _, sample = scripted(folder, "    b()\n\n\ndef h():\n", wanted)
    assert (sample.finish, sample.code) == ("step", code + "    b()\n\n\ndef h():\n")


def test_blank_lines_after_a_prefix_are_part_of_the_beginning(folder: Path) -> None:
    wanted = replace(request("set x", prefix="def f(): 0\n"), blank_lines="\n\n")
    prompt, sample = scripted(folder, "b = 2\n```\n", wanted, prompt="plain")
    assert prompt.endswith("```python\ndef f(): 0\n\n\n")
    assert sample.code == "def f(): 0\n\n\nb = 2\n"
    assert sample.kept
    prompt, sample = scripted(folder, "b = 2\n", wanted)
    assert prompt.endswith("def f(): 0\n")  # style `statement`
    assert sample.code == "def f(): 0\nb = 2\n"


def test_a_chat_of_several_turns_goes_through_the_template(folder: Path) -> None:
    template = (
        "template:{{statement}}\n{{assistant}}\nyes\n{{user}}\nwell\n{{next}}\nmore: {{program}}"
    )
    prompt, _ = scripted(folder, "x", request("a"), prompt=template)
    assert prompt == "<|problem|>a<|problem|>yes<|problem|>well<|solution|>"
    again = replace(request("a"), drafts=("b = 1\n",))
    prompt, _ = scripted(folder, "x", again, prompt=template)
    assert prompt == "<|problem|>more: ```python\nb = 1\n```<|solution|>"
    assert policy(folder, prompt=template).chats == 2


def test_a_changed_prefix_is_reported(folder: Path) -> None:
    wanted = request("set x", prefix="a = '''\n```\n'''\n")
    _, sample = scripted(folder, "b = 2\n", wanted, prompt="plain")
    assert sample.kept == sample.code.startswith(wanted.prefix)


def test_templates(folder: Path, tmp_path: Path) -> None:
    prompt, _ = scripted(folder, "x", request("a", prefix="b"), template="none")
    assert prompt == "a\nb"
    own = tmp_path / "own.jinja"
    own.write_text("<|step|>{{ messages[0].content }}<|solution|>")
    own.write_text("<|step|>{{ messages[0].content | trim }}<|solution|>")
    prompt, _ = scripted(folder, "x", request("a\n", prefix="b\n\n"), template=str(own))
    assert prompt == "<|step|>a<|solution|>b\n\n"  # what is trimmed is no part of the answer
    own.write_text("<|step|>{{ messages[0].content }}<|solution|>")
    prompt, _ = scripted(folder, "x", request("a", prefix="b"), template=str(own))
    assert prompt == "<|step|>a<|solution|>b"
    with pytest.raises(ConfigError, match="template 'absent.jinja' cannot be read"):
        policy(folder, template="absent.jinja")


def test_a_small_model_takes_one_thread(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[int] = []
    monkeypatch.setattr("torch.get_num_threads", lambda: 5)
    monkeypatch.setattr("torch.set_num_threads", used.append)
    answers(policy(folder), REQUESTS)
    assert set(used) == {1, 5}
    assert used[-1] == 5


def test_too_little_memory(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches are halved until they fit; the answers are the same."""
    one = policy(folder, batch=12)
    expected = {key: sample.code for key, sample in answers(one, REQUESTS).items()}
    decode, sizes, room = Flight._decode, set(), 4

    def limited(flight: Flight) -> torch.Tensor:
        sizes.add(len(flight._slots))
        if len(flight._slots) > room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return decode(flight)

    monkeypatch.setattr(Flight, "_decode", limited)
    assert {key: sample.code for key, sample in answers(one, REQUESTS).items()} == expected
    assert {12, 6, 3} <= sizes
    room = 0
    with pytest.raises(PolicyError, match=r"out of memory with one row of \d+ prompt tokens"):
        list(one.sample(REQUESTS))


def test_answers_come_as_they_end(folder: Path) -> None:
    """Two at a time: what is open when the caller stops is at most these two."""
    one = policy(folder, batch=2)
    heard: list[tuple[int, int]] = []
    one.on_tokens = lambda new, unfinished: heard.append((new, unfinished))
    found = []
    for sample in one.sample(REQUESTS):
        found.append(sample)
        lost = sum(new for new, _ in heard) - sum(x.completion_tokens for x in found)
        assert lost <= 2 * 60
    assert {sample.key for sample in found} == {request.key for request in REQUESTS}
    assert max(new for new, _ in heard) == 2
    assert sum(new for new, _ in heard) == sum(sample.completion_tokens for sample in found)
    assert len(heard) < 0.7 * sum(sample.completion_tokens for sample in found)


def test_bf16_where_it_is_multiplied(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of models saved in 16 bits; the type is part of the identity."""
    half = shutil.copytree(folder, tmp_path / "half")
    settings = json.loads((half / "config.json").read_text())
    (half / "config.json").write_text(json.dumps({**settings, "dtype": "bfloat16"}))
    for native, expected in ((True, "bf16"), (False, "fp32")):
        monkeypatch.setattr(huggingface_model, "_multiplies_bf16", lambda device, n=native: n)
        assert policy(half).identity()["dtype"] == expected
        assert policy(folder).identity()["dtype"] == "fp32"
    assert policy(half, dtype="bf16").identity()["dtype"] == "bf16"


def test_identity(folder: Path, tmp_path: Path) -> None:
    identity = policy(folder).identity()
    assert json.loads(json.dumps(identity)) == identity
    copy = shutil.copytree(folder, tmp_path / "copy")
    assert policy(copy, batch=3, device="cpu").identity() == identity
    assert identity["model"] == "Qwen2ForCausalLM"
    for change in (
        {"temperature": 0.5},
        {"top_p": 0.5},
        {"max_tokens": 5},
        {"prompt": "plain"},
        {"dtype": "bf16"},
    ):
        assert policy(folder, **change).identity() != identity
    data = bytearray((copy / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (copy / "model.safetensors").write_bytes(data)
    assert policy(copy).identity() != identity


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("config.json", "has no config.json"),
        ("model.safetensors", r"has no weights \(\*.safetensors\)"),
        ("tokenizer", "has no tokenizer"),
    ],
)
def test_incomplete_folders(folder: Path, tmp_path: Path, name: str, message: str) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    for path in copy.glob(f"{name}*"):
        path.unlink()
    with pytest.raises(ModelError, match=message):
        policy(copy)


def test_the_folders_tokenizer_is_followed_to_the_letter(folder: Path) -> None:
    """White space is a token here, as in no usual Qwen2 tokenizer."""
    one = policy(folder)
    assert one._text(one._encode([prompts.Turn("user", "a  b\n")], "")[1:-1]) == "a  b\n"


@pytest.mark.parametrize(
    "name", ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]
)
def test_unreadable_files(folder: Path, tmp_path: Path, name: str) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    (copy / name).write_bytes(b'{"a"')
    with pytest.raises(ModelError, match="cannot be read") as caught:
        list(policy(copy).sample(REQUESTS))
    assert "\n" not in str(caught.value)


def test_absent_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError, match="no model folder"):
        HuggingFacePolicy(model=str(tmp_path / "absent"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match="no model 'nobody/nothing'") as caught:
        HuggingFacePolicy(model="nobody/nothing")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temperature": -1.0}, "temperature = -1.0 is out of range: expected at least 0"),
        ({"top_p": 0.0}, "top_p = 0.0"),
        ({"max_tokens": 0}, "max_tokens = 0"),
        ({"batch": -1}, "batch = -1"),
        ({"prompt": "palin"}, "palin"),
    ],
)
def test_settings_out_of_range(folder: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        policy(folder, **settings)


@pytest.mark.parametrize(
    ("settings", "message"), [({"device": "abacus"}, "abacus"), ({"dtype": "int1"}, "int1")]
)
def test_unknown_devices(folder: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        list(policy(folder, **settings).sample(REQUESTS))


def test_default_styles(folder: Path) -> None:
    assert HuggingFacePolicy(model=str(folder)).prompt == "refactored"
    assert prompts.prompt_identity("statement") == policy(folder).identity()["prompt"]


def test_loading_is_quiet(folder: Path) -> None:
    script = (
        "from funprm.policies.huggingface.policy import HuggingFacePolicy as P\n"
        f"p = P(model={str(folder)!r}, prompt='statement')\n"
        "list(p.sample([])); p._sampler"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert (ran.stdout, ran.stderr) == ("", "")
