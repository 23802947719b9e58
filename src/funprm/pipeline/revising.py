"""Programs that take several chats: each asks for a better form of the program before.

A rewritten program replaces the one it was made of only where nothing is lost by it: it is
complete, and passes the public tests if that one does.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from funprm.interfaces import Executor, Job, Policy, Request, Sample
from funprm.records import Problem, key_of, seed_of


def revising(policy: Policy, executor: Callable[[], Executor]) -> Policy:
    """The policy; where its prompt has several chats, one that leads all of them.

    Args:
        policy: writes programs.
        executor: gives the judge, where one is needed.
    """
    chats = getattr(policy, "chats", 1)
    if chats == 1:
        return policy
    return cast(Policy, _RevisingPolicy(policy, chats, executor))


@dataclass(frozen=True, eq=False)
class _RevisingPolicy:
    """Leads a policy through the chats of its prompt; all but `sample` is the policy's own.

    Prefixes are continued in the first chat: what was begun in functions goes on in functions.
    Drafts are not stored before their program is: what was interrupted is asked again.
    """

    policy: Policy
    chats: int
    executor: Callable[[], Executor]

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  (whatever the policy has)
        return getattr(self.policy, name)

    def sample(self, requests: Sequence[Request]) -> Iterator[Sample]:
        yield from self.policy.sample([r for r in requests if r.prefix])
        open_ = {request.key: request for request in requests if not request.prefix}
        answers = {sample.key: sample for sample in self.policy.sample(list(open_.values()))}
        for number in range(1, self.chats):
            empty = [key for key, sample in answers.items() if not sample.code.strip()]
            for key in empty:  # there is nothing to rewrite
                yield answers.pop(key)
            answers = self._revised(open_, answers, number)
        yield from answers.values()

    def _revised(
        self, requests: Mapping[str, Request], drafts: Mapping[str, Sample], number: int
    ) -> dict[str, Sample]:
        """The better of draft and rewritten program, as far as that was answered."""
        asked = {
            key_of("chat", number, key): replace(
                requests[key],
                key=key_of("chat", number, key),
                seed=seed_of("chat", number, requests[key].seed),
                drafts=(*draft.drafts, draft.code),
            )
            for key, draft in drafts.items()
        }
        keys = dict(zip(asked, drafts, strict=True))
        found = {keys[s.key]: s for s in self.policy.sample(list(asked.values()))}
        lost = self._lost(
            {key: (requests[key].problem, drafts[key].code, found[key].code) for key in found}
        )
        return {
            key: _joined(drafts[key], sample, keep=key not in lost and sample.finish == "stop")
            for key, sample in found.items()
        }

    def _lost(self, pairs: Mapping[str, tuple[Problem, str, str]]) -> set[str]:
        """Where the draft passes the public tests, and what was made of it does not."""
        jobs = [
            Job(key=f"{number} {key}", code=code, suite=problem.public)
            for key, (problem, *codes) in pairs.items()
            if problem.public is not None and codes[0] != codes[1]
            for number, code in enumerate(codes)
        ]
        if not jobs:
            return set()
        passed = {verdict.key: verdict.passed for verdict in self.executor().judge(jobs)}
        return {key for key in pairs if passed.get(f"0 {key}") and not passed.get(f"1 {key}")}


def _joined(draft: Sample, revised: Sample, *, keep: bool) -> Sample:
    """One answer, with what both chats took."""
    return replace(
        revised if keep else draft,
        key=draft.key,
        drafts=(*draft.drafts, draft.code),
        prompt_tokens=draft.prompt_tokens + revised.prompt_tokens,
        completion_tokens=draft.completion_tokens + revised.completion_tokens,
        seconds=draft.seconds + revised.seconds,
        cost=draft.cost + revised.cost,
    )
