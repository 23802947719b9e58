"""Language models as judges: behind a scripted server, and in this process."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import Qwen2ForCausalLM

from funprm import registry
from funprm.errors import ConfigError, FunprmError
from funprm.interfaces import PaidScores
from funprm.policies.openai import transport
from funprm.scorers.grades import CORRECTNESS, GradePrompt
from funprm.testing.server import FAULTS, Script, Server, one_in, serve
from tests.prm.world import make_base
from tests.scorers.world import CHATML, PROGRAMS, program


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "FIRST_PAUSE", 0.02)


def graded(body: Mapping[str, Any], number: int) -> Any:
    """Two likely grades that follow from the question."""
    low = len(body["messages"][0]["content"]) % 9
    tokens = {str(low): 0.6, str(low + 1): 0.3, "The": 0.1}
    top = [{"token": token, "logprob": math.log(p)} for token, p in tokens.items()]
    return {
        "message": {"role": "assistant", "content": str(low)},
        "logprobs": {
            "content": [
                {"token": str(low), "logprob": top[0]["logprob"]}
                | {"top_logprobs": top if body.get("logprobs") else []}
            ]
        },
        "usage": {"prompt_tokens": 100, "completion_tokens": 1},
    }


def wanted(criterion: str = CORRECTNESS) -> list[float]:
    lengths = [len(GradePrompt().asking(p, criterion)[0]["content"]) % 9 for p in PROGRAMS]
    return [(0.6 * low + 0.3 * (low + 1)) / 0.9 / 9 for low in lengths]


def judge(server: Server, **options: Any) -> Any:
    given = {"model": "tiny", "base_url": server.url, "timeout": 1.0, **options}
    return registry.build("scorers", "judge", given)


def test_grades_are_expectations() -> None:
    with serve(Script(answer=graded)) as server:
        part = judge(server, price_input=2.0, price_output=10.0)
        found = list(part.score(PROGRAMS))
    assert found == [pytest.approx((score,)) for score in wanted()]
    assert isinstance(found[0], PaidScores)
    assert found[0].tokens == 101
    assert found[0].cost == pytest.approx(210e-6)
    body = server.bodies[0]
    assert (body["path"], body["max_tokens"]) == ("/v1/chat/completions", 1)
    assert (body["logprobs"], body["top_logprobs"]) == (True, 20)


def test_criteria_and_repeats_are_averaged() -> None:
    with serve(Script(answer=graded)) as server:
        criteria = ("is it right?", "is it fast enough?")
        found = list(judge(server, criteria=criteria, repeats=2).score(PROGRAMS))
    both = zip(*(wanted(criterion) for criterion in criteria), strict=True)
    assert found == [pytest.approx(((a + b) / 2,)) for a, b in both]
    assert len(server.bodies) == 16
    assert len({body["seed"] for body in server.bodies}) == 16


def test_faults_cost_nothing_and_change_nothing() -> None:
    quick = tuple(fault for fault in FAULTS if fault not in ("hang", "drip"))
    many = [program(number, f"x = {'1' * number}\n") for number in range(40)]
    with serve(Script(answer=graded)) as server:
        expected = list(judge(server).score(many))
    with serve(Script(answer=graded, fault=one_in(4, quick))) as server:
        assert list(judge(server, concurrency=5).score(many)) == expected
    assert max(server.delivered.values()) == 1


def test_without_log_probabilities_texts_are_read() -> None:
    def spoken(body: Mapping[str, Any], number: int) -> Any:
        return "Fine: 100 lines.\nGrade: 6" if body["seed"] % 2 else "Grade: 3"

    with serve(Script(answer=spoken)) as server:
        with pytest.raises(FunprmError, match="no log-probabilities for 'tiny': set logprobs"):
            list(judge(server).score(PROGRAMS))
        part = judge(server, logprobs=False, repeats=8, max_tokens=64)
        found = list(part.score(PROGRAMS))
    assert all(3 / 9 <= scores[0] <= 6 / 9 for scores in found if scores)
    assert len(found) == 4


def test_an_answer_without_a_grade_is_no_score() -> None:
    with serve(Script(answer=lambda body, number: "I would rather not.")) as server:
        found = list(judge(server, logprobs=False, max_tokens=64).score(PROGRAMS))
    assert found == [()] * 4


def test_a_model_in_this_process_grades_by_its_next_token(tmp_path: Path) -> None:
    folder = make_base(tmp_path / "model")
    (folder / "chat_template.jinja").write_text(
        CHATML + "{% if add_generation_prompt %}<|step|>{% endif %}"
    )
    file = tmp_path / "prompt.txt"
    file.write_text("{{statement}}\n{{code}}\nGrade?")
    options = {"model": str(folder), "prompt_file": str(file), "device": "cpu", "dtype": "fp32"}
    part: Any = registry.build("scorers", "local_judge", options)
    found = list(part.score([*PROGRAMS, program(9, "x = 1\n" * 99)]))
    tokenizer = part._tokenizer
    network: Any = Qwen2ForCausalLM.from_pretrained(folder)
    for item, scores in zip(PROGRAMS, found, strict=False):
        turns = [
            {
                "role": "user",
                "content": "\n".join([item.statement, "".join(item.steps).strip(), "Grade?"]),
            }
        ]
        ids = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_tensors="pt")
        with torch.inference_mode():
            chances = network(**ids).logits[0, -1].double().softmax(-1)
        digits = [chances[tokenizer.convert_tokens_to_ids(str(d))].item() for d in range(10)]
        mean = sum(d * chance for d, chance in enumerate(digits)) / sum(digits) / 9
        assert scores == pytest.approx((mean,), abs=1e-6)
    assert found[4] == ()
    with pytest.raises(ConfigError, match="the grade 'é' is not one token"):
        list(registry.build("scorers", "local_judge", {**options, "grades": "0é"}).score(PROGRAMS))
