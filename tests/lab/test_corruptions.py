import pytest

from funprm.errors import ConfigError
from funprm.lab.corruptions import STANDARD, parse_corruption
from funprm.lab.world import LabData
from tests.lab.conftest import ROLLOUTS


def shares(world: LabData, text: str) -> list[float]:
    return [k / n for k, n in parse_corruption(text).evidence(world).values()]


def test_few_rollouts_are_the_first_ones(world: LabData) -> None:
    evidence = parse_corruption("rollouts:3").evidence(world)
    policy = world.rollouts["policy"]
    assert evidence == {p: (o[:3].count("1"), 3) for p, o in policy.items()}
    assert not parse_corruption("rollouts:3").biased


def test_lost_verdicts_lower_rewards_by_their_share(world: LabData) -> None:
    before, after = sum(shares(world, f"rollouts:{ROLLOUTS}")), sum(shares(world, "lost:0.5"))
    assert 0.4 < after / before < 0.6
    assert shares(world, "lost:0.5") == shares(world, "lost:0.5")
    assert parse_corruption("lost:0.5").biased


def test_a_share_of_prefixes_is_flipped_as_a_whole(world: LabData) -> None:
    before, after = shares(world, f"rollouts:{ROLLOUTS}"), shares(world, "flipped:0.3")
    flipped = [a == 1 - b for a, b in zip(after, before, strict=True) if b != 0.5]
    kept = [a == b for a, b in zip(after, before, strict=True) if b != 0.5]
    assert all(f or k for f, k in zip(flipped, kept, strict=True))
    assert 0.1 < sum(flipped) / len(flipped) < 0.5


def test_other_completers_have_their_own_completions(world: LabData) -> None:
    evidence = parse_corruption("hot").evidence(world)
    assert evidence == {p: (o.count("1"), len(o)) for p, o in world.rollouts["hot"].items()}


def test_programs_keep_their_own_verdicts(world: LabData) -> None:
    found = parse_corruption("flipped:0.3").programs(world)
    assert [p.outcome for p in found] == [p.outcome for p in world.programs["train"]]
    assert all(n for p in found for n in p.n)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lots:0.5", "did you mean 'lost'"),
        ("lost", "expected lost: with a share between 0 and 1"),
        ("lost:1", "expected lost: with a share"),
        ("rollouts:0", "a whole number from 1"),
        ("rollouts:1.5", "a whole number from 1"),
        ("hot:2", "is unknown"),
    ],
)
def test_wrong_corruptions_are_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_corruption(text)


def test_the_standard_ones_are_valid() -> None:
    assert [parse_corruption(text).text for text in STANDARD] == list(STANDARD)
