from pathlib import Path

import numpy as np
import pytest

from funprm.errors import TrainingError
from funprm.prm.correction.base import Evidence
from funprm.prm.correction.posterior import Channel, Posterior, posterior_rewards
from funprm.prm.records import read_corrected, write_corrected
from funprm.records import LabelledProgram
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
    return Evidence(
        prefixes=[*map(str, range(ROWS))], k=k, n=full, passed=passed, programs=programs
    ), k / n


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
        prefixes=evidence.prefixes,
        k=evidence.k,
        n=evidence.n,
        passed=evidence.passed[shuffled],
        programs=evidence.programs[shuffled],
    )
    assert error(posterior_rewards(blind)[0]) > 2 * error(posterior_rewards(evidence)[0])


def corrected(programs: list[LabelledProgram], folder: Path) -> list[float | None]:
    """First rewards as they are fitted, and `corrected.jsonl`."""
    posterior, known = Posterior(), Evidence.of(programs)
    rewards = posterior.prepare(known, 0)
    assert rewards is not None
    found = dict(zip(known.prefixes, rewards.tolist(), strict=True))
    write_corrected(folder, known.records(rewards=rewards.tolist()))
    return [p.with_rewards(found).reward(0) for p in programs]


def test_programs_get_their_rewards_and_keep_their_verdicts(tmp_path: Path) -> None:
    programs = [
        program("p", "ab", [3, 1], [4, 1]),
        program("p", "ax", [3, 0], [4, 1]),
        program("q", "c", [1], [1]),
    ]
    first, second, verdict = corrected(programs, tmp_path)
    ((prefix, item),) = read_corrected(tmp_path).items()
    assert prefix == programs[0].prefixes[0] == programs[1].prefixes[0]
    assert (item.k, item.n, item.weight) == (3, 4, 1.0)
    assert first == second == item.reward != 3 / 4
    assert verdict == 1.0


def test_it_tells_its_channel() -> None:
    posterior = Posterior()
    posterior.prepare(measured("none", 8)[0], 0)
    assert set(posterior.diagnostics()["channel"]) == set(Channel.__slots__)


def test_without_verdicts_of_their_own_programs_are_refused(tmp_path: Path) -> None:
    programs = [program("p", "ab", [3, 0], [4, 0]), program("p", "ac", [1, 0], [4, 0])]
    with pytest.raises(TrainingError, match="none of those behind 1 rewards has one; .*: judge"):
        corrected(programs, tmp_path)
    one = program("p", "ad", [2, 1], [4, 1])
    assert all(reward is not None for reward in corrected([*programs, one], tmp_path))


def test_without_completions_nothing_changes() -> None:
    assert Posterior().prepare(Evidence.of([program("p", "ab", [0, 1], [0, 1])]), 0) is None
