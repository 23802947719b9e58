import json
from pathlib import Path

import numpy as np
import pytest

from funprm.errors import TrainingError
from funprm.prm.correction.posterior import Channel, Evidence, corrected_programs, posterior_rewards
from tests.prm.world import program

RNG = np.random.default_rng(0)
ROWS = 800
VALUES = np.where(RNG.random(ROWS) < 0.3, RNG.beta(1, 20, ROWS), RNG.beta(2, 1.2, ROWS))


def measured(channel: str, n: int) -> tuple[Evidence, np.ndarray]:
    """Evidence of values that are known; the raw rewards."""
    rng = np.random.default_rng(1)
    rate = {
        "none": VALUES,
        "lost": 0.5 * VALUES,
        "weak": VALUES**2,
        "flipped": np.where(rng.random(ROWS) < 0.15, 1 - VALUES, VALUES),
    }[channel]
    k = rng.binomial(n, rate).astype(float)
    programs = rng.integers(1, 5, ROWS).astype(float)
    passed = rng.binomial(programs.astype(int), VALUES).astype(float)
    full = np.full(ROWS, float(n))
    return Evidence(k=k, n=full, passed=passed, programs=programs), k / n


def error(rewards: np.ndarray) -> float:
    return float(np.square(rewards - VALUES).mean())


@pytest.mark.parametrize("channel", ["lost", "weak", "flipped"])
def test_bias_is_found_and_repaired(channel: str) -> None:
    evidence, raw = measured(channel, 8)
    rewards, found = posterior_rewards(evidence)
    assert error(rewards) < 0.5 * error(raw)
    # Pooling with the clean outcomes would not be enough.
    pooled = (evidence.k + evidence.passed) / (evidence.n + evidence.programs)
    assert error(rewards) < 0.7 * error(pooled)
    assert (found.high < 0.65) == (channel == "lost")
    assert (found.gamma > 1.5) == (channel == "weak")
    assert (found.swapped > 0.08) == (channel == "flipped")


@pytest.mark.parametrize("n", [1, 4, 16])
def test_unbiased_rewards_are_not_made_worse(n: int) -> None:
    evidence, raw = measured("none", n)
    rewards, found = posterior_rewards(evidence)
    assert error(rewards) < error(raw)
    assert found.high > 0.9
    assert found.low < 0.05
    assert found.swapped < 0.03


def test_outcomes_that_say_nothing_are_found_out() -> None:
    evidence, raw = measured("none", 8)
    shuffled = RNG.permutation(ROWS)
    blind = Evidence(
        k=evidence.k,
        n=evidence.n,
        passed=evidence.passed[shuffled],
        programs=evidence.programs[shuffled],
    )
    assert error(posterior_rewards(blind)[0]) > 2 * error(posterior_rewards(evidence)[0])


def test_programs_get_their_rewards_and_keep_their_verdicts(tmp_path: Path) -> None:
    programs = [
        program("p", "ab", [3, 1], [4, 1]),
        program("p", "ax", [3, 0], [4, 1]),
        program("q", "c", [1], [1]),
    ]
    corrected = corrected_programs(programs, tmp_path)
    (row,) = (json.loads(line) for line in (tmp_path / "corrected.jsonl").read_text().splitlines())
    assert row["prefix"] == programs[0].prefixes[0] == programs[1].prefixes[0]
    assert (row["k"], row["n"]) == (3, 4)
    assert [p.outcome for p in corrected] == [p.outcome for p in programs]
    shares = [p.k[0] / p.n[0] for p in corrected[:2]]
    assert shares == pytest.approx([row["reward"]] * 2, abs=1e-6)
    assert corrected[2] == programs[2]
    assert set(json.loads((tmp_path / "channel.json").read_text())) == set(Channel.__slots__)


def test_without_verdicts_of_their_own_programs_are_refused() -> None:
    programs = [program("p", "ab", [3, 0], [4, 0]), program("p", "ac", [1, 0], [4, 0])]
    with pytest.raises(TrainingError, match="none of 2 has one; .*: judge these programs"):
        corrected_programs(programs, None)
    corrected = corrected_programs([*programs, program("p", "ad", [2, 1], [4, 1])], None)
    assert all(p.n[0] for p in corrected)


def test_without_completions_nothing_changes(tmp_path: Path) -> None:
    programs = [program("p", "ab", [0, 1], [0, 1])]
    assert corrected_programs(programs, tmp_path) == programs
    assert not list(tmp_path.iterdir())
