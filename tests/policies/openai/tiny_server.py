"""An OpenAI-compatible server over any policy, for problems that it knows.

The policy is asked for one program at a time, with the seed that the call carries, no key and
index 0: what it draws from these alone is the same in each run, and the same as when it is asked
itself. So whole runs can go through the API policy without a large model.
"""

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from funprm.interfaces import Policy, Request, Sample
from funprm.prompts import Turn, as_text, build_prompt
from funprm.records import Problem
from funprm.testing.server import RefusalError, Script, Server, serve

_FINISH = {"stop": "stop", "empty": "stop", "length": "length", "refused": "content_filter"}


@contextmanager
def serve_policy(policy: Policy, problems: Iterable[Problem], style: str) -> Iterator[Server]:
    """Serve a policy for the length of a with-block.

    Args:
        policy: what answers.
        problems: those that may be asked for.
        style: the style of the prompts that will arrive.
    """
    model = _Model(policy, problems, style)
    with serve(Script(answer=model.answer)) as server:
        yield server


class _Model:
    def __init__(self, policy: Policy, problems: Iterable[Problem], style: str) -> None:
        self._policy = policy
        self._problems = {build_prompt(problem, style): problem for problem in problems}
        self._lock = threading.Lock()

    def answer(self, body: Mapping[str, Any], index: int) -> dict[str, Any]:
        problem, prefix = self._read(body)
        seed = int(body["seed"]) + index
        request = Request(key="", problem=problem, index=index, seed=seed, prefix=prefix)
        with self._lock:
            samples = list(self._policy.sample([request]))
        if not samples:
            raise RefusalError(500, "the policy gave no answer")
        return _choice(samples[0], prefix, chat="messages" in body)

    def _read(self, body: Mapping[str, Any]) -> tuple[Problem, str]:
        """The problem and the prefix that a body asks for."""
        if "messages" not in body:
            return self._split(body["prompt"])
        turns = [Turn(**message) for message in body["messages"]]
        begin = turns.pop().content if turns[-1].role == "assistant" else ""
        if as_text(turns) not in self._problems:
            raise RefusalError(400, "an unknown problem")
        return self._problems[as_text(turns)], begin.removeprefix("```python\n")

    def _split(self, text: str) -> tuple[Problem, str]:
        """A raw prompt: the known problem's, then the beginning of the answer."""
        for prompt, problem in self._problems.items():
            if text.startswith(f"{prompt}\n"):
                begin = text.removeprefix(f"{prompt}\n")
                return problem, begin.removeprefix("```python\n")
        raise RefusalError(400, "an unknown problem")


def _choice(sample: Sample, prefix: str, *, chat: bool) -> dict[str, Any]:
    text = sample.code.removeprefix(prefix)
    choice: dict[str, Any] = {"finish_reason": _FINISH[sample.finish]}
    if chat:
        choice["message"] = {"role": "assistant", "content": text}
    else:
        choice["text"] = text
    if sample.logprob is not None:  # as if the answer were one token
        entry = {"content": [{"token": text, "logprob": sample.logprob}]}
        choice["logprobs"] = entry if chat else {"token_logprobs": [sample.logprob]}
    counts = {"prompt_tokens": sample.prompt_tokens, "completion_tokens": sample.completion_tokens}
    return {**choice, "usage": counts}
