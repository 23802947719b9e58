"""What an OpenAI-compatible server answers, made uniform: replies, usage, samples."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Literal

from funprm.interfaces import Request, Sample
from funprm.policies.openai.budget import Prices
from funprm.policies.openai.prefixes import Way, read_program
from funprm.records import Json


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """One choice of a server's answer."""

    text: str
    """What is visible: hidden or marked reasoning is left out."""
    cut_off: bool = False
    """The length limit ended it."""
    refused: bool = False
    logprobs: tuple[float, ...] = ()
    """Log-probabilities of its tokens (natural log), as far as the server gives them."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    """Hidden reasoning included."""


def read_replies(answer: Mapping[str, Json], wanted: int) -> list[Reply]:
    """The first `wanted` choices of an answer, with their shares of its usage.

    The shares add up to the reported usage: prompt tokens (charged once) are divided evenly,
    completion tokens by the texts' lengths.
    """
    choices = [choice for choice in answer["choices"] if isinstance(choice, dict)][:wanted]
    prompt, completion = usage_of(answer)
    texts = [text_of(choice) for choice in choices]
    lengths = [len(text) + 1 for text in texts]
    shares = zip(_divide(prompt, [1] * len(choices)), _divide(completion, lengths), strict=True)
    return [
        Reply(
            text=text,
            cut_off=choice.get("finish_reason") == "length",
            refused=_refused(choice),
            logprobs=_logprobs(choice.get("logprobs")),
            prompt_tokens=prompt_share,
            completion_tokens=completion_share,
        )
        for choice, text, (prompt_share, completion_share) in zip(
            choices, texts, shares, strict=True
        )
    ]


def read_sample(request: Request, reply: Reply, way: Way, seconds: float, prices: Prices) -> Sample:
    """A reply as the answer to a request, its prefix checked."""
    program = read_program(reply.text, request.prefix, way)
    refused_rest = reply.refused and bool(request.prefix)  # it says nothing about the prefix
    written = reply.text if request.prefix else program.code
    finish: Literal["stop", "length", "empty", "refused"] = "stop" if written.strip() else "empty"
    if reply.cut_off:
        finish = "length"
    if reply.refused:
        finish = "refused"
    return Sample(
        key=request.key,
        code=program.code,
        text="" if reply.text == program.code else reply.text,
        finish=finish,
        kept=program.kept and not refused_rest,
        prompt_tokens=reply.prompt_tokens,
        completion_tokens=reply.completion_tokens,
        logprob=sum(reply.logprobs) if reply.logprobs else None,
        logprob_tokens=len(reply.logprobs),
        seconds=seconds,
        cost=prices.cost(reply.prompt_tokens, reply.completion_tokens),
    )


def has_usage(answer: Mapping[str, Json]) -> bool:
    """Whether the server counted the tokens of this answer."""
    return sum(usage_of(answer)) > 0


def usage_of(answer: Mapping[str, Json]) -> tuple[int, int]:
    """Prompt and completion tokens.

    Some servers leave hidden reasoning out of `completion_tokens` but not of `total_tokens`.
    """
    usage = answer.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    prompt, completion, total = (
        _count(usage.get(name)) for name in ("prompt_tokens", "completion_tokens", "total_tokens")
    )
    return prompt, max(completion, total - prompt)


def _count(number: Json) -> int:
    return number if isinstance(number, int) and number > 0 else 0


def text_of(choice: Mapping[str, Json]) -> str:
    """The visible text of a chat choice or of a raw completion."""
    message = choice.get("message")
    content = message.get("content") if isinstance(message, dict) else choice.get("text")
    if isinstance(content, list):  # content parts
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        content = "".join(part for part in parts if isinstance(part, str))
    text = content if isinstance(content, str) else ""
    if text.lstrip().startswith("<think>") and "</think>" not in text:
        return ""  # cut off while it was reasoning
    return text.encode(errors="replace").decode()  # no half of a surrogate pair can be stored


def _refused(choice: Mapping[str, Json]) -> bool:
    message = choice.get("message")
    refusal = message.get("refusal") if isinstance(message, dict) else None
    return bool(refusal) or choice.get("finish_reason") == "content_filter"


def _logprobs(logprobs: Json) -> tuple[float, ...]:
    """Of the tokens that have one, from either API's form; hidden reasoning never has."""
    if not isinstance(logprobs, dict):
        return ()
    if isinstance(tokens := logprobs.get("content"), list):  # chat
        values = [token.get("logprob") for token in tokens if isinstance(token, dict)]
    else:  # raw completions
        values = logprobs.get("token_logprobs") or []
    return tuple(float(value) for value in values if isinstance(value, int | float))


def _divide(total: int, weights: Sequence[int]) -> Iterator[int]:
    """Whole shares in proportion to the weights; they add up to the total."""
    whole = sum(weights)
    bounds = (total * part // whole for part in accumulate(weights, initial=0))
    return (end - start for start, end in pairwise(bounds))
