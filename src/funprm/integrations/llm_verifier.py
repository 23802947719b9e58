"""Input for llm-verifier (arXiv 2607.05391): `select(**select_inputs(problem, programs))`.

Nothing of it is imported here.
"""

from collections.abc import Mapping, Sequence

from funprm.commands.one_problem import Program, code_of
from funprm.prompts import render_statement
from funprm.records import Json, Problem
from funprm.steps import find_steps, step_texts

CRITERIA = {
    "Correctness": "Does the program return the right result for every input that the problem "
    "allows, edge cases included?",
    "Completeness": "Does the program do all that the problem asks for, in the form that it asks "
    "for, within its limits on time and memory?",
}
"""What a verifier is asked of a program."""


def select_inputs(
    problem: Problem, programs: Sequence[Program], criteria: Mapping[str, str] = CRITERIA
) -> dict[str, Json]:
    """Arguments of `llm_verifier.select`, whose result's `index` is that of a program.

    Args:
        problem: its hidden tests are not told.
        programs: texts, or what `funprm.sample` returned.
        criteria: what the verifier is asked, by name.
    """
    return {
        "problem": render_statement(problem),
        "candidates": [code_of(program) for program in programs],
        "criteria": dict(criteria),
    }


def track_inputs(problem: Problem, program: Program) -> dict[str, Json]:
    """Arguments of `llm_verifier.track`: a program's functions are its steps, all of them scored.

    Args:
        problem: its hidden tests are not told.
        program: a text, or one that `funprm.sample` returned.
    """
    code = code_of(program)
    ends, _ = find_steps(code)
    steps = list(step_texts(code, ends))
    return {
        "problem": render_statement(problem),
        "steps": steps,
        "checkpoint_steps": list(range(1, len(steps) + 1)),
    }
