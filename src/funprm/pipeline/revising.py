"""Programs that take several chats: each asks for a better form of the program before.

A rewritten program replaces the one it was made of only where nothing is lost by it: it is
complete, and passes the public tests if that one does.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, cast

from funprm.interfaces import Executor, Job, Policy, Request, Sample
from funprm.records import Generation, key_of, seed_of, shared_fields
from funprm.store import RecordFile


def revising(
    policy: Policy,
    executor: Callable[[], Executor],
    drafts: Callable[[], RecordFile[Generation]] | None = None,
) -> Policy:
    """The policy; where its prompt has several chats, one that leads all of them.

    Args:
        policy: writes programs.
        executor: gives the judge, where one is needed.
        drafts: gives the file that keeps the answers of all chats but the last; None: nothing does.
    """
    chats = getattr(policy, "chats", 1)
    if chats == 1:
        return policy
    return cast(Policy, _RevisingPolicy(policy, chats, executor, drafts))


class _RevisingPolicy:
    """Leads a policy through the chats of its prompt; all but `sample` is the policy's own.

    Prefixes are continued in the first chat: what was begun in functions goes on in functions.
    Every answer is stored the moment it arrives, drafts in a file of their own, where there is one.
    """

    def __init__(
        self,
        policy: Policy,
        chats: int,
        executor: Callable[[], Executor],
        drafts: Callable[[], RecordFile[Generation]] | None,
    ) -> None:
        self.policy, self._chats = policy, chats
        self._executor, self._file = executor, drafts
        self._stored: dict[str, Sample] | None = None

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  (whatever the policy has)
        return getattr(self.policy, name)

    @property
    def on_tokens(self) -> Any:  # noqa: ANN401  (whoever the policy tells; it may have nobody)
        return self.policy.on_tokens  # type: ignore[attr-defined]

    @on_tokens.setter
    def on_tokens(self, told: Any) -> None:  # noqa: ANN401
        self.policy.on_tokens = told  # type: ignore[attr-defined]

    def sample(self, requests: Sequence[Request]) -> Iterator[Sample]:
        """One answer per request, after its last chat; see `interfaces.Policy`."""
        yield from self.policy.sample([r for r in requests if r.prefix])
        wanted = {request.key: request for request in requests if not request.prefix}
        drafts = {draft.key: draft for draft in self._answers(list(wanted.values()))}
        for number in range(1, self._chats):
            for key in [key for key, draft in drafts.items() if not draft.code.strip()]:
                yield replace(drafts.pop(key), key=key)  # there is nothing to rewrite
            asked = {key: _next_chat(wanted[key], draft, number) for key, draft in drafts.items()}
            names = {request.key: key for key, request in asked.items()}
            last = number == self._chats - 1
            answers = self.policy.sample if last else self._answers
            better = {}
            for answer in answers(list(asked.values())):
                key = names[answer.key]
                found = self._better(wanted[key], drafts[key], answer)
                if last:
                    yield found
                else:
                    better[key] = found
            drafts = better

    def _answers(self, requests: Sequence[Request]) -> Iterator[Sample]:
        """The answers of a chat that is not the last: stored ones, then those asked for."""
        if self._file is None:
            yield from self.policy.sample(requests)
            return
        with self._file() as file:
            if self._stored is None:
                self._stored = {x.key: Sample(**shared_fields(x, Sample)) for x in file}
            asked = {r.key: r for r in requests if r.key not in self._stored}
            for answer in self.policy.sample(list(asked.values())):
                file.append(_record(answer, asked[answer.key]))
                self._stored[answer.key] = answer
        yield from (self._stored[r.key] for r in requests if r.key in self._stored)

    def _better(self, request: Request, draft: Sample, revised: Sample) -> Sample:
        """The program that counts, with what both chats took."""
        keep = revised.finish == "stop" and not self._lost(request, draft.code, revised.code)
        return _joined(request.key, draft, revised, keep=keep)

    def _lost(self, request: Request, draft: str, revised: str) -> bool:
        """Whether the draft passes the public tests, and what was made of it does not."""
        suite = request.problem.public
        if suite is None or draft == revised:
            return False
        jobs = [Job(key=code, code=code, suite=suite) for code in (draft, revised)]
        passed = {verdict.key: verdict.passed for verdict in self._executor().judge(jobs)}
        return bool(passed[draft] and not passed[revised])


def _record(answer: Sample, request: Request) -> Generation:
    values = shared_fields(answer, Generation)
    return Generation(**values, problem_id=request.problem.problem_id, index=request.index)


def _next_chat(request: Request, draft: Sample, number: int) -> Request:
    return replace(
        request,
        key=key_of("chat", number, request.key),
        seed=seed_of("chat", number, request.seed),
        drafts=(*draft.drafts, draft.code),
    )


def _joined(key: str, draft: Sample, revised: Sample, *, keep: bool) -> Sample:
    return replace(
        revised if keep else draft,
        key=key,
        drafts=(*draft.drafts, draft.code),
        prompt_tokens=draft.prompt_tokens + revised.prompt_tokens,
        completion_tokens=draft.completion_tokens + revised.completion_tokens,
        seconds=draft.seconds + revised.seconds,
        cost=draft.cost + revised.cost,
    )
