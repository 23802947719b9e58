"""A world whose truth is known, without a language model that writes programs."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from funprm.config import TrainConfig
from funprm.lab.config import LabConfig, SizeConfig
from funprm.lab.world import LabData
from funprm.records import LabelledProgram, Split
from tests.prm.world import draw_programs, make_base

ROLLOUTS, TRUTH = 8, 40


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_base(tmp_path_factory.mktemp("lab-base"))


def make_world(seed: int = 0) -> LabData:
    rng = np.random.default_rng(seed)
    counts: Mapping[Split, tuple[int, int]] = {
        "train": (20, 3),
        "meta": (8, 3),
        "validation": (6, 4),
        "test": (8, 4),
    }
    programs = {s: draw_programs(s, problems, each, rng) for s, (problems, each) in counts.items()}
    values = {
        prefix: float(rng.beta(1, 1))
        for programs_ in programs.values()
        for program in programs_
        for prefix in program.prefixes[:-1]
    }

    def outcomes(count: int, of: Split) -> dict[str, str]:
        prefixes = {p for program in programs[of] for p in program.prefixes[:-1]}
        return {
            p: "".join(str(int(rng.random() < values[p])) for _ in range(count))
            for p in sorted(prefixes)
        }

    def truth(of: Split) -> dict[str, tuple[int, int]]:
        return {p: (o.count("1"), len(o)) for p, o in outcomes(TRUTH, of).items()}

    return LabData(
        seed=seed,
        programs={split: list(map(_unlabelled, found)) for split, found in programs.items()},
        rollouts={name: outcomes(ROLLOUTS, "train") for name in ("policy", "hot", "early")},
        truth=truth("train"),
        test_truth=truth("test"),
        completions=0,
        verdicts=0,
        seconds=0.0,
    )


def _unlabelled(program: LabelledProgram) -> LabelledProgram:
    zeros = (0,) * (len(program.steps) - 1)
    return replace(program, k=(*zeros, program.k[-1]), n=(*zeros, program.n[-1]))


@pytest.fixture(scope="session")
def world() -> LabData:
    return make_world()


@pytest.fixture
def lab(base: Path, tmp_path: Path) -> Callable[..., LabConfig]:
    training = TrainConfig(
        base=str(base), tuning="frozen", max_tokens=64, epochs=1.0, warmup_epochs=0.5
    )
    defaults: dict[str, Any] = {
        "output": str(tmp_path / "lab"),
        "seeds": 1,
        "processes": 1,
        "sizes": SizeConfig(),
        "corruptions": ("lost:0.5",),
        "methods": (
            "orm",
            "none",
            "joint",
            "posterior",
            "scan",
            "nait",
            "orm+pairs",
            "outcomes+pairs",
            "posterior+pairs",
        ),  # fmt: skip
        "train": training,
    }
    return lambda **changes: LabConfig(**(defaults | changes))
