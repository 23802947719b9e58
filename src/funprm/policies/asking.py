"""How every policy is asked: in calls of the size that it wants, for what has no answer yet."""

from collections.abc import Container, Iterator, Sequence
from itertools import islice

from funprm.interfaces import Policy, Request, Sample


def answers(
    policy: Policy, requests: Sequence[Request], stored: Container[str]
) -> Iterator[Sample]:
    """Answers to the requests that have none, as they come.

    Args:
        policy: is asked.
        requests: with keys of their own.
        stored: keys of those that have an answer; looked at again after every call.

    Raises:
        PolicyError: as `Policy.sample`.
    """
    remaining = iter(requests)
    # What is recorded is looked up at once: then a policy sees whether it has anything at all.
    at_once = policy.unanswered_is_final or getattr(policy, "streams", False)
    size = len(requests) if at_once else policy.batch
    whole = policy.whole_batches or policy.unanswered_is_final
    while chunk := list(islice(remaining, size)):
        missing = [request for request in chunk if request.key not in stored]
        if missing:
            found = policy.sample(chunk if whole else missing)
            yield from (sample for sample in found if sample.key not in stored)
