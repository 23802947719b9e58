"""What the report's pages show of a program."""

from types import SimpleNamespace
from typing import Any, cast

from funprm.pipeline.reporting import _Views
from funprm.records import Generation, Reward, Steps

CODE = "def f():\n    pass\n\n\ndef g():\n    pass\n"


def test_a_verdict_is_not_shown_as_corrected() -> None:
    """Another program may begin with all of this one: its prefix has a corrected reward."""
    steps = Steps(key="a", ends=(18, len(CODE)), names=("f", "g"))
    rewards = [
        Reward(
            key=f"{step}",
            generation="a",
            problem_id="p",
            step=step,
            prefix=f"prefix {step}",
            k=1,
            n=1,
            final=bool(step),
        )
        for step in range(2)
    ]
    run = SimpleNamespace(
        generations={"a": Generation(key="a", problem_id="p", index=0, code=CODE)},
        steps={"a": steps},
        rewards=rewards,
        scores={},
        selections=[],
    )
    views = _Views(cast(Any, run), {"prefix 0": 0.25, "prefix 1": 0.75})
    assert [view.corrected for view in views._functions("a")] == [0.25, None]
