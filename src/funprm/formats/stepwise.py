"""Stepwise supervision: `{prompt, completions, labels}`, the form that trainers of PRMs read.

Labels are numbers in [0, 1], not booleans: k of n completions that passed, or corrected rewards.
The completions, joined, are the program's text up to its last label.
"""

from collections.abc import Callable, Iterable, Iterator

from funprm.records import Json, LabelledProgram
from funprm.rewards import raw_reward

Label = Callable[[LabelledProgram, int], float | None]
"""The label of a program's step, by its number from 0; None: nothing was measured."""


def measured(program: LabelledProgram, step: int) -> float | None:
    """The plain label of a step: k/n."""
    return raw_reward(program.k[step], program.n[step])


def corrected(rewards: dict[str, float]) -> Label:
    """Labels that a correction has moved, by prefix key; k/n where it has not.

    A program's own verdict stays as it is, though another program may begin with all of its text.
    """

    def label(program: LabelledProgram, step: int) -> float | None:
        found = measured(program, step)
        if found is None or step == len(program.steps) - 1:
            return found
        return rewards.get(program.prefixes[step], found)

    return label


def rows(programs: Iterable[LabelledProgram], label: Label) -> Iterator[dict[str, Json]]:
    """One row per program that has a label.

    A step without one is not given one: its text is put before that of the next step, and text
    after the last label is left out.
    """
    for program in programs:
        completions: list[str] = []
        labels: list[float] = []
        waiting = ""
        for step, text in enumerate(program.steps):
            value = label(program, step)
            waiting += text
            if value is not None:
                completions.append(waiting)
                labels.append(float(value))
                waiting = ""
        if labels:
            yield {"prompt": program.statement, "completions": completions, "labels": labels}
