"""The exam for policies."""

import math
from collections.abc import Sequence
from dataclasses import replace

from funprm.errors import PolicyError
from funprm.interfaces import Policy, Request, Sample
from funprm.records import Problem, key_of, seed_of
from funprm.steps import opening_lines
from funprm.testing.exam import Faults, identity_faults, report


def check_policy(
    policy: Policy, problems: Sequence[Problem] = (), *, n: int = 3, repeatable: bool = True
) -> None:
    """Examine a policy: some programs per problem, asked for in several ways.

    Args:
        policy: what is examined. It is asked about five times for every program.
        problems: which it can answer; empty: one of adding two numbers.
        n: programs per problem, at least 2.
        repeatable: whether the same request must get the same answer. A server without seeds
            cannot promise that.

    Raises:
        AssertionError: it breaks a promise; all that are broken are listed.
    """
    asked = problems or [
        Problem.of("Return a + b.", entry_point="add", examples=[((1, 2), 3), ((0, 5), 5)])
    ]
    requests = [_request(problem, index) for problem in asked for index in range(max(2, n))]
    report(policy, _faults(policy, requests, repeatable))


def _request(problem: Problem, index: int, prefix: str = "") -> Request:
    what = (problem.key, index, prefix)
    key, seed = key_of("exam", *what), seed_of("exam", *what)
    return Request(key=key, problem=problem, index=index, seed=seed, prefix=prefix)


def _faults(policy: Policy, requests: list[Request], repeatable: bool) -> Faults:
    yield from _attribute_faults(policy)
    yield from identity_faults(policy)
    try:
        if list(policy.sample([])):
            yield "sample([]) gave answers to no request"
        answers = policy.sample(requests)
        if iter(answers) is not answers:
            yield "sample() returned no iterator: yield each answer the moment it exists"
        found = list(answers)
    except PolicyError as error:
        yield f"sample() refused the requests: {error}"
        return
    broken = list(_sample_faults(policy, requests, found))
    yield from broken
    if broken:
        return
    codes = {sample.key: sample.code for sample in found}
    yield from _interruption_faults(policy, requests)
    if repeatable:
        yield from _repetition_faults(policy, requests, codes)
    yield from _prefix_faults(policy, requests, codes)
    yield from _step_faults(policy, requests, codes if repeatable else {})


def _attribute_faults(policy: Policy) -> Faults:
    batch = getattr(policy, "batch", None)
    least = 0 if getattr(policy, "streams", False) else 1
    if not isinstance(batch, int) or batch < least:
        yield f"batch is {batch!r}: expected how many requests make one call, at least 1"
    for name in ("whole_batches", "unanswered_is_final"):
        value = getattr(policy, name, None)
        if not isinstance(value, bool):
            yield f"{name} is {value!r}: expected True or False (see interfaces.Policy)"


def _sample_faults(policy: Policy, requests: list[Request], found: list[Sample]) -> Faults:
    wanted = {request.key for request in requests}
    for sample in found:
        if not isinstance(sample, Sample):
            yield f"an answer is a {type(sample).__name__}: expected interfaces.Sample"
            return
        if sample.key not in wanted:
            yield f"an answer has the key {sample.key!r}, which no open request has"
        wanted.discard(sample.key)
        yield from _value_faults(sample)
    if wanted and not getattr(policy, "unanswered_is_final", False):
        yield f"{len(wanted)} of {len(requests)} requests got no answer"
    if not found:
        yield "no request got an answer: give problems that the policy can answer"


def _value_faults(sample: Sample) -> Faults:
    if not isinstance(sample.code, str):
        yield f"code is a {type(sample.code).__name__}: expected text"
    elif sample.finish == "step":
        yield "finish is 'step' where no steps were wanted"
    elif (sample.finish == "empty") != (not sample.code.strip()):
        yield f"finish is {sample.finish!r} for the program {sample.code[:40]!r}"
    for name in ("prompt_tokens", "completion_tokens", "seconds", "cost"):
        value = getattr(sample, name)
        if not 0 <= value < math.inf:
            yield f"{name} is {value!r}: expected 0 or more"
    if sample.logprob is not None and not sample.logprob <= 0:
        yield f"logprob is {sample.logprob!r}: expected the log of a probability, at most 0"


def _interruption_faults(policy: Policy, requests: list[Request]) -> Faults:
    answers = iter(policy.sample(requests))
    next(answers, None)
    if close := getattr(answers, "close", None):
        close()
    if not list(policy.sample(requests)):
        yield "after an interrupted call the same requests get no answers"


def _repetition_faults(policy: Policy, requests: list[Request], codes: dict[str, str]) -> Faults:
    again = {sample.key: sample.code for sample in policy.sample(requests)}
    changed = sum(again.get(key) != code for key, code in codes.items())
    if changed:
        yield (
            f"{changed} of {len(codes)} programs are others when asked for again: they must follow "
            "from problem, prefix and seed alone (or give repeatable=False)"
        )
    elif not policy.whole_batches:
        last = next(request for request in reversed(requests) if request.key in codes)
        alone = [sample.code for sample in policy.sample([last])]
        if alone != [codes[last.key]]:
            yield (
                "a request gets another program alone than together with others: set "
                "whole_batches = True, if that cannot be helped"
            )


def _prefix_faults(policy: Policy, requests: list[Request], codes: dict[str, str]) -> Faults:
    for request in requests:
        prefix = "".join(codes.get(request.key, "").splitlines(keepends=True)[:1])
        if not prefix:
            continue
        try:
            found = list(policy.sample([_request(request.problem, request.index, prefix)]))
        except PolicyError:  # it cannot continue programs, and says so
            return
        for sample in found:
            if sample.kept != sample.code.startswith(prefix):
                yield (
                    f"kept is {sample.kept} for a program that begins with "
                    f"{sample.code[:40]!r}, where {prefix[:40]!r} was wanted"
                )
                return


def _step_faults(policy: Policy, requests: list[Request], codes: dict[str, str]) -> Faults:
    """What a policy that ends at a wanted step must do; one that knows no steps need not."""
    for sample in policy.sample([replace(request, steps=1) for request in requests]):
        if sample.finish != "step":
            continue
        opened = opening_lines(sample.code)
        if len(opened) != 2 or not sample.code[: opened[-1]].endswith("\n"):
            yield (
                f"finish is 'step' for a program that begins with {sample.code[:40]!r}, where one "
                "whole step and the line that opens the next were wanted"
            )
            return
        if not codes.get(sample.key, sample.code).startswith(sample.code):
            yield "a program that ends at a step is not the beginning of the one with its seed"
            return
