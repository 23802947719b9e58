"""Inputs for llm-verifier; its own selection runs on them where it is installed."""

import inspect
from typing import Any

import pytest

import funprm
from funprm.integrations.llm_verifier import select_inputs, track_inputs

PROBLEM = funprm.Problem.of(
    "Return 2 x.", entry_point="f", examples=[((1,), 2)], hidden=[((77,), 154)]
)
PROGRAMS = [f"def g(x):\n    return x\n\n\ndef f(x):\n    return {n} * g(x)\n" for n in (1, 200, 3)]


def test_candidates_are_programs_and_steps_are_functions() -> None:
    found = select_inputs(PROBLEM, PROGRAMS)
    assert found["candidates"] == PROGRAMS
    assert "Return 2 x." in found["problem"]
    assert "154" not in str(found)
    tracked = track_inputs(PROBLEM, PROGRAMS[0])
    assert "".join(tracked["steps"]) == PROGRAMS[0]
    assert tracked["checkpoint_steps"] == [1, 2]


def test_llm_verifier_selects_among_them(monkeypatch: pytest.MonkeyPatch) -> None:
    verifier = pytest.importorskip("llm_verifier", reason="pip install llm-verifier")
    inspect.signature(verifier.track).bind(**track_inputs(PROBLEM, PROGRAMS[0]))

    def longest(
        client: object, problem: str, first: str, second: str, *_: Any, **__: Any
    ) -> tuple[float, float]:
        return float(len(first) > len(second)), float(len(second) > len(first))

    monkeypatch.setattr(verifier.fine_grained_reward, "score_pair_criterion", longest)
    inputs = select_inputs(PROBLEM, PROGRAMS)
    found = verifier.select(**inputs, client=object(), progress=False, on_error="raise")
    assert (found.index, found.best) == (1, PROGRAMS[1])
