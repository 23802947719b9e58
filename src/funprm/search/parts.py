"""Parts of programs that a search wants written, as requests; answers to them, as nodes."""

from collections.abc import Mapping
from dataclasses import dataclass

from funprm.interfaces import Request, Sample
from funprm.prompts import question_key
from funprm.records import Json, Problem, key_of, seed_of, shared_fields
from funprm.search.records import Node
from funprm.steps import find_steps, opening_lines


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """A part of a program that is wanted."""

    problem: Problem
    parent: Node | None = None
    index: int = 0
    """Number among the parts with the same beginning."""
    steps: int = 0
    """Whole steps that the program is to have with it; 0: all of them."""
    prefix: str = ""
    """What the part goes on from."""
    rest: str = ""
    """What is put after it, where it is a function in the midst of a program."""
    rewrites: bool = False


def fresh(problem: Problem, index: int, steps: int = 0) -> Part:
    """A new program up to the end of so many steps; 0: to its end."""
    return Part(problem=problem, index=index, steps=steps)


def following(problem: Problem, node: Node, index: int = 0, *, to_the_end: bool = False) -> Part:
    """The next step of a program that goes on, or all that follow."""
    steps = 0 if to_the_end else len(opening_lines(node.code))
    return Part(problem=problem, parent=node, index=index, steps=steps, prefix=node.code)


def rewriting(problem: Problem, node: Node, first: int, last: int, index: int) -> Part:
    """Functions of a program once more, below the first one's opening line; the rest is kept.

    Args:
        problem: of the program.
        node: a complete program.
        first: number of the first one's step, from 0.
        last: number of the last one's.
        index: number among the rewritings of these steps.
    """
    return Part(
        problem=problem,
        parent=node,
        index=index,
        steps=last + 1,
        prefix=node.code[: opening_lines(node.code)[first]],
        rest=node.code[_functions_end(node.code, last) :],
        rewrites=True,
    )


def whole_steps(node: Node) -> str:
    """The text of a node's whole steps: less the lines that begin the next function."""
    if node.finish != "step":
        return node.code
    return node.code[: find_steps(node.code)[0][-2]]


def request(part: Part, policy: Mapping[str, Json], seed: int) -> Request:
    """What a policy is asked for a part.

    A fresh program's seed is that of the run's program of the same number. The first part that
    follows a node goes on in its stream of random numbers; others begin streams of their own.

    Args:
        part: what is wanted.
        policy: the policy's identity.
        seed: of the run.
    """
    question, parent = question_key(part.problem), part.parent
    own = seed_of("generation", question, "", part.index, seed)
    if parent is not None:
        what = "rewriting" if part.rewrites else "part"
        own = seed_of(what, parent.stream, parent.drawn, part.prefix, part.index)
    goes_on = parent is not None and part.index == 0 and not part.rewrites
    above = parent.key if parent else ""
    wanted = (part.prefix, part.rest, part.steps, part.index, seed)
    return Request(
        key=key_of("part", 1, dict(policy), question, above, *wanted),
        problem=part.problem,
        index=part.index,
        seed=own,
        prefix=part.prefix,
        steps=part.steps,
        continues=(parent.stream, parent.drawn) if parent and goes_on else None,
    )


def node_of(part: Part, asked: Request, sample: Sample) -> Node:
    """The node that an answer makes: cut where the wanted steps end, and the rest put after it."""
    stream, before = asked.continues or (asked.seed, 0)
    values = shared_fields(sample, Node)
    # What is recorded is served whatever was to be continued.
    values["kept"] = kept = sample.kept and sample.code.startswith(part.prefix)
    if kept and sample.finish != "empty":
        values |= _cut(part, sample)
    return Node(
        **values,
        problem_id=part.problem.problem_id,
        parent=part.parent.key if part.parent else "",
        index=part.index,
        stream=stream,
        drawn=before + sample.completion_tokens,
    )


_UNKNOWN: Mapping[str, Json] = {"logprob": None, "logprob_tokens": 0, "self_certainty": None}
"""What is not known of an answer of which only a part is kept."""


def _cut(part: Part, sample: Sample) -> dict[str, Json]:
    code = sample.code
    opened = opening_lines(code)[part.steps :] if part.steps else ()
    if part.rewrites:
        whole = bool(opened) or sample.finish == "stop"
        function = code[: _functions_end(code, part.steps - 1)]
        rest = part.rest if function.endswith("\n") else f"\n{part.rest}"
        return {"code": function + rest, "finish": "stop" if whole else "length", **_UNKNOWN}
    if sample.finish == "step" or not opened or not code[: opened[0]].endswith("\n"):
        return {}
    return {"code": code[: opened[0]], "finish": "step", **_UNKNOWN}


def _functions_end(code: str, step: int) -> int:
    """Where the function of a step ends; what follows the last one is not part of it."""
    # A function opened after the last one shows where that ends.
    more = code if code.endswith("\n") else code + "\n"
    return min(find_steps(more + "def _(): pass\n")[0][step], len(code))
