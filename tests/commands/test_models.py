"""Trained models in the hands of others: rendered, merged, published."""

import io
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import funprm
from funprm.cli import main
from funprm.config import TrainConfig
from funprm.errors import InputError, ModelError
from funprm.prm.card import about_run, describe_run
from funprm.prm.models.opening import SETTINGS, open_base, save
from funprm.prm.reading import Reading
from funprm.prm.scoring import PrmScorer
from funprm.records import LabelledProgram
from funprm.steps import find_steps, step_texts
from tests.models import save_prm

PROGRAM = "def double(x):\n    return 2 * x\n\n\ndef f(x):\n    return double(x) + 1\n"
READING = Reading(max_steps=4, aggregator="last")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "my-prm" / "model"
    return save_prm(folder, base="tiny", reading=READING.settings())


@pytest.fixture(scope="module")
def adapters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("adapters") / "model"
    opened = open_base(TrainConfig(base="tiny", tuning="lora", lora_rank=2, device="cpu"))
    torch.manual_seed(0)
    for parameter in opened.model.trainable().values():
        torch.nn.init.normal_(parameter, std=0.05)
    save(opened, folder, {"base": "tiny", "reading": READING.settings()})
    return folder


Ask = Callable[..., tuple[int, list[Any], str]]


@pytest.fixture
def ask(model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ask:
    """Asks `funprm render`: its status, its answers, its complaint."""

    def ask(*lines: Any) -> tuple[int, list[Any], str]:
        texts = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\n".join(texts))))
        status = main(["render", str(model)])
        found = capsys.readouterr()
        return status, [json.loads(line) for line in found.out.splitlines()], found.err

    return ask


def program_of(statement: str) -> LabelledProgram:
    """`PROGRAM` as scoring gets it."""
    steps = step_texts(PROGRAM, find_steps(PROGRAM)[0])
    return LabelledProgram(
        generation="", problem_id="", statement=statement, steps=steps, prefixes=()
    )


def test_render_writes_what_scoring_reads(ask: Ask, model: Path) -> None:
    statements = ["Return 2 x + 1.", "Return 3 x."]
    status, found, _ = ask(*({"statement": s, "program": PROGRAM} for s in statements))
    assert status == 0
    scorer = PrmScorer(model, "cpu")
    for statement, rendered in zip(statements, found, strict=True):
        assert rendered["functions"] == ["double", "f"]
        program = program_of(statement)
        encoded = scorer._opened.renderer.encode(program, 2048)
        assert encoded is not None
        assert rendered["tokens"] == list(encoded.tokens)
        assert rendered["markers"] == list(encoded.markers)
        (scores,) = scorer.score([program])
        assert scorer.score_texts([rendered["text"]])[0] == pytest.approx(scores)
    assert funprm.render(model, statements[0], PROGRAM).tokens == tuple(found[0]["tokens"])


def test_render_says_which_line_it_cannot_read(ask: Ask) -> None:
    good = {"statement": "s", "program": PROGRAM}
    bad: list[Any] = [[], {"statement": "s"}, {**good, "program": 1}, b"\xff", b"{"]
    for line in [*bad, {**good, "statement": "\ud800"}]:
        status, found, error = ask(good, line)
        assert (status, len(found)) == (2, 1)
        assert error.startswith("funprm: line 2: expected a JSON object with the texts")


def test_a_program_that_does_not_fit_has_no_tokens(model: Path) -> None:
    rendered = funprm.render(model, "s", "x = 1\n" * 3000)
    assert (rendered.tokens, rendered.markers) == ((), ())
    assert funprm.render(model, "long " * 3000, PROGRAM).shortened


def test_merging_keeps_what_the_model_is(adapters: Path, tmp_path: Path) -> None:
    describe_run(adapters, "## Data\n\n- Of $1 \\2.")
    assert main(["merge-adapters", str(adapters), str(tmp_path / "whole")]) == 0
    card = (tmp_path / "whole" / "README.md").read_text()
    assert about_run(tmp_path / "whole") == "## Data\n\n- Of $1 \\2."
    assert "vllm serve whole" in card
    assert "vllm serve" not in (adapters / "README.md").read_text()
    first, second = (json.loads((f / SETTINGS).read_text()) for f in (adapters, tmp_path / "whole"))
    assert first == second
    program = program_of("s")
    scores = [list(PrmScorer(f, "cpu").score([program])) for f in (adapters, tmp_path / "whole")]
    assert scores[0][0] == pytest.approx(scores[1][0], rel=1e-4)


def test_a_dry_run_of_push_connects_to_nothing(
    model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("huggingface_hub.HfApi.create_repo", None)
    assert main(["push", str(model), "me/mine", "--dry-run", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["name"], found["url"]) == ("me/mine", "")
    assert {"README.md", SETTINGS, "model.safetensors", "chat_template.jinja"} <= set(
        found["files"]
    )


def test_push_makes_one_commit_and_tells_no_paths(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = shutil.copytree(model, tmp_path / "copy")
    settings = json.loads((copy / SETTINGS).read_text())
    (copy / SETTINGS).write_text(json.dumps({**settings, "base": str(tmp_path / "secret-base")}))
    (copy / ".cache").write_text("x")
    sent: dict[str, bytes] = {}

    class Hub:
        def create_repo(self, name: str, **settings: Any) -> str:
            assert settings == {"private": True, "exist_ok": True}
            return f"hub/{name}"

        def create_commit(self, name: str, operations: Any, **_: Any) -> None:
            for operation in operations:
                with operation.as_file() as file:
                    sent[operation.path_in_repo] = file.read()

    monkeypatch.setattr("huggingface_hub.HfApi", Hub)
    pushed = funprm.push(copy, "me/mine", private=True)
    assert pushed.url == "hub/me/mine"
    assert {name: len(content) for name, content in sent.items()} == pushed.files
    assert ".cache" not in sent
    assert json.loads(sent[SETTINGS])["base"] == "secret-base"
    assert not [name for name, content in sent.items() if str(tmp_path).encode() in content]
    card = sent["README.md"].decode()
    assert 'name = "me/mine"' in card
    assert 'funprm.load_prm("me/mine")' in card


def test_push_refuses_what_others_could_not_open(
    model: Path, adapters: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="'mine' is no name of the hub: expected owner/name"):
        funprm.push(model, "mine", dry_run=True)
    with pytest.raises(ModelError, match="no reward model in"):
        funprm.push(tmp_path, "me/mine", dry_run=True)
    with pytest.raises(ModelError, match="nothing without tiny, .* `funprm merge-adapters` first"):
        funprm.push(adapters, "me/mine", dry_run=True)
    copy = shutil.copytree(model, tmp_path / "copy")
    (copy / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="holds no weights"):
        funprm.push(copy, "me/mine", dry_run=True)

    def refuse(*_: object, **__: object) -> None:
        raise OSError("401 Client Error\nmore")

    monkeypatch.setattr("huggingface_hub.HfApi.create_repo", refuse)
    with pytest.raises(ModelError, match=r"did not take me/mine \(401 Client Error\): .*hf auth"):
        funprm.push(model, "me/mine")


@pytest.mark.parametrize("front", ["license: mit\n", "tags: [x]\nlicense: 'mit'\n", "tags: [x]\n"])
def test_the_card_names_the_licence_of_the_base(front: str, tmp_path: Path) -> None:
    opened = open_base(TrainConfig(base="tiny", device="cpu"))
    base = tmp_path / "base"
    base.mkdir()
    (base / "README.md").write_text(f"---\n{front}---\n\n# Base\n\nlicense: none\n")
    save(opened, tmp_path / "model", {"base": str(base), "reading": READING.settings()})
    card = (tmp_path / "model" / "README.md").read_text()
    known = "license" in front
    assert ('license: "mit"' in card.partition("# ")[0]) == known
    assert ("not known here: see its own card" in card) != known
    assert "that of its last function (an outcome model)" in card
    assert "into at most 4" in card
